/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GCM, CCM and ChaCha20-Poly1305 (PKCS #11 v3.2, sections 6.13.11 and 6.65). What is decrypted stays inside until its tag is
 * verified: parts are held back, and a tag that is wrong leaves nothing.
 */
#include "token/mech/aead.h"

#include "token/crypto.h"

enum { CHACHA_NONCE = 12, CHACHA_TAG = 16, CCM_NONCE_MIN = 7, CCM_NONCE_MAX = 13, CCM_TAG_MIN = 4 };

static void free_state(void *state)
{
  struct aead_state *s = state;
  hf_buf_free(&s->aad);
  hf_buf_free(&s->held);
  hf_wipe(s, sizeof(*s));
  free(s);
}

static hf_err prepare(struct op *op, const struct op_key *key, const CK_MECHANISM *m)
{
  (void)m; /* set_param's */
  const EVP_CIPHER *cipher = cipher_find(op->mech, key->value.len);
  if (!cipher)
    return hf_fail(HF_ERR_KEY_SIZE_RANGE, "%s with a key of %zu bytes", op->mech->name, key->value.len);
  struct aead_state *s = calloc(1, sizeof(*s));
  if (!s)
    return hf_fail(HF_ERR_NO_MEMORY, "%s", op->mech->name);
  s->aad = HF_BUF(OP_RESULT_MAX);
  s->held = HF_BUF(OP_RESULT_MAX);
  op->state = s;
  op->free_state = free_state;
  op->cipher_ctx = EVP_CIPHER_CTX_new();
  if (!op->cipher_ctx)
    return hf_fail(HF_ERR_NO_MEMORY, "%s", op->mech->name);
  return cipher_set_key(op, cipher, key->value);
}

static hf_err prepare_ccm(struct op *op, const struct op_key *key, const CK_MECHANISM *m)
{
  HF_TRY(prepare(op, key, m));
  struct aead_state *s = op->state;
  memcpy(s->key, key->value.data, key->value.len);
  s->key_len = key->value.len;
  return HF_OK;
}

hf_err aead_set(struct op *op, struct hf_slice iv, struct hf_slice aad, size_t tag_len)
{
  struct aead_state *s = op->state;
  if (!iv.data || iv.len == 0 || iv.len > AEAD_IV_MAX || (aad.len && !aad.data) || aad.len > OP_RESULT_MAX)
    return hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "%s: an IV of %zu bytes, %zu bytes of additional data",
                   op->mech->name, iv.len, aad.len);
  hf_buf_drop(&s->aad, s->aad.len);
  HF_TRY(hf_buf_add(&s->aad, aad.data, aad.len));
  memcpy(s->iv, iv.data, iv.len);
  s->iv_len = iv.len;
  s->tag_len = tag_len;
  s->message_based = false;
  s->message_tag = NULL;
  return HF_OK;
}

hf_err aead_gcm_tag(const struct op *op, CK_ULONG bits, size_t *ret_len)
{
  if (bits % 8 || bits > 8 * AEAD_TAG_MAX || (bits < 96 && bits != 64 && bits != 32))
    return hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "%s: a tag of %lu bits", op->mech->name, bits);
  *ret_len = bits / 8;
  return HF_OK;
}

static hf_err set_gcm(struct op *op, const CK_MECHANISM *m)
{
  CK_GCM_PARAMS params;
  size_t tag_len = 0;
  HF_TRY(op_param(op, m, "CK_GCM_PARAMS", &params, sizeof(params)));
  HF_TRY(aead_gcm_tag(op, params.ulTagBits, &tag_len));
  return aead_set(op, hf_slice(params.pIv, params.ulIvLen), hf_slice(params.pAAD, params.ulAADLen), tag_len);
}

static hf_err set_chacha(struct op *op, const CK_MECHANISM *m)
{
  struct hf_ck_chacha20_poly1305_params params;
  HF_TRY(op_param(op, m, "CK_SALSA20_CHACHA20_POLY1305_PARAMS", &params, sizeof(params)));
  if (params.ulNonceLen != CHACHA_NONCE)
    return hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "%s: a nonce of %lu bytes", op->mech->name, params.ulNonceLen);
  return aead_set(op, hf_slice(params.pNonce, params.ulNonceLen), hf_slice(params.pAAD, params.ulAADLen), CHACHA_TAG);
}

hf_err aead_ccm_check(const struct op *op, CK_ULONG data_len, CK_ULONG nonce_len, CK_ULONG tag_len)
{
  if (nonce_len < CCM_NONCE_MIN || nonce_len > CCM_NONCE_MAX || tag_len < CCM_TAG_MIN || tag_len > AEAD_TAG_MAX ||
      tag_len % 2 || data_len > OP_RESULT_MAX || (nonce_len == CCM_NONCE_MAX && data_len >> 16))
    return hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "%s: %lu bytes with a nonce of %lu and a MAC of %lu bytes",
                   op->mech->name, data_len, nonce_len, tag_len);
  return HF_OK;
}

