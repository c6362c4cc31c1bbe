/* SPDX-License-Identifier: Apache-2.0 */
/* MACs by a secret key: HMAC, CMAC, Poly1305, and GMAC, which libcrypto computes as GCM without a message. */
#include "token/mech/cipher.h"

#include "token/crypto.h"

#include <openssl/core_names.h>

enum { GMAC_IV = 12, GMAC_TAG = 16, POLY1305_KEY = 32, TAG_MAX = EVP_MAX_MD_SIZE };

static hf_err failed(const struct op *op)
{
  return crypto_fail(HF_ERR_FUNCTION_FAILED, op->mech->name);
}

/* A context of libcrypto's MAC called name, whose parameter (NULL: it has none) is value. */
static hf_err make_ctx(struct op *op, struct hf_slice key, const char *name, const char *parameter, const char *value)
{
  OSSL_PARAM params[] = { OSSL_PARAM_END, OSSL_PARAM_END };
  if (parameter)
    params[0] = OSSL_PARAM_construct_utf8_string(parameter, (char *)(uintptr_t)value, 0);
  op->mac_ctx = EVP_MAC_CTX_new(crypto_mac_alg(name));
  if (!op->mac_ctx || EVP_MAC_init(op->mac_ctx, key.data, key.len, params) != 1)
    return failed(op);
  op->out_len = EVP_MAC_CTX_get_mac_size(op->mac_ctx);
  return HF_OK;
}

static hf_err check_param(const struct op *op, const CK_MECHANISM *m)
{
  return op->mech->ops->set_param ? HF_OK : op_no_param(op, m);
}

/* CK_MAC_GENERAL_PARAMS: how many bytes of it. */
static hf_err set_length(struct op *op, const CK_MECHANISM *m)
{
  CK_ULONG len;
  HF_TRY(op_param(op, m, "CK_MAC_GENERAL_PARAMS", &len, sizeof(len)));
  if (len == 0 || len > EVP_MAC_CTX_get_mac_size(op->mac_ctx))
    return hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "%s: %lu bytes", op->mech->name, len);
  op->out_len = len;
  return HF_OK;
}

static hf_err start(struct op *op)
{
  return EVP_MAC_init(op->mac_ctx, NULL, 0, NULL) == 1 ? HF_OK : failed(op);
}

static hf_err absorb(struct op *op, struct hf_slice part)
{
  return part.len == 0 || EVP_MAC_update(op->mac_ctx, part.data, part.len) == 1 ? HF_OK : failed(op);
}

static hf_err finish(struct op *op, uint8_t ret_tag[TAG_MAX])
{
  size_t len;
  return EVP_MAC_final(op->mac_ctx, ret_tag, &len, TAG_MAX) == 1 ? HF_OK : failed(op);
}

static hf_err finish_gmac(struct op *op, uint8_t ret_tag[TAG_MAX])
{
  uint8_t none[CIPHER_BLOCK_MAX];
  int len;
  bool done = EVP_CipherFinal_ex(op->cipher_ctx, none, &len) == 1 &&
              EVP_CIPHER_CTX_ctrl(op->cipher_ctx, EVP_CTRL_AEAD_GET_TAG, GMAC_TAG, ret_tag) == 1;
  return done ? HF_OK : failed(op);
}

static hf_err make_tag(struct op *op, uint8_t ret_tag[TAG_MAX])
{
  return (op->mac_ctx ? finish : finish_gmac)(op, ret_tag);
}

static hf_err sign(struct op *op, struct hf_slice input, uint8_t *ret_signature)
{
  (void)input; /* was absorbed */
  uint8_t tag[TAG_MAX];
  HF_TRY(make_tag(op, tag));
  memcpy(ret_signature, tag, op->out_len);
  return HF_OK;
}

static hf_err verify(struct op *op, struct hf_slice input, struct hf_slice signature)
{
  (void)input;
  uint8_t tag[TAG_MAX];
  HF_TRY(make_tag(op, tag));
  return hf_secret_equal(tag, signature.data, op->out_len) ? HF_OK
                                                           : hf_fail(HF_ERR_SIGNATURE_INVALID, "%s", op->mech->name);
}

