/* SPDX-License-Identifier: Apache-2.0 */
/* Where a key stands in a JSON text: jansson tells no lines. */
#ifndef HF_CONFIG_JSON_LINE_H
#define HF_CONFIG_JSON_LINE_H

#include "base/buf.h"

/*
 * The line, from 1 on, of the key that the dotted path names; where there is none, of the object that it would stand in, as deep as the
 * path can be followed. Of a text that is no JSON, some line of it.
 */
unsigned json_line(struct hf_slice text, const char *path);

#endif
