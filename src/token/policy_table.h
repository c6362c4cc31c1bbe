/* SPDX-License-Identifier: Apache-2.0 */
/* The table behind policy.h: a row an attribute and kind of object. */
#ifndef HF_TOKEN_POLICY_TABLE_H
#define HF_TOKEN_POLICY_TABLE_H

#include "token/policy.h"

enum form { FORM_BOOL, FORM_ULONG, FORM_BYTES, FORM_DATE, FORM_MECHANISMS, FORM_TEMPLATE };

/* Classes. */
enum {
  IN_DATA = 1 << 0,
  IN_CERT = 1 << 1,
  IN_PUBLIC = 1 << 2,
  IN_PRIVATE = 1 << 3,
  IN_SECRET = 1 << 4,
  IN_DOMAIN = 1 << 5,
  IN_PROFILE = 1 << 6,
  IN_PAIR = IN_PUBLIC | IN_PRIVATE,
  IN_SENSITIVE = IN_PRIVATE | IN_SECRET,
  IN_KEYS = IN_PAIR | IN_SECRET,
  IN_KEY_TYPED = IN_KEYS | IN_DOMAIN,
  IN_ALL = IN_DATA | IN_CERT | IN_KEY_TYPED | IN_PROFILE,
};

/* Types of keys and certificates. */
enum {
  OF_RSA = 1 << 0,
  OF_EC = 1 << 1, /* Edwards, too */
  OF_MONTGOMERY = 1 << 2,
  OF_DSA = 1 << 3,
  OF_DH = 1 << 4,
  OF_ML_DSA = 1 << 5,
  OF_SLH_DSA = 1 << 6,
  OF_ML_KEM = 1 << 7,
  OF_SECRET = 1 << 8,
  OF_DES = 1 << 9, /* whose length is no attribute */
  OF_X509 = 1 << 10,
  OF_X509_ATTR = 1 << 11,
  OF_WTLS = 1 << 12,
  OF_PAIRED = (1 << 8) - 1,
  OF_CURVE = OF_EC | OF_MONTGOMERY,
  OF_PARAMETER_SET = OF_ML_DSA | OF_SLH_DSA | OF_ML_KEM,
  OF_SEEDED = OF_ML_DSA | OF_ML_KEM,
  OF_SIGNER = OF_RSA | OF_EC | OF_DSA | OF_ML_DSA | OF_SLH_DSA,
  OF_SYMMETRIC = OF_SECRET | OF_DES,
  OF_ANY = (1 << 13) - 1,
};

/* The footnotes of PKCS #11 v3.2, table 13, that each stands for. */
enum {
  CREATE_MUST = 1 << 0,     /* 1: C_CreateObject needs it */
  CREATE_NOT = 1 << 1,      /* 2: and must not have it */
  GENERATE_MUST = 1 << 2,   /* 3: C_GenerateKey and C_GenerateKeyPair need it */
  GENERATE_NOT = 1 << 3,    /* 4: and must not have it */
  UNWRAP_NOT = 1 << 4,      /* 6: what is unwrapped, derived or decapsulated must not have it */
  KEY_MATERIAL = 1 << 5,    /* 7: sealed apart, and never read from a sensitive or unextractable key */
  MAY_SET = 1 << 6,         /* 8: C_SetAttributeValue may change it */
  ONLY_SO = 1 << 7,         /* 10: the security officer alone sets it true */
  ONLY_TO_TRUE = 1 << 8,    /* 11: it changes in this direction only */
  ONLY_TO_FALSE = 1 << 9,   /* 12: ... or this */
  ONLY_TO_EMPTY = 1 << 10,  /* ... or this: the check value */
  MAY_COPY = 1 << 11,       /* C_CopyObject may give it another value */
  UNWRAPPED_TRUE = 1 << 12, /* true by default where it was unwrapped or decapsulated (sections 5.18.4, 5.18.8) */
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

/* The i-th row; NULL past the end. */
const struct rule *rule_at(size_t i);
/* NULL where the kind of object has no such attribute. */
const struct rule *rule_of(struct kind kind, CK_ATTRIBUTE_TYPE type);
/* An attribute has the same form wherever it occurs; false where no object has it. */
bool form_of(CK_ATTRIBUTE_TYPE type, enum form *ret_form);

/* IN_...; 0 where the class is unknown. */
unsigned class_bit(CK_OBJECT_CLASS class);
/* OF_...: OF_ANY for a class without types; 0 where the class has no such type. */
unsigned type_bit(struct kind kind);
/* The attribute that says the type of objects of this class; false where it has none. */
bool class_type_attribute(CK_OBJECT_CLASS class, CK_ATTRIBUTE_TYPE *ret_type);

#endif
