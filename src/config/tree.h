/* SPDX-License-Identifier: Apache-2.0 */
/* Dotted keys in nested JSON objects. */
#ifndef HF_CONFIG_TREE_H
#define HF_CONFIG_TREE_H

#include "base/error.h"

#include <jansson.h>

/* A string's text, "true" or "false"; NULL for anything else. */
const char *tree_text(const json_t *value);

/* NULL where there is none. */
json_t *tree_find(const json_t *root, const char *key);

/* Puts the leaf (counted) there, with the objects on the way. */
hf_err tree_put(json_t *root, const char *key, json_t *leaf);

/* Removes the leaf and the objects that it leaves empty. One that is not there is fine. */
hf_err tree_remove(json_t *root, const char *key);

/* Overwrites the string there, if there is one, in its own memory. */
void tree_wipe(json_t *root, const char *key);

/* Calls fn for each value that is no object, in the file's order, until one fails. */
typedef hf_err (*tree_fn)(const char *key, const json_t *value, void *arg);
hf_err tree_walk(json_t *root, tree_fn fn, void *arg);

#endif
