/* SPDX-License-Identifier: Apache-2.0 */
#include "token/simulation/profile.h"

#include "base/file.h"
#include "token/conf_lines.h"

#include <ctype.h>

enum { LIMIT_MAX = 1000000, PIN_CHARS_MAX = 255, TRIES_MIN = 2, TRIES_MAX = 255 };

struct parser {
  struct profile *profile;
  profile_mechanism_fn mechanism_of;
};

static hf_err set_limit(const char *value, uint64_t min, uint64_t max, uint32_t *ret_limit)
{
  uint64_t number;
  HF_TRY(word_number(value, min, max, &number));
  *ret_limit = (uint32_t)number;
  return HF_OK;
}

static hf_err set_sessions(struct limits *limits, const char *value)
{
  return set_limit(value, 1, LIMIT_MAX, &limits->sessions);
}

static hf_err set_max_keys(struct limits *limits, const char *value)
{
  return set_limit(value, 1, LIMIT_MAX, &limits->keys);
}

static hf_err set_max_objects(struct limits *limits, const char *value)
{
  return set_limit(value, 1, LIMIT_MAX, &limits->objects);
}

static hf_err set_pin(struct limits *limits, const char *value)
{
  uint64_t min, max;
  HF_TRY(word_number_range(value, PIN_CHARS_MAX, &min, &max));
  limits->pin_min = (uint32_t)min;
  limits->pin_max = (uint32_t)max;
  return HF_OK;
}

static hf_err set_tries(struct limits *limits, const char *value)
{
  return set_limit(value, TRIES_MIN, TRIES_MAX, &limits->tries);
}

static const struct {
  const char *name;
  hf_err (*set)(struct limits *limits, const char *value);
} limit_rows[] = {
  { "sessions", set_sessions }, { "keys", set_max_keys }, { "objects", set_max_objects },
  { "pin", set_pin },           { "tries", set_tries },
};

static hf_err take_limit(char *word, struct limits *limits)
{
  char *equals = strchr(word, '=');
  if (equals)
    *equals = '\0';
  for (size_t i = 0; equals && i < HF_ARRAY_LEN(limit_rows); i++)
    if (strcmp(limit_rows[i].name, word) == 0)
      return limit_rows[i].set(limits, equals + 1);
  return word_bad(word, "sessions=N, keys=N, objects=N, pin=MIN-MAX or tries=N");
}

hf_err limits_parse(const char *text, struct limits *limits)
{
  struct limits changed = *limits;
  char copy[256], *rest = copy, *word;
  if ((size_t)snprintf(copy, sizeof(copy), "%s", text) >= sizeof(copy))
    return hf_fail(HF_ERR_LIMIT, "a list of limits");
  while ((word = strsep(&rest, ", \t")) != NULL)
    if (word[0])
      HF_TRY(take_limit(word, &changed));
  *limits = changed;
  return HF_OK;
}

/* %23 stands for a #, which begins a comment. */
static hf_err set_text(char *value, char *out, size_t size)
{
  for (char *at = value; (at = strstr(at, "%23")) != NULL; at++) {
    *at = '#';
    memmove(at + 1, at + 3, strlen(at + 3) + 1);
  }
  if (strlen(value) >= size)
    return hf_fail(HF_ERR_PARSE, "\"%s\" (expected at most %zu characters)", value, size - 1);
  snprintf(out, size, "%s", value);
  return HF_OK;
}

static hf_err set_manufacturer(struct parser *p, char *value)
{
  return set_text(value, p->profile->manufacturer, sizeof(p->profile->manufacturer));
}

static hf_err set_model(struct parser *p, char *value)
{
  return set_text(value, p->profile->model, sizeof(p->profile->model));
}

static hf_err set_slot(struct parser *p, char *value)
{
  return set_text(value, p->profile->slot, sizeof(p->profile->slot));
}

