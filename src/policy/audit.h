/* SPDX-License-Identifier: Apache-2.0 */
/* One line a request: who, what, which key, verdict, result, time. Never a payload or a PIN. */
#ifndef HF_POLICY_AUDIT_H
#define HF_POLICY_AUDIT_H

#include "policy/policy.h"

struct audit_event {
  const struct peer *peer;
  const char *socket;                 /* "signing", "pkcs11" or "secrets" */
  const char *request;                /* the frame's or function's name */
  const char *op;                     /* policy_op_name, or NULL where policy was not asked */
  const char *key;                    /* URI without pin-value; NULL where none */
  const char *secret;                 /* its name; NULL where none */
  const char *version;                /* the secret's that was read; NULL where none */
  const struct policy_answer *answer; /* NULL where policy was not asked */
  hf_err result;
  double seconds;
};

enum audit_target { AUDIT_AUTO, AUDIT_JOURNAL, AUDIT_JSON, AUDIT_OFF };

/* "auto", "journal", "json" or "off". */
hf_err audit_target_parse(const char *name, enum audit_target *ret_target);

/* program: who writes (static). AUTO: the journal where standard error leads there (JOURNAL_STREAM, as systemd sets it), else JSON. JSON lines go to fd. */
hf_err audit_open(const char *program, enum audit_target target, int fd);
void audit_write(const struct audit_event *event);

/* Lines that found no way out; the first of them was told in the log. */
unsigned long audit_lost(void);

/* An event as a line of JSON with its newline, and as a datagram of the journal's native protocol. */
hf_err audit_format_json(const struct audit_event *event, struct hf_buf *out);
hf_err audit_format_journal(const struct audit_event *event, struct hf_buf *out);

#endif
