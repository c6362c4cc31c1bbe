/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes secrets out of texts that leave the device: those that are known, and whatever looks like one, which is private keys in
 * PEM, one-time passwords, what follows "password=" and its like, users and passwords in URLs, and HTTP's credentials.
 */
#ifndef HF_DOCTOR_REDACT_H
#define HF_DOCTOR_REDACT_H

#include "base/buf.h"
#include "base/cleanup.h"

#include <jansson.h>

#define REDACTED "<redacted>"

/* Shorter ones would take every second word along. */
enum { REDACT_SECRET_MIN = 4, REDACT_SECRETS_MAX = 16 };

struct redactor;

hf_err redactor_new(struct redactor **ret_redactor);
struct redactor *redactor_free(struct redactor *redactor);
HF_DEFINE_CLEANUP(struct redactor, redactor_free)

/* One that is known; it is copied, and wiped with the redactor. One below REDACT_SECRET_MIN is not looked for. Fails with LIMIT. */
hf_err redactor_add(struct redactor *redactor, const void *secret, size_t len);

/* Appends the text without its secrets. */
hf_err redactor_text(const struct redactor *redactor, struct hf_slice text, struct hf_buf *out);

/* The same with every string in it, where it stands; names of members stay. */
hf_err redactor_json(const struct redactor *redactor, json_t *value);

#endif
