/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a bridge must know of its sessions beside the messages, in the file DIR/session: where packet identifiers begin, and what
 * it has subscribed to, so that what a rule no longer asks for is unsubscribed, even after a restart.
 */
#ifndef HF_GATEWAY_BRIDGE_SESSION_H
#define HF_GATEWAY_BRIDGE_SESSION_H

#include "gateway/bridge.h"

#include <limits.h>

enum { BRIDGE_FILTERS_MAX = 1 << 20 };

struct bridge_session {
  char path[PATH_MAX];
  uint16_t salt;                       /* see flight_packet_id */
  struct hf_buf filters[BRIDGE_SIDES]; /* each ended by a NUL */
};

/* Reads the file; where there is none, chooses the salt and writes it. Fails with CONFIG where it is damaged. */
hf_err bridge_session_open(const char *dir, struct bridge_session *ret_session);
void bridge_session_free(struct bridge_session *session);

/* Notes what the side is subscribed to from now on; writes the file where that is news. */
hf_err bridge_session_subscribed(struct bridge_session *session, enum bridge_side side, struct hf_slice filters);

/* Walks filters: the next one, which ends the slice's front; false at the end. */
bool bridge_filters_next(struct hf_slice *filters, struct hf_slice *ret_filter);
bool bridge_filters_have(struct hf_slice filters, struct hf_slice filter);
hf_err bridge_filters_add(struct hf_buf *filters, struct hf_slice filter);

#endif
