/* SPDX-License-Identifier: Apache-2.0 */
#include "token/mech/mech.h"

#include "token/library.h"

enum { RSA_MIN = 2048, RSA_MAX = 4096, EC_MIN = 256, EC_MAX = 521, EDWARDS = 255 };

#define NO_KEY CK_UNAVAILABLE_INFORMATION
#define SIGNS (CKF_SIGN | CKF_VERIFY)
#define CRYPTS (CKF_ENCRYPT | CKF_DECRYPT)
#define EC_FLAGS (CKF_EC_F_P | CKF_EC_NAMEDCURVE | CKF_EC_UNCOMPRESS)

#define NAMED(type) type, #type

/* clang-format off */
static const struct mech mechs[] = {
  { NAMED(CKM_RSA_PKCS_KEY_PAIR_GEN), CKK_RSA, { RSA_MIN, RSA_MAX, CKF_GENERATE_KEY_PAIR }, NULL, NULL, mech_generate_rsa },
  { NAMED(CKM_RSA_PKCS),              CKK_RSA, { RSA_MIN, RSA_MAX, SIGNS | CRYPTS }, NULL, &mech_rsa_pkcs },
  { NAMED(CKM_RSA_PKCS_OAEP),         CKK_RSA, { RSA_MIN, RSA_MAX, CRYPTS }, NULL,    &mech_rsa_oaep },
  { NAMED(CKM_SHA1_RSA_PKCS),         CKK_RSA, { RSA_MIN, RSA_MAX, SIGNS }, "SHA1",   &mech_rsa_pkcs },
  { NAMED(CKM_SHA224_RSA_PKCS),       CKK_RSA, { RSA_MIN, RSA_MAX, SIGNS }, "SHA224", &mech_rsa_pkcs },
  { NAMED(CKM_SHA256_RSA_PKCS),       CKK_RSA, { RSA_MIN, RSA_MAX, SIGNS }, "SHA256", &mech_rsa_pkcs },
  { NAMED(CKM_SHA384_RSA_PKCS),       CKK_RSA, { RSA_MIN, RSA_MAX, SIGNS }, "SHA384", &mech_rsa_pkcs },
  { NAMED(CKM_SHA512_RSA_PKCS),       CKK_RSA, { RSA_MIN, RSA_MAX, SIGNS }, "SHA512", &mech_rsa_pkcs },
  { NAMED(CKM_RSA_PKCS_PSS),          CKK_RSA, { RSA_MIN, RSA_MAX, SIGNS }, NULL,     &mech_rsa_pss },
  { NAMED(CKM_SHA1_RSA_PKCS_PSS),     CKK_RSA, { RSA_MIN, RSA_MAX, SIGNS }, "SHA1",   &mech_rsa_pss },
  { NAMED(CKM_SHA224_RSA_PKCS_PSS),   CKK_RSA, { RSA_MIN, RSA_MAX, SIGNS }, "SHA224", &mech_rsa_pss },
  { NAMED(CKM_SHA256_RSA_PKCS_PSS),   CKK_RSA, { RSA_MIN, RSA_MAX, SIGNS }, "SHA256", &mech_rsa_pss },
  { NAMED(CKM_SHA384_RSA_PKCS_PSS),   CKK_RSA, { RSA_MIN, RSA_MAX, SIGNS }, "SHA384", &mech_rsa_pss },
  { NAMED(CKM_SHA512_RSA_PKCS_PSS),   CKK_RSA, { RSA_MIN, RSA_MAX, SIGNS }, "SHA512", &mech_rsa_pss },
  { NAMED(CKM_EC_KEY_PAIR_GEN),       CKK_EC,  { EC_MIN, EC_MAX, CKF_GENERATE_KEY_PAIR | EC_FLAGS }, NULL, NULL, mech_generate_ec },
  { NAMED(CKM_ECDSA),                 CKK_EC,  { EC_MIN, EC_MAX, SIGNS | EC_FLAGS }, NULL,     &mech_ecdsa },
  { NAMED(CKM_ECDSA_SHA1),            CKK_EC,  { EC_MIN, EC_MAX, SIGNS | EC_FLAGS }, "SHA1",   &mech_ecdsa },
  { NAMED(CKM_ECDSA_SHA224),          CKK_EC,  { EC_MIN, EC_MAX, SIGNS | EC_FLAGS }, "SHA224", &mech_ecdsa },
  { NAMED(CKM_ECDSA_SHA256),          CKK_EC,  { EC_MIN, EC_MAX, SIGNS | EC_FLAGS }, "SHA256", &mech_ecdsa },
  { NAMED(CKM_ECDSA_SHA384),          CKK_EC,  { EC_MIN, EC_MAX, SIGNS | EC_FLAGS }, "SHA384", &mech_ecdsa },
  { NAMED(CKM_ECDSA_SHA512),          CKK_EC,  { EC_MIN, EC_MAX, SIGNS | EC_FLAGS }, "SHA512", &mech_ecdsa },
  { NAMED(CKM_ECDH1_DERIVE),          CKK_EC,  { EC_MIN, EC_MAX, CKF_DERIVE | EC_FLAGS }, NULL, &mech_ecdh },
  { NAMED(CKM_EC_EDWARDS_KEY_PAIR_GEN), CKK_EC_EDWARDS, { EDWARDS, EDWARDS, CKF_GENERATE_KEY_PAIR | CKF_EC_NAMEDCURVE }, NULL, NULL, mech_generate_ec },
  { NAMED(CKM_EDDSA),                 CKK_EC_EDWARDS, { EDWARDS, EDWARDS, SIGNS | CKF_EC_NAMEDCURVE }, NULL, &mech_eddsa },
  { NAMED(CKM_SHA_1),                 NO_KEY,  { 0, 0, CKF_DIGEST }, "SHA1" },
  { NAMED(CKM_SHA224),                NO_KEY,  { 0, 0, CKF_DIGEST }, "SHA224" },
  { NAMED(CKM_SHA256),                NO_KEY,  { 0, 0, CKF_DIGEST }, "SHA256" },
  { NAMED(CKM_SHA384),                NO_KEY,  { 0, 0, CKF_DIGEST }, "SHA384" },
  { NAMED(CKM_SHA512),                NO_KEY,  { 0, 0, CKF_DIGEST }, "SHA512" },
};

