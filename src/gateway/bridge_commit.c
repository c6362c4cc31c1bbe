/* SPDX-License-Identifier: Apache-2.0 */
/* The bridge's group commit: what one turn took in, and what was acknowledged, as one step; the answers after it. */
#include "gateway/bridge_private.h"

#include "base/log.h"
#include "gateway/net.h"
#include "mqtt/reason.h"

enum { FIRST_CAPACITY = 256, AGAIN_MS = 1000 };

void flow_todo(struct flow *flow, const struct todo *todo)
{
  if (flow->todo_count == flow->todo_capacity) {
    size_t capacity = flow->todo_capacity ? 2 * flow->todo_capacity : FIRST_CAPACITY;
    struct todo *items = reallocarray(flow->todo, capacity, sizeof(*items));
    if (!items)
      abort(); /* the spool keeps all; a new process goes on from there */
    flow->todo = items;
    flow->todo_capacity = capacity;
  }
  flow->todo[flow->todo_count++] = *todo;
  if (todo->kind != TODO_REMOVE || flow->bridge->settings->window == 1)
    flow->bridge->urgent = true;
  if (!flow->bridge->todo_since_ms)
    flow->bridge->todo_since_ms = net_now_ms();
}

static hf_err apply(struct flow *flow, const struct todo *todo)
{
  struct spool *spool = flow->bridge->spool;
  switch ((enum todo_kind)todo->kind) {
  case TODO_RELEASE:
    return spool_mark(spool, flow->queue, todo->sequence, todo->packet_id, FLIGHT_RELEASED);
  case TODO_REJECT:
    return spool_reject(spool, flow->queue, todo->sequence, todo->reason);
  default:
    return spool_remove(spool, flow->queue, todo->sequence);
  }
}

static hf_err apply_all(struct bridge *bridge)
{
  for (size_t i = 0; i < BRIDGE_FLOWS; i++)
    for (size_t k = 0; k < bridge->flows[i].todo_count; k++) {
      hf_err e = apply(&bridge->flows[i], &bridge->flows[i].todo[k]);
      if (hf_failed(e) && e.code != HF_ERR_NOT_FOUND)
        return e;
    }
  return HF_OK;
}

/* PUBREL goes out once it is noted that it does: a message is not sent again after it. */
static void release_all(struct flow *flow)
{
  struct link *link = flow->to->link;
  for (size_t i = 0; i < flow->todo_count; i++) {
    const struct todo *todo = &flow->todo[i];
    struct flight *flight = todo->kind == TODO_RELEASE ? flights_find(&flow->flights, todo->packet_id) : NULL;
    if (!flight || flight->state != FLIGHT_RECEIVED || !link)
      continue;
    flight->state = FLIGHT_RELEASED;
    hf_err e = mqtt_ack_encode(MQTT_PUBREL, &(struct mqtt_ack){ .packet_id = todo->packet_id }, link_version(link),
                               link_out(link));
    if (hf_failed(e))
      side_lose(flow->to, e);
  }
  flow->todo_count = 0;
}

static void answer(struct side *side)
{
  if (side->link && side->answers.len > 0) {
    hf_err e = hf_buf_add(link_out(side->link), side->answers.data, side->answers.len);
    if (hf_failed(e))
      side_lose(side, e);
  }
  hf_buf_drop(&side->answers, side->answers.len);
}

static void committed(struct bridge *bridge)
{
  if (hf_failed(bridge->spool_cause.error))
    hf_log(HF_LOG_INFO, "bridge %s: the spool can be written again", bridge->settings->name);
  bridge->spool_cause = (struct hf_err_saved){ 0 };
  bridge->urgent = false;
  bridge->todo_since_ms = 0;
  bridge->commit_again_ms = 0;
  for (size_t i = 0; i < BRIDGE_SIDES; i++) {
    bridge->sides[i].forget = false;
    if (!bridge->sides[i].shedding)
      bridge->sides[i].shed_backoff.failures = 0;
  }
  for (size_t i = 0; i < BRIDGE_FLOWS; i++)
    release_all(&bridge->flows[i]);
}

/* Nothing of it holds: what would have been answered comes again, and what was acknowledged is noted at the next try. */
static void failed(struct bridge *bridge, hf_err e, int64_t now_ms)
{
  if (bridge->spool_cause.error.code != e.code)
    hf_ignore(hf_log_err(e, "the bridge's spool"));
  bridge->spool_cause = hf_err_save(e);
  spool_abort(bridge->spool);
  bridge->commit_again_ms = now_ms + AGAIN_MS;
  for (size_t i = 0; i < BRIDGE_SIDES; i++) {
    struct side *side = &bridge->sides[i];
    if (side->answers.len > 0)
      side_shed(side, hf_err_restore(&bridge->spool_cause));
    hf_buf_drop(&side->answers, side->answers.len);
  }
}

static bool is_due(const struct bridge *bridge, int64_t now_ms)
{
  size_t count = bridge->flows[SPOOL_OUT].todo_count + bridge->flows[SPOOL_IN].todo_count;
  if (spool_dirty(bridge->spool))
    return true; /* before anything of it is answered */
  if (now_ms < bridge->commit_again_ms)
    return false;
  return bridge->urgent || count >= BRIDGE_LAZY_MAX ||
         (bridge->todo_since_ms && now_ms >= bridge->todo_since_ms + BRIDGE_LAZY_MS);
}

int64_t bridge_next_commit(const struct bridge *bridge)
{
  if (bridge->commit_again_ms)
    return bridge->commit_again_ms;
  if (bridge->urgent)
    return 0;
  return bridge->todo_since_ms ? bridge->todo_since_ms + BRIDGE_LAZY_MS : INT64_MAX;
}

void bridge_commit(struct bridge *bridge, int64_t now_ms)
{
  if (is_due(bridge, now_ms)) {
    hf_err e = apply_all(bridge);
    if (!hf_failed(e))
      e = spool_commit(bridge->spool);
    if (hf_failed(e))
      failed(bridge, e, now_ms);
    else
      committed(bridge);
  }
  for (size_t i = 0; i < BRIDGE_SIDES; i++)
    answer(&bridge->sides[i]);
}