static hf_err set_ccm(struct op *op, const CK_MECHANISM *m)
{
  struct aead_state *s = op->state;
  struct hf_ck_ccm_params params;
  HF_TRY(op_param(op, m, "CK_CCM_PARAMS", &params, sizeof(params)));
  HF_TRY(aead_ccm_check(op, params.ulDataLen, params.ulNonceLen, params.ulMACLen));
  s->data_len = params.ulDataLen;
  return aead_set(op, hf_slice(params.pNonce, params.ulNonceLen), hf_slice(params.pAAD, params.ulAADLen),
                  params.ulMACLen);
}

/* What the message has of its tag. */
static size_t tag_in_message(const struct op *op)
{
  const struct aead_state *s = op->state;
  return s->message_based ? 0 : s->tag_len;
}

static hf_err failed(const struct op *op)
{
  return crypto_fail(HF_ERR_FUNCTION_FAILED, op->mech->name);
}

static bool add_aad(struct op *op)
{
  const struct aead_state *s = op->state;
  int len;
  return s->aad.len == 0 || EVP_CipherUpdate(op->cipher_ctx, NULL, &len, s->aad.data, (int)s->aad.len) == 1;
}

hf_err aead_start_stream(struct op *op)
{
  struct aead_state *s = op->state;
  hf_buf_drop(&s->held, s->held.len);
  if (s->iv_len != s->ctx_iv_len &&
      EVP_CIPHER_CTX_ctrl(op->cipher_ctx, EVP_CTRL_AEAD_SET_IVLEN, (int)s->iv_len, NULL) != 1)
    return failed(op);
  s->ctx_iv_len = s->iv_len;
  bool done = EVP_CipherInit_ex2(op->cipher_ctx, NULL, NULL, s->iv, -1, NULL) == 1 && add_aad(op);
  return done ? HF_OK : failed(op);
}

hf_err aead_start_ccm(struct op *op)
{
  struct aead_state *s = op->state;
  hf_buf_drop(&s->held, s->held.len);
  return HF_OK;
}

static hf_err give_tag(struct op *op, uint8_t *ret_after, size_t *len)
{
  const struct aead_state *s = op->state;
  uint8_t *to = s->message_based ? s->message_tag : ret_after;
  if (!to || EVP_CIPHER_CTX_ctrl(op->cipher_ctx, EVP_CTRL_AEAD_GET_TAG, (int)s->tag_len, to) != 1)
    return failed(op);
  *len += tag_in_message(op);
  return HF_OK;
}

static hf_err encrypt_stream(struct op *op, struct hf_slice in, bool last, uint8_t *ret_out, size_t *ret_len)
{
  int rest = 0;
  size_t len = in.len;
  uint8_t none[CIPHER_BLOCK_MAX];
  HF_TRY(cipher_run(op, in, ret_out));
  if (last && EVP_CipherFinal_ex(op->cipher_ctx, none, &rest) != 1)
    return failed(op);
  if (last)
    HF_TRY(give_tag(op, ret_out + len, &len));
  *ret_len = len;
  return HF_OK;
}

/* The whole of what is decrypted, parted from its tag. */
static hf_err part_tag(const struct op *op, struct hf_slice *whole, uint8_t ret_tag[AEAD_TAG_MAX])
{
  const struct aead_state *s = op->state;
  size_t in_message = tag_in_message(op);
  if (whole->len < in_message)
    return cipher_bad_length(op, whole->len);
  whole->len -= in_message;
  const uint8_t *tag = s->message_based ? s->message_tag : whole->data + whole->len;
  if (!tag)
    return hf_fail(HF_ERR_INTERNAL, "%s: a message without a tag", op->mech->name);
  memcpy(ret_tag, tag, s->tag_len);
  return HF_OK;
}

static hf_err open_stream(struct op *op, struct hf_slice whole, uint8_t *ret_out, size_t *ret_len)
{
  const struct aead_state *s = op->state;
  uint8_t tag[AEAD_TAG_MAX], none[CIPHER_BLOCK_MAX];
  int rest = 0;
  HF_TRY(part_tag(op, &whole, tag));
  bool good = EVP_CIPHER_CTX_ctrl(op->cipher_ctx, EVP_CTRL_AEAD_SET_TAG, (int)s->tag_len, tag) == 1 &&
              !hf_failed(cipher_run(op, whole, ret_out)) && EVP_CipherFinal_ex(op->cipher_ctx, none, &rest) == 1;
  if (!good) {
    hf_wipe(ret_out, whole.len);
    return cipher_not_valid(op);
  }
  *ret_len = whole.len;
  return HF_OK;
}

/* The context for one message of CCM, up to the message itself; tag is NULL where it encrypts. */
static bool begin_ccm(struct op *op, size_t len, uint8_t *tag)
{
  const struct aead_state *s = op->state;
  const EVP_CIPHER *cipher = EVP_CIPHER_CTX_get0_cipher(op->cipher_ctx);
  int n;
  return EVP_CipherInit_ex2(op->cipher_ctx, cipher, NULL, NULL, op_encrypts(op), NULL) == 1 &&
         EVP_CIPHER_CTX_ctrl(op->cipher_ctx, EVP_CTRL_AEAD_SET_IVLEN, (int)s->iv_len, NULL) == 1 &&
         EVP_CIPHER_CTX_ctrl(op->cipher_ctx, EVP_CTRL_AEAD_SET_TAG, (int)s->tag_len, tag) == 1 &&
         EVP_CipherInit_ex2(op->cipher_ctx, NULL, s->key, s->iv, -1, NULL) == 1 &&
         EVP_CipherUpdate(op->cipher_ctx, NULL, &n, NULL, (int)len) == 1 && add_aad(op);
}

