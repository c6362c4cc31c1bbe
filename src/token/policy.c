/* SPDX-License-Identifier: Apache-2.0 */
#include "token/policy.h"

enum form { FORM_BOOL, FORM_ULONG, FORM_BYTES, FORM_DATE, FORM_MECHANISMS };

enum {
  IN_DATA = 1 << 0,
  IN_CERT = 1 << 1,
  IN_PUBLIC = 1 << 2,
  IN_PRIVATE = 1 << 3,
  IN_SECRET = 1 << 4,
  IN_PAIR = IN_PUBLIC | IN_PRIVATE,
  IN_SENSITIVE = IN_PRIVATE | IN_SECRET,
  IN_KEYS = IN_PAIR | IN_SECRET,
  IN_ALL = IN_DATA | IN_CERT | IN_KEYS,
};

enum { OF_RSA = 1 << 0, OF_EC = 1 << 1, OF_SYMMETRIC = 1 << 2, OF_ANY = OF_RSA | OF_EC | OF_SYMMETRIC };

enum {
  CREATE_MUST = 1 << 0,   /* C_CreateObject needs it */
  CREATE_NOT = 1 << 1,    /* and must not have it */
  GENERATE_NOT = 1 << 2,  /* C_GenerateKey, C_GenerateKeyPair and C_DeriveKey must not have it */
  MAY_SET = 1 << 3,       /* C_SetAttributeValue may change it */
  ONLY_TO_TRUE = 1 << 4,  /* ... in this direction only */
  ONLY_TO_FALSE = 1 << 5, /* ... or this */
  MAY_COPY = 1 << 6,      /* C_CopyObject may give it another value */
  ONLY_SO = 1 << 7,       /* the security officer alone sets it true */
  KEY_MATERIAL = 1 << 8,  /* sealed apart, and never read from a sensitive or unextractable key */
};

enum preset { PRESET_NONE, PRESET_FALSE, PRESET_TRUE, PRESET_EMPTY, PRESET_ZERO, PRESET_UNAVAILABLE };

struct rule {
  CK_ATTRIBUTE_TYPE type;
  enum form form;
  unsigned in;
  unsigned of;
  unsigned flags;
  enum preset preset;
};

#define ASSIGNED (CREATE_NOT | GENERATE_NOT)
#define MATERIAL_OPEN (CREATE_MUST | GENERATE_NOT)
#define MATERIAL (MATERIAL_OPEN | KEY_MATERIAL)

