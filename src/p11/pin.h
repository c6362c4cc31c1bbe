/* SPDX-License-Identifier: Apache-2.0 */
/* The PINs that this process has seen to be wrong, so that none is tried twice. Inside src/p11 only. */
#ifndef HF_P11_PIN_H
#define HF_P11_PIN_H

#include "p11/token.h"

bool p11_pin_was_wrong(struct p11_module *module, const struct p11_token *token, CK_USER_TYPE user,
                       struct hf_secret *pin);
void p11_pin_set_wrong(struct p11_module *module, const struct p11_token *token, CK_USER_TYPE user,
                       struct hf_secret *pin);
void p11_pin_set_right(struct p11_module *module, const struct p11_token *token, CK_USER_TYPE user,
                       struct hf_secret *pin);

#endif
