/* SPDX-License-Identifier: Apache-2.0 */
#include "softhsm/object.h"

#include "softhsm/crypto.h"

enum { NO_PARENT = -1 };

/* An attribute on its way: where its value lies in the buffer, which moves while it grows. */
struct place {
  CK_ATTRIBUTE_TYPE type;
  size_t offset, len;
  int parent; /* the place of the map that it is in */
  bool is_map;
};

struct builder {
  struct hf_slice in;
  const uint8_t *key; /* of a private object; else NULL */
  int parent;
  struct place places[SOFTHSM_ATTRS_MAX];
  int count;
  struct hf_buf values;
};

static hf_err damaged(const char *what)
{
  return hf_fail(HF_ERR_TOKEN_STORE, "%s", what);
}

static hf_err take_u64(struct hf_slice *in, uint64_t *ret_value)
{
  return hf_failed(hf_take_u64(in, ret_value)) ? damaged("it ends in the middle of a number") : HF_OK;
}

/* A length or a count of things of that size: at most what is there. */
static hf_err take_length(struct hf_slice *in, size_t each, size_t *ret_count)
{
  uint64_t count;
  HF_TRY(take_u64(in, &count));
  if (count > in->len / each)
    return damaged("a value is longer than the object");
  *ret_count = (size_t)count;
  return HF_OK;
}

static hf_err add_ulong(struct builder *b, uint64_t value)
{
  CK_ULONG number = (CK_ULONG)value;
  if (number != value)
    return damaged("a number is too large for this machine");
  return hf_buf_add(&b->values, &number, sizeof(number));
}

static hf_err read_bool(struct builder *b, CK_ATTRIBUTE_TYPE type)
{
  uint8_t byte;
  (void)type;
  if (hf_failed(hf_take_u8(&b->in, &byte)))
    return damaged("it ends in the middle of an attribute");
  if (byte != 0 && byte != 0xff)
    return damaged("a boolean is neither true nor false");
  return hf_buf_add_u8(&b->values, byte ? CK_TRUE : CK_FALSE);
}

/* "Unavailable" is all ones, of 32 bits where a 32-bit machine wrote it. */
static hf_err read_ulong(struct builder *b, CK_ATTRIBUTE_TYPE type)
{
  uint64_t value;
  HF_TRY(take_u64(&b->in, &value));
  if (type == CKA_KEY_GEN_MECHANISM && (value == UINT32_MAX || value == UINT64_MAX))
    value = CK_UNAVAILABLE_INFORMATION;
  return add_ulong(b, value);
}

/* Dates lie in the clear, also in private objects. */
static bool is_encrypted(const struct builder *b, CK_ATTRIBUTE_TYPE type, size_t len)
{
  return b->key && b->parent == NO_PARENT && len && type != CKA_START_DATE && type != CKA_END_DATE;
}

static hf_err read_bytes(struct builder *b, CK_ATTRIBUTE_TYPE type)
{
  size_t len;
  const uint8_t *data;
  HF_TRY(take_length(&b->in, 1, &len));
  HF_TRY(hf_take(&b->in, len, &data));
  if (is_encrypted(b, type, len))
    return softhsm_decrypt(b->key, hf_slice(data, len), &b->values);
  return hf_buf_add(&b->values, data, len);
}

static hf_err read_mechanisms(struct builder *b, CK_ATTRIBUTE_TYPE type)
{
  size_t count;
  (void)type;
  HF_TRY(take_length(&b->in, sizeof(uint64_t), &count));
  for (size_t i = 0; i < count; i++) {
    uint64_t mechanism;
    HF_TRY(take_u64(&b->in, &mechanism));
    HF_TRY(add_ulong(b, mechanism));
  }
  return HF_OK;
}

static hf_err read_rows(struct builder *b);

