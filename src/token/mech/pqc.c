/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ML-DSA and SLH-DSA (PKCS #11 v3.2, sections 6.67 and 6.68; FIPS 204 and 205), where libcrypto has them: OpenSSL 3.5. What it
 * does not do by itself, signing a hash, is made of its bare form, as FIPS 204, section 5.4 has it.
 */
#include "token/mech/message.h"

#include "token/crypto.h"
#include "token/key.h"

#define PARAM_CONTEXT "context-string"
#define PARAM_DETERMINISTIC "deterministic"
#define PARAM_ENCODING "message-encoding"
#define PARAM_MU "mu"

enum { MU_BYTES = 64, OID_BYTES = 11, HASH_MAX = 64, BARE = 0, PREHASHED = 1 };

/* The hashes that may come before the signature; oid is the last byte of 2.16.840.1.101.3.4.2.x, len how much of a SHAKE. */
static const struct hash {
  CK_MECHANISM_TYPE type; /* of the hash itself */
  CK_MECHANISM_TYPE with[2];
  const char *name;
  uint8_t oid;
  size_t len;
  bool xof;
} hashes[] = {
  { CKM_SHA224, { CKM_HASH_ML_DSA_SHA224, CKM_HASH_SLH_DSA_SHA224 }, "SHA224", 4, 28, false },
  { CKM_SHA256, { CKM_HASH_ML_DSA_SHA256, CKM_HASH_SLH_DSA_SHA256 }, "SHA256", 1, 32, false },
  { CKM_SHA384, { CKM_HASH_ML_DSA_SHA384, CKM_HASH_SLH_DSA_SHA384 }, "SHA384", 2, 48, false },
  { CKM_SHA512, { CKM_HASH_ML_DSA_SHA512, CKM_HASH_SLH_DSA_SHA512 }, "SHA512", 3, 64, false },
  { CKM_SHA3_224, { CKM_HASH_ML_DSA_SHA3_224, CKM_HASH_SLH_DSA_SHA3_224 }, "SHA3-224", 7, 28, false },
  { CKM_SHA3_256, { CKM_HASH_ML_DSA_SHA3_256, CKM_HASH_SLH_DSA_SHA3_256 }, "SHA3-256", 8, 32, false },
  { CKM_SHA3_384, { CKM_HASH_ML_DSA_SHA3_384, CKM_HASH_SLH_DSA_SHA3_384 }, "SHA3-384", 9, 48, false },
  { CKM_SHA3_512, { CKM_HASH_ML_DSA_SHA3_512, CKM_HASH_SLH_DSA_SHA3_512 }, "SHA3-512", 10, 64, false },
  { MECH_NO_KEY, { CKM_HASH_ML_DSA_SHAKE128, CKM_HASH_SLH_DSA_SHAKE128 }, "SHAKE128", 11, 32, true },
  { MECH_NO_KEY, { CKM_HASH_ML_DSA_SHAKE256, CKM_HASH_SLH_DSA_SHAKE256 }, "SHAKE256", 12, 64, true },
};

/* What the family keeps; message comes first, for the verbs of message.h. */
struct pqc {
  struct message message;
  const struct hash *hash;
  EVP_MD *md;
  EVP_MD_CTX *hash_ctx; /* of the message, where the mechanism hashes it */
  int deterministic, encoding, mu;
};

static void free_state(void *state)
{
  struct pqc *pqc = state;
  if (!crypto_gone()) {
    EVP_MD_CTX_free(pqc->hash_ctx);
    EVP_MD_free(pqc->md);
  }
  free(pqc);
}

static hf_err new_state(struct op *op, struct pqc **ret_pqc)
{
  op->free_state = free_state;
  op->state = calloc(1, sizeof(struct pqc));
  if (!op->state)
    return hf_fail(HF_ERR_NO_MEMORY, "%s", op->mech->name);
  *ret_pqc = op->state;
  return HF_OK;
}

static bool available(const struct mech *mech)
{
  EVP_SIGNATURE *signature = EVP_SIGNATURE_fetch(crypto_ctx(), mech->alg, NULL);
  EVP_SIGNATURE_free(signature);
  return signature != NULL;
}

static bool available_mu(const struct mech *mech)
{
  return mech_message_knows(mech->alg, PARAM_MU);
}

static const struct hash *hash_of(CK_MECHANISM_TYPE hash, CK_MECHANISM_TYPE with)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(hashes); i++)
    if ((hashes[i].type == hash && hash != MECH_NO_KEY) || hashes[i].with[0] == with || hashes[i].with[1] == with)
      return &hashes[i];
  return NULL;
}

static hf_err bad_param(const struct op *op)
{
  return hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "%s: the parameter's hedge, hash or context", op->mech->name);
}

