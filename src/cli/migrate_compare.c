/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/migrate.h"
#include "p11/der.h"
#include "p11/object.h"

enum { VALUE_MAX = SOFTHSM_OBJECT_MAX };

/* The point of an Edwards curve is bare, or within an OCTET STRING: the token has one form for all. */
static struct hf_slice bare_point(struct hf_slice point)
{
  struct hf_slice in = point, content;
  return hf_failed(p11_der_take(&in, DER_OCTET_STRING, &content)) || in.len ? point : content;
}

static bool same(CK_ATTRIBUTE_TYPE type, struct hf_slice a, struct hf_slice b)
{
  return hf_slice_equal(a, b) || (type == CKA_EC_POINT && hf_slice_equal(bare_point(a), bare_point(b)));
}

static hf_err differs(CK_ATTRIBUTE_TYPE type)
{
  return hf_fail(HF_ERR_MODULE_ANSWER, "attribute 0x%lx of the new object is not that of the old one", type);
}

static bool is_template(CK_ATTRIBUTE_TYPE type)
{
  return type == CKA_WRAP_TEMPLATE || type == CKA_UNWRAP_TEMPLATE || type == CKA_DERIVE_TEMPLATE;
}

/* Room for each value as long as the old one's: another length is a difference. */
static hf_err compare_template(struct p11_session *session, const CK_ATTRIBUTE *attr, CK_OBJECT_HANDLE made)
{
  struct p11_module *module = p11_session_module(session);
  const CK_ATTRIBUTE *wanted = attr->pValue;
  size_t count = attr->ulValueLen / sizeof(*wanted);
  CK_ATTRIBUTE found[SOFTHSM_ATTRS_MAX];
  CK_ATTRIBUTE query = { attr->type, found, attr->ulValueLen };
  HF_CLEANUP(hf_buf_free) struct hf_buf values = HF_BUF(VALUE_MAX);
  size_t total = 0;
  uint8_t *room;
  for (size_t i = 0; i < count; i++)
    total += wanted[i].ulValueLen;
  HF_TRY(hf_buf_reserve(&values, total + 1, &room));
  for (size_t i = 0; i < count; i++) {
    found[i] = (CK_ATTRIBUTE){ wanted[i].type, room, wanted[i].ulValueLen };
    room += wanted[i].ulValueLen;
  }
  HF_TRY(p11_fail(module,
                  p11_module_functions(module)->C_GetAttributeValue(p11_session_handle(session), made, &query, 1),
                  "reading attribute 0x%lx", attr->type));
  if (query.ulValueLen != attr->ulValueLen)
    return differs(attr->type);
  for (size_t i = 0; i < count; i++)
    if (found[i].type != wanted[i].type || !hf_slice_equal(hf_slice(found[i].pValue, found[i].ulValueLen),
                                                           hf_slice(wanted[i].pValue, wanted[i].ulValueLen)))
      return differs(attr->type);
  return HF_OK;
}

static hf_err compare_one(struct p11_session *session, const CK_ATTRIBUTE *attr, CK_OBJECT_HANDLE made)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf value = HF_BUF(VALUE_MAX);
  if (is_template(attr->type))
    return compare_template(session, attr, made);
  hf_err e = p11_object_get(session, made, attr->type, &value);
  /* What use of the key shows. */
  if (e.code == HF_ERR_ATTRIBUTE_SENSITIVE)
    return HF_OK;
  HF_TRY(e);
  return same(attr->type, hf_slice(attr->pValue, attr->ulValueLen), hf_slice(value.data, value.len))
             ? HF_OK
             : differs(attr->type);
}

hf_err migrate_compare(struct p11_session *session, const struct softhsm_object *object, CK_OBJECT_HANDLE made)
{
  for (size_t i = 0; i < object->count; i++)
    if (!migrate_says_nothing(&object->attrs[i]))
      HF_TRY(compare_one(session, &object->attrs[i], made));
  return HF_OK;
}