static bool has_hash(const struct mech *mech)
{
  return crypto_md(mech->alg) != NULL;
}

static hf_err prepare_hmac(struct op *op, const struct op_key *key, const CK_MECHANISM *m)
{
  HF_TRY(check_param(op, m));
  return make_ctx(op, key->value, "HMAC", OSSL_MAC_PARAM_DIGEST, op->mech->alg);
}

static bool has_cmac(const struct mech *mech)
{
  return cipher_available(mech) && crypto_mac_alg("CMAC");
}

static hf_err prepare_cmac(struct op *op, const struct op_key *key, const CK_MECHANISM *m)
{
  uint8_t bytes[CIPHER_KEY_MAX];
  const EVP_CIPHER *cipher = cipher_find(op->mech, key->value.len);
  HF_TRY(check_param(op, m));
  if (!cipher)
    return hf_fail(HF_ERR_KEY_SIZE_RANGE, "%s with a key of %zu bytes", op->mech->name, key->value.len);
  size_t len = cipher_key(cipher, key->value, bytes);
  hf_err e = make_ctx(op, hf_slice(bytes, len), "CMAC", OSSL_MAC_PARAM_CIPHER, EVP_CIPHER_get0_name(cipher));
  hf_wipe(bytes, sizeof(bytes));
  return e;
}

static bool has_poly1305(const struct mech *mech)
{
  (void)mech;
  return crypto_mac_alg("Poly1305") != NULL;
}

static void free_key(void *state)
{
  hf_wipe(state, POLY1305_KEY);
  free(state);
}

/* Its context takes the key anew for each message. */
static hf_err prepare_poly1305(struct op *op, const struct op_key *key, const CK_MECHANISM *m)
{
  HF_TRY(check_param(op, m));
  if (key->value.len != POLY1305_KEY)
    return hf_fail(HF_ERR_KEY_SIZE_RANGE, "%s with a key of %zu bytes", op->mech->name, key->value.len);
  op->state = malloc(POLY1305_KEY);
  op->free_state = free_key;
  if (!op->state)
    return hf_fail(HF_ERR_NO_MEMORY, "%s", op->mech->name);
  memcpy(op->state, key->value.data, POLY1305_KEY);
  return make_ctx(op, key->value, "Poly1305", NULL, NULL);
}

static hf_err start_poly1305(struct op *op)
{
  return EVP_MAC_init(op->mac_ctx, op->state, POLY1305_KEY, NULL) == 1 ? HF_OK : failed(op);
}

static hf_err prepare_gmac(struct op *op, const struct op_key *key, const CK_MECHANISM *m)
{
  HF_TRY(cipher_prepare(op, key, m));
  op->out_len = GMAC_TAG;
  return HF_OK;
}

static hf_err absorb_gmac(struct op *op, struct hf_slice part)
{
  int len;
  return part.len == 0 || EVP_CipherUpdate(op->cipher_ctx, NULL, &len, part.data, (int)part.len) == 1 ? HF_OK
                                                                                                      : failed(op);
}

#define MAC(available_, prepare_, set_param_, start_)                                                                 \
  {                                                                                                                   \
    .available = (available_), .prepare = (prepare_), .set_param = (set_param_), .start = (start_), .absorb = absorb, \
    .sign = sign, .verify = verify                                                                                    \
  }

const struct mech_ops mech_hmac = MAC(has_hash, prepare_hmac, NULL, start);
const struct mech_ops mech_hmac_general = MAC(has_hash, prepare_hmac, set_length, start);
const struct mech_ops mech_cmac = MAC(has_cmac, prepare_cmac, NULL, start);
const struct mech_ops mech_cmac_general = MAC(has_cmac, prepare_cmac, set_length, start);
const struct mech_ops mech_poly1305 = MAC(has_poly1305, prepare_poly1305, NULL, start_poly1305);
const struct mech_ops mech_gmac = {
  .available = cipher_available,
  .prepare = prepare_gmac,
  .set_param = cipher_set_iv,
  .start = cipher_start,
  .absorb = absorb_gmac,
  .sign = sign,
  .verify = verify,
};
