/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A token that behaves as hardware does (the configuration's simulation.* keys): where the rest of the token calls in. Without
 * those keys all that remains is simulation_on, a byte that is false, at the front of a call.
 */
#ifndef HF_TOKEN_SIMULATION_SIMULATION_H
#define HF_TOKEN_SIMULATION_SIMULATION_H

#include "token/library.h"
#include "token/mech/mech.h"

struct simulated;
struct holdfast_simulation;
struct holdfast_fault;

/* Between C_Initialize and C_Finalize: whether the tokens of this process are simulated. */
extern bool simulation_on;

/* Once a C_Initialize, before the tokens are opened; takes as long as the profile's C_Initialize. */
void simulation_start(const struct token_conf *conf);

/*
 * At the front of a call on a slot or session, with no session held: the token may be out, the device slow, or the plan has a
 * fault for the call. Fails as that device would; then the call goes no further.
 */
hf_err simulation_slot_call(const char *function, CK_SLOT_ID id);
hf_err simulation_session_call(const char *function, CK_SESSION_HANDLE handle);

/* At the end of a call that was good: a result that the plan wants wrong is made so. */
void simulation_result(void *out, const CK_ULONG *len);

/* The row of a mechanism as the profile has it; NULL where it does not offer it. Valid until the next simulation_start. */
const struct mech *simulation_mech(const struct mech *mech);

/* Before a pair is made: whether the device makes such keys; takes as long as it does. */
hf_err simulation_generate(struct token *token, const struct attrs *public);
/* Before objects are added: whether the device takes them, and has room. May change their attributes to those that it gives. */
hf_err simulation_add(struct token *token, struct attr_halves *halves, size_t count);

/* What the device says of itself. */
void simulation_slot_info(struct slot *slot, CK_SLOT_INFO *info);
void simulation_token_info(CK_TOKEN_INFO *info);

/* Whether the token in a slot is pulled out. */
bool simulation_unplugged(const struct token *token);

/* For the vendor interface: see holdfast/token-ext.h. Fail with FUNCTION_NOT_SUPPORTED where the token is not simulated. */
hf_err simulation_describe(struct slot *slot, struct holdfast_simulation *ret_state);
hf_err simulation_fault(struct slot *slot, CK_ULONG number, struct holdfast_fault *ret_fault);
hf_err simulation_switch(struct slot *slot, CK_ULONG what, const char *text);

#endif
