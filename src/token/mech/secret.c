/* SPDX-License-Identifier: Apache-2.0 */
/* New secret keys: random bytes, as many as CKA_VALUE_LEN says or the type of key has. */
#include "token/mech/mech.h"

#include "token/crypto.h"
#include "token/secret_key.h"

enum { MADE_MAX = 4096 };

static hf_err find_length(const struct mech *mech, const struct attrs *open, size_t *ret_len)
{
  CK_ULONG len = attrs_ulong(open, CKA_VALUE_LEN, secret_key_length(mech->keys[0]));
  if (len == 0)
    return hf_fail(HF_ERR_TEMPLATE_INCOMPLETE, "%s: CKA_VALUE_LEN is missing", mech->name);
  if (len > MADE_MAX || !secret_key_fits(mech->keys[0], len))
    return hf_fail(HF_ERR_KEY_SIZE_RANGE, "%s: %lu bytes", mech->name, len);
  *ret_len = len;
  return HF_OK;
}

/* The lowest bit of each byte makes the number of its ones odd (FIPS 46-3). */
static void set_parity(uint8_t *key, size_t len)
{
  for (size_t i = 0; i < len; i++)
    key[i] = (uint8_t)((key[i] & 0xfe) | !__builtin_parity(key[i] & 0xfeU));
}

static hf_err generate(const struct mech *mech, const CK_MECHANISM *mechanism, struct attr_halves *secret)
{
  (void)mechanism; /* without a parameter */
  size_t len = 0;
  uint8_t *room;
  HF_CLEANUP(hf_buf_free) struct hf_buf value = HF_BUF(MADE_MAX);
  HF_TRY(find_length(mech, &secret->open, &len));
  HF_TRY(hf_buf_reserve(&value, len, &room));
  HF_TRY(crypto_random(room, len));
  hf_buf_commit(&value, len);
  if (mech->keys[0] == CKK_DES2 || mech->keys[0] == CKK_DES3)
    set_parity(value.data, len);
  return attrs_set(&secret->secret, CKA_VALUE, hf_slice(value.data, value.len));
}

const struct mech_ops mech_secret_keygen = { .generate_secret = generate };
