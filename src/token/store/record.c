/* SPDX-License-Identifier: Apache-2.0 */
#include "token/store/record.h"

enum { RECORD_FORMAT = 1, FLAG_PRIVATE = 1, CHECKSUM_BYTES = 8, AAD_BYTES = TOKEN_UUID_BYTES + 8 + 1 + 4 + 1 };

static hf_err damaged(const char *what)
{
  return hf_fail(HF_ERR_TOKEN_STORE, "an object's record %s", what);
}

static hf_err take_section(struct hf_slice *in, struct hf_slice *ret_section)
{
  uint32_t len;
  HF_TRY(hf_take_u32(in, &len));
  HF_TRY(hf_take(in, len, &ret_section->data));
  ret_section->len = len;
  return HF_OK;
}

static hf_err take_record(struct hf_slice in, struct record *record)
{
  uint8_t flags;
  uint32_t class;
  HF_TRY(hf_take_u8(&in, &flags));
  HF_TRY(hf_take_u32(&in, &class));
  HF_TRY(hf_take_u64(&in, &record->stamp));
  HF_TRY(take_section(&in, &record->open));
  HF_TRY(take_section(&in, &record->secret));
  record->private = flags & FLAG_PRIVATE;
  record->class = class;
  return hf_take_end(&in);
}

hf_err record_parse(struct hf_slice bytes, struct record *ret_record)
{
  uint8_t format;
  uint8_t checksum[32];
  struct record record;
  if (bytes.len <= CHECKSUM_BYTES)
    return damaged("is cut short");
  struct hf_slice body = { bytes.data, bytes.len - CHECKSUM_BYTES };
  HF_TRY(crypto_mac(NULL, body, checksum));
  if (memcmp(checksum, body.data + body.len, CHECKSUM_BYTES) != 0)
    return damaged("has a wrong checksum");
  HF_TRY(hf_take_u8(&body, &format));
  if (format != RECORD_FORMAT)
    return hf_fail(HF_ERR_TOKEN_STORE_VERSION, "an object's record has format %u", format);
  if (hf_failed(take_record(body, &record)))
    return damaged("is not of the form");
  *ret_record = record;
  return HF_OK;
}

static hf_err build_aad(const struct seal *seal, uint64_t id, uint8_t flags, uint32_t class,
                        enum record_section section, struct hf_buf *out)
{
  HF_TRY(hf_buf_add(out, seal->uuid, TOKEN_UUID_BYTES));
  HF_TRY(hf_buf_add_u64(out, id));
  HF_TRY(hf_buf_add_u8(out, flags));
  HF_TRY(hf_buf_add_u32(out, class));
  return hf_buf_add_u8(out, (uint8_t)section);
}

static hf_err need_key(const struct seal *seal)
{
  return seal->key ? HF_OK : hf_fail(HF_ERR_USER_NOT_LOGGED_IN, "a private object");
}

static hf_err add_section(const struct seal *seal, uint64_t id, uint8_t flags, uint32_t class,
                          enum record_section section, const struct attrs *attrs, struct hf_buf *out)
{
  struct hf_slice rows = hf_slice(attrs->rows.data, attrs->rows.len);
  if (rows.len == 0 || !(flags & FLAG_PRIVATE)) {
    HF_TRY(hf_buf_add_u32(out, (uint32_t)rows.len));
    return hf_buf_add(out, rows.data, rows.len);
  }
  HF_TRY(need_key(seal));
  HF_CLEANUP(hf_buf_free) struct hf_buf aad = HF_BUF(AAD_BYTES);
  HF_TRY(build_aad(seal, id, flags, class, section, &aad));
  HF_TRY(hf_buf_add_u32(out, (uint32_t)(rows.len + CRYPTO_SEAL_OVERHEAD)));
  return crypto_seal(seal->key, hf_slice(aad.data, aad.len), rows, out);
}

hf_err record_build(const struct seal *seal, uint64_t id, uint64_t stamp, const struct attr_halves *halves,
                    struct hf_buf *out)
{
  uint8_t flags = attrs_true(&halves->open, CKA_PRIVATE) ? FLAG_PRIVATE : 0;
  uint32_t class = (uint32_t)attrs_ulong(&halves->open, CKA_CLASS, 0);
  uint8_t checksum[32];
  HF_TRY(hf_buf_add_u8(out, RECORD_FORMAT));
  HF_TRY(hf_buf_add_u8(out, flags));
  HF_TRY(hf_buf_add_u32(out, class));
  HF_TRY(hf_buf_add_u64(out, stamp));
  HF_TRY(add_section(seal, id, flags, class, RECORD_OPEN, &halves->open, out));
  HF_TRY(add_section(seal, id, flags, class, RECORD_SECRET, &halves->secret, out));
  HF_TRY(crypto_mac(NULL, hf_slice(out->data, out->len), checksum));
  return hf_buf_add(out, checksum, CHECKSUM_BYTES);
}

hf_err record_unseal(const struct seal *seal, uint64_t id, const struct record *record, enum record_section section,
                     struct hf_buf *out)
{
  struct hf_slice bytes = section == RECORD_OPEN ? record->open : record->secret;
  if (bytes.len == 0)
    return HF_OK;
  size_t before = out->len;
  if (record->private) {
    HF_TRY(need_key(seal));
    HF_CLEANUP(hf_buf_free) struct hf_buf aad = HF_BUF(AAD_BYTES);
    HF_TRY(build_aad(seal, id, FLAG_PRIVATE, (uint32_t)record->class, section, &aad));
    HF_TRY(crypto_open(seal->key, hf_slice(aad.data, aad.len), bytes, out));
  } else {
    HF_TRY(hf_buf_add(out, bytes.data, bytes.len));
  }
  return attrs_check(hf_slice(out->data + before, out->len - before));
}
