/* SPDX-License-Identifier: Apache-2.0 */
#include "token/conf_lines.h"

#include "base/text.h"

#include <string.h>

hf_err conf_line_bad(const struct conf_line *line, const char *expected)
{
  return hf_fail(HF_ERR_CONFIG, "%s, line %u: %s = %s (expected %s)", line->path, line->number, line->key, line->value,
                 expected);
}

hf_err conf_lines(const char *path, char *text, hf_err (*each)(const struct conf_line *line, void *arg), void *arg)
{
  struct conf_line line = { .path = path };
  char *rest = text, *content;
  while ((content = strsep(&rest, "\n")) != NULL) {
    line.number++;
    content[strcspn(content, "#")] = '\0';
    content = hf_text_trim(content);
    if (content[0] == '\0')
      continue;
    char *equals = strchr(content, '=');
    if (!equals)
      return hf_fail(HF_ERR_CONFIG, "%s, line %u: \"%s\" is not of the form name = value", path, line.number, content);
    *equals = '\0';
    line.key = hf_text_trim(content);
    line.value = hf_text_trim(equals + 1);
    HF_TRY(each(&line, arg));
  }
  return HF_OK;
}
