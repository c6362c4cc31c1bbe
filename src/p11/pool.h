/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sessions of one token in this process, shared by its keys and, in the agent, its clients: a token with one session
 * serves all of them in turn. For src/p11 and src/agent.
 */
#ifndef HF_P11_POOL_H
#define HF_P11_POOL_H

#include "p11/session.h"

struct p11_pool;

/* The pool of the one token that the URI names; its sessions are closed with the last reference. */
hf_err p11_pool_open(struct p11_module *module, const struct uri *uri, struct p11_pool **ret_pool);
struct p11_pool *p11_pool_unref(struct p11_pool *pool);
struct p11_module *p11_pool_module(struct p11_pool *pool);

/* What a key's object was found as, within one epoch. Kept by the key, read and written under the pool's lock. */
struct p11_found {
  uint64_t epoch; /* 0: not yet */
  CK_OBJECT_HANDLE handle;
  bool always_authenticate;
};

struct p11_lease {
  struct p11_session *session;
  uint64_t epoch; /* never 0 */
};

/* A session, logged in; waits for one where the token has no more (see P11_POOL_WAIT). To be given back. *ret_found is a copy of found. */
hf_err p11_pool_take(struct p11_pool *pool, struct hf_secret *pin, const struct p11_found *found,
                     struct p11_lease *ret_lease, struct p11_found *ret_found);
void p11_pool_give(struct p11_pool *pool, struct p11_lease *lease);

/*
 * The same for one who keeps no key: logged in, in this mode at least. Fails with SESSION_COUNT where the token has no
 * more and none was given back for P11_POOL_WAIT seconds.
 */
enum { P11_POOL_WAIT = 10 };
hf_err p11_pool_lease(struct p11_pool *pool, struct hf_secret *pin, enum p11_mode mode, struct p11_lease *ret_lease);
/* Closes it in place of giving it back: an operation or session objects may live in it. */
void p11_pool_drop(struct p11_pool *pool, struct p11_lease *lease);

void p11_pool_set_found(struct p11_pool *pool, struct p11_found *found, struct p11_found value);

enum p11_loss {
  P11_LOST_SESSIONS,
  P11_LOST_LOGIN, /* the token says so; the module may believe otherwise: another program has used the card */
  P11_LOST_MODULE /* it needs C_Initialize, too */
};

/*
 * Sessions, log-in and slot of this epoch are not to be trusted any more: the next p11_pool_take starts afresh. Without
 * effect in a later epoch. Epoch 0 stands for the present one.
 */
void p11_pool_reset(struct p11_pool *pool, uint64_t epoch, enum p11_loss loss);

#endif
