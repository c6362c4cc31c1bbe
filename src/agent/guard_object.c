/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's object handles. Each knows its object by class, label and id, so that it is found again in a new session;
 * and it is looked at again from time to time, since a token may give the handle of a lost object to another one.
 */
#include "agent/guard_private.h"

#include "base/log.h"

enum { TEXT_FIRST = 256, INDEX_FIRST = 256 };

static const double trusted_seconds = 1;

struct guard_object *guard_object_get(struct guard_session *session, CK_OBJECT_HANDLE handle)
{
  struct guard_client *client = guard_client();
  if (handle == 0 || handle > client->object_count)
    return NULL;
  struct guard_object *object = &client->objects[handle - 1];
  if (object->gone || object->token != session->token)
    return NULL;
  return object->is_private && session->token->logged_out ? NULL : object;
}

static void object_free(struct guard_object *object)
{
  hf_buf_free(&object->label);
  hf_buf_free(&object->id);
  if (object->uri)
    uri_free(object->uri);
  free(object->uri);
  free(object->text);
}

void guard_objects_free(struct guard_client *client)
{
  for (size_t i = 0; i < client->object_count; i++)
    object_free(&client->objects[i]);
  free(client->objects);
  free(client->object_index);
  client->objects = NULL;
  client->object_index = NULL;
  client->object_count = client->object_capacity = client->index_size = 0;
}

void guard_objects_orphan(CK_SESSION_HANDLE owner)
{
  struct guard_client *client = guard_client();
  for (size_t i = 0; i < client->object_count; i++)
    if (!client->objects[i].is_token && client->objects[i].owner == owner)
      client->objects[i].gone = true;
}

/* What one call asks of an object. */
struct seen {
  CK_OBJECT_CLASS object_class;
  CK_KEY_TYPE key_type;
  CK_BBOOL is_token, is_private, always_authenticate;
  uint8_t label[TEXT_FIRST], id[TEXT_FIRST];
};

/* A value that did not fit is read on its own; one that is not there is empty. */
static hf_err add_text(struct guard_session *session, CK_OBJECT_HANDLE real, const CK_ATTRIBUTE *attr,
                       struct hf_buf *out)
{
  *out = HF_BUF(P11_ATTRIBUTE_MAX);
  if (attr->ulValueLen <= TEXT_FIRST)
    return hf_buf_add(out, attr->pValue, attr->ulValueLen);
  hf_err e = p11_object_get(session->lease.session, real, attr->type, out);
  return e.code == HF_ERR_ATTRIBUTE_TYPE_INVALID || e.code == HF_ERR_ATTRIBUTE_SENSITIVE ? HF_OK : e;
}

bool guard_is_partial(CK_RV rv)
{
  return rv == CKR_ATTRIBUTE_TYPE_INVALID || rv == CKR_ATTRIBUTE_SENSITIVE || rv == CKR_BUFFER_TOO_SMALL;
}

/* To be ended with object_free. */
static CK_RV look(struct guard_session *session, CK_OBJECT_HANDLE real, struct guard_object *ret_object)
{
  struct seen seen = { .object_class = CK_UNAVAILABLE_INFORMATION, .key_type = CK_UNAVAILABLE_INFORMATION };
  CK_ATTRIBUTE attrs[] = {
    { CKA_CLASS, &seen.object_class, sizeof(seen.object_class) },
    { CKA_TOKEN, &seen.is_token, sizeof(seen.is_token) },
    { CKA_PRIVATE, &seen.is_private, sizeof(seen.is_private) },
    { CKA_ALWAYS_AUTHENTICATE, &seen.always_authenticate, sizeof(seen.always_authenticate) },
    { CKA_LABEL, seen.label, sizeof(seen.label) },
    { CKA_ID, seen.id, sizeof(seen.id) },
    { CKA_KEY_TYPE, &seen.key_type, sizeof(seen.key_type) },
  };
  CK_RV rv = F->C_GetAttributeValue(REAL(session), real, attrs, HF_ARRAY_LEN(attrs));
  if (rv != CKR_OK && !guard_is_partial(rv))
    return rv;
  struct guard_object object = {
    .token = session->token,
    .real = real,
    .epoch = session->lease.epoch,
    .looked = guard_clock(),
    .object_class = seen.object_class,
    .key_type = seen.key_type,
    .is_token = seen.is_token,
    .is_private = seen.is_private,
    .always_authenticate = seen.always_authenticate && attrs[3].ulValueLen == sizeof(CK_BBOOL),
  };
  hf_err e = add_text(session, real, &attrs[4], &object.label);
  if (!hf_failed(e))
    e = add_text(session, real, &attrs[5], &object.id);
  if (hf_failed(e)) {
    object_free(&object);
    return hf_err_rv(e);
  }
  *ret_object = object;
  return CKR_OK;
}

static bool same_bytes(const struct hf_buf *a, const struct hf_buf *b)
{
  return hf_slice_equal(hf_slice(a->data, a->len), hf_slice(b->data, b->len));
}

