/* SPDX-License-Identifier: Apache-2.0 */
/* One line a request: who, what, which key, verdict, result, time. Never a payload or a PIN. */
#ifndef HF_AGENT_AUDIT_H
#define HF_AGENT_AUDIT_H

#include "agent/policy.h"

struct audit_event {
  const struct peer *peer;
  const char *socket;  /* "signing" or "pkcs11" */
  const char *request; /* the frame's or function's name */
  const char *op;      /* policy_op_name, or NULL where policy was not asked */
  const char *key;     /* URI without pin-value; NULL where none */
  const struct policy_answer *answer; /* NULL where policy was not asked */
  hf_err result;
  double seconds;
};

enum audit_target { AUDIT_AUTO, AUDIT_JOURNAL, AUDIT_JSON };

/* AUTO: the journal where there is one, else JSON lines on standard error. JSON goes to fd. */
hf_err audit_open(enum audit_target target, int fd);
void audit_write(const struct audit_event *event);

#endif
