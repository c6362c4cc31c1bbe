/* SPDX-License-Identifier: Apache-2.0 */
#include "token/store/header.h"

#include "token/store/index.h"

enum { HEADER_FORMAT = 1, HEADER_MAX = 1024, CHECKSUM_BYTES = 8 };

const struct store_kind token_store_kind = {
  .tables = { "meta", "objects", "index" },
  .sound = { [STORE_INDEX] = index_sound },
  .damaged = HF_ERR_TOKEN_STORE,
  .newer = HF_ERR_TOKEN_STORE_VERSION,
  .full = HF_ERR_DEVICE_MEMORY,
};

static struct hf_slice header_key(void)
{
  return hf_slice("header", 6);
}

static struct hf_slice next_key(void)
{
  return hf_slice("next", 4);
}

int header_label_len(const struct header *header)
{
  int len = LABEL_BYTES;
  while (len > 0 && header->label[len - 1] == ' ')
    len--;
  return len;
}

static hf_err take_bytes(struct hf_slice *in, void *out, size_t len)
{
  const uint8_t *data;
  HF_TRY(hf_take(in, len, &data));
  memcpy(out, data, len);
  return HF_OK;
}

static hf_err take_bool(struct hf_slice *in, bool *ret_value)
{
  uint8_t byte;
  HF_TRY(hf_take_u8(in, &byte));
  *ret_value = byte != 0;
  return HF_OK;
}

static hf_err take_wrap(struct hf_slice *in, struct wrap *wrap)
{
  HF_TRY(take_bool(in, &wrap->set));
  HF_TRY(take_bytes(in, wrap->salt, sizeof(wrap->salt)));
  HF_TRY(hf_take_u32(in, &wrap->cost.memory));
  HF_TRY(hf_take_u32(in, &wrap->cost.passes));
  HF_TRY(take_bytes(in, wrap->sealed, sizeof(wrap->sealed)));
  return hf_take_u32(in, &wrap->failures);
}

static hf_err take_header(struct hf_slice in, struct header *header)
{
  HF_TRY(take_bytes(&in, header->uuid, sizeof(header->uuid)));
  HF_TRY(take_bytes(&in, header->epoch, sizeof(header->epoch)));
  HF_TRY(take_bytes(&in, header->serial, SERIAL_CHARS));
  HF_TRY(take_bytes(&in, header->label, sizeof(header->label)));
  HF_TRY(take_bool(&in, &header->deleted));
  for (size_t i = 0; i < WRAP_COUNT; i++)
    HF_TRY(take_wrap(&in, &header->wraps[i]));
  return hf_take_end(&in);
}

hf_err header_parse(struct hf_slice bytes, struct header *ret_header)
{
  struct header header = { 0 };
  uint8_t checksum[32], format;
  if (bytes.len <= CHECKSUM_BYTES)
    return hf_fail(HF_ERR_TOKEN_STORE, "the token's header is cut short");
  struct hf_slice body = { bytes.data, bytes.len - CHECKSUM_BYTES };
  HF_TRY(crypto_mac(NULL, body, checksum));
  if (memcmp(checksum, body.data + body.len, CHECKSUM_BYTES) != 0)
    return hf_fail(HF_ERR_TOKEN_STORE, "the token's header has a wrong checksum");
  HF_TRY(hf_take_u8(&body, &format));
  if (format != HEADER_FORMAT)
    return hf_fail(HF_ERR_TOKEN_STORE_VERSION, "the token's header has format %u", format);
  if (hf_failed(take_header(body, &header)))
    return hf_fail(HF_ERR_TOKEN_STORE, "the token's header is not of the form");
  *ret_header = header;
  return HF_OK;
}

hf_err header_read(struct store_txn *txn, struct header *ret_header)
{
  bool found;
  struct hf_slice bytes;
  HF_TRY(store_get(txn, STORE_META, header_key(), &found, &bytes));
  if (!found)
    return hf_fail(HF_ERR_TOKEN_STORE, "the token's header is missing");
  return header_parse(bytes, ret_header);
}

static hf_err add_wrap(struct hf_buf *out, const struct wrap *wrap)
{
  HF_TRY(hf_buf_add_u8(out, wrap->set));
  HF_TRY(hf_buf_add(out, wrap->salt, sizeof(wrap->salt)));
  HF_TRY(hf_buf_add_u32(out, wrap->cost.memory));
  HF_TRY(hf_buf_add_u32(out, wrap->cost.passes));
  HF_TRY(hf_buf_add(out, wrap->sealed, sizeof(wrap->sealed)));
  return hf_buf_add_u32(out, wrap->failures);
}

hf_err header_write(struct store_txn *txn, const struct header *header)
{
  uint8_t checksum[32];
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(HEADER_MAX);
  HF_TRY(hf_buf_add_u8(&out, HEADER_FORMAT));
  HF_TRY(hf_buf_add(&out, header->uuid, sizeof(header->uuid)));
  HF_TRY(hf_buf_add(&out, header->epoch, sizeof(header->epoch)));
  HF_TRY(hf_buf_add(&out, header->serial, SERIAL_CHARS));
  HF_TRY(hf_buf_add(&out, header->label, sizeof(header->label)));
  HF_TRY(hf_buf_add_u8(&out, header->deleted));
  for (size_t i = 0; i < WRAP_COUNT; i++)
    HF_TRY(add_wrap(&out, &header->wraps[i]));
  HF_TRY(crypto_mac(NULL, hf_slice(out.data, out.len), checksum));
  HF_TRY(hf_buf_add(&out, checksum, CHECKSUM_BYTES));
  return store_put(txn, STORE_META, header_key(), hf_slice(out.data, out.len));
}

hf_err header_next_id(struct store_txn *txn, uint64_t *ret_id)
{
  bool found;
  struct hf_slice bytes;
  uint64_t id = 1;
  HF_TRY(store_get(txn, STORE_META, next_key(), &found, &bytes));
  if (found)
    HF_TRY(hf_take_u64(&bytes, &id));
  HF_CLEANUP(hf_buf_free) struct hf_buf next = HF_BUF(8);
  HF_TRY(hf_buf_add_u64(&next, id + 1));
  HF_TRY(store_put(txn, STORE_META, next_key(), hf_slice(next.data, next.len)));
  *ret_id = id;
  return HF_OK;
}
