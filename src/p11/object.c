/* SPDX-License-Identifier: Apache-2.0 */
#include "p11/object.h"

#include "p11/candidates.h"
#include "p11/curve.h"

enum { FIND_CHUNK = 256, TEXT_FIRST = 256, PARAMS_FIRST = 512 };

struct name_row {
  CK_ULONG value;
  const char *name;
};

static const struct name_row classes[] = {
  { CKO_PRIVATE_KEY, "private" },   { CKO_PUBLIC_KEY, "public" }, { CKO_CERTIFICATE, "cert" },
  { CKO_SECRET_KEY, "secret-key" }, { CKO_DATA, "data" },
};

static const struct name_row key_types[] = {
  { CKK_RSA, "RSA" },
  { CKK_EC, "EC" },
  { CKK_EC_EDWARDS, "EdDSA" },
  { CKK_DSA, "DSA" },
  { CKK_DH, "DH" },
  { CKK_AES, "AES" },
  { CKK_DES3, "3DES" },
  { CKK_GENERIC_SECRET, "generic" },
  { CKK_EC_MONTGOMERY, "XDH" },
  { CKK_ML_DSA, "ML-DSA" },
  { CKK_ML_KEM, "ML-KEM" },
  { CKK_SLH_DSA, "SLH-DSA" },
  { CKK_CHACHA20, "ChaCha20" },
  { CKK_HKDF, "HKDF" },
};

static const struct flag_row {
  enum p11_flag bit;
  CK_ATTRIBUTE_TYPE type;
  const char *name;
} flag_rows[P11_FLAG_COUNT] = {
#define FLAG_ROW(id, type, name) { P11_FLAG_##id, type, name },
  P11_FLAG_TABLE(FLAG_ROW)
#undef FLAG_ROW
};

static const char *name_of(const struct name_row *rows, size_t count, CK_ULONG value)
{
  for (size_t i = 0; i < count; i++)
    if (rows[i].value == value)
      return rows[i].name;
  return NULL;
}

const char *p11_class_name(CK_OBJECT_CLASS object_class)
{
  return name_of(classes, HF_ARRAY_LEN(classes), object_class);
}

const char *p11_key_type_name(CK_KEY_TYPE type)
{
  const char *name = name_of(key_types, HF_ARRAY_LEN(key_types), type);
  return name ? name : "unknown";
}

const char *p11_flag_name(enum p11_flag_index index)
{
  return flag_rows[index].name;
}

/* Of a session of this module, with a URI's worth of attributes. */
struct find_template {
  CK_ATTRIBUTE attrs[3];
  CK_ULONG count;
  CK_OBJECT_CLASS object_class;
};

static void template_from_uri(const struct uri *uri, struct find_template *ret_template)
{
  struct find_template *t = ret_template;
  t->count = 0;
  if (!uri)
    return;
  for (size_t i = 0; i < HF_ARRAY_LEN(classes) && uri->attrs[URI_TYPE].present; i++) {
    const struct hf_buf *type = &uri->attrs[URI_TYPE].value;
    if (!hf_slice_equal(hf_slice(type->data, type->len), hf_slice(classes[i].name, strlen(classes[i].name))))
      continue;
    t->object_class = classes[i].value;
    t->attrs[t->count++] = (CK_ATTRIBUTE){ CKA_CLASS, &t->object_class, sizeof(t->object_class) };
  }
  if (uri->attrs[URI_OBJECT].present)
    t->attrs[t->count++] =
        (CK_ATTRIBUTE){ CKA_LABEL, uri->attrs[URI_OBJECT].value.data, uri->attrs[URI_OBJECT].value.len };
  if (uri->attrs[URI_ID].present)
    t->attrs[t->count++] = (CK_ATTRIBUTE){ CKA_ID, uri->attrs[URI_ID].value.data, uri->attrs[URI_ID].value.len };
}

struct handles {
  CK_OBJECT_HANDLE *list;
  size_t count;
  size_t capacity;
};

static hf_err handles_add(struct handles *all, const CK_OBJECT_HANDLE *more, size_t count)
{
  if (all->count + count > P11_OBJECTS_MAX)
    return hf_fail(HF_ERR_LIMIT, "over %d objects", P11_OBJECTS_MAX);
  if (all->count + count > all->capacity) {
    size_t capacity = all->capacity ? all->capacity * 2 : FIND_CHUNK;
    CK_OBJECT_HANDLE *list = reallocarray(all->list, capacity, sizeof(*list));
    if (!list)
      return hf_fail(HF_ERR_NO_MEMORY, "%zu objects", capacity);
    all->list = list;
    all->capacity = capacity;
  }
  if (count > 0)
    memcpy(all->list + all->count, more, count * sizeof(*more));
  all->count += count;
  return HF_OK;
}

