/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/policy.h"

#include "base/file.h"
#include "policy/rule.h"

#include <pthread.h>
#include <pwd.h>
#include <sys/stat.h>
#include <time.h>

enum { POLICY_FILE_MAX = 1024 * 1024, GROUPS_MAX = 8, NSS_BUFFER = 16 * 1024 };

#define DEFAULT_OPS (1U << POLICY_LIST | 1U << POLICY_SIGN | 1U << POLICY_CREATE)

struct policy {
  char *path;
  gid_t groups[GROUPS_MAX];
  size_t group_count;
  pthread_rwlock_t lock;    /* of rules as a whole */
  pthread_mutex_t spending; /* of the rules' rates */
  struct rules rules;
};

/* Who may write the policy may do anything. */
static hf_err check_owner(const char *path)
{
  struct stat status;
  if (stat(path, &status) == 0 && (status.st_mode & S_IWOTH))
    return hf_hint(hf_fail(HF_ERR_CONFIG, "%s may be written by everyone", path), "chmod o-w %s", path);
  return HF_OK;
}

static hf_err read_rules(const char *path, struct rules *ret_rules)
{
  struct rules rules = { 0 };
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(POLICY_FILE_MAX);
  hf_err e = path ? hf_file_read(path, &text) : HF_OK;
  if (e.code != HF_ERR_NOT_FOUND) {
    HF_TRY(e);
    if (path)
      HF_TRY(check_owner(path));
    if (!hf_buf_str(&text))
      return hf_fail(HF_ERR_NO_MEMORY, "the policy");
    HF_TRY(rules_parse(path, (char *)text.data, &rules));
  }
  *ret_rules = rules;
  return HF_OK;
}

hf_err policy_load(const char *path, gid_t socket_group, struct policy **ret_policy)
{
  struct rules rules;
  HF_TRY(read_rules(path, &rules));
  struct policy *policy = calloc(1, sizeof(*policy));
  char *copy = path ? strdup(path) : NULL;
  if (!policy || (path && !copy)) {
    rules_free(&rules);
    free(policy);
    free(copy);
    return hf_fail(HF_ERR_NO_MEMORY, "the policy");
  }
  policy->path = copy;
  policy->rules = rules;
  pthread_rwlock_init(&policy->lock, NULL);
  pthread_mutex_init(&policy->spending, NULL);
  if (socket_group != (gid_t)-1)
    policy_add_group(policy, socket_group);
  *ret_policy = policy;
  return HF_OK;
}

void policy_add_group(struct policy *policy, gid_t group)
{
  for (size_t i = 0; i < policy->group_count; i++)
    if (policy->groups[i] == group)
      return;
  if (policy->group_count < GROUPS_MAX)
    policy->groups[policy->group_count++] = group;
}

struct policy *policy_free(struct policy *policy)
{
  if (!policy)
    return NULL;
  rules_free(&policy->rules);
  pthread_rwlock_destroy(&policy->lock);
  pthread_mutex_destroy(&policy->spending);
  free(policy->path);
  free(policy);
  return NULL;
}

hf_err policy_reload(struct policy *policy)
{
  struct rules rules;
  HF_TRY(read_rules(policy->path, &rules));
  pthread_rwlock_wrlock(&policy->lock);
  struct rules old = policy->rules;
  policy->rules = rules;
  pthread_rwlock_unlock(&policy->lock);
  rules_free(&old);
  return HF_OK;
}

/* The user's name, or the number where it has none or one that would not read back. */
static void user_name(uid_t uid, char *out, size_t size)
{
  char buffer[NSS_BUFFER];
  struct passwd entry, *found = NULL;
  if (getpwuid_r(uid, &entry, buffer, sizeof(buffer), &found) == 0 && found && !strpbrk(entry.pw_name, " \t\n"))
    snprintf(out, size, "%s", entry.pw_name);
  else
    snprintf(out, size, "%u", (unsigned)uid);
}

