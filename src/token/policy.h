/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of attributes, one row an attribute and kind of object: its form, default, and who may set it when. */
#ifndef HF_TOKEN_POLICY_H
#define HF_TOKEN_POLICY_H

#include "token/attrs.h"

/* How an object comes to be (PKCS #11 v3.0, section 4.1, table 11's footnotes). */
enum origin {
  ORIGIN_CREATE,
  ORIGIN_GENERATE,
  ORIGIN_DERIVE,
  ORIGIN_RESTORE, /* as it was elsewhere: what a creator may not give, too */
};

struct kind {
  CK_OBJECT_CLASS class;
  CK_KEY_TYPE key_type; /* CK_UNAVAILABLE_INFORMATION where it is no key */
};

/* Its two halves: what may be read, and what is key material. */
struct attr_halves {
  struct attrs open;
  struct attrs secret;
};

void attr_halves_free(struct attr_halves *halves);

/* Finds class and key type in a template; generate passes what the mechanism makes, and a template may only agree. */
hf_err policy_kind(const CK_ATTRIBUTE *tmpl, CK_ULONG count, const struct kind *generated, struct kind *ret_kind);

/*
 * Checks a template by the rules and fills in the defaults. Fails with TEMPLATE_INCOMPLETE, TEMPLATE_INCONSISTENT,
 * ATTRIBUTE_TYPE_INVALID, ATTRIBUTE_VALUE_INVALID, ATTRIBUTE_READ_ONLY. The CKA_LOCAL, CKA_ALWAYS_SENSITIVE and
 * CKA_NEVER_EXTRACTABLE of keys follow from origin; what is restored says them itself, as far as it does.
 */
hf_err policy_make(enum origin origin, struct kind kind, const CK_ATTRIBUTE *tmpl, CK_ULONG count, bool so,
                   struct attr_halves *ret_halves);

/* What a derived key takes over from its base: CKA_ALWAYS_SENSITIVE and CKA_NEVER_EXTRACTABLE, as far as they hold for itself. */
hf_err policy_inherit(const struct attrs *base, struct attrs *open);

/* Applies a template to an existing object's open half: C_SetAttributeValue, or C_CopyObject with copy. */
hf_err policy_change(struct attrs *open, const CK_ATTRIBUTE *tmpl, CK_ULONG count, bool so, bool copy);

/* One attribute from the form of the ABI to the stored one, checked; and back. PARSE of the ABI: unaligned values are fine. */
hf_err policy_import(const CK_ATTRIBUTE *attr, struct hf_buf *out);
/* Writes the ABI's form to out (room bytes); *ret_len is its size even where room is too small or out is NULL. */
void policy_export(CK_ATTRIBUTE_TYPE type, struct hf_slice value, void *out, CK_ULONG room, CK_ULONG *ret_len);

/* Whether the attribute is key material for this kind, and whether the kind has it at all. */
bool policy_is_secret(struct kind kind, CK_ATTRIBUTE_TYPE type);
bool policy_has(struct kind kind, CK_ATTRIBUTE_TYPE type);

struct kind policy_kind_of(const struct attrs *open);

#endif
