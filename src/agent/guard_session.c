/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions of a client, the real ones that they borrow, and recovery by return code. */
#include "agent/guard_private.h"

#include <pthread.h>

/* What may be over after a fresh start. */
static const struct recovery {
  CK_RV rv;
  enum p11_loss loss;
} recoveries[] = {
  { CKR_CRYPTOKI_NOT_INITIALIZED, P11_LOST_MODULE }, { CKR_SESSION_HANDLE_INVALID, P11_LOST_SESSIONS },
  { CKR_SESSION_CLOSED, P11_LOST_SESSIONS },         { CKR_USER_NOT_LOGGED_IN, P11_LOST_LOGIN },
  { CKR_DEVICE_ERROR, P11_LOST_SESSIONS },           { CKR_DEVICE_REMOVED, P11_LOST_SESSIONS },
  { CKR_TOKEN_NOT_PRESENT, P11_LOST_SESSIONS },      { CKR_TOKEN_NOT_RECOGNIZED, P11_LOST_SESSIONS },
  { CKR_GENERAL_ERROR, P11_LOST_SESSIONS },          { CKR_FUNCTION_FAILED, P11_LOST_SESSIONS },
};

static const struct recovery *recovery_for(CK_RV rv)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(recoveries); i++)
    if (recoveries[i].rv == rv)
      return &recoveries[i];
  return NULL;
}

/*
 * One reference more to each token's pool, never given back, so that the token stays logged in while no client is there.
 * A token that is one too many is logged in with its first client, and out with its last.
 */
enum { KEPT_MAX = 64 };
static pthread_mutex_t kept_lock = PTHREAD_MUTEX_INITIALIZER;
static struct p11_pool *kept[KEPT_MAX];

static void keep_pool(struct p11_module *module, const struct uri *uri, struct p11_pool *pool)
{
  pthread_mutex_lock(&kept_lock);
  for (size_t i = 0; i < KEPT_MAX && kept[i] != pool; i++)
    if (!kept[i]) {
      hf_ignore(p11_pool_open(module, uri, &kept[i]));
      break;
    }
  pthread_mutex_unlock(&kept_lock);
}

void guard_pools_reset(void)
{
  pthread_mutex_lock(&kept_lock);
  for (size_t i = 0; i < KEPT_MAX && kept[i]; i++)
    p11_pool_reset(kept[i], 0, P11_LOST_SESSIONS);
  pthread_mutex_unlock(&kept_lock);
}

static struct guard_token *token_free(struct guard_token *token)
{
  if (!token)
    return NULL;
  p11_pool_unref(token->pool);
  uri_free(&token->uri);
  free(token->text);
  free(token);
  return NULL;
}
HF_DEFINE_CLEANUP(struct guard_token, token_free)

void guard_tokens_free(struct guard_client *client)
{
  while (client->tokens) {
    struct guard_token *next = client->tokens->next;
    token_free(client->tokens);
    client->tokens = next;
  }
}

static hf_err token_new(struct p11_module *module, const struct p11_token *found, struct guard_token **ret_token)
{
  HF_CLEANUP(token_freep) struct guard_token *token = calloc(1, sizeof(*token));
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(4 * URI_MAX);
  if (!token)
    return hf_fail(HF_ERR_NO_MEMORY, "a token");
  token->slot = found->slot;
  token->token = *found;
  HF_TRY(p11_token_uri(found, &token->uri));
  HF_TRY(uri_format(&token->uri, &text));
  const char *uri = hf_buf_str(&text);
  if (!uri || !(token->text = strdup(uri)))
    return hf_fail(HF_ERR_NO_MEMORY, "a token");
  HF_TRY(p11_pool_open(module, &token->uri, &token->pool));
  keep_pool(module, &token->uri, token->pool);
  *ret_token = HF_TAKE(token);
  return HF_OK;
}

static bool is_same(const struct p11_token *a, const struct p11_token *b)
{
  return strcmp(a->label, b->label) == 0 && strcmp(a->serial, b->serial) == 0 && strcmp(a->model, b->model) == 0 &&
         strcmp(a->manufacturer, b->manufacturer) == 0;
}

static hf_err token_in(CK_SLOT_ID slot, struct guard_token **ret_token)
{
  struct guard_client *client = guard_client();
  struct p11_token found;
  HF_TRY(p11_module_ready(client->module));
  HF_TRY(p11_token_get(client->module, slot, &found));
  if (!keyring_serves(client->agent->keyring, client->module, &found))
    return hf_fail(HF_ERR_SLOT_ID_INVALID, "slot %lu is not the agent's", slot);
  for (struct guard_token *t = client->tokens; t; t = t->next)
    if (t->slot == slot && is_same(&t->token, &found)) {
      *ret_token = t;
      return HF_OK;
    }
  struct guard_token *token = NULL;
  HF_TRY(token_new(client->module, &found, &token));
  token->next = client->tokens;
  client->tokens = token;
  *ret_token = token;
  return HF_OK;
}

