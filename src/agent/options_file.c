/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/options_file.h"

#include "base/file.h"

#include <ctype.h>

enum { FILE_MAX = 64 * 1024 };

static bool is_name(const char *text)
{
  if (!isalpha((unsigned char)text[0]) && text[0] != '_')
    return false;
  for (; *text; text++)
    if (!isalnum((unsigned char)*text) && *text != '_')
      return false;
  return true;
}

/* In place: quotes go, what stands in them stays; a backslash takes the next character as it is, outside '...'. */
static bool unquote(char *text)
{
  char *out = text, quote = '\0', *kept = text;
  for (; *text; text++) {
    if (quote ? *text == quote : *text == '"' || *text == '\'') {
      quote = quote ? '\0' : *text;
      kept = out;
    } else if (*text == '\\' && quote != '\'' && text[1]) {
      *out++ = *++text;
      kept = out;
    } else {
      *out++ = *text;
      if (quote || !isspace((unsigned char)*text))
        kept = out;
    }
  }
  *kept = '\0';
  return quote == '\0';
}

static hf_err take_line(const char *path, unsigned number, char *line, struct options_file *file)
{
  line += strspn(line, " \t\r");
  if (!line[0] || line[0] == '#' || line[0] == ';')
    return HF_OK;
  char *value = strchr(line, '=');
  if (!value)
    return hf_hint(hf_fail(HF_ERR_CONFIG, "%s:%u: no NAME=VALUE", path, number),
                   "Write NAME=VALUE, or # before a remark.");
  *value++ = '\0';
  value += strspn(value, " \t");
  line[strcspn(line, " \t")] = '\0';
  if (!is_name(line) || !unquote(value))
    return hf_hint(
        hf_fail(HF_ERR_CONFIG, "%s:%u: %s", path, number, is_name(line) ? "a quote is not closed" : "not a name"),
        "Write NAME=VALUE, NAME=\"VALUE\" where there are blanks.");
  if (file->count >= OPTIONS_FILE_NAMES_MAX)
    return hf_fail(HF_ERR_LIMIT, "%s has more than %d names", path, OPTIONS_FILE_NAMES_MAX);
  file->names[file->count] = line;
  file->values[file->count++] = value;
  return HF_OK;
}

/* A backslash at its end joins a line with the next, unless another backslash goes before it. */
static void join_lines(char *text)
{
  for (char *at = text; *at; at++) {
    if (at[0] != '\\' || !at[1])
      continue;
    if (at[1] == '\n')
      at[0] = at[1] = ' ';
    else
      at++;
  }
}

hf_err options_file_read(const char *path, struct options_file *ret_file)
{
  struct options_file file = { .text = HF_BUF(FILE_MAX) };
  hf_err e = hf_file_read(path, &file.text);
  if (!hf_failed(e) && !hf_buf_str(&file.text))
    e = hf_fail(HF_ERR_NO_MEMORY, "%s", path);
  unsigned number = 0;
  if (!hf_failed(e))
    join_lines((char *)file.text.data);
  for (char *line = (char *)file.text.data, *next; line && !hf_failed(e); line = next) {
    next = strchr(line, '\n');
    if (next)
      *next++ = '\0';
    e = take_line(path, ++number, line, &file);
  }
  if (hf_failed(e)) {
    options_file_free(&file);
    return e;
  }
  *ret_file = file;
  return HF_OK;
}

void options_file_free(struct options_file *file)
{
  hf_buf_free(&file->text);
  file->count = 0;
}
