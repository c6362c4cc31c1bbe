/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/simulated.h"

enum { SLOTS_MAX = 4096 };

/* NULL where the module is none of ours, or too old for it. */
static const struct holdfast_token_ext *simulation_ext(struct p11_module *module)
{
  const struct holdfast_token_ext *ext = p11_module_ext(module);
  return ext && ext->version.minor >= HOLDFAST_SIMULATION_SINCE ? ext : NULL;
}

static hf_err all_slots(struct p11_module *module, CK_SLOT_ID **ret_slots, CK_ULONG *ret_count)
{
  CK_FUNCTION_LIST *f = p11_module_functions(module);
  CK_ULONG count = 0;
  HF_TRY(p11_fail(module, f->C_GetSlotList(CK_FALSE, NULL, &count), "listing the slots"));
  HF_CLEANUP(hf_freep) CK_SLOT_ID *slots = calloc(SLOTS_MAX, sizeof(*slots));
  if (!slots)
    return hf_fail(HF_ERR_NO_MEMORY, "listing the slots");
  count = SLOTS_MAX;
  HF_TRY(p11_fail(module, f->C_GetSlotList(CK_FALSE, slots, &count), "listing the slots"));
  *ret_slots = HF_TAKE(slots);
  *ret_count = count;
  return HF_OK;
}

hf_err cli_simulated_list(struct p11_module *module, struct cli_simulated **ret_list, size_t *ret_count)
{
  const struct holdfast_token_ext *ext = simulation_ext(module);
  HF_CLEANUP(hf_freep) CK_SLOT_ID *slots = NULL;
  CK_ULONG slot_count = 0;
  size_t count = 0;
  if (ext)
    HF_TRY(all_slots(module, &slots, &slot_count));
  HF_CLEANUP(hf_freep) struct cli_simulated *list = calloc(slot_count + 1, sizeof(*list));
  if (!list)
    return hf_fail(HF_ERR_NO_MEMORY, "listing the simulated tokens");
  for (CK_ULONG i = 0; i < slot_count; i++) {
    list[count].slot = slots[i];
    count += ext->simulation_state(slots[i], &list[count].state) == CKR_OK;
  }
  *ret_list = HF_TAKE(list);
  *ret_count = count;
  return HF_OK;
}

static bool allows(const struct uri *uri, enum uri_attr attr, const char *text)
{
  const struct hf_buf *wanted = &uri->attrs[attr].value;
  return !uri->attrs[attr].present || hf_slice_equal(hf_slice(wanted->data, wanted->len), hf_slice(text, strlen(text)));
}

static bool is_wanted(const struct uri *uri, const struct cli_simulated *token)
{
  char slot[32];
  snprintf(slot, sizeof(slot), "%lu", token->slot);
  return allows(uri, URI_TOKEN, token->state.label) && allows(uri, URI_SERIAL, token->state.serial) &&
         allows(uri, URI_SLOT_ID, slot);
}

/* Why there is none: the token's own reason, if it has one. */
static hf_err none(struct p11_module *module, const struct uri *uri)
{
  const struct holdfast_token_ext *ext = simulation_ext(module);
  struct holdfast_simulation state;
  struct p11_token token;
  if (!ext)
    return hf_hint(hf_fail(HF_ERR_FUNCTION_NOT_SUPPORTED, "%s simulates no hardware", p11_module_path(module)),
                   "Only Holdfast's own token does: see docs/simulation.md.");
  HF_TRY(cli_token_find(module, uri, &token));
  return p11_fail(module, ext->simulation_state(token.slot, &state), "the token \"%s\"", token.label);
}

static hf_err choose(struct p11_module *module, const struct uri *uri, struct cli_simulated *ret_token)
{
  HF_CLEANUP(hf_freep) struct cli_simulated *list = NULL;
  size_t count = 0, found = 0, at = 0;
  HF_TRY(cli_simulated_list(module, &list, &count));
  for (size_t i = 0; i < count; i++) {
    if (is_wanted(uri, &list[i])) {
      found++;
      at = i;
    }
  }
  if (found > 1)
    return hf_hint(hf_fail(HF_ERR_TOKEN_AMBIGUOUS, "%zu simulated tokens, one of them \"%s\" (serial %s)", found,
                           list[at].state.label, list[at].state.serial),
                   "Name one with --token: its label, or pkcs11:serial=...");
  if (found == 0)
    return none(module, uri);
  *ret_token = list[at];
  return HF_OK;
}

hf_err cli_simulated_find(const struct cli_args *args, struct p11_module **ret_module, struct cli_simulated *ret_token)
{
  HF_CLEANUP(p11_module_unrefp) struct p11_module *module = NULL;
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  HF_TRY(cli_uri(args, NULL, &uri));
  HF_TRY(cli_module_open(args, &uri, &module));
  HF_TRY(choose(module, &uri, ret_token));
  *ret_module = HF_TAKE(module);
  return HF_OK;
}

hf_err cli_simulated_switch(struct p11_module *module, const struct cli_simulated *token, CK_ULONG what,
                            const char *text)
{
  const struct holdfast_token_ext *ext = simulation_ext(module);
  return p11_fail(module, ext->simulation_switch(token->slot, what, text), "the token \"%s\"", token->state.label);
}
