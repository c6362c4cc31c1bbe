/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "cli/simulated.h"

static hf_err run_unplug(const struct cli_args *args)
{
  HF_CLEANUP(p11_module_unrefp) struct p11_module *module = NULL;
  struct cli_simulated token;
  const char *lasting = cli_get(args, "for");
  HF_TRY(cli_simulated_find(args, &module, &token));
  HF_TRY(cli_simulated_switch(module, &token, HOLDFAST_UNPLUG, lasting));
  printf("The token \"%s\" is unplugged%s%s.\n", token.state.label, lasting ? " for " : "", lasting ? lasting : "");
  return HF_OK;
}

static hf_err run_plug(const struct cli_args *args)
{
  HF_CLEANUP(p11_module_unrefp) struct p11_module *module = NULL;
  struct cli_simulated token;
  HF_TRY(cli_simulated_find(args, &module, &token));
  HF_TRY(cli_simulated_switch(module, &token, HOLDFAST_PLUG, NULL));
  printf("The token \"%s\" is plugged in.\n", token.state.label);
  return HF_OK;
}

#define ONLY_SIMULATED                                                                                     \
  "Only a token whose configuration simulates hardware (simulation.* keys): programs that use it by that " \
  "configuration see\nit at once. See docs/simulation.md.\n"

static const struct cli_option unplug_options[] = {
  CLI_TOKEN_OPTION,
  { "for", "TIME", "plug it in again after this time, like 500ms, 5s or 2m" },
  CLI_MODULE_OPTIONS,
  CLI_END,
};

const struct cli_command cli_token_unplug = {
  .name = "token unplug",
  .help = "Pull a simulated token out from under the programs that use it",
  .options = unplug_options,
  .details = ONLY_SIMULATED,
  .example = "holdfast token unplug --token my-token --for 5s\n",
  .run = run_unplug,
};

static const struct cli_option plug_options[] = { CLI_TOKEN_OPTION, CLI_MODULE_OPTIONS, CLI_END };

const struct cli_command cli_token_plug = {
  .name = "token plug",
  .help = "Plug a simulated token in again",
  .options = plug_options,
  .details = ONLY_SIMULATED,
  .example = "holdfast token plug --token my-token\n",
  .run = run_plug,
};
