/* SPDX-License-Identifier: Apache-2.0 */
/* Every attribute, every way in which an object comes to be: the code that the standard says. */
#include "hf_test.h"

#include "token/policy_table.h"

#define ANY CK_UNAVAILABLE_INFORMATION

/*
 * The footnotes of PKCS #11 v3.2, table 13. Where we differ: of an RSA private key either exponent may be left out (what is left says
 * it), and of a key that is unwrapped the length may be given, as section 5.18.4 has it.
 */
static const struct {
  CK_ATTRIBUTE_TYPE type;
  CK_OBJECT_CLASS class;
  CK_ULONG key_type;
  const char *notes;
} standard[] = {
  { CKA_CLASS, CKO_DATA, ANY, "1" },
  { CKA_UNIQUE_ID, CKO_DATA, ANY, "2 4 6" },
  { CKA_LABEL, CKO_DATA, ANY, "8" },
  { CKA_VALUE, CKO_DATA, ANY, "8" },
  { CKA_APPLICATION, CKO_DATA, ANY, "8" },
  { CKA_CERTIFICATE_TYPE, CKO_CERTIFICATE, CKC_X_509, "1" },
  { CKA_TRUSTED, CKO_CERTIFICATE, CKC_X_509, "10" },
  { CKA_CERTIFICATE_CATEGORY, CKO_CERTIFICATE, CKC_X_509, "" },
  { CKA_SUBJECT, CKO_CERTIFICATE, CKC_X_509, "1" },
  { CKA_ID, CKO_CERTIFICATE, CKC_X_509, "8" },
  { CKA_ISSUER, CKO_CERTIFICATE, CKC_X_509, "8" },
  { CKA_SERIAL_NUMBER, CKO_CERTIFICATE, CKC_X_509, "8" },
  { CKA_URL, CKO_CERTIFICATE, CKC_X_509, "" },
  { CKA_OWNER, CKO_CERTIFICATE, CKC_X_509_ATTR_CERT, "1" },
  { CKA_AC_ISSUER, CKO_CERTIFICATE, CKC_X_509_ATTR_CERT, "8" },
  { CKA_ATTR_TYPES, CKO_CERTIFICATE, CKC_X_509_ATTR_CERT, "8" },
  { CKA_SUBJECT, CKO_CERTIFICATE, CKC_WTLS, "1" },
  { CKA_KEY_TYPE, CKO_SECRET_KEY, CKK_AES, "1" },
  { CKA_ID, CKO_SECRET_KEY, CKK_AES, "8" },
  { CKA_START_DATE, CKO_SECRET_KEY, CKK_AES, "8" },
  { CKA_DERIVE, CKO_SECRET_KEY, CKK_AES, "8" },
  { CKA_LOCAL, CKO_SECRET_KEY, CKK_AES, "2 4 6" },
  { CKA_KEY_GEN_MECHANISM, CKO_SECRET_KEY, CKK_AES, "2 4 6" },
  { CKA_ALLOWED_MECHANISMS, CKO_SECRET_KEY, CKK_AES, "" },
  { CKA_SENSITIVE, CKO_SECRET_KEY, CKK_AES, "8 11" },
  { CKA_EXTRACTABLE, CKO_SECRET_KEY, CKK_AES, "8 12" },
  { CKA_ALWAYS_SENSITIVE, CKO_SECRET_KEY, CKK_AES, "2 4 6" },
  { CKA_NEVER_EXTRACTABLE, CKO_SECRET_KEY, CKK_AES, "2 4 6" },
  { CKA_WRAP_WITH_TRUSTED, CKO_SECRET_KEY, CKK_AES, "8 11" },
  { CKA_TRUSTED, CKO_SECRET_KEY, CKK_AES, "10" },
  { CKA_WRAP_TEMPLATE, CKO_SECRET_KEY, CKK_AES, "" },
  { CKA_UNWRAP_TEMPLATE, CKO_SECRET_KEY, CKK_AES, "" },
  { CKA_DERIVE_TEMPLATE, CKO_SECRET_KEY, CKK_AES, "" },
  { CKA_ENCRYPT, CKO_SECRET_KEY, CKK_AES, "8" },
  { CKA_WRAP, CKO_SECRET_KEY, CKK_AES, "8" },
  { CKA_VALUE, CKO_SECRET_KEY, CKK_AES, "1 4 6 7" },
  { CKA_VALUE_LEN, CKO_SECRET_KEY, CKK_AES, "2" },
  { CKA_VALUE, CKO_SECRET_KEY, CKK_DES3, "1 4 6 7" },
  { CKA_VALUE, CKO_SECRET_KEY, CKK_SHA3_256_HMAC, "1 4 6 7" },
  { CKA_VALUE, CKO_SECRET_KEY, CKK_CHACHA20, "1 4 6 7" },
  { CKA_VALUE, CKO_SECRET_KEY, CKK_HKDF, "1 4 6 7" },
  { CKA_SUBJECT, CKO_PUBLIC_KEY, CKK_RSA, "8" },
  { CKA_ENCAPSULATE, CKO_PUBLIC_KEY, CKK_ML_KEM, "8" },
  { CKA_VERIFY_RECOVER, CKO_PUBLIC_KEY, CKK_RSA, "8" },
  { CKA_MODULUS, CKO_PUBLIC_KEY, CKK_RSA, "1 4" },
  { CKA_MODULUS_BITS, CKO_PUBLIC_KEY, CKK_RSA, "2 3" },
  { CKA_PUBLIC_EXPONENT, CKO_PUBLIC_KEY, CKK_RSA, "1" },
  { CKA_SIGN, CKO_PRIVATE_KEY, CKK_RSA, "8" },
  { CKA_ALWAYS_AUTHENTICATE, CKO_PRIVATE_KEY, CKK_RSA, "" },
  { CKA_MODULUS, CKO_PRIVATE_KEY, CKK_RSA, "1 4 6" },
  { CKA_PUBLIC_EXPONENT, CKO_PRIVATE_KEY, CKK_RSA, "4 6" },
  { CKA_PRIVATE_EXPONENT, CKO_PRIVATE_KEY, CKK_RSA, "4 6 7" },
  { CKA_PRIME_1, CKO_PRIVATE_KEY, CKK_RSA, "4 6 7" },
  { CKA_COEFFICIENT, CKO_PRIVATE_KEY, CKK_RSA, "4 6 7" },
  { CKA_EC_PARAMS, CKO_PUBLIC_KEY, CKK_EC, "1 3" },
  { CKA_EC_POINT, CKO_PUBLIC_KEY, CKK_EC, "1 4" },
  { CKA_EC_PARAMS, CKO_PRIVATE_KEY, CKK_EC_EDWARDS, "1 4 6" },
  { CKA_VALUE, CKO_PRIVATE_KEY, CKK_EC_MONTGOMERY, "1 4 6 7" },
  { CKA_PRIME, CKO_PUBLIC_KEY, CKK_DSA, "1 3" },
  { CKA_SUBPRIME, CKO_PUBLIC_KEY, CKK_DSA, "1 3" },
  { CKA_BASE, CKO_PUBLIC_KEY, CKK_DH, "1 3" },
  { CKA_VALUE, CKO_PUBLIC_KEY, CKK_DH, "1 4" },
  { CKA_PRIME, CKO_PRIVATE_KEY, CKK_DH, "1 4 6" },
  { CKA_VALUE, CKO_PRIVATE_KEY, CKK_DSA, "1 4 6 7" },
  { CKA_VALUE_BITS, CKO_PRIVATE_KEY, CKK_DH, "2 6" },
  { CKA_PRIME, CKO_DOMAIN_PARAMETERS, CKK_DSA, "1 4" },
  { CKA_PRIME_BITS, CKO_DOMAIN_PARAMETERS, CKK_DH, "2 3" },
  { CKA_LOCAL, CKO_DOMAIN_PARAMETERS, CKK_DSA, "2 4" },
  { CKA_PARAMETER_SET, CKO_PUBLIC_KEY, CKK_ML_DSA, "1 3" },
  { CKA_VALUE, CKO_PUBLIC_KEY, CKK_ML_KEM, "1 4" },
  { CKA_PARAMETER_SET, CKO_PRIVATE_KEY, CKK_SLH_DSA, "1 4 6" },
  { CKA_VALUE, CKO_PRIVATE_KEY, CKK_SLH_DSA, "1 4 6 7" },
  { CKA_SEED, CKO_PRIVATE_KEY, CKK_ML_DSA, "4 6 7" },
};

