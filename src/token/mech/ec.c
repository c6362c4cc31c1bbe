/* SPDX-License-Identifier: Apache-2.0 */
/* ECDSA and new keys (PKCS #11 v3.2, section 6.3). */
#include "token/mech/dss.h"

#include "token/key.h"

static hf_err prepare(struct op *op, const struct op_key *key, const CK_MECHANISM *m)
{
  return mech_dss_prepare(op, key->pkey, EVP_PKEY_get_bits(key->pkey), m);
}

const struct mech_ops mech_ecdsa = { .prepare = prepare, .sign = mech_dss_sign, .verify = mech_dss_verify };

static hf_err generate(const struct mech *mech, const CK_MECHANISM *mechanism, struct attr_halves *public,
                       struct attr_halves *private)
{
  (void)mechanism;
  struct hf_slice params;
  const struct curve *curve = NULL;
  if (!attrs_get(&public->open, CKA_EC_PARAMS, &params))
    return hf_fail(HF_ERR_TEMPLATE_INCOMPLETE, "CKA_EC_PARAMS is missing");
  HF_TRY(curve_find(mech->keys[0], params, &curve));
  return key_generate_ec(curve, public, private);
}

const struct mech_ops mech_ec_keygen = { .generate_pair = generate };
