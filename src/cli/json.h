/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON of listings. */
#ifndef HF_CLI_JSON_H
#define HF_CLI_JSON_H

#include "base/buf.h"

#include <jansson.h>

/* Sets a string; what is no UTF-8 is written as hex after "hex:". Takes nothing of the caller's. */
hf_err cli_json_set(json_t *object, const char *name, const char *text);
hf_err cli_json_set_new(json_t *object, const char *name, json_t *value); /* takes value, also NULL (then NO_MEMORY) */
hf_err cli_json_append_new(json_t *array, json_t *value);

/* The whole part of a number; 0 where there is none. */
long long cli_json_number(const json_t *object, const char *name);

hf_err cli_json_print(const json_t *value);

#endif
