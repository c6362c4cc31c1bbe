/* SPDX-License-Identifier: Apache-2.0 */
/* The guard's parts. Inside src/agent/guard*.c only. */
#ifndef HF_AGENT_GUARD_PRIVATE_H
#define HF_AGENT_GUARD_PRIVATE_H

#include "agent/guard.h"

#include "p11/pool.h"

enum { GUARD_SESSIONS_MAX = 1024, GUARD_OBJECTS_MAX = 1024 * 1024 };

/* A token that the client has sessions in. */
struct guard_token {
  struct guard_token *next;
  CK_SLOT_ID slot; /* as the client knows it: the token may be in another one after it was reinserted */
  struct p11_token token;
  struct uri uri;
  char *text; /* the URI's */
  struct p11_pool *pool;
  bool logged_out; /* C_Logout is the client's own affair: private objects are hidden from it alone */
};

/* An object that the client has been shown, or has made. */
struct guard_object {
  struct guard_token *token;
  CK_OBJECT_HANDLE real;
  uint64_t epoch; /* that of real; 0: to be found again */
  double looked;  /* when real was seen to be this object */
  CK_OBJECT_CLASS object_class;
  CK_KEY_TYPE key_type; /* CK_UNAVAILABLE_INFORMATION where it is no key */
  bool is_token, is_private, always_authenticate;
  bool made_here; /* by this client: it may finish what it has begun to write */
  bool copied;    /* a session object that is a token object's copy: policy knows it by its origin's URI */
  bool gone;
  CK_SESSION_HANDLE owner; /* a session object's */
  struct hf_buf label, id;
  struct uri *uri; /* what policy knows it by; made when it is first needed, as is text */
  char *text;
};

/* A question to policy, until its audit line is written. */
struct guard_request {
  const char *function; /* NULL: none is open */
  enum policy_op op;
  const char *key; /* borrowed from the object or token */
  struct policy_answer answer;
  double started;
};

enum guard_op {
  GUARD_ENCRYPT,
  GUARD_DECRYPT,
  GUARD_DIGEST,
  GUARD_SIGN,
  GUARD_SIGN_RECOVER,
  GUARD_VERIFY,
  GUARD_VERIFY_RECOVER,
  GUARD_OPS
};

enum { GUARD_PARAM_MAX = 64 };

/* How an operation was begun, so that it can be begun again in another session. */
struct guard_start {
  bool possible;
  enum guard_op op;
  CK_MECHANISM_TYPE mechanism;
  CK_ULONG param_len;
  uint8_t param[GUARD_PARAM_MAX];
  CK_OBJECT_HANDLE key;
};

/* The client's session. It borrows a real one for as long as an operation or a session object lives in it. */
struct guard_session {
  CK_SESSION_HANDLE handle;
  struct guard_token *token;
  CK_FLAGS flags;
  struct p11_lease lease; /* session NULL: none */
  uint64_t generation;    /* the module's, when it was lent */
  unsigned ops;           /* active: bits of enum guard_op */
  size_t objects;         /* session objects */
  struct guard_start start;
  struct guard_request request; /* of the active private operation */
  bool finding;
  CK_OBJECT_HANDLE *found;
  size_t found_count, found_at;
};

struct guard_client {
  struct agent *agent;
  const struct peer *peer;
  struct p11_module *module; /* the keyring's; NULL before C_Initialize */
  struct guard_token *tokens;
  struct guard_session *sessions[GUARD_SESSIONS_MAX];
  unsigned long session_serial;
  double look_from; /* what was looked at before is not to be trusted */
  struct guard_object *objects;
  size_t object_count, object_capacity;
  uint32_t *object_index; /* open addressing over epoch and real: positions plus 1 */
  size_t index_size;
};

/* This thread's client; NULL before guard_begin. */
struct guard_client *guard_client(void);

/* The code that the client gets for an error, which goes to the log. */
CK_RV guard_fail(hf_err e, const char *doing);

/* Sessions: guard_session.c */

CK_RV guard_session_open(CK_SLOT_ID slot, CK_FLAGS flags, CK_SESSION_HANDLE *ret_session);
void guard_session_close(struct guard_session *session);
/* CRYPTOKI_NOT_INITIALIZED, SESSION_HANDLE_INVALID. */
CK_RV guard_session_get(CK_SESSION_HANDLE handle, struct guard_session **ret_session);
void guard_tokens_free(struct guard_client *client);

/* One attempt after another at a call; start with {0}. */
struct guard_try {
  unsigned count;
  bool restart; /* begin session->start again first */
  struct deadline deadline;
};

