/* SPDX-License-Identifier: Apache-2.0 */
#include "token/mech/kdf.h"

#include "token/crypto.h"

#include <openssl/kdf.h>
#include <openssl/params.h>

static void free_state(void *state)
{
  struct kdf *kdf = state;
  hf_buf_free(&kdf->base);
  hf_buf_free(&kdf->other);
  free(kdf);
}

hf_err kdf_keep(struct op *op, const struct op_key *key, size_t param_size)
{
  if (op->param_len != param_size)
    return kdf_bad_param(op->mech, "its parameter's size");
  struct kdf *kdf = calloc(1, sizeof(*kdf));
  if (!kdf)
    return hf_fail(HF_ERR_NO_MEMORY, "%s", op->mech->name);
  kdf->base = kdf->other = HF_BUF(ATTRS_MAX_BYTES);
  op->state = kdf;
  op->free_state = free_state;
  op->once = true;
  return hf_buf_add(&kdf->base, key->value.data, key->value.len);
}

struct kdf *kdf_of(struct op *op)
{
  return op->state;
}

hf_err kdf_bad_param(const struct mech *mech, const char *what)
{
  return hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "%s: %s", mech->name, what);
}

hf_err kdf_bytes(const struct mech *mech, const void *data, CK_ULONG len, CK_ULONG max, struct hf_slice *ret_bytes)
{
  if (len > max || (len && !data))
    return hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "%s: %lu bytes in its parameter, of at most %lu", mech->name, len,
                   max);
  *ret_bytes = hf_slice(data, len);
  return HF_OK;
}

hf_err kdf_need_len(const struct op *op, size_t len)
{
  return len ? HF_OK
             : hf_fail(HF_ERR_TEMPLATE_INCOMPLETE, "CKA_VALUE_LEN is missing: %s makes a secret of any length",
                       op->mech->name);
}

hf_err kdf_give(const struct op *op, struct hf_slice made, size_t len, struct hf_buf *out)
{
  if (len > made.len)
    return hf_fail(HF_ERR_TEMPLATE_INCONSISTENT, "%s makes %zu bytes, not %zu", op->mech->name, made.len, len);
  return hf_buf_add(out, made.data, len ? len : made.len);
}

OSSL_PARAM kdf_text(const char *key, const char *text)
{
  return OSSL_PARAM_construct_utf8_string(key, (char *)(uintptr_t)text, 0);
}

OSSL_PARAM kdf_octets(const char *key, struct hf_slice bytes)
{
  static const uint8_t none;
  return OSSL_PARAM_construct_octet_string(key, (void *)(uintptr_t)(bytes.len ? bytes.data : &none), bytes.len);
}

static EVP_KDF_CTX *new_ctx(const char *name)
{
  EVP_KDF *kdf = EVP_KDF_fetch(crypto_ctx(), name, NULL);
  EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
  EVP_KDF_free(kdf);
  return ctx;
}

hf_err kdf_run(const struct mech *mech, const char *name, const OSSL_PARAM *params, size_t len, struct hf_buf *out)
{
  uint8_t *room;
  HF_TRY(hf_buf_reserve(out, len, &room));
  EVP_KDF_CTX *ctx = new_ctx(name);
  bool ok = ctx && EVP_KDF_derive(ctx, room, len, params) == 1;
  EVP_KDF_CTX_free(ctx);
  if (!ok)
    return crypto_fail(HF_ERR_FUNCTION_FAILED, mech->name);
  hf_buf_commit(out, len);
  return HF_OK;
}

bool kdf_there(const char *name)
{
  EVP_KDF_CTX *ctx = new_ctx(name);
  EVP_KDF_CTX_free(ctx);
  return ctx != NULL;
}
