/* SPDX-License-Identifier: Apache-2.0 */
#include "p11/curve.h"
#include "p11/der.h"
#include "p11/key.h"
#include "p11/server.h"

#include <strings.h>

enum { PREFIX_MAX = 19, DIGEST_MAX = 64 };

static const struct hash_row {
  const char *name;
  size_t len;
  CK_MECHANISM_TYPE mechanism;
  CK_RSA_PKCS_MGF_TYPE mgf;
  size_t prefix_len;
  uint8_t prefix[PREFIX_MAX]; /* DigestInfo up to the digest: RFC 8017, section 9.2, note 1 */
} hashes[] = {
  { "SHA1",
    20,
    CKM_SHA_1,
    CKG_MGF1_SHA1,
    15,
    { 0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14 } },
#define SHA2(name, mech, len, arc)                                                                                     \
  {                                                                                                                    \
    name, len, mech, CKG_MGF1_##arc, 19,                                                                               \
    {                                                                                                                  \
      0x30, 17 + (len), 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, OID_##arc, 0x05, 0x00, \
          0x04, len                                                                                                    \
    }                                                                                                                  \
  }
#define OID_SHA256 1
#define OID_SHA384 2
#define OID_SHA512 3
#define OID_SHA224 4
  SHA2("SHA224", CKM_SHA224, 28, SHA224),
  SHA2("SHA256", CKM_SHA256, 32, SHA256),
  SHA2("SHA384", CKM_SHA384, 48, SHA384),
  SHA2("SHA512", CKM_SHA512, 64, SHA512),
};

static hf_err hash_by_name(const char *name, const struct hash_row **ret_row)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(hashes) && name; i++)
    if (strcasecmp(hashes[i].name, name) == 0) {
      *ret_row = &hashes[i];
      return HF_OK;
    }
  return hf_hint(hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "the hash %s", name ? name : "is not named"),
                 "Use SHA256, SHA384 or SHA512.");
}

static hf_err check_len(const struct hash_row *hash, size_t len)
{
  return len == hash->len ? HF_OK : hf_fail(HF_ERR_DATA_LEN_RANGE, "%zu bytes as a digest of %s", len, hash->name);
}

/* FIPS 186-4, section 6.4: the leftmost bits. Some tokens do it, some refuse a digest longer than the order. */
static hf_err sign_ecdsa(struct p11_key *key, const struct p11_sign *how, const void *digest, size_t len,
                         struct hf_buf *out)
{
  (void)how;
  size_t order = (p11_public_bits(p11_key_public(key)) + 7) / 8;
  CK_MECHANISM mechanism = { CKM_ECDSA, NULL, 0 };
  return p11_key_sign_raw(key, &mechanism, digest, len < order ? len : order, out);
}

static hf_err sign_pkcs1(struct p11_key *key, const struct p11_sign *how, const void *digest, size_t len,
                         struct hf_buf *out)
{
  CK_MECHANISM mechanism = { CKM_RSA_PKCS, NULL, 0 };
  if (!how->hash)
    return p11_key_sign_raw(key, &mechanism, digest, len, out);
  const struct hash_row *hash;
  HF_TRY(hash_by_name(how->hash, &hash));
  HF_TRY(check_len(hash, len));
  uint8_t info[PREFIX_MAX + DIGEST_MAX];
  memcpy(info, hash->prefix, hash->prefix_len);
  memcpy(info + hash->prefix_len, digest, len);
  return p11_key_sign_raw(key, &mechanism, info, hash->prefix_len + len, out);
}

static hf_err sign_pss(struct p11_key *key, const struct p11_sign *how, const void *digest, size_t len,
                       struct hf_buf *out)
{
  const struct hash_row *hash, *mgf;
  HF_TRY(hash_by_name(how->hash, &hash));
  HF_TRY(hash_by_name(how->mgf_hash ? how->mgf_hash : how->hash, &mgf));
  HF_TRY(check_len(hash, len));
  CK_RSA_PKCS_PSS_PARAMS params = { hash->mechanism, mgf->mgf, how->salt_len };
  CK_MECHANISM mechanism = { CKM_RSA_PKCS_PSS, &params, sizeof(params) };
  return p11_key_sign_raw(key, &mechanism, digest, len, out);
}

static hf_err sign_eddsa(struct p11_key *key, const struct p11_sign *how, const void *message, size_t len,
                         struct hf_buf *out)
{
  (void)how;
  /* No parameter: pure Ed25519 (PKCS #11 v3.0, section 2.3.14). */
  CK_MECHANISM mechanism = { CKM_EDDSA, NULL, 0 };
  hf_err e = p11_key_sign_raw(key, &mechanism, message, len, out);
  if (!p11_server_lacks_edwards(p11_module_path(p11_key_module(key)), e))
    return e;
  mechanism.mechanism = CKM_ECDSA;
  return p11_key_sign_raw(key, &mechanism, message, len, out);
}

static const struct scheme_row {
  CK_KEY_TYPE type;
  hf_err (*sign)(struct p11_key *key, const struct p11_sign *how, const void *digest, size_t len, struct hf_buf *out);
} schemes[] = {
  [P11_SIGN_ECDSA] = { CKK_EC, sign_ecdsa },
  [P11_SIGN_RSA_PKCS1] = { CKK_RSA, sign_pkcs1 },
  [P11_SIGN_RSA_PSS] = { CKK_RSA, sign_pss },
  [P11_SIGN_EDDSA] = { CKK_EC_EDWARDS, sign_eddsa },
};

hf_err p11_key_sign(struct p11_key *key, const struct p11_sign *how, const void *digest, size_t len, struct hf_buf *out)
{
  const struct scheme_row *scheme = &schemes[how->scheme];
  CK_KEY_TYPE type = p11_key_public(key)->type;
  if (scheme->type != type)
    return hf_fail(HF_ERR_KEY_TYPE_INCONSISTENT, "a key of type %s", p11_key_type_name(type));
  return scheme->sign(key, how, digest, len, out);
}

hf_err p11_ecdsa_to_der(const void *signature, size_t len, struct hf_buf *out)
{
  const uint8_t *bytes = signature;
  if (len == 0 || len % 2)
    return hf_fail(HF_ERR_SIGNATURE_LEN_RANGE, "an ECDSA signature of %zu bytes", len);
  HF_CLEANUP(hf_buf_free) struct hf_buf numbers = HF_BUF(P11_SIGNATURE_MAX);
  HF_TRY(p11_der_add_unsigned(&numbers, bytes, len / 2));
  HF_TRY(p11_der_add_unsigned(&numbers, bytes + len / 2, len / 2));
  return p11_der_add(out, DER_SEQUENCE, numbers.data, numbers.len);
}

hf_err p11_key_sign_der(struct p11_key *key, const struct p11_sign *how, const void *digest, size_t len,
                        struct hf_buf *out)
{
  if (how->scheme != P11_SIGN_ECDSA)
    return p11_key_sign(key, how, digest, len, out);
  HF_CLEANUP(hf_buf_free) struct hf_buf pair = HF_BUF(P11_SIGNATURE_MAX);
  HF_TRY(p11_key_sign(key, how, digest, len, &pair));
  return p11_ecdsa_to_der(pair.data, pair.len, out);
}
