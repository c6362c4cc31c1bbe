/* SPDX-License-Identifier: Apache-2.0 */
/* Keys that are data encrypted by the base key (PKCS #11 v3.2, section 6.28). */
#include "token/mech/kdf.h"

#include "token/crypto.h"

enum { DATA_MAX = 64 << 10, AES_MIN = 16 };

static const EVP_CIPHER *cipher_of(const struct mech *mech, size_t key_len)
{
  char name[32];
  bool aes = mech->keys[0] == CKK_AES;
  if (aes)
    snprintf(name, sizeof(name), "AES-%zu-%s", 8 * key_len, mech->alg);
  else
    snprintf(name, sizeof(name), "DES-EDE3-%s", mech->alg);
  return crypto_cipher(name);
}

static bool available(const struct mech *mech)
{
  return cipher_of(mech, AES_MIN) != NULL;
}

/* The parameter of ECB is data; those of CBC differ in their IV's length. */
static hf_err take_data(const struct op *op, const uint8_t **ret_iv, struct hf_slice *ret_data)
{
  const void *data;
  CK_ULONG len;
  *ret_iv = op->param;
  if (op->param_len == sizeof(CK_KEY_DERIVATION_STRING_DATA)) {
    CK_KEY_DERIVATION_STRING_DATA params;
    memcpy(&params, op->param, sizeof(params));
    data = params.pData;
    len = params.ulLen;
  } else if (op->param_len == sizeof(CK_AES_CBC_ENCRYPT_DATA_PARAMS)) {
    CK_AES_CBC_ENCRYPT_DATA_PARAMS params;
    memcpy(&params, op->param, sizeof(params));
    data = params.pData;
    len = params.length;
  } else {
    CK_DES_CBC_ENCRYPT_DATA_PARAMS params;
    memcpy(&params, op->param, sizeof(params));
    data = params.pData;
    len = params.length;
  }
  return kdf_bytes(op->mech, data, len, DATA_MAX, ret_data);
}

static hf_err prepare(struct op *op, const struct op_key *key, const CK_MECHANISM *m)
{
  (void)m;
  bool cbc = strcmp(op->mech->alg, "CBC") == 0, aes = op->mech->keys[0] == CKK_AES;
  const uint8_t *iv;
  struct hf_slice data;
  HF_TRY(kdf_keep(op, key,
                  !cbc  ? sizeof(CK_KEY_DERIVATION_STRING_DATA)
                  : aes ? sizeof(CK_AES_CBC_ENCRYPT_DATA_PARAMS)
                        : sizeof(CK_DES_CBC_ENCRYPT_DATA_PARAMS)));
  HF_TRY(take_data(op, &iv, &data));
  const EVP_CIPHER *cipher = cipher_of(op->mech, key->value.len);
  op->cipher_ctx = EVP_CIPHER_CTX_new();
  bool ok = cipher && op->cipher_ctx &&
            EVP_EncryptInit_ex2(op->cipher_ctx, cipher, key->value.data, cbc ? iv : NULL, NULL) == 1 &&
            EVP_CIPHER_CTX_set_padding(op->cipher_ctx, 0) == 1;
  if (!ok)
    return crypto_fail(HF_ERR_FUNCTION_FAILED, op->mech->name);
  size_t block = (size_t)EVP_CIPHER_CTX_get_block_size(op->cipher_ctx);
  return data.len && data.len % block == 0 ? HF_OK : kdf_bad_param(op->mech, "the data is no number of whole blocks");
}

static hf_err derive(struct op *op, size_t len, struct hf_buf *out)
{
  const uint8_t *iv;
  uint8_t *room;
  int made;
  struct hf_slice data;
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(DATA_MAX);
  HF_TRY(take_data(op, &iv, &data));
  HF_TRY(hf_buf_reserve(&text, data.len, &room));
  if (EVP_EncryptUpdate(op->cipher_ctx, room, &made, data.data, (int)data.len) != 1)
    return crypto_fail(HF_ERR_FUNCTION_FAILED, op->mech->name);
  hf_buf_commit(&text, (size_t)made);
  return kdf_give(op, hf_slice(text.data, text.len), len, out);
}

const struct mech_ops mech_encrypt_data = { .available = available, .prepare = prepare, .derive = derive };
