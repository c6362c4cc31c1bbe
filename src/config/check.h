/* SPDX-License-Identifier: Apache-2.0 */
/* What a value of each type may be. */
#ifndef HF_CONFIG_CHECK_H
#define HF_CONFIG_CHECK_H

#include "config/config.h"

/* NULL where the row allows the value; else what it must be ("an absolute path"). Valid until the thread's next failure. */
const char *config_check(const struct config_row *row, const char *value);

/* The number that a value of this type stands for: see config_get_number. False where it is none, or too large. */
bool config_number(enum config_type type, const char *value, uint64_t *ret_number);

/* The row's key whose spelling is nearest to name. Never NULL. */
const char *config_nearest(const char *name);

#endif
