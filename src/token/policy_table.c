/* SPDX-License-Identifier: Apache-2.0 */
#include "token/policy_table.h"

#define ASSIGNED (CREATE_NOT | GENERATE_NOT | UNWRAP_NOT)
#define PART (CREATE_MUST | GENERATE_NOT | UNWRAP_NOT)
#define PART_OPTIONAL (GENERATE_NOT | UNWRAP_NOT)
#define PARAMETER (CREATE_MUST | GENERATE_MUST)
#define MATERIAL (PART | KEY_MATERIAL)
#define MATERIAL_OPTIONAL (PART_OPTIONAL | KEY_MATERIAL)
#define LESS_FREE (MAY_COPY | MAY_SET | ONLY_TO_FALSE)

/* clang-format off */
static const struct rule rules[] = {
  { CKA_CLASS,               FORM_ULONG, IN_ALL,       OF_ANY,       CREATE_MUST,             PRESET_NONE },
  { CKA_TOKEN,               FORM_BOOL,  IN_ALL,       OF_ANY,       MAY_COPY,                PRESET_FALSE },
  { CKA_PRIVATE,             FORM_BOOL,  IN_ALL & ~IN_SENSITIVE, OF_ANY, MAY_COPY,            PRESET_FALSE },
  { CKA_PRIVATE,             FORM_BOOL,  IN_SENSITIVE, OF_ANY,       MAY_COPY,                PRESET_TRUE },
  { CKA_MODIFIABLE,          FORM_BOOL,  IN_ALL,       OF_ANY,       MAY_COPY,                PRESET_TRUE },
  { CKA_COPYABLE,            FORM_BOOL,  IN_ALL,       OF_ANY,       LESS_FREE,               PRESET_TRUE },
  { CKA_DESTROYABLE,         FORM_BOOL,  IN_ALL,       OF_ANY,       LESS_FREE,               PRESET_TRUE },
  { CKA_LABEL,               FORM_BYTES, IN_ALL,       OF_ANY,       MAY_SET,                 PRESET_EMPTY },
  { CKA_UNIQUE_ID,           FORM_BYTES, IN_ALL,       OF_ANY,       ASSIGNED,                PRESET_NONE },

  { CKA_PROFILE_ID,          FORM_ULONG, IN_PROFILE,   OF_ANY,       CREATE_MUST,             PRESET_NONE },

  { CKA_APPLICATION,         FORM_BYTES, IN_DATA,      OF_ANY,       MAY_SET,                 PRESET_EMPTY },
  { CKA_OBJECT_ID,           FORM_BYTES, IN_DATA,      OF_ANY,       MAY_SET,                 PRESET_EMPTY },
  { CKA_VALUE,               FORM_BYTES, IN_DATA,      OF_ANY,       MAY_SET,                 PRESET_EMPTY },

  { CKA_CERTIFICATE_TYPE,    FORM_ULONG, IN_CERT,      OF_ANY,       CREATE_MUST,             PRESET_NONE },
  { CKA_CERTIFICATE_CATEGORY, FORM_ULONG, IN_CERT,     OF_ANY,       0,                       PRESET_ZERO },
  { CKA_TRUSTED,             FORM_BOOL,  IN_CERT | IN_PUBLIC | IN_SECRET, OF_ANY, MAY_SET | ONLY_SO, PRESET_FALSE },
  { CKA_CHECK_VALUE,         FORM_BYTES, IN_CERT | IN_SECRET, OF_ANY, MAY_SET | ONLY_TO_EMPTY, PRESET_NONE },
  { CKA_PUBLIC_KEY_INFO,     FORM_BYTES, IN_CERT,      OF_ANY,       0,                       PRESET_EMPTY },
  { CKA_SUBJECT,             FORM_BYTES, IN_CERT,      OF_X509 | OF_WTLS, CREATE_MUST,        PRESET_NONE },
  { CKA_ID,                  FORM_BYTES, IN_CERT,      OF_ANY,       MAY_SET,                 PRESET_EMPTY },
  { CKA_ISSUER,              FORM_BYTES, IN_CERT,      OF_X509 | OF_WTLS, MAY_SET,            PRESET_EMPTY },
  { CKA_SERIAL_NUMBER,       FORM_BYTES, IN_CERT,      OF_X509 | OF_X509_ATTR, MAY_SET,       PRESET_EMPTY },
  { CKA_OWNER,               FORM_BYTES, IN_CERT,      OF_X509_ATTR, CREATE_MUST,             PRESET_NONE },
  { CKA_AC_ISSUER,           FORM_BYTES, IN_CERT,      OF_X509_ATTR, MAY_SET,                 PRESET_EMPTY },
  { CKA_ATTR_TYPES,          FORM_BYTES, IN_CERT,      OF_X509_ATTR, MAY_SET,                 PRESET_EMPTY },
  { CKA_VALUE,               FORM_BYTES, IN_CERT,      OF_ANY,       CREATE_MUST,             PRESET_NONE },
  { CKA_URL,                 FORM_BYTES, IN_CERT,      OF_X509 | OF_WTLS, 0,                  PRESET_EMPTY },
  { CKA_HASH_OF_SUBJECT_PUBLIC_KEY, FORM_BYTES, IN_CERT, OF_X509 | OF_WTLS, 0,                PRESET_EMPTY },
  { CKA_HASH_OF_ISSUER_PUBLIC_KEY, FORM_BYTES, IN_CERT, OF_X509 | OF_WTLS, 0,                 PRESET_EMPTY },
  { CKA_NAME_HASH_ALGORITHM, FORM_ULONG, IN_CERT,      OF_X509 | OF_WTLS, 0,                  PRESET_NONE },
  { CKA_JAVA_MIDP_SECURITY_DOMAIN, FORM_ULONG, IN_CERT, OF_X509,     0,                       PRESET_ZERO },

  { CKA_KEY_TYPE,            FORM_ULONG, IN_KEY_TYPED, OF_ANY,       CREATE_MUST,             PRESET_NONE },
  { CKA_LOCAL,               FORM_BOOL,  IN_KEY_TYPED, OF_ANY,       ASSIGNED,                PRESET_NONE },
  { CKA_ID,                  FORM_BYTES, IN_KEYS,      OF_ANY,       MAY_SET,                 PRESET_EMPTY },
  { CKA_START_DATE,          FORM_DATE,  IN_KEYS | IN_CERT, OF_ANY,  MAY_SET,                 PRESET_EMPTY },
  { CKA_END_DATE,            FORM_DATE,  IN_KEYS | IN_CERT, OF_ANY,  MAY_SET,                 PRESET_EMPTY },
  { CKA_DERIVE,              FORM_BOOL,  IN_KEYS,      OF_ANY,       MAY_SET,                 PRESET_FALSE },
  { CKA_KEY_GEN_MECHANISM,   FORM_ULONG, IN_KEYS,      OF_ANY,       ASSIGNED,                PRESET_UNAVAILABLE },
  { CKA_ALLOWED_MECHANISMS,  FORM_MECHANISMS, IN_KEYS, OF_ANY,       0,                       PRESET_EMPTY },
  { CKA_SUBJECT,             FORM_BYTES, IN_PAIR,      OF_ANY,       MAY_SET,                 PRESET_EMPTY },
  { CKA_PUBLIC_KEY_INFO,     FORM_BYTES, IN_PAIR,      OF_ANY,       GENERATE_NOT,            PRESET_NONE },

  { CKA_ENCRYPT,             FORM_BOOL,  IN_PUBLIC | IN_SECRET, OF_RSA | OF_SYMMETRIC, MAY_SET, PRESET_TRUE },
  { CKA_ENCRYPT,             FORM_BOOL,  IN_PUBLIC,    OF_PAIRED & ~OF_RSA, MAY_SET,             PRESET_FALSE },
  { CKA_VERIFY,              FORM_BOOL,  IN_PUBLIC | IN_SECRET, OF_SIGNER | OF_SYMMETRIC, MAY_SET, PRESET_TRUE },
  { CKA_VERIFY,              FORM_BOOL,  IN_PUBLIC,    OF_PAIRED & ~OF_SIGNER, MAY_SET,          PRESET_FALSE },
  { CKA_VERIFY_RECOVER,      FORM_BOOL,  IN_PUBLIC,    OF_ANY,       MAY_SET,                 PRESET_FALSE },
  { CKA_WRAP,                FORM_BOOL,  IN_PUBLIC | IN_SECRET, OF_RSA | OF_SYMMETRIC, MAY_SET, PRESET_TRUE },
  { CKA_WRAP,                FORM_BOOL,  IN_PUBLIC,    OF_PAIRED & ~OF_RSA, MAY_SET,             PRESET_FALSE },
  { CKA_ENCAPSULATE,         FORM_BOOL,  IN_PUBLIC,    OF_ML_KEM,    MAY_SET,                 PRESET_TRUE },
  { CKA_ENCAPSULATE,         FORM_BOOL,  IN_PUBLIC,    OF_PAIRED & ~OF_ML_KEM, MAY_SET,          PRESET_FALSE },
  { CKA_WRAP_TEMPLATE,       FORM_TEMPLATE, IN_PUBLIC | IN_SECRET, OF_ANY, 0,                 PRESET_EMPTY },
  { CKA_ENCAPSULATE_TEMPLATE, FORM_TEMPLATE, IN_PUBLIC, OF_ANY,      0,                       PRESET_EMPTY },

  { CKA_SENSITIVE,           FORM_BOOL,  IN_SENSITIVE, OF_ANY,       MAY_SET | ONLY_TO_TRUE,  PRESET_TRUE },
  { CKA_EXTRACTABLE,         FORM_BOOL,  IN_SENSITIVE, OF_ANY,       MAY_SET | ONLY_TO_FALSE | UNWRAPPED_TRUE, PRESET_FALSE },
  { CKA_ALWAYS_SENSITIVE,    FORM_BOOL,  IN_SENSITIVE, OF_ANY,       ASSIGNED,                PRESET_NONE },
  { CKA_NEVER_EXTRACTABLE,   FORM_BOOL,  IN_SENSITIVE, OF_ANY,       ASSIGNED,                PRESET_NONE },
  { CKA_WRAP_WITH_TRUSTED,   FORM_BOOL,  IN_SENSITIVE, OF_ANY,       MAY_SET | ONLY_TO_TRUE,  PRESET_FALSE },
  { CKA_ALWAYS_AUTHENTICATE, FORM_BOOL,  IN_PRIVATE,   OF_ANY,       0,                       PRESET_FALSE },
  { CKA_SIGN,                FORM_BOOL,  IN_SENSITIVE, OF_SIGNER | OF_SYMMETRIC, MAY_SET,     PRESET_TRUE },
  { CKA_SIGN,                FORM_BOOL,  IN_PRIVATE,   OF_PAIRED & ~OF_SIGNER, MAY_SET,          PRESET_FALSE },
  { CKA_SIGN_RECOVER,        FORM_BOOL,  IN_PRIVATE,   OF_ANY,       MAY_SET,                 PRESET_FALSE },
  { CKA_DECRYPT,             FORM_BOOL,  IN_SENSITIVE, OF_RSA | OF_SYMMETRIC, MAY_SET,        PRESET_TRUE },
  { CKA_DECRYPT,             FORM_BOOL,  IN_PRIVATE,   OF_PAIRED & ~OF_RSA, MAY_SET,             PRESET_FALSE },
  { CKA_UNWRAP,              FORM_BOOL,  IN_SENSITIVE, OF_RSA | OF_SYMMETRIC, MAY_SET,        PRESET_TRUE },
  { CKA_UNWRAP,              FORM_BOOL,  IN_PRIVATE,   OF_PAIRED & ~OF_RSA, MAY_SET,             PRESET_FALSE },
  { CKA_DECAPSULATE,         FORM_BOOL,  IN_PRIVATE,   OF_ML_KEM,    MAY_SET,                 PRESET_TRUE },
  { CKA_DECAPSULATE,         FORM_BOOL,  IN_PRIVATE,   OF_PAIRED & ~OF_ML_KEM, MAY_SET,          PRESET_FALSE },
  { CKA_UNWRAP_TEMPLATE,     FORM_TEMPLATE, IN_SENSITIVE, OF_ANY,    0,                       PRESET_EMPTY },
  { CKA_DERIVE_TEMPLATE,     FORM_TEMPLATE, IN_SENSITIVE, OF_ANY,    0,                       PRESET_EMPTY },
  { CKA_DECAPSULATE_TEMPLATE, FORM_TEMPLATE, IN_PRIVATE, OF_ANY,     0,                       PRESET_EMPTY },

  { CKA_MODULUS,             FORM_BYTES, IN_PAIR,      OF_RSA,       PART,                    PRESET_NONE },
  { CKA_MODULUS_BITS,        FORM_ULONG, IN_PUBLIC,    OF_RSA,       CREATE_NOT | GENERATE_MUST, PRESET_NONE },
  { CKA_PUBLIC_EXPONENT,     FORM_BYTES, IN_PUBLIC,    OF_RSA,       CREATE_MUST,             PRESET_NONE },
  { CKA_PUBLIC_EXPONENT,     FORM_BYTES, IN_PRIVATE,   OF_RSA,       PART_OPTIONAL,           PRESET_NONE },
  { CKA_PRIVATE_EXPONENT,    FORM_BYTES, IN_PRIVATE,   OF_RSA,       MATERIAL_OPTIONAL,       PRESET_NONE },
  { CKA_PRIME_1,             FORM_BYTES, IN_PRIVATE,   OF_RSA,       MATERIAL_OPTIONAL,       PRESET_NONE },
  { CKA_PRIME_2,             FORM_BYTES, IN_PRIVATE,   OF_RSA,       MATERIAL_OPTIONAL,       PRESET_NONE },
  { CKA_EXPONENT_1,          FORM_BYTES, IN_PRIVATE,   OF_RSA,       MATERIAL_OPTIONAL,       PRESET_NONE },
  { CKA_EXPONENT_2,          FORM_BYTES, IN_PRIVATE,   OF_RSA,       MATERIAL_OPTIONAL,       PRESET_NONE },
  { CKA_COEFFICIENT,         FORM_BYTES, IN_PRIVATE,   OF_RSA,       MATERIAL_OPTIONAL,       PRESET_NONE },

  { CKA_EC_PARAMS,           FORM_BYTES, IN_PUBLIC,    OF_CURVE,     PARAMETER,               PRESET_NONE },
  { CKA_EC_PARAMS,           FORM_BYTES, IN_PRIVATE,   OF_CURVE,     PART,                    PRESET_NONE },
  { CKA_EC_POINT,            FORM_BYTES, IN_PUBLIC,    OF_CURVE,     PART,                    PRESET_NONE },
  { CKA_EC_POINT,            FORM_BYTES, IN_PRIVATE,   OF_CURVE,     PART_OPTIONAL,           PRESET_NONE },
  { CKA_VALUE,               FORM_BYTES, IN_PRIVATE,   OF_CURVE,     MATERIAL,                PRESET_NONE },

  { CKA_PRIME,               FORM_BYTES, IN_PUBLIC,    OF_DSA | OF_DH, PARAMETER,             PRESET_NONE },
  { CKA_SUBPRIME,            FORM_BYTES, IN_PUBLIC,    OF_DSA,       PARAMETER,               PRESET_NONE },
  { CKA_BASE,                FORM_BYTES, IN_PUBLIC,    OF_DSA | OF_DH, PARAMETER,             PRESET_NONE },
  { CKA_PRIME,               FORM_BYTES, IN_PRIVATE | IN_DOMAIN, OF_DSA | OF_DH, PART,        PRESET_NONE },
  { CKA_SUBPRIME,            FORM_BYTES, IN_PRIVATE | IN_DOMAIN, OF_DSA, PART,                PRESET_NONE },
  { CKA_BASE,                FORM_BYTES, IN_PRIVATE | IN_DOMAIN, OF_DSA | OF_DH, PART,        PRESET_NONE },
  { CKA_PRIME_BITS,          FORM_ULONG, IN_DOMAIN,    OF_DSA | OF_DH, CREATE_NOT | GENERATE_MUST, PRESET_NONE },
  { CKA_SUBPRIME_BITS,       FORM_ULONG, IN_DOMAIN,    OF_DSA,       CREATE_NOT,              PRESET_NONE },
  { CKA_VALUE,               FORM_BYTES, IN_PUBLIC,    OF_DSA | OF_DH, PART,                  PRESET_NONE },
  { CKA_VALUE,               FORM_BYTES, IN_PRIVATE,   OF_DSA | OF_DH, MATERIAL,              PRESET_NONE },
  { CKA_VALUE_BITS,          FORM_ULONG, IN_PRIVATE,   OF_DH,        CREATE_NOT | UNWRAP_NOT, PRESET_NONE },

  { CKA_PARAMETER_SET,       FORM_ULONG, IN_PUBLIC,    OF_PARAMETER_SET, PARAMETER,           PRESET_NONE },
  { CKA_PARAMETER_SET,       FORM_ULONG, IN_PRIVATE,   OF_PARAMETER_SET, PART,                PRESET_NONE },
  { CKA_VALUE,               FORM_BYTES, IN_PUBLIC,    OF_PARAMETER_SET, PART,                PRESET_NONE },
  { CKA_VALUE,               FORM_BYTES, IN_PRIVATE,   OF_SLH_DSA,   MATERIAL,                PRESET_NONE },
  { CKA_VALUE,               FORM_BYTES, IN_PRIVATE,   OF_SEEDED,    MATERIAL_OPTIONAL,       PRESET_NONE },
  { CKA_SEED,                FORM_BYTES, IN_PRIVATE,   OF_SEEDED,    MATERIAL_OPTIONAL,       PRESET_NONE },

  { CKA_VALUE,               FORM_BYTES, IN_SECRET,    OF_SYMMETRIC, MATERIAL,                PRESET_NONE },
  { CKA_VALUE_LEN,           FORM_ULONG, IN_SECRET,    OF_SECRET,    CREATE_NOT,              PRESET_NONE },
};

