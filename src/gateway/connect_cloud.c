/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/connect_private.h"
#include "gateway/net.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>

enum { NONCE_LEN = 8, VERIFY_TRIES = 5, PAUSE_MS = 1000 };

/* Straight to the cloud; what it has kept for the bridge stays kept. */
hf_err connect_mqtt(struct connect *c)
{
  HF_TRY(client_connect(&c->link.options, c->options->timeout_s, &c->client));
  client_leave_messages(c->client);
  connect_detail(c, "MQTT %s", client_version(c->client));
  return HF_OK;
}

static hf_err expand(const struct connect *c, const char *text, const char *nonce, struct hf_buf *out)
{
  const struct cloud_values values = { .id = c->device_id, .host = c->address.host, .nonce = nonce };
  return cloud_expand(text, &values, out);
}

/* The cloud has acknowledged what makes the device known to it. */
hf_err connect_create(struct connect *c)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf topic = HF_BUF(CLOUD_TEXT_MAX), payload = HF_BUF(CLOUD_TEXT_MAX);
  HF_TRY(expand(c, c->cloud->creation.topic, NULL, &topic));
  HF_TRY(expand(c, c->cloud->creation.payload, NULL, &payload));
  HF_TRY(client_publish(c->client, hf_buf_str(&topic), hf_buf_str(&payload)));
  c->client = client_free(c->client);
  return HF_OK;
}

hf_err connect_publish(struct connect *c)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf topic = HF_BUF(CLOUD_TEXT_MAX);
  HF_TRY(expand(c, config_get(c->config, CONFIG_MQTT_CONNECT_TOPIC), NULL, &topic));
  const char *topic_text = hf_buf_str(&topic);
  char payload[64];
  time_t now = time(NULL);
  struct tm tm;
  if (!topic_text || !gmtime_r(&now, &tm) ||
      !strftime(payload, sizeof(payload), "{\"time\":\"%Y-%m-%dT%H:%M:%SZ\"}", &tm))
    return hf_fail(HF_ERR_NO_MEMORY, "the message");
  HF_TRY(client_publish(c->client, topic_text, payload));
  connect_detail(c, "on %s", topic_text);
  c->client = client_free(c->client);
  return HF_OK;
}

static hf_err new_nonce(struct hf_buf *out)
{
  uint8_t bytes[NONCE_LEN];
  if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
    return hf_fail_errno(errno, "getting random bytes");
  return hf_buf_add_hex(out, bytes, sizeof(bytes));
}

static bool begins_with(struct hf_buf *text, struct hf_buf *start)
{
  return text->len >= start->len && memcmp(hf_buf_str(text), hf_buf_str(start), start->len) == 0;
}

/* The answer may be that to an earlier question of somebody else: then the next one counts. */
static hf_err await_answer(struct connect *c, const char *filter, const char *nonce)
{
  const struct cloud_question *check = &c->cloud->check;
  HF_CLEANUP(hf_buf_free) struct hf_buf topic = HF_BUF(CLOUD_TEXT_MAX), payload = HF_BUF(CLOUD_TEXT_MAX);
  HF_TRY(expand(c, check->answer_topic, nonce, &topic));
  HF_TRY(expand(c, check->answer_payload, nonce, &payload));
  bool ours = strstr(check->answer_topic, "{nonce}") || strstr(check->answer_payload, "{nonce}");
  for (;;) {
    HF_CLEANUP(client_message_free) struct client_message message = { 0 };
    HF_TRY(client_receive(c->client, filter, &message));
    if (begins_with(&message.topic, &topic) && begins_with(&message.payload, &payload))
      return HF_OK;
    bool to_us = strstr(hf_buf_str(&message.topic), nonce) != NULL;
    if (!ours || to_us)
      return hf_fail(HF_ERR_MQTT, "%s answered on %s: %.200s", c->cloud->config->title, hf_buf_str(&message.topic),
                     hf_buf_str(&message.payload));
  }
}

/* One question through the local broker, with a client of its own each time. */
static hf_err ask_cloud(struct connect *c)
{
  const struct cloud_question *check = &c->cloud->check;
  HF_CLEANUP(hf_buf_free) struct hf_buf nonce = HF_BUF(2 * NONCE_LEN), topic = HF_BUF(CLOUD_TEXT_MAX);
  HF_CLEANUP(hf_buf_free) struct hf_buf payload = HF_BUF(CLOUD_TEXT_MAX), filter = HF_BUF(CLOUD_TEXT_MAX);
  HF_TRY(new_nonce(&nonce));
  const char *word = hf_buf_str(&nonce);
  char client_id[64];
  snprintf(client_id, sizeof(client_id), "holdfast-connect-%s", word);
  HF_TRY(expand(c, check->topic, word, &topic));
  HF_TRY(expand(c, check->payload, word, &payload));
  HF_TRY(expand(c, check->answer_filter, word, &filter));
  const struct link_options options = cloud_local_link(c->config, client_id);
  c->client = client_free(c->client);
  HF_TRY(client_connect(&options, c->options->timeout_s, &c->client));
  HF_TRY(client_subscribe(c->client, hf_buf_str(&filter)));
  HF_TRY(client_publish(c->client, hf_buf_str(&topic), hf_buf_str(&payload)));
  return await_answer(c, hf_buf_str(&filter), word);
}

static void pause_for(long milliseconds)
{
  const struct timespec time = { milliseconds / 1000, milliseconds % 1000 * 1000000 };
  nanosleep(&time, NULL);
}

static hf_err try_to(struct connect *c, hf_err (*ask)(struct connect *c))
{
  hf_err e = ask(c);
  for (unsigned attempt = 1; hf_failed(e) && attempt < VERIFY_TRIES; attempt++) {
    connect_wait(c, attempt + 1, VERIFY_TRIES, "");
    if (e.code != HF_ERR_TIMEOUT)
      pause_for(PAUSE_MS);
    e = ask(c);
  }
  c->client = client_free(c->client);
  return e;
}

/* A cloud that answers no question: its acknowledgement must do. With topics of one's own, nothing is known to be bridged. */
static hf_err send_message(struct connect *c)
{
  char topic[64];
  snprintf(topic, sizeof(topic), "%std/holdfast-connect", c->cloud->prefix);
  return connect_send_through_bridge(c, topic, "{}");
}

static hf_err verify_by_message(struct connect *c)
{
  if (config_is_set(c->config, c->cloud->config->bridge_topics)) {
    connect_detail(c, "the bridge is up; with %s no message was sent",
                   config_row(c->cloud->config->bridge_topics)->key);
    return HF_OK;
  }
  hf_err e = try_to(c, send_message);
  if (!hf_failed(e))
    connect_detail(c, "a message through the bridge was acknowledged");
  return e;
}

hf_err connect_verify(struct connect *c)
{
  if (!c->cloud->check.topic)
    return verify_by_message(c);
  hf_err e = try_to(c, ask_cloud);
  if (!hf_failed(e))
    connect_detail(c, "%s answered", c->cloud->config->title);
  else if (e.code == HF_ERR_TIMEOUT)
    return hf_hint(e, "The bridge is up, but the cloud did not answer: is the device known and allowed there%s?",
                   config_is_set(c->config, c->cloud->config->bridge_topics) ? ", and is the question in bridge.topics"
                                                                             : "");
  return e;
}