/* Hedged is libcrypto's default; who verifies has no say in it. */
static hf_err set_hedge(struct op *op, struct pqc *pqc, CK_ULONG hedge)
{
  if (hedge > CKH_DETERMINISTIC_REQUIRED)
    return bad_param(op);
  pqc->deterministic = hedge == CKH_DETERMINISTIC_REQUIRED;
  if (op->kind == OP_SIGN)
    mech_message_add(&pqc->message, OSSL_PARAM_construct_int(PARAM_DETERMINISTIC, &pqc->deterministic));
  return HF_OK;
}

/* CK_SIGN_ADDITIONAL_CONTEXT, or none. */
static hf_err take_context(struct op *op, struct pqc *pqc, const CK_MECHANISM *m)
{
  struct hf_ck_sign_context params = { .hedgeVariant = CKH_HEDGE_PREFERRED };
  if (m->ulParameterLen)
    HF_TRY(op_param(op, m, "CK_SIGN_ADDITIONAL_CONTEXT", &params, sizeof(params)));
  HF_TRY(set_hedge(op, pqc, params.hedgeVariant));
  return mech_message_context(op, &pqc->message, params.pContext, params.ulContextLen);
}

static hf_err prepare(struct op *op, const struct op_key *key, const CK_MECHANISM *m)
{
  struct pqc *pqc = NULL;
  HF_TRY(new_state(op, &pqc));
  HF_TRY(take_context(op, pqc, m));
  struct message *message = &pqc->message;
  mech_message_add(message, OSSL_PARAM_construct_octet_string(PARAM_CONTEXT, message->context, message->context_len));
  return mech_message_prepare(op, key->pkey);
}

const struct mech_ops mech_pqc = {
  .available = available,
  .prepare = prepare,
  .start = mech_message_start,
  .sign = mech_message_sign,
  .verify = mech_message_verify,
  .gather = true,
};

/* libcrypto's bare form, which takes a message that is encoded already. */
static hf_err prepare_bare(struct op *op, EVP_PKEY *key, struct pqc *pqc)
{
  pqc->encoding = BARE;
  mech_message_add(&pqc->message, OSSL_PARAM_construct_int(PARAM_ENCODING, &pqc->encoding));
  return mech_message_prepare(op, key);
}

static hf_err prepare_hash(struct op *op, const struct op_key *key, const CK_MECHANISM *m)
{
  struct pqc *pqc = NULL;
  HF_TRY(new_state(op, &pqc));
  HF_TRY(take_context(op, pqc, m));
  pqc->hash = hash_of(MECH_NO_KEY, op->mech->type);
  if (!pqc->hash)
    return hf_fail(HF_ERR_INTERNAL, "%s without a hash", op->mech->name);
  pqc->md = EVP_MD_fetch(crypto_ctx(), pqc->hash->name, NULL);
  pqc->hash_ctx = EVP_MD_CTX_new();
  if (!pqc->md || !pqc->hash_ctx)
    return crypto_fail(HF_ERR_FUNCTION_FAILED, op->mech->name);
  return prepare_bare(op, key->pkey, pqc);
}

/* The caller hashed: CK_HASH_SIGN_ADDITIONAL_CONTEXT says how. */
static hf_err prepare_prehashed(struct op *op, const struct op_key *key, const CK_MECHANISM *m)
{
  struct hf_ck_hash_sign_context params;
  struct pqc *pqc = NULL;
  HF_TRY(op_param(op, m, "CK_HASH_SIGN_ADDITIONAL_CONTEXT", &params, sizeof(params)));
  HF_TRY(new_state(op, &pqc));
  pqc->hash = hash_of(params.hash, MECH_NO_KEY);
  if (!pqc->hash)
    return bad_param(op);
  HF_TRY(set_hedge(op, pqc, params.hedgeVariant));
  HF_TRY(mech_message_context(op, &pqc->message, params.pContext, params.ulContextLen));
  return prepare_bare(op, key->pkey, pqc);
}

static hf_err start_hash(struct op *op)
{
  const struct pqc *pqc = op->state;
  HF_TRY(mech_message_start(op));
  return EVP_DigestInit_ex2(pqc->hash_ctx, pqc->md, NULL) == 1 ? HF_OK
                                                               : crypto_fail(HF_ERR_FUNCTION_FAILED, op->mech->name);
}

static hf_err absorb(struct op *op, struct hf_slice part)
{
  const struct pqc *pqc = op->state;
  return EVP_DigestUpdate(pqc->hash_ctx, part.data, part.len) == 1
             ? HF_OK
             : crypto_fail(HF_ERR_FUNCTION_FAILED, op->mech->name);
}

