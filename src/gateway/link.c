/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/link.h"

#include "gateway/net.h"
#include "mqtt/reason.h"

#include <poll.h>

enum {
  READ_SIZE = 64 << 10,
  READ_MAX = 256 << 10,  /* at once, so that others get their turn */
  KEPT_MAX = 1 << 20,    /* a buffer that grew for a large message is given back */
  SILENCE_MIN_MS = 2000, /* how long an answer may take, at least */
  SILENCE_MAX_MS = 30000,
  LOOK_MS = 500, /* how often the way to a broker that owes an answer is looked at */
};

struct link {
  struct stream *stream;
  char address[CONFIG_HOST_MAX + 16];
  enum mqtt_version version;
  bool session_present;
  uint8_t end_reason;
  struct link_limits limits;
  struct hf_buf in, out;
  uint64_t sent;
  size_t in_at, out_at;       /* how far they are read, and sent */
  bool more;                  /* the last link_fill stopped short */
  struct hf_err_saved failed; /* after what it has read, which comes first */
  int64_t keepalive_ms, heard_ms, sent_ms;
  struct ping {
    int64_t asked_ms, moved_ms,
        looked_ms;           /* asked_ms 0: no answer is waited for. moved_ms: when the way there last drained */
    size_t unsent;           /* bytes up to the end of PINGREQ that the socket has not taken yet */
    uint64_t end, delivered; /* where PINGREQ ends in what the socket has taken; how far the broker's system has it */
  } ping;
};

/* Opening */

static hf_err new_link(const struct link_options *options, enum mqtt_version version, int64_t deadline_ms,
                       struct link **ret_link)
{
  HF_CLEANUP(link_freep) struct link *link = calloc(1, sizeof(*link));
  if (!link)
    return hf_fail(HF_ERR_NO_MEMORY, "a connection");
  link->in = HF_BUF((size_t)MQTT_PACKET_MAX + READ_SIZE);
  link->out = HF_BUF(2 * (size_t)MQTT_PACKET_MAX);
  link->version = version;
  link->keepalive_ms = (int64_t)options->keepalive_s * 1000;
  config_address_format(&options->dial.address, link->address, sizeof(link->address));
  HF_TRY(dial(&options->dial, deadline_ms, &link->stream));
  link->heard_ms = link->sent_ms = net_now_ms();
  *ret_link = HF_TAKE(link);
  return HF_OK;
}

static hf_err add_connect(struct link *link, const struct link_options *options)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf properties = HF_BUF(64);
  if (!options->clean)
    HF_TRY(mqtt_property_add_number(&properties, MQTT_SESSION_EXPIRY, MQTT_SESSION_FOREVER));
  HF_TRY(mqtt_property_add_number(&properties, MQTT_RECEIVE_MAXIMUM,
                                  options->receive_maximum ? options->receive_maximum : UINT16_MAX));
  const struct mqtt_connect connect = {
    .version = link->version,
    .client_id = mqtt_text(options->client_id),
    .user = mqtt_text(options->user),
    .password = mqtt_text(options->password),
    .properties = hf_slice(properties.data, properties.len),
    .will = options->will,
    .keep_alive_s = (uint16_t)options->keepalive_s,
    .clean = options->clean,
  };
  return mqtt_connect_encode(&connect, &link->out);
}

static void take_limits(struct link *link, struct hf_slice properties)
{
  int64_t keepalive_s = mqtt_property_number(properties, MQTT_SERVER_KEEP_ALIVE, UINT32_MAX);
  if (keepalive_s > 0 && keepalive_s != UINT32_MAX)
    link->keepalive_ms = keepalive_s * 1000;
  link->limits = (struct link_limits){
    .receive_maximum = mqtt_property_number(properties, MQTT_RECEIVE_MAXIMUM, UINT16_MAX),
    .maximum_packet_size = mqtt_property_number(properties, MQTT_MAXIMUM_PACKET_SIZE, UINT32_MAX),
    .maximum_qos = (uint8_t)mqtt_property_number(properties, MQTT_MAXIMUM_QOS, 2),
    .retain_available = mqtt_property_number(properties, MQTT_RETAIN_AVAILABLE, 1),
    .wildcard_available = mqtt_property_number(properties, MQTT_WILDCARD_AVAILABLE, 1),
  };
}

/* "not authorized", and what else the broker has to say. */
static hf_err refused(const struct link *link, const char *what, const char *why, struct hf_slice properties)
{
  struct mqtt_property said = { 0 };
  mqtt_property_find(properties, MQTT_REASON_STRING, &said);
  return hf_fail(HF_ERR_MQTT, "%s: %s: %s%s%.*s", link->address, what, why, said.text.len ? ": " : "",
                 (int)said.text.len, said.text.len ? (const char *)said.text.data : "");
}

