/* SPDX-License-Identifier: Apache-2.0 */
/* Message-based authenticated encryption: a parameter, and an IV, for each message (PKCS #11 v3.2, sections 5.10 and 6.13.11). */
#include "token/mech/aead.h"

#include "token/crypto.h"

/* Fewer random bits would repeat before a key has done its work. */
enum { RANDOM_BITS_MIN = 64, CHACHA_NONCE = 12, CHACHA_TAG = 16 };

/* Puts the low bits of value, big-endian, into the bits of iv that are not fixed: in their place, or over what is there. */
static void put_counter(uint8_t *iv, const struct aead_iv *how, uint64_t value, bool over)
{
  size_t free_bits = 8 * how->len - how->fixed_bits;
  for (size_t bit = 0; bit < free_bits; bit++) {
    uint8_t *byte = &iv[how->len - 1 - bit / 8], mask = (uint8_t)(1U << (bit % 8));
    bool one = bit < 64 && value >> bit & 1;
    if (!over)
      *byte &= (uint8_t)~mask;
    if (one)
      *byte ^= mask;
  }
}

static hf_err count(struct op *op, const struct aead_iv *how)
{
  struct aead_state *s = op->state;
  size_t free_bits = 8 * how->len - how->fixed_bits;
  bool over = how->generator == CKG_GENERATE_COUNTER_XOR;
  if (free_bits < 64 && s->counter >> free_bits)
    return hf_fail(HF_ERR_FUNCTION_FAILED, "%s: the IV's counter has no value left", op->mech->name);
  if (s->counter == 0)
    memcpy(s->base_iv, how->iv, how->len);
  memcpy(how->iv, s->base_iv, how->len);
  put_counter(how->iv, how, s->counter++, over);
  return HF_OK;
}

static hf_err draw(struct op *op, const struct aead_iv *how)
{
  uint8_t drawn[AEAD_IV_MAX];
  if (8 * how->len - how->fixed_bits < RANDOM_BITS_MIN)
    return hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "%s: fewer than %d random bits", op->mech->name, RANDOM_BITS_MIN);
  HF_TRY(crypto_random(drawn, how->len));
  for (size_t bit = 0; bit < how->fixed_bits; bit++) {
    uint8_t mask = (uint8_t)(0x80U >> (bit % 8));
    drawn[bit / 8] = (uint8_t)((drawn[bit / 8] & ~mask) | (how->iv[bit / 8] & mask));
  }
  memcpy(how->iv, drawn, how->len);
  return HF_OK;
}

static const struct {
  CK_ULONG type;
  hf_err (*make)(struct op *op, const struct aead_iv *how);
} generators[] = {
  { CKG_NO_GENERATE, NULL },           { CKG_GENERATE, draw },
  { CKG_GENERATE_COUNTER, count },     { CKG_GENERATE_RANDOM, draw },
  { CKG_GENERATE_COUNTER_XOR, count },
};

hf_err aead_make_iv(struct op *op, const struct aead_iv *how)
{
  if (!how->iv || how->len == 0 || how->len > AEAD_IV_MAX || how->fixed_bits > 8 * how->len)
    return hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "%s: an IV of %lu bytes, %lu bits of it fixed", op->mech->name,
                   how->len, how->fixed_bits);
  for (size_t i = 0; i < HF_ARRAY_LEN(generators); i++)
    if (generators[i].type == how->generator)
      return generators[i].make && op_encrypts(op) ? generators[i].make(op, how) : HF_OK;
  return hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "%s: IV generator 0x%lx", op->mech->name, how->generator);
}

static hf_err take(const struct op *op, const char *what, const void *param, CK_ULONG param_len, void *ret_param,
                   size_t len)
{
  CK_MECHANISM m = { op->mech->type, (void *)(uintptr_t)param, param_len };
  return op_param(op, &m, what, ret_param, len);
}