/* clang-format off */
static const struct rule rules[] = {
  { CKA_CLASS,               FORM_ULONG, IN_ALL,       OF_ANY,       CREATE_MUST,             PRESET_NONE },
  { CKA_TOKEN,               FORM_BOOL,  IN_ALL,       OF_ANY,       MAY_COPY,                PRESET_FALSE },
  { CKA_PRIVATE,             FORM_BOOL,  IN_DATA | IN_CERT | IN_PUBLIC, OF_ANY, MAY_COPY,     PRESET_FALSE },
  { CKA_PRIVATE,             FORM_BOOL,  IN_SENSITIVE, OF_ANY,       MAY_COPY,                PRESET_TRUE },
  { CKA_MODIFIABLE,          FORM_BOOL,  IN_ALL,       OF_ANY,       MAY_COPY,                PRESET_TRUE },
  { CKA_COPYABLE,            FORM_BOOL,  IN_ALL,       OF_ANY,       MAY_COPY | MAY_SET | ONLY_TO_FALSE, PRESET_TRUE },
  { CKA_DESTROYABLE,         FORM_BOOL,  IN_ALL,       OF_ANY,       MAY_COPY | MAY_SET | ONLY_TO_FALSE, PRESET_TRUE },
  { CKA_LABEL,               FORM_BYTES, IN_ALL,       OF_ANY,       MAY_SET,                 PRESET_EMPTY },
  { CKA_UNIQUE_ID,           FORM_BYTES, IN_ALL,       OF_ANY,       ASSIGNED,                PRESET_NONE },

  { CKA_APPLICATION,         FORM_BYTES, IN_DATA,      OF_ANY,       MAY_SET,                 PRESET_EMPTY },
  { CKA_OBJECT_ID,           FORM_BYTES, IN_DATA,      OF_ANY,       MAY_SET,                 PRESET_EMPTY },
  { CKA_VALUE,               FORM_BYTES, IN_DATA,      OF_ANY,       MAY_SET,                 PRESET_EMPTY },

  { CKA_CERTIFICATE_TYPE,    FORM_ULONG, IN_CERT,      OF_ANY,       CREATE_MUST,             PRESET_NONE },
  { CKA_CERTIFICATE_CATEGORY, FORM_ULONG, IN_CERT,     OF_ANY,       0,                       PRESET_ZERO },
  { CKA_TRUSTED,             FORM_BOOL,  IN_CERT | IN_PUBLIC | IN_SECRET, OF_ANY, MAY_SET | ONLY_SO, PRESET_FALSE },
  { CKA_CHECK_VALUE,         FORM_BYTES, IN_CERT | IN_SECRET, OF_ANY, 0,                      PRESET_EMPTY },
  { CKA_SUBJECT,             FORM_BYTES, IN_CERT,      OF_ANY,       CREATE_MUST,             PRESET_NONE },
  { CKA_ISSUER,              FORM_BYTES, IN_CERT,      OF_ANY,       MAY_SET,                 PRESET_EMPTY },
  { CKA_SERIAL_NUMBER,       FORM_BYTES, IN_CERT,      OF_ANY,       MAY_SET,                 PRESET_EMPTY },
  { CKA_VALUE,               FORM_BYTES, IN_CERT,      OF_ANY,       CREATE_MUST,             PRESET_NONE },
  { CKA_URL,                 FORM_BYTES, IN_CERT,      OF_ANY,       0,                       PRESET_EMPTY },
  { CKA_PUBLIC_KEY_INFO,     FORM_BYTES, IN_CERT | IN_PAIR, OF_ANY,  0,                       PRESET_NONE },

  { CKA_KEY_TYPE,            FORM_ULONG, IN_KEYS,      OF_ANY,       CREATE_MUST,             PRESET_NONE },
  { CKA_ID,                  FORM_BYTES, IN_KEYS | IN_CERT, OF_ANY,  MAY_SET,                 PRESET_EMPTY },
  { CKA_START_DATE,          FORM_DATE,  IN_KEYS | IN_CERT, OF_ANY,  MAY_SET,                 PRESET_EMPTY },
  { CKA_END_DATE,            FORM_DATE,  IN_KEYS | IN_CERT, OF_ANY,  MAY_SET,                 PRESET_EMPTY },
  { CKA_DERIVE,              FORM_BOOL,  IN_KEYS,      OF_ANY,       MAY_SET,                 PRESET_FALSE },
  { CKA_LOCAL,               FORM_BOOL,  IN_KEYS,      OF_ANY,       ASSIGNED,                PRESET_NONE },
  { CKA_KEY_GEN_MECHANISM,   FORM_ULONG, IN_KEYS,      OF_ANY,       ASSIGNED,                PRESET_UNAVAILABLE },
  { CKA_ALLOWED_MECHANISMS,  FORM_MECHANISMS, IN_KEYS, OF_ANY,       0,                       PRESET_EMPTY },
  { CKA_SUBJECT,             FORM_BYTES, IN_PAIR,      OF_ANY,       MAY_SET,                 PRESET_EMPTY },

  { CKA_ENCRYPT,             FORM_BOOL,  IN_PUBLIC | IN_SECRET, OF_RSA | OF_SYMMETRIC, MAY_SET, PRESET_TRUE },
  { CKA_ENCRYPT,             FORM_BOOL,  IN_PUBLIC,    OF_EC,        MAY_SET,                 PRESET_FALSE },
  { CKA_VERIFY,              FORM_BOOL,  IN_PUBLIC | IN_SECRET, OF_ANY, MAY_SET,              PRESET_TRUE },
  { CKA_VERIFY_RECOVER,      FORM_BOOL,  IN_PUBLIC,    OF_ANY,       MAY_SET,                 PRESET_FALSE },
  { CKA_WRAP,                FORM_BOOL,  IN_PUBLIC | IN_SECRET, OF_RSA | OF_SYMMETRIC, MAY_SET, PRESET_TRUE },
  { CKA_WRAP,                FORM_BOOL,  IN_PUBLIC,    OF_EC,        MAY_SET,                 PRESET_FALSE },

  { CKA_SENSITIVE,           FORM_BOOL,  IN_SENSITIVE, OF_ANY,       MAY_SET | ONLY_TO_TRUE,  PRESET_TRUE },
  { CKA_EXTRACTABLE,         FORM_BOOL,  IN_SENSITIVE, OF_ANY,       MAY_SET | ONLY_TO_FALSE, PRESET_FALSE },
  { CKA_ALWAYS_SENSITIVE,    FORM_BOOL,  IN_SENSITIVE, OF_ANY,       ASSIGNED,                PRESET_NONE },
  { CKA_NEVER_EXTRACTABLE,   FORM_BOOL,  IN_SENSITIVE, OF_ANY,       ASSIGNED,                PRESET_NONE },
  { CKA_WRAP_WITH_TRUSTED,   FORM_BOOL,  IN_SENSITIVE, OF_ANY,       MAY_SET | ONLY_TO_TRUE,  PRESET_FALSE },
  { CKA_ALWAYS_AUTHENTICATE, FORM_BOOL,  IN_PRIVATE,   OF_ANY,       0,                       PRESET_FALSE },
  { CKA_SIGN,                FORM_BOOL,  IN_SENSITIVE, OF_ANY,       MAY_SET,                 PRESET_TRUE },
  { CKA_SIGN_RECOVER,        FORM_BOOL,  IN_PRIVATE,   OF_ANY,       MAY_SET,                 PRESET_FALSE },
  { CKA_DECRYPT,             FORM_BOOL,  IN_SENSITIVE, OF_RSA | OF_SYMMETRIC, MAY_SET,        PRESET_TRUE },
  { CKA_DECRYPT,             FORM_BOOL,  IN_PRIVATE,   OF_EC,        MAY_SET,                 PRESET_FALSE },
  { CKA_UNWRAP,              FORM_BOOL,  IN_SENSITIVE, OF_RSA | OF_SYMMETRIC, MAY_SET,        PRESET_TRUE },
  { CKA_UNWRAP,              FORM_BOOL,  IN_PRIVATE,   OF_EC,        MAY_SET,                 PRESET_FALSE },

  { CKA_MODULUS,             FORM_BYTES, IN_PAIR,      OF_RSA,       MATERIAL_OPEN,           PRESET_NONE },
  { CKA_MODULUS_BITS,        FORM_ULONG, IN_PUBLIC,    OF_RSA,       CREATE_NOT,              PRESET_NONE },
  { CKA_PUBLIC_EXPONENT,     FORM_BYTES, IN_PUBLIC,    OF_RSA,       CREATE_MUST,             PRESET_NONE },
  { CKA_PUBLIC_EXPONENT,     FORM_BYTES, IN_PRIVATE,   OF_RSA,       GENERATE_NOT,            PRESET_NONE },
  { CKA_PRIVATE_EXPONENT,    FORM_BYTES, IN_PRIVATE,   OF_RSA,       GENERATE_NOT | KEY_MATERIAL, PRESET_NONE },
  { CKA_PRIME_1,             FORM_BYTES, IN_PRIVATE,   OF_RSA,       GENERATE_NOT | KEY_MATERIAL, PRESET_NONE },
  { CKA_PRIME_2,             FORM_BYTES, IN_PRIVATE,   OF_RSA,       GENERATE_NOT | KEY_MATERIAL, PRESET_NONE },
  { CKA_EXPONENT_1,          FORM_BYTES, IN_PRIVATE,   OF_RSA,       GENERATE_NOT | KEY_MATERIAL, PRESET_NONE },
  { CKA_EXPONENT_2,          FORM_BYTES, IN_PRIVATE,   OF_RSA,       GENERATE_NOT | KEY_MATERIAL, PRESET_NONE },
  { CKA_COEFFICIENT,         FORM_BYTES, IN_PRIVATE,   OF_RSA,       GENERATE_NOT | KEY_MATERIAL, PRESET_NONE },

  { CKA_EC_PARAMS,           FORM_BYTES, IN_PUBLIC,    OF_EC,        CREATE_MUST,             PRESET_NONE },
  { CKA_EC_PARAMS,           FORM_BYTES, IN_PRIVATE,   OF_EC,        MATERIAL_OPEN,           PRESET_NONE },
  { CKA_EC_POINT,            FORM_BYTES, IN_PUBLIC,    OF_EC,        MATERIAL_OPEN,           PRESET_NONE },
  { CKA_EC_POINT,            FORM_BYTES, IN_PRIVATE,   OF_EC,        GENERATE_NOT,            PRESET_NONE },
  { CKA_VALUE,               FORM_BYTES, IN_PRIVATE,   OF_EC,        MATERIAL,                PRESET_NONE },

  { CKA_VALUE,               FORM_BYTES, IN_SECRET,    OF_SYMMETRIC, MATERIAL,                PRESET_NONE },
  { CKA_VALUE_LEN,           FORM_ULONG, IN_SECRET,    OF_SYMMETRIC, CREATE_NOT,              PRESET_NONE },
};