static const struct {
  CK_OBJECT_CLASS class;
  unsigned in;
} classes[] = {
  { CKO_DATA, IN_DATA }, { CKO_CERTIFICATE, IN_CERT }, { CKO_PUBLIC_KEY, IN_PUBLIC }, { CKO_PRIVATE_KEY, IN_PRIVATE },
  { CKO_SECRET_KEY, IN_SECRET }, { CKO_DOMAIN_PARAMETERS, IN_DOMAIN }, { CKO_PROFILE, IN_PROFILE },
};

static const struct {
  CK_ULONG type;
  unsigned of;
  unsigned in;
} types[] = {
  { CKK_RSA, OF_RSA, IN_PAIR },
  { CKK_EC, OF_EC, IN_PAIR }, { CKK_EC_EDWARDS, OF_EC, IN_PAIR }, { CKK_EC_MONTGOMERY, OF_MONTGOMERY, IN_PAIR },
  { CKK_DSA, OF_DSA, IN_PAIR | IN_DOMAIN }, { CKK_DH, OF_DH, IN_PAIR | IN_DOMAIN },
  { CKK_ML_DSA, OF_ML_DSA, IN_PAIR }, { CKK_SLH_DSA, OF_SLH_DSA, IN_PAIR }, { CKK_ML_KEM, OF_ML_KEM, IN_PAIR },
  { CKK_AES, OF_SECRET, IN_SECRET }, { CKK_AES_XTS, OF_SECRET, IN_SECRET }, { CKK_GENERIC_SECRET, OF_SECRET, IN_SECRET },
  { CKK_CHACHA20, OF_SECRET, IN_SECRET }, { CKK_POLY1305, OF_SECRET, IN_SECRET }, { CKK_HKDF, OF_SECRET, IN_SECRET },
  { CKK_MD5_HMAC, OF_SECRET, IN_SECRET }, { CKK_SHA_1_HMAC, OF_SECRET, IN_SECRET },
  { CKK_SHA224_HMAC, OF_SECRET, IN_SECRET }, { CKK_SHA256_HMAC, OF_SECRET, IN_SECRET },
  { CKK_SHA384_HMAC, OF_SECRET, IN_SECRET }, { CKK_SHA512_HMAC, OF_SECRET, IN_SECRET },
  { CKK_SHA512_224_HMAC, OF_SECRET, IN_SECRET }, { CKK_SHA512_256_HMAC, OF_SECRET, IN_SECRET },
  { CKK_SHA3_224_HMAC, OF_SECRET, IN_SECRET }, { CKK_SHA3_256_HMAC, OF_SECRET, IN_SECRET },
  { CKK_SHA3_384_HMAC, OF_SECRET, IN_SECRET }, { CKK_SHA3_512_HMAC, OF_SECRET, IN_SECRET },
  { CKK_DES, OF_DES, IN_SECRET }, { CKK_DES2, OF_DES, IN_SECRET }, { CKK_DES3, OF_DES, IN_SECRET },
  { CKC_X_509, OF_X509, IN_CERT }, { CKC_X_509_ATTR_CERT, OF_X509_ATTR, IN_CERT }, { CKC_WTLS, OF_WTLS, IN_CERT },
};
/* clang-format on */

