/* SPDX-License-Identifier: Apache-2.0 */
#include "p11/curve.h"
#include "p11/object.h"

enum { RSA_BITS_MIN = 2048, RSA_BITS_MAX = 4096, TEMPLATE_MAX = 12 };

static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;

static const struct kind_row {
  CK_MECHANISM_TYPE mechanism;
  const char *curve;
} kinds[] = {
  [P11_EC_P256] = { CKM_EC_KEY_PAIR_GEN, "secp256r1" }, [P11_EC_P384] = { CKM_EC_KEY_PAIR_GEN, "secp384r1" },
  [P11_EC_P521] = { CKM_EC_KEY_PAIR_GEN, "secp521r1" }, [P11_ED25519] = { CKM_EC_EDWARDS_KEY_PAIR_GEN, "edwards25519" },
  [P11_RSA] = { CKM_RSA_PKCS_KEY_PAIR_GEN, NULL },
};

struct template
{
  CK_ATTRIBUTE attrs[TEMPLATE_MAX];
  CK_ULONG count;
};

/* C_GenerateKeyPair takes what it only reads as not const. */
static void add(struct template *t, CK_ATTRIBUTE_TYPE type, const void *value, size_t len)
{
  union {
    const void *in;
    void *out;
  } bridge = { .in = value };
  t->attrs[t->count++] = (CK_ATTRIBUTE){ type, bridge.out, len };
}

static void add_bool(struct template *t, CK_ATTRIBUTE_TYPE type, bool value)
{
  add(t, type, value ? &yes : &no, sizeof(CK_BBOOL));
}

static void add_names(struct template *t, const struct p11_key_spec *spec)
{
  add_bool(t, CKA_TOKEN, true);
  if (spec->label)
    add(t, CKA_LABEL, spec->label, strlen(spec->label));
  if (spec->id_len)
    add(t, CKA_ID, spec->id, spec->id_len);
}

struct hf_slice p11_key_kind_params(enum p11_key_kind kind)
{
  return kinds[kind].curve ? p11_curve_by_name(kinds[kind].curve)->oid : hf_slice(NULL, 0);
}

hf_err p11_key_generate(struct p11_session *session, const struct p11_key_spec *spec, CK_OBJECT_HANDLE *ret_public,
                        CK_OBJECT_HANDLE *ret_private)
{
  static const CK_BYTE exponent[] = { 1, 0, 1 };
  bool rsa = spec->kind == P11_RSA;
  if (rsa && (spec->rsa_bits < RSA_BITS_MIN || spec->rsa_bits > RSA_BITS_MAX || spec->rsa_bits % 8))
    return hf_hint(hf_fail(HF_ERR_KEY_SIZE_RANGE, "RSA-%u", spec->rsa_bits), "Use 2048, 3072 or 4096 bits.");
  CK_ULONG bits = spec->rsa_bits;
  struct hf_slice params = p11_key_kind_params(spec->kind);

  struct template public = { 0 }, private = { 0 };
  add_names(&public, spec);
  add_bool(&public, CKA_PRIVATE, false);
  add_bool(&public, CKA_VERIFY, true);
  if (rsa) {
    add_bool(&public, CKA_ENCRYPT, true);
    add(&public, CKA_MODULUS_BITS, &bits, sizeof(bits));
    add(&public, CKA_PUBLIC_EXPONENT, exponent, sizeof(exponent));
  } else {
    add(&public, CKA_EC_PARAMS, params.data, params.len);
  }
  add_names(&private, spec);
  add_bool(&private, CKA_PRIVATE, true);
  add_bool(&private, CKA_SENSITIVE, true);
  add_bool(&private, CKA_EXTRACTABLE, false);
  add_bool(&private, CKA_SIGN, true);
  if (rsa)
    add_bool(&private, CKA_DECRYPT, true);

  struct p11_module *module = p11_session_module(session);
  CK_MECHANISM mechanism = { kinds[spec->kind].mechanism, NULL, 0 };
  CK_OBJECT_HANDLE public_key, private_key;
  CK_RV rv = p11_module_functions(module)->C_GenerateKeyPair(p11_session_handle(session), &mechanism, public.attrs,
                                                             public.count, private.attrs, private.count, &public_key,
                                                             &private_key);
  HF_TRY(p11_fail(module, rv, "generating a key pair in slot %lu", p11_session_slot(session)));
  *ret_public = public_key;
  *ret_private = private_key;
  return HF_OK;
}
