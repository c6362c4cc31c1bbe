/* SPDX-License-Identifier: Apache-2.0 */
/* Diffie-Hellman modulo a prime (PKCS #3; PKCS #11 v3.2, section 6.4). The other side's value is the mechanism's parameter. */
#include "token/mech/op.h"

#include "token/crypto.h"
#include "token/key.h"

#include <openssl/dh.h>

enum { SECRET_MAX = 1024 };

static hf_err set_peer(struct op *op, struct hf_slice value)
{
  EVP_PKEY *peer = NULL;
  hf_err e = key_peer_dh(object_attrs(op->object), value, &peer);
  if (e.code == HF_ERR_NO_MEMORY)
    return e;
  if (hf_failed(e))
    return hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "%s: the other side's value is none of the key's group",
                   op->mech->name);
  int rc = EVP_PKEY_derive_set_peer(op->key_ctx, peer);
  EVP_PKEY_free(peer);
  return rc == 1 ? HF_OK : crypto_fail(HF_ERR_MECHANISM_PARAM_INVALID, op->mech->name);
}

static hf_err prepare(struct op *op, const struct op_key *key, const CK_MECHANISM *m)
{
  HF_TRY(op_key_ctx(op, key->pkey));
  /* The secret is as long as the prime. */
  if (EVP_PKEY_CTX_set_dh_pad(op->key_ctx, 1) != 1)
    return crypto_fail(HF_ERR_FUNCTION_FAILED, op->mech->name);
  return set_peer(op, hf_slice(m->pParameter, m->ulParameterLen));
}

/* A longer secret loses bytes at its leading end. */
static hf_err derive(struct op *op, size_t len, struct hf_buf *out)
{
  uint8_t secret[SECRET_MAX];
  size_t have = sizeof(secret);
  if (EVP_PKEY_derive(op->key_ctx, secret, &have) != 1)
    return crypto_fail(HF_ERR_MECHANISM_PARAM_INVALID, op->mech->name);
  hf_err e = len > have
                 ? hf_fail(HF_ERR_TEMPLATE_INCONSISTENT, "%s makes %zu bytes, not %zu", op->mech->name, have, len)
                 : hf_buf_add(out, secret + (len ? have - len : 0), len ? len : have);
  hf_wipe(secret, sizeof(secret));
  return e;
}

static hf_err generate(const struct mech *mech, const CK_MECHANISM *mechanism, struct attr_halves *public,
                       struct attr_halves *private)
{
  (void)mech;
  (void)mechanism;
  struct hf_slice value;
  if (!attrs_get(&public->open, CKA_PRIME, &value) || !attrs_get(&public->open, CKA_BASE, &value))
    return hf_fail(HF_ERR_TEMPLATE_INCOMPLETE, "CKA_PRIME or CKA_BASE is missing");
  return key_generate_dh(attrs_ulong(&private->open, CKA_VALUE_BITS, 0), public, private);
}

/* Not a new prime, which takes minutes, but a known one that is as good. */
static hf_err generate_params(const struct mech *mech, const CK_MECHANISM *mechanism, struct attr_halves *params)
{
  (void)mech;
  (void)mechanism;
  CK_ULONG bits = attrs_ulong(&params->open, CKA_PRIME_BITS, 0);
  return bits ? key_dh_group(bits, params) : hf_fail(HF_ERR_TEMPLATE_INCOMPLETE, "CKA_PRIME_BITS is missing");
}

const struct mech_ops mech_dh = { .prepare = prepare, .derive = derive, .bytes_param = true };
const struct mech_ops mech_dh_keygen = { .generate_pair = generate };
const struct mech_ops mech_dh_paramgen = { .generate_secret = generate_params, .makes_domain = true };