/* What is signed in place of the message (FIPS 204, algorithm 4, line 23; FIPS 205, algorithm 23, line 24). */
static hf_err encode(const struct op *op, struct hf_slice hash, struct hf_buf *out)
{
  static const uint8_t arc[OID_BYTES - 1] = { 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02 };
  const struct pqc *pqc = op->state;
  if (hash.len != pqc->hash->len)
    return hf_fail(HF_ERR_DATA_LEN_RANGE, "%s: a %s hash of %zu bytes", op->mech->name, pqc->hash->name, hash.len);
  HF_TRY(hf_buf_add_u8(out, PREHASHED));
  HF_TRY(hf_buf_add_u8(out, (uint8_t)pqc->message.context_len));
  HF_TRY(hf_buf_add(out, pqc->message.context, pqc->message.context_len));
  HF_TRY(hf_buf_add(out, arc, sizeof(arc)));
  HF_TRY(hf_buf_add_u8(out, pqc->hash->oid));
  return hf_buf_add(out, hash.data, hash.len);
}

static hf_err finish_hash(const struct op *op, uint8_t hash[HASH_MAX])
{
  const struct pqc *pqc = op->state;
  int rc = pqc->hash->xof ? EVP_DigestFinalXOF(pqc->hash_ctx, hash, pqc->hash->len)
                          : EVP_DigestFinal_ex(pqc->hash_ctx, hash, NULL);
  return rc == 1 ? HF_OK : crypto_fail(HF_ERR_FUNCTION_FAILED, op->mech->name);
}

static hf_err sign_prehashed(struct op *op, struct hf_slice hash, uint8_t *ret_signature)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf encoded = HF_BUF(2 + MESSAGE_CONTEXT_MAX + OID_BYTES + HASH_MAX);
  HF_TRY(encode(op, hash, &encoded));
  return mech_message_sign(op, hf_slice(encoded.data, encoded.len), ret_signature);
}

static hf_err verify_prehashed(struct op *op, struct hf_slice hash, struct hf_slice signature)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf encoded = HF_BUF(2 + MESSAGE_CONTEXT_MAX + OID_BYTES + HASH_MAX);
  HF_TRY(encode(op, hash, &encoded));
  return mech_message_verify(op, hf_slice(encoded.data, encoded.len), signature);
}

static hf_err sign_hash(struct op *op, struct hf_slice none, uint8_t *ret_signature)
{
  (void)none;
  uint8_t hash[HASH_MAX];
  HF_TRY(finish_hash(op, hash));
  return sign_prehashed(op, hf_slice(hash, ((const struct pqc *)op->state)->hash->len), ret_signature);
}

static hf_err verify_hash(struct op *op, struct hf_slice none, struct hf_slice signature)
{
  (void)none;
  uint8_t hash[HASH_MAX];
  HF_TRY(finish_hash(op, hash));
  return verify_prehashed(op, hf_slice(hash, ((const struct pqc *)op->state)->hash->len), signature);
}

const struct mech_ops mech_pqc_hash = {
  .available = available,
  .prepare = prepare_hash,
  .start = start_hash,
  .absorb = absorb,
  .sign = sign_hash,
  .verify = verify_hash,
};
const struct mech_ops mech_pqc_prehashed = {
  .available = available,
  .prepare = prepare_prehashed,
  .start = mech_message_start,
  .sign = sign_prehashed,
  .verify = verify_prehashed,
};

/* The message's representative, which the caller made (FIPS 204, algorithm 7, line 6): the context is in it already. */
static hf_err prepare_mu(struct op *op, const struct op_key *key, const CK_MECHANISM *m)
{
  struct pqc *pqc = NULL;
  HF_TRY(new_state(op, &pqc));
  HF_TRY(take_context(op, pqc, m));
  if (pqc->message.context_len)
    return bad_param(op);
  pqc->mu = 1;
  mech_message_add(&pqc->message, OSSL_PARAM_construct_int(PARAM_MU, &pqc->mu));
  return mech_message_prepare(op, key->pkey);
}

static hf_err check_mu(const struct op *op, struct hf_slice mu)
{
  return mu.len == MU_BYTES ? HF_OK : hf_fail(HF_ERR_DATA_LEN_RANGE, "%s: %zu bytes", op->mech->name, mu.len);
}

static hf_err sign_mu(struct op *op, struct hf_slice mu, uint8_t *ret_signature)
{
  HF_TRY(check_mu(op, mu));
  return mech_message_sign(op, mu, ret_signature);
}

static hf_err verify_mu(struct op *op, struct hf_slice mu, struct hf_slice signature)
{
  HF_TRY(check_mu(op, mu));
  return mech_message_verify(op, mu, signature);
}

const struct mech_ops mech_pqc_mu = {
  .available = available_mu,
  .prepare = prepare_mu,
  .start = mech_message_start,
  .sign = sign_mu,
  .verify = verify_mu,
};

static hf_err generate(const struct mech *mech, const CK_MECHANISM *mechanism, struct attr_halves *public,
                       struct attr_halves *private)
{
  (void)mechanism;
  return key_generate_pqc(mech->keys[0], public, private);
}

const struct mech_ops mech_pqc_keygen = { .available = available, .generate_pair = generate };
