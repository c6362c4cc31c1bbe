/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of attributes, one row an attribute and kind of object: its form, default, and who may set it when. */
#ifndef HF_TOKEN_POLICY_H
#define HF_TOKEN_POLICY_H

#include "token/attrs.h"

/* How an object comes to be (PKCS #11 v3.2, section 4.1). */
enum origin {
  ORIGIN_CREATE,
  ORIGIN_GENERATE,
  ORIGIN_DERIVE,
  ORIGIN_UNWRAP,  /* or decapsulate, and encapsulate */
  ORIGIN_RESTORE, /* as it was elsewhere: what a creator may not give, too */
};

/* key_type is a certificate's CKA_CERTIFICATE_TYPE, too, and CK_UNAVAILABLE_INFORMATION where the class has no types. */
struct kind {
  CK_OBJECT_CLASS class;
  CK_KEY_TYPE key_type;
};

/* Its two halves: what may be read, and what is key material. */
struct attr_halves {
  struct attrs open;
  struct attrs secret;
};

#define ATTR_HALVES_EMPTY ((struct attr_halves){ ATTRS_EMPTY, ATTRS_EMPTY })

void attr_halves_free(struct attr_halves *halves);

#define POLICY_NOTHING_REQUIRED hf_slice(NULL, 0)

struct making {
  enum origin origin;
  struct kind kind;
  bool so; /* the security officer asks */
  /* What the object has in any case: the stored value of the CKA_UNWRAP_TEMPLATE, CKA_DERIVE_TEMPLATE, ... of the key that makes it. */
  struct hf_slice required;
};

/*
 * The class and the type in a template or, where it says none, in what is required or in fallback (NULL: it must say them).
 * Fails with TEMPLATE_INCOMPLETE and ATTRIBUTE_VALUE_INVALID.
 */
hf_err policy_kind(const CK_ATTRIBUTE *tmpl, CK_ULONG count, struct hf_slice required, const struct kind *fallback,
                   struct kind *ret_kind);

/*
 * Checks a template by the rules and fills in the defaults. Fails with TEMPLATE_INCOMPLETE, TEMPLATE_INCONSISTENT (contradictions,
 * also of what is required), ATTRIBUTE_TYPE_INVALID, ATTRIBUTE_VALUE_INVALID, ATTRIBUTE_READ_ONLY. The CKA_LOCAL,
 * CKA_ALWAYS_SENSITIVE and CKA_NEVER_EXTRACTABLE of keys follow from origin; what is restored says them itself, as far as it does.
 */
hf_err policy_make(const struct making *making, const CK_ATTRIBUTE *tmpl, CK_ULONG count,
                   struct attr_halves *ret_halves);

/* What a derived key takes over from its base (and from another, where it is not NULL): CKA_ALWAYS_SENSITIVE and
 * CKA_NEVER_EXTRACTABLE, as far as they hold for itself. */
hf_err policy_inherit(const struct attrs *base, const struct attrs *other, struct attrs *open);

/* Applies a template to an existing object's open half: C_SetAttributeValue, or C_CopyObject with copy. */
hf_err policy_change(struct attrs *open, const CK_ATTRIBUTE *tmpl, CK_ULONG count, bool so, bool copy);

/* Whether an object matches an attribute array's stored value (CKA_WRAP_TEMPLATE), as C_FindObjects matches. */
bool policy_matches(const struct attrs *open, struct hf_slice wanted);

/*
 * One attribute from the form of the ABI to the stored one, checked; and back. PARSE of the ABI: unaligned values are fine. An
 * attribute array is stored as the rows of struct attrs; one within another is ATTRIBUTE_VALUE_INVALID.
 */
hf_err policy_import(const CK_ATTRIBUTE *attr, struct hf_buf *out);
/*
 * Answers as C_GetAttributeValue does: sets attr->ulValueLen, fills pValue where it is not NULL. Fails with BUFFER_TOO_SMALL, then
 * ulValueLen (of an array, also those of its elements) is CK_UNAVAILABLE_INFORMATION.
 */
hf_err policy_export(struct hf_slice value, CK_ATTRIBUTE *attr);

/* Whether the attribute is key material for this kind, and whether the kind has it at all. */
bool policy_is_secret(struct kind kind, CK_ATTRIBUTE_TYPE type);
bool policy_has(struct kind kind, CK_ATTRIBUTE_TYPE type);

struct kind policy_kind_of(const struct attrs *open);

#endif
