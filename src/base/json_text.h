/* SPDX-License-Identifier: Apache-2.0 */
/* The little JSON that is written without a library. */
#ifndef HF_BASE_JSON_TEXT_H
#define HF_BASE_JSON_TEXT_H

#include "base/buf.h"

/* Appends "text", quoted; null for NULL. What is no UTF-8 becomes U+FFFD. */
hf_err hf_json_add_text(struct hf_buf *out, const char *text);

/* Appends "name":"text", with a comma before it where out does not end with '{' or '['. Leaves out NULL altogether. */
hf_err hf_json_add_member(struct hf_buf *out, const char *name, const char *text);
hf_err hf_json_add_number(struct hf_buf *out, const char *name, double value);

#endif