static const struct {
  CK_OBJECT_CLASS class;
  unsigned in;
} classes[] = {
  { CKO_DATA, IN_DATA }, { CKO_CERTIFICATE, IN_CERT }, { CKO_PUBLIC_KEY, IN_PUBLIC },
  { CKO_PRIVATE_KEY, IN_PRIVATE }, { CKO_SECRET_KEY, IN_SECRET },
};

static const struct {
  CK_KEY_TYPE type;
  unsigned of;
  unsigned in;
} key_types[] = {
  { CKK_RSA, OF_RSA, IN_PAIR }, { CKK_EC, OF_EC, IN_PAIR }, { CKK_EC_EDWARDS, OF_EC, IN_PAIR },
  { CKK_AES, OF_SYMMETRIC, IN_SECRET }, { CKK_GENERIC_SECRET, OF_SYMMETRIC, IN_SECRET },
};
/* clang-format on */

static unsigned class_bit(CK_OBJECT_CLASS class)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(classes); i++)
    if (classes[i].class == class)
      return classes[i].in;
  return 0;
}

static unsigned key_bit(struct kind kind)
{
  unsigned in = class_bit(kind.class);
  if (!(in & IN_KEYS))
    return OF_ANY;
  for (size_t i = 0; i < HF_ARRAY_LEN(key_types); i++)
    if (key_types[i].type == kind.key_type && key_types[i].in & in)
      return key_types[i].of;
  return 0;
}

