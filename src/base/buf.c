/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include "base/secret.h"

#include <stdarg.h>

enum { FIRST_CAPACITY = 64 };

/* Keeps one byte beyond max for hf_buf_str's NUL. */
static hf_err grow(struct hf_buf *buf, size_t more)
{
  if (more > buf->max - buf->len)
    return hf_fail(HF_ERR_LIMIT, "%zu bytes are over the limit of %zu", buf->len + more, buf->max);
  size_t need = buf->len + more + 1;
  if (need <= buf->capacity)
    return HF_OK;
  size_t capacity = buf->capacity ? buf->capacity : FIRST_CAPACITY;
  while (capacity < need)
    capacity *= 2;
  uint8_t *data = malloc(capacity);
  if (!data)
    return hf_fail(HF_ERR_NO_MEMORY, "%zu bytes", capacity);
  if (buf->len)
    memcpy(data, buf->data, buf->len);
  hf_wipe(buf->data, buf->len);
  free(buf->data);
  buf->data = data;
  buf->capacity = capacity;
  return HF_OK;
}

hf_err hf_buf_reserve(struct hf_buf *buf, size_t len, uint8_t **ret_room)
{
  HF_TRY(grow(buf, len));
  *ret_room = buf->data + buf->len;
  return HF_OK;
}

void hf_buf_commit(struct hf_buf *buf, size_t len)
{
  if (len >= buf->capacity - buf->len)
    abort();
  buf->len += len;
}

void hf_buf_drop(struct hf_buf *buf, size_t len)
{
  if (len > buf->len)
    abort();
  buf->len -= len;
  if (buf->len)
    memmove(buf->data, buf->data + len, buf->len);
}

hf_err hf_buf_add(struct hf_buf *buf, const void *data, size_t len)
{
  HF_TRY(grow(buf, len));
  if (len)
    memcpy(buf->data + buf->len, data, len);
  buf->len += len;
  return HF_OK;
}

hf_err hf_buf_add_u8(struct hf_buf *buf, uint8_t value)
{
  return hf_buf_add(buf, &value, 1);
}

static hf_err add_be(struct hf_buf *buf, uint64_t value, size_t size)
{
  uint8_t bytes[8];
  for (size_t i = 0; i < size; i++)
    bytes[i] = (uint8_t)(value >> (8 * (size - 1 - i)));
  return hf_buf_add(buf, bytes, size);
}

hf_err hf_buf_add_u16(struct hf_buf *buf, uint16_t value)
{
  return add_be(buf, value, 2);
}

hf_err hf_buf_add_u32(struct hf_buf *buf, uint32_t value)
{
  return add_be(buf, value, 4);
}

hf_err hf_buf_add_u64(struct hf_buf *buf, uint64_t value)
{
  return add_be(buf, value, 8);
}

hf_err hf_buf_add_str(struct hf_buf *buf, const char *text)
{
  return hf_buf_add(buf, text, strlen(text));
}

hf_err hf_buf_addf(struct hf_buf *buf, const char *fmt, ...)
{
  va_list args, again;
  va_start(args, fmt);
  va_copy(again, args);
  int len = vsnprintf(NULL, 0, fmt, args);
  va_end(args);
  hf_err e = len < 0 ? hf_fail(HF_ERR_INTERNAL, "format \"%s\"", fmt) : grow(buf, (size_t)len);
  if (!hf_failed(e)) {
    vsnprintf((char *)buf->data + buf->len, (size_t)len + 1, fmt, again);
    buf->len += (size_t)len;
  }
  va_end(again);
  return e;
}

const char *hf_buf_str(struct hf_buf *buf)
{
  if (!buf->data && hf_failed(grow(buf, 0)))
    return NULL;
  buf->data[buf->len] = '\0';
  return (const char *)buf->data;
}

void hf_buf_free(struct hf_buf *buf)
{
  hf_wipe(buf->data, buf->capacity);
  free(buf->data);
  *buf = HF_BUF(buf->max);
}

hf_err hf_take(struct hf_slice *in, size_t len, const uint8_t **ret_data)
{
  if (len > in->len)
    return hf_fail(HF_ERR_PARSE, "%zu bytes expected, %zu left", len, in->len);
  *ret_data = in->data;
  in->data += len;
  in->len -= len;
  return HF_OK;
}

static hf_err take_be(struct hf_slice *in, size_t size, uint64_t *ret_value)
{
  const uint8_t *data = NULL;
  HF_TRY(hf_take(in, size, &data));
  uint64_t value = 0;
  for (size_t i = 0; i < size; i++)
    value = value << 8 | data[i];
  *ret_value = value;
  return HF_OK;
}

hf_err hf_take_u8(struct hf_slice *in, uint8_t *ret_value)
{
  uint64_t value;
  HF_TRY(take_be(in, 1, &value));
  *ret_value = (uint8_t)value;
  return HF_OK;
}

hf_err hf_take_u16(struct hf_slice *in, uint16_t *ret_value)
{
  uint64_t value;
  HF_TRY(take_be(in, 2, &value));
  *ret_value = (uint16_t)value;
  return HF_OK;
}

hf_err hf_take_u32(struct hf_slice *in, uint32_t *ret_value)
{
  uint64_t value;
  HF_TRY(take_be(in, 4, &value));
  *ret_value = (uint32_t)value;
  return HF_OK;
}

hf_err hf_take_u64(struct hf_slice *in, uint64_t *ret_value)
{
  return take_be(in, 8, ret_value);
}

hf_err hf_take_end(const struct hf_slice *in)
{
  return in->len ? hf_fail(HF_ERR_PARSE, "%zu bytes too many", in->len) : HF_OK;
}

bool hf_slice_equal(struct hf_slice a, struct hf_slice b)
{
  return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

hf_err hf_buf_add_hex(struct hf_buf *buf, const void *data, size_t len)
{
  static const char digits[] = "0123456789abcdef";
  const uint8_t *bytes = data;
  for (size_t i = 0; i < len; i++) {
    char pair[2] = { digits[bytes[i] >> 4], digits[bytes[i] & 15] };
    HF_TRY(hf_buf_add(buf, pair, 2));
  }
  return HF_OK;
}

static int hex_value(char c)
{
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  if (c >= 'A' && c <= 'F')
    return c - 'A' + 10;
  return -1;
}

hf_err hf_hex_decode(const char *hex, struct hf_buf *out)
{
  size_t len = strlen(hex);
  if (len % 2)
    return hf_fail(HF_ERR_PARSE, "\"%s\" has an odd number of hex digits", hex);
  for (size_t i = 0; i < len; i += 2) {
    int high = hex_value(hex[i]);
    int low = hex_value(hex[i + 1]);
    if (high < 0 || low < 0)
      return hf_fail(HF_ERR_PARSE, "\"%s\" is not hexadecimal", hex);
    HF_TRY(hf_buf_add_u8(out, (uint8_t)(high << 4 | low)));
  }
  return HF_OK;
}