static const struct {
  CK_MECHANISM_TYPE hash;
  CK_RSA_PKCS_MGF_TYPE mgf;
  const char *name;
} hashes[] = {
  { CKM_SHA_1, CKG_MGF1_SHA1, "SHA1" },       { CKM_SHA224, CKG_MGF1_SHA224, "SHA224" },
  { CKM_SHA256, CKG_MGF1_SHA256, "SHA256" },  { CKM_SHA384, CKG_MGF1_SHA384, "SHA384" },
  { CKM_SHA512, CKG_MGF1_SHA512, "SHA512" },
};
/* clang-format on */

const struct mech *mech_find(CK_MECHANISM_TYPE type)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(mechs); i++)
    if (mechs[i].type == type)
      return conf_allows(library_conf(), type) ? &mechs[i] : NULL;
  return NULL;
}

const struct mech *mech_at(size_t i)
{
  for (size_t k = 0; k < HF_ARRAY_LEN(mechs); k++)
    if (conf_allows(library_conf(), mechs[k].type) && i-- == 0)
      return &mechs[k];
  return NULL;
}

bool mech_type_of_name(const char *name, CK_MECHANISM_TYPE *ret_type)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(mechs); i++) {
    if (strcmp(mechs[i].name, name) == 0) {
      *ret_type = mechs[i].type;
      return true;
    }
  }
  return false;
}

const char *mech_hash_name(CK_MECHANISM_TYPE hash)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(hashes); i++)
    if (hashes[i].hash == hash)
      return hashes[i].name;
  return NULL;
}

const char *mech_mgf_name(CK_RSA_PKCS_MGF_TYPE mgf)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(hashes); i++)
    if (hashes[i].mgf == mgf)
      return hashes[i].name;
  return NULL;
}
