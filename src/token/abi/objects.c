/* SPDX-License-Identifier: Apache-2.0 */
#include "token/abi/abi.h"

#include "token/complete.h"

enum { TEMPLATE_MAX = 256 };

bool abi_template(const CK_ATTRIBUTE *tmpl, CK_ULONG count)
{
  return abi_bytes(tmpl, count) && count <= TEMPLATE_MAX;
}

static bool by_so(const struct session *s)
{
  return token_login_state(s->token) == LOGIN_SO;
}

hf_err abi_create_object(struct session *s, const CK_ATTRIBUTE *tmpl, CK_ULONG count, CK_OBJECT_HANDLE *ret_handle)
{
  struct kind kind;
  HF_CLEANUP(attr_halves_free) struct attr_halves halves = { ATTRS_EMPTY, ATTRS_EMPTY };
  HF_TRY(policy_kind(tmpl, count, POLICY_NOTHING_REQUIRED, NULL, &kind));
  struct making making = { .origin = ORIGIN_CREATE, .kind = kind, .so = by_so(s) };
  HF_TRY(policy_make(&making, tmpl, count, &halves));
  HF_TRY(complete_object(kind, &halves));
  return token_add(s->token, session_access(s), &halves, 1, ret_handle);
}

/* Only where nobody has seen the token yet: elsewhere, an object's history is what the token itself saw of it. */
hf_err abi_restore_object(struct session *s, const CK_ATTRIBUTE *tmpl, CK_ULONG count, CK_OBJECT_HANDLE *ret_handle)
{
  struct kind kind;
  HF_CLEANUP(attr_halves_free) struct attr_halves halves = { ATTRS_EMPTY, ATTRS_EMPTY };
  if (!token_is_aside(s->token))
    return hf_fail(HF_ERR_ACTION_PROHIBITED, "the token is not being restored");
  HF_TRY(policy_kind(tmpl, count, POLICY_NOTHING_REQUIRED, NULL, &kind));
  struct making making = { .origin = ORIGIN_RESTORE, .kind = kind, .so = true };
  HF_TRY(policy_make(&making, tmpl, count, &halves));
  HF_TRY(complete_object(kind, &halves));
  return token_add(s->token, session_access(s), &halves, 1, ret_handle);
}

hf_err abi_copy_object(struct session *s, CK_OBJECT_HANDLE source, const CK_ATTRIBUTE *tmpl, CK_ULONG count,
                       CK_OBJECT_HANDLE *ret_handle)
{
  HF_CLEANUP(object_unrefp) struct object *object = NULL;
  HF_CLEANUP(attr_halves_free) struct attr_halves halves = { ATTRS_EMPTY, ATTRS_EMPTY };
  bool is_token;
  HF_TRY(token_object(s->token, source, &object, &is_token));
  const struct attrs *open = object_attrs(object);
  if (!attrs_true(open, CKA_COPYABLE))
    return hf_fail(HF_ERR_ACTION_PROHIBITED, "the object's CKA_COPYABLE is false");
  HF_TRY(hf_buf_add(&halves.open.rows, open->rows.data, open->rows.len));
  HF_TRY(policy_change(&halves.open, tmpl, count, by_so(s), true));
  if (attrs_true(open, CKA_PRIVATE) && !attrs_true(&halves.open, CKA_PRIVATE))
    return hf_fail(HF_ERR_TEMPLATE_INCONSISTENT, "a private object stays private");
  HF_TRY(token_secret(s->token, object, &halves.secret));
  return token_add(s->token, session_access(s), &halves, 1, ret_handle);
}

enum { PUBLIC, PRIVATE, PAIR };

