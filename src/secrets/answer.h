/* SPDX-License-Identifier: Apache-2.0 */
/* A secret as a line of JSON, on the socket as on standard output. */
#ifndef HF_SECRETS_ANSWER_H
#define HF_SECRETS_ANSWER_H

#include "secrets/secrets.h"

/* Of a value all of whose bytes are escaped, and the rest. */
enum { SECRETS_ANSWER_MAX = 6 * SECRETS_VALUE_MAX + 16 * 1024 };

/* {"name", "version", "stages", "created", "value" or, where that is no text, "value_base64"}, and a newline. */
hf_err secrets_answer_add(const struct secrets_value *value, struct hf_buf *out);

/* {"error": its code's name, "message", "context" (the message without the code's own text), "hint"}, and a newline, of the error just recorded. */
hf_err secrets_answer_add_error(hf_err e, struct hf_buf *out);

#endif
