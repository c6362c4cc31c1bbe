/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The module as a whole, between C_Initialize and C_Finalize: its configuration and slots. Its state lies in a page that the
 * kernel wipes in a child, so after a fork nothing is initialised, at no cost and whatever locks the parent held.
 */
#ifndef HF_TOKEN_LIBRARY_H
#define HF_TOKEN_LIBRARY_H

#include "token/token.h"

/* Counts a caller in; fails with CRYPTOKI_NOT_INITIALIZED. C_Finalize waits for those inside. */
hf_err library_enter(void);
void library_leave(void);

hf_err library_initialize(void);
hf_err library_finalize(void);
/* C_Finalize waits for those inside: what takes its time should end early. */
bool library_stopping(void);

const struct token_conf *library_conf(void);

/* A slot stays where it is until C_Finalize. */
struct slot;

/* Looks for tokens that other processes made or deleted. */
hf_err library_refresh(void);

/* A slot whose token came or went since the start, or since it was last told; each is told once. */
hf_err library_next_event(bool *ret_any, CK_SLOT_ID *ret_slot);

/*
 * The initialised slots by number, then the one with an uninitialised token; present: without those whose simulated token is
 * out. Writes at most room ids; *ret_count is all.
 */
hf_err library_slot_ids(bool present, CK_SLOT_ID *ids, CK_ULONG room, CK_ULONG *ret_count);

/* Fails with SLOT_ID_INVALID. */
hf_err library_slot(CK_SLOT_ID id, struct slot **ret_slot);
CK_SLOT_ID slot_id(const struct slot *slot);

/* Its token; fails with TOKEN_NOT_RECOGNIZED where it is uninitialised, TOKEN_NOT_PRESENT where it was deleted, and as
 * token_open where it could not be opened so far and still cannot. */
hf_err slot_token(struct slot *slot, struct token **ret_token);
bool slot_uninitialized(struct slot *slot);

/* C_InitToken in either kind of slot; a fresh one joins the list at its end. */
hf_err slot_init_token(struct slot *slot, struct hf_slice so_pin, const uint8_t label[LABEL_BYTES]);
/*
 * A slot of this process alone, with a token that is restored from elsewhere: as C_InitToken makes one, with this serial
 * (NULL: a new one). Fails with EXISTS where a token has it. slot_restore_end shows the token to all, or removes it; so
 * does C_Finalize. No session may be open then.
 */
hf_err slot_restore_begin(struct hf_slice so_pin, const uint8_t label[LABEL_BYTES], const char *serial,
                          CK_SLOT_ID *ret_id);
hf_err slot_restore_end(struct slot *slot, bool keep);

/* Deletes the token; copies its directory's path. */
hf_err slot_delete_token(struct slot *slot, char *dir, size_t size);

#endif
