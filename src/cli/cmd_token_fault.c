/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/simulated.h"

enum { FAULT_TEXT_MAX = 4096 };

/* Its words may come as one operand or several. */
static hf_err join(const struct cli_args *args, struct hf_buf *out)
{
  for (int i = 0; i < args->operand_count; i++) {
    if (i)
      HF_TRY(hf_buf_add_u8(out, ' '));
    HF_TRY(hf_buf_add_str(out, cli_operand(args, i)));
  }
  return HF_OK;
}

static hf_err add(const struct cli_args *args, struct p11_module *module, const struct cli_simulated *token)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(FAULT_TEXT_MAX);
  HF_TRY(join(args, &text));
  HF_TRY(cli_simulated_switch(module, token, HOLDFAST_FAULT, hf_buf_str(&text)));
  printf("The token \"%s\" has the fault: %s\n", token->state.label, hf_buf_str(&text));
  return HF_OK;
}

static hf_err get_fault(struct p11_module *module, const struct cli_simulated *token, CK_ULONG i,
                        struct holdfast_fault *ret_fault)
{
  const struct holdfast_token_ext *ext = p11_module_ext(module);
  return p11_fail(module, ext->simulation_fault(token->slot, i, ret_fault), "fault %lu of \"%s\"", i,
                  token->state.label);
}

/* The counts of a configured fault are those of this very process: nothing. */
static hf_err fault_to_json(const struct holdfast_fault *fault, json_t *out)
{
  HF_TRY(cli_json_set(out, "fault", fault->text));
  HF_TRY(cli_json_set_new(out, "configured", json_boolean(fault->configured)));
  if (fault->configured)
    return HF_OK;
  HF_TRY(cli_json_set_new(out, "calls", json_integer((json_int_t)fault->calls)));
  return cli_json_set_new(out, "strikes", json_integer((json_int_t)fault->strikes));
}

static hf_err list_json(struct p11_module *module, const struct cli_simulated *token)
{
  HF_CLEANUP(json_decrefp) json_t *out = json_object();
  json_t *list = json_array();
  HF_TRY(cli_json_set(out, "label", token->state.label));
  HF_TRY(cli_json_set(out, "profile", token->state.profile));
  HF_TRY(cli_json_set_new(out, "unplugged", json_boolean(token->state.unplugged)));
  HF_TRY(cli_json_set_new(out, "faults", list));
  for (CK_ULONG i = 0; i < token->state.fault_count; i++) {
    struct holdfast_fault fault;
    json_t *row = json_object();
    HF_TRY(cli_json_append_new(list, row));
    HF_TRY(get_fault(module, token, i, &fault));
    HF_TRY(fault_to_json(&fault, row));
  }
  return cli_json_print(out);
}

static hf_err list_text(struct p11_module *module, const struct cli_simulated *token)
{
  printf("Token \"%s\"%s%s%s\n", token->state.label, token->state.profile[0] ? ", a simulated " : ", simulated",
         token->state.profile, token->state.unplugged ? ", unplugged" : "");
  for (CK_ULONG i = 0; i < token->state.fault_count; i++) {
    struct holdfast_fault fault;
    HF_TRY(get_fault(module, token, i, &fault));
    if (fault.configured)
      printf("  %s (by the configuration)\n", fault.text);
    else
      printf("  %s (%lu calls, struck %lu)\n", fault.text, fault.calls, fault.strikes);
  }
  if (token->state.fault_count == 0)
    puts("  No fault.");
  return HF_OK;
}

static hf_err run(const struct cli_args *args)
{
  HF_CLEANUP(p11_module_unrefp) struct p11_module *module = NULL;
  struct cli_simulated token;
  if (args->operand_count && (cli_has(args, "list") || cli_has(args, "clear")))
    return hf_hint(hf_fail(HF_ERR_USAGE, "a fault, and --list or --clear"), "Give one of them.");
  HF_TRY(cli_simulated_find(args, &module, &token));
  if (args->operand_count)
    return add(args, module, &token);
  if (!cli_has(args, "clear"))
    return cli_has(args, "json") ? list_json(module, &token) : list_text(module, &token);
  HF_TRY(cli_simulated_switch(module, &token, HOLDFAST_FAULTS_OFF, NULL));
  printf("The token \"%s\" has no faults but the configuration's.\n", token.state.label);
  return HF_OK;
}

static const struct cli_option options[] = {
  { "list", NULL, "list the faults, and how often each struck (as without a fault)" },
  { "clear", NULL, "switch off all that were switched on so; calls that hang go on" },
  CLI_JSON_OPTION,
  CLI_TOKEN_OPTION,
  CLI_MODULE_OPTIONS,
  CLI_END,
};

const struct cli_command cli_token_fault = {
  .name = "token fault",
  .help = "Make a simulated token fail, by a plan",
  .operands = "[FAULT]",
  .operands_max = 16,
  .options = options,
  .details =
      "FAULT is words: the function that it strikes (any that reaches the device), when, and what happens:\n"
      "  nth=N, every=N, every=TIME, chance=P (with seed=N), after=TIME, for=TIME, times=N\n"
      "  device-error, device-memory, pin-locked, unplug, session-lost, logged-out, slow=TIME, hang, corrupt, CKR_...\n"
      "It counts for all programs that use the token. See docs/simulation.md.\n",
  .example = "holdfast token fault --token my-token C_Sign nth=3 device-error\n"
             "holdfast token fault --token my-token every=1m unplug for=5s\n"
             "holdfast token fault --clear\n",
  .run = run,
};
