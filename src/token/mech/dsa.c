/* SPDX-License-Identifier: Apache-2.0 */
/* DSA (PKCS #11 v3.2, section 6.2): signatures, key pairs, domain parameters. */
#include "token/mech/dss.h"

#include "token/crypto.h"
#include "token/key.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>

static hf_err prepare(struct op *op, const struct op_key *key, const CK_MECHANISM *m)
{
  BIGNUM *q = NULL;
  if (EVP_PKEY_get_bn_param(key->pkey, OSSL_PKEY_PARAM_FFC_Q, &q) != 1)
    return crypto_fail(HF_ERR_FUNCTION_FAILED, op->mech->name);
  int bits = BN_num_bits(q);
  BN_free(q);
  return mech_dss_prepare(op, key->pkey, bits, m);
}

const struct mech_ops mech_dsa = { .prepare = prepare, .sign = mech_dss_sign, .verify = mech_dss_verify };

static hf_err generate(const struct mech *mech, const CK_MECHANISM *mechanism, struct attr_halves *public,
                       struct attr_halves *private)
{
  (void)mechanism;
  return key_generate_dsa(mech->info.ulMinKeySize, mech->info.ulMaxKeySize, public, private);
}

const struct mech_ops mech_dsa_keygen = { .generate_pair = generate };

/* What each length of p goes with (FIPS 186-4, section 4.2); the first is the one that is not asked for. */
static const struct {
  CK_ULONG p, q;
} sizes[] = { { 1024, 160 }, { 2048, 224 }, { 2048, 256 }, { 3072, 256 } };

static hf_err check_sizes(CK_ULONG p, CK_ULONG *q)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(sizes); i++) {
    if (sizes[i].p == p && (*q == 0 || sizes[i].q == *q)) {
      *q = sizes[i].q;
      return HF_OK;
    }
  }
  return hf_fail(HF_ERR_KEY_SIZE_RANGE, "DSA of %lu and %lu bits", p, *q);
}

static hf_err generate_params(const struct mech *mech, const CK_MECHANISM *mechanism, struct attr_halves *params)
{
  (void)mech;
  (void)mechanism;
  CK_ULONG p = attrs_ulong(&params->open, CKA_PRIME_BITS, 0), q = attrs_ulong(&params->open, CKA_SUBPRIME_BITS, 0);
  if (p == 0)
    return hf_fail(HF_ERR_TEMPLATE_INCOMPLETE, "CKA_PRIME_BITS is missing");
  HF_TRY(check_sizes(p, &q));
  return key_generate_dsa_params(p, q, params);
}

const struct mech_ops mech_dsa_paramgen = { .generate_secret = generate_params, .makes_domain = true };
