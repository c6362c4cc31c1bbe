/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CKM_ECDH_AES_KEY_WRAP and its successors for curves with cofactor and for Montgomery's (PKCS #11 v3.2, section 6.3): a fresh key's
 * point, and behind it the key that is wrapped (RFC 5649) by what the fresh one agrees on with the wrapping key. The point is
 * as in CKA_EC_POINT: a DER OCTET STRING, and bare of Montgomery's curves.
 */
#include "token/mech/ecdh.h"

#include "token/crypto.h"
#include "token/mech/kdf.h"
#include "token/mech/kwp.h"

enum { DER_OCTET_STRING = 0x04, DER_LONG = 0x81, DER_SHORT_MAX = 0x7f };

static void free_key(void *key)
{
  if (!crypto_gone())
    EVP_PKEY_free(key);
}

static struct hf_ck_ecdh_aes_key_wrap_params params_of(const struct op *op)
{
  struct hf_ck_ecdh_aes_key_wrap_params params;
  memcpy(&params, op->param, sizeof(params));
  return params;
}

static bool bare(const EVP_PKEY *key)
{
  return !EVP_PKEY_is_a(key, "EC");
}

static hf_err add_point(EVP_PKEY *key, struct hf_slice point, struct hf_buf *out)
{
  if (!bare(key)) {
    HF_TRY(hf_buf_add_u8(out, DER_OCTET_STRING));
    if (point.len > DER_SHORT_MAX)
      HF_TRY(hf_buf_add_u8(out, DER_LONG));
    HF_TRY(hf_buf_add_u8(out, (uint8_t)point.len));
  }
  return hf_buf_add(out, point.data, point.len);
}

static hf_err prepare(struct op *op, const struct op_key *key, const CK_MECHANISM *m)
{
  (void)m;
  HF_CLEANUP(hf_buf_free) struct hf_buf point = HF_BUF(ECDH_POINT_MAX), form = HF_BUF(ECDH_POINT_MAX);
  if (op->param_len != sizeof(struct hf_ck_ecdh_aes_key_wrap_params))
    return kdf_bad_param(op->mech, "its parameter's size");
  struct hf_ck_ecdh_aes_key_wrap_params params = params_of(op);
  struct ecdh_kdf kdf = { params.kdf, hf_slice(params.pSharedData, params.ulSharedDataLen) };
  op->once = true;
  HF_TRY(ecdh_check_kdf(op->mech, &kdf));
  if (!kwp_cipher(params.ulAESKeyBits))
    return kdf_bad_param(op->mech, "the AES key's bits");
  op->cipher_ctx = EVP_CIPHER_CTX_new();
  if (!op->cipher_ctx || EVP_PKEY_up_ref(key->pkey) != 1)
    return hf_fail(HF_ERR_NO_MEMORY, "%s", op->mech->name);
  op->state = key->pkey;
  op->free_state = free_key;
  HF_TRY(ecdh_point(op->mech, key->pkey, &point));
  HF_TRY(add_point(key->pkey, hf_slice(point.data, point.len), &form));
  op->out_len = form.len;
  return HF_OK;
}

static bool cofactor(const struct op *op)
{
  return op->mech->type == CKM_ECDH_COF_AES_KEY_WRAP;
}

/* The first bits of what both agree on. */
static hf_err agree(const struct op *op, EVP_PKEY_CTX *ctx, struct hf_buf *aes)
{
  struct hf_ck_ecdh_aes_key_wrap_params params = params_of(op);
  struct ecdh_kdf kdf = { params.kdf, hf_slice(params.pSharedData, params.ulSharedDataLen) };
  size_t len = params.ulAESKeyBits / 8;
  HF_TRY(ecdh_agree(op->mech, ctx, &kdf, kdf.kdf == CKD_NULL ? 0 : len, aes));
  return aes->len >= len
             ? HF_OK
             : hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "%s: a secret of %zu bytes", op->mech->name, aes->len);
}

static hf_err wrap(struct op *op, struct hf_slice in, uint8_t *ret_out, size_t *ret_len)
{
  HF_CLEANUP(ecdh_ctx_free) EVP_PKEY_CTX *ctx = NULL;
  HF_CLEANUP(hf_buf_free) struct hf_buf point = HF_BUF(ECDH_POINT_MAX), aes = HF_BUF(ECDH_POINT_MAX);
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(OP_RESULT_MAX);
  HF_TRY(ecdh_begin_ephemeral(op->mech, op->state, cofactor(op), &point, &ctx));
  HF_TRY(agree(op, ctx, &aes));
  HF_TRY(add_point(op->state, hf_slice(point.data, point.len), &out));
  if (!kwp_run(op->cipher_ctx, kwp_cipher(params_of(op).ulAESKeyBits), aes.data, true, in, &out))
    return crypto_fail(HF_ERR_FUNCTION_FAILED, op->mech->name);
  memcpy(ret_out, out.data, out.len);
  *ret_len = out.len;
  return HF_OK;
}

static hf_err open_point(struct op *op, struct hf_slice point, struct hf_buf *aes)
{
  HF_CLEANUP(ecdh_ctx_free) EVP_PKEY_CTX *ctx = NULL;
  HF_TRY(ecdh_begin(op->mech, op->state, cofactor(op), &ctx));
  HF_TRY(ecdh_set_point(op->mech, ctx, object_attrs(op->object), point));
  return agree(op, ctx, aes);
}

/* Whichever part is wrong, it is one answer. */
static hf_err unwrap(struct op *op, struct hf_slice in, uint8_t *ret_out, size_t *ret_len)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf aes = HF_BUF(ECDH_POINT_MAX), key = HF_BUF(OP_RESULT_MAX);
  if (in.len < op->out_len + KWP_LEAST || (in.len - op->out_len) % KWP_BLOCK)
    return hf_fail(HF_ERR_ENCRYPTED_DATA_LEN_RANGE, "%s: %zu bytes", op->mech->name, in.len);
  struct hf_slice rest = hf_slice(in.data + op->out_len, in.len - op->out_len);
  hf_err e = open_point(op, hf_slice(in.data, op->out_len), &aes);
  if (e.code == HF_ERR_NO_MEMORY)
    return e;
  if (hf_failed(e) || !kwp_run(op->cipher_ctx, kwp_cipher(params_of(op).ulAESKeyBits), aes.data, false, rest, &key))
    return hf_fail(HF_ERR_ENCRYPTED_DATA_INVALID, "%s", op->mech->name);
  memcpy(ret_out, key.data, key.len);
  *ret_len = key.len;
  return HF_OK;
}

static hf_err wrap_or_unwrap(struct op *op, struct hf_slice in, bool last, uint8_t *ret_out, size_t *ret_len)
{
  (void)last;
  return (op->kind == OP_WRAP ? wrap : unwrap)(op, in, ret_out, ret_len);
}

const struct mech_ops mech_ecdh_aes = { .prepare = prepare, .crypt = wrap_or_unwrap, .crypt_size = kwp_crypt_size };