static hf_err find_all(struct p11_session *session, struct find_template *t, struct handles *all)
{
  struct p11_module *module = p11_session_module(session);
  CK_FUNCTION_LIST *f = p11_module_functions(module);
  CK_SESSION_HANDLE handle = p11_session_handle(session);
  HF_TRY(p11_fail(module, f->C_FindObjectsInit(handle, t->attrs, t->count), "searching the token in slot %lu",
                  p11_session_slot(session)));
  hf_err e = HF_OK;
  CK_ULONG count;
  do {
    CK_OBJECT_HANDLE found[FIND_CHUNK];
    count = 0;
    e = p11_fail(module, f->C_FindObjects(handle, found, FIND_CHUNK, &count), "searching the token in slot %lu",
                 p11_session_slot(session));
    if (!hf_failed(e) && count <= FIND_CHUNK)
      e = handles_add(all, found, count);
  } while (!hf_failed(e) && count > 0);
  /* Nothing more is to be learnt from it, and the error, if any, is recorded already. */
  (void)f->C_FindObjectsFinal(handle);
  return e;
}

hf_err p11_object_get(struct p11_session *session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, struct hf_buf *out)
{
  struct p11_module *module = p11_session_module(session);
  CK_FUNCTION_LIST *f = p11_module_functions(module);
  CK_SESSION_HANDLE handle = p11_session_handle(session);
  CK_ATTRIBUTE attr = { type, NULL, 0 };
  HF_TRY(p11_fail(module, f->C_GetAttributeValue(handle, object, &attr, 1), "attribute 0x%lx", type));
  if (attr.ulValueLen == CK_UNAVAILABLE_INFORMATION)
    return hf_fail(HF_ERR_ATTRIBUTE_TYPE_INVALID, "attribute 0x%lx", type);
  if (attr.ulValueLen > P11_ATTRIBUTE_MAX)
    return hf_fail(HF_ERR_LIMIT, "attribute 0x%lx of %lu bytes", type, attr.ulValueLen);
  uint8_t *room;
  CK_ULONG len = attr.ulValueLen;
  HF_TRY(hf_buf_reserve(out, len, &room));
  attr.pValue = room;
  HF_TRY(p11_fail(module, f->C_GetAttributeValue(handle, object, &attr, 1), "attribute 0x%lx", type));
  if (attr.ulValueLen > len)
    return hf_fail(HF_ERR_ATTRIBUTE_TYPE_INVALID, "attribute 0x%lx", type);
  hf_buf_commit(out, attr.ulValueLen);
  return HF_OK;
}

/* What one call asks of an object. The order is that of attrs_of. */
struct description {
  CK_OBJECT_CLASS object_class;
  CK_KEY_TYPE key_type;
  CK_ULONG modulus_bits;
  uint8_t label[TEXT_FIRST];
  uint8_t id[TEXT_FIRST];
  uint8_t params[PARAMS_FIRST];
  CK_BBOOL flags[P11_FLAG_COUNT];
};

enum {
  AT_CLASS,
  AT_KEY_TYPE,
  AT_MODULUS_BITS,
  AT_MODULUS,
  AT_LABEL,
  AT_ID,
  AT_PARAMS,
  AT_FLAGS,
  AT_COUNT = AT_FLAGS + P11_FLAG_COUNT
};

static void attrs_of(struct description *d, CK_ATTRIBUTE *attrs)
{
  attrs[AT_CLASS] = (CK_ATTRIBUTE){ CKA_CLASS, &d->object_class, sizeof(d->object_class) };
  attrs[AT_KEY_TYPE] = (CK_ATTRIBUTE){ CKA_KEY_TYPE, &d->key_type, sizeof(d->key_type) };
  attrs[AT_MODULUS_BITS] = (CK_ATTRIBUTE){ CKA_MODULUS_BITS, &d->modulus_bits, sizeof(d->modulus_bits) };
  attrs[AT_MODULUS] = (CK_ATTRIBUTE){ CKA_MODULUS, NULL, 0 };
  attrs[AT_LABEL] = (CK_ATTRIBUTE){ CKA_LABEL, d->label, sizeof(d->label) };
  attrs[AT_ID] = (CK_ATTRIBUTE){ CKA_ID, d->id, sizeof(d->id) };
  attrs[AT_PARAMS] = (CK_ATTRIBUTE){ CKA_EC_PARAMS, d->params, sizeof(d->params) };
  for (size_t i = 0; i < P11_FLAG_COUNT; i++)
    attrs[AT_FLAGS + i] = (CK_ATTRIBUTE){ flag_rows[i].type, &d->flags[i], sizeof(d->flags[i]) };
}

