/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions. Finding one takes no shared lock; each has its own, held during a call. */
#ifndef HF_TOKEN_SESSION_H
#define HF_TOKEN_SESSION_H

#include "token/library.h"
#include "token/mech/op.h"

#include <pthread.h>

struct search_state {
  bool active;
  CK_OBJECT_HANDLE *found;
  size_t count;
  size_t next;
};

struct session {
  pthread_mutex_t lock;
  CK_SESSION_HANDLE handle; /* 0: closed */
  struct slot *slot;
  struct token *token;
  bool read_write;
  struct op ops[OP_KINDS];
  struct hf_buf signature; /* of C_VerifySignatureInit */
  struct search_state search;
  /* Administration of the table. */
  uint32_t generation;
  uint32_t next_free;
};

void sessions_start(void);
/* Closes all. */
void sessions_stop(void);

hf_err session_open(struct slot *slot, bool read_write, CK_SESSION_HANDLE *ret_handle);
hf_err session_close(CK_SESSION_HANDLE handle);
hf_err session_close_all(struct slot *slot);

/* Locks it; session_release unlocks. Fails with SESSION_HANDLE_INVALID. */
hf_err session_acquire(CK_SESSION_HANDLE handle, struct session **ret_session);
void session_release(struct session *session);

/* How many are open on the slot, or how many of those read-only. */
size_t sessions_open(const struct slot *slot, bool read_only);

/* Ends what private keys were doing in all sessions of the token; no session may be held. */
void sessions_forget_private(const struct token *token);

static inline struct access session_access(const struct session *session)
{
  return (struct access){ session->handle, session->read_write };
}

void search_end(struct search_state *search);

#endif
