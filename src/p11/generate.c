/* SPDX-License-Identifier: Apache-2.0 */
#include "p11/kind.h"
#include "p11/server.h"

enum { RSA_BITS_MIN = 2048, RSA_BITS_MAX = 4096, TEMPLATE_MAX = 12 };

static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;

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

struct pair {
  CK_OBJECT_HANDLE public, private;
};

/* What the two attempts at a key may differ in. */
struct way {
  CK_MECHANISM_TYPE mechanism;
  bool bare; /* without CKA_EXTRACTABLE and CKA_DERIVE */
};

/* params: CKA_EC_PARAMS; empty for RSA. */
static hf_err generate_by(const struct way *way, struct p11_session *session, const struct p11_key_spec *spec,
                          struct hf_slice params, struct pair *ret_pair)
{
  static const CK_BYTE exponent[] = { 1, 0, 1 };
  CK_ULONG bits = spec->rsa_bits;
  bool rsa = spec->kind == P11_RSA;

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
  if (!way->bare)
    add_bool(&private, CKA_EXTRACTABLE, false);
  add_bool(&private, CKA_SIGN, true);
  if (rsa)
    add_bool(&private, CKA_DECRYPT, true);
  else if (spec->kind != P11_ED25519 && !way->bare)
    add_bool(&private, CKA_DERIVE, true);

  struct p11_module *module = p11_session_module(session);
  CK_MECHANISM mechanism = { way->mechanism, NULL, 0 };
  struct pair pair;
  CK_RV rv = p11_module_functions(module)->C_GenerateKeyPair(p11_session_handle(session), &mechanism, public.attrs,
                                                             public.count, private.attrs, private.count, &pair.public,
                                                             &pair.private);
  HF_TRY(p11_fail(module, rv, "generating a %s key pair in slot %lu", p11_kind(spec->kind)->name,
                  p11_session_slot(session)));
  *ret_pair = pair;
  return HF_OK;
}

/* Where the token was not told, it must say so itself. */
static hf_err check_private(struct p11_session *session, const struct pair *pair)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf extractable = HF_BUF(sizeof(CK_BBOOL));
  hf_err e = p11_object_get(session, pair->private, CKA_EXTRACTABLE, &extractable);
  if (!hf_failed(e) && extractable.len == sizeof(CK_BBOOL) && extractable.data[0] == CK_FALSE)
    return HF_OK;
  hf_ignore(p11_object_destroy(session, pair->private));
  hf_ignore(p11_object_destroy(session, pair->public));
  return hf_fail(HF_ERR_MODULE_ANSWER, "the token does not say that the new key stays in it");
}

static hf_err generate(struct p11_session *session, const struct p11_key_spec *spec, struct hf_slice params,
                       struct pair *ret_pair)
{
  struct way way = { p11_kind(spec->kind)->mechanism, false };
  struct pair pair;
  hf_err e = generate_by(&way, session, spec, params, &pair);
  if (spec->kind == P11_ED25519 && p11_server_lacks_edwards(p11_module_path(p11_session_module(session)), e)) {
    way.mechanism = CKM_EC_KEY_PAIR_GEN;
    e = generate_by(&way, session, spec, params, &pair);
  } else if (e.code == HF_ERR_ATTRIBUTE_TYPE_INVALID) { /* YubiKeys' module has no other keys, and no such attribute */
    way.bare = true;
    HF_TRY(generate_by(&way, session, spec, params, &pair));
    e = check_private(session, &pair);
  }
  HF_TRY(e);
  *ret_pair = pair;
  return HF_OK;
}

/* How tokens answer to parameters that they do not take. */
static bool refuses_params(hf_err e)
{
  static const enum hf_code codes[] = {
    HF_ERR_CURVE_NOT_SUPPORTED,   HF_ERR_DOMAIN_PARAMS_INVALID, HF_ERR_ATTRIBUTE_VALUE_INVALID,
    HF_ERR_TEMPLATE_INCONSISTENT, HF_ERR_ARGUMENTS_BAD,         HF_ERR_FUNCTION_FAILED,
    HF_ERR_GENERAL_ERROR,
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(codes); i++)
    if (e.code == codes[i])
      return true;
  return false;
}

/* By each form of the curve's parameters, until the token takes one. */
static hf_err generate_on_curve(struct p11_session *session, const struct p11_key_spec *spec, struct pair *ret_pair)
{
  const struct p11_curve *curve = p11_curve_by_name(p11_kind(spec->kind)->curve);
  hf_err e = generate(session, spec, curve->params[0], ret_pair);
  for (size_t form = 1; form < P11_CURVE_FORMS && curve->params[form].len && refuses_params(e); form++)
    e = generate(session, spec, curve->params[form], ret_pair);
  return e;
}

#define PLACE_HINT \
  "Where the id is a key's place, give --id: 01 is a YubiKey's slot 9a, 02 slot 9c, 03 slot 9d, 04 slot 9e."

/* Where the SO makes keys, the id is a key's place, and YubiKeys' module looks at no more than its first byte. */
static hf_err check_place(struct p11_session *session, const struct p11_key_spec *spec)
{
  if (spec->id_len == 1 || !p11_session_is_so(session))
    return HF_OK;
  return hf_hint(hf_fail(HF_ERR_ATTRIBUTE_VALUE_INVALID, "an id of %zu bytes names no place for a key", spec->id_len),
                 PLACE_HINT);
}

static hf_err explain(hf_err e, const struct p11_key_spec *spec)
{
  if (e.code == HF_ERR_USER_TYPE_INVALID)
    return hf_hint(e, "This token lets its SO alone make keys: give --so-pin-source (a YubiKey: its management key).");
  return e.code == HF_ERR_ATTRIBUTE_VALUE_INVALID && spec->id_len > 1 ? hf_hint(e, PLACE_HINT) : e;
}

hf_err p11_key_generate(struct p11_session *session, const struct p11_key_spec *spec, CK_OBJECT_HANDLE *ret_public,
                        CK_OBJECT_HANDLE *ret_private)
{
  bool rsa = spec->kind == P11_RSA;
  if (rsa && (spec->rsa_bits < RSA_BITS_MIN || spec->rsa_bits > RSA_BITS_MAX || spec->rsa_bits % 8))
    return hf_hint(hf_fail(HF_ERR_KEY_SIZE_RANGE, "RSA-%u", spec->rsa_bits), "Use 2048, 3072 or 4096 bits.");
  HF_TRY(check_place(session, spec));
  struct pair pair;
  hf_err e = rsa ? generate(session, spec, hf_slice(NULL, 0), &pair) : generate_on_curve(session, spec, &pair);
  if (hf_failed(e)) {
    /* Tokens answer anything to what they do not have; what they list tells. */
    HF_TRY(p11_kind_check(session, spec));
    return explain(e, spec);
  }
  *ret_public = pair.public;
  *ret_private = pair.private;
  return HF_OK;
}