static bool is_same(const struct guard_object *a, const struct guard_object *b)
{
  return a->object_class == b->object_class && a->is_token == b->is_token && same_bytes(&a->label, &b->label) &&
         same_bytes(&a->id, &b->id);
}

/* The index: which handle stands for a real one of this epoch. */

static size_t slot_of(const struct guard_client *client, const struct guard_token *token, CK_OBJECT_HANDLE real)
{
  uint64_t mixed = ((uint64_t)real ^ (uint64_t)(uintptr_t)token) * 0x9e3779b97f4a7c15U;
  size_t at = (size_t)(mixed >> 20) % client->index_size;
  while (client->object_index[at]) {
    const struct guard_object *object = &client->objects[client->object_index[at] - 1];
    if (object->real == real && object->token == token)
      break;
    at = (at + 1) % client->index_size;
  }
  return at;
}

static CK_RV grow(struct guard_client *client)
{
  if (client->object_count < client->object_capacity)
    return CKR_OK;
  size_t capacity = client->object_capacity ? 2 * client->object_capacity : INDEX_FIRST;
  struct guard_object *objects = reallocarray(client->objects, capacity, sizeof(*objects));
  if (!objects)
    return CKR_HOST_MEMORY;
  client->objects = objects;
  client->object_capacity = capacity;
  uint32_t *index = calloc(2 * capacity, sizeof(*index));
  if (!index)
    return CKR_HOST_MEMORY;
  free(client->object_index);
  client->object_index = index;
  client->index_size = 2 * capacity;
  for (size_t i = 0; i < client->object_count; i++)
    index[slot_of(client, objects[i].token, objects[i].real)] = (uint32_t)(i + 1);
  return CKR_OK;
}

/* Takes over object's contents. */
static CK_RV enter(const struct guard_object *object, CK_OBJECT_HANDLE *ret_handle)
{
  struct guard_client *client = guard_client();
  if (client->object_count == GUARD_OBJECTS_MAX)
    return CKR_HOST_MEMORY;
  CK_RV rv = grow(client);
  if (rv != CKR_OK)
    return rv;
  client->objects[client->object_count++] = *object;
  client->object_index[slot_of(client, object->token, object->real)] = (uint32_t)client->object_count;
  *ret_handle = client->object_count;
  return CKR_OK;
}

/* The handle that the client has for it already; 0: none. */
static CK_OBJECT_HANDLE known(const struct guard_object *object)
{
  struct guard_client *client = guard_client();
  if (client->object_count == 0)
    return 0;
  CK_OBJECT_HANDLE handle = client->object_index[slot_of(client, object->token, object->real)];
  if (!handle)
    return 0;
  const struct guard_object *mine = &client->objects[handle - 1];
  return !mine->gone && mine->epoch == object->epoch && is_same(mine, object) ? handle : 0;
}

static hf_err make_uri(struct guard_object *object)
{
  struct p11_object described = {
    .object_class = object->object_class,
    .label = object->label,
    .id = object->id,
  };
  HF_CLEANUP(hf_freep) struct uri *uri = calloc(1, sizeof(*uri));
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(URI_ATTR_COUNT * 3 * URI_MAX);
  if (!uri)
    return hf_fail(HF_ERR_NO_MEMORY, "an object's URI");
  hf_err e = p11_object_uri(&object->token->token, &described, uri);
  if (!hf_failed(e))
    e = uri_format(uri, &text);
  const char *formatted = hf_failed(e) ? NULL : hf_buf_str(&text);
  if (!hf_failed(e) && (!formatted || !(object->text = strdup(formatted))))
    e = hf_fail(HF_ERR_NO_MEMORY, "an object's URI");
  if (hf_failed(e)) {
    uri_free(uri);
    return e;
  }
  object->uri = HF_TAKE(uri);
  return HF_OK;
}

const struct uri *guard_object_uri(struct guard_object *object)
{
  hf_err e = object->uri ? HF_OK : make_uri(object);
  if (hf_failed(e))
    hf_ignore(hf_log_err(e, "describing an object"));
  return object->uri;
}

/* A session object is its maker's own business. */
static bool may_see(struct guard_object *object)
{
  struct guard_client *client = guard_client();
  if (object->is_private && object->token->logged_out)
    return false;
  if (!object->is_token)
    return false;
  struct policy_answer answer = { .verdict = VERDICT_DENY };
  const struct uri *uri = guard_object_uri(object);
  if (uri)
    policy_ask(client->agent->policy, client->peer, POLICY_LIST, uri, &answer);
  return answer.verdict == VERDICT_ALLOW;
}

static void forget_uri(struct guard_object *object)
{
  if (object->uri)
    uri_free(object->uri);
  free(object->uri);
  free(object->text);
  object->uri = NULL;
  object->text = NULL;
}

