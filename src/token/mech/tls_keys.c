/* SPDX-License-Identifier: Apache-2.0 */
/* TLS 1.2's key block (RFC 5246, section 6.3): up to four keys, and IVs for the caller (PKCS #11 v3.2, section 6.40). */
#include "token/mech/tls.h"

enum { BYTES_MAX = 64, SHARED = 8, OWN = 10 };

static bool with_ivs(const struct mech *mech)
{
  return mech->type == CKM_TLS12_KEY_AND_MAC_DERIVE;
}

/* Bits as the parameter has them, in whole bytes. */
static hf_err take_bits(const struct op *op, CK_ULONG bits, CK_ULONG *ret_bytes)
{
  if (bits % 8 || bits / 8 > BYTES_MAX)
    return hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "%s: %lu bits", op->mech->name, bits);
  *ret_bytes = bits / 8;
  return HF_OK;
}

struct sizes {
  CK_ULONG mac, key, iv;
};

static hf_err take_sizes(const struct op *op, const struct hf_ck_tls12_key_mat_params *params, struct sizes *sizes)
{
  HF_TRY(take_bits(op, params->ulMacSizeInBits, &sizes->mac));
  HF_TRY(take_bits(op, params->ulKeySizeInBits, &sizes->key));
  return take_bits(op, with_ivs(op->mech) ? params->ulIVSizeInBits : 0, &sizes->iv);
}

static hf_err prepare(struct op *op, const struct op_key *key, const CK_MECHANISM *m)
{
  (void)m;
  struct hf_ck_tls12_key_mat_params params;
  struct sizes sizes;
  HF_TRY(kdf_keep(op, key, sizeof(params)));
  memcpy(&params, op->param, sizeof(params));
  const struct hf_ck_ssl3_key_mat_out *out = params.pReturnedKeyMaterial;
  HF_TRY(tls_check_hash(op->mech, params.prfHashMechanism));
  HF_TRY(take_sizes(op, &params, &sizes));
  if (params.bIsExport || !out)
    return kdf_bad_param(op->mech, out ? "export keys" : "no place for the keys");
  if (sizes.mac + sizes.key == 0 || (sizes.iv && (!out->pIVClient || !out->pIVServer)))
    return kdf_bad_param(op->mech, sizes.iv ? "no place for the IVs" : "neither keys nor MAC keys");
  if (key->value.len != TLS_MASTER)
    return hf_fail(HF_ERR_KEY_SIZE_RANGE, "%s: a master secret of %zu bytes", op->mech->name, key->value.len);
  return tls_add_randoms(op->mech, &params.RandomInfo, true, &kdf_of(op)->other);
}

/* What the template says of all four keys. */
static CK_ULONG shared_part(const struct derivation *d, CK_ATTRIBUTE *out)
{
  static const CK_ATTRIBUTE_TYPE types[SHARED] = { CKA_TOKEN,       CKA_PRIVATE,   CKA_MODIFIABLE,  CKA_COPYABLE,
                                                   CKA_DESTROYABLE, CKA_SENSITIVE, CKA_EXTRACTABLE, CKA_LABEL };
  CK_ULONG count = 0;
  for (CK_ULONG i = 0; i < d->count && count < SHARED; i++)
    for (size_t k = 0; k < SHARED; k++)
      if (d->tmpl[i].type == types[k])
        out[count++] = d->tmpl[i];
  return count;
}

