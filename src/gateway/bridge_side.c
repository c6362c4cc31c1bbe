/* SPDX-License-Identifier: Apache-2.0 */
/* One broker of a bridge: connecting, being connected, losing the connection. */
#include "gateway/bridge_private.h"

#include "base/log.h"
#include "gateway/net.h"
#include "mqtt/reason.h"

#include <sys/eventfd.h>
#include <time.h>

enum {
  CONNECT_S = 30,          /* for TCP, proxy, TLS and CONNECT together */
  HANGING_MS = 120000,     /* how long it may take with a name server and an HSM, which nobody can interrupt */
  LOCAL_RETRY_MIN_MS = 20, /* the local broker is near; while we are not there, it may know nothing of us */
  LOCAL_RETRY_MAX_MS = 500,
  STEADY_MS = 10000, /* a connection that lasted so long starts the back-off anew */
  SHED_MIN_MS = 1000,
  SHED_MAX_MS = 30000,
  ANSWERS_MAX = 64 << 20
};

static const char *const names[BRIDGE_SIDES] = { "the local broker", "the cloud" };

void side_start(struct side *side, struct bridge *bridge, enum bridge_side index)
{
  side->bridge = bridge;
  side->index = index;
  side->receives = &bridge->flows[index == BRIDGE_LOCAL ? SPOOL_OUT : SPOOL_IN];
  side->sends = &bridge->flows[index == BRIDGE_LOCAL ? SPOOL_IN : SPOOL_OUT];
  side->answers = HF_BUF(ANSWERS_MAX);
  side->filters = HF_BUF(BRIDGE_FILTERS_MAX);
  side->since_s = (int64_t)time(NULL);
  side->shed_backoff = (struct backoff){ SHED_MIN_MS, SHED_MAX_MS, 0 };
}

static void close_link(struct side *side)
{
  side->link = link_close(side->link);
  side->opener = opener_abandon(side->opener);
  side->shedding = false;
  side->unconfirmed = 0;
  hf_buf_free(&side->answers);
  free(HF_TAKE(side->echoes));
}

void side_free(struct side *side)
{
  close_link(side);
  hf_buf_free(&side->filters);
}

enum mqtt_version side_version(const struct side *side)
{
  return link_version(side->link);
}

static const struct link_options *options_of(const struct side *side)
{
  return side->bridge->settings->links[side->index];
}

/* Connecting */

static void note_cause(struct side *side, hf_err e)
{
  bool news = side->cause.error.code != e.code || strcmp(side->cause.context, hf_err_context()) != 0;
  side->cause = hf_err_save(e);
  if (!news)
    return;
  char line[HF_CONTEXT_MAX + 256];
  hf_err_format(e, line, sizeof(line));
  hf_log(HF_LOG_WARNING, "bridge %s: %s: %s. %s", side->bridge->settings->name, names[side->index], line,
         side->cause.hint);
}

static void retry_later(struct side *side, int64_t now_ms)
{
  const struct bridge_settings *settings = side->bridge->settings;
  bool local = side->index == BRIDGE_LOCAL;
  side->backoff.min_ms = local ? LOCAL_RETRY_MIN_MS : settings->reconnect_min_ms;
  side->backoff.max_ms = local ? LOCAL_RETRY_MAX_MS : settings->reconnect_max_ms;
  side->retry_at_ms = now_ms + backoff_next(&side->backoff);
}

static void dial_now(struct side *side, int64_t now_ms)
{
  side->dialled_at_ms = now_ms;
  side->files_stamp = bridge_files_stamp(options_of(side));
  hf_err e = opener_start(options_of(side), CONNECT_S, &side->opener);
  if (!hf_failed(e))
    return;
  note_cause(side, e);
  retry_later(side, now_ms);
}

static void give_up_hanging(struct side *side, int64_t now_ms)
{
  if (!side->opener || now_ms < side->dialled_at_ms + HANGING_MS)
    return;
  side->opener = opener_abandon(side->opener);
  note_cause(side, hf_hint(hf_fail(HF_ERR_TIMEOUT, "connecting has taken %d s", HANGING_MS / 1000),
                           "See whether the HSM and the name server answer."));
  retry_later(side, now_ms);
}

/* Without its session the broker knows nothing of what was on its way, in either direction. */
static hf_err forget_session(struct side *side)
{
  struct spool *spool = side->bridge->spool;
  HF_TRY(spool_received_clear(spool, side->receives->queue));
  uint64_t at = 0;
  for (unsigned i = 0; i < FLIGHT_IDS; i++) {
    struct spool_message message;
    bool found = false;
    HF_TRY(spool_read(spool, side->sends->queue, at, &found, &message));
    if (!found)
      break;
    at = message.sequence;
    if (message.state != 0 || message.packet_id != 0)
      HF_TRY(spool_mark(spool, side->sends->queue, at, 0, 0));
  }
  return HF_OK;
}

static hf_err begin(struct side *side)
{
  if (side_version(side) == MQTT_3_1_1) {
    side->echoes = calloc(1, sizeof(*side->echoes));
    if (!side->echoes)
      return hf_fail(HF_ERR_NO_MEMORY, "a connection");
  }
  side->forget = !link_session_present(side->link);
  flow_restart(side->sends);
  return side_subscribe(side);
}

