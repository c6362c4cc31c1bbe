/* SPDX-License-Identifier: Apache-2.0 */
#include "token/policy_table.h"

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
  CK_ATTRIBUTE_TYPE attribute;
  struct kind kind = { attrs_ulong(open, CKA_CLASS, CK_UNAVAILABLE_INFORMATION), CK_UNAVAILABLE_INFORMATION };
  if (class_type_attribute(kind.class, &attribute))
    kind.key_type = attrs_ulong(open, attribute, CK_UNAVAILABLE_INFORMATION);
  return kind;
}

static const CK_ATTRIBUTE *find_in(const CK_ATTRIBUTE *tmpl, CK_ULONG count, CK_ATTRIBUTE_TYPE type)
{
  for (CK_ULONG i = 0; i < count; i++)
    if (tmpl[i].type == type)
      return &tmpl[i];
  return NULL;
}

/* Out of the template, what is required, or the fallback. */
static hf_err kind_part(const CK_ATTRIBUTE *attr, const struct attrs *required, CK_ATTRIBUTE_TYPE type,
                        const CK_ULONG *fallback, CK_ULONG *ret_value)
{
  struct hf_slice value;
  if (attr) {
    if (attr->ulValueLen != sizeof(CK_ULONG) || !attr->pValue)
      return hf_fail(HF_ERR_ATTRIBUTE_VALUE_INVALID, "attribute 0x%lx, %lu bytes", type, attr->ulValueLen);
    memcpy(ret_value, attr->pValue, sizeof(*ret_value));
  } else if (attrs_get(required, type, &value)) {
    *ret_value = attrs_ulong(required, type, CK_UNAVAILABLE_INFORMATION);
  } else if (fallback) {
    *ret_value = *fallback;
  } else {
    return hf_fail(HF_ERR_TEMPLATE_INCOMPLETE, "attribute 0x%lx is missing", type);
  }
  return HF_OK;
}

hf_err policy_kind(const CK_ATTRIBUTE *tmpl, CK_ULONG count, struct hf_slice required, const struct kind *fallback,
                   struct kind *ret_kind)
{
  CK_ATTRIBUTE_TYPE attribute;
  struct attrs also;
  struct kind kind = { .key_type = CK_UNAVAILABLE_INFORMATION };
  HF_TRY(attrs_view(required, &also));
  HF_TRY(kind_part(find_in(tmpl, count, CKA_CLASS), &also, CKA_CLASS, fallback ? &fallback->class : NULL, &kind.class));
  /* A profile is the token's to say. */
  if (!(class_bit(kind.class) & ~(unsigned)IN_PROFILE))
    return hf_fail(HF_ERR_ATTRIBUTE_VALUE_INVALID, "CKA_CLASS 0x%lx", kind.class);
  if (class_type_attribute(kind.class, &attribute)) {
    HF_TRY(kind_part(find_in(tmpl, count, attribute), &also, attribute, fallback ? &fallback->key_type : NULL,
                     &kind.key_type));
    if (!type_bit(kind))
      return hf_fail(HF_ERR_ATTRIBUTE_VALUE_INVALID, "CKA_CLASS 0x%lx with attribute 0x%lx being 0x%lx", kind.class,
                     attribute, kind.key_type);
  }
  *ret_kind = kind;
  return HF_OK;
}

static unsigned forbidden(enum origin origin)
{
  static const unsigned flags[] = {
    [ORIGIN_CREATE] = CREATE_NOT, [ORIGIN_GENERATE] = GENERATE_NOT,
    [ORIGIN_DERIVE] = UNWRAP_NOT, [ORIGIN_UNWRAP] = UNWRAP_NOT,
    [ORIGIN_RESTORE] = 0,
  };
  return flags[origin];
}

static hf_err may_give(const struct making *making, const struct rule *rule, struct hf_slice value)
{
  if (rule->flags & forbidden(making->origin))
    return hf_fail(HF_ERR_ATTRIBUTE_READ_ONLY, "attribute 0x%lx is set by the token", rule->type);
  if (rule->flags & ONLY_SO && !making->so && value.len == 1 && value.data[0])
    return hf_fail(HF_ERR_ATTRIBUTE_READ_ONLY, "attribute 0x%lx is set by the security officer", rule->type);
  return HF_OK;
}