static hf_err set_firmware(struct parser *p, char *value)
{
  uint64_t major, minor;
  char *dot = strchr(value, '.');
  if (!dot)
    return word_bad(value, "a version like 5.4");
  *dot = '\0';
  HF_TRY(word_number(value, 0, 255, &major));
  HF_TRY(word_number(dot + 1, 0, 255, &minor));
  p->profile->firmware = (CK_VERSION){ (unsigned char)major, (unsigned char)minor };
  return HF_OK;
}

static hf_err parse_yes(char *value, bool *ret_yes)
{
  if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
    return word_bad(value, "yes or no");
  *ret_yes = value[0] == 'y';
  return HF_OK;
}

static hf_err set_queue(struct parser *p, char *value)
{
  return parse_yes(value, &p->profile->queue);
}

static hf_err set_removable(struct parser *p, char *value)
{
  return parse_yes(value, &p->profile->removable);
}

static hf_err set_extractable(struct parser *p, char *value)
{
  bool yes = true;
  HF_TRY(parse_yes(value, &yes));
  p->profile->unextractable = !yes;
  return HF_OK;
}

static const struct {
  const char *word;
  CK_FLAGS does, adds;
} mechanism_words[] = {
  { "sign", CKF_SIGN, 0 },       { "verify", CKF_VERIFY, 0 }, { "encrypt", CKF_ENCRYPT, 0 },
  { "decrypt", CKF_DECRYPT, 0 }, { "digest", CKF_DIGEST, 0 }, { "wrap", CKF_WRAP, 0 },
  { "unwrap", CKF_UNWRAP, 0 },   { "derive", CKF_DERIVE, 0 }, { "generate", CKF_GENERATE | CKF_GENERATE_KEY_PAIR, 0 },
  { "hw", 0, CKF_HW },
};

static hf_err take_mechanism_word(const char *word, struct profile_mechanism *row)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(mechanism_words); i++) {
    if (strcmp(mechanism_words[i].word, word) == 0) {
      row->does |= mechanism_words[i].does;
      row->adds |= mechanism_words[i].adds;
      return HF_OK;
    }
  }
  if (!isdigit((unsigned char)word[0]))
    return word_bad(word, "names of mechanisms (CKM_...), key sizes (256-384), or sign, verify, encrypt, decrypt, "
                          "digest, wrap, unwrap, derive, generate, hw");
  uint64_t min, max;
  HF_TRY(word_number_range(word, LIMIT_MAX, &min, &max));
  row->min = (CK_ULONG)min;
  row->max = (CK_ULONG)max;
  return HF_OK;
}

static hf_err take_mechanism_name(struct parser *p, const char *word)
{
  struct profile *profile = p->profile;
  CK_MECHANISM_TYPE type;
  if (!p->mechanism_of(word, &type))
    return HF_OK;
  if (profile->mechanism_count == PROFILE_MECHANISMS_MAX)
    return hf_fail(HF_ERR_LIMIT, "more than %d mechanisms", PROFILE_MECHANISMS_MAX);
  profile->mechanisms[profile->mechanism_count++].type = type;
  return HF_OK;
}

static hf_err set_mechanism(struct parser *p, char *value)
{
  struct profile *profile = p->profile;
  struct profile_mechanism row = { 0 };
  size_t first = profile->mechanism_count;
  bool named = false;
  char *rest = value, *word;
  while ((word = strsep(&rest, " \t")) != NULL) {
    if (strncmp(word, "CKM_", 4) == 0) {
      HF_TRY(take_mechanism_name(p, word));
      named = true;
    } else if (word[0]) {
      HF_TRY(take_mechanism_word(word, &row));
    }
  }
  if (!named)
    return word_bad(value, "the name of a mechanism, like CKM_ECDSA");
  for (size_t i = first; i < profile->mechanism_count; i++) {
    row.type = profile->mechanisms[i].type;
    profile->mechanisms[i] = row;
  }
  profile->has_mechanisms = true;
  return HF_OK;
}

