/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"
#include "policy/rule.h"

#include <assert.h>
#include <grp.h>
#include <pwd.h>

enum { RULES_MAX = 4096, NSS_BUFFER = 16 * 1024 };

static const char *const op_names[POLICY_OPS] = {
  [POLICY_LIST] = "list",       [POLICY_SIGN] = "sign",
  [POLICY_DECRYPT] = "decrypt", [POLICY_DERIVE] = "derive",
  [POLICY_CREATE] = "create",   [POLICY_DELETE] = "delete",
  [POLICY_INIT] = "init",       [POLICY_CHANGE_PIN] = "change-pin",
  [POLICY_READ] = "read",
};

const char *policy_op_name(enum policy_op op)
{
  return op_names[op];
}

static hf_err unknown_word(const char *what, const char *word, const char *const *names, size_t count)
{
  const char *best = names[0];
  for (size_t i = 1; i < count; i++)
    if (hf_text_distance(word, names[i]) < hf_text_distance(word, best))
      best = names[i];
  return hf_hint(hf_fail(HF_ERR_CONFIG, "there is no %s '%s'", what, word), "Did you mean '%s'?", best);
}

hf_err policy_op_parse(const char *name, enum policy_op *ret_op)
{
  for (enum policy_op op = 0; op < POLICY_OPS; op++)
    if (strcmp(op_names[op], name) == 0) {
      *ret_op = op;
      return HF_OK;
    }
  return unknown_word("operation", name, op_names, POLICY_OPS);
}

/* What is allowed as a whole is what can be done with keys: secrets are opened by name. */
static hf_err parse_ops(char *list, enum verdict verdict, unsigned *ret_ops)
{
  const unsigned all = (1U << POLICY_OPS) - 1;
  unsigned ops = 0;
  char *next = NULL;
  for (char *word = strtok_r(list, ",", &next); word; word = strtok_r(NULL, ",", &next)) {
    enum policy_op op = 0; /* for gcc 14, which does not see that it is set */
    if (strcmp(word, "all") == 0) {
      ops |= verdict == VERDICT_ALLOW ? all & ~(1U << POLICY_READ) : all;
      continue;
    }
    HF_TRY(policy_op_parse(word, &op));
    ops |= 1U << op;
  }
  *ret_ops = ops;
  return HF_OK;
}

static bool parse_number(const char *text, unsigned long *ret_number)
{
  char *end;
  if (text[0] < '0' || text[0] > '9' || strlen(text) > 9)
    return false;
  *ret_number = strtoul(text, &end, 10);
  return *end == '\0';
}

/* Each condition: its value into the rule. */
static hf_err parse_user(const char *value, struct rule *rule)
{
  unsigned long number;
  char buffer[NSS_BUFFER];
  struct passwd entry, *found = NULL;
  if (parse_number(value, &number))
    rule->user = (uid_t)number;
  else if (getpwnam_r(value, &entry, buffer, sizeof(buffer), &found) == 0 && found)
    rule->user = entry.pw_uid;
  else
    return hf_hint(hf_fail(HF_ERR_CONFIG, "there is no user '%s'", value),
                   "Make the user first, or name it by its number.");
  rule->names.user = true;
  return HF_OK;
}

static hf_err parse_group(const char *value, struct rule *rule)
{
  unsigned long number;
  char buffer[NSS_BUFFER];
  struct group entry, *found = NULL;
  if (parse_number(value, &number))
    rule->group = (gid_t)number;
  else if (getgrnam_r(value, &entry, buffer, sizeof(buffer), &found) == 0 && found)
    rule->group = entry.gr_gid;
  else
    return hf_hint(hf_fail(HF_ERR_CONFIG, "there is no group '%s'", value),
                   "Make the group first, or name it by its number.");
  rule->names.group = true;
  return HF_OK;
}

static hf_err keep_text(const char *value, char **out)
{
  free(*out);
  *out = strdup(value);
  return *out ? HF_OK : hf_fail(HF_ERR_NO_MEMORY, "the policy");
}

static hf_err parse_unit(const char *value, struct rule *rule)
{
  return keep_text(value, &rule->unit);
}

static hf_err parse_exe(const char *value, struct rule *rule)
{
  if (value[0] != '/')
    return hf_hint(hf_fail(HF_ERR_CONFIG, "exe=%s is no absolute path", value), "Write the whole path of the program.");
  return keep_text(value, &rule->exe);
}

static hf_err parse_secret(const char *value, struct rule *rule)
{
  return keep_text(value, &rule->secret);
}

static hf_err parse_key(const char *value, struct rule *rule)
{
  HF_TRY(uri_parse(value, &rule->key));
  for (enum uri_attr attr = URI_PIN_SOURCE; attr < URI_ATTR_COUNT; attr++)
    if (rule->key.attrs[attr].present)
      return hf_hint(hf_fail(HF_ERR_CONFIG, "a rule's key has attributes after '?'"), "Leave them out.");
  rule->names.key = true;
  return HF_OK;
}

