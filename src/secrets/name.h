/* SPDX-License-Identifier: Apache-2.0 */
/* What secrets may be called and how large they may be: AWS Secrets Manager's rules. */
#ifndef HF_SECRETS_NAME_H
#define HF_SECRETS_NAME_H

#include "base/buf.h"

enum {
  SECRETS_NAME_MAX = 512,        /* bytes */
  SECRETS_STAGE_MAX = 256,       /* bytes of a staging label */
  SECRETS_STAGES_MAX = 20,       /* labels of one secret */
  SECRETS_VALUE_MAX = 64 * 1024, /* bytes */
  SECRETS_ID_BYTES = 16,
  SECRETS_ID_TEXT = 37, /* a version's id as a UUID, with its NUL */
};

#define SECRETS_CURRENT "AWSCURRENT"
#define SECRETS_PREVIOUS "AWSPREVIOUS"

/* 1 to the limit of letters, digits and /_+=.@- . Fail with USAGE. */
hf_err secrets_name_check(const char *name);
hf_err secrets_stage_check(const char *stage);

/* Fails with LIMIT where it is empty or too large. */
hf_err secrets_value_check(size_t len);

/* A version's id as text, and back. Fails with USAGE. */
void secrets_id_format(const uint8_t id[SECRETS_ID_BYTES], char out[SECRETS_ID_TEXT]);
hf_err secrets_id_parse(const char *text, uint8_t ret_id[SECRETS_ID_BYTES]);

#endif
