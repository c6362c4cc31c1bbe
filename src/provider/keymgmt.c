/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Key management (provider-keymgmt(7)) for EC, Ed25519 and RSA. All that is public is answered by the default provider's key,
 * which each of our keys carries; the private half is never given out, so that OpenSSL comes to us for signing.
 */
#include "provider/key.h"

#include <openssl/core_names.h>
#include <openssl/params.h>

enum { PUBLIC_PARTS = OSSL_KEYMGMT_SELECT_PUBLIC_KEY | OSSL_KEYMGMT_SELECT_ALL_PARAMETERS };

static void *keymgmt_load(const void *reference, size_t size)
{
  if (size != sizeof(struct provider_key *))
    return NULL;
  /* What provider_key_hand_over gave: ours to take. */
  struct provider_key **place = NULL;
  memcpy(&place, &reference, sizeof(reference));
  return HF_TAKE(*place);
}

static void keymgmt_free(void *keydata)
{
  provider_key_unref(keydata);
}

/* Nothing is made here: OpenSSL fills it by import, with a public key that is to be compared with one of ours. */
static void *keymgmt_new(void *provctx)
{
  struct provider_key *key = NULL;
  return hf_failed(provider_key_new(provctx, NULL, NULL, &key)) ? NULL : key;
}

static int import(void *keydata, const char *type, const char *private_part, const OSSL_PARAM params[])
{
  struct provider_key *key = keydata;
  /* A private key that is no token's is not ours to hold. */
  if (OSSL_PARAM_locate_const(params, private_part))
    return 0;
  EVP_PKEY *public = NULL;
  OSSL_PARAM *copy = OSSL_PARAM_dup(params);
  EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(provider_key_ctx(key)->libctx, type, NULL);
  bool ok = copy && ctx && EVP_PKEY_fromdata_init(ctx) == 1 &&
            EVP_PKEY_fromdata(ctx, &public, EVP_PKEY_PUBLIC_KEY, copy) == 1;
  EVP_PKEY_CTX_free(ctx);
  OSSL_PARAM_free(copy);
  if (ok)
    provider_key_set_public(key, public);
  return ok;
}

static int ec_import(void *keydata, int selection, const OSSL_PARAM params[])
{
  (void)selection;
  return import(keydata, "EC", OSSL_PKEY_PARAM_PRIV_KEY, params);
}

static int ed25519_import(void *keydata, int selection, const OSSL_PARAM params[])
{
  (void)selection;
  return import(keydata, "ED25519", OSSL_PKEY_PARAM_PRIV_KEY, params);
}

static int rsa_import(void *keydata, int selection, const OSSL_PARAM params[])
{
  (void)selection;
  return import(keydata, "RSA", OSSL_PKEY_PARAM_RSA_D, params);
}

static int keymgmt_has(const void *keydata, int selection)
{
  const struct provider_key *key = keydata;
  if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) && !provider_key_token(key))
    return 0;
  return provider_key_public(key) != NULL;
}

static int keymgmt_match(const void *keydata1, const void *keydata2, int selection)
{
  const struct provider_key *a = keydata1, *b = keydata2;
  if ((selection & OSSL_KEYMGMT_SELECT_KEYPAIR) == 0)
    return EVP_PKEY_parameters_eq(provider_key_public(a), provider_key_public(b)) == 1;
  return EVP_PKEY_eq(provider_key_public(a), provider_key_public(b)) == 1;
}

/* Never with the private half: else OpenSSL would take the copy, and sign with it elsewhere. */
static int keymgmt_export(void *keydata, int selection, OSSL_CALLBACK *callback, void *arg)
{
  const struct provider_key *key = keydata;
  if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) && provider_key_token(key))
    return 0;
  return EVP_PKEY_export(provider_key_public(key), selection & PUBLIC_PARTS, callback, arg);
}

static int keymgmt_get_params(void *keydata, OSSL_PARAM params[])
{
  const struct provider_key *key = keydata;
  return EVP_PKEY_get_params(provider_key_public(key), params);
}

static void *keymgmt_dup(const void *keydata, int selection)
{
  (void)selection;
  union {
    const void *in;
    struct provider_key *out;
  } bridge = { .in = keydata };
  return provider_key_ref(bridge.out);
}

#define COMMON_PARAMS                                                                              \
  OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL), OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL), \
      OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL), OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0)