/* The few attributes by which a person knows the key. */
static hf_err key_text(const struct uri *key, struct hf_buf *out)
{
  static const enum uri_attr shown[] = { URI_TOKEN, URI_OBJECT };
  HF_CLEANUP(uri_free) struct uri brief = { 0 };
  for (size_t i = 0; i < HF_ARRAY_LEN(shown); i++)
    if (key->attrs[shown[i]].present)
      HF_TRY(uri_set(&brief, shown[i], key->attrs[shown[i]].value.data, key->attrs[shown[i]].value.len));
  if (!key->attrs[URI_OBJECT].present && key->attrs[URI_ID].present)
    HF_TRY(uri_set(&brief, URI_ID, key->attrs[URI_ID].value.data, key->attrs[URI_ID].value.len));
  HF_TRY(hf_buf_add_str(out, " key="));
  return uri_format(&brief, out);
}

static hf_err subject_text(const struct subject *subject, struct hf_buf *out)
{
  if (subject->secret)
    return hf_buf_addf(out, " secret=%s", subject->secret);
  return subject->key ? key_text(subject->key, out) : HF_OK;
}

static void write_to_allow(const struct peer *peer, enum policy_op op, const struct subject *subject, char *out,
                           size_t size)
{
  char user[128];
  user_name(peer->uid, user, sizeof(user));
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(size - 1);
  hf_err e = subject_text(subject, &text);
  const char *part = hf_failed(e) ? NULL : hf_buf_str(&text);
  snprintf(out, size, "allow %s user=%s%s", policy_op_name(op), user, part ? part : "");
}

/* Whoever may read the files of the secrets, and the key's PIN, is not kept out here. */
static bool read_by_default(const struct peer *peer, char *words, size_t size)
{
  bool own = peer->uid == 0 || peer->uid == geteuid();
  snprintf(words, size, "the default: root and the gateway's own user may read secrets");
  return own;
}

static bool by_default(const struct policy *policy, const struct peer *peer, enum policy_op op, char *words,
                       size_t size)
{
  if (op == POLICY_READ)
    return read_by_default(peer, words, size);
  if (!(DEFAULT_OPS & 1U << op)) {
    snprintf(words, size, "the default: nobody may %s", policy_op_name(op));
    return false;
  }
  bool member = peer->uid == 0 || peer->uid == geteuid();
  for (size_t i = 0; !member && i < policy->group_count; i++)
    member = peer_in_group(peer, policy->groups[i]);
  snprintf(words, size, "the default: %s the socket's group may list, sign and create", member ? "members of" : "only");
  return member;
}

static int64_t now_ns(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static bool spend(struct policy *policy, struct rule *rule)
{
  if (!rule->names.rate)
    return true;
  pthread_mutex_lock(&policy->spending);
  bool left = rule_spend(rule, now_ns());
  pthread_mutex_unlock(&policy->spending);
  return left;
}

static void ask(struct policy *policy, const struct peer *peer, enum policy_op op, const struct subject *subject,
                struct policy_answer *ret_answer)
{
  struct policy_answer *answer = ret_answer;
  *answer = (struct policy_answer){ .verdict = VERDICT_DENY };
  pthread_rwlock_rdlock(&policy->lock);
  struct rule *rule = NULL;
  for (size_t i = 0; !rule && i < policy->rules.count; i++)
    if (rule_matches(&policy->rules.list[i], peer, op, subject))
      rule = &policy->rules.list[i];
  if (rule) {
    snprintf(answer->rule, sizeof(answer->rule), "%s:%u: %s", policy->path, rule->line, rule->text);
    answer->rate_limited = rule->verdict == VERDICT_ALLOW && !spend(policy, rule);
    answer->verdict = answer->rate_limited ? VERDICT_DENY : rule->verdict;
  } else if (by_default(policy, peer, op, answer->rule, sizeof(answer->rule))) {
    answer->verdict = VERDICT_ALLOW;
  }
  pthread_rwlock_unlock(&policy->lock);
  if (answer->verdict == VERDICT_DENY)
    write_to_allow(peer, op, subject, answer->to_allow, sizeof(answer->to_allow));
}

void policy_ask(struct policy *policy, const struct peer *peer, enum policy_op op, const struct uri *key,
                struct policy_answer *ret_answer)
{
  ask(policy, peer, op, &(const struct subject){ .key = key }, ret_answer);
}

void policy_ask_secret(struct policy *policy, const struct peer *peer, const char *secret,
                       struct policy_answer *ret_answer)
{
  ask(policy, peer, POLICY_READ, &(const struct subject){ .secret = secret }, ret_answer);
}
