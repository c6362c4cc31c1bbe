/* SPDX-License-Identifier: Apache-2.0 */
#include "token/mech/mech.h"

#include "token/conf.h"
#include "token/crypto.h"
#include "token/simulation/simulation.h"

enum { MECHS_MAX = 512 };

static const struct mech_table *const tables[] = {
  &mech_table_rsa,    &mech_table_ec,     &mech_table_dsa, &mech_table_pqc,    &mech_table_digest,
  &mech_table_secret, &mech_table_cipher, &mech_table_mac, &mech_table_derive, &mech_table_agree,
};

/* Those that may be used here, by type; written by mech_start alone. */
static struct {
  const struct mech *mechs[MECHS_MAX];
  size_t count;
} usable;

#define NO_MGF CK_UNAVAILABLE_INFORMATION

static const struct {
  CK_MECHANISM_TYPE hash;
  CK_RSA_PKCS_MGF_TYPE mgf;
  const char *name;
} hashes[] = {
  { CKM_SHA_1, CKG_MGF1_SHA1, "SHA1" },
  { CKM_SHA224, CKG_MGF1_SHA224, "SHA224" },
  { CKM_SHA256, CKG_MGF1_SHA256, "SHA256" },
  { CKM_SHA384, CKG_MGF1_SHA384, "SHA384" },
  { CKM_SHA512, CKG_MGF1_SHA512, "SHA512" },
  { CKM_SHA512_224, NO_MGF, "SHA512-224" },
  { CKM_SHA512_256, NO_MGF, "SHA512-256" },
  { CKM_SHA3_224, CKG_MGF1_SHA3_224, "SHA3-224" },
  { CKM_SHA3_256, CKG_MGF1_SHA3_256, "SHA3-256" },
  { CKM_SHA3_384, CKG_MGF1_SHA3_384, "SHA3-384" },
  { CKM_SHA3_512, CKG_MGF1_SHA3_512, "SHA3-512" },
};

static hf_err can_be_used(const struct token_conf *conf, const struct mech *mech, bool *ret_can)
{
  bool begun = crypto_probe_begin();
  bool can = conf_allows(conf, mech->type) && (!mech->digest || crypto_md(mech->digest)) &&
             (!mech->ops->available || mech->ops->available(mech));
  if (!crypto_probe_end(begun, can))
    return hf_fail(HF_ERR_NO_MEMORY, "%s", mech->name);
  *ret_can = can;
  return HF_OK;
}

static int by_type(const void *a, const void *b)
{
  const struct mech *x = *(const struct mech *const *)a, *y = *(const struct mech *const *)b;
  return x->type < y->type ? -1 : x->type > y->type;
}

hf_err mech_start(const struct token_conf *conf)
{
  usable.count = 0;
  for (size_t i = 0; i < HF_ARRAY_LEN(tables); i++) {
    for (size_t k = 0; k < tables[i]->count; k++) {
      bool can = false;
      HF_TRY(can_be_used(conf, &tables[i]->rows[k], &can));
      const struct mech *mech = can ? simulation_mech(&tables[i]->rows[k]) : NULL;
      if (!mech)
        continue;
      if (usable.count == MECHS_MAX)
        return hf_fail(HF_ERR_INTERNAL, "%zu mechanisms", usable.count);
      usable.mechs[usable.count++] = mech;
    }
  }
  qsort(usable.mechs, usable.count, sizeof(*usable.mechs), by_type);
  return HF_OK;
}

const struct mech *mech_find(CK_MECHANISM_TYPE type)
{
  size_t low = 0, high = usable.count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (usable.mechs[middle]->type < type)
      low = middle + 1;
    else
      high = middle;
  }
  return low < usable.count && usable.mechs[low]->type == type ? usable.mechs[low] : NULL;
}

const struct mech *mech_at(size_t i)
{
  return i < usable.count ? usable.mechs[i] : NULL;
}

bool mech_type_of_name(const char *name, CK_MECHANISM_TYPE *ret_type)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(tables); i++) {
    for (size_t k = 0; k < tables[i]->count; k++) {
      if (strcmp(tables[i]->rows[k].name, name) == 0) {
        *ret_type = tables[i]->rows[k].type;
        return true;
      }
    }
  }
  return false;
}

bool mech_takes(const struct mech *mech, struct kind key)
{
  return mech->keys[0] == key.key_type || mech->keys[1] == key.key_type ||
         (mech->keys[0] == MECH_ANY_SECRET && key.class == CKO_SECRET_KEY);
}

const char *mech_hash_name(CK_MECHANISM_TYPE hash)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(hashes); i++)
    if (hashes[i].hash == hash && crypto_md(hashes[i].name))
      return hashes[i].name;
  return NULL;
}

const char *mech_mgf_name(CK_RSA_PKCS_MGF_TYPE mgf)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(hashes); i++)
    if (hashes[i].mgf == mgf && mgf != NO_MGF && crypto_md(hashes[i].name))
      return hashes[i].name;
  return NULL;
}