CK_RV guard_object_found(struct guard_session *session, CK_OBJECT_HANDLE real, CK_OBJECT_HANDLE *ret_handle)
{
  struct guard_object object = { 0 };
  CK_RV rv = look(session, real, &object);
  *ret_handle = 0;
  /* Another program may have destroyed it meanwhile. */
  if (rv == CKR_OBJECT_HANDLE_INVALID)
    return CKR_OK;
  if (rv != CKR_OK)
    return rv;
  CK_OBJECT_HANDLE handle = known(&object);
  bool seen = handle && !object.is_token ? !(object.is_private && object.token->logged_out) : may_see(&object);
  forget_uri(&object);
  if (seen && !handle) {
    rv = enter(&object, &handle);
    if (rv == CKR_OK) {
      *ret_handle = handle;
      return CKR_OK;
    }
  }
  object_free(&object);
  if (seen)
    *ret_handle = handle;
  return rv;
}

CK_RV guard_object_made(struct guard_session *session, CK_OBJECT_HANDLE real, CK_OBJECT_HANDLE *ret_handle)
{
  struct guard_object object = { 0 };
  CK_RV rv = look(session, real, &object);
  if (rv != CKR_OK)
    return rv;
  object.made_here = true;
  object.owner = session->handle;
  rv = enter(&object, ret_handle);
  if (rv != CKR_OK)
    object_free(&object);
  else if (!object.is_token)
    session->objects++;
  return rv;
}

CK_RV guard_object_refresh(struct guard_session *session, CK_OBJECT_HANDLE handle)
{
  struct guard_object *object = guard_object_get(session, handle), seen = { 0 };
  CK_RV rv = look(session, object->real, &seen);
  if (rv != CKR_OK)
    return rv;
  hf_buf_free(&object->label);
  hf_buf_free(&object->id);
  /* A copy stays known by its origin. */
  if (!object->copied)
    forget_uri(object);
  object->label = seen.label;
  object->id = seen.id;
  object->is_private = seen.is_private;
  return CKR_OK;
}

void guard_object_gone(struct guard_session *session, CK_OBJECT_HANDLE handle)
{
  struct guard_object *object = guard_object_get(session, handle);
  object->gone = true;
  /* Its session may give the real one back again. */
  if (!object->is_token && object->owner == session->handle && session->objects > 0)
    session->objects--;
}

/* The only object that has the attributes by which this one is known. */
static CK_RV find_again(struct guard_session *session, struct guard_object *object)
{
  CK_BBOOL yes = CK_TRUE;
  CK_ATTRIBUTE attrs[] = {
    { CKA_CLASS, &object->object_class, sizeof(object->object_class) },
    { CKA_TOKEN, &yes, sizeof(yes) },
    { CKA_LABEL, object->label.data, object->label.len },
    { CKA_ID, object->id.data, object->id.len },
  };
  CK_OBJECT_HANDLE found[2];
  CK_ULONG count = 0;
  CK_RV rv = F->C_FindObjectsInit(REAL(session), attrs, object->id.len ? 4 : 3);
  if (rv != CKR_OK)
    return rv;
  rv = F->C_FindObjects(REAL(session), found, 2, &count);
  (void)F->C_FindObjectsFinal(REAL(session));
  if (rv != CKR_OK)
    return rv;
  if (count != 1)
    return CKR_OBJECT_HANDLE_INVALID;
  object->real = found[0];
  object->epoch = session->lease.epoch;
  object->looked = guard_clock();
  return CKR_OK;
}

static bool is_trusted(const struct guard_session *session, const struct guard_object *object)
{
  return object->epoch == session->lease.epoch && object->looked > guard_client()->look_from &&
         guard_clock() - object->looked < trusted_seconds;
}

static CK_RV check(struct guard_session *session, struct guard_object *object)
{
  struct guard_object seen = { 0 };
  if (is_trusted(session, object))
    return CKR_OK;
  CK_RV rv = object->epoch == session->lease.epoch ? look(session, object->real, &seen) : CKR_OBJECT_HANDLE_INVALID;
  if (rv == CKR_OK) {
    bool same = is_same(object, &seen);
    object_free(&seen);
    if (same) {
      object->looked = seen.looked;
      return CKR_OK;
    }
  }
  if (rv != CKR_OK && rv != CKR_OBJECT_HANDLE_INVALID)
    return rv;
  return object->is_token ? find_again(session, object) : CKR_OBJECT_HANDLE_INVALID;
}

CK_RV guard_object_real(struct guard_session *session, CK_OBJECT_HANDLE handle, CK_RV missing,
                        CK_OBJECT_HANDLE *ret_real)
{
  struct guard_object *object = guard_object_get(session, handle);
  if (!object)
    return missing;
  CK_RV rv = check(session, object);
  if (rv != CKR_OK)
    return rv == CKR_OBJECT_HANDLE_INVALID ? missing : rv;
  *ret_real = object->real;
  return CKR_OK;
}
