/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens: listed, found by URI, initialised. */
#ifndef HF_P11_TOKEN_H
#define HF_P11_TOKEN_H

#include "p11/module.h"
#include "uri/uri.h"

/* The length of a text in a field of fixed length: blanks pad by the standard, NULs where the vendor did not read it. */
size_t p11_text_len(const unsigned char *field, size_t size);

/* What slot and token say of themselves; trailing blanks and NULs are off. */
struct p11_token {
  CK_SLOT_ID slot;
  CK_FLAGS flags;
  CK_ULONG pin_min, pin_max;
  CK_ULONG sessions_max; /* CK_EFFECTIVELY_INFINITE (0) and CK_UNAVAILABLE_INFORMATION as the token gives them */
  CK_VERSION hardware, firmware;
  char label[33];
  char manufacturer[33];
  char model[17];
  char serial[17];
  char slot_description[65];
  char slot_manufacturer[33];
};

/*
 * All slots that hold a token which can be read, initialised or not (see CKF_TOKEN_INITIALIZED). free() the array;
 * count may be 0. A token that cannot be read hides only itself: p11_trouble_list has it.
 */
hf_err p11_token_list(struct p11_module *module, struct p11_token **ret_tokens, size_t *ret_count);

/* A slot whose token cannot be read, and why: an error's text and hint. */
struct p11_trouble {
  CK_SLOT_ID slot;
  hf_err error;
  char text[512];
  char hint[256];
};

/* free() the array; count may be 0. One that was pulled out is no trouble. */
hf_err p11_trouble_list(struct p11_module *module, struct p11_trouble **ret_troubles, size_t *ret_count);

/* Whether the URI's token, slot and library attributes allow this one. Attributes that it does not name match all. */
hf_err p11_token_matches(struct p11_module *module, const struct p11_token *token, const struct uri *uri,
                         bool *ret_matches);

/*
 * The one initialised token that the URI allows; with slot-id, an uninitialised one too. Fails with TOKEN_NOT_FOUND,
 * TOKEN_AMBIGUOUS naming the candidates' URIs, or, where a token that cannot be read may be the one, with that token's
 * error.
 */
hf_err p11_token_find(struct p11_module *module, const struct uri *uri, struct p11_token *ret_token);

/* By slot. */
hf_err p11_token_get(struct p11_module *module, CK_SLOT_ID slot, struct p11_token *ret_token);

/* Sets model, manufacturer, serial and token in uri: what names this token for good, since slots move. */
hf_err p11_token_uri(const struct p11_token *token, struct uri *uri);
/* The same for tokens[i], with its slot-id where another of the tokens says the same of itself. */
hf_err p11_token_uri_among(const struct p11_token *tokens, size_t count, size_t i, struct uri *uri);

/* A PIN of NULL stands for the token's protected authentication path (a key pad). label: at most 32 bytes. */
hf_err p11_token_init(struct p11_module *module, CK_SLOT_ID slot, struct hf_secret *so_pin, const char *label);
/*
 * Initialises the slot's token, without a user PIN yet, and tells where it is now: a new token may get another slot.
 * A token that was there keeps its place, and its SO PIN must be the right one.
 */
hf_err p11_token_setup(struct p11_module *module, CK_SLOT_ID slot, const char *label, struct hf_secret *so_pin,
                       struct p11_token *ret_token);
hf_err p11_token_set_user_pin(struct p11_module *module, CK_SLOT_ID slot, struct hf_secret *so_pin,
                              struct hf_secret *pin);
/* user: CKU_USER or CKU_SO. */
hf_err p11_token_change_pin(struct p11_module *module, CK_SLOT_ID slot, CK_USER_TYPE user, struct hf_secret *old_pin,
                            struct hf_secret *new_pin);

#endif