unsigned class_bit(CK_OBJECT_CLASS class)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(classes); i++)
    if (classes[i].class == class)
      return classes[i].in;
  return 0;
}

bool class_type_attribute(CK_OBJECT_CLASS class, CK_ATTRIBUTE_TYPE *ret_type)
{
  unsigned in = class_bit(class);
  if (!(in & (IN_KEY_TYPED | IN_CERT)))
    return false;
  *ret_type = in & IN_CERT ? CKA_CERTIFICATE_TYPE : CKA_KEY_TYPE;
  return true;
}

unsigned type_bit(struct kind kind)
{
  CK_ATTRIBUTE_TYPE attribute;
  unsigned in = class_bit(kind.class);
  if (!class_type_attribute(kind.class, &attribute))
    return OF_ANY;
  for (size_t i = 0; i < HF_ARRAY_LEN(types); i++)
    if (types[i].type == kind.key_type && types[i].in & in)
      return types[i].of;
  return 0;
}

const struct rule *rule_at(size_t i)
{
  return i < HF_ARRAY_LEN(rules) ? &rules[i] : NULL;
}

const struct rule *rule_of(struct kind kind, CK_ATTRIBUTE_TYPE type)
{
  unsigned in = class_bit(kind.class), of = type_bit(kind);
  for (size_t i = 0; i < HF_ARRAY_LEN(rules); i++)
    if (rules[i].type == type && rules[i].in & in && rules[i].of & of)
      return &rules[i];
  return NULL;
}

bool form_of(CK_ATTRIBUTE_TYPE type, enum form *ret_form)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(rules); i++) {
    if (rules[i].type == type) {
      *ret_form = rules[i].form;
      return true;
    }
  }
  return false;
}
