/* SPDX-License-Identifier: Apache-2.0 */
/* Who may do what with which key. */
#ifndef HF_AGENT_POLICY_H
#define HF_AGENT_POLICY_H

#include "agent/peer.h"
#include "uri/uri.h"

enum policy_op {
  POLICY_LIST, /* see that it is there; read its public half */
  POLICY_SIGN,
  POLICY_DECRYPT,
  POLICY_DERIVE,
  POLICY_CREATE,
  POLICY_DELETE,
  POLICY_INIT,
  POLICY_CHANGE_PIN,
  POLICY_OPS
};

const char *policy_op_name(enum policy_op op); /* "list", "sign", ..., "change-pin" */
hf_err policy_op_parse(const char *name, enum policy_op *ret_op);

/* A refusal is an answer; forgetting to ask fails closed. */
enum verdict { VERDICT_DENY = 0, VERDICT_ALLOW };

enum { POLICY_RULE_MAX = 512 };

struct policy_answer {
  enum verdict verdict;
  bool rate_limited;             /* denied for that reason */
  char rule[POLICY_RULE_MAX];    /* the rule that decided, with its file and line; or the default's words */
  char to_allow[POLICY_RULE_MAX]; /* where denied: the line that would allow it */
};

struct policy;

/* path NULL, or a file that is absent: the default, by which socket_group's members and the agent's own uid (and root) may
 * list, sign and create, and nobody may delete, init or change-pin. A bad line is an error that names it. */
hf_err policy_load(const char *path, gid_t socket_group, struct policy **ret_policy);
struct policy *policy_free(struct policy *policy);

/* Answers; spends from the rule's rate. key is the object's full URI (token, id, object, type), or the token's for
 * POLICY_INIT, POLICY_CHANGE_PIN and POLICY_CREATE. Any thread may ask. */
void policy_ask(struct policy *policy, const struct peer *peer, enum policy_op op, const struct uri *key,
                struct policy_answer *ret_answer);

#endif
