/* SPDX-License-Identifier: Apache-2.0 */
/* What the signing socket does with a request. Pure of sockets. */
#ifndef HF_AGENT_SIGN_SERVICE_H
#define HF_AGENT_SIGN_SERVICE_H

#include "agent/agent.h"

/*
 * Acts on one request's bytes and appends the response's, which may be an Error frame. Asks policy, writes the audit line,
 * counts. Fails only where not even an Error frame fits into out.
 */
hf_err sign_service_answer(struct agent *agent, const struct peer *peer, struct hf_slice request, struct hf_buf *out);

/* The Error frame for a request that could not be read to its end; audited, too. */
hf_err sign_service_unread(struct agent *agent, const struct peer *peer, hf_err why, struct hf_buf *out);

#endif