static bool has_note(const char *notes, const char *note)
{
  size_t len = strlen(note);
  for (const char *at = notes; (at = strstr(at, note)) != NULL; at += len)
    if ((at == notes || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
      return true;
  return false;
}

static CK_ULONG number = 5;
static CK_BYTE bytes[] = { 1, 2, 3 };
static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;

/* A value of the attribute's form. */
static CK_ATTRIBUTE value_of(const struct rule *rule, const struct kind *kind)
{
  switch (rule->form) {
  case FORM_BOOL:
    return (CK_ATTRIBUTE){ rule->type, &yes, 1 };
  case FORM_ULONG:
    number = 5;
    if (rule->type == CKA_CLASS)
      return (CK_ATTRIBUTE){ rule->type, (void *)(uintptr_t)&kind->class, sizeof(kind->class) };
    if (rule->type == CKA_KEY_TYPE || rule->type == CKA_CERTIFICATE_TYPE)
      return (CK_ATTRIBUTE){ rule->type, (void *)(uintptr_t)&kind->key_type, sizeof(kind->key_type) };
    return (CK_ATTRIBUTE){ rule->type, &number, sizeof(number) };
  case FORM_BYTES:
    return (CK_ATTRIBUTE){ rule->type, bytes, sizeof(bytes) };
  default:
    return (CK_ATTRIBUTE){ rule->type, NULL, 0 };
  }
}

/* All that an object of the kind needs of its creator, but one attribute. */
static CK_ULONG fill_template(struct kind *kind, enum origin origin, CK_ATTRIBUTE_TYPE but, CK_ATTRIBUTE *tmpl)
{
  CK_ULONG count = 0;
  const struct rule *rule;
  unsigned must = origin == ORIGIN_CREATE ? CREATE_MUST : origin == ORIGIN_GENERATE ? GENERATE_MUST : 0;
  for (size_t i = 0; (rule = rule_at(i)) != NULL; i++) {
    bool either = origin == ORIGIN_CREATE && rule->type == CKA_VALUE && kind->class == CKO_PRIVATE_KEY;
    if (rule_of(*kind, rule->type) == rule && (rule->flags & must || either) && rule->type != but)
      tmpl[count++] = value_of(rule, kind);
  }
  return count;
}

static enum hf_code make(struct kind kind, enum origin origin, const CK_ATTRIBUTE *tmpl, CK_ULONG count, bool so,
                         struct attr_halves *halves)
{
  struct making making = { .origin = origin, .kind = kind, .so = so };
  return policy_make(&making, tmpl, count, halves).code;
}

static void check_code(const char *what, size_t i, enum hf_code expected, enum hf_code code)
{
  if (code != expected)
    fail_msg("attribute 0x%lx of class 0x%lx, type 0x%lx, %s: %s, not %s", standard[i].type, standard[i].class,
             standard[i].key_type, what, hf_err_name((hf_err){ code }), hf_err_name((hf_err){ expected }));
}

static void check_origin(size_t i, enum origin origin, const char *name, const char *must, const char *must_not)
{
  CK_ATTRIBUTE tmpl[64];
  struct kind kind = { standard[i].class, standard[i].key_type };
  struct attr_halves halves = ATTR_HALVES_EMPTY;
  const char *notes = standard[i].notes;
  CK_ULONG count = fill_template(&kind, origin, standard[i].type, tmpl);
  bool by_kind = standard[i].type == CKA_CLASS || standard[i].type == CKA_KEY_TYPE ||
                 standard[i].type == CKA_CERTIFICATE_TYPE; /* policy_kind's */
  bool needed = must && has_note(notes, must) && !by_kind;
  check_code(name, i, needed ? HF_ERR_TEMPLATE_INCOMPLETE : HF_ERR_OK, make(kind, origin, tmpl, count, false, &halves));
  attr_halves_free(&halves);
  const struct rule *rule = rule_of(kind, standard[i].type);
  assert_non_null(rule);
  tmpl[count++] = value_of(rule, &kind);
  bool refused = has_note(notes, must_not) || has_note(notes, "10");
  check_code(name, i, refused ? HF_ERR_ATTRIBUTE_READ_ONLY : HF_ERR_OK,
             make(kind, origin, tmpl, count, false, &halves));
  attr_halves_free(&halves);
  assert_int_equal(has_note(notes, "7"), policy_is_secret(kind, standard[i].type));
}

static void every_attribute_by_every_origin(void **state)
{
  (void)state;
  for (size_t i = 0; i < HF_ARRAY_LEN(standard); i++) {
    bool key = standard[i].class != CKO_DATA && standard[i].class != CKO_CERTIFICATE;
    bool own = standard[i].class == CKO_PRIVATE_KEY || standard[i].class == CKO_SECRET_KEY;
    check_origin(i, ORIGIN_CREATE, "created", "1", "2");
    if (key)
      check_origin(i, ORIGIN_GENERATE, "generated", "3", "4");
    if (own)
      check_origin(i, ORIGIN_UNWRAP, "unwrapped", NULL, "6");
    if (own)
      check_origin(i, ORIGIN_DERIVE, "derived", NULL, "6");
  }
}

static void what_is_restored_may_have_everything(void **state)
{
  (void)state;
  for (size_t i = 0; i < HF_ARRAY_LEN(standard); i++) {
    CK_ATTRIBUTE tmpl[64];
    struct kind kind = { standard[i].class, standard[i].key_type };
    struct attr_halves halves = ATTR_HALVES_EMPTY;
    CK_ULONG count = fill_template(&kind, ORIGIN_CREATE, standard[i].type, tmpl);
    tmpl[count++] = value_of(rule_of(kind, standard[i].type), &kind);
    check_code("restored", i, HF_ERR_OK, make(kind, ORIGIN_RESTORE, tmpl, count, true, &halves));
    struct hf_slice value;
    assert_true(attrs_get(&halves.open, standard[i].type, &value) ||
                attrs_get(&halves.secret, standard[i].type, &value));
    attr_halves_free(&halves);
  }
}

static enum hf_code change(struct attrs *open, CK_ATTRIBUTE_TYPE type, CK_BBOOL *value, bool so)
{
  CK_ATTRIBUTE attr = { type, value, 1 };
  return policy_change(open, &attr, 1, so, false).code;
}

static void check_change(size_t i, struct attrs *open)
{
  struct kind kind = { standard[i].class, standard[i].key_type };
  const struct rule *rule = rule_of(kind, standard[i].type);
  const char *notes = standard[i].notes;
  CK_ATTRIBUTE_TYPE type = standard[i].type;
  if (rule->form == FORM_BOOL && has_note(notes, "11")) {
    assert_int_equal(HF_ERR_OK, attrs_set_bool(open, type, false).code);
    check_code("to true", i, HF_ERR_OK, change(open, type, &yes, false));
    check_code("back to false", i, HF_ERR_ATTRIBUTE_READ_ONLY, change(open, type, &no, false));
  } else if (rule->form == FORM_BOOL && has_note(notes, "12")) {
    assert_int_equal(HF_ERR_OK, attrs_set_bool(open, type, true).code);
    check_code("to false", i, HF_ERR_OK, change(open, type, &no, false));
    check_code("back to true", i, HF_ERR_ATTRIBUTE_READ_ONLY, change(open, type, &yes, false));
  } else if (has_note(notes, "10")) {
    check_code("by the user", i, HF_ERR_ATTRIBUTE_READ_ONLY, change(open, type, &yes, false));
    check_code("by the officer", i, HF_ERR_OK, change(open, type, &yes, true));
  } else if (rule->form == FORM_BYTES || rule->form == FORM_BOOL) {
    CK_ATTRIBUTE attr = { type, rule->form == FORM_BOOL ? &yes : (void *)"new", rule->form == FORM_BOOL ? 1 : 3 };
    if (rule->form == FORM_BOOL)
      assert_int_equal(HF_ERR_OK, attrs_set_bool(open, type, false).code);
    check_code("changed", i, has_note(notes, "8") ? HF_ERR_OK : HF_ERR_ATTRIBUTE_READ_ONLY,
               policy_change(open, &attr, 1, false, false).code);
  }
}

static void every_attribute_that_is_changed(void **state)
{
  (void)state;
  for (size_t i = 0; i < HF_ARRAY_LEN(standard); i++) {
    CK_ATTRIBUTE tmpl[64];
    struct kind kind = { standard[i].class, standard[i].key_type };
    struct attr_halves halves = ATTR_HALVES_EMPTY;
    CK_ULONG count = fill_template(&kind, ORIGIN_CREATE, CKA_VENDOR_DEFINED, tmpl);
    assert_int_equal(HF_ERR_OK, make(kind, ORIGIN_CREATE, tmpl, count, false, &halves));
    check_change(i, &halves.open);
    attr_halves_free(&halves);
  }
}

static void no_rule_hides_another(void **state)
{
  (void)state;
  const struct rule *a, *b;
  for (size_t i = 0; (a = rule_at(i)) != NULL; i++) {
    for (size_t k = i + 1; (b = rule_at(k)) != NULL; k++) {
      if (a->type != b->type)
        continue;
      assert_int_equal(a->form, b->form);
      if (a->in & b->in && a->of & b->of)
        fail_msg("attribute 0x%lx has two rules for one kind of object", a->type);
    }
  }
}

static struct hf_buf imported(CK_ATTRIBUTE_TYPE type, CK_ATTRIBUTE *inner, CK_ULONG count, enum hf_code expected)
{
  struct hf_buf out = HF_BUF(ATTRS_MAX_BYTES);
  CK_ATTRIBUTE array = { type, inner, count * sizeof(*inner) };
  assert_int_equal(expected, policy_import(&array, &out).code);
  return out;
}

static void arrays_of_attributes(void **state)
{
  (void)state;
  CK_ATTRIBUTE inner[] = { { CKA_SENSITIVE, &yes, 1 }, { CKA_LABEL, bytes, 3 } };
  CK_ATTRIBUTE nested[] = { { CKA_WRAP_TEMPLATE, inner, sizeof(inner) } };
  CK_ATTRIBUTE twice[] = { inner[0], inner[0] };
  CK_ATTRIBUTE absurd = { CKA_WRAP_TEMPLATE, inner, sizeof(inner) - 1 };
  struct hf_buf out = HF_BUF(ATTRS_MAX_BYTES);
  imported(CKA_WRAP_TEMPLATE, nested, 1, HF_ERR_ATTRIBUTE_VALUE_INVALID);
  imported(CKA_WRAP_TEMPLATE, twice, 2, HF_ERR_ATTRIBUTE_VALUE_INVALID);
  assert_int_equal(HF_ERR_ATTRIBUTE_VALUE_INVALID, policy_import(&absurd, &out).code);
  out = imported(CKA_WRAP_TEMPLATE, inner, 2, HF_ERR_OK);
  struct hf_slice stored = hf_slice(out.data, out.len);

  CK_ATTRIBUTE read = { CKA_WRAP_TEMPLATE, NULL, 0 };
  assert_int_equal(HF_ERR_OK, policy_export(stored, &read).code);
  assert_int_equal(2 * sizeof(CK_ATTRIBUTE), read.ulValueLen);
  CK_ATTRIBUTE sizes[2] = { 0 };
  read.pValue = sizes;
  assert_int_equal(HF_ERR_OK, policy_export(stored, &read).code);
  assert_int_equal(CKA_LABEL, sizes[0].type);
  assert_int_equal(3, sizes[0].ulValueLen);
  CK_BYTE label[3], sensitive;
  CK_ATTRIBUTE values[2] = { { 0, label, 2 }, { 0, &sensitive, 1 } };
  read.pValue = values;
  assert_int_equal(HF_ERR_BUFFER_TOO_SMALL, policy_export(stored, &read).code);
  assert_true(values[0].ulValueLen == CK_UNAVAILABLE_INFORMATION);
  values[0].ulValueLen = 3;
  values[1].ulValueLen = 1;
  assert_int_equal(HF_ERR_OK, policy_export(stored, &read).code);
  assert_memory_equal(bytes, label, 3);
  assert_int_equal(CK_TRUE, sensitive);
  hf_buf_free(&out);
}

static void what_a_key_requires(void **state)
{
  (void)state;
  struct kind aes = { CKO_SECRET_KEY, CKK_AES }, kind;
  struct attr_halves halves = ATTR_HALVES_EMPTY;
  CK_ATTRIBUTE inner[] = { { CKA_CLASS, &aes.class, sizeof(aes.class) },
                           { CKA_KEY_TYPE, &aes.key_type, sizeof(aes.key_type) },
                           { CKA_EXTRACTABLE, &no, 1 } };
  struct hf_buf out = imported(CKA_UNWRAP_TEMPLATE, inner, 3, HF_ERR_OK);
  struct making making = { .origin = ORIGIN_UNWRAP, .kind = aes, .required = hf_slice(out.data, out.len) };
  assert_int_equal(HF_ERR_OK, policy_kind(NULL, 0, making.required, NULL, &kind).code);
  assert_int_equal(CKK_AES, kind.key_type);
  assert_int_equal(HF_ERR_OK, policy_make(&making, NULL, 0, &halves).code);
  assert_false(attrs_true(&halves.open, CKA_EXTRACTABLE));
  assert_true(policy_matches(&halves.open, making.required));
  attr_halves_free(&halves);
  CK_ATTRIBUTE against = { CKA_EXTRACTABLE, &yes, 1 };
  assert_int_equal(HF_ERR_TEMPLATE_INCONSISTENT, policy_make(&making, &against, 1, &halves).code);
  making.kind.key_type = CKK_GENERIC_SECRET;
  assert_int_equal(HF_ERR_TEMPLATE_INCONSISTENT, policy_make(&making, NULL, 0, &halves).code);
  hf_buf_free(&out);

  CK_ATTRIBUTE trusted = { CKA_TRUSTED, &yes, 1 };
  out = imported(CKA_UNWRAP_TEMPLATE, &trusted, 1, HF_ERR_OK);
  making = (struct making){ .origin = ORIGIN_UNWRAP, .kind = aes, .required = hf_slice(out.data, out.len) };
  assert_int_equal(HF_ERR_TEMPLATE_INCONSISTENT, policy_make(&making, NULL, 0, &halves).code);
  hf_buf_free(&out);
}

static void defaults_and_contradictions(void **state)
{
  (void)state;
  struct kind aes = { CKO_SECRET_KEY, CKK_AES }, rsa = { CKO_PRIVATE_KEY, CKK_RSA }, kind;
  struct attr_halves halves = ATTR_HALVES_EMPTY;
  assert_int_equal(HF_ERR_OK, make(aes, ORIGIN_UNWRAP, NULL, 0, false, &halves));
  assert_true(attrs_true(&halves.open, CKA_EXTRACTABLE));
  assert_false(attrs_true(&halves.open, CKA_LOCAL));
  assert_false(attrs_true(&halves.open, CKA_ALWAYS_SENSITIVE));
  attr_halves_free(&halves);
  CK_ATTRIBUTE public_asks[] = { { CKA_PRIVATE, &no, 1 }, { CKA_ALWAYS_AUTHENTICATE, &yes, 1 } };
  assert_int_equal(HF_ERR_TEMPLATE_INCONSISTENT, make(rsa, ORIGIN_GENERATE, public_asks, 2, false, &halves));
  CK_OBJECT_CLASS profile = CKO_PROFILE;
  CK_ATTRIBUTE class = { CKA_CLASS, &profile, sizeof(profile) };
  assert_int_equal(HF_ERR_ATTRIBUTE_VALUE_INVALID, policy_kind(&class, 1, POLICY_NOTHING_REQUIRED, NULL, &kind).code);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_attribute_by_every_origin),
    cmocka_unit_test(what_is_restored_may_have_everything),
    cmocka_unit_test(every_attribute_that_is_changed),
    cmocka_unit_test(no_rule_hides_another),
    cmocka_unit_test(arrays_of_attributes),
    cmocka_unit_test(what_a_key_requires),
    cmocka_unit_test(defaults_and_contradictions),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
