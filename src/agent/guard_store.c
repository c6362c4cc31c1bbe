/* SPDX-License-Identifier: Apache-2.0 */
/* Objects: looked for, read, made, changed and destroyed. */
#include "agent/guard_private.h"

enum { FIND_CHUNK = 256, TEMPLATE_MAX = 256, ARRAY_ATTRIBUTE = 0x40000000 };

/* A template in a template would bring the client's own pointers along. */
CK_RV guard_check_template(const CK_ATTRIBUTE *attrs, CK_ULONG count)
{
  if (count > TEMPLATE_MAX)
    return CKR_ARGUMENTS_BAD;
  for (CK_ULONG i = 0; i < count; i++)
    if ((attrs[i].type & ARRAY_ATTRIBUTE) && attrs[i].type != CKA_ALLOWED_MECHANISMS)
      return CKR_ATTRIBUTE_TYPE_INVALID;
  return CKR_OK;
}

static bool wants_token(const CK_ATTRIBUTE *attrs, CK_ULONG count, bool otherwise)
{
  for (CK_ULONG i = 0; i < count; i++)
    if (attrs[i].type == CKA_TOKEN && attrs[i].pValue && attrs[i].ulValueLen == sizeof(CK_BBOOL))
      return *(CK_BBOOL *)attrs[i].pValue != CK_FALSE;
  return otherwise;
}

/* The real session may be able to write all the same: it is another one each time. */
static CK_RV check_writable(const struct guard_session *s, bool is_token)
{
  return is_token && !(s->flags & CKF_RW_SESSION) ? CKR_SESSION_READ_ONLY : CKR_OK;
}

CK_RV guard_ask_create(const char *function, struct guard_session *s, const CK_ATTRIBUTE *attrs, CK_ULONG count,
                       struct guard_request *request)
{
  if (!wants_token(attrs, count, false))
    return CKR_OK;
  CK_RV rv = check_writable(s, true);
  return rv == CKR_OK ? guard_ask_token(function, POLICY_CREATE, s->token, request) : rv;
}

/* The real handles of all that match, then what of them the client may see. */
struct search {
  CK_OBJECT_HANDLE *list;
  size_t count, capacity;
};

static CK_RV add(struct search *all, const CK_OBJECT_HANDLE *found, CK_ULONG count)
{
  if (all->count + count > GUARD_OBJECTS_MAX)
    return CKR_HOST_MEMORY;
  if (all->count + count > all->capacity) {
    size_t capacity = all->capacity ? 2 * all->capacity : FIND_CHUNK;
    CK_OBJECT_HANDLE *list = reallocarray(all->list, capacity, sizeof(*list));
    if (!list)
      return CKR_HOST_MEMORY;
    all->list = list;
    all->capacity = capacity;
  }
  memcpy(all->list + all->count, found, count * sizeof(*found));
  all->count += count;
  return CKR_OK;
}

static CK_RV search_all(struct guard_session *s, CK_ATTRIBUTE *attrs, CK_ULONG count, struct search *all)
{
  CK_OBJECT_HANDLE found[FIND_CHUNK];
  CK_ULONG n = 0;
  all->count = 0;
  CK_RV rv = F->C_FindObjectsInit(REAL(s), attrs, count);
  if (rv != CKR_OK)
    return rv;
  do {
    rv = F->C_FindObjects(REAL(s), found, FIND_CHUNK, &n);
    if (rv == CKR_OK && n > 0 && n <= FIND_CHUNK)
      rv = add(all, found, n);
  } while (rv == CKR_OK && n > 0);
  (void)F->C_FindObjectsFinal(REAL(s));
  return rv;
}

static CK_RV search_shown(struct guard_session *s, CK_ATTRIBUTE *attrs, CK_ULONG count, struct search *all)
{
  CK_RV rv = search_all(s, attrs, count, all);
  size_t shown = 0;
  for (size_t i = 0; rv == CKR_OK && i < all->count; i++) {
    CK_OBJECT_HANDLE handle;
    rv = guard_object_found(s, all->list[i], &handle);
    if (rv == CKR_OK && handle)
      all->list[shown++] = handle;
  }
  all->count = shown;
  return rv;
}

