/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration's file: where it is, who changes it, how it is replaced. */
#ifndef HF_CONFIG_LOCATION_H
#define HF_CONFIG_LOCATION_H

#include "base/error.h"

#include <stdbool.h>

/* See config_load. *ret_named: path was given. The caller frees *ret_path. */
hf_err location_find(const char *path, char **ret_path, bool *ret_named);

/* Makes the file's directory and waits until nobody else holds it. The lock ends with the descriptor. */
hf_err location_lock(const char *path, int *ret_fd);

/* See config_save. */
hf_err location_write(const char *path, const void *data, size_t len);

#endif
