/* SPDX-License-Identifier: Apache-2.0 */
/* One session, for one thread at a time, and the log-in. */
#ifndef HF_P11_SESSION_H
#define HF_P11_SESSION_H

#include "p11/module.h"
#include "p11/token.h"

struct p11_session;

enum p11_mode { P11_READ_ONLY, P11_READ_WRITE };

/* Keeps a reference to the module. */
hf_err p11_session_open(struct p11_module *module, CK_SLOT_ID slot, enum p11_mode mode,
                        struct p11_session **ret_session);
struct p11_session *p11_session_close(struct p11_session *session);
HF_DEFINE_CLEANUP(struct p11_session, p11_session_close)

CK_SESSION_HANDLE p11_session_handle(const struct p11_session *session);
struct p11_module *p11_session_module(const struct p11_session *session);
CK_SLOT_ID p11_session_slot(const struct p11_session *session);
enum p11_mode p11_session_mode(const struct p11_session *session);

/* P11_LOGIN_FORCE spends the final try, and tries a PIN again that this process has seen to be wrong. */
enum p11_login { P11_LOGIN_CAREFUL, P11_LOGIN_FORCE };

/*
 * Logs in as user (CKU_USER, CKU_SO; CKU_CONTEXT_SPECIFIC within an operation that asks for it). Being logged in is
 * fine, and so is a token that needs no log-in. pin may be NULL where the token has a protected authentication path;
 * else that fails with PIN_MISSING. The token's flags are looked at first: PIN_LOCKED; PIN_INCORRECT without a try
 * where just one is left, or where this process has tried this very PIN on this token before. (A PIN that turned out
 * right is forgotten as wrong.)
 */
hf_err p11_session_login(struct p11_session *session, CK_USER_TYPE user, struct hf_secret *pin, enum p11_login how);
/* What the module says; false where it does not answer. */
bool p11_session_is_user(struct p11_session *session);
bool p11_session_is_so(struct p11_session *session);
hf_err p11_session_logout(struct p11_session *session);

#endif
