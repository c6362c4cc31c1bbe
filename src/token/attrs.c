/* SPDX-License-Identifier: Apache-2.0 */
#include "token/attrs.h"

enum { ROW_HEAD = 8, ULONG_BYTES = 8 };

static uint32_t get_u32(const uint8_t *p)
{
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

hf_err attrs_check(struct hf_slice rows)
{
  uint32_t last = 0, type, len;
  bool first = true;
  const uint8_t *value;
  while (rows.len) {
    if (hf_failed(hf_take_u32(&rows, &type)) || hf_failed(hf_take_u32(&rows, &len)) ||
        hf_failed(hf_take(&rows, len, &value)) || (!first && type <= last))
      return hf_fail(HF_ERR_TOKEN_STORE, "an object's attributes are not of the form");
    last = type;
    first = false;
  }
  return HF_OK;
}

hf_err attrs_view(struct hf_slice rows, struct attrs *ret_view)
{
  HF_TRY(attrs_check(rows));
  *ret_view = (struct attrs){ { .data = (uint8_t *)(uintptr_t)rows.data, .len = rows.len } };
  return HF_OK;
}

bool attrs_next(const struct attrs *attrs, size_t *pos, struct attr_row *ret_row)
{
  if (*pos >= attrs->rows.len)
    return false;
  const uint8_t *head = attrs->rows.data + *pos;
  size_t len = get_u32(head + 4);
  *ret_row = (struct attr_row){ get_u32(head), { head + ROW_HEAD, len } };
  *pos += ROW_HEAD + len;
  return true;
}

/* The row's offset, or where it would stand. */
static bool find(const struct attrs *attrs, CK_ATTRIBUTE_TYPE type, size_t *ret_offset, struct attr_row *ret_row)
{
  size_t pos = 0, offset = 0;
  while (attrs_next(attrs, &pos, ret_row) && ret_row->type < type)
    offset = pos;
  *ret_offset = offset;
  return offset < attrs->rows.len && ret_row->type == type;
}

bool attrs_get(const struct attrs *attrs, CK_ATTRIBUTE_TYPE type, struct hf_slice *ret_value)
{
  size_t offset;
  struct attr_row row;
  if (!find(attrs, type, &offset, &row))
    return false;
  *ret_value = row.value;
  return true;
}

bool attrs_true(const struct attrs *attrs, CK_ATTRIBUTE_TYPE type)
{
  struct hf_slice value;
  return attrs_get(attrs, type, &value) && value.len == 1 && value.data[0];
}

CK_ULONG attrs_ulong(const struct attrs *attrs, CK_ATTRIBUTE_TYPE type, CK_ULONG fallback)
{
  struct hf_slice value;
  uint64_t number;
  if (!attrs_get(attrs, type, &value) || value.len != ULONG_BYTES || hf_failed(hf_take_u64(&value, &number)))
    return fallback;
  return (CK_ULONG)number;
}

static hf_err add_row(struct hf_buf *rows, CK_ATTRIBUTE_TYPE type, struct hf_slice value)
{
  HF_TRY(hf_buf_add_u32(rows, (uint32_t)type));
  HF_TRY(hf_buf_add_u32(rows, (uint32_t)value.len));
  return hf_buf_add(rows, value.data, value.len);
}

hf_err attrs_set(struct attrs *attrs, CK_ATTRIBUTE_TYPE type, struct hf_slice value)
{
  size_t offset;
  struct attr_row row;
  bool found = find(attrs, type, &offset, &row);
  if (!found && offset == attrs->rows.len)
    return add_row(&attrs->rows, type, value);
  size_t rest = offset + (found ? ROW_HEAD + row.value.len : 0);
  HF_CLEANUP(hf_buf_free) struct hf_buf rows = HF_BUF(ATTRS_MAX_BYTES);
  HF_TRY(hf_buf_add(&rows, attrs->rows.data, offset));
  HF_TRY(add_row(&rows, type, value));
  HF_TRY(hf_buf_add(&rows, attrs->rows.data + rest, attrs->rows.len - rest));
  struct hf_buf old = attrs->rows;
  attrs->rows = rows;
  rows = old;
  return HF_OK;
}

hf_err attrs_set_bool(struct attrs *attrs, CK_ATTRIBUTE_TYPE type, bool value)
{
  uint8_t byte = value;
  return attrs_set(attrs, type, hf_slice(&byte, 1));
}

hf_err attrs_set_ulong(struct attrs *attrs, CK_ATTRIBUTE_TYPE type, CK_ULONG value)
{
  uint8_t bytes[ULONG_BYTES];
  for (size_t i = 0; i < ULONG_BYTES; i++)
    bytes[i] = (uint8_t)((uint64_t)value >> (8 * (ULONG_BYTES - 1 - i)));
  return attrs_set(attrs, type, hf_slice(bytes, sizeof(bytes)));
}

void attrs_free(struct attrs *attrs)
{
  hf_buf_free(&attrs->rows);
}
