/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What comes back from a broker of MQTT 3.1.1, which sends a client also what that client has published itself. In MQTT 5 a
 * subscription says "no local"; here the bridge has to remember what it has sent for a while.
 */
#ifndef HF_GATEWAY_ECHO_H
#define HF_GATEWAY_ECHO_H

#include "base/buf.h"

enum { ECHO_MAX = 4096, ECHO_MS = 10000 };

/* Zeros: nothing is expected. */
struct echoes {
  struct echo {
    uint64_t digest; /* of topic and payload */
    int64_t until_ms;
  } items[ECHO_MAX]; /* a ring */
  size_t head, count;
};

/* A message was sent, and its topic is one that we have subscribed to on the same side. Past ECHO_MAX the oldest is forgotten. */
void echoes_expect(struct echoes *echoes, struct hf_slice topic, struct hf_slice payload, int64_t now_ms);

/* Whether a message that has come is one of them; each is one once. */
bool echoes_take(struct echoes *echoes, struct hf_slice topic, struct hf_slice payload, int64_t now_ms);

#endif
