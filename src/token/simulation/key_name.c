/* SPDX-License-Identifier: Apache-2.0 */
#include "token/simulation/key_name.h"

#include "token/key.h"

static CK_ULONG rsa_bits(const struct attrs *open)
{
  struct hf_slice modulus;
  if (!attrs_get(open, CKA_MODULUS, &modulus))
    return attrs_ulong(open, CKA_MODULUS_BITS, 0);
  while (modulus.len && modulus.data[0] == 0)
    modulus = hf_slice(modulus.data + 1, modulus.len - 1);
  return modulus.len * 8;
}

void key_name(const struct attrs *open, char ret_name[WORD_KEY])
{
  struct kind kind = policy_kind_of(open);
  struct hf_slice params;
  const struct curve *curve;
  ret_name[0] = '\0';
  if (kind.key_type == CKK_RSA)
    snprintf(ret_name, WORD_KEY, "RSA-%lu", rsa_bits(open) % 100000);
  else if (attrs_get(open, CKA_EC_PARAMS, &params) && !hf_failed(curve_find(kind.key_type, params, &curve)))
    snprintf(ret_name, WORD_KEY, "%s", word_of_curve(curve->name));
}
