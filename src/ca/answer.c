/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/answer.h"

#include "base/log.h"

#include <stdarg.h>

enum { RETRY_S = 30 };

bool answer_refuse(struct answer *answer, int status, const char *fmt, ...)
{
  va_list args;
  va_start(args, fmt);
  vsnprintf(answer->text, sizeof(answer->text), fmt, args);
  va_end(args);
  for (char *p = answer->text; *p; p++)
    if (*p < 0x20 || *p > 0x7e)
      *p = '?';
  answer->status = status;
  return false;
}

bool answer_fail(struct answer *answer, hf_err e, const char *doing)
{
  hf_ignore(hf_log_err(e, doing));
  answer->retry_after_s = RETRY_S;
  return answer_refuse(answer, 503, "The authority cannot do this at present; its log tells why. Come again later.");
}
