/* SPDX-License-Identifier: Apache-2.0 */
/* The client, the slots it sees, and what it may not do to a token. */
#include "agent/guard_private.h"

#include "base/log.h"

static _Thread_local struct guard_client *self;

struct guard_client *guard_client(void)
{
  return self;
}

CK_RV guard_fail(hf_err e, const char *doing)
{
  hf_ignore(hf_log_err(e, doing));
  return hf_err_rv(e);
}

hf_err guard_begin(struct agent *agent, const struct peer *peer)
{
  struct guard_client *client = calloc(1, sizeof(*client));
  if (!client)
    return hf_fail(HF_ERR_NO_MEMORY, "a client of the PKCS #11 socket");
  client->agent = agent;
  client->peer = peer;
  self = client;
  return HF_OK;
}

static void close_all(struct guard_client *client)
{
  for (size_t i = 0; i < GUARD_SESSIONS_MAX; i++)
    if (client->sessions[i])
      guard_session_close(client->sessions[i]);
  guard_objects_free(client);
  guard_tokens_free(client);
  client->module = NULL;
}

void guard_end(void)
{
  close_all(self);
  free(self);
  self = NULL;
}

CK_RV guard_C_Initialize(void *args)
{
  (void)args;
  if (self->module)
    return CKR_CRYPTOKI_ALREADY_INITIALIZED;
  struct p11_module *module;
  hf_err e = keyring_module(self->agent->keyring, &module);
  if (hf_failed(e))
    return guard_fail(e, "serving a PKCS #11 client");
  self->module = module;
  return CKR_OK;
}

CK_RV guard_C_Finalize(void *reserved)
{
  (void)reserved;
  if (!self->module)
    return CKR_CRYPTOKI_NOT_INITIALIZED;
  close_all(self);
  return CKR_OK;
}

CK_RV guard_C_GetFunctionList(CK_FUNCTION_LIST **list)
{
  *list = guard_functions();
  return CKR_OK;
}

/* A call that needs no session. */
#define MODULE_CALL(what, call)                                                   \
  __extension__({                                                                 \
    CK_RV rv_ = CKR_CRYPTOKI_NOT_INITIALIZED;                                     \
    if (self->module) {                                                           \
      struct deadline HF_CLEANUP(deadline_endp) deadline_ = deadline_begin(what); \
      p11_module_enter(self->module);                                             \
      hf_err e_ = p11_module_ready(self->module);                                 \
      rv_ = hf_failed(e_) ? guard_fail(e_, what) : (call);                        \
      p11_module_leave(self->module);                                             \
    }                                                                             \
    rv_;                                                                          \
  })

CK_RV guard_C_GetInfo(CK_INFO *info)
{
  return MODULE_CALL("C_GetInfo", F->C_GetInfo(info));
}

static bool may_init(const struct p11_token *token)
{
  struct policy_answer answer = { .verdict = VERDICT_DENY };
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  if (!hf_failed(p11_token_uri(token, &uri)))
    policy_ask(self->agent->policy, self->peer, POLICY_INIT, &uri, &answer);
  return answer.verdict == VERDICT_ALLOW;
}

/*
 * The agent serves the token that it was told to. A slot without one shows what it has; an uninitialised token is there
 * for those who may initialise it.
 */
static bool serves(CK_SLOT_ID slot)
{
  struct p11_token token;
  if (hf_failed(p11_token_get(self->module, slot, &token)))
    return true;
  return keyring_serves(self->agent->keyring, self->module, &token) &&
         ((token.flags & CKF_TOKEN_INITIALIZED) || may_init(&token));
}

/* Within a call. */
static CK_RV list_slots(CK_BBOOL with_token, CK_SLOT_ID **ret_slots, CK_ULONG *ret_count)
{
  CK_ULONG count = 0, kept = 0;
  CK_RV rv = F->C_GetSlotList(with_token, NULL, &count);
  if (rv != CKR_OK)
    return rv;
  CK_SLOT_ID *slots = calloc(count + 1, sizeof(*slots));
  if (!slots)
    return CKR_HOST_MEMORY;
  rv = F->C_GetSlotList(with_token, slots, &count);
  for (CK_ULONG i = 0; rv == CKR_OK && i < count; i++)
    if (serves(slots[i]))
      slots[kept++] = slots[i];
  if (rv != CKR_OK) {
    free(slots);
    return rv;
  }
  *ret_slots = slots;
  *ret_count = kept;
  return CKR_OK;
}

CK_RV guard_C_GetSlotList(CK_BBOOL with_token, CK_SLOT_ID *list, CK_ULONG *count)
{
  HF_CLEANUP(hf_freep) CK_SLOT_ID *slots = NULL;
  CK_ULONG all = 0, room = *count;
  CK_RV rv = MODULE_CALL("C_GetSlotList", list_slots(with_token, &slots, &all));
  if (rv != CKR_OK)
    return rv;
  *count = all;
  if (!list)
    return CKR_OK;
  if (room < all)
    return CKR_BUFFER_TOO_SMALL;
  if (all)
    memcpy(list, slots, all * sizeof(*list));
  return CKR_OK;
}