/* The value of a key's CKA_SENSITIVE and CKA_EXTRACTABLE is the base key's; a template may only agree. */
static hf_err add_key(struct op *op, struct derivation *d, CK_ATTRIBUTE *tmpl, CK_ULONG count, CK_ULONG bytes,
                      CK_OBJECT_HANDLE *ret_handle)
{
  const struct attrs *base = object_attrs(op->object);
  CK_BBOOL sensitive = attrs_true(base, CKA_SENSITIVE), extractable = attrs_true(base, CKA_EXTRACTABLE);
  tmpl[count++] = (CK_ATTRIBUTE){ CKA_SENSITIVE, &sensitive, sizeof(sensitive) };
  tmpl[count++] = (CK_ATTRIBUTE){ CKA_EXTRACTABLE, &extractable, sizeof(extractable) };
  HF_TRY(derivation_object(op, d, tmpl, count, ret_handle));
  struct derived *piece = &d->pieces[d->piece_count - 1];
  if (piece->len && piece->len != bytes)
    return hf_fail(HF_ERR_TEMPLATE_INCONSISTENT, "%s: %lu bytes by its parameter, %zu by the template", op->mech->name,
                   bytes, piece->len);
  piece->len = piece->span = bytes;
  return HF_OK;
}

static hf_err add_mac_key(struct op *op, struct derivation *d, CK_ULONG bytes, CK_OBJECT_HANDLE *ret_handle)
{
  CK_OBJECT_CLASS class = CKO_SECRET_KEY;
  CK_KEY_TYPE type = CKK_GENERIC_SECRET;
  CK_BBOOL yes = CK_TRUE;
  CK_ATTRIBUTE tmpl[SHARED + OWN] = { { CKA_CLASS, &class, sizeof(class) },
                                      { CKA_KEY_TYPE, &type, sizeof(type) },
                                      { CKA_SIGN, &yes, sizeof(yes) },
                                      { CKA_VERIFY, &yes, sizeof(yes) },
                                      { CKA_DERIVE, &yes, sizeof(yes) } };
  return add_key(op, d, tmpl, 5 + shared_part(d, tmpl + 5), bytes, ret_handle);
}

static hf_err add_cipher_key(struct op *op, struct derivation *d, CK_ULONG bytes, CK_OBJECT_HANDLE *ret_handle)
{
  CK_ATTRIBUTE *tmpl = calloc(d->count + OWN, sizeof(*tmpl));
  if (!tmpl)
    return hf_fail(HF_ERR_NO_MEMORY, "a template");
  if (d->count)
    memcpy(tmpl, d->tmpl, d->count * sizeof(*tmpl));
  hf_err e = add_key(op, d, tmpl, d->count, bytes, ret_handle);
  free(tmpl);
  return e;
}

static hf_err plan(struct op *op, struct derivation *d)
{
  struct hf_ck_tls12_key_mat_params params;
  struct sizes sizes;
  memcpy(&params, op->param, sizeof(params));
  struct hf_ck_ssl3_key_mat_out *out = params.pReturnedKeyMaterial;
  HF_TRY(take_sizes(op, &params, &sizes));
  if (sizes.mac) {
    HF_TRY(add_mac_key(op, d, sizes.mac, &out->hClientMacSecret));
    HF_TRY(add_mac_key(op, d, sizes.mac, &out->hServerMacSecret));
  }
  if (sizes.key) {
    HF_TRY(add_cipher_key(op, d, sizes.key, &out->hClientKey));
    HF_TRY(add_cipher_key(op, d, sizes.key, &out->hServerKey));
  }
  if (sizes.iv) {
    HF_TRY(derivation_bytes(d, sizes.iv, out->pIVClient));
    HF_TRY(derivation_bytes(d, sizes.iv, out->pIVServer));
  }
  return HF_OK;
}

static hf_err derive(struct op *op, size_t len, struct hf_buf *out)
{
  struct kdf *kdf = kdf_of(op);
  struct hf_ck_tls12_key_mat_params params;
  memcpy(&params, op->param, sizeof(params));
  return tls_prf(op->mech, params.prfHashMechanism, hf_slice(kdf->base.data, kdf->base.len), "key expansion",
                 hf_slice(kdf->other.data, kdf->other.len), len, out);
}

const struct mech_ops mech_tls_keys = {
  .available = tls_available, .prepare = prepare, .plan = plan, .derive = derive
};
