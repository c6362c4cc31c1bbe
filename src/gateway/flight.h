/* SPDX-License-Identifier: Apache-2.0 */
/* The messages on their way to one side: sent, and not settled yet. In the order of their sequence numbers. */
#ifndef HF_GATEWAY_FLIGHT_H
#define HF_GATEWAY_FLIGHT_H

#include "base/cleanup.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * The packet identifiers of messages go round from 1 to FLIGHT_IDS with the sequence number, so that they need not be stored
 * before a message is sent. What is beyond is for SUBSCRIBE.
 */
enum { FLIGHT_IDS = 65000 };

enum flight_state {
  FLIGHT_GONE, /* settled; keeps its place until those before it are */
  FLIGHT_SENT,
  FLIGHT_RECEIVED, /* QoS 2: PUBREC is here, but not in the spool yet */
  FLIGHT_RELEASED  /* QoS 2: PUBREL is sent. In the spool as the message's state, so it must not change */
};

struct flight {
  uint64_t sequence;
  uint64_t end; /* of a message with QoS 0: where it ends in what the link has to send */
  uint16_t packet_id;
  uint8_t qos;
  uint8_t state;
};

/* Zeros: none. */
struct flights {
  struct flight *items; /* a ring */
  size_t capacity, head, count, hint;
  size_t open;    /* with QoS 1 or 2, and not settled: what the window counts */
  size_t writing; /* with QoS 0, and not settled */
};

/* salt: of this spool, so that a new one does not begin with identifiers of an old session. */
uint16_t flight_packet_id(uint64_t sequence, uint16_t salt);

/* At the end: the sequence number is the largest. Fails with NO_MEMORY. */
hf_err flights_add(struct flights *flights, const struct flight *flight);

/* The one that is not settled; NULL where there is none. Valid until the next flights_add. */
struct flight *flights_find(struct flights *flights, uint16_t packet_id);

/* The oldest that is not settled; NULL where there is none. */
struct flight *flights_oldest(struct flights *flights);

/* Whether a message of that sequence number could be sent without using an identifier that is on its way. */
bool flights_fit(struct flights *flights, uint64_t sequence);

void flights_settle(struct flights *flights, struct flight *flight);

/* Settles those with QoS 0 that end up to there, oldest first, and calls done for each. */
void flights_settle_sent(struct flights *flights, uint64_t end, void (*done)(uint64_t sequence, void *arg), void *arg);

void flights_clear(struct flights *flights);
void flights_free(struct flights *flights);

#endif
