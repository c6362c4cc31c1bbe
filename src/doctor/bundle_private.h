/* SPDX-License-Identifier: Apache-2.0 */
/* What goes into a bundle. Inside src/doctor/bundle*.c only. */
#ifndef HF_DOCTOR_BUNDLE_PRIVATE_H
#define HF_DOCTOR_BUNDLE_PRIVATE_H

#include "config/config.h"
#include "doctor/bundle.h"
#include "doctor/redact.h"

enum { BUNDLE_FILE_MAX = 4 << 20, BUNDLE_LOG_MAX = 512 << 10 };

struct bundle {
  const struct bundle_options *options;
  struct config *config; /* NULL where it cannot be read */
  bool secrets_known;    /* all that the configuration leads to */
  struct redactor *redactor;
  json_t *report; /* the doctor's */
};

/* A file of it: JSON or text, appended to out without secrets. An error leaves the file out, and says why. */
struct bundle_file {
  const char *name, *what;
  hf_err (*collect)(struct bundle *b, struct hf_buf *out);
};

/* Ends with a row whose name is NULL. */
extern const struct bundle_file bundle_files[];

/* bundle_token.c */
hf_err bundle_token(struct bundle *b, struct hf_buf *out);

/* bundle_collect.c: takes value; its secrets are taken out. */
hf_err bundle_add_json(const struct bundle *b, json_t *value, struct hf_buf *out);

#endif
