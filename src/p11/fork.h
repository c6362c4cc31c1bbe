/* SPDX-License-Identifier: Apache-2.0 */
/* What a forked child must put right before it takes a lock. Inside src/p11 only. */
#ifndef HF_P11_FORK_H
#define HF_P11_FORK_H

/*
 * In a forked child, once: new locks for old ones, which threads of the parent may have held. A pid check, not
 * pthread_atfork: a handler outlives the shared object that registered it.
 */
void p11_fork_check(void);

/* The parts, each in its file. */
void p11_module_forked(void);
void p11_pool_forked(void);
void p11_pin_forked(void);

#endif
