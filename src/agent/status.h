/* SPDX-License-Identifier: Apache-2.0 */
/* What "holdfast agent status" shows, as JSON. Inside src/agent only. */
#ifndef HF_AGENT_STATUS_H
#define HF_AGENT_STATUS_H

#include "agent/agent.h"

/* Asks the module for the tokens' states, so it may take as long as the module does. */
hf_err status_format(struct agent *agent, struct hf_buf *out);

#endif