static const struct rule *rule_of(struct kind kind, CK_ATTRIBUTE_TYPE type)
{
  unsigned in = class_bit(kind.class), of = key_bit(kind);
  for (size_t i = 0; i < HF_ARRAY_LEN(rules); i++)
    if (rules[i].type == type && rules[i].in & in && rules[i].of & of)
      return &rules[i];
  return NULL;
}

/* An attribute has the same form wherever it occurs. */
static bool form_of(CK_ATTRIBUTE_TYPE type, enum form *ret_form)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(rules); i++) {
    if (rules[i].type == type) {
      *ret_form = rules[i].form;
      return true;
    }
  }
  return false;
}

void attr_halves_free(struct attr_halves *halves)
{
  attrs_free(&halves->open);
  attrs_free(&halves->secret);
}

bool policy_is_secret(struct kind kind, CK_ATTRIBUTE_TYPE type)
{
  const struct rule *rule = rule_of(kind, type);
  return rule && rule->flags & KEY_MATERIAL;
}

bool policy_has(struct kind kind, CK_ATTRIBUTE_TYPE type)
{
  return rule_of(kind, type) != NULL;
}

struct kind policy_kind_of(const struct attrs *open)
{
  return (struct kind){ attrs_ulong(open, CKA_CLASS, CK_UNAVAILABLE_INFORMATION),
                        attrs_ulong(open, CKA_KEY_TYPE, CK_UNAVAILABLE_INFORMATION) };
}

static hf_err value_invalid(const CK_ATTRIBUTE *attr)
{
  return hf_fail(HF_ERR_ATTRIBUTE_VALUE_INVALID, "attribute 0x%lx, %lu bytes", attr->type, attr->ulValueLen);
}

static hf_err add_ulongs(const CK_ATTRIBUTE *attr, struct hf_buf *out)
{
  for (CK_ULONG at = 0; at < attr->ulValueLen; at += sizeof(CK_ULONG)) {
    CK_ULONG number;
    memcpy(&number, (const uint8_t *)attr->pValue + at, sizeof(number));
    HF_TRY(hf_buf_add_u64(out, number));
  }
  return HF_OK;
}

