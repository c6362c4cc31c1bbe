/* SPDX-License-Identifier: Apache-2.0 */
#include "token/object.h"

#include "token/key.h"

#include <pthread.h>
#include <stdatomic.h>

struct object {
  atomic_uint refs;
  uint64_t id;
  struct record record; /* views into bytes */
  struct hf_buf bytes;
  struct kind kind;
  struct attrs attrs;
  pthread_mutex_t key_lock;
  EVP_PKEY *key;
};

hf_err object_new(const struct seal *seal, uint64_t id, struct hf_slice bytes, struct object **ret_object)
{
  HF_CLEANUP(object_unrefp) struct object *object = calloc(1, sizeof(*object));
  if (!object)
    return hf_fail(HF_ERR_NO_MEMORY, "an object");
  object->refs = 1;
  object->id = id;
  object->bytes = HF_BUF(RECORD_MAX);
  object->attrs = ATTRS_EMPTY;
  pthread_mutex_init(&object->key_lock, NULL);
  HF_TRY(hf_buf_add(&object->bytes, bytes.data, bytes.len));
  HF_TRY(record_parse(hf_slice(object->bytes.data, object->bytes.len), &object->record));
  HF_TRY(record_unseal(seal, id, &object->record, RECORD_OPEN, &object->attrs.rows));
  object->kind = policy_kind_of(&object->attrs);
  *ret_object = HF_TAKE(object);
  return HF_OK;
}

struct object *object_ref(struct object *object)
{
  atomic_fetch_add_explicit(&object->refs, 1, memory_order_relaxed);
  return object;
}

struct object *object_unref(struct object *object)
{
  if (!object || atomic_fetch_sub_explicit(&object->refs, 1, memory_order_acq_rel) != 1)
    return NULL;
  if (!crypto_gone())
    EVP_PKEY_free(object->key);
  attrs_free(&object->attrs);
  hf_buf_free(&object->bytes);
  pthread_mutex_destroy(&object->key_lock);
  free(object);
  return NULL;
}

uint64_t object_id(const struct object *object)
{
  return object->id;
}

uint64_t object_stamp(const struct object *object)
{
  return object->record.stamp;
}

bool object_private(const struct object *object)
{
  return object->record.private;
}

struct kind object_kind(const struct object *object)
{
  return object->kind;
}

const struct attrs *object_attrs(const struct object *object)
{
  return &object->attrs;
}

size_t object_size(const struct object *object)
{
  return object->bytes.len;
}

hf_err object_secret(const struct object *object, const struct seal *seal, struct attrs *ret_secret)
{
  return record_unseal(seal, object->id, &object->record, RECORD_SECRET, &ret_secret->rows);
}

static hf_err decode_key(struct object *object, const struct seal *seal)
{
  if (object->key)
    return HF_OK;
  HF_CLEANUP(attrs_free) struct attrs secret = ATTRS_EMPTY;
  HF_TRY(object_secret(object, seal, &secret));
  HF_TRY(key_decode(object->kind, &object->attrs, &secret, &object->key));
  /* Memory ran out when libcrypto measured it; it would keep that for good. */
  if (EVP_PKEY_get_bits(object->key) > 0)
    return HF_OK;
  EVP_PKEY_free(object->key);
  object->key = NULL;
  return hf_fail(HF_ERR_NO_MEMORY, "a key");
}

hf_err object_key(struct object *object, const struct seal *seal, EVP_PKEY **ret_key)
{
  pthread_mutex_lock(&object->key_lock);
  hf_err e = decode_key(object, seal);
  pthread_mutex_unlock(&object->key_lock);
  if (!hf_failed(e))
    *ret_key = object->key;
  return e;
}
