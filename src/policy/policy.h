/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may do what with which key. A rule is a line:
 *
 *   allow|deny OP[,OP...]|all [user=NAME] [group=NAME] [unit=PATTERN] [exe=PATTERN] [key=URI] [rate=N/s|m|h]
 *
 * All that it names must match; the first line that matches decides; after the last, the default does. docs/agent-policy.md
 * is for those who write one.
 */
#ifndef HF_POLICY_POLICY_H
#define HF_POLICY_POLICY_H

#include "policy/peer.h"
#include "uri/uri.h"

#define POLICY_FILE "/etc/holdfast/agent.policy"

enum policy_op {
  POLICY_LIST, /* see that it is there; read its public half */
  POLICY_SIGN,
  POLICY_DECRYPT,
  POLICY_DERIVE,
  POLICY_CREATE,
  POLICY_DELETE,
  POLICY_INIT,
  POLICY_CHANGE_PIN,
  POLICY_READ, /* a secret, by its name: the one that is about no key */
  POLICY_OPS
};

const char *policy_op_name(enum policy_op op); /* "list", "sign", ..., "change-pin" */
hf_err policy_op_parse(const char *name, enum policy_op *ret_op);

/* A refusal is an answer; forgetting to ask fails closed. */
enum verdict { VERDICT_DENY = 0, VERDICT_ALLOW };

enum { POLICY_RULE_MAX = 512 };

struct policy_answer {
  enum verdict verdict;
  bool rate_limited;              /* denied for that reason */
  char rule[POLICY_RULE_MAX];     /* the rule that decided, with its file and line; or the default's words */
  char to_allow[POLICY_RULE_MAX]; /* where denied: the line that would allow it */
};

struct policy;

/*
 * path NULL, or a file that is absent: the default, by which socket_group's members and the agent's own uid (and root) may
 * list, sign and create, and nobody may decrypt, derive, delete, init or change-pin. A bad line is an error that names it.
 * socket_group (gid_t)-1: no group.
 */
hf_err policy_load(const char *path, gid_t socket_group, struct policy **ret_policy);
struct policy *policy_free(struct policy *policy);
HF_DEFINE_CLEANUP(struct policy, policy_free)

/* Reads the file again, while others ask. On failure the rules stay as they were. Rates start anew. */
hf_err policy_reload(struct policy *policy);

/* One more group for the default, up to 8: there is one a socket. Before anyone asks. */
void policy_add_group(struct policy *policy, gid_t group);

/*
 * Answers; spends from the rule's rate. key is the object's full URI (token, id, object, type), or the token's for
 * POLICY_INIT, POLICY_CHANGE_PIN and POLICY_CREATE; NULL where it is about no token. Any thread may ask.
 */
void policy_ask(struct policy *policy, const struct peer *peer, enum policy_op op, const struct uri *key,
                struct policy_answer *ret_answer);

/* The same for POLICY_READ of a secret. Its default: root and this process's own user. */
void policy_ask_secret(struct policy *policy, const struct peer *peer, const char *secret,
                       struct policy_answer *ret_answer);

#endif
