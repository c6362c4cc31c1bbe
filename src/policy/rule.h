/* SPDX-License-Identifier: Apache-2.0 */
/* One line of the policy. Inside src/policy only. */
#ifndef HF_POLICY_RULE_H
#define HF_POLICY_RULE_H

#include "policy/policy.h"

#include <stdint.h>

struct rule {
  enum verdict verdict;
  unsigned ops; /* bits of enum policy_op */
  struct {
    bool user, group, key, rate;
  } names;
  uid_t user;
  gid_t group;
  char *unit; /* NULL: any */
  char *exe;
  char *secret; /* a pattern; NULL: any */
  struct uri key;
  double rate;  /* a second */
  double burst; /* what may be spent at once */
  double left;
  int64_t filled_ns;
  unsigned line;
  char text[POLICY_RULE_MAX - 128]; /* as it stands in the file; room is left for the file's name */
};

struct rules {
  struct rule *list;
  size_t count;
};

/* Parses a file's text, which it changes. path is for the errors. Start rules with {0}. */
hf_err rules_parse(const char *path, char *text, struct rules *ret_rules);
void rules_free(struct rules *rules);

/* What it is about: a key (NULL: none), or a secret (NULL: none). */
struct subject {
  const struct uri *key;
  const char *secret;
};

bool rule_matches(const struct rule *rule, const struct peer *peer, enum policy_op op, const struct subject *subject);

/* Takes one from the rate; false: none is left. A rule without a rate always has one. */
bool rule_spend(struct rule *rule, int64_t now_ns);

bool peer_in_group(const struct peer *peer, gid_t group);

#endif