static hf_err take_key_word(struct profile *profile, const char *word, struct profile_key *row)
{
  if (strcmp(word, "generate") == 0)
    row->generate = true;
  else if (strcmp(word, "import") == 0)
    row->import = true;
  else if (!word_is_key(word))
    return word_bad(word, "kinds of keys (RSA, RSA-2048, P-256, Ed25519, ...), generate or import");
  else if (profile->key_count == PROFILE_KEYS_MAX)
    return hf_fail(HF_ERR_LIMIT, "more than %d kinds of keys", PROFILE_KEYS_MAX);
  else
    snprintf(profile->keys[profile->key_count++].name, WORD_KEY, "%s", word);
  return HF_OK;
}

static hf_err set_key(struct parser *p, char *value)
{
  struct profile *profile = p->profile;
  struct profile_key row = { .name = "" };
  size_t first = profile->key_count;
  char *rest = value, *word;
  while ((word = strsep(&rest, " \t")) != NULL)
    if (word[0])
      HF_TRY(take_key_word(profile, word, &row));
  if (first == profile->key_count || !(row.generate || row.import))
    return word_bad(value, "kinds of keys, and generate, import or both");
  for (size_t i = first; i < profile->key_count; i++) {
    profile->keys[i].generate = row.generate;
    profile->keys[i].import = row.import;
  }
  return HF_OK;
}

static const struct {
  const char *word;
  CK_OBJECT_CLASS class;
} classes[] = {
  { "data", CKO_DATA },
  { "certificate", CKO_CERTIFICATE },
  { "public-key", CKO_PUBLIC_KEY },
  { "private-key", CKO_PRIVATE_KEY },
  { "secret-key", CKO_SECRET_KEY },
};

static hf_err set_objects(struct parser *p, char *value)
{
  char *rest = value, *word;
  while ((word = strsep(&rest, " \t")) != NULL) {
    size_t i = 0;
    while (i < HF_ARRAY_LEN(classes) && strcmp(classes[i].word, word) != 0)
      i++;
    if (i == HF_ARRAY_LEN(classes))
      return word_bad(word, "data, certificate, public-key, private-key or secret-key");
    p->profile->objects |= 1U << classes[i].class;
  }
  return HF_OK;
}

static hf_err set_ids(struct parser *p, char *value)
{
  uint64_t min, max;
  HF_TRY(word_number_range(value, UINT8_MAX, &min, &max));
  if (min == 0)
    return word_bad(value, "places from 1 on, like 1-24");
  p->profile->id_min = (uint8_t)min;
  p->profile->id_max = (uint8_t)max;
  return HF_OK;
}

static hf_err set_authenticate(struct parser *p, char *value)
{
  uint64_t id;
  HF_TRY(word_number(value, 1, UINT8_MAX, &id));
  p->profile->authenticate = (uint8_t)id;
  return HF_OK;
}

static const struct {
  const char *word;
  enum hf_code preset;
} refusals[REFUSALS] = {
  [REFUSE_KEY] = { "key", HF_ERR_KEY_SIZE_RANGE },
  [REFUSE_IMPORT] = { "import", HF_ERR_FUNCTION_NOT_SUPPORTED },
  [REFUSE_OBJECT] = { "object", HF_ERR_ATTRIBUTE_VALUE_INVALID },
  [REFUSE_ID] = { "id", HF_ERR_ATTRIBUTE_VALUE_INVALID },
  [REFUSE_EXTRACTABLE] = { "extractable", HF_ERR_TEMPLATE_INCONSISTENT },
  [REFUSE_FULL] = { "full", HF_ERR_DEVICE_MEMORY },
  [REFUSE_SESSION] = { "session", HF_ERR_SESSION_COUNT },
};