static hf_err make_half(struct session *s, const struct mech *mech, CK_OBJECT_CLASS class, const CK_ATTRIBUTE *tmpl,
                        CK_ULONG count, struct attr_halves *ret_halves)
{
  bool any = mech->keys[0] == MECH_ANY_SECRET;
  struct kind kind, generated = { class, any ? CKK_GENERIC_SECRET : mech->keys[0] };
  HF_TRY(policy_kind(tmpl, count, POLICY_NOTHING_REQUIRED, &generated, &kind));
  struct making making = { .origin = ORIGIN_GENERATE, .kind = kind, .so = by_so(s) };
  if (kind.class != generated.class || (!any && kind.key_type != generated.key_type))
    return hf_fail(HF_ERR_TEMPLATE_INCONSISTENT, "%s does not make class 0x%lx, key type 0x%lx", mech->name, kind.class,
                   kind.key_type);
  HF_TRY(policy_make(&making, tmpl, count, ret_halves));
  return attrs_set_ulong(&ret_halves->open, CKA_KEY_GEN_MECHANISM, mech->type);
}

static hf_err check_generation(const struct mech *mech, const CK_MECHANISM *m)
{
  return m->ulParameterLen && !mech->ops->generate_param
             ? hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "%s takes no parameter", mech->name)
             : HF_OK;
}

static hf_err check_login(const struct session *s, const struct attr_halves *key)
{
  if (attrs_true(&key->open, CKA_PRIVATE) && token_login_state(s->token) != LOGIN_USER)
    return hf_fail(HF_ERR_USER_NOT_LOGGED_IN, "a private key");
  return HF_OK;
}

static void free_pair(struct attr_halves (*pair)[PAIR])
{
  attr_halves_free(&(*pair)[PUBLIC]);
  attr_halves_free(&(*pair)[PRIVATE]);
}

hf_err abi_generate_pair(struct session *s, const CK_MECHANISM *m, const CK_ATTRIBUTE *public, CK_ULONG public_count,
                         const CK_ATTRIBUTE *private, CK_ULONG private_count, CK_OBJECT_HANDLE *ret_public,
                         CK_OBJECT_HANDLE *ret_private)
{
  HF_CLEANUP(free_pair) struct attr_halves pair[PAIR] = { { ATTRS_EMPTY, ATTRS_EMPTY }, { ATTRS_EMPTY, ATTRS_EMPTY } };
  CK_OBJECT_HANDLE handles[PAIR];
  const struct mech *mech = mech_find(m->mechanism);
  if (!mech || !mech->ops->generate_pair)
    return hf_fail(HF_ERR_MECHANISM_INVALID, "mechanism 0x%lx", m->mechanism);
  HF_TRY(check_generation(mech, m));
  HF_TRY(make_half(s, mech, CKO_PUBLIC_KEY, public, public_count, &pair[PUBLIC]));
  HF_TRY(make_half(s, mech, CKO_PRIVATE_KEY, private, private_count, &pair[PRIVATE]));
  /* Before the work: generating RSA takes long. */
  HF_TRY(check_login(s, &pair[PRIVATE]));
  HF_TRY(simulation_generate(s->token, &pair[PUBLIC].open));
  HF_TRY(mech->ops->generate_pair(mech, m, &pair[PUBLIC], &pair[PRIVATE]));
  HF_TRY(complete_pair(policy_kind_of(&pair[PUBLIC].open), &pair[PUBLIC], &pair[PRIVATE]));
  HF_TRY(token_add(s->token, session_access(s), pair, PAIR, handles));
  *ret_public = handles[PUBLIC];
  *ret_private = handles[PRIVATE];
  return HF_OK;
}

hf_err abi_generate_key(struct session *s, const CK_MECHANISM *m, const CK_ATTRIBUTE *tmpl, CK_ULONG count,
                        CK_OBJECT_HANDLE *ret_handle)
{
  HF_CLEANUP(attr_halves_free) struct attr_halves halves = { ATTRS_EMPTY, ATTRS_EMPTY };
  const struct mech *mech = mech_find(m->mechanism);
  if (!mech || !mech->ops->generate_secret)
    return hf_fail(HF_ERR_MECHANISM_INVALID, "mechanism 0x%lx", m->mechanism);
  HF_TRY(check_generation(mech, m));
  CK_OBJECT_CLASS class = mech->ops->makes_domain ? CKO_DOMAIN_PARAMETERS : CKO_SECRET_KEY;
  HF_TRY(make_half(s, mech, class, tmpl, count, &halves));
  HF_TRY(check_login(s, &halves));
  HF_TRY(mech->ops->generate_secret(mech, m, &halves));
  HF_TRY(complete_object(policy_kind_of(&halves.open), &halves));
  return token_add(s->token, session_access(s), &halves, 1, ret_handle);
}

