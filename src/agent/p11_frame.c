/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/p11_frame.h"

hf_err p11_frame_header(const uint8_t header[P11_FRAME_HEADER], struct p11_frame *ret_frame)
{
  struct hf_slice in = hf_slice(header, P11_FRAME_HEADER);
  struct p11_frame frame;
  HF_TRY(hf_take_u32(&in, &frame.code));
  HF_TRY(hf_take_u32(&in, &frame.options_len));
  HF_TRY(hf_take_u32(&in, &frame.message_len));
  if (frame.options_len > P11_FRAME_OPTIONS_MAX || frame.message_len > P11_FRAME_MESSAGE_MAX)
    return hf_fail(HF_ERR_LIMIT, "a PKCS #11 request of %u and %u bytes", frame.options_len, frame.message_len);
  *ret_frame = frame;
  return HF_OK;
}

/* A message: the call's number, its signature (which libp11-kit compares with its own), and the arguments by it. */

static hf_err wanted(uint64_t bytes)
{
  return bytes <= P11_FRAME_WANTED_MAX ? HF_OK
                                       : hf_fail(HF_ERR_LIMIT, "an answer of %llu bytes", (unsigned long long)bytes);
}

static hf_err skip(struct hf_slice *in, size_t len)
{
  const uint8_t *data;
  return hf_take(in, len, &data);
}

static hf_err skip_byte(struct hf_slice *in)
{
  return skip(in, 1);
}

static hf_err skip_ulong(struct hf_slice *in)
{
  return skip(in, 8);
}

static hf_err skip_string(struct hf_slice *in)
{
  uint32_t len;
  HF_TRY(hf_take_u32(in, &len));
  return len == UINT32_MAX ? HF_OK : skip(in, len);
}

static hf_err skip_bytes(struct hf_slice *in)
{
  uint8_t is_there;
  HF_TRY(hf_take_u8(in, &is_there));
  return is_there ? skip_string(in) : HF_OK;
}

/* Each takes five bytes at the least. What their values say of themselves is not looked at: they are of many forms. */
static hf_err check_attributes(struct hf_slice *in)
{
  uint32_t count;
  HF_TRY(hf_take_u32(in, &count));
  return count <= in->len / 5 ? HF_OK : hf_fail(HF_ERR_PARSE, "%u attributes in %zu bytes", count, in->len);
}

/* Type and length of each; since version 1 of the protocol, also whether there is a place for it at all. */
static hf_err check_wanted_attributes(struct hf_slice *in)
{
  uint32_t count, type, len;
  uint64_t sum = 0;
  HF_TRY(hf_take_u32(in, &count));
  bool with_flags = count > 0 && in->len == 1 + (size_t)count * 9;
  if (!with_flags && in->len != (size_t)count * 8)
    return hf_fail(HF_ERR_PARSE, "%u attributes in %zu bytes", count, in->len);
  if (with_flags)
    HF_TRY(skip_byte(in));
  for (uint32_t i = 0; i < count; i++) {
    HF_TRY(hf_take_u32(in, &type));
    if (with_flags)
      HF_TRY(skip_byte(in));
    HF_TRY(hf_take_u32(in, &len));
    sum += len + sizeof(CK_ATTRIBUTE);
  }
  return wanted(sum);
}

/* In requests; last: what stands last in its message. NULL: of many forms, so that what follows is not looked at. */
static const struct part {
  const char *name;
  hf_err (*check)(struct hf_slice *in);
} parts[] = {
  { "ay", skip_bytes }, { "aA", check_attributes }, { "fA", check_wanted_attributes },
  { "y", skip_byte },   { "u", skip_ulong },        { "s", skip_string },
  { "z", skip_string },
};

static const struct part *part_at(const char *signature, size_t left)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(parts); i++) {
    size_t len = strlen(parts[i].name);
    if (len <= left && memcmp(signature, parts[i].name, len) == 0)
      return &parts[i];
  }
  return NULL;
}

/* How much room is asked for stands last, in both versions of the protocol. */
static hf_err check_last(const char *signature, size_t len, struct hf_slice message)
{
  size_t unit = 0;
  if (len >= 2 && signature[len - 2] == 'f')
    unit = signature[len - 1] == 'y' ? 1 : signature[len - 1] == 'u' ? sizeof(CK_ULONG) : 0;
  if (!unit)
    return HF_OK;
  if (message.len < 4)
    return hf_fail(HF_ERR_PARSE, "a short message");
  struct hf_slice last = hf_slice(message.data + message.len - 4, 4);
  uint32_t count;
  HF_TRY(hf_take_u32(&last, &count));
  return wanted((uint64_t)count * unit);
}

static hf_err check(struct hf_slice message)
{
  struct hf_slice in = message;
  uint32_t call, len;
  const uint8_t *text;
  HF_TRY(hf_take_u32(&in, &call));
  HF_TRY(hf_take_u32(&in, &len));
  HF_TRY(hf_take(&in, len, &text));
  const char *signature = (const char *)text;
  HF_TRY(check_last(signature, len, message));
  while (len > 0) {
    const struct part *part = part_at(signature, len);
    if (!part)
      return HF_OK;
    HF_TRY(part->check(&in));
    if (part->check == check_attributes)
      return HF_OK;
    signature += strlen(part->name);
    len -= (uint32_t)strlen(part->name);
  }
  return hf_take_end(&in);
}

CK_RV p11_frame_check(struct hf_slice message)
{
  hf_err e = check(message);
  return e.code == HF_ERR_LIMIT ? CKR_DEVICE_MEMORY : hf_failed(e) ? CKR_ARGUMENTS_BAD : CKR_OK;
}

hf_err p11_frame_error(uint32_t code, CK_RV rv, struct hf_buf *out)
{
  HF_TRY(hf_buf_add_u32(out, code));
  HF_TRY(hf_buf_add_u32(out, 0));
  HF_TRY(hf_buf_add_u32(out, 4 + 4 + 1 + 8));
  /* Call 0 is an error; its signature is "u". */
  HF_TRY(hf_buf_add_u32(out, 0));
  HF_TRY(hf_buf_add_u32(out, 1));
  HF_TRY(hf_buf_add_str(out, "u"));
  return hf_buf_add_u64(out, rv);
}