CK_RV guard_C_GetSlotInfo(CK_SLOT_ID slot, CK_SLOT_INFO *info)
{
  return MODULE_CALL("C_GetSlotInfo", serves(slot) ? F->C_GetSlotInfo(slot, info) : CKR_SLOT_ID_INVALID);
}

/* The agent has the PIN: the client is to ask nobody for one. */
static CK_RV token_info(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
  CK_RV rv = serves(slot) ? F->C_GetTokenInfo(slot, info) : CKR_SLOT_ID_INVALID;
  if (rv == CKR_OK)
    info->flags &= ~(CK_FLAGS)(CKF_LOGIN_REQUIRED | CKF_PROTECTED_AUTHENTICATION_PATH);
  return rv;
}

CK_RV guard_C_GetTokenInfo(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
  return MODULE_CALL("C_GetTokenInfo", token_info(slot, info));
}

CK_RV guard_C_GetMechanismList(CK_SLOT_ID slot, CK_MECHANISM_TYPE *list, CK_ULONG *count)
{
  return MODULE_CALL("C_GetMechanismList",
                     serves(slot) ? F->C_GetMechanismList(slot, list, count) : CKR_SLOT_ID_INVALID);
}

CK_RV guard_C_GetMechanismInfo(CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *info)
{
  return MODULE_CALL("C_GetMechanismInfo",
                     serves(slot) ? F->C_GetMechanismInfo(slot, type, info) : CKR_SLOT_ID_INVALID);
}

/* Events are the module's, told once: one client would take them from another. */
CK_RV guard_C_WaitForSlotEvent(CK_FLAGS flags, CK_SLOT_ID *slot, void *reserved)
{
  (void)flags;
  (void)slot;
  (void)reserved;
  return CKR_FUNCTION_NOT_SUPPORTED;
}

static hf_err slot_uri(CK_SLOT_ID slot, struct uri *uri, struct hf_buf *text)
{
  struct p11_token token;
  HF_TRY(p11_token_get(self->module, slot, &token));
  HF_TRY(p11_token_uri(&token, uri));
  return uri_format(uri, text);
}

/* Within a call. The token's idle sessions would keep it from being initialised. */
static CK_RV init_token(CK_SLOT_ID slot, CK_UTF8CHAR *pin, CK_ULONG pin_len, CK_UTF8CHAR *label)
{
  struct guard_request request = { 0 };
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(4 * URI_MAX);
  hf_err e = slot_uri(slot, &uri, &text);
  if (hf_failed(e))
    return guard_fail(e, "C_InitToken");
  CK_RV rv = guard_ask("C_InitToken", POLICY_INIT, &uri, hf_buf_str(&text), &request);
  if (rv != CKR_OK)
    return rv;
  keyring_forget(self->agent->keyring);
  guard_pools_reset();
  rv = F->C_InitToken(slot, pin, pin_len, label);
  guard_answer(&request, rv);
  return rv;
}

CK_RV guard_C_InitToken(CK_SLOT_ID slot, CK_UTF8CHAR *pin, CK_ULONG pin_len, CK_UTF8CHAR *label)
{
  return MODULE_CALL("C_InitToken", serves(slot) ? init_token(slot, pin, pin_len, label) : CKR_SLOT_ID_INVALID);
}

CK_RV guard_C_InitPIN(CK_SESSION_HANDLE handle, CK_UTF8CHAR *pin, CK_ULONG pin_len)
{
  struct guard_session *s;
  struct guard_request request = { 0 };
  CK_RV rv = guard_session_get(handle, &s);
  if (rv == CKR_OK)
    rv = guard_ask_token("C_InitPIN", POLICY_CHANGE_PIN, s->token, &request);
  if (rv != CKR_OK)
    return rv;
  rv = GUARD_CALL(s, "C_InitPIN", F->C_InitPIN(REAL(s), pin, pin_len));
  guard_answer(&request, rv);
  return rv;
}

CK_RV guard_C_SetPIN(CK_SESSION_HANDLE handle, CK_UTF8CHAR *old_pin, CK_ULONG old_len, CK_UTF8CHAR *new_pin,
                     CK_ULONG new_len)
{
  struct guard_session *s;
  struct guard_request request = { 0 };
  CK_RV rv = guard_session_get(handle, &s);
  if (rv == CKR_OK)
    rv = guard_ask_token("C_SetPIN", POLICY_CHANGE_PIN, s->token, &request);
  if (rv != CKR_OK)
    return rv;
  rv = GUARD_CALL(s, "C_SetPIN", F->C_SetPIN(REAL(s), old_pin, old_len, new_pin, new_len));
  guard_answer(&request, rv);
  return rv;
}

#define ENTRY(name) .name = guard_##name,

static CK_FUNCTION_LIST functions = { .version = { 2, 40 }, HF_CK_FUNCTIONS_2_40(ENTRY) };

CK_FUNCTION_LIST *guard_functions(void)
{
  return &functions;
}
