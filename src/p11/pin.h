/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PINs that were seen to be wrong, so that none is tried twice: by this process, or by all that share the memory, one
 * after another.
 */
#ifndef HF_P11_PIN_H
#define HF_P11_PIN_H

#include "p11/token.h"

bool p11_pin_was_wrong(struct p11_module *module, const struct p11_token *token, CK_USER_TYPE user,
                       struct hf_secret *pin);
void p11_pin_set_wrong(struct p11_module *module, const struct p11_token *token, CK_USER_TYPE user,
                       struct hf_secret *pin);
void p11_pin_set_right(struct p11_module *module, const struct p11_token *token, CK_USER_TYPE user,
                       struct hf_secret *pin);

/*
 * Keeps them in shared memory from now on: for a process that may die and be followed by another, which must not try a
 * wrong PIN again. memory is zero at first, P11_PIN_MEMORY bytes, and stays mapped. Before any log-in.
 */
#define P11_PIN_MEMORY 8192
void p11_pin_share(void *memory);

#endif