static const OSSL_PARAM *ec_params(void *provctx)
{
  (void)provctx;
  static const OSSL_PARAM params[] = {
    COMMON_PARAMS,
    OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
    OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, NULL, 0),
    OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
    OSSL_PARAM_BN(OSSL_PKEY_PARAM_EC_PUB_X, NULL, 0),
    OSSL_PARAM_BN(OSSL_PKEY_PARAM_EC_PUB_Y, NULL, 0),
    OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, NULL, 0),
    OSSL_PARAM_END,
  };
  return params;
}

static const OSSL_PARAM *ed25519_params(void *provctx)
{
  (void)provctx;
  static const OSSL_PARAM params[] = {
    COMMON_PARAMS,
    /* Empty: that is how OpenSSL learns that there is no hash to choose. */
    OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_MANDATORY_DIGEST, NULL, 0),
    OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, NULL, 0),
    OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
    OSSL_PARAM_END,
  };
  return params;
}

static const OSSL_PARAM *rsa_params(void *provctx)
{
  (void)provctx;
  static const OSSL_PARAM params[] = {
    COMMON_PARAMS,
    OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
    OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
    OSSL_PARAM_END,
  };
  return params;
}

/* What goes in and out of a key besides: the numbers of its public half. */
static const OSSL_PARAM *ec_types(int selection)
{
  static const OSSL_PARAM params[] = {
    OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
    OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
    OSSL_PARAM_END,
  };
  return selection & PUBLIC_PARTS ? params : NULL;
}

static const OSSL_PARAM *ed25519_types(int selection)
{
  static const OSSL_PARAM params[] = { OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0), OSSL_PARAM_END };
  return selection & PUBLIC_PARTS ? params : NULL;
}

static const OSSL_PARAM *rsa_types(int selection)
{
  static const OSSL_PARAM params[] = {
    OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
    OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
    OSSL_PARAM_END,
  };
  return selection & PUBLIC_PARTS ? params : NULL;
}

static const char *ec_operation_name(int operation)
{
  return operation == OSSL_OP_SIGNATURE ? "ECDSA" : NULL;
}

static const char *ed25519_operation_name(int operation)
{
  return operation == OSSL_OP_SIGNATURE ? "ED25519" : NULL;
}

static const char *rsa_operation_name(int operation)
{
  return operation == OSSL_OP_SIGNATURE ? "RSA" : NULL;
}

#define KEYMGMT(type)                                                                 \
  static const OSSL_DISPATCH type##_functions[] = {                                   \
    PROVIDER_FUNCTION(OSSL_FUNC_KEYMGMT_NEW, keymgmt_new),                            \
    PROVIDER_FUNCTION(OSSL_FUNC_KEYMGMT_LOAD, keymgmt_load),                          \
    PROVIDER_FUNCTION(OSSL_FUNC_KEYMGMT_FREE, keymgmt_free),                          \
    PROVIDER_FUNCTION(OSSL_FUNC_KEYMGMT_DUP, keymgmt_dup),                            \
    PROVIDER_FUNCTION(OSSL_FUNC_KEYMGMT_HAS, keymgmt_has),                            \
    PROVIDER_FUNCTION(OSSL_FUNC_KEYMGMT_MATCH, keymgmt_match),                        \
    PROVIDER_FUNCTION(OSSL_FUNC_KEYMGMT_GET_PARAMS, keymgmt_get_params),              \
    PROVIDER_FUNCTION(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, type##_params),              \
    PROVIDER_FUNCTION(OSSL_FUNC_KEYMGMT_IMPORT, type##_import),                       \
    PROVIDER_FUNCTION(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, type##_types),                  \
    PROVIDER_FUNCTION(OSSL_FUNC_KEYMGMT_EXPORT, keymgmt_export),                      \
    PROVIDER_FUNCTION(OSSL_FUNC_KEYMGMT_EXPORT_TYPES, type##_types),                  \
    PROVIDER_FUNCTION(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, type##_operation_name), \
    PROVIDER_END,                                                                     \
  }

KEYMGMT(ec);
KEYMGMT(ed25519);
KEYMGMT(rsa);

const OSSL_ALGORITHM provider_keymgmts[] = {
  { "EC:id-ecPublicKey:1.2.840.10045.2.1", "provider=holdfast", ec_functions, "EC keys in a PKCS #11 token" },
  { "ED25519:1.3.101.112", "provider=holdfast", ed25519_functions, "Ed25519 keys in a PKCS #11 token" },
  { "RSA:rsaEncryption:1.2.840.113549.1.1.1", "provider=holdfast", rsa_functions, "RSA keys in a PKCS #11 token" },
  { NULL, NULL, NULL, NULL },
};