/* With no byte, too: that is when the tag is made, or verified. */
static bool run_ccm(struct op *op, struct hf_slice in, uint8_t *out)
{
  static const uint8_t nothing;
  int n;
  return EVP_CipherUpdate(op->cipher_ctx, out, &n, in.len ? in.data : &nothing, (int)in.len) == 1;
}

static hf_err seal_ccm(struct op *op, struct hf_slice whole, uint8_t *ret_out, size_t *ret_len)
{
  size_t len = whole.len;
  if (!begin_ccm(op, len, NULL) || !run_ccm(op, whole, ret_out))
    return failed(op);
  HF_TRY(give_tag(op, ret_out + len, &len));
  *ret_len = len;
  return HF_OK;
}

static hf_err open_ccm(struct op *op, struct hf_slice whole, uint8_t *ret_out, size_t *ret_len)
{
  uint8_t tag[AEAD_TAG_MAX];
  HF_TRY(part_tag(op, &whole, tag));
  if (!begin_ccm(op, whole.len, tag))
    return failed(op);
  if (!run_ccm(op, whole, ret_out)) {
    hf_wipe(ret_out, whole.len);
    return cipher_not_valid(op);
  }
  *ret_len = whole.len;
  return HF_OK;
}

static hf_err finish_ccm(struct op *op, struct hf_slice whole, uint8_t *ret_out, size_t *ret_len)
{
  const struct aead_state *s = op->state;
  if (whole.len != s->data_len + (op_encrypts(op) ? 0 : tag_in_message(op)))
    return cipher_bad_length(op, whole.len);
  return (op_encrypts(op) ? seal_ccm : open_ccm)(op, whole, ret_out, ret_len);
}

static hf_err crypt_held(struct op *op, struct hf_slice in, bool last, uint8_t *ret_out, size_t *ret_len,
                         hf_err (*finish)(struct op *op, struct hf_slice whole, uint8_t *ret_out, size_t *ret_len))
{
  struct aead_state *s = op->state;
  *ret_len = 0;
  if (!last)
    return cipher_hold(op, &s->held, in);
  if (s->held.len) {
    HF_TRY(cipher_hold(op, &s->held, in));
    in = hf_slice(s->held.data, s->held.len);
  }
  return finish(op, in, ret_out, ret_len);
}

static hf_err crypt_stream(struct op *op, struct hf_slice in, bool last, uint8_t *ret_out, size_t *ret_len)
{
  return op_encrypts(op) ? encrypt_stream(op, in, last, ret_out, ret_len)
                         : crypt_held(op, in, last, ret_out, ret_len, open_stream);
}

static hf_err crypt_ccm(struct op *op, struct hf_slice in, bool last, uint8_t *ret_out, size_t *ret_len)
{
  return crypt_held(op, in, last, ret_out, ret_len, finish_ccm);
}

static size_t size_at_end(const struct op *op, size_t in_len)
{
  const struct aead_state *s = op->state;
  size_t all = s->held.len + in_len, tag = tag_in_message(op);
  if (op_encrypts(op))
    return all + tag;
  return all < tag ? 0 : all - tag;
}

static size_t size_stream(const struct op *op, size_t in_len, bool last)
{
  return last ? size_at_end(op, in_len) : op_encrypts(op) ? in_len : 0;
}

static size_t size_ccm(const struct op *op, size_t in_len, bool last)
{
  return last ? size_at_end(op, in_len) : 0;
}

const struct mech_ops mech_gcm = {
  .available = cipher_available,
  .prepare = prepare,
  .set_param = set_gcm,
  .start = aead_start_stream,
  .crypt = crypt_stream,
  .crypt_size = size_stream,
  .crypt_parts = true,
  .message_param = aead_gcm_message_param,
  .message_tag = aead_gcm_message_tag,
};

const struct mech_ops mech_chacha20_poly1305 = {
  .available = cipher_available,
  .prepare = prepare,
  .set_param = set_chacha,
  .start = aead_start_stream,
  .crypt = crypt_stream,
  .crypt_size = size_stream,
  .crypt_parts = true,
  .message_param = aead_chacha_message_param,
  .message_tag = aead_chacha_message_tag,
};

const struct mech_ops mech_ccm = {
  .available = cipher_available,
  .prepare = prepare_ccm,
  .set_param = set_ccm,
  .start = aead_start_ccm,
  .crypt = crypt_ccm,
  .crypt_size = size_ccm,
  .crypt_parts = true,
  .message_param = aead_ccm_message_param,
  .message_tag = aead_ccm_message_tag,
};
