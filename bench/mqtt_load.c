/* SPDX-License-Identifier: Apache-2.0 */
#include "mqtt_load.h"

#include "p11_rig.h"

#include "gateway/link.h"
#include "gateway/net.h"
#include "mqtt/subscribe.h"

#include <poll.h>

enum { NUMBERS_MAX = 1 << 20, IDS = 65000, CONNECT_MS = 2000, UNSENT_MAX = 64 << 10, AGAIN_MS = 20 };

struct end {
  const char *client_id;
  unsigned port;
  struct link *link;
  int64_t again_ms;
};

struct load {
  const struct load_options *options;
  struct end publisher, subscriber;
  double start, last_received;
  unsigned sent, open, received, twice, disordered, last_number;
  unsigned char *acknowledged, *seen;
  float *latencies;
  size_t event;
  unsigned by_id[IDS + 1]; /* number + 1 of the message that uses it */
};

static void must(hf_err e)
{
  if (!hf_failed(e))
    return;
  hf_err_print(stderr, "bench", e);
  exit(1);
}

static hf_err subscribe(struct link *link, const char *filter)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf filters = HF_BUF(MQTT_TEXT_MAX);
  const struct mqtt_subscription subscription = { .filter = mqtt_text(filter), .qos = 1 };
  HF_TRY(mqtt_subscription_add(&filters, &subscription, link_version(link)));
  const struct mqtt_subscribe packet = { IDS + 1, { 0 }, { filters.data, filters.len } };
  return mqtt_subscribe_encode(MQTT_SUBSCRIBE, &packet, link_version(link), link_out(link));
}

static void end_close(struct end *end)
{
  end->link = link_free(end->link);
  end->again_ms = net_now_ms() + AGAIN_MS;
}

static void end_open(struct load *load, struct end *end)
{
  struct link_options options = { .version = MQTT_5, .client_id = end->client_id };
  snprintf(options.dial.address.host, sizeof(options.dial.address.host), "127.0.0.1");
  snprintf(options.dial.address.port, sizeof(options.dial.address.port), "%u", end->port % 65536u);
  if (end->link || net_now_ms() < end->again_ms)
    return;
  hf_err e = link_open(&options, net_now_ms() + CONNECT_MS, &end->link);
  if (!hf_failed(e) && end == &load->subscriber)
    e = subscribe(end->link, load->options->filter);
  if (hf_failed(e))
    end_close(end);
  else if (end == &load->publisher) {
    memset(load->by_id, 0, sizeof(load->by_id));
    load->open = 0;
  }
}

/* Publishing */

static hf_err publish_one(struct load *load)
{
  char payload[1024];
  struct link *link = load->publisher.link;
  memset(payload, '.', sizeof(payload));
  int used = snprintf(payload, sizeof(payload), "%07u %.6f ", load->sent, rig_now());
  payload[used] = '.';
  const struct mqtt_publish publish = { .topic = mqtt_text(load->options->topic),
                                        .payload = hf_slice(payload, load->options->size),
                                        .packet_id = (uint16_t)(load->sent % IDS + 1),
                                        .qos = 1 };
  load->by_id[publish.packet_id] = ++load->sent;
  load->open++;
  return mqtt_publish_encode(&publish, link_version(link), link_out(link));
}

static unsigned due(const struct load *load)
{
  const struct load_options *options = load->options;
  double passed = rig_now() - load->start;
  unsigned wanted = options->count ? options->count : NUMBERS_MAX;
  if (options->seconds > 0 && passed > options->seconds)
    return 0;
  if (options->rate && (unsigned)(passed * options->rate) < wanted)
    wanted = (unsigned)(passed * options->rate);
  return wanted > load->sent ? wanted - load->sent : 0;
}

static void publish_due(struct load *load)
{
  if (!load->publisher.link)
    return;
  for (unsigned left = due(load);
       left > 0 && load->open < load->options->window && link_unsent(load->publisher.link) < UNSENT_MAX; left--)
    must(publish_one(load));
}

/* Receiving */

static void take_ack(struct load *load, const struct mqtt_packet *packet)
{
  struct mqtt_ack ack;
  must(mqtt_ack_decode(packet, link_version(load->publisher.link), &ack));
  unsigned number = load->by_id[ack.packet_id];
  if (number == 0)
    return;
  load->acknowledged[number - 1] = 1;
  load->by_id[ack.packet_id] = 0;
  load->open--;
}

static void count(struct load *load, unsigned number, double sent)
{
  if (load->seen[number]) {
    load->twice++;
    return;
  }
  load->seen[number] = 1;
  load->latencies[load->received++] = (float)((rig_now() - sent) * 1000);
  load->last_received = rig_now();
  if (number < load->last_number)
    load->disordered++;
  else
    load->last_number = number;
}