static bool has(const CK_ATTRIBUTE *attr, size_t size)
{
  return attr->ulValueLen == size;
}

/* The value as it came, or, where it did not fit, read again on its own. */
static hf_err text_of(struct p11_session *session, CK_OBJECT_HANDLE object, const CK_ATTRIBUTE *attr, size_t room,
                      struct hf_buf *out)
{
  if (attr->ulValueLen <= room)
    return hf_buf_add(out, attr->pValue, attr->ulValueLen);
  hf_err e = p11_object_get(session, object, attr->type, out);
  return e.code == HF_ERR_ATTRIBUTE_TYPE_INVALID || e.code == HF_ERR_ATTRIBUTE_SENSITIVE ? HF_OK : e;
}

static void describe_key(const struct description *d, const CK_ATTRIBUTE *attrs, struct p11_object *object)
{
  object->key_type = has(&attrs[AT_KEY_TYPE], sizeof(d->key_type)) ? d->key_type : CK_UNAVAILABLE_INFORMATION;
  if (object->key_type == CKK_RSA && has(&attrs[AT_MODULUS_BITS], sizeof(d->modulus_bits)))
    object->bits = d->modulus_bits;
  else if (object->key_type == CKK_RSA && attrs[AT_MODULUS].ulValueLen <= P11_ATTRIBUTE_MAX)
    object->bits = attrs[AT_MODULUS].ulValueLen * 8;
  const struct p11_curve *curve = NULL;
  if ((object->key_type == CKK_EC || object->key_type == CKK_EC_EDWARDS) &&
      attrs[AT_PARAMS].ulValueLen <= sizeof(d->params))
    curve = p11_curve_by_params(hf_slice(d->params, attrs[AT_PARAMS].ulValueLen));
  if (curve) {
    object->curve = curve->name;
    object->bits = curve->bits;
  }
}

static hf_err describe(struct p11_session *session, CK_OBJECT_HANDLE handle, struct p11_object *ret_object)
{
  struct p11_module *module = p11_session_module(session);
  struct description d = { 0 };
  CK_ATTRIBUTE attrs[AT_COUNT];
  attrs_of(&d, attrs);
  CK_RV rv = p11_module_functions(module)->C_GetAttributeValue(p11_session_handle(session), handle, attrs, AT_COUNT);
  if (rv != CKR_ATTRIBUTE_TYPE_INVALID && rv != CKR_ATTRIBUTE_SENSITIVE && rv != CKR_BUFFER_TOO_SMALL)
    HF_TRY(p11_fail(module, rv, "reading object %lu", handle));
  struct p11_object object = {
    .handle = handle,
    .object_class = has(&attrs[AT_CLASS], sizeof(d.object_class)) ? d.object_class : CK_UNAVAILABLE_INFORMATION,
    .label = HF_BUF(P11_ATTRIBUTE_MAX),
    .id = HF_BUF(P11_ATTRIBUTE_MAX),
  };
  describe_key(&d, attrs, &object);
  for (size_t i = 0; i < P11_FLAG_COUNT; i++)
    if (has(&attrs[AT_FLAGS + i], sizeof(CK_BBOOL)) && d.flags[i] == CK_TRUE)
      object.flags |= (unsigned)flag_rows[i].bit;
  hf_err e = text_of(session, handle, &attrs[AT_LABEL], sizeof(d.label), &object.label);
  if (!hf_failed(e))
    e = text_of(session, handle, &attrs[AT_ID], sizeof(d.id), &object.id);
  if (hf_failed(e)) {
    p11_object_free(&object);
    return e;
  }
  *ret_object = object;
  return HF_OK;
}

void p11_object_free(struct p11_object *object)
{
  hf_buf_free(&object->label);
  hf_buf_free(&object->id);
}

void p11_object_list_free(struct p11_object *objects, size_t count)
{
  for (size_t i = 0; i < count; i++)
    p11_object_free(&objects[i]);
  free(objects);
}

static hf_err describe_all(struct p11_session *session, const struct handles *all, struct p11_object **ret_objects,
                           size_t *ret_count)
{
  struct p11_object *objects = calloc(all->count + 1, sizeof(*objects));
  if (!objects)
    return hf_fail(HF_ERR_NO_MEMORY, "%zu objects", all->count);
  size_t count = 0;
  for (size_t i = 0; i < all->count; i++) {
    hf_err e = describe(session, all->list[i], &objects[count]);
    if (!hf_failed(e)) {
      count++;
    } else if (e.code != HF_ERR_OBJECT_HANDLE_INVALID) { /* another program may have destroyed it meanwhile */
      p11_object_list_free(objects, count);
      return e;
    }
  }
  *ret_objects = objects;
  *ret_count = count;
  return HF_OK;
}

