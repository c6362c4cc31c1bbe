/* SPDX-License-Identifier: Apache-2.0 */
#include "token/key_type.h"

static const struct key_type *const types[] = {
  &key_type_rsa, &key_type_ec,     &key_type_edwards, &key_type_montgomery, &key_type_dsa,
  &key_type_dh,  &key_type_ml_dsa, &key_type_ml_kem,  &key_type_slh_dsa,
};

static hf_err find(CK_KEY_TYPE type, const struct key_type **ret_type)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(types); i++) {
    if (types[i]->type == type) {
      *ret_type = types[i];
      return HF_OK;
    }
  }
  return hf_fail(HF_ERR_KEY_TYPE_INCONSISTENT, "key type 0x%lx is not for this operation", type);
}

bool key_type_of(const EVP_PKEY *key, CK_KEY_TYPE *ret_type)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(types); i++) {
    for (size_t k = 0; types[i]->names[k]; k++) {
      if (EVP_PKEY_is_a(key, types[i]->names[k])) {
        *ret_type = types[i]->type;
        return true;
      }
    }
  }
  return false;
}

hf_err key_decode(struct kind kind, const struct attrs *open, const struct attrs *secret, EVP_PKEY **ret_key)
{
  const struct key_type *type = NULL;
  HF_TRY(find(kind.key_type, &type));
  return type->decode(kind, open, secret, ret_key);
}

hf_err key_encode(CK_KEY_TYPE key_type, const EVP_PKEY *key, struct attr_halves *public, struct attr_halves *private)
{
  const struct key_type *type = NULL;
  HF_TRY(find(key_type, &type));
  return type->encode(key, public, private);
}

hf_err key_complete(struct kind kind, struct attr_halves *halves, EVP_PKEY **ret_key)
{
  const struct key_type *type = NULL;
  HF_CLEANUP(key_free) EVP_PKEY *key = NULL;
  bool private = kind.class == CKO_PRIVATE_KEY;
  HF_TRY(find(kind.key_type, &type));
  HF_TRY(type->decode(kind, &halves->open, &halves->secret, &key));
  if (type->check)
    HF_TRY(type->check(kind, key));
  HF_TRY(type->encode(key, private ? NULL : halves, private ? halves : NULL));
  *ret_key = HF_TAKE(key);
  return HF_OK;
}
