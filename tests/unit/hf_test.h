/* SPDX-License-Identifier: Apache-2.0 */
/* What every unit test needs: cmocka, and asserting an hf_err by name. */
#ifndef HF_TESTS_HF_TEST_H
#define HF_TESTS_HF_TEST_H

#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static inline void hf_assert_code(hf_err e, enum hf_code expected, const char *file, int line)
{
  if (e.code == expected)
    return;
  char text[HF_CONTEXT_MAX + 256];
  hf_err_format(e, text, sizeof(text));
  print_error("%s: expected %s: %s\n", hf_err_name(e), hf_err_name((hf_err){ expected }), text);
  _fail(file, line);
}

#define assert_hf_ok(expr) hf_assert_code((expr), HF_ERR_OK, __FILE__, __LINE__)

/* assert_hf_err(uri_parse("x", &uri), URI_INVALID) */
#define assert_hf_err(expr, code_name) hf_assert_code((expr), HF_ERR_##code_name, __FILE__, __LINE__)

/* Ends the test here, with why; cmocka's own skip() is "not ok" in TAP. */
#define skip_where(condition, why)             \
  do {                                         \
    if (condition) {                           \
      print_message("# skipped: %s\n", (why)); \
      return;                                  \
    }                                          \
  } while (0)

#define assert_contains(text, part)                                    \
  do {                                                                 \
    if (!strstr((text), (part))) {                                     \
      print_error("\"%s\" does not contain \"%s\"\n", (text), (part)); \
      _fail(__FILE__, __LINE__);                                       \
    }                                                                  \
  } while (0)

#endif