static hf_err read_map(struct builder *b, CK_ATTRIBUTE_TYPE type)
{
  size_t len;
  const uint8_t *data;
  (void)type;
  if (b->parent != NO_PARENT)
    return damaged("a template within a template");
  HF_TRY(take_length(&b->in, 1, &len));
  HF_TRY(hf_take(&b->in, len, &data));
  struct hf_slice rest = b->in;
  b->in = hf_slice(data, len);
  b->parent = b->count - 1;
  hf_err e = read_rows(b);
  b->in = rest;
  b->parent = NO_PARENT;
  return e;
}

static hf_err (*const readers[])(struct builder *b, CK_ATTRIBUTE_TYPE type) = {
  [SOFTHSM_BOOL] = read_bool, [SOFTHSM_ULONG] = read_ulong,           [SOFTHSM_BYTES] = read_bytes,
  [SOFTHSM_MAP] = read_map,   [SOFTHSM_MECHANISMS] = read_mechanisms,
};

static bool is_there(const struct builder *b, CK_ATTRIBUTE_TYPE type)
{
  for (int i = 0; i < b->count; i++)
    if (b->places[i].type == type && b->places[i].parent == b->parent)
      return true;
  return false;
}

static hf_err read_row(struct builder *b)
{
  uint64_t type, kind;
  HF_TRY(take_u64(&b->in, &type));
  HF_TRY(take_u64(&b->in, &kind));
  if (kind >= HF_ARRAY_LEN(readers) || !readers[kind])
    return damaged("an attribute of an unknown kind");
  if ((CK_ATTRIBUTE_TYPE)type != type || is_there(b, (CK_ATTRIBUTE_TYPE)type))
    return damaged("an attribute is there twice");
  if (b->count == SOFTHSM_ATTRS_MAX)
    return damaged("there are too many attributes");
  int at = b->count++;
  b->places[at] = (struct place){
    .type = (CK_ATTRIBUTE_TYPE)type, .offset = b->values.len, .parent = b->parent, .is_map = kind == SOFTHSM_MAP
  };
  HF_TRY(readers[kind](b, (CK_ATTRIBUTE_TYPE)type));
  b->places[at].len = kind == SOFTHSM_MAP ? 0 : b->values.len - b->places[at].offset;
  return HF_OK;
}

static hf_err read_rows(struct builder *b)
{
  while (b->in.len)
    HF_TRY(read_row(b));
  return HF_OK;
}

static void fill(const struct builder *b, const struct place *place, CK_ATTRIBUTE *attr)
{
  *attr = (CK_ATTRIBUTE){ place->type, place->len ? b->values.data + place->offset : NULL, place->len };
}

/* The places of a map's attributes follow their map's. */
static void fill_all(const struct builder *b, struct softhsm_object *object)
{
  CK_ATTRIBUTE *nested = object->nested;
  for (int i = 0; i < b->count; i++) {
    if (b->places[i].parent != NO_PARENT) {
      fill(b, &b->places[i], nested++);
      CK_ATTRIBUTE *map = &object->attrs[object->count - 1];
      map->pValue = map->ulValueLen ? map->pValue : nested - 1;
      map->ulValueLen += sizeof(CK_ATTRIBUTE);
    } else {
      fill(b, &b->places[i], &object->attrs[object->count++]);
    }
  }
}

/* CKK_EC_EDWARDS is what SoftHSM2 makes of X25519 and X448 as well; the curve tells. */
static void mend_key_type(struct softhsm_object *object)
{
  static const uint8_t x_curves[][5] = { { 0x06, 0x03, 0x2b, 0x65, 0x6e }, { 0x06, 0x03, 0x2b, 0x65, 0x6f } };
  const CK_ATTRIBUTE *type = softhsm_object_attr(object, CKA_KEY_TYPE);
  if (softhsm_object_ulong(object, CKA_KEY_TYPE, CK_UNAVAILABLE_INFORMATION) != CKK_EC_EDWARDS)
    return;
  for (size_t i = 0; i < HF_ARRAY_LEN(x_curves); i++)
    if (hf_slice_equal(softhsm_object_bytes(object, CKA_EC_PARAMS), hf_slice(x_curves[i], sizeof(x_curves[i]))))
      memcpy(type->pValue, &(CK_KEY_TYPE){ CKK_EC_MONTGOMERY }, sizeof(CK_KEY_TYPE));
}