/* All at once: a search that a client leaves open would keep a small token's only session. */
CK_RV guard_C_FindObjectsInit(CK_SESSION_HANDLE handle, CK_ATTRIBUTE *attrs, CK_ULONG count)
{
  struct guard_session *s;
  CK_RV rv = guard_session_get(handle, &s);
  if (rv == CKR_OK)
    rv = s->finding ? CKR_OPERATION_ACTIVE : guard_check_template(attrs, count);
  if (rv != CKR_OK)
    return rv;
  struct search all = { 0 };
  double started = guard_clock();
  rv = GUARD_CALL(s, "C_FindObjects", search_shown(s, attrs, count, &all));
  guard_audit_list("C_FindObjects", s->token, started, rv);
  if (rv != CKR_OK) {
    free(all.list);
    return rv;
  }
  s->finding = true;
  s->found = all.list;
  s->found_count = all.count;
  s->found_at = 0;
  return CKR_OK;
}

CK_RV guard_C_FindObjects(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE *objects, CK_ULONG max, CK_ULONG *count)
{
  struct guard_session *s;
  CK_RV rv = guard_session_get(handle, &s);
  if (rv != CKR_OK)
    return rv;
  if (!s->finding)
    return CKR_OPERATION_NOT_INITIALIZED;
  size_t left = s->found_count - s->found_at;
  *count = max < left ? max : left;
  if (*count > 0)
    memcpy(objects, s->found + s->found_at, *count * sizeof(*objects));
  s->found_at += *count;
  return CKR_OK;
}

CK_RV guard_C_FindObjectsFinal(CK_SESSION_HANDLE handle)
{
  struct guard_session *s;
  CK_RV rv = guard_session_get(handle, &s);
  if (rv != CKR_OK)
    return rv;
  if (!s->finding)
    return CKR_OPERATION_NOT_INITIALIZED;
  s->finding = false;
  free(s->found);
  s->found = NULL;
  return CKR_OK;
}

/* The real handle of an object that is no key's place in the call. */
static CK_RV real_of(struct guard_session *s, CK_OBJECT_HANDLE handle, CK_OBJECT_HANDLE *ret_real)
{
  return guard_object_real(s, handle, CKR_OBJECT_HANDLE_INVALID, ret_real);
}

/* What a key is made of. */
static bool is_secret(CK_ATTRIBUTE_TYPE type)
{
  static const CK_ATTRIBUTE_TYPE types[] = { CKA_VALUE,      CKA_PRIVATE_EXPONENT, CKA_PRIME_1,    CKA_PRIME_2,
                                             CKA_EXPONENT_1, CKA_EXPONENT_2,       CKA_COEFFICIENT };
  for (size_t i = 0; i < HF_ARRAY_LEN(types); i++)
    if (types[i] == type)
      return true;
  return false;
}

/* A client may use a key, and never has it: not even one that the token would give away. */
static bool is_withheld(const struct guard_object *object, CK_ATTRIBUTE_TYPE type)
{
  bool is_key = object->object_class == CKO_PRIVATE_KEY || object->object_class == CKO_SECRET_KEY;
  return is_key && (object->is_token || object->copied) && is_secret(type);
}

/* The agent authenticates each use: the client has no PIN to do it with. */
static void hide_authenticate(CK_ATTRIBUTE *attr)
{
  if (attr->type == CKA_ALWAYS_AUTHENTICATE && attr->pValue && attr->ulValueLen == sizeof(CK_BBOOL))
    *(CK_BBOOL *)attr->pValue = CK_FALSE;
}

static CK_RV get_attributes(struct guard_session *s, CK_OBJECT_HANDLE handle, CK_ATTRIBUTE *attrs, CK_ULONG count)
{
  CK_ATTRIBUTE asked[TEMPLATE_MAX];
  CK_OBJECT_HANDLE real;
  CK_ULONG n = 0;
  CK_RV rv = real_of(s, handle, &real);
  if (rv != CKR_OK)
    return rv;
  const struct guard_object *object = guard_object_get(s, handle);
  for (CK_ULONG i = 0; i < count; i++)
    if (!is_withheld(object, attrs[i].type))
      asked[n++] = attrs[i];
  rv = F->C_GetAttributeValue(REAL(s), real, asked, n);
  if (rv != CKR_OK && !guard_is_partial(rv))
    return rv;
  n = 0;
  for (CK_ULONG i = 0; i < count; i++) {
    bool withheld = is_withheld(object, attrs[i].type);
    attrs[i].ulValueLen = withheld ? CK_UNAVAILABLE_INFORMATION : asked[n++].ulValueLen;
    if (withheld && rv == CKR_OK)
      rv = CKR_ATTRIBUTE_SENSITIVE;
    hide_authenticate(&attrs[i]);
  }
  return rv;
}

