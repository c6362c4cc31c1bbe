/* SPDX-License-Identifier: Apache-2.0 */
#include "provider/context.h"

#include <stdarg.h>

static const OSSL_ITEM reasons[] = {
#define REASON(id, name, rv, status, text, hint) { HF_ERR_##id, (void *)(text) },
  HF_ERROR_TABLE(REASON)
#undef REASON
      { 0, NULL },
};

const OSSL_ITEM *provider_reasons(void)
{
  /* The first row is success, and 0 ends OpenSSL's table. */
  return reasons + 1;
}

static void vset(const struct provider_ctx *ctx, uint32_t reason, const char *fmt, ...)
{
  va_list args;
  va_start(args, fmt);
  ctx->vset_error(ctx->core, reason, fmt, args);
  va_end(args);
}

void provider_raise(const struct provider_ctx *ctx, hf_err e)
{
  const char *hint = hf_err_hint(e);
  ctx->new_error(ctx->core);
  ctx->set_error_debug(ctx->core, "holdfast", 0, "");
  vset(ctx, (uint32_t)e.code, "%s%s%s", hf_err_context(), hint[0] ? ". " : "", hint);
}