static hf_err parse_rate(const char *value, struct rule *rule)
{
  static const struct {
    const char *name;
    double seconds;
  } units[] = { { "/s", 1 }, { "/m", 60 }, { "/h", 3600 } };
  size_t digits = strspn(value, "0123456789");
  for (size_t i = 0; digits > 0 && digits < 10 && i < HF_ARRAY_LEN(units); i++)
    if (strcmp(value + digits, units[i].name) == 0) {
      rule->burst = rule->left = (double)strtoul(value, NULL, 10);
      rule->rate = rule->burst / units[i].seconds;
      rule->names.rate = true;
      return HF_OK;
    }
  return hf_hint(hf_fail(HF_ERR_CONFIG, "rate=%s", value), "Write it like 50/s, 10/m or 100/h.");
}

static const char *const condition_names[] = { "user", "group", "unit", "exe", "key", "rate", "uid", "gid", "secret" };
static hf_err (*const condition_parsers[])(const char *value, struct rule *rule) = {
  parse_user, parse_group, parse_unit, parse_exe, parse_key, parse_rate, parse_user, parse_group, parse_secret,
};
static_assert(HF_ARRAY_LEN(condition_names) == HF_ARRAY_LEN(condition_parsers), "one parser a name");

static hf_err parse_condition(char *word, struct rule *rule)
{
  char *value = strchr(word, '=');
  if (!value || !value[1])
    return hf_hint(hf_fail(HF_ERR_CONFIG, "'%s' is no condition", word),
                   "A condition is NAME=VALUE, like user=mosquitto.");
  *value++ = '\0';
  for (size_t i = 0; i < HF_ARRAY_LEN(condition_names); i++)
    if (strcmp(condition_names[i], word) == 0)
      return condition_parsers[i](value, rule);
  return unknown_word("condition", word, condition_names, HF_ARRAY_LEN(condition_names));
}

static hf_err parse_verdict(const char *word, enum verdict *ret_verdict)
{
  static const char *const names[] = { [VERDICT_DENY] = "deny", [VERDICT_ALLOW] = "allow" };
  for (size_t i = 0; i < HF_ARRAY_LEN(names); i++)
    if (strcmp(names[i], word) == 0) {
      *ret_verdict = (enum verdict)i;
      return HF_OK;
    }
  return hf_hint(hf_fail(HF_ERR_CONFIG, "a rule begins with '%s'", word), "It begins with allow or deny.");
}

static hf_err parse_words(char *line, struct rule *rule)
{
  static const char blanks[] = " \t\r";
  char *next = NULL;
  char *verdict = strtok_r(line, blanks, &next), *ops = strtok_r(NULL, blanks, &next);
  HF_TRY(parse_verdict(verdict, &rule->verdict));
  if (!ops)
    return hf_hint(hf_fail(HF_ERR_CONFIG, "the rule names no operation"), "List them with commas, or write all.");
  HF_TRY(parse_ops(ops, rule->verdict, &rule->ops));
  for (char *word = strtok_r(NULL, blanks, &next); word; word = strtok_r(NULL, blanks, &next))
    HF_TRY(parse_condition(word, rule));
  if (rule->secret && rule->ops != 1U << POLICY_READ)
    return hf_hint(hf_fail(HF_ERR_CONFIG, "secret= belongs to the operation read"), "Give read a line of its own.");
  if (rule->names.key && rule->ops == 1U << POLICY_READ)
    return hf_hint(hf_fail(HF_ERR_CONFIG, "read is about no key"), "Name the secret by secret=.");
  if (rule->names.rate && rule->verdict == VERDICT_DENY)
    return hf_hint(hf_fail(HF_ERR_CONFIG, "a rate belongs to allow"), "Take it off this line.");
  return HF_OK;
}

static hf_err add_rule(char *line, unsigned number, struct rules *rules)
{
  if (rules->count >= RULES_MAX)
    return hf_fail(HF_ERR_CONFIG, "more than %d rules", RULES_MAX);
  struct rule *list = realloc(rules->list, (rules->count + 1) * sizeof(*list));
  if (!list)
    return hf_fail(HF_ERR_NO_MEMORY, "the policy");
  rules->list = list;
  struct rule *rule = &list[rules->count++];
  *rule = (struct rule){ .line = number };
  snprintf(rule->text, sizeof(rule->text), "%s", line);
  return parse_words(line, rule);
}

/* Puts the place before what is wrong there; the hint stays. */
static hf_err at_line(hf_err e, const char *path, unsigned number)
{
  char hint[256];
  snprintf(hint, sizeof(hint), "%s", hf_err_hint(e));
  return hf_hint(hf_fail(e.code, "%s:%u: %s", path, number, hf_err_context()), "%s", hint);
}

hf_err rules_parse(const char *path, char *text, struct rules *ret_rules)
{
  struct rules rules = { 0 };
  unsigned number = 0;
  for (char *line = text, *next; line; line = next) {
    number++;
    next = strchr(line, '\n');
    if (next)
      *next++ = '\0';
    line += strspn(line, " \t\r");
    if (line[0] == '\0' || line[0] == '#')
      continue;
    hf_err e = add_rule(line, number, &rules);
    if (hf_failed(e)) {
      rules_free(&rules);
      return at_line(e, path, number);
    }
  }
  *ret_rules = rules;
  return HF_OK;
}
