/* SPDX-License-Identifier: Apache-2.0 */
/* The log of a library that lives in other people's processes: the system log, or standard error where HOLDFAST_LOG=stderr. */
#ifndef HF_BASE_LOG_H
#define HF_BASE_LOG_H

#include "base/error.h"

#include <stdbool.h>

/* Ordered: a level shows itself and those before it. The names are softhsm2.conf's. */
enum hf_log_level { HF_LOG_ERROR, HF_LOG_WARNING, HF_LOG_INFO, HF_LOG_DEBUG };

/* "ERROR", "WARNING", "INFO" or "DEBUG"; false for anything else. */
bool hf_log_level_parse(const char *name, enum hf_log_level *ret_level);
void hf_log_set_level(enum hf_log_level level);

void hf_log(enum hf_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Logs the error with its recorded context and hint; returns e. */
hf_err hf_log_err(hf_err e, const char *doing);

#endif
