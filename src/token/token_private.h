/* SPDX-License-Identifier: Apache-2.0 */
/* What token.c, token_pin.c, token_tries.c, token_objects.c, token_profiles.c and token_find.c share. */
#ifndef HF_TOKEN_TOKEN_PRIVATE_H
#define HF_TOKEN_TOKEN_PRIVATE_H

#include "token/token.h"

#include <pthread.h>
#include <stdatomic.h>

enum { TOKEN_PROFILES = 4 };

struct token {
  char dir[PATH_MAX];
  const struct token_conf *conf;
  struct store *store;
  pthread_mutex_t lock;
  struct header header; /* as of header_changes */
  uint64_t header_changes;
  enum login login;
  struct hf_secret *keys; /* the master key, then the index key; NULL while nobody is logged in */
  _Atomic uint64_t local; /* see struct token_mark */
  uint64_t next_session_object;
  struct handles handles;
  CK_OBJECT_HANDLE profiles[TOKEN_PROFILES]; /* of the objects that say them, once somebody looked */
  struct simulated *simulated;               /* NULL: it is not */
};

static inline void token_unlockp(pthread_mutex_t **lock)
{
  pthread_mutex_unlock(*lock);
}

/* Holds the token's lock to the end of the scope. */
#define TOKEN_LOCK(token)                                                                      \
  HF_CLEANUP(token_unlockp) __attribute__((unused)) pthread_mutex_t *locked_ = &(token)->lock; \
  pthread_mutex_lock(locked_)

/* With the lock held: brings the header up to date; after another process's C_InitToken everything cached goes. */
hf_err token_refresh(struct token *token);

/* With the lock held: the seal as the login allows; private objects open only for the user. */
struct seal token_seal(const struct token *token);

/* With the lock held: makes the entry's snapshot what its record says, as of the store's changes. */
hf_err token_update_entry(struct token *token, struct entry *entry, const struct record *record, struct hf_slice bytes,
                          uint64_t changes);

/* An object's record by its id; *ret_found tells. */
hf_err token_read_object(struct store_txn *txn, uint64_t id, bool *ret_found, struct hf_slice *ret_bytes);

/* With the lock held: the object that says the i-th profile; NULL where it does not hold. Valid until the handles change. */
hf_err token_profile(struct token *token, size_t i, struct entry **ret_entry);

/* With the lock held: forgets the login and all private objects. */
void token_forget_login(struct token *token);

/* Makes a wrap of keys (MASTER_BYTES of it count) for a PIN. */
hf_err token_wrap(const struct token_conf *conf, const uint8_t *uuid, unsigned which, struct hf_slice pin,
                  struct hf_secret *keys, struct wrap *ret_wrap);

/* A PIN's length (of a wrap) by the token's limits. */
enum { PIN_MIN = 4, PIN_MAX = 255 };
hf_err token_pin_length(const struct token_conf *conf, unsigned which, struct hf_slice pin);

/* A fresh master key and what follows from it. */
hf_err token_new_keys(struct hf_secret **ret_keys);

/* The master key and the index key under a wrap of the header; fails with PIN_INCORRECT. Takes its time. */
hf_err token_unwrap(const struct header *header, unsigned which, struct hf_slice pin, struct hf_secret **ret_keys);
hf_err token_wrong_pin(const struct header *header, unsigned which);

/* Fails with TOKEN_NOT_PRESENT where the token was deleted, or initialised anew since then: its master key is another. */
hf_err token_same_epoch(const struct header *now, const struct header *then);

/*
 * Counts the try durably, then checks the PIN against a wrap. *ret_header is the header that the keys belong to. Not with the
 * lock held: it takes its time. Fails with PIN_INCORRECT, PIN_LOCKED, USER_PIN_NOT_INITIALIZED, TOKEN_NOT_PRESENT.
 */
hf_err token_try_pin(struct token *token, unsigned which, struct hf_slice pin, struct header *ret_header,
                     struct hf_secret **ret_keys);

#endif