CK_RV guard_try_begin(struct guard_session *session, struct guard_try *attempt, const char *what);
/* Whether to try again. *rv is what the call answered. */
bool guard_try_again(struct guard_session *session, struct guard_try *attempt, CK_RV *rv);

/* Evaluates call, which uses F and REAL, in a real session, and once more after a recovery. */
#define GUARD_CALL(s, what, call)              \
  __extension__({                              \
    struct guard_try try_ = { 0 };             \
    CK_RV rv_;                                 \
    do {                                       \
      rv_ = guard_try_begin(s, &try_, what);   \
      if (rv_ == CKR_OK)                       \
        rv_ = (call);                          \
    } while (guard_try_again(s, &try_, &rv_)); \
    rv_;                                       \
  })
#define F (p11_module_functions(guard_client()->module))
#define REAL(s) (p11_session_handle((s)->lease.session))

/* Within a try: begins session->start's operation again. */
CK_RV guard_op_restart(struct guard_session *session);

/* Ends operations of the client's session; one without any borrows no real session any longer. */
void guard_op_end(struct guard_session *session, unsigned ops, CK_RV rv);

/* Objects: guard_object.c */

/* Within a call. missing: the code where the client does not know it, or it is gone. */
CK_RV guard_object_real(struct guard_session *session, CK_OBJECT_HANDLE handle, CK_RV missing,
                        CK_OBJECT_HANDLE *ret_real);
/* Whether C_GetAttributeValue answered what it could. */
bool guard_is_partial(CK_RV rv);
/* NULL where the client has not been shown it. */
struct guard_object *guard_object_get(struct guard_session *session, CK_OBJECT_HANDLE handle);
/* Within a call: enters what the call has made. owner: for a session object. */
CK_RV guard_object_made(struct guard_session *session, CK_OBJECT_HANDLE real, CK_OBJECT_HANDLE *ret_handle);
/* Within a call: enters what was found, where policy and log-in allow it; *ret_handle 0 where not. */
CK_RV guard_object_found(struct guard_session *session, CK_OBJECT_HANDLE real, CK_OBJECT_HANDLE *ret_handle);
/* Within a call: its attributes may have changed. */
CK_RV guard_object_refresh(struct guard_session *session, CK_OBJECT_HANDLE handle);
void guard_object_gone(struct guard_session *session, CK_OBJECT_HANDLE handle);
/* All session objects of this session (0: of all) are gone. */
void guard_objects_orphan(CK_SESSION_HANDLE owner);
void guard_objects_free(struct guard_client *client);
/* NULL, with the error logged, where memory is short. */
const struct uri *guard_object_uri(struct guard_object *object);

/* Policy and audit: guard_ask.c */

/* CKR_OK; or, with the audit line written, CKR_FUNCTION_REJECTED. */
CK_RV guard_ask(const char *function, enum policy_op op, const struct uri *uri, const char *text,
                struct guard_request *ret_request);
CK_RV guard_ask_token(const char *function, enum policy_op op, struct guard_token *token,
                      struct guard_request *ret_request);
/* Nothing to ask for a session object of the client's own: then ret_request stays closed. */
CK_RV guard_ask_object(const char *function, enum policy_op op, struct guard_object *object,
                       struct guard_request *ret_request);
/* The same for a key's handle; nothing is asked for a public key, which the client has been shown. */
CK_RV guard_ask_key(const char *function, enum policy_op op, struct guard_session *session, CK_OBJECT_HANDLE key,
                    struct guard_request *ret_request);
/* Nothing is asked where the template makes a session object. */
CK_RV guard_ask_create(const char *function, struct guard_session *session, const CK_ATTRIBUTE *attrs, CK_ULONG count,
                       struct guard_request *ret_request);
/* Writes the audit line, where one is open. */
void guard_answer(struct guard_request *request, CK_RV rv);
/* Of a listing, which asks policy for each object by itself. */
void guard_audit_list(const char *function, struct guard_token *token, double started, CK_RV rv);
double guard_clock(void);

/* The functions of the list, by file; guard.c joins them. */
#define GUARD_DECLARE(name) __typeof__(name) guard_##name;
HF_CK_FUNCTIONS_2_40(GUARD_DECLARE)
#undef GUARD_DECLARE

/* Mechanisms and templates as a client may send them: their pointers must be of this process's making. */
CK_RV guard_check_mechanism(const CK_MECHANISM *mechanism);
CK_RV guard_check_template(const CK_ATTRIBUTE *attrs, CK_ULONG count);

#endif
