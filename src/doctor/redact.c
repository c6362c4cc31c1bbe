/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor/redact.h"

#include "base/secret.h"

#include <ctype.h>
#include <strings.h>

enum { TEXT_MAX_BYTES = 4 << 20, ONE_TIME_LEN = 26 /* ca/password.h */ };

struct redactor {
  struct hf_secret *secrets[REDACT_SECRETS_MAX];
  size_t count;
};

hf_err redactor_new(struct redactor **ret_redactor)
{
  struct redactor *redactor = calloc(1, sizeof(*redactor));
  if (!redactor)
    return hf_fail(HF_ERR_NO_MEMORY, "taking secrets out");
  *ret_redactor = redactor;
  return HF_OK;
}

struct redactor *redactor_free(struct redactor *redactor)
{
  for (size_t i = 0; redactor && i < redactor->count; i++)
    hf_secret_free(redactor->secrets[i]);
  free(redactor);
  return NULL;
}

hf_err redactor_add(struct redactor *redactor, const void *secret, size_t len)
{
  if (len < REDACT_SECRET_MIN)
    return HF_OK;
  if (redactor->count == REDACT_SECRETS_MAX)
    return hf_fail(HF_ERR_LIMIT, "more than %d secrets to take out", REDACT_SECRETS_MAX);
  HF_TRY(hf_secret_new(secret, len, &redactor->secrets[redactor->count]));
  redactor->count++;
  return HF_OK;
}

/* What begins at the front of a text, in bytes: keep of them stay, drop of them go. Both 0: nothing. */
struct match {
  size_t keep, drop;
};

static size_t known(const struct redactor *redactor, struct hf_slice text)
{
  size_t longest = 0;
  for (size_t i = 0; i < redactor->count; i++) {
    size_t len = hf_secret_len(redactor->secrets[i]);
    if (len > longest && len <= text.len && memcmp(text.data, hf_secret_data(redactor->secrets[i]), len) == 0)
      longest = len;
  }
  return longest;
}

static bool begins(struct hf_slice text, const char *word)
{
  size_t len = strlen(word);
  return text.len >= len && strncasecmp((const char *)text.data, word, len) == 0;
}

static size_t span(struct hf_slice text, size_t from, bool (*is_in)(unsigned char c))
{
  size_t at = from;
  while (at < text.len && is_in(text.data[at]))
    at++;
  return at - from;
}

/* "-----BEGIN ... PRIVATE KEY-----" up to its end, or to that of the text. */
static struct match private_key(struct hf_slice text)
{
  static const char begin[] = "-----BEGIN ", kind[] = "PRIVATE KEY-----", end[] = "-----END ";
  if (!begins(text, begin))
    return (struct match){ 0 };
  const uint8_t *line_end = memchr(text.data, '\n', text.len);
  size_t line = line_end ? (size_t)(line_end - text.data) : text.len;
  if (!memmem(text.data, line, kind, sizeof(kind) - 1))
    return (struct match){ 0 };
  const uint8_t *last = memmem(text.data, text.len, end, sizeof(end) - 1);
  if (!last)
    return (struct match){ 0, text.len };
  size_t at = (size_t)(last - text.data);
  const uint8_t *close = memchr(last, '\n', text.len - at);
  return (struct match){ 0, close ? (size_t)(close - text.data) : text.len };
}

static bool is_not_at_or_blank(unsigned char c)
{
  return !isspace(c) && !strchr("/@\"'<>", c);
}

/* "://user:password@": the host stays. */
static struct match url_user(struct hf_slice text)
{
  if (!begins(text, "://"))
    return (struct match){ 0 };
  size_t len = span(text, 3, is_not_at_or_blank);
  bool user = len > 0 && 3 + len < text.len && text.data[3 + len] == '@';
  return user ? (struct match){ 3, len } : (struct match){ 0 };
}

static bool is_value(unsigned char c)
{
  return !isspace(c) && !strchr("\"',;&<>)}]", c);
}

static bool is_between(unsigned char c)
{
  return c == ' ' || c == '"' || c == '\'';
}

/* What stands for a secret before '=' or ':', and as the last part of a member's name. */
static const char *const secret_names[] = { "password", "passwd", "passphrase", "secret",  "pin-value",
                                            "pin",      "otp",    "api-key",    "api_key", "access_token" };

