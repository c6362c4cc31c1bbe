/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of the post-quantum schemes (FIPS 203 to 205): a parameter set, strings of bytes, and a seed where the scheme keeps one. */
#include "token/key_type.h"

#include "token/crypto.h"

#include <openssl/core_names.h>

#define SEED "seed"

static const char *const ml_dsa[] = { "ML-DSA-44", "ML-DSA-65", "ML-DSA-87", NULL };
static const char *const ml_kem[] = { "ML-KEM-512", "ML-KEM-768", "ML-KEM-1024", NULL };
static const char *const slh_dsa[] = {
  "SLH-DSA-SHA2-128s",
  "SLH-DSA-SHAKE-128s",
  "SLH-DSA-SHA2-128f",
  "SLH-DSA-SHAKE-128f",
  "SLH-DSA-SHA2-192s",
  "SLH-DSA-SHAKE-192s",
  "SLH-DSA-SHA2-192f",
  "SLH-DSA-SHAKE-192f",
  "SLH-DSA-SHA2-256s",
  "SLH-DSA-SHAKE-256s",
  "SLH-DSA-SHA2-256f",
  "SLH-DSA-SHAKE-256f",
  NULL,
};

/* The CKP_ values of each scheme count from 1, as these lists do. */
static const struct {
  CK_KEY_TYPE type;
  const char *const *names;
} schemes[] = { { CKK_ML_DSA, ml_dsa }, { CKK_ML_KEM, ml_kem }, { CKK_SLH_DSA, slh_dsa } };

static const struct key_part public_parts[] = { { CKA_VALUE, OSSL_PKEY_PARAM_PUB_KEY, KEY_IN_PUBLIC | KEY_OCTETS } };
/* libcrypto makes the one out of the other, and refuses two that do not belong together. */
static const struct key_part private_parts[] = {
  { CKA_VALUE, OSSL_PKEY_PARAM_PRIV_KEY, KEY_IN_PRIVATE | KEY_SECRET | KEY_OCTETS | KEY_OPTIONAL },
  { CKA_SEED, SEED, KEY_IN_PRIVATE | KEY_SECRET | KEY_OCTETS | KEY_OPTIONAL },
};

static const char *const *names_of(CK_KEY_TYPE type)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(schemes); i++)
    if (schemes[i].type == type)
      return schemes[i].names;
  return NULL;
}

static hf_err name_of(CK_KEY_TYPE type, const struct attrs *open, const char **ret_name)
{
  CK_ULONG set = attrs_ulong(open, CKA_PARAMETER_SET, 0);
  const char *const *names = names_of(type);
  for (CK_ULONG i = 1; names && names[i - 1]; i++) {
    if (i == set) {
      *ret_name = names[i - 1];
      return HF_OK;
    }
  }
  return hf_fail(HF_ERR_PARAMETER_SET_NOT_SUPPORTED, "CKA_PARAMETER_SET 0x%lx", set);
}

static hf_err decode(struct kind kind, const struct attrs *open, const struct attrs *secret, EVP_PKEY **ret_key)
{
  HF_CLEANUP(key_build_free) struct key_build build = { 0 };
  const char *name = NULL;
  struct hf_slice value;
  bool private = kind.class == CKO_PRIVATE_KEY;
  HF_TRY(name_of(kind.key_type, open, &name));
  HF_TRY(key_build_start(&build));
  if (!private) {
    HF_TRY(key_build_parts(&build, public_parts, HF_ARRAY_LEN(public_parts), kind, open, secret));
    return key_build_done(&build, name, EVP_PKEY_PUBLIC_KEY, ret_key);
  }
  if (!attrs_get(secret, CKA_VALUE, &value) && !attrs_get(secret, CKA_SEED, &value))
    return hf_fail(HF_ERR_TEMPLATE_INCOMPLETE, "a private key without CKA_VALUE and CKA_SEED");
  HF_TRY(key_build_parts(&build, private_parts, HF_ARRAY_LEN(private_parts), kind, open, secret));
  return key_build_done(&build, name, EVP_PKEY_KEYPAIR, ret_key);
}

static hf_err set_of(CK_KEY_TYPE type, const EVP_PKEY *key, CK_ULONG *ret_set)
{
  const char *const *names = names_of(type);
  for (CK_ULONG i = 0; names[i]; i++) {
    if (EVP_PKEY_is_a(key, names[i])) {
      *ret_set = i + 1;
      return HF_OK;
    }
  }
  return hf_fail(HF_ERR_PARAMETER_SET_NOT_SUPPORTED, "%s", EVP_PKEY_get0_type_name(key));
}

static hf_err encode(CK_KEY_TYPE type, const EVP_PKEY *key, struct attr_halves *public, struct attr_halves *private)
{
  CK_ULONG set = 0;
  HF_TRY(set_of(type, key, &set));
  if (public)
    HF_TRY(attrs_set_ulong(&public->open, CKA_PARAMETER_SET, set));
  if (private)
    HF_TRY(attrs_set_ulong(&private->open, CKA_PARAMETER_SET, set));
  HF_TRY(key_parts_encode(key, public_parts, HF_ARRAY_LEN(public_parts), public, private));
  return key_parts_encode(key, private_parts, HF_ARRAY_LEN(private_parts), public, private);
}

static hf_err encode_ml_dsa(const EVP_PKEY *key, struct attr_halves *public, struct attr_halves *private)
{
  return encode(CKK_ML_DSA, key, public, private);
}

static hf_err encode_ml_kem(const EVP_PKEY *key, struct attr_halves *public, struct attr_halves *private)
{
  return encode(CKK_ML_KEM, key, public, private);
}

static hf_err encode_slh_dsa(const EVP_PKEY *key, struct attr_halves *public, struct attr_halves *private)
{
  return encode(CKK_SLH_DSA, key, public, private);
}

const struct key_type key_type_ml_dsa = {
  .type = CKK_ML_DSA, .names = ml_dsa, .decode = decode, .encode = encode_ml_dsa
};
const struct key_type key_type_ml_kem = {
  .type = CKK_ML_KEM, .names = ml_kem, .decode = decode, .encode = encode_ml_kem
};
const struct key_type key_type_slh_dsa = {
  .type = CKK_SLH_DSA, .names = slh_dsa, .decode = decode, .encode = encode_slh_dsa
};

hf_err key_generate_pqc(CK_KEY_TYPE type, struct attr_halves *public, struct attr_halves *private)
{
  const char *name = NULL;
  struct hf_slice value;
  if (!attrs_get(&public->open, CKA_PARAMETER_SET, &value))
    return hf_fail(HF_ERR_TEMPLATE_INCOMPLETE, "CKA_PARAMETER_SET is missing");
  HF_TRY(name_of(type, &public->open, &name));
  HF_CLEANUP(key_free) EVP_PKEY *key = EVP_PKEY_Q_keygen(crypto_ctx(), NULL, name);
  return key ? key_encode(type, key, public, private) : crypto_fail(HF_ERR_FUNCTION_FAILED, "generating a key");
}
