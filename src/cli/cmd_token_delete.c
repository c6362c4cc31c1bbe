/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "cli/token.h"

#include <limits.h>

static hf_err run(const struct cli_args *args)
{
  HF_CLEANUP(p11_module_unrefp) struct p11_module *module = NULL;
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  struct p11_token token;
  char *unused, dir[PATH_MAX] = "";
  HF_TRY(cli_require(args, "token", &unused));
  HF_TRY(cli_uri(args, NULL, &uri));
  HF_TRY(cli_module_open(args, &uri, &module));
  HF_TRY(cli_token_find(module, &uri, &token));
  const struct holdfast_token_ext *ext = p11_module_ext(module);
  if (!ext)
    return hf_hint(hf_fail(HF_ERR_FUNCTION_NOT_SUPPORTED, "deleting a token of %s", p11_module_path(module)),
                   "Use that HSM's own tool; 'holdfast token init --token' at least erases what is in it.");
  HF_TRY(
      cli_confirm(args, "The token \"%s\" (serial %s) and all its keys will be deleted.", token.label, token.serial));
  HF_TRY(p11_fail(module, ext->delete_token(token.slot, dir, sizeof(dir)), "deleting the token \"%s\"", token.label));
  printf("The token (%s) has been deleted.\n", dir);
  return HF_OK;
}

static const struct cli_option options[] = { CLI_TOKEN_OPTION, CLI_YES_OPTION, CLI_MODULE_OPTIONS, CLI_END };

const struct cli_command cli_token_delete = {
  .name = "token delete",
  .help = "Delete a token with all its keys, for good",
  .options = options,
  .details =
      "Works with Holdfast's own token. Whoever may write the token's directory may delete it, so no PIN is asked.\n",
  .example = "holdfast token delete --token my-token --yes\n",
  .run = run,
};
