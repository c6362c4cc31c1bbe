/* SPDX-License-Identifier: Apache-2.0 */
/* The store's records as bytes: a format's number, then the fields. Inside src/secrets only. */
#ifndef HF_SECRETS_RECORD_H
#define HF_SECRETS_RECORD_H

#include "secrets/name.h"
#include "secrets/wrap.h"

enum {
  RECORD_URI_MAX = 4096,
  RECORD_SPKI_MAX = 2048,
  RECORD_WRAPS_MAX = 8,
  RECORD_MAX = SECRETS_VALUE_MAX + 16 * 1024
};

/* A key that data keys are wrapped by. Texts and bytes stay where they were parsed, or belong to the caller. */
struct key_record {
  enum wrap_method method;
  struct hf_slice name;  /* the URI by which it was configured, without its PIN */
  struct hf_slice exact; /* the one by which it is found, and no other */
  struct hf_slice spki;  /* DER */
};

struct stage_record {
  char label[SECRETS_STAGE_MAX + 1];
  uint8_t version[SECRETS_ID_BYTES];
};

/* A secret but for its versions. */
struct head_record {
  char name[SECRETS_NAME_MAX + 1];
  int64_t created, changed; /* Unix seconds */
  struct stage_record stages[SECRETS_STAGES_MAX];
  size_t stage_count;
};

struct wrap_record {
  uint32_t key;
  struct hf_slice wrapped;
};

struct version_record {
  int64_t created;
  struct hf_slice sealed;
  struct wrap_record wraps[RECORD_WRAPS_MAX];
  size_t wrap_count;
};

/* Each appends a whole record. */
hf_err record_add_key(const struct key_record *key, struct hf_buf *out);
hf_err record_add_head(const struct head_record *head, struct hf_buf *out);
hf_err record_add_version(const struct version_record *version, struct hf_buf *out);

/* Fail with SECRETS, SECRETS_VERSION. Slices stay within bytes. */
hf_err record_take_key(struct hf_slice bytes, struct key_record *ret_key);
hf_err record_take_head(struct hf_slice bytes, struct head_record *ret_head);
hf_err record_take_version(struct hf_slice bytes, struct version_record *ret_version);

#endif
