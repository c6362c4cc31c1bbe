/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "cli/pin.h"
#include "cli/token.h"

static hf_err free_slot(struct p11_module *module, struct p11_token *ret_token)
{
  HF_CLEANUP(hf_freep) struct p11_token *tokens = NULL;
  size_t count = 0;
  HF_TRY(p11_token_list(module, &tokens, &count));
  for (size_t i = 0; i < count; i++)
    if (!(tokens[i].flags & CKF_TOKEN_INITIALIZED)) {
      *ret_token = tokens[i];
      return HF_OK;
    }
  return hf_hint(hf_fail(HF_ERR_TOKEN_NOT_FOUND, "%s has no free slot", p11_module_path(module)),
                 "Name the token to erase and set up again by --token.");
}

static hf_err choose(const struct cli_args *args, struct p11_module *module, struct p11_token *ret_token)
{
  if (!cli_has(args, "token"))
    return free_slot(module, ret_token);
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  HF_TRY(cli_token_find(args, module, NULL, &uri, ret_token));
  if (ret_token->flags & CKF_TOKEN_INITIALIZED)
    HF_TRY(cli_confirm(args, "All keys in the token \"%s\" (serial %s) will be erased.", ret_token->label,
                       ret_token->serial));
  return HF_OK;
}

static hf_err initialise(struct p11_module *module, CK_SLOT_ID slot, const char *label, struct hf_secret *so_pin,
                         struct hf_secret *pin, struct p11_token *ret_token)
{
  struct p11_token token;
  HF_TRY(p11_token_setup(module, slot, label, so_pin, &token));
  HF_TRY(p11_token_set_user_pin(module, token.slot, so_pin, pin));
  return p11_token_get(module, token.slot, ret_token);
}

static hf_err report(const struct p11_token *token)
{
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(4 * URI_MAX);
  HF_TRY(p11_token_uri(token, &uri));
  HF_TRY(uri_format(&uri, &text));
  printf("The token is ready in slot %lu:\n  %s\n", token->slot, hf_buf_str(&text));
  return HF_OK;
}

/* Before anything is changed: a token whose user PIN is then refused would be left half set up. */
static hf_err check_length(const struct p11_token *token, const char *title, const struct hf_secret *pin)
{
  size_t len = hf_secret_len(pin);
  if (len >= token->pin_min && (token->pin_max == 0 || len <= token->pin_max))
    return HF_OK;
  return hf_hint(hf_fail(HF_ERR_PIN_LEN_RANGE, "the %s has %zu characters; nothing was changed", title, len),
                 "This token takes %lu to %lu characters.", token->pin_min, token->pin_max);
}

static hf_err run(const struct cli_args *args)
{
  char *label = NULL;
  HF_TRY(cli_require(args, "label", &label));
  HF_CLEANUP(p11_module_unrefp) struct p11_module *module = NULL;
  HF_CLEANUP(hf_secret_freep) struct hf_secret *so_pin = NULL, *pin = NULL;
  struct p11_token token;
  HF_TRY(cli_module_open(args, &module));
  HF_TRY(choose(args, module, &token));
  HF_TRY(cli_pin_option(args, "so-pin", "SO PIN", true, &so_pin));
  HF_TRY(check_length(&token, "SO PIN", so_pin));
  HF_TRY(cli_pin_option(args, "pin", "user PIN", true, &pin));
  HF_TRY(check_length(&token, "user PIN", pin));
  HF_TRY(initialise(module, token.slot, label, so_pin, pin, &token));
  return report(&token);
}

static const struct cli_option options[] = {
  { "label", "TEXT", "the token's label, at most 32 bytes" },
  { "token", "TOKEN", "erase this token and set it up again, instead of taking a free slot" },
  { "so-pin-source", "SRC", "where the SO PIN is: a file, env:NAME or credential:NAME" },
  { "so-pin", "PIN", "the SO PIN itself; other users may see it" },
  CLI_PIN_OPTIONS,
  CLI_YES_OPTION,
  CLI_MODULE_OPTIONS,
  CLI_END,
};

const struct cli_command cli_token_init = {
  .name = "token init",
  .help = "Set up a token: its label, its SO PIN and its user PIN",
  .options = options,
  .details = "The SO (security officer) PIN sets a new user PIN and is otherwise not needed. PINs have 4 to 255\n"
             "characters in Holdfast's own token; without options they are asked for.\n",
  .example =
      "holdfast token init --label my-token --so-pin-source /etc/holdfast/so.pin --pin-source /etc/holdfast/pin\n",
  .run = run,
};
