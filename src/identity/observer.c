/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/observer.h"

#include <stdarg.h>
#include <unistd.h>

void observer_step(const struct observer *observer, const char *fmt, ...)
{
  char text[OBSERVER_TEXT_MAX];
  if (!observer || !observer->step)
    return;
  va_list args;
  va_start(args, fmt);
  vsnprintf(text, sizeof(text), fmt, args);
  va_end(args);
  observer->step(text, observer->arg);
}

void observer_note(const struct observer *observer, const char *fmt, ...)
{
  char text[OBSERVER_TEXT_MAX];
  if (!observer || !observer->note)
    return;
  va_list args;
  va_start(args, fmt);
  vsnprintf(text, sizeof(text), fmt, args);
  va_end(args);
  observer->note(text, observer->arg);
}

bool observer_is_cancelled(const struct observer *observer)
{
  return observer && observer->is_cancelled && observer->is_cancelled(observer->arg);
}

hf_err observer_wait(const struct observer *observer, const char *what, unsigned seconds)
{
  for (; seconds > 0; seconds--) {
    if (observer && observer->waiting && !observer->waiting(what, seconds, observer->arg))
      return hf_fail(HF_ERR_CANCELLED, "waiting: %s", what);
    sleep(1);
  }
  return HF_OK;
}