static hf_err set_refuse(struct parser *p, char *value)
{
  char *code = value + strcspn(value, " \t");
  if (*code)
    *code++ = '\0';
  code += strspn(code, " \t");
  for (size_t i = 0; i < REFUSALS; i++)
    if (strcmp(refusals[i].word, value) == 0)
      return word_error(code, &p->profile->refuses[i]);
  return word_bad(value, "key, import, object, id, extractable, full or session, and a CKR_...");
}

static hf_err set_limits(struct parser *p, char *value)
{
  return limits_parse(value, &p->profile->limits);
}

static hf_err set_latency(struct parser *p, char *value)
{
  return latency_parse(value, &p->profile->latency);
}

static hf_err set_faults(struct parser *p, char *value)
{
  return plan_parse(value, &p->profile->plan);
}

static const struct {
  const char *key;
  hf_err (*set)(struct parser *, char *value);
} rows[] = {
  { "manufacturer", set_manufacturer },
  { "model", set_model },
  { "slot", set_slot },
  { "firmware", set_firmware },
  { "removable", set_removable },
  { "queue", set_queue },
  { "mechanism", set_mechanism },
  { "key", set_key },
  { "extractable", set_extractable },
  { "objects", set_objects },
  { "ids", set_ids },
  { "authenticate", set_authenticate },
  { "refuse", set_refuse },
  { "limits", set_limits },
  { "latency", set_latency },
  { "faults", set_faults },
};

static hf_err parse_line(const struct conf_line *line, void *arg)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
    if (strcmp(rows[i].key, line->key) != 0)
      continue;
    hf_err e = rows[i].set(arg, line->value);
    if (!hf_failed(e))
      return HF_OK;
    return hf_fail(HF_ERR_CONFIG, "%s, line %u: %s: %s", line->path, line->number, line->key, hf_err_context());
  }
  return hf_fail(HF_ERR_CONFIG, "%s, line %u: unknown key %s", line->path, line->number, line->key);
}

hf_err profile_parse(const char *path, char *text, profile_mechanism_fn mechanism_of, struct profile *ret_profile)
{
  HF_CLEANUP(hf_freep) struct profile *profile = calloc(1, sizeof(*profile));
  if (!profile)
    return hf_fail(HF_ERR_NO_MEMORY, "the profile %s", path);
  struct parser p = { profile, mechanism_of };
  for (size_t i = 0; i < REFUSALS; i++)
    profile->refuses[i] = refusals[i].preset;
  const char *slash = strrchr(path, '/');
  snprintf(profile->name, sizeof(profile->name), "%s", slash ? slash + 1 : path);
  HF_TRY(conf_lines(path, text, parse_line, &p));
  *ret_profile = *profile;
  return HF_OK;
}

static hf_err load_built_in(const char *name, struct hf_buf *out)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf names = HF_BUF(1024);
  const struct profile_text *built_in;
  for (size_t i = 0; (built_in = profile_built_in(i)) != NULL; i++) {
    if (strcmp(built_in->name, name) == 0)
      return hf_buf_add_str(out, built_in->text);
    HF_TRY(hf_buf_addf(&names, "%s, ", built_in->name));
  }
  HF_TRY(hf_buf_add_str(&names, "or a file's path"));
  return word_bad(name, hf_buf_str(&names));
}

hf_err profile_load(const char *name, profile_mechanism_fn mechanism_of, struct profile *ret_profile)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(PROFILE_MAX_BYTES);
  HF_TRY(strchr(name, '/') ? hf_file_read(name, &text) : load_built_in(name, &text));
  HF_TRY(hf_buf_add_u8(&text, '\0'));
  return profile_parse(name, (char *)text.data, mechanism_of, ret_profile);
}

const struct profile_mechanism *profile_mechanism(const struct profile *profile, CK_MECHANISM_TYPE type)
{
  for (size_t i = 0; i < profile->mechanism_count; i++)
    if (profile->mechanisms[i].type == type)
      return &profile->mechanisms[i];
  return NULL;
}