hf_err policy_import(const CK_ATTRIBUTE *attr, struct hf_buf *out)
{
  enum form form;
  if (!form_of(attr->type, &form))
    return hf_fail(HF_ERR_ATTRIBUTE_TYPE_INVALID, "attribute 0x%lx", attr->type);
  CK_ULONG len = attr->ulValueLen;
  if ((!attr->pValue && len) || len > ATTRS_MAX_BYTES)
    return value_invalid(attr);
  switch (form) {
  case FORM_BOOL:
    if (len != sizeof(CK_BBOOL) || *(const CK_BBOOL *)attr->pValue > CK_TRUE)
      return value_invalid(attr);
    return hf_buf_add(out, attr->pValue, 1);
  case FORM_ULONG:
    return len == sizeof(CK_ULONG) ? add_ulongs(attr, out) : value_invalid(attr);
  case FORM_MECHANISMS:
    return len % sizeof(CK_ULONG) == 0 ? add_ulongs(attr, out) : value_invalid(attr);
  case FORM_DATE:
    if (len != 0 && len != sizeof(CK_DATE))
      return value_invalid(attr);
    break;
  case FORM_BYTES:
    break;
  }
  return hf_buf_add(out, attr->pValue, len);
}

void policy_export(CK_ATTRIBUTE_TYPE type, struct hf_slice value, void *out, CK_ULONG room, CK_ULONG *ret_len)
{
  enum form form = FORM_BYTES;
  (void)form_of(type, &form);
  bool numbers = form == FORM_ULONG || form == FORM_MECHANISMS;
  *ret_len = numbers ? value.len / 8 * sizeof(CK_ULONG) : value.len;
  if (!out || room < *ret_len)
    return;
  if (!numbers) {
    if (value.len)
      memcpy(out, value.data, value.len);
    return;
  }
  uint64_t number;
  for (uint8_t *to = out; !hf_failed(hf_take_u64(&value, &number)); to += sizeof(CK_ULONG))
    memcpy(to, &(CK_ULONG){ (CK_ULONG)number }, sizeof(CK_ULONG));
}

static const CK_ATTRIBUTE *find_in(const CK_ATTRIBUTE *tmpl, CK_ULONG count, CK_ATTRIBUTE_TYPE type)
{
  for (CK_ULONG i = 0; i < count; i++)
    if (tmpl[i].type == type)
      return &tmpl[i];
  return NULL;
}

static hf_err kind_part(const CK_ATTRIBUTE *tmpl, CK_ULONG count, CK_ATTRIBUTE_TYPE type, const CK_ULONG *generated,
                        CK_ULONG *ret_value)
{
  const CK_ATTRIBUTE *attr = find_in(tmpl, count, type);
  if (!attr && !generated)
    return hf_fail(HF_ERR_TEMPLATE_INCOMPLETE, "%s is missing", type == CKA_CLASS ? "CKA_CLASS" : "CKA_KEY_TYPE");
  CK_ULONG value = generated ? *generated : 0;
  if (attr) {
    if (attr->ulValueLen != sizeof(CK_ULONG) || !attr->pValue)
      return value_invalid(attr);
    memcpy(&value, attr->pValue, sizeof(value));
    if (generated && value != *generated)
      return hf_fail(HF_ERR_TEMPLATE_INCONSISTENT, "attribute 0x%lx is 0x%lx, but the mechanism makes 0x%lx", type,
                     value, *generated);
  }
  *ret_value = value;
  return HF_OK;
}

hf_err policy_kind(const CK_ATTRIBUTE *tmpl, CK_ULONG count, const struct kind *generated, struct kind *ret_kind)
{
  struct kind kind = { .key_type = CK_UNAVAILABLE_INFORMATION };
  HF_TRY(kind_part(tmpl, count, CKA_CLASS, generated ? &generated->class : NULL, &kind.class));
  unsigned in = class_bit(kind.class);
  if (!in)
    return hf_fail(HF_ERR_ATTRIBUTE_VALUE_INVALID, "CKA_CLASS 0x%lx", kind.class);
  if (in & IN_KEYS) {
    HF_TRY(kind_part(tmpl, count, CKA_KEY_TYPE, generated ? &generated->key_type : NULL, &kind.key_type));
    if (!key_bit(kind))
      return hf_fail(HF_ERR_ATTRIBUTE_VALUE_INVALID, "CKA_KEY_TYPE 0x%lx", kind.key_type);
  }
  *ret_kind = kind;
  return HF_OK;
}

