/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>

struct error_row {
  const char *id;
  const char *name;
  unsigned long rv;
  int status;
  const char *text;
  const char *hint;
};

static const struct error_row rows[] = {
#define ERROR_ROW(id, name, rv, status, text, hint) { "CKR_" #id, name, rv, status, text, hint },
  HF_ERROR_TABLE(ERROR_ROW)
#undef ERROR_ROW
};

/* From here on a row stands for the CKR code of the same name. */
#define FIRST_CKR_ROW HF_ERR_SLOT_ID_INVALID

static _Thread_local char context[HF_CONTEXT_MAX];
static _Thread_local char hint[HF_HINT_MAX];

static const struct error_row *row_of(hf_err e)
{
  return &rows[e.code < HF_ERR_COUNT ? e.code : HF_ERR_INTERNAL];
}

static const struct error_row *row_of_rv(unsigned long rv)
{
  for (size_t i = FIRST_CKR_ROW; i < HF_ERR_MODULE_ANSWER; i++)
    if (rows[i].rv == rv)
      return &rows[i];
  return rv == rows[HF_ERR_NO_MEMORY].rv ? &rows[HF_ERR_NO_MEMORY] : NULL;
}

__attribute__((format(printf, 1, 0))) static void record(const char *fmt, va_list args)
{
  /* Composed apart: an argument may be the previous context itself. */
  char text[HF_CONTEXT_MAX];
  vsnprintf(text, sizeof(text), fmt, args);
  memcpy(context, text, sizeof(context));
  hint[0] = '\0';
}

static void append(const char *text)
{
  size_t used = strlen(context);
  snprintf(context + used, sizeof(context) - used, "%s%s", used ? ": " : "", text);
}

hf_err hf_fail(enum hf_code code, const char *fmt, ...)
{
  va_list args;
  va_start(args, fmt);
  record(fmt, args);
  va_end(args);
  return (hf_err){ code };
}

static enum hf_code code_of_errno(int error)
{
  switch (error) {
  case EACCES:
  case EPERM:
  case EROFS:
    return HF_ERR_PERMISSION;
  case ENOENT:
  case ENOTDIR:
    return HF_ERR_NOT_FOUND;
  case ENOSPC:
  case EDQUOT:
  case EFBIG: /* a limit on files: setrlimit(2), or the file system's */
    return HF_ERR_DISK_FULL;
  case ENOMEM:
    return HF_ERR_NO_MEMORY;
  default:
    return HF_ERR_IO;
  }
}

hf_err hf_fail_errno(int saved_errno, const char *fmt, ...)
{
  va_list args;
  va_start(args, fmt);
  record(fmt, args);
  va_end(args);
  char text[128];
  append(strerror_r(saved_errno, text, sizeof(text)));
  return (hf_err){ code_of_errno(saved_errno) };
}

hf_err hf_fail_rv(unsigned long rv, const char *fmt, ...)
{
  if (rv == 0)
    return HF_OK;
  va_list args;
  va_start(args, fmt);
  record(fmt, args);
  va_end(args);
  const struct error_row *row = row_of_rv(rv);
  if (row)
    return (hf_err){ (enum hf_code)(row - rows) };
  char text[32];
  snprintf(text, sizeof(text), "CK_RV 0x%lx", rv);
  append(text);
  return (hf_err){ HF_ERR_MODULE_ANSWER };
}

hf_err hf_hint(hf_err e, const char *fmt, ...)
{
  va_list args;
  va_start(args, fmt);
  vsnprintf(hint, sizeof(hint), fmt, args);
  va_end(args);
  return e;
}

const char *hf_err_name(hf_err e)
{
  return row_of(e)->name;
}

const char *hf_err_text(hf_err e)
{
  return row_of(e)->text;
}

int hf_code_find(const char *name, enum hf_code *ret_code)
{
  for (enum hf_code code = HF_ERR_OK; code < HF_ERR_COUNT; code++)
    if (strcmp(rows[code].name, name) == 0) {
      *ret_code = code;
      return 1;
    }
  return 0;
}

unsigned long hf_err_rv(hf_err e)
{
  return row_of(e)->rv;
}

int hf_err_status(hf_err e)
{
  return row_of(e)->status;
}

const char *hf_rv_name(unsigned long rv)
{
  if (rv == 0)
    return "CKR_OK";
  if (rv == rows[HF_ERR_NO_MEMORY].rv)
    return "CKR_HOST_MEMORY";
  const struct error_row *row = row_of_rv(rv);
  return row ? row->id : NULL;
}

const char *hf_err_context(void)
{
  return context;
}

const char *hf_err_hint(hf_err e)
{
  return hint[0] ? hint : row_of(e)->hint;
}

struct hf_err_saved hf_err_save(hf_err e)
{
  struct hf_err_saved saved = { .error = e };
  if (hf_failed(e)) {
    snprintf(saved.context, sizeof(saved.context), "%s", context);
    snprintf(saved.hint, sizeof(saved.hint), "%s", hf_err_hint(e));
  }
  return saved;
}

hf_err hf_err_restore(const struct hf_err_saved *saved)
{
  if (!hf_failed(saved->error))
    return HF_OK;
  return hf_hint(hf_fail(saved->error.code, "%s", saved->context), "%s", saved->hint);
}

void hf_err_format(hf_err e, char *out, size_t size)
{
  const struct error_row *row = row_of(e);
  const char *rv = row - rows >= FIRST_CKR_ROW && e.code != HF_ERR_MODULE_ANSWER ? row->id : NULL;
  snprintf(out, size, "%s%s%s%s%s%s", row->text, context[0] ? ": " : "", context, rv ? " (" : "", rv ? rv : "",
           rv ? ")" : "");
}

void hf_err_print(FILE *out, const char *program, hf_err e)
{
  char line[HF_CONTEXT_MAX + 256];
  hf_err_format(e, line, sizeof(line));
  fprintf(out, "%s: error: %s\n", program, line);
  if (hf_err_hint(e)[0])
    fprintf(out, "  hint: %s\n", hf_err_hint(e));
}
