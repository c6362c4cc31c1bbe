/* SPDX-License-Identifier: Apache-2.0 */
#include "softhsm/conf.h"

#include "base/file.h"
#include "base/text.h"

#include <limits.h>
#include <pwd.h>

enum { CONF_MAX = 1 << 20 };

static void find_file(char out[PATH_MAX])
{
  const char *named = getenv("SOFTHSM2_CONF"), *home = getenv("HOME");
  const struct passwd *user = !home || !home[0] ? getpwuid(getuid()) : NULL;
  if (user)
    home = user->pw_dir;
  if (named) {
    snprintf(out, PATH_MAX, "%s", named);
    return;
  }
  snprintf(out, PATH_MAX, "%s/.config/softhsm2/softhsm2.conf", home ? home : "");
  if (access(out, R_OK) != 0)
    snprintf(out, PATH_MAX, "/etc/softhsm/softhsm2.conf");
}

/* The value, where the line is one of this key. */
static char *value_of(char *line, const char *key)
{
  line[strcspn(line, "#\r")] = '\0';
  char *equals = strchr(line, '=');
  if (!equals)
    return NULL;
  *equals = '\0';
  char *value = hf_text_trim(equals + 1);
  return strcmp(hf_text_trim(line), key) == 0 && value[0] ? value : NULL;
}

hf_err softhsm_tokendir(char *out, size_t size)
{
  char path[PATH_MAX];
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(CONF_MAX);
  const char *found = "/var/lib/softhsm/tokens";
  find_file(path);
  hf_err e = hf_file_read(path, &text);
  if (hf_failed(e))
    return hf_hint(e, "Name SoftHSM2's configuration by SOFTHSM2_CONF, or the tokens' directories themselves.");
  HF_TRY(hf_buf_add_u8(&text, '\0'));
  char *rest = (char *)text.data, *line;
  while ((line = strsep(&rest, "\n")) != NULL) {
    const char *value = value_of(line, "directories.tokendir");
    found = value ? value : found;
  }
  return (size_t)snprintf(out, size, "%s", found) < size ? HF_OK : hf_fail(HF_ERR_LIMIT, "%s: %s", path, found);
}