static hf_err get_attribute(struct session *s, struct object *object, CK_ATTRIBUTE *attr)
{
  const struct attrs *open = object_attrs(object);
  struct kind kind = object_kind(object);
  struct hf_slice value;
  if (!policy_is_secret(kind, attr->type)) {
    if (attrs_get(open, attr->type, &value))
      return policy_export(value, attr);
    attr->ulValueLen = CK_UNAVAILABLE_INFORMATION;
    return hf_fail(HF_ERR_ATTRIBUTE_TYPE_INVALID, "attribute 0x%lx", attr->type);
  }
  HF_CLEANUP(attrs_free) struct attrs secret = ATTRS_EMPTY;
  hf_err e;
  if (attrs_true(open, CKA_SENSITIVE) || !attrs_true(open, CKA_EXTRACTABLE))
    e = hf_fail(HF_ERR_ATTRIBUTE_SENSITIVE, "attribute 0x%lx", attr->type);
  else if (!hf_failed(e = token_secret(s->token, object, &secret)) && attrs_get(&secret, attr->type, &value))
    return policy_export(value, attr);
  else if (!hf_failed(e))
    e = hf_fail(HF_ERR_ATTRIBUTE_TYPE_INVALID, "attribute 0x%lx", attr->type);
  attr->ulValueLen = CK_UNAVAILABLE_INFORMATION;
  return e;
}

hf_err abi_get_attributes(struct session *s, CK_OBJECT_HANDLE handle, CK_ATTRIBUTE *tmpl, CK_ULONG count)
{
  HF_CLEANUP(object_unrefp) struct object *object = NULL;
  bool is_token;
  hf_err first = HF_OK;
  HF_TRY(token_object(s->token, handle, &object, &is_token));
  for (CK_ULONG i = 0; i < count; i++) {
    hf_err e = get_attribute(s, object, &tmpl[i]);
    if (!hf_failed(first))
      first = e;
  }
  return first;
}

hf_err abi_object_size(struct session *s, CK_OBJECT_HANDLE handle, CK_ULONG *ret_size)
{
  HF_CLEANUP(object_unrefp) struct object *object = NULL;
  bool is_token;
  HF_TRY(token_object(s->token, handle, &object, &is_token));
  *ret_size = object_size(object);
  return HF_OK;
}

hf_err abi_find_init(struct session *s, const CK_ATTRIBUTE *tmpl, CK_ULONG count)
{
  struct search_state *search = &s->search;
  if (search->active)
    return hf_fail(HF_ERR_OPERATION_ACTIVE, "a search is active");
  HF_TRY(token_find(s->token, tmpl, count, &search->found, &search->count));
  search->next = 0;
  search->active = true;
  return HF_OK;
}

hf_err abi_find(struct session *s, CK_OBJECT_HANDLE *out, CK_ULONG room, CK_ULONG *ret_count)
{
  struct search_state *search = &s->search;
  if (!search->active)
    return hf_fail(HF_ERR_OPERATION_NOT_INITIALIZED, "no search is active");
  size_t left = search->count - search->next, count = left < room ? left : room;
  if (count)
    memcpy(out, search->found + search->next, count * sizeof(*out));
  search->next += count;
  *ret_count = count;
  return HF_OK;
}

hf_err abi_find_final(struct session *s)
{
  if (!s->search.active)
    return hf_fail(HF_ERR_OPERATION_NOT_INITIALIZED, "no search is active");
  search_end(&s->search);
  return HF_OK;
}
