/* SPDX-License-Identifier: Apache-2.0 */
/* An object in memory: a snapshot that never changes, shared by count. A change makes a new one. */
#ifndef HF_TOKEN_OBJECT_H
#define HF_TOKEN_OBJECT_H

#include "token/store/record.h"

#include <openssl/evp.h>

struct object;

/* Out of a record's bytes (copied). Unseals the readable half; the key material stays as it lies. */
hf_err object_new(const struct seal *seal, uint64_t id, struct hf_slice bytes, struct object **ret_object);
struct object *object_ref(struct object *object);
struct object *object_unref(struct object *object);

static inline void object_unrefp(struct object **object)
{
  *object = object_unref(*object);
}

uint64_t object_id(const struct object *object);
uint64_t object_stamp(const struct object *object);
bool object_private(const struct object *object);
struct kind object_kind(const struct object *object);
const struct attrs *object_attrs(const struct object *object);

/* Bytes of its record: what it takes in the store. */
size_t object_size(const struct object *object);

/* Appends the key material's attributes in the clear. */
hf_err object_secret(const struct object *object, const struct seal *seal, struct attrs *ret_secret);

/* The key, decoded once and kept as long as the snapshot; borrowed. */
hf_err object_key(struct object *object, const struct seal *seal, EVP_PKEY **ret_key);

#endif
