/* SPDX-License-Identifier: Apache-2.0 */
/* What may be asked on the socket of secrets: one line of JSON, {"get": NAME, "stage": LABEL} or {"get": NAME, "version": ID}. */
#ifndef HF_SECRETS_REQUEST_H
#define HF_SECRETS_REQUEST_H

#include "secrets/name.h"

enum { SECRETS_REQUEST_MAX = 4096 }; /* bytes of a line */

struct secrets_request {
  char name[SECRETS_NAME_MAX + 1];
  char stage[SECRETS_STAGE_MAX + 1]; /* "": AWSCURRENT, or the version */
  bool has_version;
  uint8_t version[SECRETS_ID_BYTES];
};

/* Without its newline. Fails with PARSE, USAGE; an unknown member is an error. */
hf_err secrets_request_parse(struct hf_slice line, struct secrets_request *ret_request);

/* With its newline. stage and version may be NULL. */
hf_err secrets_request_add(const char *name, const char *stage, const uint8_t *version, struct hf_buf *out);

#endif
