/* SPDX-License-Identifier: Apache-2.0 */
#include "token/key_type.h"

#include "token/crypto.h"

enum { OCTETS_MAX = 16384 };

hf_err key_bad(const char *what)
{
  return crypto_fail(HF_ERR_ATTRIBUTE_VALUE_INVALID, what);
}

hf_err key_number(struct hf_slice value, BIGNUM **ret_number)
{
  if (value.len == 0 || value.len > KEY_NUMBER_MAX)
    return hf_fail(HF_ERR_ATTRIBUTE_VALUE_INVALID, "a key's number of %zu bytes", value.len);
  BIGNUM *number = BN_bin2bn(value.data, (int)value.len, NULL);
  if (!number)
    return hf_fail(HF_ERR_NO_MEMORY, "a key's number");
  BN_set_flags(number, BN_FLG_CONSTTIME);
  *ret_number = number;
  return HF_OK;
}

hf_err key_set_number(struct attrs *attrs, CK_ATTRIBUTE_TYPE type, const BIGNUM *number, size_t padded)
{
  uint8_t bytes[KEY_NUMBER_MAX];
  size_t own = (size_t)BN_num_bytes(number), len = own > padded ? own : padded;
  if (len > sizeof(bytes) || BN_bn2binpad(number, bytes, (int)len) < 0)
    return hf_fail(HF_ERR_INTERNAL, "a number of %zu bytes", len);
  hf_err e = attrs_set(attrs, type, hf_slice(bytes, len));
  hf_wipe(bytes, len);
  return e;
}

void key_build_free(struct key_build *build)
{
  OSSL_PARAM_BLD_free(build->bld);
  for (size_t i = 0; i < build->count; i++)
    BN_clear_free(build->numbers[i]);
}

hf_err key_build_start(struct key_build *build)
{
  build->bld = OSSL_PARAM_BLD_new();
  return build->bld ? HF_OK : hf_fail(HF_ERR_NO_MEMORY, "a key");
}

hf_err key_build_number(struct key_build *build, const char *name, BIGNUM *number)
{
  if (build->count == HF_ARRAY_LEN(build->numbers)) {
    BN_clear_free(number);
    return hf_fail(HF_ERR_INTERNAL, "a key of more than %zu numbers", build->count);
  }
  build->numbers[build->count++] = number;
  return OSSL_PARAM_BLD_push_BN(build->bld, name, number) ? HF_OK : hf_fail(HF_ERR_NO_MEMORY, "a key's number");
}

static hf_err build_part(struct key_build *build, const struct key_part *part, struct hf_slice value)
{
  BIGNUM *number;
  if (part->flags & KEY_OCTETS)
    return OSSL_PARAM_BLD_push_octet_string(build->bld, part->name, value.data, value.len)
               ? HF_OK
               : hf_fail(HF_ERR_NO_MEMORY, "a key's part");
  HF_TRY(key_number(value, &number));
  return key_build_number(build, part->name, number);
}

hf_err key_build_parts(struct key_build *build, const struct key_part *parts, size_t count, struct kind kind,
                       const struct attrs *open, const struct attrs *secret)
{
  unsigned in = kind.class == CKO_PRIVATE_KEY ? KEY_IN_PRIVATE : KEY_IN_PUBLIC;
  for (size_t i = 0; i < count; i++) {
    struct hf_slice value = { 0 };
    if (!(parts[i].flags & in))
      continue;
    (void)attrs_get(parts[i].flags & KEY_SECRET ? secret : open, parts[i].type, &value);
    if (value.len)
      HF_TRY(build_part(build, &parts[i], value));
    else if (!(parts[i].flags & KEY_OPTIONAL))
      return hf_fail(HF_ERR_ATTRIBUTE_VALUE_INVALID, "a key without attribute 0x%lx", parts[i].type);
  }
  return HF_OK;
}

/* Everything in them was copied by the builder. */
static void wipe_params(OSSL_PARAM *params)
{
  for (OSSL_PARAM *p = params; p && p->key; p++)
    OPENSSL_cleanse(p->data, p->data_size);
  OSSL_PARAM_free(params);
}

hf_err key_build_done(struct key_build *build, const char *type, int selection, EVP_PKEY **ret_key)
{
  OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build->bld);
  HF_CLEANUP(key_ctx_free) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(crypto_ctx(), type, NULL);
  EVP_PKEY *key = NULL;
  bool made = params && ctx && EVP_PKEY_fromdata_init(ctx) == 1 && EVP_PKEY_fromdata(ctx, &key, selection, params) == 1;
  wipe_params(params);
  if (!made)
    return key_bad("the values are no key");
  *ret_key = key;
  return HF_OK;
}

static hf_err get_number(const EVP_PKEY *key, const struct key_part *part, struct attrs *half)
{
  HF_CLEANUP(key_number_free) BIGNUM *number = NULL;
  if (EVP_PKEY_get_bn_param(key, part->name, &number) == 1)
    return key_set_number(half, part->type, number, 0);
  return part->flags & KEY_OPTIONAL ? HF_OK : crypto_fail(HF_ERR_FUNCTION_FAILED, "reading a key");
}

static hf_err get_octets(const EVP_PKEY *key, const struct key_part *part, struct attrs *half)
{
  uint8_t bytes[OCTETS_MAX];
  size_t len;
  if (EVP_PKEY_get_octet_string_param(key, part->name, bytes, sizeof(bytes), &len) != 1)
    return part->flags & KEY_OPTIONAL ? HF_OK : crypto_fail(HF_ERR_FUNCTION_FAILED, "reading a key");
  hf_err e = attrs_set(half, part->type, hf_slice(bytes, len));
  hf_wipe(bytes, len);
  return e;
}

static hf_err encode_part(const EVP_PKEY *key, const struct key_part *part, struct attr_halves *halves)
{
  struct attrs *half = part->flags & KEY_SECRET ? &halves->secret : &halves->open;
  struct hf_slice value;
  if (attrs_get(half, part->type, &value) && value.len)
    return HF_OK;
  return (part->flags & KEY_OCTETS ? get_octets : get_number)(key, part, half);
}

hf_err key_parts_encode(const EVP_PKEY *key, const struct key_part *parts, size_t count, struct attr_halves *public,
                        struct attr_halves *private)
{
  for (size_t i = 0; i < count; i++) {
    if (public && parts[i].flags & KEY_IN_PUBLIC)
      HF_TRY(encode_part(key, &parts[i], public));
    if (private && parts[i].flags & KEY_IN_PRIVATE)
      HF_TRY(encode_part(key, &parts[i], private));
  }
  return HF_OK;
}
