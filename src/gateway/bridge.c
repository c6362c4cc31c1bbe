/* SPDX-License-Identifier: Apache-2.0 */
/* The bridge's thread and its turns: read, commit, answer, send. */
#include "gateway/bridge_private.h"

#include "base/log.h"
#include "gateway/net.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <time.h>

enum {
  GOODBYE_MS = 500,
  POLL_MAX_MS = 60000,
  STATUS_MS = 100,
  TOPIC_BYTES_MAX = 65535,
  PROPERTIES_BYTES_MAX = 16 << 20
};

static int64_t wall_ms(void)
{
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t bridge_wall_ms(const struct bridge *bridge)
{
  return bridge->start_wall_ms + net_now_ms() - bridge->start_ms;
}

/* Health */

static bool is_up(const struct bridge *bridge)
{
  return bridge->sides[BRIDGE_CLOUD].link;
}

static void publish_health(struct bridge *bridge, bool up)
{
  struct side *local = &bridge->sides[BRIDGE_LOCAL];
  const struct mqtt_publish publish = { .topic = mqtt_text(bridge->settings->health_topic),
                                        .payload = bridge_health_payload(up),
                                        .retain = true };
  hf_err e = mqtt_publish_encode(&publish, side_version(local), link_out(local->link));
  if (hf_failed(e))
    side_lose(local, e);
}

/* Where it is news to the local broker. */
static void tell_health(struct bridge *bridge)
{
  const struct link *link = bridge->sides[BRIDGE_LOCAL].link;
  enum health health = is_up(bridge) ? HEALTH_UP : HEALTH_DOWN;
  if (!link)
    bridge->health_told = HEALTH_UNTOLD;
  if (!link || bridge->health_told == health)
    return;
  bridge->health_told = health;
  publish_health(bridge, health == HEALTH_UP);
}

/* Status */

static struct bridge_side_status side_status(const struct side *side, int64_t now_ms)
{
  return (struct bridge_side_status){
    .connected = side->link,
    .version = side->link ? side_version(side) : MQTT_5,
    .since_s = side->since_s,
    .retry_ms = side->link || side->opener || side->retry_at_ms < now_ms ? 0 : side->retry_at_ms - now_ms,
    .failures = side->link ? 0 : side->backoff.failures,
    .cause = side->cause,
  };
}

static struct bridge_flow_status flow_status(const struct flow *flow)
{
  struct bridge_flow_status status = flow->counts;
  status.in_flight = (unsigned)flow->flights.open;
  status.refusing = flow->from->shedding;
  status.queue = spool_statistics(flow->bridge->spool, flow->queue);
  return status;
}

static void note_status(struct bridge *bridge, int64_t now_ms)
{
  pthread_mutex_lock(&bridge->lock);
  for (size_t i = 0; i < BRIDGE_SIDES; i++)
    bridge->status.sides[i] = side_status(&bridge->sides[i], now_ms);
  for (size_t i = 0; i < BRIDGE_FLOWS; i++)
    bridge->status.flows[i] = flow_status(&bridge->flows[i]);
  bridge->status.rejected = spool_statistics(bridge->spool, SPOOL_REJECTED);
  bridge->status.spool_cause = bridge->spool_cause;
  pthread_mutex_unlock(&bridge->lock);
  bridge->status_ms = now_ms;
}

void bridge_status(struct bridge *bridge, struct bridge_status *ret_status)
{
  pthread_mutex_lock(&bridge->lock);
  *ret_status = bridge->status;
  pthread_mutex_unlock(&bridge->lock);
}

/* Changed options */

static void renew_links(struct bridge *bridge, const struct bridge_settings *old)
{
  for (size_t i = 0; i < BRIDGE_SIDES; i++) {
    struct side *side = &bridge->sides[i];
    const struct link_options *options = bridge->settings->links[i];
    side->backoff.failures = 0;
    if (!side->link || !link_options_same(old->links[i], options) || bridge_files_stamp(options) != side->files_stamp)
      side_renew(side);
  }
}

static void resubscribe(struct bridge *bridge)
{
  for (size_t i = 0; i < BRIDGE_SIDES; i++) {
    struct side *side = &bridge->sides[i];
    hf_err e = side->link ? side_subscribe(side) : HF_OK;
    if (hf_failed(e))
      side_lose(side, e);
  }
}

static void take_reload(struct bridge *bridge, struct bridge_settings *settings)
{
  HF_CLEANUP(bridge_settings_freep) struct bridge_settings *old = bridge->settings;
  bridge->settings = settings;
  hf_log(HF_LOG_INFO, "bridge %s: the configuration was read again", settings->name);
  const struct spool_options *was = &old->spool, *is = &settings->spool;
  bool same = was->max_size == is->max_size && was->overflow == is->overflow && was->durability == is->durability;
  hf_err e = same ? HF_OK : spool_configure(bridge->spool, is);
  if (hf_failed(e))
    hf_ignore(hf_log_err(e, "the spool's options"));
  renew_links(bridge, old);
  resubscribe(bridge);
}

/* False: it is time to end. */
static bool take_orders(struct bridge *bridge)
{
  eventfd_t value;
  if (eventfd_read(bridge->wake, &value) != 0)
    return true;
  pthread_mutex_lock(&bridge->lock);
  struct bridge_settings *reload = HF_TAKE(bridge->reload);
  bool stop = bridge->stop;
  pthread_mutex_unlock(&bridge->lock);
  if (reload)
    take_reload(bridge, reload);
  return !stop;
}

/* A turn */

static int64_t next_ms(const struct bridge *bridge, int64_t now_ms)
{
  int64_t next = bridge_next_commit(bridge);
  for (size_t i = 0; i < BRIDGE_SIDES; i++) {
    const struct side *side = &bridge->sides[i];
    int64_t tick_ms = side_next_tick(side);
    next = tick_ms < next ? tick_ms : next;
    if (side->link && link_pending(side->link))
      return 0;
  }
  return next <= now_ms ? 0 : next - now_ms < POLL_MAX_MS ? next - now_ms : POLL_MAX_MS;
}

static void wait(struct bridge *bridge, int64_t now_ms)
{
  struct pollfd fds[1 + BRIDGE_SIDES] = { { .fd = bridge->wake, .events = POLLIN } };
  for (size_t i = 0; i < BRIDGE_SIDES; i++) {
    const struct side *side = &bridge->sides[i];
    struct pollfd *fd = &fds[1 + i];
    *fd = (struct pollfd){ .fd = -1 };
    if (side->link)
      *fd = (struct pollfd){ .fd = link_fd(side->link), .events = link_events(side->link) };
    else if (side->opener)
      *fd = (struct pollfd){ .fd = opener_fd(side->opener), .events = POLLIN };
  }
  if (poll(fds, HF_ARRAY_LEN(fds), (int)next_ms(bridge, now_ms)) < 0 && errno != EINTR)
    abort();
}

static void pump(struct bridge *bridge)
{
  for (size_t i = 0; i < BRIDGE_FLOWS; i++) {
    hf_err e = flow_pump(&bridge->flows[i]);
    if (hf_failed(e))
      side_lose(bridge->flows[i].to, e);
  }
}

static void turn(struct bridge *bridge)
{
  int64_t now_ms = net_now_ms();
  for (size_t i = 0; i < BRIDGE_SIDES; i++)
    side_tick(&bridge->sides[i], now_ms);
  if (now_ms - bridge->status_ms >= STATUS_MS || next_ms(bridge, now_ms) > 0)
    note_status(bridge, now_ms);
  wait(bridge, now_ms);
  for (size_t i = 0; i < BRIDGE_SIDES; i++)
    side_read(&bridge->sides[i]);
  bridge_commit(bridge, net_now_ms());
  tell_health(bridge);
  pump(bridge);
  for (size_t i = 0; i < BRIDGE_SIDES; i++)
    side_flush(&bridge->sides[i]);
}

/* What is to be said last is said, and what is known is noted. */
static void say_goodbye(struct bridge *bridge)
{
  int64_t until_ms = net_now_ms() + GOODBYE_MS;
  const struct link *local = bridge->sides[BRIDGE_LOCAL].link;
  if (local)
    publish_health(bridge, false);
  bridge->urgent = true;
  bridge_commit(bridge, net_now_ms());
  for (size_t i = 0; i < BRIDGE_SIDES; i++) {
    struct side *side = &bridge->sides[i];
    side_flush(side);
    while (side->link && link_unsent(side->link) > 0 && net_now_ms() < until_ms) {
      hf_ignore(net_wait(link_fd(side->link), POLLOUT, until_ms, "the other side"));
      side_flush(side);
    }
  }
}

static void *run(void *arg)
{
  struct bridge *bridge = arg;
  while (take_orders(bridge))
    turn(bridge);
  say_goodbye(bridge);
  return NULL;
}

/* Its calls */

static void release(struct bridge *bridge)
{
  for (size_t i = 0; i < BRIDGE_SIDES; i++)
    side_free(&bridge->sides[i]);
  for (size_t i = 0; i < BRIDGE_FLOWS; i++) {
    flights_free(&bridge->flows[i].flights);
    free(bridge->flows[i].todo);
  }
  spool_close(bridge->spool);
  bridge_session_free(&bridge->session);
  bridge_settings_free(bridge->settings);
  bridge_settings_free(bridge->reload);
  hf_buf_free(&bridge->topic);
  hf_buf_free(&bridge->properties);
  hf_closep(&bridge->wake);
  pthread_mutex_destroy(&bridge->lock);
  free(bridge);
}

static void releasep(struct bridge **bridge)
{
  if (*bridge)
    release(*bridge);
}

static void start_parts(struct bridge *bridge)
{
  for (unsigned i = 0; i < BRIDGE_SIDES; i++)
    side_start(&bridge->sides[i], bridge, (enum bridge_side)i);
  for (unsigned i = 0; i < BRIDGE_FLOWS; i++) {
    struct flow *flow = &bridge->flows[i];
    flow->bridge = bridge;
    flow->queue = (enum spool_queue)i;
    flow->from = &bridge->sides[i == SPOOL_OUT ? BRIDGE_LOCAL : BRIDGE_CLOUD];
    flow->to = &bridge->sides[i == SPOOL_OUT ? BRIDGE_CLOUD : BRIDGE_LOCAL];
    flow->doubtful = bridge->settings->window;
  }
}

static hf_err new_bridge(const struct bridge_options *options, struct bridge **ret_bridge)
{
  HF_CLEANUP(releasep) struct bridge *bridge = calloc(1, sizeof(*bridge));
  if (!bridge)
    return hf_fail(HF_ERR_NO_MEMORY, "the bridge");
  pthread_mutex_init(&bridge->lock, NULL);
  bridge->topic = HF_BUF(TOPIC_BYTES_MAX);
  bridge->properties = HF_BUF(PROPERTIES_BYTES_MAX);
  bridge->start_ms = net_now_ms();
  bridge->start_wall_ms = wall_ms();
  bridge->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (bridge->wake < 0)
    return hf_fail_errno(errno, "an event");
  HF_TRY(bridge_settings_new(options, &bridge->settings));
  HF_TRY(spool_open(options->spool_dir, &options->spool, &bridge->spool));
  HF_TRY(bridge_session_open(options->spool_dir, &bridge->session));
  start_parts(bridge);
  note_status(bridge, bridge->start_ms);
  *ret_bridge = HF_TAKE(bridge);
  return HF_OK;
}

/* Signals are the program's own threads' matter. */
static int start_thread(struct bridge *bridge)
{
  sigset_t all, old;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  int rc = pthread_create(&bridge->thread, NULL, run, bridge);
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  return rc;
}

hf_err bridge_start(const struct bridge_options *options, struct bridge **ret_bridge)
{
  HF_CLEANUP(releasep) struct bridge *bridge = NULL;
  HF_TRY(new_bridge(options, &bridge));
  int rc = start_thread(bridge);
  if (rc != 0)
    return hf_fail_errno(rc, "a thread");
  *ret_bridge = HF_TAKE(bridge);
  return HF_OK;
}

static void wake(struct bridge *bridge)
{
  if (eventfd_write(bridge->wake, 1) != 0)
    abort();
}

hf_err bridge_reload(struct bridge *bridge, const struct bridge_options *options)
{
  struct bridge_settings *settings = NULL;
  HF_TRY(bridge_settings_new(options, &settings));
  pthread_mutex_lock(&bridge->lock);
  struct bridge_settings *unread = bridge->reload;
  bridge->reload = settings;
  pthread_mutex_unlock(&bridge->lock);
  bridge_settings_free(unread);
  wake(bridge);
  return HF_OK;
}

struct bridge *bridge_stop(struct bridge *bridge)
{
  if (!bridge)
    return NULL;
  pthread_mutex_lock(&bridge->lock);
  bridge->stop = true;
  pthread_mutex_unlock(&bridge->lock);
  wake(bridge);
  pthread_join(bridge->thread, NULL);
  release(bridge);
  return NULL;
}
