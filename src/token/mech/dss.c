/* SPDX-License-Identifier: Apache-2.0 */
#include "token/mech/dss.h"

#include "token/crypto.h"

enum { ORDER_MAX = 66, DER_MAX = 2 * (ORDER_MAX + 3) + 4, DER_SEQUENCE = 0x30, DER_INTEGER = 0x02 };

hf_err mech_dss_prepare(struct op *op, EVP_PKEY *key, int order_bits, const CK_MECHANISM *m)
{
  HF_TRY(op_no_param(op, m));
  op->out_len = 2 * (((size_t)order_bits + 7) / 8);
  if (op->out_len > 2 * ORDER_MAX)
    return hf_fail(HF_ERR_KEY_SIZE_RANGE, "%s: an order of %d bits", op->mech->name, order_bits);
  return op_key_ctx(op, key);
}

static hf_err take_length(struct hf_slice *in, size_t *ret_len)
{
  uint8_t len;
  HF_TRY(hf_take_u8(in, &len));
  if (len == 0x81)
    HF_TRY(hf_take_u8(in, &len));
  else if (len >= 0x80)
    return hf_fail(HF_ERR_PARSE, "a DER length");
  *ret_len = len;
  return HF_OK;
}

/* One INTEGER, right-aligned in size bytes. */
static hf_err take_integer(struct hf_slice *in, uint8_t *out, size_t size)
{
  uint8_t tag;
  size_t len;
  const uint8_t *data;
  HF_TRY(hf_take_u8(in, &tag));
  HF_TRY(take_length(in, &len));
  HF_TRY(hf_take(in, len, &data));
  while (len > 0 && *data == 0) {
    data++;
    len--;
  }
  if (tag != DER_INTEGER || len > size)
    return hf_fail(HF_ERR_PARSE, "a DER integer of %zu bytes", len);
  memset(out, 0, size - len);
  memcpy(out + size - len, data, len);
  return HF_OK;
}

static hf_err der_to_raw(struct hf_slice der, uint8_t *raw, size_t order)
{
  uint8_t tag;
  size_t len;
  HF_TRY(hf_take_u8(&der, &tag));
  HF_TRY(take_length(&der, &len));
  if (tag != DER_SEQUENCE || len != der.len)
    return hf_fail(HF_ERR_PARSE, "a DER sequence");
  HF_TRY(take_integer(&der, raw, order));
  HF_TRY(take_integer(&der, raw + order, order));
  return hf_take_end(&der);
}

static size_t put_integer(uint8_t *out, const uint8_t *number, size_t len)
{
  while (len > 1 && *number == 0) {
    number++;
    len--;
  }
  size_t pad = number[0] & 0x80 ? 1 : 0;
  out[0] = DER_INTEGER;
  out[1] = (uint8_t)(len + pad);
  out[2] = 0;
  memcpy(out + 2 + pad, number, len);
  return 2 + pad + len;
}

static size_t raw_to_der(const uint8_t *raw, size_t order, uint8_t der[DER_MAX])
{
  uint8_t body[2 * (ORDER_MAX + 3)];
  size_t len = put_integer(body, raw, order);
  len += put_integer(body + len, raw + order, order);
  size_t head = 0;
  der[head++] = DER_SEQUENCE;
  if (len >= 0x80)
    der[head++] = 0x81;
  der[head++] = (uint8_t)len;
  memcpy(der + head, body, len);
  return head + len;
}

hf_err mech_dss_sign(struct op *op, struct hf_slice input, uint8_t *ret_signature)
{
  uint8_t der[DER_MAX];
  size_t len = sizeof(der);
  if (input.len == 0)
    return hf_fail(HF_ERR_DATA_LEN_RANGE, "%s: nothing to sign", op->mech->name);
  if (EVP_PKEY_sign(op->key_ctx, der, &len, input.data, input.len) != 1)
    return crypto_fail(HF_ERR_FUNCTION_FAILED, op->mech->name);
  return der_to_raw(hf_slice(der, len), ret_signature, op->out_len / 2);
}

hf_err mech_dss_verify(struct op *op, struct hf_slice input, struct hf_slice signature)
{
  uint8_t der[DER_MAX];
  size_t len = raw_to_der(signature.data, op->out_len / 2, der);
  if (EVP_PKEY_verify(op->key_ctx, der, len, input.data, input.len) != 1)
    return hf_fail(HF_ERR_SIGNATURE_INVALID, "%s", op->mech->name);
  return HF_OK;
}
