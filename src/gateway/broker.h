/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local MQTT broker: a stock mosquitto as a watched child (mqtt.broker managed), or one that is there already (external), which
 * is left alone. Driven by the loop of the thread that started it.
 */
#ifndef HF_GATEWAY_BROKER_H
#define HF_GATEWAY_BROKER_H

#include "base/cleanup.h"
#include "config/config.h"
#include "gateway/broker_config.h"

#include <poll.h>

enum { BROKER_POLLED = 2, BROKER_TEXT_MAX = 512 };

struct broker;

/*
 * Ends one that a killed holdfast-core left behind, starts it, and returns when it listens. Fails with NOT_FOUND where there is no
 * mosquitto, BUSY where its port is taken, CONFIG, and SERVICE where it ends at once, with its own last words.
 *
 * tls: the listener for devices (NULL: none). What is wrong with that alone, its port or its key, is no failure: then the broker runs
 * without it, tells why in its status, and tries again.
 */
hf_err broker_start(const struct config *config, const struct broker_tls *tls, struct broker **ret_broker);

/* Takes up what has changed; what runs goes on where that can be. On failure all is as it was. */
hf_err broker_reload(struct broker *broker, const struct config *config, const struct broker_tls *tls);

/* Has it put on disk what it holds: sessions, which it would forget if it were killed. One that is not ours minds that itself. */
void broker_save(const struct broker *broker);

/* Ends it, and waits until it has saved what it holds. NULL is fine. */
struct broker *broker_stop(struct broker *broker);
HF_DEFINE_CLEANUP(struct broker, broker_stop)

/* For the loop: what to poll for; when to call broker_tick at the latest (net_now_ms); and what does all there is to do. */
void broker_polled(const struct broker *broker, struct pollfd polled[BROKER_POLLED]);
int64_t broker_next_tick(const struct broker *broker);
void broker_tick(struct broker *broker);

struct broker_status {
  bool managed;
  const char *state; /* "up", "starting", "waiting" to be started again; "external" */
  pid_t pid;         /* 0: none */
  unsigned long restarts;
  char address[64];
  char port[6];
  char last_end[BROKER_TEXT_MAX]; /* why it last ended; "" */
  bool tls_listens;               /* the listener for devices is there */
  struct hf_err_saved tls_cause;  /* why not, though all it needs is there */
};
void broker_status(const struct broker *broker, struct broker_status *ret_status);

#endif