static void take_message(struct load *load, const struct mqtt_packet *packet)
{
  struct link *link = load->subscriber.link;
  struct mqtt_publish publish;
  unsigned number;
  double sent;
  char text[32] = "";
  must(mqtt_publish_decode(packet, link_version(link), &publish));
  memcpy(text, publish.payload.data, publish.payload.len < sizeof(text) ? publish.payload.len : sizeof(text) - 1);
  if (sscanf(text, "%u %lf", &number, &sent) == 2 && number < NUMBERS_MAX)
    count(load, number, sent);
  if (publish.qos > 0)
    must(mqtt_ack_encode(MQTT_PUBACK, &(struct mqtt_ack){ .packet_id = publish.packet_id }, link_version(link),
                         link_out(link)));
}

static hf_err read_end(struct load *load, struct end *end)
{
  struct mqtt_packet packet;
  HF_TRY(link_fill(end->link));
  for (bool some = true; some;) {
    HF_TRY(link_next(end->link, &some, &packet));
    if (some && packet.type == MQTT_PUBACK)
      take_ack(load, &packet);
    else if (some && packet.type == MQTT_PUBLISH)
      take_message(load, &packet);
  }
  return HF_OK;
}

/* A turn */

static void serve(struct load *load, struct end *end)
{
  if (!end->link)
    return;
  hf_err e = read_end(load, end);
  if (!hf_failed(e))
    e = link_flush(end->link);
  if (hf_failed(e))
    end_close(end);
}

static void wait_for_ends(struct load *load)
{
  struct pollfd fds[2];
  struct end *ends[] = { &load->publisher, &load->subscriber };
  bool pending = false;
  for (size_t i = 0; i < 2; i++) {
    struct link *link = ends[i]->link;
    fds[i] = (struct pollfd){ .fd = link ? link_fd(link) : -1, .events = link ? link_events(link) : 0 };
    pending = pending || (link && link_pending(link));
  }
  poll(fds, 2, pending ? 0 : 1);
}

static void run_events(struct load *load)
{
  const struct load_event *event = load->options->events ? &load->options->events[load->event] : NULL;
  if (!event || !event->run || rig_now() - load->start < event->at)
    return;
  load->event++;
  event->run(load->options->arg);
}

static bool is_over(const struct load *load)
{
  const struct load_options *options = load->options;
  bool events_left = options->events && options->events[load->event].run;
  bool sending = options->count ? load->sent < options->count : rig_now() - load->start < options->seconds;
  if (events_left || sending)
    return false;
  double last = load->last_received > load->start ? load->last_received : load->start;
  return load->received >= load->sent || rig_now() - last > options->patience;
}

static int compare(const void *a, const void *b)
{
  float x = *(const float *)a, y = *(const float *)b;
  return x < y ? -1 : x > y;
}

static struct load_result result_of(struct load *load)
{
  struct load_result result = { .sent = load->sent,
                                .received = load->received,
                                .twice = load->twice,
                                .disordered = load->disordered,
                                .seconds = load->last_received - load->start };
  for (unsigned i = 0; i < load->sent; i++) {
    result.acknowledged += load->acknowledged[i];
    result.lost += load->acknowledged[i] && !load->seen[i];
  }
  if (load->received > 0) {
    qsort(load->latencies, load->received, sizeof(load->latencies[0]), compare);
    result.p50_ms = (double)load->latencies[load->received / 2];
    result.p99_ms = (double)load->latencies[load->received / 100 * 99];
  }
  return result;
}

struct load_result load_run(const struct load_options *options)
{
  static struct load load;
  load = (struct load){ .options = options,
                        .publisher = { .client_id = "bench-publisher", .port = options->publish_port },
                        .subscriber = { .client_id = "bench-subscriber", .port = options->subscribe_port } };
  load.acknowledged = calloc(NUMBERS_MAX, 1);
  load.seen = calloc(NUMBERS_MAX, 1);
  load.latencies = calloc(NUMBERS_MAX, sizeof(load.latencies[0]));
  if (!load.acknowledged || !load.seen || !load.latencies)
    exit(1);
  load.start = rig_now();
  while (!is_over(&load)) {
    run_events(&load);
    end_open(&load, &load.subscriber);
    end_open(&load, &load.publisher);
    publish_due(&load);
    wait_for_ends(&load);
    serve(&load, &load.publisher);
    serve(&load, &load.subscriber);
  }
  struct load_result result = result_of(&load);
  link_close(load.publisher.link);
  link_close(load.subscriber.link);
  free(load.acknowledged);
  free(load.seen);
  free(load.latencies);
  return result;
}