static hf_err may_give(enum origin origin, const struct rule *rule, const CK_ATTRIBUTE *attr, bool so)
{
  unsigned forbidden = origin == ORIGIN_RESTORE ? 0 : origin == ORIGIN_CREATE ? CREATE_NOT : GENERATE_NOT;
  if (rule->flags & forbidden)
    return hf_fail(HF_ERR_ATTRIBUTE_READ_ONLY, "attribute 0x%lx is set by the token", attr->type);
  if (rule->flags & ONLY_SO && !so && attr->ulValueLen == 1 && *(const CK_BBOOL *)attr->pValue)
    return hf_fail(HF_ERR_ATTRIBUTE_READ_ONLY, "attribute 0x%lx is set by the security officer", attr->type);
  return HF_OK;
}

static hf_err take_given(enum origin origin, struct kind kind, const CK_ATTRIBUTE *attr, bool so,
                         struct attr_halves *halves)
{
  const struct rule *rule = rule_of(kind, attr->type);
  if (!rule)
    return hf_fail(HF_ERR_ATTRIBUTE_TYPE_INVALID, "attribute 0x%lx does not belong to this kind of object", attr->type);
  HF_CLEANUP(hf_buf_free) struct hf_buf value = HF_BUF(ATTRS_MAX_BYTES);
  HF_TRY(policy_import(attr, &value));
  HF_TRY(may_give(origin, rule, attr, so));
  struct attrs *half = rule->flags & KEY_MATERIAL ? &halves->secret : &halves->open;
  struct hf_slice before;
  if (attrs_get(half, attr->type, &before) && !hf_slice_equal(before, hf_slice(value.data, value.len)))
    return hf_fail(HF_ERR_TEMPLATE_INCONSISTENT, "attribute 0x%lx is given twice", attr->type);
  return attrs_set(half, attr->type, hf_slice(value.data, value.len));
}

static hf_err set_preset(struct attrs *open, const struct rule *rule)
{
  switch (rule->preset) {
  case PRESET_FALSE:
  case PRESET_TRUE:
    return attrs_set_bool(open, rule->type, rule->preset == PRESET_TRUE);
  case PRESET_EMPTY:
    return attrs_set(open, rule->type, hf_slice(NULL, 0));
  case PRESET_ZERO:
    return attrs_set_ulong(open, rule->type, 0);
  case PRESET_UNAVAILABLE:
    return attrs_set_ulong(open, rule->type, CK_UNAVAILABLE_INFORMATION);
  case PRESET_NONE:
    break;
  }
  return HF_OK;
}

static hf_err fill_in(enum origin origin, struct kind kind, struct attr_halves *halves)
{
  unsigned in = class_bit(kind.class), of = key_bit(kind);
  for (size_t i = 0; i < HF_ARRAY_LEN(rules); i++) {
    const struct rule *rule = &rules[i];
    struct hf_slice value;
    if (!(rule->in & in) || !(rule->of & of))
      continue;
    if (attrs_get(rule->flags & KEY_MATERIAL ? &halves->secret : &halves->open, rule->type, &value))
      continue;
    if ((origin == ORIGIN_CREATE || origin == ORIGIN_RESTORE) && rule->flags & CREATE_MUST)
      return hf_fail(HF_ERR_TEMPLATE_INCOMPLETE, "attribute 0x%lx is missing", rule->type);
    HF_TRY(set_preset(&halves->open, rule));
  }
  return HF_OK;
}

static hf_err set_fact(enum origin origin, struct attrs *open, CK_ATTRIBUTE_TYPE type, bool value)
{
  struct hf_slice given;
  return origin == ORIGIN_RESTORE && attrs_get(open, type, &given) ? HF_OK : attrs_set_bool(open, type, value);
}

