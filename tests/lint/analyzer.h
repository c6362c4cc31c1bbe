/* SPDX-License-Identifier: Apache-2.0 */
/* Included before every source that clang-tidy reads: tells its analyzer what it cannot see, that hf_fail never yields HF_OK. */
#ifndef HF_TESTS_ANALYZER_H
#define HF_TESTS_ANALYZER_H

#include "base/error.h"

#define hf_fail(code, ...)              \
  __extension__({                       \
    (void)(hf_fail)(code, __VA_ARGS__); \
    (hf_err){ code };                   \
  })

#define hf_fail_errno(number, ...)              \
  __extension__({                               \
    (void)(hf_fail_errno)(number, __VA_ARGS__); \
    (hf_err){ HF_ERR_IO };                      \
  })

#define hf_fail_rv(rv, ...)                         \
  __extension__({                                   \
    unsigned long rv_ = (rv);                       \
    (void)(hf_fail_rv)(rv_, __VA_ARGS__);           \
    rv_ ? (hf_err){ HF_ERR_MODULE_ANSWER } : HF_OK; \
  })

#define hf_hint(e, ...)                    \
  __extension__({                          \
    hf_err hinted_ = (e);                  \
    (void)(hf_hint)(hinted_, __VA_ARGS__); \
    hinted_;                               \
  })

#endif