CK_RV guard_C_GetAttributeValue(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *attrs, CK_ULONG count)
{
  struct guard_session *s;
  CK_RV rv = guard_session_get(handle, &s);
  if (rv == CKR_OK)
    rv = guard_check_template(attrs, count);
  return rv == CKR_OK ? GUARD_CALL(s, "C_GetAttributeValue", get_attributes(s, object, attrs, count)) : rv;
}

static CK_RV object_size(struct guard_session *s, CK_OBJECT_HANDLE handle, CK_ULONG *size)
{
  CK_OBJECT_HANDLE real;
  CK_RV rv = real_of(s, handle, &real);
  return rv == CKR_OK ? F->C_GetObjectSize(REAL(s), real, size) : rv;
}

CK_RV guard_C_GetObjectSize(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object, CK_ULONG *size)
{
  struct guard_session *s;
  CK_RV rv = guard_session_get(handle, &s);
  return rv == CKR_OK ? GUARD_CALL(s, "C_GetObjectSize", object_size(s, object, size)) : rv;
}

static CK_RV set_attributes(struct guard_session *s, CK_OBJECT_HANDLE handle, CK_ATTRIBUTE *attrs, CK_ULONG count)
{
  CK_OBJECT_HANDLE real;
  CK_RV rv = real_of(s, handle, &real);
  if (rv == CKR_OK)
    rv = F->C_SetAttributeValue(REAL(s), real, attrs, count);
  return rv == CKR_OK ? guard_object_refresh(s, handle) : rv;
}

/*
 * A key's label and id are what policy knows it by: to change those of a key that is in use is to take it away, and
 * counts as delete. Who has just made it may still finish it.
 */
CK_RV guard_C_SetAttributeValue(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object_handle, CK_ATTRIBUTE *attrs,
                                CK_ULONG count)
{
  struct guard_session *s;
  struct guard_request request = { 0 };
  CK_RV rv = guard_session_get(handle, &s);
  if (rv == CKR_OK)
    rv = guard_check_template(attrs, count);
  struct guard_object *object = rv == CKR_OK ? guard_object_get(s, object_handle) : NULL;
  if (rv == CKR_OK)
    rv = object ? check_writable(s, object->is_token) : CKR_OBJECT_HANDLE_INVALID;
  if (rv == CKR_OK && object->made_here && object->is_token)
    rv = guard_ask_token("C_SetAttributeValue", POLICY_CREATE, s->token, &request);
  else if (rv == CKR_OK)
    rv = guard_ask_object("C_SetAttributeValue", POLICY_DELETE, object, &request);
  if (rv != CKR_OK)
    return rv;
  rv = GUARD_CALL(s, "C_SetAttributeValue", set_attributes(s, object_handle, attrs, count));
  guard_answer(&request, rv);
  return rv;
}

static CK_RV destroy(struct guard_session *s, CK_OBJECT_HANDLE handle)
{
  CK_OBJECT_HANDLE real;
  CK_RV rv = real_of(s, handle, &real);
  if (rv == CKR_OK)
    rv = F->C_DestroyObject(REAL(s), real);
  if (rv == CKR_OK) {
    guard_object_gone(s, handle);
    p11_module_destroyed(guard_client()->module);
  }
  return rv;
}

