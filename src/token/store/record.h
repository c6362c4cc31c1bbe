/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An object as bytes: a plain head (private or not, class, stamp), its readable attributes, its key material, a checksum.
 * Of a private object both sections are sealed under the token's master key, each bound to token, object and section; a
 * public object's are plain.
 */
#ifndef HF_TOKEN_STORE_RECORD_H
#define HF_TOKEN_STORE_RECORD_H

#include "token/crypto.h"
#include "token/policy.h"

enum { RECORD_MAX = 2 * ATTRS_MAX_BYTES + 1024, TOKEN_UUID_BYTES = 16 };

struct seal {
  const uint8_t *uuid;      /* the token's */
  const uint8_t *key;       /* CRYPTO_KEY_BYTES, or NULL while nobody is logged in */
  const uint8_t *index_key; /* likewise */
};

enum record_section { RECORD_OPEN = 1, RECORD_SECRET = 2 };

/* A view into the bytes that were parsed. */
struct record {
  bool private;
  CK_OBJECT_CLASS class;
  uint64_t stamp; /* another one after each change */
  struct hf_slice open;
  struct hf_slice secret;
};

/* Fails with TOKEN_STORE where the form or the checksum is wrong, TOKEN_STORE_VERSION where a newer release wrote it. */
hf_err record_parse(struct hf_slice bytes, struct record *ret_record);

/* Fails with USER_NOT_LOGGED_IN where the object is private and the seal has no key. */
hf_err record_build(const struct seal *seal, uint64_t id, uint64_t stamp, const struct attr_halves *halves,
                    struct hf_buf *out);

/* Appends a section's attributes, unsealed and checked for their form. */
hf_err record_unseal(const struct seal *seal, uint64_t id, const struct record *record, enum record_section section,
                     struct hf_buf *out);

#endif