static void connected(struct side *side)
{
  side->cause = (struct hf_err_saved){ 0 };
  side->since_s = (int64_t)time(NULL);
  side->connected_at_ms = net_now_ms();
  hf_log(HF_LOG_INFO, "bridge %s: connected to %s, MQTT %s, %s", side->bridge->settings->name, names[side->index],
         side_version(side) == MQTT_5 ? "5" : "3.1.1",
         link_session_present(side->link) ? "session kept" : "new session");
  hf_err e = begin(side);
  if (hf_failed(e))
    side_lose(side, e);
}

static void take_dialled(struct side *side)
{
  eventfd_t value;
  if (!side->opener || eventfd_read(opener_fd(side->opener), &value) != 0)
    return;
  hf_err e = opener_finish(HF_TAKE(side->opener), &side->link);
  if (hf_failed(e)) {
    note_cause(side, e);
    retry_later(side, net_now_ms());
  } else {
    connected(side);
  }
}

/* Losing */

/* Reasons of DISCONNECT that tell of what was sent, rather than of the broker or the connection. */
static bool blames(uint8_t reason)
{
  static const uint8_t reasons[] = { 0x80, 0x81, 0x82, 0x83, 0x87, 0x90, 0x91, 0x94, 0x95, 0x97, 0x99, 0x9a, 0x9b };
  return memchr(reasons, reason, sizeof(reasons));
}

void side_lose(struct side *side, hf_err e)
{
  int64_t now_ms = net_now_ms();
  if (!side->link)
    return;
  uint8_t reason = link_end_reason(side->link);
  bool blamed = reason ? blames(reason) : e.code == HF_ERR_LOST;
  note_cause(side, e);
  if (side->sends->progress || now_ms - side->connected_at_ms >= STEADY_MS)
    side->backoff.failures = 0;
  flow_judge_loss(side->sends, blamed, reason);
  close_link(side);
  side->since_s = (int64_t)time(NULL);
  retry_later(side, now_ms);
}

void side_renew(struct side *side)
{
  if (side->link)
    side->since_s = (int64_t)time(NULL);
  close_link(side);
  side->retry_at_ms = 0;
}

/* Shedding */

void side_shed(struct side *side, hf_err e)
{
  if (!side->link || side->shedding)
    return;
  side->shedding = true;
  side->shed_by_space = e.code == HF_ERR_SPOOL_FULL;
  side->shed_until_ms = net_now_ms() + backoff_next(&side->shed_backoff);
  hf_log(HF_LOG_WARNING, "bridge %s: the spool takes nothing (%s): %s keeps its messages", side->bridge->settings->name,
         hf_err_text(e), names[side->index]);
}

static bool has_room(const struct side *side)
{
  struct bridge *bridge = side->bridge;
  uint64_t used = spool_statistics(bridge->spool, SPOOL_OUT).bytes + spool_statistics(bridge->spool, SPOOL_IN).bytes;
  uint64_t max = bridge->settings->spool.max_size;
  return !side->shed_by_space || used <= max - max / 10;
}

/* What was not taken comes again on a new connection, in order; on this one it does not. */
static void end_shedding(struct side *side, int64_t now_ms)
{
  if (!side->shedding || now_ms < side->shed_until_ms || !has_room(side))
    return;
  hf_log(HF_LOG_INFO, "bridge %s: the spool has room again", side->bridge->settings->name);
  side_renew(side);
}

/* A turn */

void side_tick(struct side *side, int64_t now_ms)
{
  end_shedding(side, now_ms);
  give_up_hanging(side, now_ms);
  if (!side->link && !side->opener && now_ms >= side->retry_at_ms)
    dial_now(side, now_ms);
  if (side->link) {
    hf_err e = link_tick(side->link, now_ms);
    if (hf_failed(e))
      side_lose(side, e);
  }
}

int64_t side_next_tick(const struct side *side)
{
  if (side->opener)
    return side->dialled_at_ms + HANGING_MS;
  if (!side->link)
    return side->retry_at_ms;
  int64_t tick_ms = link_next_tick(side->link);
  bool waits = side->shedding && side->shed_until_ms < tick_ms && has_room(side);
  return waits ? side->shed_until_ms : tick_ms;
}

static hf_err take_packets(struct side *side)
{
  HF_TRY(link_fill(side->link));
  for (;;) {
    struct mqtt_packet packet;
    bool some = false;
    HF_TRY(link_next(side->link, &some, &packet));
    if (!some)
      return HF_OK;
    HF_TRY(side_take_packet(side, &packet));
  }
}

void side_read(struct side *side)
{
  take_dialled(side);
  if (!side->link)
    return;
  if (side->forget) {
    hf_err e = forget_session(side);
    if (hf_failed(e))
      return; /* nothing is read before; the commit fails with the same */
  }
  hf_err e = take_packets(side);
  if (hf_failed(e))
    side_lose(side, e);
}

/* Where a broker ends the connection, its reason may lie unread behind what could not be written. */
static hf_err last_words(struct side *side, hf_err e)
{
  struct hf_err_saved saved = hf_err_save(e);
  hf_err said = take_packets(side);
  return hf_failed(said) && said.code != HF_ERR_LOST ? said : hf_err_restore(&saved);
}

void side_flush(struct side *side)
{
  if (!side->link)
    return;
  hf_err e = link_flush(side->link);
  if (hf_failed(e))
    side_lose(side, last_words(side, e));
  else
    flow_settle_written(side->sends);
}