static hf_err take_connack(struct link *link, const struct mqtt_packet *packet)
{
  struct mqtt_connack connack;
  if (packet->type != MQTT_CONNACK)
    return hf_fail(HF_ERR_MQTT, "%s: connecting: %s in place of CONNACK", link->address, mqtt_type_name(packet->type));
  HF_TRY(mqtt_connack_decode(packet, link->version, &connack));
  if (connack.reason == MQTT_SUCCESS && connack.version != link->version)
    return hf_fail(HF_ERR_MQTT, "%s: connecting: a CONNACK of another version", link->address);
  link->end_reason = connack.version == MQTT_3_1_1 && connack.reason == MQTT_3_1_1_BAD_VERSION
                         ? MQTT_UNSUPPORTED_VERSION
                         : connack.reason;
  if (connack.reason != MQTT_SUCCESS)
    return refused(link, "connecting", mqtt_connack_text(connack.version, connack.reason), connack.properties);
  link->session_present = connack.session_present;
  take_limits(link, connack.properties);
  return HF_OK;
}

static hf_err await_connack(struct link *link, int64_t deadline_ms)
{
  for (;;) {
    struct mqtt_packet packet;
    bool some = false;
    HF_TRY(link_next(link, &some, &packet));
    if (some)
      return take_connack(link, &packet);
    if (!link_pending(link))
      HF_TRY(net_wait(link_fd(link), link_events(link), deadline_ms, link->address));
    /* Reading first: where our certificate is refused, that tells why, and writing does not. */
    HF_TRY(link_fill(link));
    HF_TRY(link_flush(link));
  }
}

static hf_err connect_link(const struct link_options *options, enum mqtt_version version, int64_t deadline_ms,
                           uint8_t *ret_reason, struct link **ret_link)
{
  HF_CLEANUP(link_freep) struct link *link = NULL;
  *ret_reason = MQTT_REFUSED;
  HF_TRY(new_link(options, version, deadline_ms, &link));
  HF_TRY(add_connect(link, options));
  hf_err e = await_connack(link, deadline_ms);
  if (e.code == HF_ERR_LOST)
    e = hf_fail(HF_ERR_LOST, "%s closed it before it answered CONNECT", link->address);
  *ret_reason = link->end_reason;
  HF_TRY(e);
  *ret_link = HF_TAKE(link);
  return HF_OK;
}

/* A broker of MQTT 3.1.1 alone says so, or drops a connection whose first packet it does not understand. */
static bool worth_3_1_1(hf_err e, uint8_t reason)
{
  return (e.code == HF_ERR_MQTT && reason == MQTT_UNSUPPORTED_VERSION) || (e.code == HF_ERR_LOST && reason == 0);
}

hf_err link_open(const struct link_options *options, int64_t deadline_ms, struct link **ret_link)
{
  uint8_t reason;
  hf_err e = connect_link(options, options->version, deadline_ms, &reason, ret_link);
  if (options->version == MQTT_5 && worth_3_1_1(e, reason))
    e = connect_link(options, MQTT_3_1_1, deadline_ms, &reason, ret_link);
  return e;
}

struct link *link_free(struct link *link)
{
  if (!link)
    return NULL;
  stream_free(link->stream);
  hf_buf_free(&link->in);
  hf_buf_free(&link->out);
  free(link);
  return NULL;
}

struct link *link_close(struct link *link)
{
  if (!link)
    return NULL;
  hf_err e = mqtt_disconnect_encode(&(struct mqtt_disconnect){ 0 }, link->version, &link->out);
  if (!hf_failed(e))
    hf_ignore(link_flush(link));
  return link_free(link);
}

enum mqtt_version link_version(const struct link *link)
{
  return link->version;
}

bool link_session_present(const struct link *link)
{
  return link->session_present;
}

const struct link_limits *link_limits(const struct link *link)
{
  return &link->limits;
}

/* Reading */

/* What was read goes, so that the buffer holds what is not read yet alone. */
static void drop_read(struct link *link)
{
  hf_buf_drop(&link->in, link->in_at);
  link->in_at = 0;
  if (link->in.len == 0 && link->in.capacity > KEPT_MAX)
    hf_buf_free(&link->in);
}

static void heard(struct link *link)
{
  link->heard_ms = net_now_ms();
  link->ping.asked_ms = 0;
}

static hf_err read_some(struct link *link, size_t *ret_len)
{
  uint8_t *room = NULL;
  HF_TRY(hf_buf_reserve(&link->in, READ_SIZE, &room));
  HF_TRY(stream_read(link->stream, room, READ_SIZE, ret_len));
  hf_buf_commit(&link->in, *ret_len);
  if (*ret_len > 0)
    heard(link);
  return HF_OK;
}

hf_err link_fill(struct link *link)
{
  drop_read(link);
  HF_TRY(hf_err_restore(&link->failed));
  size_t total = 0, len = 1;
  link->more = false;
  for (; len > 0 && total < READ_MAX; total += len) {
    hf_err e = read_some(link, &len);
    if (hf_failed(e) && total == 0)
      return e;
    if (hf_failed(e)) {
      link->failed = hf_err_save(e);
      len = 0;
    }
  }
  link->more = total >= READ_MAX || hf_failed(link->failed.error);
  return HF_OK;
}

static hf_err ended(struct link *link, const struct mqtt_packet *packet)
{
  struct mqtt_disconnect disconnect;
  HF_TRY(mqtt_disconnect_decode(packet, link->version, &disconnect));
  link->end_reason = disconnect.reason;
  return refused(link, "it ended the connection", mqtt_reason_text(disconnect.reason), disconnect.properties);
}

