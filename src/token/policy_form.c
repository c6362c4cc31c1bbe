/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes between the ABI's form and the stored one. */
#include "token/policy_table.h"

enum { NESTED_MAX = 256 };

static hf_err value_invalid(const CK_ATTRIBUTE *attr)
{
  return hf_fail(HF_ERR_ATTRIBUTE_VALUE_INVALID, "attribute 0x%lx, %lu bytes", attr->type, attr->ulValueLen);
}

static hf_err add_ulongs(const CK_ATTRIBUTE *attr, struct hf_buf *out)
{
  for (CK_ULONG at = 0; at < attr->ulValueLen; at += sizeof(CK_ULONG)) {
    CK_ULONG number;
    memcpy(&number, (const uint8_t *)attr->pValue + at, sizeof(number));
    HF_TRY(hf_buf_add_u64(out, number));
  }
  return HF_OK;
}

static hf_err add_nested(const CK_ATTRIBUTE *attr, struct attrs *rows)
{
  enum form form;
  struct hf_slice before;
  HF_CLEANUP(hf_buf_free) struct hf_buf value = HF_BUF(ATTRS_MAX_BYTES);
  if (form_of(attr->type, &form) && form == FORM_TEMPLATE)
    return hf_fail(HF_ERR_ATTRIBUTE_VALUE_INVALID, "attribute 0x%lx: an array within an array", attr->type);
  if (attrs_get(rows, attr->type, &before))
    return hf_fail(HF_ERR_ATTRIBUTE_VALUE_INVALID, "attribute 0x%lx is given twice in an array", attr->type);
  HF_TRY(policy_import(attr, &value));
  return attrs_set(rows, attr->type, hf_slice(value.data, value.len));
}

static hf_err add_template(const CK_ATTRIBUTE *array, struct hf_buf *out)
{
  HF_CLEANUP(attrs_free) struct attrs rows = ATTRS_EMPTY;
  CK_ULONG count = array->ulValueLen / sizeof(CK_ATTRIBUTE);
  if (array->ulValueLen % sizeof(CK_ATTRIBUTE) || count > NESTED_MAX)
    return value_invalid(array);
  for (CK_ULONG i = 0; i < count; i++) {
    CK_ATTRIBUTE attr;
    memcpy(&attr, (const uint8_t *)array->pValue + i * sizeof(attr), sizeof(attr));
    HF_TRY(add_nested(&attr, &rows));
  }
  return hf_buf_add(out, rows.rows.data, rows.rows.len);
}

hf_err policy_import(const CK_ATTRIBUTE *attr, struct hf_buf *out)
{
  enum form form;
  if (!form_of(attr->type, &form))
    return hf_fail(HF_ERR_ATTRIBUTE_TYPE_INVALID, "attribute 0x%lx", attr->type);
  CK_ULONG len = attr->ulValueLen;
  if ((!attr->pValue && len) || len > ATTRS_MAX_BYTES)
    return value_invalid(attr);
  switch (form) {
  case FORM_BOOL:
    if (len != sizeof(CK_BBOOL) || *(const CK_BBOOL *)attr->pValue > CK_TRUE)
      return value_invalid(attr);
    break;
  case FORM_ULONG:
    return len == sizeof(CK_ULONG) ? add_ulongs(attr, out) : value_invalid(attr);
  case FORM_MECHANISMS:
    return len % sizeof(CK_ULONG) == 0 ? add_ulongs(attr, out) : value_invalid(attr);
  case FORM_TEMPLATE:
    return add_template(attr, out);
  case FORM_DATE:
    if (len != 0 && len != sizeof(CK_DATE))
      return value_invalid(attr);
    break;
  case FORM_BYTES:
    break;
  }
  return hf_buf_add(out, attr->pValue, len);
}

static void fill_numbers(struct hf_slice value, uint8_t *out)
{
  uint64_t number;
  for (; !hf_failed(hf_take_u64(&value, &number)); out += sizeof(CK_ULONG))
    memcpy(out, &(CK_ULONG){ (CK_ULONG)number }, sizeof(CK_ULONG));
}

/* The caller's array says where each value goes, and how much room it has; what it says of types is not looked at. */
static hf_err fill_template(struct hf_slice value, uint8_t *out)
{
  struct attrs rows;
  size_t pos = 0;
  struct attr_row row;
  hf_err first = HF_OK;
  HF_TRY(attrs_view(value, &rows));
  for (; attrs_next(&rows, &pos, &row); out += sizeof(CK_ATTRIBUTE)) {
    CK_ATTRIBUTE attr;
    memcpy(&attr, out, sizeof(attr));
    attr.type = row.type;
    hf_err e = policy_export(row.value, &attr);
    memcpy(out, &attr, sizeof(attr));
    if (!hf_failed(first))
      first = e;
  }
  return first;
}

static size_t count_rows(struct hf_slice value)
{
  size_t pos = 0, count = 0;
  struct attr_row row;
  struct attrs rows;
  if (hf_failed(attrs_view(value, &rows)))
    return 0;
  while (attrs_next(&rows, &pos, &row))
    count++;
  return count;
}

static CK_ULONG exported_size(enum form form, struct hf_slice value)
{
  switch (form) {
  case FORM_ULONG:
  case FORM_MECHANISMS:
    return value.len / sizeof(uint64_t) * sizeof(CK_ULONG);
  case FORM_TEMPLATE:
    return count_rows(value) * sizeof(CK_ATTRIBUTE);
  default:
    return value.len;
  }
}

hf_err policy_export(struct hf_slice value, CK_ATTRIBUTE *attr)
{
  enum form form = FORM_BYTES;
  (void)form_of(attr->type, &form);
  CK_ULONG len = exported_size(form, value), room = attr->ulValueLen;
  attr->ulValueLen = len;
  if (!attr->pValue)
    return HF_OK;
  if (room < len) {
    attr->ulValueLen = CK_UNAVAILABLE_INFORMATION;
    return hf_fail(HF_ERR_BUFFER_TOO_SMALL, "attribute 0x%lx has %lu bytes", attr->type, len);
  }
  if (form == FORM_TEMPLATE)
    return fill_template(value, attr->pValue);
  if (form == FORM_ULONG || form == FORM_MECHANISMS)
    fill_numbers(value, attr->pValue);
  else if (len)
    memcpy(attr->pValue, value.data, len);
  return HF_OK;
}
