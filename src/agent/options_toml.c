/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/options_toml.h"

#include "base/file.h"

enum { FILE_MAX = 1024 * 1024 };

static const char *const keys[OPTIONS_TOML_COUNT] = {
#define OPTIONS_TOML_KEY(id, key) key,
  OPTIONS_TOML_TABLE(OPTIONS_TOML_KEY)
#undef OPTIONS_TOML_KEY
};

static const char blanks[] = " \t\r";

/* A basic string's escape, but for those of Unicode, which neither paths nor PINs need. '\0': none. */
static char escaped(char c)
{
  static const char from[] = "\"\\nrt", to[] = "\"\\\n\r\t";
  const char *at = c ? strchr(from, c) : NULL;
  return at ? to[at - from] : '\0';
}

/* In place: a "basic" or 'literal' string, and nothing after it but a remark. NULL where it is something else. */
static char *take_string(char *value)
{
  char quote = value[0], *out = value, *in = value + 1;
  if (quote != '"' && quote != '\'')
    return NULL;
  for (; *in && *in != quote; in++) {
    char c = *in;
    if (quote == '"' && c == '\\' && !(c = escaped(*++in)))
      return NULL;
    *out++ = c;
  }
  if (*in != quote)
    return NULL;
  in++;
  in += strspn(in, blanks);
  if (*in && *in != '#')
    return NULL;
  *out = '\0';
  return value;
}

/* "device.cryptoki.pin" in no table, "cryptoki.pin" in [device], "pin" in [device.cryptoki]: what is left of our prefix. */
static const char *name_in(const char *table, const char *name)
{
  char full[256];
  static const char prefix[] = "device.cryptoki.";
  snprintf(full, sizeof(full), "%s%s%s", table, table[0] ? "." : "", name);
  if (strncmp(full, prefix, sizeof(prefix) - 1) != 0 || strlen(name) < strlen(full) - (sizeof(prefix) - 1))
    return NULL;
  return name + strlen(name) - (strlen(full) - (sizeof(prefix) - 1));
}

static hf_err take_line(const char *path, unsigned number, char *line, char *table, size_t size,
                        struct options_toml *toml)
{
  line += strspn(line, blanks);
  if (line[0] == '[') {
    line[strcspn(line, "]")] = '\0';
    snprintf(table, size, "%s", line + 1);
    return HF_OK;
  }
  char *value = line[0] == '#' ? NULL : strchr(line, '=');
  if (!value)
    return HF_OK;
  *value++ = '\0';
  line[strcspn(line, blanks)] = '\0';
  const char *name = name_in(table, line);
  for (size_t i = 0; name && i < OPTIONS_TOML_COUNT; i++) {
    if (strcmp(keys[i], name) != 0)
      continue;
    toml->values[i] = take_string(value + strspn(value, blanks));
    if (!toml->values[i])
      return hf_hint(hf_fail(HF_ERR_CONFIG, "%s:%u: device.cryptoki.%s is no string", path, number, keys[i]),
                     "Set it by 'tedge config set device.cryptoki.%s'.", keys[i]);
  }
  return HF_OK;
}

hf_err options_toml_read(const char *path, struct options_toml *ret_toml)
{
  struct options_toml toml = { .text = HF_BUF(FILE_MAX) };
  char table[128] = "";
  unsigned number = 0;
  hf_err e = hf_file_read(path, &toml.text);
  if (e.code == HF_ERR_NOT_FOUND)
    return HF_OK;
  if (!hf_failed(e) && !hf_buf_str(&toml.text))
    e = hf_fail(HF_ERR_NO_MEMORY, "%s", path);
  for (char *line = (char *)toml.text.data, *next; line && !hf_failed(e); line = next) {
    next = strchr(line, '\n');
    if (next)
      *next++ = '\0';
    e = take_line(path, ++number, line, table, sizeof(table), &toml);
  }
  if (hf_failed(e)) {
    options_toml_free(&toml);
    return e;
  }
  *ret_toml = toml;
  return HF_OK;
}

void options_toml_free(struct options_toml *toml)
{
  hf_buf_free(&toml->text);
}