/* password=VALUE, "password": "VALUE", pin-value=VALUE. */
static struct match named(struct hf_slice text)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(secret_names); i++) {
    size_t at = strlen(secret_names[i]);
    if (!begins(text, secret_names[i]))
      continue;
    at += span(text, at, is_between);
    if (at >= text.len || (text.data[at] != '=' && text.data[at] != ':'))
      continue;
    at++;
    at += span(text, at, is_between);
    size_t len = span(text, at, is_value);
    if (len)
      return (struct match){ at, len };
  }
  return (struct match){ 0 };
}

static bool is_credential(unsigned char c)
{
  return isalnum(c) || strchr("+/=_-.~", c);
}

/* Of HTTP (RFC 9110, section 11.4). */
static struct match http_credentials(struct hf_slice text)
{
  static const char *const schemes[] = { "Basic ", "Bearer ", "Digest " };
  for (size_t i = 0; i < HF_ARRAY_LEN(schemes); i++) {
    size_t at = strlen(schemes[i]);
    size_t len = begins(text, schemes[i]) ? span(text, at, is_credential) : 0;
    if (len >= REDACT_SECRET_MIN)
      return (struct match){ at, len };
  }
  return (struct match){ 0 };
}

static bool is_one_time(unsigned char c)
{
  return c && strchr("23456789ABCDEFGHJKLMNPQRSTUVWXYZ", c);
}

/* As ca/password.c makes them. */
static struct match one_time_password(struct hf_slice text)
{
  bool whole =
      span(text, 0, is_one_time) == ONE_TIME_LEN && (text.len == ONE_TIME_LEN || !isalnum(text.data[ONE_TIME_LEN]));
  return whole ? (struct match){ 0, ONE_TIME_LEN } : (struct match){ 0 };
}

/* A row a look; those in words begin where no word goes on. */
static const struct look {
  struct match (*look)(struct hf_slice text);
  bool in_word; /* may begin within one */
} looks[] = {
  { private_key, true }, { url_user, true }, { named, true }, { http_credentials, false }, { one_time_password, false },
};

static struct match find(const struct redactor *redactor, struct hf_slice text, bool in_word)
{
  struct match match = { 0, known(redactor, text) };
  for (size_t i = 0; i < HF_ARRAY_LEN(looks) && !match.drop; i++)
    if (looks[i].in_word || !in_word)
      match = looks[i].look(text);
  return match;
}

hf_err redactor_text(const struct redactor *redactor, struct hf_slice text, struct hf_buf *out)
{
  for (size_t at = 0; at < text.len;) {
    const struct match match =
        find(redactor, hf_slice(text.data + at, text.len - at), at > 0 && isalnum(text.data[at - 1]));
    HF_TRY(hf_buf_add(out, text.data + at, match.drop ? match.keep : 1));
    if (match.drop)
      HF_TRY(hf_buf_add_str(out, REDACTED));
    at += match.drop ? match.keep + match.drop : 1;
  }
  return HF_OK;
}

static hf_err redact_string(const struct redactor *redactor, json_t *string)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(TEXT_MAX_BYTES);
  HF_TRY(redactor_text(redactor, hf_slice(json_string_value(string), json_string_length(string)), &out));
  return json_string_setn(string, out.data ? (const char *)out.data : "", out.len) == 0
             ? HF_OK
             : hf_fail(HF_ERR_INTERNAL, "JSON without its secrets");
}

static bool is_secret_name(const char *name)
{
  const char *dot = strrchr(name, '.');
  for (size_t i = 0; i < HF_ARRAY_LEN(secret_names); i++)
    if (strcasecmp(dot ? dot + 1 : name, secret_names[i]) == 0)
      return true;
  return false;
}

hf_err redactor_json(const struct redactor *redactor, json_t *value)
{
  const char *name;
  size_t i;
  json_t *inner;
  json_object_foreach (value, name, inner) {
    if (json_is_string(inner) && is_secret_name(name) && json_string_set(inner, REDACTED) != 0)
      return hf_fail(HF_ERR_NO_MEMORY, "JSON without its secrets");
    HF_TRY(redactor_json(redactor, inner));
  }
  json_array_foreach (value, i, inner)
    HF_TRY(redactor_json(redactor, inner));
  return json_is_string(value) ? redact_string(redactor, value) : HF_OK;
}
