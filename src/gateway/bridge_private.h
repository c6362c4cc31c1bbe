/* SPDX-License-Identifier: Apache-2.0 */
/* What the bridge's parts share. For src/gateway/bridge*.c alone; all of it runs in the bridge's thread unless said. */
#ifndef HF_GATEWAY_BRIDGE_PRIVATE_H
#define HF_GATEWAY_BRIDGE_PRIVATE_H

#include "gateway/backoff.h"
#include "gateway/bridge_session.h"
#include "gateway/bridge_settings.h"
#include "gateway/echo.h"
#include "gateway/flight.h"
#include "gateway/opener.h"

#include <pthread.h>

enum {
  BRIDGE_FLOWS = 2,
  BRIDGE_UNSENT_MAX = 256 << 10, /* bytes that wait for a socket before messages wait in the spool */
  BRIDGE_LAZY_MS = 50,           /* how long what may wait is gathered for one commit */
  BRIDGE_LAZY_MAX = 1000,        /* and how much of it */
  BRIDGE_TRIES = 3               /* how often one message alone may cost the connection before it is rejected */
};

/* What is still to be noted in the spool about a message that was sent. */
enum todo_kind { TODO_REMOVE, TODO_RELEASE, TODO_REJECT };

struct todo {
  uint64_t sequence;
  uint16_t packet_id;
  uint8_t kind, reason;
};

/* One direction. */
struct flow {
  struct bridge *bridge;
  enum spool_queue queue;
  struct side *from, *to;
  struct flights flights;
  uint64_t taken;     /* the last message that was taken from the spool on this connection */
  uint64_t attempted; /* the last one that was ever sent */
  unsigned doubtful;  /* so many of those that lay in the spool at the start may have been sent before */
  uint64_t first_own; /* the first one that this process has put into the spool; 0: none yet */
  struct todo *todo;
  size_t todo_count, todo_capacity;
  bool progress;    /* something was acknowledged on this connection */
  unsigned strikes; /* connections in a row that the other side ended without any */
  struct bridge_flow_status counts;
};

/* One broker. */
struct side {
  struct bridge *bridge;
  enum bridge_side index;
  struct flow *sends, *receives; /* to it, from it */
  struct backoff backoff;
  int64_t retry_at_ms, dialled_at_ms, connected_at_ms, since_s;
  struct opener *opener;
  uint64_t files_stamp; /* of the last dial */
  struct link *link;
  struct hf_buf answers; /* for what has come, once it is committed */
  bool forget;           /* the broker has no session: what the spool knows of it must go first */
  bool shedding;         /* what comes is not taken: it comes again on the next connection */
  bool shed_by_space;    /* since the spool is full */
  int64_t shed_until_ms;
  struct backoff shed_backoff;
  struct echoes *echoes; /* NULL: not needed */
  struct hf_buf filters; /* what it is subscribed to on this connection; see bridge_session.h */
  unsigned unconfirmed;  /* SUBSCRIBE and UNSUBSCRIBE packets without an answer */
  struct hf_err_saved cause;
};

/* What the local broker was told last. */
enum health { HEALTH_UNTOLD, HEALTH_UP, HEALTH_DOWN };

struct bridge {
  struct bridge_settings *settings;
  struct spool *spool;
  struct bridge_session session;
  struct side sides[BRIDGE_SIDES];
  struct flow flows[BRIDGE_FLOWS];
  bool urgent;             /* the open transaction may not wait */
  int64_t todo_since_ms;   /* 0: nothing to do */
  int64_t commit_again_ms; /* after a failure, not before */
  struct hf_err_saved spool_cause;
  enum health health_told;
  int64_t status_ms;               /* when the status below was noted */
  struct hf_buf topic, properties; /* scratch */
  int64_t start_ms, start_wall_ms; /* one moment by two clocks */
  int wake;                        /* an eventfd */
  pthread_t thread;
  pthread_mutex_t lock; /* what follows is shared with the callers' threads */
  struct bridge_settings *reload;
  bool stop;
  struct bridge_status status;
};

/* bridge.c */
/* Milliseconds since the epoch, by a clock that nobody sets: the wall's at the start, and what has passed since. */
int64_t bridge_wall_ms(const struct bridge *bridge);

/* bridge_side.c */
void side_start(struct side *side, struct bridge *bridge, enum bridge_side index);
void side_free(struct side *side);
/* Dials where it is time, keeps the link alive, and connects again where what was refused has room now. */
void side_tick(struct side *side, int64_t now_ms);
/* When side_tick has something to do again. */
int64_t side_next_tick(const struct side *side);
/* What has come: the end of a dial, packets. */
void side_read(struct side *side);
void side_flush(struct side *side);
/* The connection is over: e says why. */
void side_lose(struct side *side, hf_err e);
/* Takes nothing more on this connection, since the spool does not: e says why. */
void side_shed(struct side *side, hf_err e);
/* Ends connection or dial, and dials at once: its options changed. */
void side_renew(struct side *side);
enum mqtt_version side_version(const struct side *side);

/* bridge_subscribe.c */
hf_err side_subscribe(struct side *side);
hf_err side_take_suback(struct side *side, const struct mqtt_packet *packet);
/* Whether what we publish there would come back to us, where it is not wanted. */
bool side_drops_own(const struct side *side, struct hf_slice topic);

/* bridge_receive.c */
hf_err side_take_packet(struct side *side, const struct mqtt_packet *packet);

/* bridge_send.c */
/* A connection to where the flow leads begins. */
void flow_restart(struct flow *flow);
/* Sends as much as the window and the link take. */
hf_err flow_pump(struct flow *flow);
hf_err flow_take_ack(struct flow *flow, const struct mqtt_packet *packet);
/* What was written to the link, of QoS 0, is done. */
void flow_settle_written(struct flow *flow);
/* The connection that the flow leads to was lost. blamed: by the other side, which may not like what it was sent. */
void flow_judge_loss(struct flow *flow, bool blamed, uint8_t reason);

/* bridge_commit.c */
void flow_todo(struct flow *flow, const struct todo *todo);
/* Makes durable what has to be, then lets the answers out. */
void bridge_commit(struct bridge *bridge, int64_t now_ms);
int64_t bridge_next_commit(const struct bridge *bridge);

#endif