CK_RV guard_session_get(CK_SESSION_HANDLE handle, struct guard_session **ret_session)
{
  struct guard_client *client = guard_client();
  if (!client->module)
    return CKR_CRYPTOKI_NOT_INITIALIZED;
  struct guard_session *session = client->sessions[handle % GUARD_SESSIONS_MAX];
  if (!session || session->handle != handle)
    return CKR_SESSION_HANDLE_INVALID;
  *ret_session = session;
  return CKR_OK;
}

static CK_RV session_new(struct guard_token *token, CK_FLAGS flags, struct guard_session **ret_session)
{
  struct guard_client *client = guard_client();
  size_t i = 0;
  while (i < GUARD_SESSIONS_MAX && client->sessions[i])
    i++;
  if (i == GUARD_SESSIONS_MAX)
    return CKR_SESSION_COUNT;
  struct guard_session *session = calloc(1, sizeof(*session));
  if (!session)
    return CKR_HOST_MEMORY;
  session->handle = ++client->session_serial * GUARD_SESSIONS_MAX + i;
  session->token = token;
  session->flags = flags;
  client->sessions[i] = session;
  *ret_session = session;
  return CKR_OK;
}

static hf_err find_token(CK_SLOT_ID slot, struct guard_token **ret_token)
{
  struct guard_client *client = guard_client();
  struct deadline HF_CLEANUP(deadline_endp) deadline = deadline_begin("C_OpenSession");
  (void)deadline;
  p11_module_enter(client->module);
  hf_err e = token_in(slot, ret_token);
  p11_module_leave(client->module);
  return e;
}

CK_RV guard_session_open(CK_SLOT_ID slot, CK_FLAGS flags, CK_SESSION_HANDLE *ret_session)
{
  struct guard_token *token = NULL;
  struct guard_session *session;
  hf_err e = find_token(slot, &token);
  if (hf_failed(e))
    return guard_fail(e, "C_OpenSession");
  CK_RV rv = session_new(token, flags, &session);
  if (rv != CKR_OK)
    return rv;
  /* Logged in now, since a client takes an empty list for the truth. */
  rv = GUARD_CALL(session, "C_OpenSession", CKR_OK);
  if (rv != CKR_OK)
    guard_session_close(session);
  else
    *ret_session = session->handle;
  return rv;
}

/* The lease goes back; with clean false, what may still live in the session goes with it. */
static void end_lease(struct guard_session *session, bool clean)
{
  if (!session->lease.session)
    return;
  if (clean)
    p11_pool_give(session->token->pool, &session->lease);
  else
    p11_pool_drop(session->token->pool, &session->lease);
}

static void forget_work(struct guard_session *session, CK_RV rv)
{
  guard_answer(&session->request, rv);
  if (session->objects)
    guard_objects_orphan(session->handle);
  session->objects = 0;
  session->ops = 0;
}

void guard_session_close(struct guard_session *session)
{
  struct guard_client *client = guard_client();
  bool clean = session->ops == 0 && session->objects == 0;
  p11_module_enter(client->module);
  end_lease(session, clean);
  p11_module_leave(client->module);
  forget_work(session, CKR_FUNCTION_CANCELED);
  client->sessions[session->handle % GUARD_SESSIONS_MAX] = NULL;
  free(session->found);
  free(session);
}

void guard_op_end(struct guard_session *session, unsigned ops, CK_RV rv)
{
  static const unsigned private_ops = 1U << GUARD_ENCRYPT | 1U << GUARD_DECRYPT | 1U << GUARD_SIGN |
                                      1U << GUARD_SIGN_RECOVER | 1U << GUARD_VERIFY | 1U << GUARD_VERIFY_RECOVER;
  session->ops &= ~ops;
  if (!(session->ops & private_ops))
    guard_answer(&session->request, rv);
  if (session->ops)
    return;
  session->start.possible = false;
  p11_module_enter(guard_client()->module);
  if (session->objects == 0)
    end_lease(session, true);
  p11_module_leave(guard_client()->module);
}

/* The PIN is asked for only where the token has to be logged in. */
static hf_err take_lease(struct guard_session *session)
{
  struct guard_client *client = guard_client();
  enum p11_mode mode = session->flags & CKF_RW_SESSION ? P11_READ_WRITE : P11_READ_ONLY;
  hf_err e = p11_pool_lease(session->token->pool, NULL, mode, &session->lease);
  if (e.code == HF_ERR_PIN_MISSING) {
    HF_CLEANUP(hf_secret_freep) struct hf_secret *pin = NULL;
    HF_TRY(keyring_pin(client->agent->keyring, NULL, &pin));
    e = p11_pool_lease(session->token->pool, pin, mode, &session->lease);
    keyring_note_login(client->agent->keyring, &session->token->token, pin, e);
  }
  session->generation = p11_module_generation(client->module);
  return e;
}

