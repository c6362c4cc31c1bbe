/* SPDX-License-Identifier: Apache-2.0 */
/* A token's directory of SoftHSM2's, of either backend, read without its library and left as it is. Not thread-safe. */
#ifndef HF_SOFTHSM_TOKEN_H
#define HF_SOFTHSM_TOKEN_H

#include "base/secret.h"
#include "softhsm/object.h"

struct softhsm_token;

struct softhsm_info {
  char label[32 + 1];  /* without its padding */
  char serial[16 + 1]; /* the same */
  CK_ULONG flags;
  bool has_user_pin;
};

/* Whether the directory holds what makes it a token. */
bool softhsm_is_token(const char *dir);

/*
 * Fails with TOKEN_NOT_FOUND where the directory is no token of SoftHSM2's, NOT_FOUND, PERMISSION; BUSY where a write was not
 * finished; TOKEN_STORE, naming the file, where it is damaged.
 */
hf_err softhsm_open(const char *dir, struct softhsm_token **ret_token);
struct softhsm_token *softhsm_close(struct softhsm_token *token);
HF_DEFINE_CLEANUP(struct softhsm_token, softhsm_close)

const struct softhsm_info *softhsm_info(const struct softhsm_token *token);

/* Opens the private objects. Fails with PIN_INCORRECT; there is no count of tries. USER_PIN_NOT_INITIALIZED where it has none. */
hf_err softhsm_login(struct softhsm_token *token, struct hf_slice pin);
/* Whether it is the SO PIN. Fails with PIN_INCORRECT. */
hf_err softhsm_check_so_pin(const struct softhsm_token *token, struct hf_slice pin);

/* The objects, in an order that stays. The name is the file's, or the number in the database; valid until the next call. */
size_t softhsm_count(const struct softhsm_token *token);
const char *softhsm_name(struct softhsm_token *token, size_t number);

/*
 * One of them. *ret_whole false: SoftHSM2 was interrupted when it wrote it, nothing of it is there, and SoftHSM2 does not show it either.
 * Fails with TOKEN_STORE where it is damaged.
 */
hf_err softhsm_read(struct softhsm_token *token, size_t number, bool *ret_whole, struct softhsm_object *ret_object);

#endif