CK_RV guard_C_DestroyObject(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object_handle)
{
  struct guard_session *s;
  struct guard_request request = { 0 };
  CK_RV rv = guard_session_get(handle, &s);
  struct guard_object *object = rv == CKR_OK ? guard_object_get(s, object_handle) : NULL;
  if (rv == CKR_OK)
    rv = object ? check_writable(s, object->is_token) : CKR_OBJECT_HANDLE_INVALID;
  if (rv == CKR_OK)
    rv = guard_ask_object("C_DestroyObject", POLICY_DELETE, object, &request);
  if (rv != CKR_OK)
    return rv;
  rv = GUARD_CALL(s, "C_DestroyObject", destroy(s, object_handle));
  guard_answer(&request, rv);
  return rv;
}

static CK_RV create(struct guard_session *s, CK_ATTRIBUTE *attrs, CK_ULONG count, CK_OBJECT_HANDLE *ret_handle)
{
  CK_OBJECT_HANDLE real;
  CK_RV rv = F->C_CreateObject(REAL(s), attrs, count, &real);
  return rv == CKR_OK ? guard_object_made(s, real, ret_handle) : rv;
}

CK_RV guard_C_CreateObject(CK_SESSION_HANDLE handle, CK_ATTRIBUTE *attrs, CK_ULONG count, CK_OBJECT_HANDLE *object)
{
  struct guard_session *s;
  struct guard_request request = { 0 };
  CK_RV rv = guard_session_get(handle, &s);
  if (rv == CKR_OK)
    rv = guard_check_template(attrs, count);
  if (rv == CKR_OK)
    rv = guard_ask_create("C_CreateObject", s, attrs, count, &request);
  if (rv != CKR_OK)
    return rv;
  rv = GUARD_CALL(s, "C_CreateObject", create(s, attrs, count, object));
  guard_answer(&request, rv);
  return rv;
}

/* What policy knows the origin by, it knows the copy by: a copy is no way around it. */
static CK_RV mark_copy(struct guard_session *s, CK_OBJECT_HANDLE origin_handle, CK_OBJECT_HANDLE handle)
{
  struct guard_object *origin = guard_object_get(s, origin_handle), *copy = guard_object_get(s, handle);
  if (!origin || !copy || copy->is_token || !(origin->is_token || origin->copied))
    return CKR_OK;
  const struct uri *uri = guard_object_uri(origin);
  struct uri *mine = calloc(1, sizeof(*mine));
  copy->copied = true;
  copy->uri = mine;
  copy->text = uri ? strdup(origin->text) : NULL;
  if (!uri || !mine || !copy->text || hf_failed(uri_copy(uri, mine))) {
    copy->gone = true;
    return CKR_HOST_MEMORY;
  }
  return CKR_OK;
}

static CK_RV copy(struct guard_session *s, CK_OBJECT_HANDLE origin, CK_ATTRIBUTE *attrs, CK_ULONG count,
                  CK_OBJECT_HANDLE *ret_handle)
{
  CK_OBJECT_HANDLE real, made;
  CK_RV rv = real_of(s, origin, &real);
  if (rv == CKR_OK)
    rv = F->C_CopyObject(REAL(s), real, attrs, count, &made);
  if (rv == CKR_OK)
    rv = guard_object_made(s, made, ret_handle);
  return rv == CKR_OK ? mark_copy(s, origin, *ret_handle) : rv;
}

CK_RV guard_C_CopyObject(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object_handle, CK_ATTRIBUTE *attrs, CK_ULONG count,
                         CK_OBJECT_HANDLE *ret_object)
{
  struct guard_session *s;
  struct guard_request request = { 0 };
  CK_RV rv = guard_session_get(handle, &s);
  if (rv == CKR_OK)
    rv = guard_check_template(attrs, count);
  struct guard_object *object = rv == CKR_OK ? guard_object_get(s, object_handle) : NULL;
  if (rv == CKR_OK && !object)
    rv = CKR_OBJECT_HANDLE_INVALID;
  bool stays = rv == CKR_OK && wants_token(attrs, count, object->is_token);
  if (rv == CKR_OK)
    rv = check_writable(s, stays);
  if (rv == CKR_OK && stays)
    rv = guard_ask_token("C_CopyObject", POLICY_CREATE, s->token, &request);
  if (rv != CKR_OK)
    return rv;
  rv = GUARD_CALL(s, "C_CopyObject", copy(s, object_handle, attrs, count, ret_object));
  guard_answer(&request, rv);
  return rv;
}
