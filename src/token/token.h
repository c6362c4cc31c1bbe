/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One token of this process: its store, who is logged in, and the objects that were looked at. Its lock guards all of it;
 * the signature's path needs none (see op.c): it compares token_mark with what it saw.
 */
#ifndef HF_TOKEN_TOKEN_H
#define HF_TOKEN_TOKEN_H

#include "token/conf.h"
#include "token/handles.h"
#include "token/store/header.h"

struct token;
struct simulated;

enum login { LOGIN_NONE, LOGIN_USER, LOGIN_SO };

/* A random one for which taken is false. */
hf_err token_new_serial(bool (*taken)(const char *serial, void *arg), void *arg, char serial[SERIAL_CHARS + 1]);

/* Makes a new token's directory in conf->tokendir, whole or not at all. */
hf_err token_create(const struct token_conf *conf, struct hf_slice so_pin, const uint8_t label[LABEL_BYTES],
                    bool (*serial_taken)(const char *serial, void *arg), void *arg, struct token **ret_token);

/*
 * The same for a token that is restored from elsewhere: in a directory that no process finds until token_publish, or
 * token_delete removes it. What killed processes left of theirs goes. *ret_lock is closed by the caller once it is either.
 */
hf_err token_create_aside(const struct token_conf *conf, struct hf_slice so_pin, const uint8_t label[LABEL_BYTES],
                          const char serial[SERIAL_CHARS + 1], struct token **ret_token, int *ret_lock);
hf_err token_publish(struct token *token);
bool token_is_aside(const struct token *token);

/* Opens the token in a directory. */
hf_err token_open(const struct token_conf *conf, const char *dir, struct token **ret_token);
struct token *token_close(struct token *token);

const char *token_dir(const struct token *token);

/* Its simulation; NULL where it has none. */
struct simulated *token_simulated(const struct token *token);

/* The header as it is in the store now. Fails with TOKEN_NOT_PRESENT once the token was deleted, by whomever. */
hf_err token_header(struct token *token, struct header *ret_header);

/* The same once no PIN is being tried, by whomever, or a moment later: a try counts as a failure until it is over. */
hf_err token_settled_header(struct token *token, struct header *ret_header);

/* C_InitToken on an initialised token: the SO PIN must be right; all objects and the user PIN go. */
hf_err token_reinit(struct token *token, struct hf_slice so_pin, const uint8_t label[LABEL_BYTES]);

/* Marks it deleted for all processes, then removes its directory. */
hf_err token_delete(struct token *token);

enum login token_login_state(struct token *token);
hf_err token_login(struct token *token, enum login who, struct hf_slice pin);
/* CKU_CONTEXT_SPECIFIC: checks the user's PIN again, changes nothing. */
hf_err token_check_pin(struct token *token, struct hf_slice pin);
hf_err token_logout(struct token *token);
/* By the security officer who is logged in. */
hf_err token_init_pin(struct token *token, struct hf_slice pin);
hf_err token_set_pin(struct token *token, enum login who, struct hf_slice old_pin, struct hf_slice new_pin);

/* Differs after whatever may make a snapshot stale: a write of any process, a login or logout, a change of a session object. */
struct token_mark {
  uint64_t changes;
  uint64_t local;
};
struct token_mark token_mark(const struct token *token);

/* The object behind a handle, as it is now; a reference. Fails with OBJECT_HANDLE_INVALID. */
hf_err token_object(struct token *token, CK_OBJECT_HANDLE handle, struct object **ret_object,
                    bool *ret_is_token_object);

/* Its key, decoded. */
hf_err token_key(struct token *token, struct object *object, EVP_PKEY **ret_key);

/* Its key material, in the clear; the caller has checked that it may. */
hf_err token_secret(struct token *token, struct object *object, struct attrs *ret_secret);

/* Who asks: the session's handle and whether it may write token objects. */
struct access {
  CK_SESSION_HANDLE session;
  bool read_write;
};

enum { TOKEN_ADD_MAX = 32 };

/* Stores new objects, all or none; token objects (in one step) or session objects by their CKA_TOKEN. Adds CKA_UNIQUE_ID. */
hf_err token_add(struct token *token, struct access access, struct attr_halves *halves, size_t count,
                 CK_OBJECT_HANDLE *ret_handles);
hf_err token_destroy(struct token *token, struct access access, CK_OBJECT_HANDLE handle);
/* Changes attributes by the rules of policy_change. */
hf_err token_set_attrs(struct token *token, struct access access, CK_OBJECT_HANDLE handle, const CK_ATTRIBUTE *tmpl,
                       CK_ULONG count);
/* Lets go of a session's objects. */
void token_session_ended(struct token *token, CK_SESSION_HANDLE session);

/* The handles of all objects that match (C_FindObjectsInit), into an array that the caller frees. */
hf_err token_find(struct token *token, const CK_ATTRIBUTE *tmpl, CK_ULONG count, CK_OBJECT_HANDLE **ret_handles,
                  size_t *ret_count);

#endif
