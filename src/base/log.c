/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <syslog.h>

static _Atomic(enum hf_log_level) shown = HF_LOG_INFO;

static const struct {
  const char *name;
  int priority;
} levels[] = {
  [HF_LOG_ERROR] = { "ERROR", LOG_ERR },
  [HF_LOG_WARNING] = { "WARNING", LOG_WARNING },
  [HF_LOG_INFO] = { "INFO", LOG_INFO },
  [HF_LOG_DEBUG] = { "DEBUG", LOG_DEBUG },
};

bool hf_log_level_parse(const char *name, enum hf_log_level *ret_level)
{
  for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
    if (strcmp(levels[i].name, name) == 0) {
      *ret_level = (enum hf_log_level)i;
      return true;
    }
  }
  return false;
}

void hf_log_set_level(enum hf_log_level level)
{
  shown = level;
}

void hf_log(enum hf_log_level level, const char *fmt, ...)
{
  if (level > shown)
    return;
  char line[HF_CONTEXT_MAX + 256];
  va_list args;
  va_start(args, fmt);
  vsnprintf(line, sizeof(line), fmt, args);
  va_end(args);
  const char *target = getenv("HOLDFAST_LOG");
  if (target && strcmp(target, "stderr") == 0)
    fprintf(stderr, "holdfast: %s: %s\n", levels[level].name, line);
  else
    syslog(LOG_USER | levels[level].priority, "holdfast: %s", line);
}

hf_err hf_log_err(hf_err e, const char *doing)
{
  char line[HF_CONTEXT_MAX + 128];
  hf_err_format(e, line, sizeof(line));
  hf_log(HF_LOG_ERROR, "%s: %s. %s", doing, line, hf_err_hint(e));
  return e;
}
