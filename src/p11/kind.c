/* SPDX-License-Identifier: Apache-2.0 */
#include "p11/kind.h"

enum { MECHANISMS_MAX = 1024, OFFER_MAX = 256, NAME_MAX_BYTES = 32 };

/* clang-format off */
static const struct p11_kind kinds[] = {
  [P11_EC_P256] = { "P-256", CKM_EC_KEY_PAIR_GEN, "secp256r1" },
  [P11_EC_P384] = { "P-384", CKM_EC_KEY_PAIR_GEN, "secp384r1" },
  [P11_EC_P521] = { "P-521", CKM_EC_KEY_PAIR_GEN, "secp521r1" },
  [P11_ED25519] = { "Ed25519", CKM_EC_EDWARDS_KEY_PAIR_GEN, "edwards25519" },
  [P11_RSA] = { "RSA", CKM_RSA_PKCS_KEY_PAIR_GEN, NULL },
};
/* clang-format on */

const struct p11_kind *p11_kind(enum p11_key_kind kind)
{
  return &kinds[kind];
}

/* False only where the token lists its mechanisms, and this one is not among them. */
static bool listed(struct p11_session *session, CK_MECHANISM_TYPE mechanism)
{
  CK_FUNCTION_LIST *f = p11_module_functions(p11_session_module(session));
  CK_MECHANISM_TYPE all[MECHANISMS_MAX];
  CK_ULONG count = MECHANISMS_MAX;
  if (f->C_GetMechanismList(p11_session_slot(session), all, &count) != CKR_OK || count > MECHANISMS_MAX)
    return true;
  for (CK_ULONG i = 0; i < count; i++)
    if (all[i] == mechanism)
      return true;
  return false;
}

/* The bits of keys that the mechanism takes; 0 where the token says nothing of use. */
static void sizes(struct p11_session *session, CK_MECHANISM_TYPE mechanism, CK_ULONG *ret_min, CK_ULONG *ret_max)
{
  CK_FUNCTION_LIST *f = p11_module_functions(p11_session_module(session));
  CK_MECHANISM_INFO info = { 0 };
  bool told = f->C_GetMechanismInfo(p11_session_slot(session), mechanism, &info) == CKR_OK &&
              info.ulMinKeySize <= info.ulMaxKeySize;
  *ret_min = told ? info.ulMinKeySize : 0;
  *ret_max = told ? info.ulMaxKeySize : 0;
}

/* In whole bytes: for edwards25519 tokens say 255 and 256. */
static bool fits(size_t bits, CK_ULONG min, CK_ULONG max)
{
  size_t bytes = (bits + 7) / 8;
  return max == 0 || (bytes >= (min + 7) / 8 && bytes <= (max + 7) / 8);
}

static bool fits_kind(struct p11_session *session, const struct p11_kind *kind, unsigned rsa_bits)
{
  CK_ULONG min, max;
  sizes(session, kind->mechanism, &min, &max);
  return fits(kind->curve ? p11_curve_by_name(kind->curve)->bits : rsa_bits, min, max);
}

static hf_err add_rsa(struct p11_session *session, struct hf_buf *out)
{
  CK_ULONG min, max;
  sizes(session, kinds[P11_RSA].mechanism, &min, &max);
  return max ? hf_buf_addf(out, "RSA of %lu to %lu bits", min, max) : hf_buf_add_str(out, "RSA");
}

/* "P-256, P-384, RSA of 2048 to 4096 bits" */
static hf_err list_offer(struct p11_session *session, struct hf_buf *out)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(kinds); i++) {
    if (!listed(session, kinds[i].mechanism) || (kinds[i].curve && !fits_kind(session, &kinds[i], 0)))
      continue;
    HF_TRY(hf_buf_add_str(out, out->len ? ", " : ""));
    HF_TRY(kinds[i].curve ? hf_buf_add_str(out, kinds[i].name) : add_rsa(session, out));
  }
  return out->len ? HF_OK : hf_buf_add_str(out, "no key pairs of any kind");
}

hf_err p11_kind_check(struct p11_session *session, const struct p11_key_spec *spec)
{
  const struct p11_kind *kind = &kinds[spec->kind];
  bool has_mechanism = listed(session, kind->mechanism);
  if (has_mechanism && fits_kind(session, kind, spec->rsa_bits))
    return HF_OK;
  HF_CLEANUP(hf_buf_free) struct hf_buf offer = HF_BUF(OFFER_MAX);
  struct p11_token token;
  char name[NAME_MAX_BYTES];
  HF_TRY(p11_token_get(p11_session_module(session), p11_session_slot(session), &token));
  HF_TRY(list_offer(session, &offer));
  if (spec->kind == P11_RSA)
    snprintf(name, sizeof(name), "RSA-%u", spec->rsa_bits);
  else
    snprintf(name, sizeof(name), "%s", kind->name);
  hf_err e = hf_fail(has_mechanism ? HF_ERR_KEY_SIZE_RANGE : HF_ERR_MECHANISM_INVALID, "%s keys in token '%s'", name,
                     token.label);
  return hf_hint(e, "It offers %s.", hf_buf_str(&offer));
}

bool p11_object_is_kind(const struct p11_object *object, const struct p11_key_spec *spec)
{
  const char *curve = kinds[spec->kind].curve;
  if (!curve)
    return object->key_type == CKK_RSA && object->bits == spec->rsa_bits;
  return object->curve && strcmp(object->curve, curve) == 0;
}
