/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/rule.h"

#include <fnmatch.h>

bool peer_in_group(const struct peer *peer, gid_t group)
{
  if (peer->gid == group)
    return true;
  for (size_t i = 0; i < peer->group_count; i++)
    if (peer->groups[i] == group)
      return true;
  return false;
}

/* What the kernel does not tell must not open what is closed, nor slip past what closes. */
static bool matches_text(const char *pattern, bool known, const char *text, enum verdict verdict)
{
  if (!pattern)
    return true;
  return known ? fnmatch(pattern, text, 0) == 0 : verdict == VERDICT_DENY;
}

/* Every attribute that the rule names stands in the key's URI with the same value. */
static bool matches_key(const struct uri *wanted, const struct uri *key)
{
  for (enum uri_attr attr = 0; attr < URI_ATTR_COUNT; attr++) {
    if (!wanted->attrs[attr].present)
      continue;
    if (!key || !key->attrs[attr].present)
      return false;
    const struct hf_buf *a = &wanted->attrs[attr].value, *b = &key->attrs[attr].value;
    if (!hf_slice_equal(hf_slice(a->data, a->len), hf_slice(b->data, b->len)))
      return false;
  }
  return true;
}

bool rule_matches(const struct rule *rule, const struct peer *peer, enum policy_op op, const struct subject *subject)
{
  return (rule->ops & 1U << op) && (!rule->names.user || rule->user == peer->uid) &&
         (!rule->names.group || peer_in_group(peer, rule->group)) &&
         matches_text(rule->unit, peer->unit_known, peer->unit, rule->verdict) &&
         matches_text(rule->exe, peer->exe_known, peer->exe, rule->verdict) &&
         (!rule->secret || (subject->secret && fnmatch(rule->secret, subject->secret, 0) == 0)) &&
         (!rule->names.key || matches_key(&rule->key, subject->key));
}

bool rule_spend(struct rule *rule, int64_t now_ns)
{
  if (!rule->names.rate)
    return true;
  rule->left += (double)(now_ns - rule->filled_ns) / 1e9 * rule->rate;
  rule->filled_ns = now_ns;
  if (rule->left > rule->burst)
    rule->left = rule->burst;
  if (rule->left < 1)
    return false;
  rule->left -= 1;
  return true;
}

void rules_free(struct rules *rules)
{
  for (size_t i = 0; i < rules->count; i++) {
    free(rules->list[i].unit);
    free(rules->list[i].exe);
    free(rules->list[i].secret);
    uri_free(&rules->list[i].key);
  }
  free(rules->list);
  *rules = (struct rules){ 0 };
}
