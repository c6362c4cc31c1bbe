/* SPDX-License-Identifier: Apache-2.0 */
#include "p11/session.h"

#include "p11/pin.h"

struct p11_session {
  struct p11_module *module;
  uint64_t generation; /* the module's, when this was opened */
  CK_SLOT_ID slot;
  enum p11_mode mode;
  CK_SESSION_HANDLE handle;
};

hf_err p11_session_open(struct p11_module *module, CK_SLOT_ID slot, enum p11_mode mode,
                        struct p11_session **ret_session)
{
  HF_TRY(p11_module_ready(module));
  struct p11_session *session = calloc(1, sizeof(*session));
  if (!session)
    return hf_fail(HF_ERR_NO_MEMORY, "opening a session");
  session->generation = p11_module_generation(module);
  session->slot = slot;
  session->mode = mode;
  CK_FLAGS flags = CKF_SERIAL_SESSION | (mode == P11_READ_WRITE ? CKF_RW_SESSION : 0);
  CK_RV rv = p11_module_functions(module)->C_OpenSession(slot, flags, NULL, NULL, &session->handle);
  if (rv != CKR_OK) {
    free(session);
    return p11_fail(module, rv, "opening a session in slot %lu of %s", slot, p11_module_path(module));
  }
  session->module = p11_module_ref(module);
  *ret_session = session;
  return HF_OK;
}

struct p11_session *p11_session_close(struct p11_session *session)
{
  if (!session)
    return NULL;
  /* In another generation the handle is gone, or names someone else's session. */
  if (p11_module_generation(session->module) == session->generation)
    (void)p11_module_functions(session->module)->C_CloseSession(session->handle);
  p11_module_unref(session->module);
  free(session);
  return NULL;
}

CK_SESSION_HANDLE p11_session_handle(const struct p11_session *session)
{
  return session->handle;
}

struct p11_module *p11_session_module(const struct p11_session *session)
{
  return session->module;
}

CK_SLOT_ID p11_session_slot(const struct p11_session *session)
{
  return session->slot;
}

enum p11_mode p11_session_mode(const struct p11_session *session)
{
  return session->mode;
}

/* Asked first, since some modules check the PIN (and count a failure) before they answer USER_ALREADY_LOGGED_IN. */
static bool is_logged_in(struct p11_session *session, CK_USER_TYPE user)
{
  CK_SESSION_INFO info;
  if (p11_module_functions(session->module)->C_GetSessionInfo(session->handle, &info) != CKR_OK)
    return false;
  if (user != CKU_USER)
    return user == CKU_SO && info.state == CKS_RW_SO_FUNCTIONS;
  return info.state == CKS_RO_USER_FUNCTIONS || info.state == CKS_RW_USER_FUNCTIONS;
}

bool p11_session_is_user(struct p11_session *session)
{
  return is_logged_in(session, CKU_USER);
}

bool p11_session_is_so(struct p11_session *session)
{
  return is_logged_in(session, CKU_SO);
}

/* A context-specific log-in takes the user's PIN. */
static CK_USER_TYPE pin_owner(CK_USER_TYPE user)
{
  return user == CKU_SO ? CKU_SO : CKU_USER;
}

static hf_err check_careful(struct p11_session *session, const struct p11_token *token, CK_USER_TYPE user,
                            struct hf_secret *pin)
{
  CK_FLAGS final = user == CKU_SO ? CKF_SO_PIN_FINAL_TRY : CKF_USER_PIN_FINAL_TRY;
  const char *who = user == CKU_SO ? "SO" : "user";
  if (token->flags & final) {
    hf_err e = hf_fail(HF_ERR_PIN_INCORRECT, "one try is left for the %s PIN of token \"%s\"; it was not spent", who,
                       token->label);
    return hf_hint(e, "Make sure of the PIN, then log in once by hand, for example with 'pkcs11-tool --login --test'.");
  }
  if (pin && p11_pin_was_wrong(session->module, token, pin_owner(user), pin)) {
    hf_err e = hf_fail(HF_ERR_PIN_INCORRECT, "the %s PIN of token \"%s\"; it was wrong before and is not tried again",
                       who, token->label);
    return hf_hint(e, "Correct the PIN, then start this program again.");
  }
  return HF_OK;
}

static hf_err check_login(struct p11_session *session, const struct p11_token *token, CK_USER_TYPE user,
                          struct hf_secret *pin, enum p11_login how)
{
  CK_FLAGS locked = user == CKU_SO ? CKF_SO_PIN_LOCKED : CKF_USER_PIN_LOCKED;
  if (token->flags & locked)
    return hf_fail(HF_ERR_PIN_LOCKED, "token \"%s\"", token->label);
  if (!pin && !(token->flags & CKF_PROTECTED_AUTHENTICATION_PATH))
    return hf_fail(HF_ERR_PIN_MISSING, "token \"%s\"", token->label);
  return how == P11_LOGIN_FORCE ? HF_OK : check_careful(session, token, user, pin);
}

/* What some modules answer where the standard has a code for the PIN, the one argument that is not ours. */
static CK_RV login_code(CK_RV rv, CK_USER_TYPE user)
{
  if (rv == CKR_ARGUMENTS_BAD)
    return CKR_PIN_LEN_RANGE;
  return rv == CKR_USER_PIN_NOT_INITIALIZED && user == CKU_SO ? CKR_PIN_INCORRECT : rv;
}

static hf_err login_failed(struct p11_session *session, const struct p11_token *token, CK_USER_TYPE user, CK_RV rv)
{
  hf_err e = p11_fail(session->module, rv, "the %s PIN of token \"%s\"", user == CKU_SO ? "SO" : "user", token->label);
  return rv == CKR_PIN_LEN_RANGE
             ? hf_hint(e, "Check the PIN: the token takes %lu to %lu characters.", token->pin_min, token->pin_max)
             : e;
}

hf_err p11_session_login(struct p11_session *session, CK_USER_TYPE user, struct hf_secret *pin, enum p11_login how)
{
  if (is_logged_in(session, user))
    return HF_OK;
  struct p11_token token;
  HF_TRY(p11_token_get(session->module, session->slot, &token));
  if (user == CKU_USER && !(token.flags & CKF_LOGIN_REQUIRED))
    return HF_OK;
  HF_TRY(check_login(session, &token, user, pin, how));
  CK_RV rv = p11_module_functions(session->module)
                 ->C_Login(session->handle, user, pin ? hf_secret_data(pin) : NULL, pin ? hf_secret_len(pin) : 0);
  if (rv == CKR_USER_ALREADY_LOGGED_IN)
    return HF_OK;
  rv = login_code(rv, user);
  if (pin && rv == CKR_PIN_INCORRECT)
    p11_pin_set_wrong(session->module, &token, pin_owner(user), pin);
  else if (pin && rv == CKR_OK)
    p11_pin_set_right(session->module, &token, pin_owner(user), pin);
  return rv == CKR_OK ? HF_OK : login_failed(session, &token, user, rv);
}

hf_err p11_session_logout(struct p11_session *session)
{
  CK_RV rv = p11_module_functions(session->module)->C_Logout(session->handle);
  if (rv == CKR_USER_NOT_LOGGED_IN)
    return HF_OK;
  return p11_fail(session->module, rv, "logging out of slot %lu", session->slot);
}