static struct attrs *half_of(struct attr_halves *halves, const struct rule *rule)
{
  return rule->flags & KEY_MATERIAL ? &halves->secret : &halves->open;
}

static hf_err take_value(struct attrs *half, CK_ATTRIBUTE_TYPE type, struct hf_slice value)
{
  struct hf_slice before;
  if (attrs_get(half, type, &before) && !hf_slice_equal(before, value))
    return hf_fail(HF_ERR_TEMPLATE_INCONSISTENT, "attribute 0x%lx shall have two values", type);
  return attrs_set(half, type, value);
}

static hf_err take_given(const struct making *making, const CK_ATTRIBUTE *attr, struct attr_halves *halves)
{
  const struct rule *rule = rule_of(making->kind, attr->type);
  if (!rule)
    return hf_fail(HF_ERR_ATTRIBUTE_TYPE_INVALID, "attribute 0x%lx does not belong to this kind of object", attr->type);
  HF_CLEANUP(hf_buf_free) struct hf_buf value = HF_BUF(ATTRS_MAX_BYTES);
  HF_TRY(policy_import(attr, &value));
  HF_TRY(may_give(making, rule, hf_slice(value.data, value.len)));
  return take_value(half_of(halves, rule), attr->type, hf_slice(value.data, value.len));
}

/* What the key's owner requires, no more than its user could have asked for: never a trusted key, say. */
static hf_err take_required(const struct making *making, struct attr_halves *halves)
{
  size_t pos = 0;
  struct attr_row row;
  struct attrs required;
  HF_TRY(attrs_view(making->required, &required));
  while (attrs_next(&required, &pos, &row)) {
    const struct rule *rule = rule_of(making->kind, row.type);
    if (!rule || rule->flags & KEY_MATERIAL || hf_failed(may_give(making, rule, row.value)))
      return hf_fail(HF_ERR_TEMPLATE_INCONSISTENT, "attribute 0x%lx, which the key requires, is not for this object",
                     row.type);
    HF_TRY(take_value(&halves->open, row.type, row.value));
  }
  return HF_OK;
}

