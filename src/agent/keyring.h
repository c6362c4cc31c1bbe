/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HSM as the agent keeps it: one module, its tokens logged in with the agent's PIN, keys found once. It recovers by
 * return code (p11_key does); a wrong PIN is tried once, latched and told, until its source changes. Any thread may use it,
 * and none waits for another's token.
 */
#ifndef HF_AGENT_KEYRING_H
#define HF_AGENT_KEYRING_H

#include "p11/key.h"
#include "p11/object.h"
#include "p11/session.h"

struct keyring;

struct keyring_options {
  const char *module_path;
  const char *pin_source; /* as hf_pin_source_read; NULL: pin */
  struct hf_secret *pin;  /* from the seeds' configuration; NULL where there is none. Copied. */
  const char *uri;        /* narrows what requests mean, and which token; NULL: all */
};

/* Does not touch the module yet: an HSM that is away at the start is no reason to fail. */
hf_err keyring_open(const struct keyring_options *options, struct keyring **ret_keyring);
struct keyring *keyring_close(struct keyring *keyring);
HF_DEFINE_CLEANUP(struct keyring, keyring_close)

hf_err keyring_module(struct keyring *keyring, struct p11_module **ret_module); /* borrowed */

/*
 * The PIN for a token, a copy: the request's own (may be NULL), else the agent's, read from its source anew. *ret_pin NULL
 * where the agent has none: a token without log-in or with a key pad needs none.
 */
hf_err keyring_pin(struct keyring *keyring, struct hf_secret *requested, struct hf_secret **ret_pin);

/* The same, for one token: where its PIN was changed through the agent, that one counts until the source changes. */
hf_err keyring_token_pin(struct keyring *keyring, const struct p11_token *token, struct hf_secret *requested,
                         struct hf_secret **ret_pin);
/* A request has changed the token's PIN: what was opened with the old one is given up. */
void keyring_pin_changed(struct keyring *keyring, const struct p11_token *token, struct hf_secret *pin);

/*
 * What a request's URI (text, or NULL) means: all that the agent's own says, and that. Fails with URI_NO_MATCH where the two
 * contradict, and as uri_parse does. A pin-value and pin-source are left out. Start ret_uri with {0}.
 */
hf_err keyring_narrow(struct keyring *keyring, const char *uri, struct uri *ret_uri);

/*
 * The private key that uri (NULL or text) means within the agent's; kept, and looked at whether another program has
 * replaced it. pin is the request's own, or NULL. A reference. Fails as p11_key_open does; with PIN_INCORRECT where the
 * token is logged in with another PIN than the request's.
 */
hf_err keyring_key(struct keyring *keyring, const char *uri, struct hf_secret *pin, struct p11_key **ret_key);

/* The key turned out to be another one than was found. The next keyring_key finds it anew. */
void keyring_drop(struct keyring *keyring, const struct p11_key *key);

/*
 * A session of its own, logged in as the user, in the one token that the URI (narrowed already) allows. Where the token has
 * no session left, those of the kept keys are given up for it. Between p11_module_enter and leave.
 */
hf_err keyring_session(struct keyring *keyring, const struct uri *uri, struct hf_secret *pin, enum p11_mode mode,
                       struct p11_token *ret_token, struct p11_session **ret_session);

/*
 * Starts the module anew, since some show other programs' new tokens and keys only then: what was not found may be there
 * now, where it returns true. Never with our own token, which needs it not; ever more seldom where it is asked for in vain.
 * Not between p11_module_enter and leave.
 */
bool keyring_renew(struct keyring *keyring);

/* Forgets the keys, which closes their sessions: a token is to be initialised, or its PIN to be set by the SO. */
void keyring_forget(struct keyring *keyring);

/* Whether the agent's own URI leaves this token to its clients. Between p11_module_enter and leave. */
bool keyring_serves(struct keyring *keyring, struct p11_module *module, const struct p11_token *token);

/* Tells of a log-in by someone else than the keyring, for keyring_tokens. pin may be NULL. */
void keyring_note_login(struct keyring *keyring, const struct p11_token *token, struct hf_secret *pin, hf_err result);

/* A token's state, for "holdfast agent status". */
struct keyring_token {
  struct p11_token token;
  const char *state; /* "ready", "not logged in", "wrong PIN", "PIN locked", "last try", "absent"; static */
};
/* All that are there, and those that were. free() the array. */
hf_err keyring_tokens(struct keyring *keyring, struct keyring_token **ret_tokens, size_t *ret_count);

#endif
