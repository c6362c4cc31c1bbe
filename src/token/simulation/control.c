/* SPDX-License-Identifier: Apache-2.0 */
/* The vendor interface's part: faults and plug, switched on a running token. */
#include "holdfast/token-ext.h"
#include "token/simulation/simulated.h"
#include "token/simulation/simulation.h"

static hf_err find(struct slot *slot, struct token **ret_token, struct simulated **ret_simulated)
{
  struct token *token;
  HF_TRY(slot_token(slot, &token));
  struct simulated *simulated = token_simulated(token);
  if (!simulated)
    return hf_hint(hf_fail(HF_ERR_FUNCTION_NOT_SUPPORTED, "the token in slot %lu is not simulated", slot_id(slot)),
                   "Only tokens of a configuration with 'simulation.enabled = true', or another simulation.* key, "
                   "can be made to fail: add it to %s, and start the programs that use the token anew.",
                   library_conf()->path[0] ? library_conf()->path : "the token's configuration");
  *ret_token = token;
  *ret_simulated = simulated;
  return HF_OK;
}

hf_err simulation_describe(struct slot *slot, struct holdfast_simulation *ret_state)
{
  struct token *token;
  struct simulated *simulated;
  struct header header;
  struct board_plan switched;
  HF_TRY(find(slot, &token, &simulated));
  HF_TRY(token_header(token, &header));
  HF_TRY(board_read(simulated->board, &switched));
  struct holdfast_simulation state = {
    .unplugged = board_unplugged(simulated->board),
    .fault_count = simulated->settings->plan.count + switched.plan.count,
  };
  snprintf(state.label, sizeof(state.label), "%.*s", HEADER_LABEL(&header));
  snprintf(state.serial, sizeof(state.serial), "%s", header.serial);
  snprintf(state.profile, sizeof(state.profile), "%s", simulated->settings->profile.name);
  *ret_state = state;
  return HF_OK;
}

static void describe_fault(const struct fault *fault, const struct fault_state *state, bool configured,
                           struct holdfast_fault *ret_fault)
{
  *ret_fault = (struct holdfast_fault){
    .configured = configured,
    .calls = (CK_ULONG)atomic_load(&state->calls),
    .strikes = (CK_ULONG)atomic_load(&state->strikes),
  };
  snprintf(ret_fault->text, sizeof(ret_fault->text), "%s", fault->text);
}

hf_err simulation_fault(struct slot *slot, CK_ULONG number, struct holdfast_fault *ret_fault)
{
  struct token *token;
  struct simulated *simulated;
  struct board_plan switched;
  HF_TRY(find(slot, &token, &simulated));
  const struct plan *plan = &simulated->settings->plan;
  if (number < plan->count) {
    describe_fault(&plan->faults[number], &simulated->states[number], true, ret_fault);
    return HF_OK;
  }
  number -= plan->count;
  HF_TRY(board_read(simulated->board, &switched));
  if (number >= switched.plan.count)
    return hf_fail(HF_ERR_ARGUMENTS_BAD, "there are not so many faults");
  describe_fault(&switched.plan.faults[number], board_state(simulated->board, switched.generation, number), false,
                 ret_fault);
  return HF_OK;
}

hf_err simulation_switch(struct slot *slot, CK_ULONG what, const char *text)
{
  struct token *token;
  struct simulated *simulated;
  uint64_t lasting = 0;
  HF_TRY(find(slot, &token, &simulated));
  switch (what) {
  case HOLDFAST_UNPLUG:
    if (text)
      HF_TRY(word_duration(text, &lasting));
    board_unplug(simulated->board, text ? board_now() + lasting : BOARD_FOREVER);
    return HF_OK;
  case HOLDFAST_PLUG:
    board_plug(simulated->board);
    return HF_OK;
  case HOLDFAST_FAULT:
    return text ? board_add(simulated->board, text) : hf_fail(HF_ERR_ARGUMENTS_BAD, "a fault is missing");
  case HOLDFAST_FAULTS_OFF:
    return board_clear(simulated->board);
  }
  return hf_fail(HF_ERR_ARGUMENTS_BAD, "no switch has the number %lu", what);
}