static hf_err set_preset(struct attrs *open, const struct rule *rule, enum origin origin)
{
  bool turned = origin == ORIGIN_UNWRAP && rule->flags & UNWRAPPED_TRUE;
  switch (rule->preset) {
  case PRESET_FALSE:
  case PRESET_TRUE:
    return attrs_set_bool(open, rule->type, rule->preset == PRESET_TRUE || turned);
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

static bool is_needed(enum origin origin, const struct rule *rule)
{
  if (origin == ORIGIN_GENERATE)
    return rule->flags & GENERATE_MUST;
  return (origin == ORIGIN_CREATE || origin == ORIGIN_RESTORE) && rule->flags & CREATE_MUST;
}

static hf_err fill_in(const struct making *making, struct attr_halves *halves)
{
  unsigned in = class_bit(making->kind.class), of = type_bit(making->kind);
  const struct rule *rule;
  for (size_t i = 0; (rule = rule_at(i)) != NULL; i++) {
    struct hf_slice value;
    if (!(rule->in & in) || !(rule->of & of) || attrs_get(half_of(halves, rule), rule->type, &value))
      continue;
    if (is_needed(making->origin, rule))
      return hf_fail(HF_ERR_TEMPLATE_INCOMPLETE, "attribute 0x%lx is missing", rule->type);
    HF_TRY(set_preset(&halves->open, rule, making->origin));
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
  if (in & IN_KEY_TYPED)
    HF_TRY(set_fact(origin, open, CKA_LOCAL, generated));
  if (!(in & IN_SENSITIVE))
    return HF_OK;
  HF_TRY(set_fact(origin, open, CKA_ALWAYS_SENSITIVE, generated && attrs_true(open, CKA_SENSITIVE)));
  return set_fact(origin, open, CKA_NEVER_EXTRACTABLE, generated && !attrs_true(open, CKA_EXTRACTABLE));
}

/* Of these a created object needs one or the other, and not an empty one. */
static const struct {
  unsigned in;
  unsigned of;
  CK_ATTRIBUTE_TYPE one, other;
  bool secret;
} either[] = {
  { IN_CERT, OF_X509 | OF_WTLS, CKA_VALUE, CKA_URL, false },
  { IN_PRIVATE, OF_SEEDED, CKA_VALUE, CKA_SEED, true },
};

static bool has_bytes(const struct attrs *attrs, CK_ATTRIBUTE_TYPE type)
{
  struct hf_slice value;
  return attrs_get(attrs, type, &value) && value.len;
}

static hf_err check_made(const struct making *making, const struct attr_halves *halves)
{
  const struct attrs *open = &halves->open;
  unsigned in = class_bit(making->kind.class), of = type_bit(making->kind);
  for (size_t i = 0; making->origin == ORIGIN_CREATE && i < HF_ARRAY_LEN(either); i++) {
    const struct attrs *half = either[i].secret ? &halves->secret : open;
    if (either[i].in & in && either[i].of & of && !has_bytes(half, either[i].one) && !has_bytes(half, either[i].other))
      return hf_fail(HF_ERR_TEMPLATE_INCOMPLETE, "attribute 0x%lx or 0x%lx is needed", either[i].one, either[i].other);
  }
  if (attrs_true(open, CKA_ALWAYS_AUTHENTICATE) && !attrs_true(open, CKA_PRIVATE))
    return hf_fail(HF_ERR_TEMPLATE_INCONSISTENT, "CKA_ALWAYS_AUTHENTICATE is for private objects");
  return HF_OK;
}

hf_err policy_make(const struct making *making, const CK_ATTRIBUTE *tmpl, CK_ULONG count,
                   struct attr_halves *ret_halves)
{
  CK_ATTRIBUTE_TYPE attribute;
  HF_CLEANUP(attr_halves_free) struct attr_halves halves = ATTR_HALVES_EMPTY;
  HF_TRY(attrs_set_ulong(&halves.open, CKA_CLASS, making->kind.class));
  if (class_type_attribute(making->kind.class, &attribute))
    HF_TRY(attrs_set_ulong(&halves.open, attribute, making->kind.key_type));
  for (CK_ULONG i = 0; i < count; i++)
    HF_TRY(take_given(making, &tmpl[i], &halves));
  HF_TRY(take_required(making, &halves));
  HF_TRY(fill_in(making, &halves));
  HF_TRY(set_history(making->origin, making->kind, &halves.open));
  HF_TRY(check_made(making, &halves));
  *ret_halves = halves;
  halves = ATTR_HALVES_EMPTY;
  return HF_OK;
}

hf_err policy_inherit(const struct attrs *base, const struct attrs *other, struct attrs *open)
{
  bool sensitive = attrs_true(base, CKA_ALWAYS_SENSITIVE) && (!other || attrs_true(other, CKA_ALWAYS_SENSITIVE)) &&
                   attrs_true(open, CKA_SENSITIVE);
  bool stays = attrs_true(base, CKA_NEVER_EXTRACTABLE) && (!other || attrs_true(other, CKA_NEVER_EXTRACTABLE)) &&
               !attrs_true(open, CKA_EXTRACTABLE);
  HF_TRY(attrs_set_bool(open, CKA_ALWAYS_SENSITIVE, sensitive));
  return attrs_set_bool(open, CKA_NEVER_EXTRACTABLE, stays);
}

bool policy_matches(const struct attrs *open, struct hf_slice wanted)
{
  size_t pos = 0;
  struct attr_row row;
  struct attrs rows;
  struct hf_slice value;
  if (hf_failed(attrs_view(wanted, &rows)))
    return false;
  while (attrs_next(&rows, &pos, &row))
    if (!attrs_get(open, row.type, &value) || !hf_slice_equal(value, row.value))
      return false;
  return true;
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
  if ((rule->flags & ONLY_TO_TRUE && !to_true) || (rule->flags & ONLY_TO_FALSE && to_true) ||
      (rule->flags & ONLY_TO_EMPTY && after.len))
    allowed = false;
  return allowed ? HF_OK : hf_fail(HF_ERR_ATTRIBUTE_READ_ONLY, "attribute 0x%lx", attr->type);
}

hf_err policy_change(struct attrs *open, const CK_ATTRIBUTE *tmpl, CK_ULONG count, bool so, bool copy)
{
  struct kind kind = policy_kind_of(open);
  if (kind.class == CKO_CERTIFICATE && attrs_true(open, CKA_TRUSTED) && !so && !copy)
    return hf_fail(HF_ERR_ATTRIBUTE_READ_ONLY, "a trusted certificate is the security officer's to change");
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
