/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An object as SoftHSM2 keeps it: a generation (u64), then to the end rows of attribute type (u64), kind (u64) and value, all
 * big-endian. Values by their kind: a byte; a u64; a length (u64) and bytes; a length and rows of the same form, which hold no
 * further rows; a count and as many u64. In a private object, bytes are encrypted under the token's master key.
 */
#ifndef HF_SOFTHSM_OBJECT_H
#define HF_SOFTHSM_OBJECT_H

#include "base/buf.h"
#include "holdfast/pkcs11.h"

enum { SOFTHSM_OBJECT_MAX = 1 << 20, SOFTHSM_ATTRS_MAX = 128 };

enum softhsm_kind {
  SOFTHSM_BOOL = 1,
  SOFTHSM_ULONG = 2,
  SOFTHSM_BYTES = 3,
  SOFTHSM_MAP = 4,
  SOFTHSM_MECHANISMS = 5,
};

/* Its attributes in PKCS #11's own form, in the order in which they lie; a map is an array of CK_ATTRIBUTE. */
struct softhsm_object {
  CK_ATTRIBUTE *attrs;
  size_t count;
  CK_ATTRIBUTE *nested; /* the maps' */
  struct hf_buf values;
};

/*
 * key: the master key; NULL, where it is not known. What SoftHSM2 writes otherwise than the standard has it is mended: X25519 and X448
 * keys under CKK_EC_EDWARDS, and an unavailable number of a 32-bit machine. Fails with TOKEN_STORE where the bytes are not of
 * the form or do not decrypt, PIN_MISSING where the object is private and there is no key.
 */
hf_err softhsm_object_parse(struct hf_slice bytes, const uint8_t *key, struct softhsm_object *ret_object);
void softhsm_object_free(struct softhsm_object *object);

/* NULL where it has none. */
const CK_ATTRIBUTE *softhsm_object_attr(const struct softhsm_object *object, CK_ATTRIBUTE_TYPE type);
bool softhsm_object_true(const struct softhsm_object *object, CK_ATTRIBUTE_TYPE type); /* absent: false */
CK_ULONG softhsm_object_ulong(const struct softhsm_object *object, CK_ATTRIBUTE_TYPE type, CK_ULONG fallback);
struct hf_slice softhsm_object_bytes(const struct softhsm_object *object, CK_ATTRIBUTE_TYPE type); /* absent: empty */

#endif
