/* SPDX-License-Identifier: Apache-2.0 */
#include "secrets/record.h"

enum { FORMAT = 1 };

static hf_err add_bytes(struct hf_buf *out, struct hf_slice bytes)
{
  HF_TRY(hf_buf_add_u32(out, (uint32_t)bytes.len));
  return hf_buf_add(out, bytes.data, bytes.len);
}

static hf_err add_text(struct hf_buf *out, const char *text)
{
  return add_bytes(out, hf_slice(text, strlen(text)));
}

static hf_err take_bytes(struct hf_slice *in, size_t max, struct hf_slice *ret_bytes)
{
  uint32_t len;
  const uint8_t *data;
  HF_TRY(hf_take_u32(in, &len));
  if (len > max)
    return hf_fail(HF_ERR_PARSE, "%u bytes", len);
  HF_TRY(hf_take(in, len, &data));
  *ret_bytes = hf_slice(data, len);
  return HF_OK;
}

/* Into an array of max + 1 bytes. */
static hf_err take_text(struct hf_slice *in, size_t max, char *ret_text)
{
  struct hf_slice bytes = { 0 };
  HF_TRY(take_bytes(in, max, &bytes));
  if (bytes.len == 0 || memchr(bytes.data, '\0', bytes.len))
    return hf_fail(HF_ERR_PARSE, "a text of %zu bytes", bytes.len);
  memcpy(ret_text, bytes.data, bytes.len);
  ret_text[bytes.len] = '\0';
  return HF_OK;
}

static hf_err take_time(struct hf_slice *in, int64_t *ret_time)
{
  uint64_t time;
  HF_TRY(hf_take_u64(in, &time));
  *ret_time = (int64_t)time;
  return HF_OK;
}

/* What an error of the form means here. */
static hf_err begin(struct hf_slice *in, const char *what)
{
  uint8_t format;
  if (hf_failed(hf_take_u8(in, &format)) || format == 0)
    return hf_fail(HF_ERR_SECRETS, "%s is not of the form", what);
  return format == FORMAT ? HF_OK : hf_fail(HF_ERR_SECRETS_VERSION, "%s has format %u", what, format);
}

static hf_err end(hf_err e, const struct hf_slice *in, const char *what)
{
  bool good = !hf_failed(e) && in->len == 0;
  return good ? HF_OK : hf_fail(HF_ERR_SECRETS, "%s is not of the form", what);
}

hf_err record_add_key(const struct key_record *key, struct hf_buf *out)
{
  HF_TRY(hf_buf_add_u8(out, FORMAT));
  HF_TRY(hf_buf_add_u8(out, (uint8_t)key->method));
  HF_TRY(add_bytes(out, key->name));
  HF_TRY(add_bytes(out, key->exact));
  return add_bytes(out, key->spki);
}

static hf_err take_key(struct hf_slice *in, struct key_record *key)
{
  uint8_t method;
  HF_TRY(hf_take_u8(in, &method));
  if (method == 0 || method >= WRAP_METHODS)
    return hf_fail(HF_ERR_PARSE, "method %u", method);
  key->method = (enum wrap_method)method;
  HF_TRY(take_bytes(in, RECORD_URI_MAX, &key->name));
  HF_TRY(take_bytes(in, RECORD_URI_MAX, &key->exact));
  return take_bytes(in, RECORD_SPKI_MAX, &key->spki);
}

hf_err record_take_key(struct hf_slice bytes, struct key_record *ret_key)
{
  struct key_record key = { 0 };
  HF_TRY(begin(&bytes, "a key's record"));
  HF_TRY(end(take_key(&bytes, &key), &bytes, "a key's record"));
  *ret_key = key;
  return HF_OK;
}

hf_err record_add_head(const struct head_record *head, struct hf_buf *out)
{
  HF_TRY(hf_buf_add_u8(out, FORMAT));
  HF_TRY(add_text(out, head->name));
  HF_TRY(hf_buf_add_u64(out, (uint64_t)head->created));
  HF_TRY(hf_buf_add_u64(out, (uint64_t)head->changed));
  HF_TRY(hf_buf_add_u8(out, (uint8_t)head->stage_count));
  for (size_t i = 0; i < head->stage_count; i++) {
    HF_TRY(add_text(out, head->stages[i].label));
    HF_TRY(hf_buf_add(out, head->stages[i].version, SECRETS_ID_BYTES));
  }
  return HF_OK;
}

static hf_err take_stage(struct hf_slice *in, struct stage_record *stage)
{
  const uint8_t *id;
  HF_TRY(take_text(in, SECRETS_STAGE_MAX, stage->label));
  HF_TRY(hf_take(in, SECRETS_ID_BYTES, &id));
  memcpy(stage->version, id, SECRETS_ID_BYTES);
  return HF_OK;
}

static hf_err take_head(struct hf_slice *in, struct head_record *head)
{
  uint8_t count;
  HF_TRY(take_text(in, SECRETS_NAME_MAX, head->name));
  HF_TRY(take_time(in, &head->created));
  HF_TRY(take_time(in, &head->changed));
  HF_TRY(hf_take_u8(in, &count));
  if (count > SECRETS_STAGES_MAX)
    return hf_fail(HF_ERR_PARSE, "%u labels", count);
  for (head->stage_count = 0; head->stage_count < count; head->stage_count++)
    HF_TRY(take_stage(in, &head->stages[head->stage_count]));
  return HF_OK;
}

hf_err record_take_head(struct hf_slice bytes, struct head_record *ret_head)
{
  struct head_record head = { 0 };
  HF_TRY(begin(&bytes, "a secret's record"));
  HF_TRY(end(take_head(&bytes, &head), &bytes, "a secret's record"));
  *ret_head = head;
  return HF_OK;
}

hf_err record_add_version(const struct version_record *version, struct hf_buf *out)
{
  HF_TRY(hf_buf_add_u8(out, FORMAT));
  HF_TRY(hf_buf_add_u64(out, (uint64_t)version->created));
  HF_TRY(add_bytes(out, version->sealed));
  HF_TRY(hf_buf_add_u8(out, (uint8_t)version->wrap_count));
  for (size_t i = 0; i < version->wrap_count; i++) {
    HF_TRY(hf_buf_add_u32(out, version->wraps[i].key));
    HF_TRY(add_bytes(out, version->wraps[i].wrapped));
  }
  return HF_OK;
}

static hf_err take_version(struct hf_slice *in, struct version_record *version)
{
  uint8_t count;
  HF_TRY(take_time(in, &version->created));
  HF_TRY(take_bytes(in, SECRETS_VALUE_MAX + SEAL_OVERHEAD, &version->sealed));
  HF_TRY(hf_take_u8(in, &count));
  if (count > RECORD_WRAPS_MAX)
    return hf_fail(HF_ERR_PARSE, "%u wrapped keys", count);
  for (version->wrap_count = 0; version->wrap_count < count; version->wrap_count++) {
    struct wrap_record *wrap = &version->wraps[version->wrap_count];
    HF_TRY(hf_take_u32(in, &wrap->key));
    HF_TRY(take_bytes(in, WRAP_MAX, &wrap->wrapped));
  }
  return HF_OK;
}

hf_err record_take_version(struct hf_slice bytes, struct version_record *ret_version)
{
  struct version_record version = { 0 };
  HF_TRY(begin(&bytes, "a version's record"));
  HF_TRY(end(take_version(&bytes, &version), &bytes, "a version's record"));
  *ret_version = version;
  return HF_OK;
}