CK_RV guard_try_begin(struct guard_session *session, struct guard_try *attempt, const char *what)
{
  struct guard_client *client = guard_client();
  attempt->deadline = deadline_begin(what);
  p11_module_enter(client->module);
  if (session->lease.session)
    return session->generation == p11_module_generation(client->module) ? CKR_OK : CKR_SESSION_HANDLE_INVALID;
  hf_err e = take_lease(session);
  if (hf_failed(e))
    return guard_fail(e, what);
  return attempt->restart ? guard_op_restart(session) : CKR_OK;
}

/* The session, or all of the token, is not to be trusted any more. Whether what ran in it can be begun anew. */
static bool recover(struct guard_session *session, const struct recovery *recovery)
{
  bool can_restart = session->start.possible && session->ops == 1U << session->start.op && session->objects == 0;
  bool nothing_lost = session->ops == 0 && session->objects == 0;
  p11_pool_reset(session->token->pool, session->lease.epoch, recovery->loss);
  end_lease(session, false);
  session->lease.epoch = 0;
  if (!can_restart)
    forget_work(session, recovery->rv);
  metrics_add(guard_client()->agent->metrics, METRIC_RECOVERIES, 1);
  return can_restart || nothing_lost;
}

static bool is_stale_handle(CK_RV rv)
{
  return rv == CKR_KEY_HANDLE_INVALID || rv == CKR_OBJECT_HANDLE_INVALID;
}

bool guard_try_again(struct guard_session *session, struct guard_try *attempt, CK_RV *rv)
{
  struct guard_client *client = guard_client();
  const struct recovery *recovery = recovery_for(*rv);
  bool again = is_stale_handle(*rv) && attempt->count == 0;
  if (again)
    client->look_from = guard_clock();
  if (recovery)
    again = recover(session, recovery);
  else if (session->ops == 0 && session->objects == 0)
    end_lease(session, true);
  attempt->restart = attempt->restart || session->ops != 0;
  p11_module_leave(client->module);
  deadline_end(attempt->deadline);
  attempt->count++;
  if (again && attempt->count == 2)
    again = p11_module_revive(client->module, *rv);
  again = again && attempt->count < 3;
  if (recovery && !again)
    forget_work(session, *rv);
  return again;
}

CK_RV guard_C_OpenSession(CK_SLOT_ID slot, CK_FLAGS flags, void *application, CK_NOTIFY notify,
                          CK_SESSION_HANDLE *session)
{
  (void)application;
  (void)notify;
  if (!guard_client()->module)
    return CKR_CRYPTOKI_NOT_INITIALIZED;
  if (!(flags & CKF_SERIAL_SESSION))
    return CKR_SESSION_PARALLEL_NOT_SUPPORTED;
  return guard_session_open(slot, flags & (CKF_SERIAL_SESSION | CKF_RW_SESSION), session);
}

CK_RV guard_C_CloseSession(CK_SESSION_HANDLE handle)
{
  struct guard_session *session;
  CK_RV rv = guard_session_get(handle, &session);
  if (rv == CKR_OK)
    guard_session_close(session);
  return rv;
}

CK_RV guard_C_CloseAllSessions(CK_SLOT_ID slot)
{
  struct guard_client *client = guard_client();
  if (!client->module)
    return CKR_CRYPTOKI_NOT_INITIALIZED;
  for (size_t i = 0; i < GUARD_SESSIONS_MAX; i++)
    if (client->sessions[i] && client->sessions[i]->token->slot == slot)
      guard_session_close(client->sessions[i]);
  return CKR_OK;
}

CK_RV guard_C_GetSessionInfo(CK_SESSION_HANDLE handle, CK_SESSION_INFO *info)
{
  struct guard_session *session;
  CK_RV rv = guard_session_get(handle, &session);
  if (rv != CKR_OK)
    return rv;
  bool writes = session->flags & CKF_RW_SESSION;
  *info = (CK_SESSION_INFO){ .slotID = session->token->slot, .flags = session->flags };
  if (session->token->logged_out)
    info->state = writes ? CKS_RW_PUBLIC_SESSION : CKS_RO_PUBLIC_SESSION;
  else
    info->state = writes ? CKS_RW_USER_FUNCTIONS : CKS_RO_USER_FUNCTIONS;
  return CKR_OK;
}

/* The agent has logged in: any PIN will do, and none is looked at. For the SO, its user is the other one. */
CK_RV guard_C_Login(CK_SESSION_HANDLE handle, CK_USER_TYPE user, CK_UTF8CHAR *pin, CK_ULONG pin_len)
{
  (void)pin;
  (void)pin_len;
  struct guard_session *session;
  CK_RV rv = guard_session_get(handle, &session);
  if (rv != CKR_OK)
    return rv;
  if (user == CKU_SO)
    return CKR_USER_ANOTHER_ALREADY_LOGGED_IN;
  if (user != CKU_USER && user != CKU_CONTEXT_SPECIFIC)
    return CKR_USER_TYPE_INVALID;
  session->token->logged_out = false;
  return CKR_OK;
}

CK_RV guard_C_Logout(CK_SESSION_HANDLE handle)
{
  struct guard_session *session;
  CK_RV rv = guard_session_get(handle, &session);
  if (rv == CKR_OK)
    session->token->logged_out = true;
  return rv;
}