static hf_err set_history(enum origin origin, struct kind kind, struct attrs *open)
{
  unsigned in = class_bit(kind.class);
  bool generated = origin == ORIGIN_GENERATE;
  if (in & IN_KEYS)
    HF_TRY(set_fact(origin, open, CKA_LOCAL, generated));
  if (!(in & IN_SENSITIVE))
    return HF_OK;
  HF_TRY(set_fact(origin, open, CKA_ALWAYS_SENSITIVE, generated && attrs_true(open, CKA_SENSITIVE)));
  return set_fact(origin, open, CKA_NEVER_EXTRACTABLE, generated && !attrs_true(open, CKA_EXTRACTABLE));
}

hf_err policy_make(enum origin origin, struct kind kind, const CK_ATTRIBUTE *tmpl, CK_ULONG count, bool so,
                   struct attr_halves *ret_halves)
{
  HF_CLEANUP(attr_halves_free) struct attr_halves halves = { ATTRS_EMPTY, ATTRS_EMPTY };
  HF_TRY(attrs_set_ulong(&halves.open, CKA_CLASS, kind.class));
  if (class_bit(kind.class) & IN_KEYS)
    HF_TRY(attrs_set_ulong(&halves.open, CKA_KEY_TYPE, kind.key_type));
  for (CK_ULONG i = 0; i < count; i++)
    HF_TRY(take_given(origin, kind, &tmpl[i], so, &halves));
  HF_TRY(fill_in(origin, kind, &halves));
  HF_TRY(set_history(origin, kind, &halves.open));
  *ret_halves = halves;
  halves = (struct attr_halves){ ATTRS_EMPTY, ATTRS_EMPTY };
  return HF_OK;
}

hf_err policy_inherit(const struct attrs *base, struct attrs *open)
{
  bool sensitive = attrs_true(base, CKA_ALWAYS_SENSITIVE) && attrs_true(open, CKA_SENSITIVE);
  bool stays = attrs_true(base, CKA_NEVER_EXTRACTABLE) && !attrs_true(open, CKA_EXTRACTABLE);
  HF_TRY(attrs_set_bool(open, CKA_ALWAYS_SENSITIVE, sensitive));
  return attrs_set_bool(open, CKA_NEVER_EXTRACTABLE, stays);
}

static hf_err may_change(const struct rule *rule, const CK_ATTRIBUTE *attr, struct hf_slice before,
                         struct hf_slice after, bool so, bool copy)
{
  if (hf_slice_equal(before, after))
    return HF_OK;
  bool to_true = after.len == 1 && after.data[0];
  bool allowed = rule->flags & MAY_SET || (copy && rule->flags & MAY_COPY);
  if (rule->flags & ONLY_SO && to_true && !so)
    allowed = false;
  if ((rule->flags & ONLY_TO_TRUE && !to_true) || (rule->flags & ONLY_TO_FALSE && to_true))
    allowed = false;
  return allowed ? HF_OK : hf_fail(HF_ERR_ATTRIBUTE_READ_ONLY, "attribute 0x%lx", attr->type);
}

hf_err policy_change(struct attrs *open, const CK_ATTRIBUTE *tmpl, CK_ULONG count, bool so, bool copy)
{
  struct kind kind = policy_kind_of(open);
  for (CK_ULONG i = 0; i < count; i++) {
    const struct rule *rule = rule_of(kind, tmpl[i].type);
    if (!rule)
      return hf_fail(HF_ERR_ATTRIBUTE_TYPE_INVALID, "attribute 0x%lx does not belong to this kind of object",
                     tmpl[i].type);
    if (rule->flags & KEY_MATERIAL)
      return hf_fail(HF_ERR_ATTRIBUTE_READ_ONLY, "attribute 0x%lx", tmpl[i].type);
    HF_CLEANUP(hf_buf_free) struct hf_buf value = HF_BUF(ATTRS_MAX_BYTES);
    HF_TRY(policy_import(&tmpl[i], &value));
    struct hf_slice before = { 0 }, after = hf_slice(value.data, value.len);
    (void)attrs_get(open, tmpl[i].type, &before);
    HF_TRY(may_change(rule, &tmpl[i], before, after, so, copy));
    HF_TRY(attrs_set(open, tmpl[i].type, after));
  }
  return HF_OK;
}
