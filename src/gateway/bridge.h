/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bridge between the local MQTT broker and a cloud. What either side hands over is acknowledged once it lies in the spool,
 * and leaves the spool once the other side has acknowledged it: nothing that was acknowledged is lost when the cloud, the local
 * broker, the bridge or the power goes. In order; with QoS 2 exactly once, as long as each side keeps its session.
 *
 * One thread a bridge. The program ignores SIGPIPE and has called program_start.
 */
#ifndef HF_GATEWAY_BRIDGE_H
#define HF_GATEWAY_BRIDGE_H

#include "gateway/cloud.h"
#include "gateway/link.h"
#include "gateway/spool.h"

enum bridge_side { BRIDGE_LOCAL, BRIDGE_CLOUD, BRIDGE_SIDES };

/* Borrowed: the calls below copy what they need. */
struct bridge_options {
  const char *name;      /* the cloud's, for topics and texts: "c8y" */
  const char *device_id; /* what {id} stands for in topics */
  const char *topics;    /* see topic_rules_parse */
  /* Indexed by enum bridge_side. The local one's will, and that its session stays, are the bridge's matter. */
  struct link_options links[BRIDGE_SIDES];
  struct cloud_limits limits;
  unsigned
      window; /* messages with QoS 1 and 2 on their way to a side at once: 1 to 65535. 1 keeps their order in any case */
  int64_t reconnect_min_ms, reconnect_max_ms;
  const char *spool_dir;
  struct spool_options spool;
  /* In the bridge's thread, each time that the local broker has all its subscriptions: what that broker should not forget. */
  void (*on_subscribed)(void *arg); /* NULL: nobody wants to know */
  void *arg;
};

struct bridge_side_status {
  bool connected;
  enum mqtt_version version; /* where it is connected */
  int64_t since_s;           /* since the epoch: connected, or not, since then */
  int64_t retry_ms;          /* until the next try; 0: it is being tried */
  unsigned failures;         /* in a row */
  /* Why it is not connected, or what is not as it should be though it is (a subscription was refused); no error: all is well. */
  struct hf_err_saved cause;
};

/* One direction: SPOOL_OUT to the cloud, SPOOL_IN to the local broker. Counted since bridge_start. */
struct bridge_flow_status {
  uint64_t received;     /* and put into the spool */
  uint64_t sent;         /* resent ones count again */
  uint64_t acknowledged; /* by the other side; with QoS 0, written to it */
  uint64_t rejected;     /* the other side does not take them: in SPOOL_REJECTED */
  uint64_t expired;      /* their message expiry interval passed */
  uint64_t dropped;      /* larger than the spool takes, or QoS 0 while it takes nothing */
  uint64_t unmatched;    /* no rule says where they go */
  uint64_t repeated;     /* QoS 2, sent again by a side that had not seen our answer */
  unsigned in_flight;
  bool refusing; /* the spool takes nothing: the side that sends keeps its messages */
  struct spool_stats queue;
};

struct bridge_status {
  struct bridge_side_status sides[BRIDGE_SIDES];
  struct bridge_flow_status flows[2]; /* by SPOOL_OUT and SPOOL_IN */
  struct spool_stats rejected;
  struct hf_err_saved spool_cause; /* why the spool cannot be written; no error: it can */
};

struct bridge;

/*
 * Opens the spool and starts; connecting goes on in the background, and for ever. Fails with CONFIG (the topics), and as
 * spool_open does.
 */
hf_err bridge_start(const struct bridge_options *options, struct bridge **ret_bridge);

/*
 * Takes up changed options: only what changed is connected again, or whose certificate files changed; what is not connected is
 * tried at once. name and spool_dir stay as they were. Fails with CONFIG; then nothing is changed.
 */
hf_err bridge_reload(struct bridge *bridge, const struct bridge_options *options);

void bridge_status(struct bridge *bridge, struct bridge_status *ret_status);

/* Says good-bye on both sides and ends, within 2 seconds. What is not acknowledged yet stays in the spool. Returns NULL. */
struct bridge *bridge_stop(struct bridge *bridge);
HF_DEFINE_CLEANUP(struct bridge, bridge_stop)

#endif