hf_err p11_object_list(struct p11_session *session, const struct uri *uri, struct p11_object **ret_objects,
                       size_t *ret_count)
{
  struct find_template t;
  template_from_uri(uri, &t);
  struct handles all = { 0 };
  hf_err e = find_all(session, &t, &all);
  if (!hf_failed(e))
    e = describe_all(session, &all, ret_objects, ret_count);
  free(all.list);
  return e;
}

static hf_err no_match(struct p11_session *session, const struct uri *uri)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(URI_MAX * 4);
  HF_TRY(uri_format(uri, &text));
  CK_SESSION_INFO info;
  bool may_hide =
      p11_module_functions(p11_session_module(session))->C_GetSessionInfo(p11_session_handle(session), &info) ==
          CKR_OK &&
      (info.state == CKS_RO_PUBLIC_SESSION || info.state == CKS_RW_PUBLIC_SESSION);
  hf_err e = hf_fail(HF_ERR_URI_NO_MATCH, "%s", hf_buf_str(&text));
  return may_hide ? hf_hint(e, "List what is there with 'holdfast key list'. Private objects show only with the PIN.")
                  : e;
}

static hf_err ambiguous(struct p11_session *session, const struct p11_object *objects, size_t count)
{
  struct p11_token token;
  HF_TRY(p11_token_get(p11_session_module(session), p11_session_slot(session), &token));
  HF_CLEANUP(p11_candidates_free) struct p11_candidates candidates = P11_CANDIDATES;
  for (size_t i = 0; i < count; i++) {
    HF_CLEANUP(uri_free) struct uri uri = { 0 };
    HF_TRY(p11_object_uri(&token, &objects[i], &uri));
    HF_TRY(p11_candidates_add(&candidates, &uri));
  }
  return p11_candidates_fail(&candidates, HF_ERR_URI_AMBIGUOUS, "objects");
}

hf_err p11_object_find(struct p11_session *session, const struct uri *uri, struct p11_object *ret_object)
{
  struct p11_object *objects = NULL;
  size_t count = 0;
  HF_TRY(p11_object_list(session, uri, &objects, &count));
  hf_err e = HF_OK;
  if (count == 0)
    e = no_match(session, uri);
  else if (count > 1)
    e = ambiguous(session, objects, count);
  else {
    *ret_object = objects[0];
    count = 0;
  }
  p11_object_list_free(objects, count);
  return e;
}

hf_err p11_object_uri(const struct p11_token *token, const struct p11_object *object, struct uri *uri)
{
  HF_TRY(p11_token_uri(token, uri));
  if (object->id.len)
    HF_TRY(uri_set(uri, URI_ID, object->id.data, object->id.len));
  /* A URI's text cannot carry a NUL. */
  if (object->label.len && !memchr(object->label.data, '\0', object->label.len))
    HF_TRY(uri_set(uri, URI_OBJECT, object->label.data, object->label.len));
  const char *type = p11_class_name(object->object_class);
  return type ? uri_set(uri, URI_TYPE, type, strlen(type)) : HF_OK;
}

/* Some let their SO alone write, some nobody. */
static hf_err explain_refusal(hf_err e)
{
  if (e.code == HF_ERR_USER_TYPE_INVALID)
    return hf_hint(e, "This token lets its SO alone write: use its vendor's tool (a YubiKey: 'ykman piv').");
  return e.code == HF_ERR_FUNCTION_NOT_SUPPORTED ? hf_hint(e, "Its module writes nothing: use its vendor's tool.") : e;
}

hf_err p11_object_create(struct p11_session *session, CK_ATTRIBUTE *attrs, size_t count, CK_OBJECT_HANDLE *ret_object)
{
  struct p11_module *module = p11_session_module(session);
  CK_RV rv = p11_module_functions(module)->C_CreateObject(p11_session_handle(session), attrs, count, ret_object);
  return explain_refusal(p11_fail(module, rv, "creating an object in slot %lu", p11_session_slot(session)));
}

hf_err p11_object_destroy(struct p11_session *session, CK_OBJECT_HANDLE object)
{
  struct p11_module *module = p11_session_module(session);
  CK_RV rv = p11_module_functions(module)->C_DestroyObject(p11_session_handle(session), object);
  if (rv == CKR_OK)
    p11_module_destroyed(module);
  return explain_refusal(p11_fail(module, rv, "destroying an object in slot %lu", p11_session_slot(session)));
}
