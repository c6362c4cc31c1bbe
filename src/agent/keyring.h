/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HSM as the agent keeps it: one module, its tokens logged in with the agent's PIN, keys found once. It recovers by
 * return code (p11_key does); a wrong PIN is tried once, latched and told, until its source changes.
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
  const char *uri;        /* narrows what requests without a URI mean, and which token; NULL: all */
};

/* Does not touch the module yet: an HSM that is away at the start is no reason to fail. */
hf_err keyring_open(const struct keyring_options *options, struct keyring **ret_keyring);
struct keyring *keyring_close(struct keyring *keyring);

hf_err keyring_module(struct keyring *keyring, struct p11_module **ret_module); /* borrowed */

/* The PIN for a token: the request's own (may be NULL), else the agent's; read from its source when that changed. */
hf_err keyring_pin(struct keyring *keyring, struct hf_secret *requested, struct hf_secret **ret_pin);

/*
 * The private key that uri (NULL or text) means within options.uri; kept, and checked against the token when another
 * program may have replaced it. A reference. Fails as p11_key_open does.
 */
hf_err keyring_key(struct keyring *keyring, const char *uri, struct hf_secret *pin, struct p11_key **ret_key);

/* A token's state, for "holdfast agent status". */
struct keyring_token {
  struct p11_token token;
  const char *state; /* "ready", "not logged in", "wrong PIN", "PIN locked", "last try", "absent"; static */
};
hf_err keyring_tokens(struct keyring *keyring, struct keyring_token **ret_tokens, size_t *ret_count);

#endif
