/* SPDX-License-Identifier: Apache-2.0 */
/* Keys out of a key's own bytes (PKCS #11 v3.2, section 6.43), and out of their hash (6.17 to 6.26). */
#include "token/mech/kdf.h"

#include "token/crypto.h"

enum { STRING_MAX = 64 << 10, BITS = 8 };

/* Concatenation and exclusive or with data. */
static hf_err prepare_data(struct op *op, const struct op_key *key, const CK_MECHANISM *m)
{
  (void)m;
  CK_KEY_DERIVATION_STRING_DATA data;
  struct hf_slice bytes;
  HF_TRY(kdf_keep(op, key, sizeof(data)));
  memcpy(&data, op->param, sizeof(data));
  HF_TRY(kdf_bytes(op->mech, data.pData, data.ulLen, STRING_MAX, &bytes));
  return hf_buf_add(&kdf_of(op)->other, bytes.data, bytes.len);
}

static hf_err prepare_key(struct op *op, const struct op_key *key, const CK_MECHANISM *m)
{
  (void)m;
  CK_OBJECT_HANDLE handle;
  HF_TRY(kdf_keep(op, key, sizeof(handle)));
  memcpy(&handle, op->param, sizeof(handle));
  return op_other_key(op, key, handle, &kdf_of(op)->other);
}

static hf_err join(const struct op *op, const struct hf_buf *first, const struct hf_buf *second, size_t len,
                   struct hf_buf *out)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf both = HF_BUF(2 * ATTRS_MAX_BYTES);
  HF_TRY(hf_buf_add(&both, first->data, first->len));
  HF_TRY(hf_buf_add(&both, second->data, second->len));
  return kdf_give(op, hf_slice(both.data, both.len), len, out);
}

static hf_err derive_base_first(struct op *op, size_t len, struct hf_buf *out)
{
  return join(op, &kdf_of(op)->base, &kdf_of(op)->other, len, out);
}

static hf_err derive_data_first(struct op *op, size_t len, struct hf_buf *out)
{
  return join(op, &kdf_of(op)->other, &kdf_of(op)->base, len, out);
}

static hf_err derive_xor(struct op *op, size_t len, struct hf_buf *out)
{
  struct kdf *kdf = kdf_of(op);
  size_t have = kdf->base.len < kdf->other.len ? kdf->base.len : kdf->other.len;
  for (size_t i = 0; i < have; i++)
    kdf->base.data[i] ^= kdf->other.data[i];
  return kdf_give(op, hf_slice(kdf->base.data, have), len, out);
}

static hf_err prepare_extract(struct op *op, const struct op_key *key, const CK_MECHANISM *m)
{
  (void)m;
  CK_ULONG first;
  HF_TRY(kdf_keep(op, key, sizeof(first)));
  memcpy(&first, op->param, sizeof(first));
  return first < BITS * key->value.len ? HF_OK : kdf_bad_param(op->mech, "the first bit is behind the key's last");
}

/* Bits of the base key from the one that the parameter says, its first behind its last. */
static hf_err derive_extract(struct op *op, size_t len, struct hf_buf *out)
{
  const struct hf_buf *base = &kdf_of(op)->base;
  CK_ULONG first;
  memcpy(&first, op->param, sizeof(first));
  if (len == 0)
    len = base->len;
  if (len > base->len)
    return kdf_give(op, hf_slice(base->data, base->len), len, out);
  for (size_t i = 0; i < len; i++) {
    size_t at = first / BITS + i, shift = first % BITS;
    unsigned two = (unsigned)base->data[at % base->len] << BITS | base->data[(at + 1) % base->len];
    HF_TRY(hf_buf_add_u8(out, (uint8_t)(two >> (BITS - shift))));
  }
  return HF_OK;
}

static hf_err prepare_hash(struct op *op, const struct op_key *key, const CK_MECHANISM *m)
{
  (void)m;
  return kdf_keep(op, key, 0);
}

static hf_err derive_hash(struct op *op, size_t len, struct hf_buf *out)
{
  uint8_t hash[EVP_MAX_MD_SIZE];
  unsigned hash_len;
  const struct hf_buf *base = &kdf_of(op)->base;
  if (EVP_Digest(base->data, base->len, hash, &hash_len, crypto_md(op->mech->alg), NULL) != 1)
    return crypto_fail(HF_ERR_FUNCTION_FAILED, op->mech->name);
  hf_err e = kdf_give(op, hf_slice(hash, hash_len), len, out);
  hf_wipe(hash, sizeof(hash));
  return e;
}

/* Hashes of any length (FIPS 202, section 6.2), which are not among those of fixed length that crypto_md knows. */
static bool has_xof(const struct mech *mech)
{
  EVP_MD *md = EVP_MD_fetch(crypto_ctx(), mech->alg, NULL);
  EVP_MD_free(md);
  return md != NULL;
}

static hf_err derive_xof(struct op *op, size_t len, struct hf_buf *out)
{
  const struct hf_buf *base = &kdf_of(op)->base;
  uint8_t *room;
  HF_TRY(kdf_need_len(op, len));
  HF_TRY(hf_buf_reserve(out, len, &room));
  EVP_MD *md = EVP_MD_fetch(crypto_ctx(), op->mech->alg, NULL);
  op->md_ctx = EVP_MD_CTX_new();
  bool done = md && op->md_ctx && EVP_DigestInit_ex2(op->md_ctx, md, NULL) == 1 &&
              EVP_DigestUpdate(op->md_ctx, base->data, base->len) == 1 &&
              EVP_DigestFinalXOF(op->md_ctx, room, len) == 1;
  EVP_MD_free(md);
  if (!done)
    return crypto_fail(HF_ERR_FUNCTION_FAILED, op->mech->name);
  hf_buf_commit(out, len);
  return HF_OK;
}

static bool has_hash(const struct mech *mech)
{
  return crypto_md(mech->alg) != NULL;
}

const struct mech_ops mech_concatenate_key = { .prepare = prepare_key, .derive = derive_base_first };
const struct mech_ops mech_concatenate_data = { .prepare = prepare_data, .derive = derive_base_first };
const struct mech_ops mech_concatenate_base = { .prepare = prepare_data, .derive = derive_data_first };
const struct mech_ops mech_xor = { .prepare = prepare_data, .derive = derive_xor };
const struct mech_ops mech_extract = { .prepare = prepare_extract, .derive = derive_extract };
const struct mech_ops mech_hash_key = { .available = has_hash, .prepare = prepare_hash, .derive = derive_hash };
const struct mech_ops mech_xof_key = { .available = has_xof, .prepare = prepare_hash, .derive = derive_xof };
