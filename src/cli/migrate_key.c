/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/migrate_key.h"

#include "cli/keyfile.h"
#include "p11/der.h"
#include "p11/public.h"

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/x509.h>

enum { DER_MAX = 64 * 1024 };

static hf_err made(EVP_PKEY *key, EVP_PKEY **ret_key)
{
  ERR_clear_error();
  if (!key)
    return hf_fail(HF_ERR_KEY_FILE, "the old object's values are no key");
  *ret_key = key;
  return HF_OK;
}

static void public_free(struct p11_public *key)
{
  p11_public_free(key);
}

static hf_err add_stripped(struct hf_slice number, struct hf_buf *out)
{
  while (number.len && number.data[0] == 0)
    number = hf_slice(number.data + 1, number.len - 1);
  return hf_buf_add(out, number.data, number.len);
}

static hf_err read_rsa(const struct softhsm_object *object, EVP_PKEY **ret_key)
{
  HF_CLEANUP(public_free) struct p11_public public;
  HF_CLEANUP(hf_buf_free) struct hf_buf der = HF_BUF(DER_MAX);
  p11_public_init(&public);
  public.type = CKK_RSA;
  HF_TRY(add_stripped(softhsm_object_bytes(object, CKA_MODULUS), &public.modulus));
  HF_TRY(add_stripped(softhsm_object_bytes(object, CKA_PUBLIC_EXPONENT), &public.exponent));
  HF_TRY(p11_public_to_spki(&public, &der));
  const uint8_t *at = der.data;
  return made(d2i_PUBKEY_ex(NULL, &at, (long)der.len, cli_own_context(), NULL), ret_key);
}

static EVP_PKEY *decode(int type, const struct hf_buf *content)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf der = HF_BUF(DER_MAX);
  if (hf_failed(p11_der_add(&der, DER_SEQUENCE, content->data, content->len)))
    return NULL;
  const uint8_t *at = der.data;
  return d2i_PrivateKey_ex(type, NULL, &at, (long)der.len, cli_own_context(), NULL);
}

/* ECPrivateKey (RFC 5915); libcrypto makes the public half. */
static hf_err read_ec(const struct softhsm_object *object, EVP_PKEY **ret_key)
{
  static const uint8_t version = 1;
  struct hf_slice value = softhsm_object_bytes(object, CKA_VALUE), params = softhsm_object_bytes(object, CKA_EC_PARAMS);
  HF_CLEANUP(hf_buf_free) struct hf_buf content = HF_BUF(DER_MAX);
  HF_TRY(p11_der_add(&content, DER_INTEGER, &version, 1));
  HF_TRY(p11_der_add(&content, DER_OCTET_STRING, value.data, value.len));
  HF_TRY(p11_der_add(&content, DER_CONTEXT_0, params.data, params.len));
  return made(decode(EVP_PKEY_EC, &content), ret_key);
}

/* The curve by the value's length: its name has too many forms. */
static hf_err read_raw(const struct softhsm_object *object, EVP_PKEY **ret_key)
{
  static const struct {
    CK_KEY_TYPE type;
    size_t len;
    const char *name;
  } rows[] = { { CKK_EC_EDWARDS, 32, "ED25519" },
               { CKK_EC_EDWARDS, 57, "ED448" },
               { CKK_EC_MONTGOMERY, 32, "X25519" },
               { CKK_EC_MONTGOMERY, 56, "X448" } };
  struct hf_slice value = softhsm_object_bytes(object, CKA_VALUE);
  CK_KEY_TYPE type = softhsm_object_ulong(object, CKA_KEY_TYPE, CK_UNAVAILABLE_INFORMATION);
  for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++)
    if (rows[i].type == type && rows[i].len == value.len)
      return made(EVP_PKEY_new_raw_private_key_ex(cli_own_context(), rows[i].name, NULL, value.data, value.len),
                  ret_key);
  return made(NULL, ret_key);
}

static hf_err add_public_value(struct hf_slice p, struct hf_slice g, struct hf_slice x, struct hf_buf *out)
{
  BIGNUM *prime = BN_bin2bn(p.data, (int)p.len, NULL), *base = BN_bin2bn(g.data, (int)g.len, NULL);
  BIGNUM *value = BN_bin2bn(x.data, (int)x.len, NULL), *y = BN_new();
  BN_CTX *ctx = BN_CTX_secure_new();
  uint8_t *room;
  hf_err e = hf_fail(HF_ERR_KEY_FILE, "the old object's values are no key");
  if (prime && base && value && y && ctx && BN_is_odd(prime) && BN_mod_exp(y, base, value, prime, ctx) == 1)
    e = hf_buf_reserve(out, p.len, &room);
  if (!hf_failed(e))
    hf_buf_commit(out, (size_t)BN_bn2bin(y, room));
  BN_clear_free(value);
  BN_free(prime);
  BN_free(base);
  BN_free(y);
  BN_CTX_free(ctx);
  return e;
}

/* libcrypto's own form: version, p, q, g, y, x. */
static hf_err read_dsa(const struct softhsm_object *object, EVP_PKEY **ret_key)
{
  static const uint8_t version = 0;
  struct hf_slice p = softhsm_object_bytes(object, CKA_PRIME), q = softhsm_object_bytes(object, CKA_SUBPRIME);
  struct hf_slice g = softhsm_object_bytes(object, CKA_BASE), x = softhsm_object_bytes(object, CKA_VALUE);
  HF_CLEANUP(hf_buf_free) struct hf_buf content = HF_BUF(DER_MAX), y = HF_BUF(DER_MAX);
  HF_TRY(add_public_value(p, g, x, &y));
  HF_TRY(p11_der_add(&content, DER_INTEGER, &version, 1));
  HF_TRY(p11_der_add_unsigned(&content, p.data, p.len));
  HF_TRY(p11_der_add_unsigned(&content, q.data, q.len));
  HF_TRY(p11_der_add_unsigned(&content, g.data, g.len));
  HF_TRY(p11_der_add_unsigned(&content, y.data, y.len));
  HF_TRY(p11_der_add_unsigned(&content, x.data, x.len));
  return made(decode(EVP_PKEY_DSA, &content), ret_key);
}

static const struct {
  CK_KEY_TYPE type;
  hf_err (*read)(const struct softhsm_object *object, EVP_PKEY **ret_key);
} types[] = {
  { CKK_RSA, read_rsa },           { CKK_EC, read_ec },   { CKK_EC_EDWARDS, read_raw },
  { CKK_EC_MONTGOMERY, read_raw }, { CKK_DSA, read_dsa },
};

hf_err migrate_key_read(const struct softhsm_object *object, EVP_PKEY **ret_key)
{
  CK_KEY_TYPE type = softhsm_object_ulong(object, CKA_KEY_TYPE, CK_UNAVAILABLE_INFORMATION);
  for (size_t i = 0; i < HF_ARRAY_LEN(types); i++)
    if (types[i].type == type)
      return types[i].read(object, ret_key);
  return hf_fail(HF_ERR_KEY_TYPE_INCONSISTENT, "a key of type 0x%lx", type);
}