/* The IV is made last: it is not used up by a parameter that is refused. */
static hf_err set_message(struct op *op, const struct aead_iv *how, struct hf_slice aad, size_t tag_len)
{
  HF_TRY(aead_set(op, hf_slice(how->iv, how->len), aad, tag_len));
  HF_TRY(aead_make_iv(op, how));
  struct aead_state *s = op->state;
  memcpy(s->iv, how->iv, how->len);
  s->message_based = true;
  return op->mech->ops->start(op);
}

static hf_err set_tag(struct op *op, uint8_t *tag, size_t tag_len)
{
  struct aead_state *s = op->state;
  if (!tag || tag_len != s->tag_len)
    return hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "%s: a tag of %zu bytes where %zu were announced", op->mech->name,
                   tag_len, s->tag_len);
  s->message_tag = tag;
  return HF_OK;
}

hf_err aead_gcm_message_param(struct op *op, void *param, CK_ULONG param_len, struct hf_slice aad)
{
  struct hf_ck_gcm_message_params params;
  size_t tag_len = 0;
  HF_TRY(take(op, "CK_GCM_MESSAGE_PARAMS", param, param_len, &params, sizeof(params)));
  HF_TRY(aead_gcm_tag(op, params.ulTagBits, &tag_len));
  struct aead_iv how = { params.pIv, params.ulIvLen, params.ulIvFixedBits, params.ivGenerator };
  return set_message(op, &how, aad, tag_len);
}

hf_err aead_gcm_message_tag(struct op *op, void *param, CK_ULONG param_len)
{
  struct hf_ck_gcm_message_params params;
  HF_TRY(take(op, "CK_GCM_MESSAGE_PARAMS", param, param_len, &params, sizeof(params)));
  return set_tag(op, params.pTag, params.ulTagBits / 8);
}

hf_err aead_ccm_message_param(struct op *op, void *param, CK_ULONG param_len, struct hf_slice aad)
{
  struct aead_state *s = op->state;
  struct hf_ck_ccm_message_params params;
  HF_TRY(take(op, "CK_CCM_MESSAGE_PARAMS", param, param_len, &params, sizeof(params)));
  HF_TRY(aead_ccm_check(op, params.ulDataLen, params.ulNonceLen, params.ulMACLen));
  s->data_len = params.ulDataLen;
  struct aead_iv how = { params.pNonce, params.ulNonceLen, params.ulNonceFixedBits, params.nonceGenerator };
  return set_message(op, &how, aad, params.ulMACLen);
}

hf_err aead_ccm_message_tag(struct op *op, void *param, CK_ULONG param_len)
{
  struct hf_ck_ccm_message_params params;
  HF_TRY(take(op, "CK_CCM_MESSAGE_PARAMS", param, param_len, &params, sizeof(params)));
  return set_tag(op, params.pMAC, params.ulMACLen);
}

/* Its nonce is the caller's. */
hf_err aead_chacha_message_param(struct op *op, void *param, CK_ULONG param_len, struct hf_slice aad)
{
  struct hf_ck_chacha20_poly1305_msg_params params;
  HF_TRY(take(op, "CK_SALSA20_CHACHA20_POLY1305_MSG_PARAMS", param, param_len, &params, sizeof(params)));
  if (params.ulNonceLen != CHACHA_NONCE)
    return hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "%s: a nonce of %lu bytes", op->mech->name, params.ulNonceLen);
  struct aead_iv how = { params.pNonce, params.ulNonceLen, 0, CKG_NO_GENERATE };
  return set_message(op, &how, aad, CHACHA_TAG);
}

hf_err aead_chacha_message_tag(struct op *op, void *param, CK_ULONG param_len)
{
  struct hf_ck_chacha20_poly1305_msg_params params;
  HF_TRY(take(op, "CK_SALSA20_CHACHA20_POLY1305_MSG_PARAMS", param, param_len, &params, sizeof(params)));
  return set_tag(op, params.pTag, CHACHA_TAG);
}