static hf_err build(struct builder *b, struct softhsm_object *ret_object)
{
  struct softhsm_object object = { .attrs = calloc((size_t)b->count + 1, sizeof(CK_ATTRIBUTE)),
                                   .nested = calloc((size_t)b->count + 1, sizeof(CK_ATTRIBUTE)) };
  if (!object.attrs || !object.nested) {
    free(object.attrs);
    free(object.nested);
    return hf_fail(HF_ERR_NO_MEMORY, "an object");
  }
  fill_all(b, &object);
  object.values = b->values;
  b->values = HF_BUF(SOFTHSM_OBJECT_MAX);
  mend_key_type(&object);
  *ret_object = object;
  return HF_OK;
}

static hf_err parse_rows(struct hf_slice rows, const uint8_t *key, struct softhsm_object *ret_object)
{
  HF_CLEANUP(hf_freep) struct builder *b = calloc(1, sizeof(*b));
  if (!b)
    return hf_fail(HF_ERR_NO_MEMORY, "an object");
  *b = (struct builder){ .in = rows, .key = key, .parent = NO_PARENT, .values = HF_BUF(SOFTHSM_OBJECT_MAX) };
  hf_err e = read_rows(b);
  if (!hf_failed(e))
    e = build(b, ret_object);
  hf_buf_free(&b->values);
  return e;
}

/* Twice where it is private: only once it was read is it known that it is. */
hf_err softhsm_object_parse(struct hf_slice bytes, const uint8_t *key, struct softhsm_object *ret_object)
{
  uint64_t generation;
  struct softhsm_object object;
  HF_TRY(take_u64(&bytes, &generation));
  HF_TRY(parse_rows(bytes, NULL, &object));
  if (!softhsm_object_true(&object, CKA_PRIVATE)) {
    *ret_object = object;
    return HF_OK;
  }
  softhsm_object_free(&object);
  if (!key)
    return hf_fail(HF_ERR_PIN_MISSING, "a private object");
  return parse_rows(bytes, key, ret_object);
}

void softhsm_object_free(struct softhsm_object *object)
{
  free(object->attrs);
  free(object->nested);
  hf_buf_free(&object->values);
  *object = (struct softhsm_object){ .count = 0 };
}

const CK_ATTRIBUTE *softhsm_object_attr(const struct softhsm_object *object, CK_ATTRIBUTE_TYPE type)
{
  for (size_t i = 0; i < object->count; i++)
    if (object->attrs[i].type == type)
      return &object->attrs[i];
  return NULL;
}

bool softhsm_object_true(const struct softhsm_object *object, CK_ATTRIBUTE_TYPE type)
{
  const CK_ATTRIBUTE *attr = softhsm_object_attr(object, type);
  return attr && attr->ulValueLen == sizeof(CK_BBOOL) && *(const CK_BBOOL *)attr->pValue;
}

CK_ULONG softhsm_object_ulong(const struct softhsm_object *object, CK_ATTRIBUTE_TYPE type, CK_ULONG fallback)
{
  const CK_ATTRIBUTE *attr = softhsm_object_attr(object, type);
  CK_ULONG value = fallback;
  if (attr && attr->ulValueLen == sizeof(value))
    memcpy(&value, attr->pValue, sizeof(value));
  return value;
}

struct hf_slice softhsm_object_bytes(const struct softhsm_object *object, CK_ATTRIBUTE_TYPE type)
{
  const CK_ATTRIBUTE *attr = softhsm_object_attr(object, type);
  return attr ? hf_slice(attr->pValue, attr->ulValueLen) : hf_slice(NULL, 0);
}
