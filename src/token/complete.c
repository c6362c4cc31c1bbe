/* SPDX-License-Identifier: Apache-2.0 */
/* What the token adds to an object that its creator did not say. */
#include "token/complete.h"

#include "token/crypto.h"
#include "token/key_type.h"
#include "token/secret_key.h"

#include <openssl/x509.h>

static hf_err encode_public(EVP_PKEY *key, struct hf_buf *out)
{
  uint8_t *der = NULL;
  int len = i2d_PUBKEY(key, &der);
  if (len <= 0)
    return crypto_fail(HF_ERR_FUNCTION_FAILED, "a key's SubjectPublicKeyInfo");
  hf_err e = hf_buf_add(out, der, (size_t)len);
  OPENSSL_free(der);
  return e;
}

static hf_err set_public_info(struct attrs *open, struct hf_slice info)
{
  struct hf_slice given;
  if (attrs_get(open, CKA_PUBLIC_KEY_INFO, &given) && given.len && !hf_slice_equal(given, info))
    return hf_fail(HF_ERR_ATTRIBUTE_VALUE_INVALID, "CKA_PUBLIC_KEY_INFO is another key's");
  return attrs_set(open, CKA_PUBLIC_KEY_INFO, info);
}

hf_err complete_pair(struct kind public_kind, struct attr_halves *public, struct attr_halves *private)
{
  HF_CLEANUP(key_free) EVP_PKEY *key = NULL;
  HF_CLEANUP(hf_buf_free) struct hf_buf info = HF_BUF(ATTRS_MAX_BYTES);
  HF_TRY(key_decode(public_kind, &public->open, &public->secret, &key));
  HF_TRY(encode_public(key, &info));
  HF_TRY(set_public_info(&public->open, hf_slice(info.data, info.len)));
  return set_public_info(&private->open, hf_slice(info.data, info.len));
}

static CK_ULONG count_bits(struct hf_slice number)
{
  while (number.len && number.data[0] == 0) {
    number.data++;
    number.len--;
  }
  CK_ULONG bits = number.len * 8;
  for (uint8_t top = number.len ? number.data[0] : 0x80; !(top & 0x80); top = (uint8_t)(top << 1))
    bits--;
  return bits;
}

static const struct {
  CK_OBJECT_CLASS class;
  CK_KEY_TYPE key_type;
  CK_ATTRIBUTE_TYPE number, bits;
} counted[] = {
  { CKO_PRIVATE_KEY, CKK_DH, CKA_VALUE, CKA_VALUE_BITS },
  { CKO_DOMAIN_PARAMETERS, CKK_DSA, CKA_PRIME, CKA_PRIME_BITS },
  { CKO_DOMAIN_PARAMETERS, CKK_DSA, CKA_SUBPRIME, CKA_SUBPRIME_BITS },
  { CKO_DOMAIN_PARAMETERS, CKK_DH, CKA_PRIME, CKA_PRIME_BITS },
};

static hf_err add_bits(struct kind kind, struct attr_halves *halves)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(counted); i++) {
    struct hf_slice number;
    if (counted[i].class != kind.class || counted[i].key_type != kind.key_type)
      continue;
    if (attrs_get(&halves->open, counted[i].number, &number) || attrs_get(&halves->secret, counted[i].number, &number))
      HF_TRY(attrs_set_ulong(&halves->open, counted[i].bits, count_bits(number)));
  }
  return HF_OK;
}

static hf_err complete_asymmetric(struct kind kind, struct attr_halves *halves)
{
  HF_CLEANUP(key_free) EVP_PKEY *key = NULL;
  HF_CLEANUP(hf_buf_free) struct hf_buf info = HF_BUF(ATTRS_MAX_BYTES);
  HF_TRY(key_complete(kind, halves, &key));
  HF_TRY(encode_public(key, &info));
  return set_public_info(&halves->open, hf_slice(info.data, info.len));
}

static hf_err complete_secret(struct kind kind, struct attr_halves *halves)
{
  struct hf_slice value = { 0 };
  if (!attrs_get(&halves->secret, CKA_VALUE, &value) || !secret_key_fits(kind.key_type, value.len))
    return hf_fail(HF_ERR_ATTRIBUTE_VALUE_INVALID, "a key of type 0x%lx with %zu bytes", kind.key_type, value.len);
  if (policy_has(kind, CKA_VALUE_LEN))
    HF_TRY(attrs_set_ulong(&halves->open, CKA_VALUE_LEN, value.len));
  return check_value_complete(kind, halves);
}

hf_err complete_object(struct kind kind, struct attr_halves *halves)
{
  HF_TRY(add_bits(kind, halves));
  switch (kind.class) {
  case CKO_PUBLIC_KEY:
  case CKO_PRIVATE_KEY:
    return complete_asymmetric(kind, halves);
  case CKO_SECRET_KEY:
    return complete_secret(kind, halves);
  case CKO_CERTIFICATE:
    return check_value_complete(kind, halves);
  default:
    return HF_OK;
  }
}