static struct hf_slice unread(const struct link *link)
{
  return link->in.len ? hf_slice(link->in.data + link->in_at, link->in.len - link->in_at) : hf_slice(NULL, 0);
}

hf_err link_next(struct link *link, bool *ret_some, struct mqtt_packet *ret_packet)
{
  bool whole = true;
  while (whole) {
    struct hf_slice rest = unread(link);
    struct mqtt_packet packet;
    HF_TRY(mqtt_packet_take(&rest, MQTT_PACKET_MAX, &whole, &packet));
    link->in_at = link->in.len - rest.len;
    if (whole && packet.type == MQTT_PINGRESP)
      continue;
    if (whole && packet.type == MQTT_DISCONNECT)
      return ended(link, &packet);
    if (whole)
      *ret_packet = packet;
    break;
  }
  *ret_some = whole;
  return HF_OK;
}

uint8_t link_end_reason(const struct link *link)
{
  return link->end_reason;
}

/* Writing */

struct hf_buf *link_out(struct link *link)
{
  return &link->out;
}

size_t link_unsent(const struct link *link)
{
  return link->out.len - link->out_at;
}

uint64_t link_sent(const struct link *link)
{
  return link->sent;
}

static void drop_sent(struct link *link)
{
  if (link->out_at == link->out.len || link->out_at >= READ_MAX) {
    hf_buf_drop(&link->out, link->out_at);
    link->out_at = 0;
  }
  if (link->out.len == 0 && link->out.capacity > KEPT_MAX)
    hf_buf_free(&link->out);
}

static void sent(struct link *link, size_t len)
{
  link->out_at += len;
  link->sent += len;
  link->sent_ms = net_now_ms();
  if (link->ping.unsent == 0)
    return;
  link->ping.unsent -= len < link->ping.unsent ? len : link->ping.unsent;
  link->ping.end = stream_sent(link->stream);
}

hf_err link_flush(struct link *link)
{
  size_t len = 1;
  while (link_unsent(link) > 0 && len > 0) {
    HF_TRY(stream_write(link->stream, link->out.data + link->out_at, link_unsent(link), &len));
    if (len > 0)
      sent(link, len);
  }
  drop_sent(link);
  return HF_OK;
}

/* Time */

static int64_t patience_ms(const struct link *link)
{
  int64_t half = link->keepalive_ms / 2;
  return half < SILENCE_MIN_MS ? SILENCE_MIN_MS : half > SILENCE_MAX_MS ? SILENCE_MAX_MS : half;
}

/* Who only sends, and who only hears, asks too. */
static int64_t ping_due(const struct link *link)
{
  return (link->sent_ms < link->heard_ms ? link->sent_ms : link->heard_ms) + link->keepalive_ms;
}

static int64_t silence_due(const struct link *link)
{
  const struct ping *ping = &link->ping;
  return (ping->moved_ms > ping->asked_ms ? ping->moved_ms : ping->asked_ms) + patience_ms(link);
}

int64_t link_next_tick(const struct link *link)
{
  if (link->keepalive_ms == 0)
    return INT64_MAX;
  if (!link->ping.asked_ms)
    return ping_due(link);
  int64_t look = link->ping.looked_ms + LOOK_MS;
  return look < silence_due(link) ? look : silence_due(link);
}

/* On a slow line PINGREQ waits behind what was sent before it; as long as that drains, nobody owes an answer. */
static void watch_drain(struct link *link, int64_t now_ms)
{
  struct ping *ping = &link->ping;
  ping->looked_ms = now_ms;
  bool arrived = ping->unsent == 0 && ping->delivered >= ping->end;
  uint64_t delivered = stream_delivered(link->stream);
  if (arrived || delivered == ping->delivered)
    return;
  ping->delivered = delivered;
  ping->moved_ms = now_ms;
}

static hf_err ask(struct link *link, int64_t now_ms)
{
  HF_TRY(mqtt_packet_add(&link->out, MQTT_PINGREQ, 0, hf_slice(NULL, 0)));
  link->ping = (struct ping){
    .asked_ms = now_ms, .looked_ms = now_ms, .unsent = link_unsent(link), .delivered = stream_delivered(link->stream)
  };
  return link_flush(link);
}

hf_err link_tick(struct link *link, int64_t now_ms)
{
  if (link->keepalive_ms == 0)
    return HF_OK;
  if (!link->ping.asked_ms)
    return now_ms >= ping_due(link) ? ask(link, now_ms) : HF_OK;
  watch_drain(link, now_ms);
  if (now_ms < silence_due(link))
    return HF_OK;
  return hf_fail(HF_ERR_TIMEOUT, "%s has been silent for %lld s", link->address,
                 (long long)(now_ms - link->heard_ms) / 1000);
}

int link_fd(const struct link *link)
{
  return stream_fd(link->stream);
}

short link_events(const struct link *link)
{
  return stream_events(link->stream, link_unsent(link) > 0);
}

bool link_pending(const struct link *link)
{
  return link->more || stream_pending(link->stream);
}
