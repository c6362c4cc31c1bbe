/* SPDX-License-Identifier: Apache-2.0 */
/* Key encapsulation with libcrypto's KEMs: ML-KEM (FIPS 203; PKCS #11 v3.2, section 6.69). */
#include "token/mech/op.h"

#include "token/crypto.h"
#include "token/key.h"

enum { SECRET_MAX = 64 };

static bool available(const struct mech *mech)
{
  EVP_KEM *kem = EVP_KEM_fetch(crypto_ctx(), mech->alg, NULL);
  EVP_KEM_free(kem);
  return kem != NULL;
}

static hf_err failed(const struct op *op)
{
  return crypto_fail(HF_ERR_FUNCTION_FAILED, op->mech->name);
}

/* A public key for one, a private one for the other: both know how long a ciphertext is. */
static hf_err prepare(struct op *op, const struct op_key *key, const CK_MECHANISM *m)
{
  size_t secret_len = 0;
  HF_TRY(op_no_param(op, m));
  op->key_ctx = EVP_PKEY_CTX_new_from_pkey(crypto_ctx(), key->pkey, NULL);
  if (!op->key_ctx || EVP_PKEY_encapsulate_init(op->key_ctx, NULL) != 1 ||
      EVP_PKEY_encapsulate(op->key_ctx, NULL, &op->out_len, NULL, &secret_len) != 1)
    return failed(op);
  if (secret_len > SECRET_MAX)
    return hf_fail(HF_ERR_INTERNAL, "%s: a secret of %zu bytes", op->mech->name, secret_len);
  if (op->kind == OP_DECAPSULATE && EVP_PKEY_decapsulate_init(op->key_ctx, NULL) != 1)
    return failed(op);
  return HF_OK;
}

static hf_err encapsulate(struct op *op, uint8_t *ret_ciphertext, size_t len, struct hf_buf *secret)
{
  (void)len; /* the caller finds a length that is not the scheme's */
  uint8_t *room;
  size_t ciphertext_len = op->out_len, secret_len = SECRET_MAX;
  HF_TRY(hf_buf_reserve(secret, SECRET_MAX, &room));
  if (EVP_PKEY_encapsulate(op->key_ctx, ret_ciphertext, &ciphertext_len, room, &secret_len) != 1 ||
      ciphertext_len != op->out_len)
    return failed(op);
  hf_buf_commit(secret, secret_len);
  return HF_OK;
}

/* A changed ciphertext yields another secret, not an error (FIPS 203, section 6.3). */
static hf_err decapsulate(struct op *op, struct hf_slice ciphertext, size_t len, struct hf_buf *secret)
{
  (void)len;
  uint8_t *room;
  size_t secret_len = SECRET_MAX;
  HF_TRY(hf_buf_reserve(secret, SECRET_MAX, &room));
  if (EVP_PKEY_decapsulate(op->key_ctx, room, &secret_len, ciphertext.data, ciphertext.len) != 1)
    return failed(op);
  hf_buf_commit(secret, secret_len);
  return HF_OK;
}

static hf_err generate(const struct mech *mech, const CK_MECHANISM *mechanism, struct attr_halves *public,
                       struct attr_halves *private)
{
  (void)mechanism;
  return key_generate_pqc(mech->keys[0], public, private);
}

const struct mech_ops mech_kem_keygen = { .available = available, .generate_pair = generate };
const struct mech_ops mech_kem = {
  .available = available, .prepare = prepare, .encapsulate = encapsulate, .decapsulate = decapsulate
};
