/* SPDX-License-Identifier: Apache-2.0 */
/* holdfast token init, hsm init */
#include "cli/commands.h"
#include "cli/configuration.h"
#include "cli/json.h"
#include "cli/token_setup.h"

#define DEFAULT_LABEL "holdfast"

/* --token names one that is to be erased. */
static hf_err choose(const struct cli_args *args, struct p11_module **ret_module, struct p11_token *ret_token)
{
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  HF_CLEANUP(p11_module_unrefp) struct p11_module *module = NULL;
  struct p11_token token;
  if (cli_has(args, "token"))
    HF_TRY(cli_uri(args, NULL, &uri));
  HF_TRY(cli_module_open(args, &uri, &module));
  HF_TRY(cli_has(args, "token") ? cli_token_find(module, &uri, &token) : cli_setup_slot(module, &uri, &token));
  if (token.flags & CKF_TOKEN_INITIALIZED)
    HF_TRY(cli_confirm(args, "All keys in the token \"%s\" (serial %s) will be erased.", token.label, token.serial));
  *ret_module = HF_TAKE(module);
  *ret_token = token;
  return HF_OK;
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

static hf_err run(const struct cli_args *args)
{
  char *label = NULL;
  HF_TRY(cli_require(args, "label", &label));
  HF_CLEANUP(p11_module_unrefp) struct p11_module *module = NULL;
  struct p11_token token;
  HF_TRY(choose(args, &module, &token));
  HF_TRY(cli_setup_token(args, module, &token, label, &token, NULL));
  return report(&token);
}

/* What TOKEN and --slot say; nothing at all where neither is given. */
static hf_err wanted(const struct cli_args *args, struct uri *uri)
{
  const char *slot = cli_get(args, "slot");
  if (args->operand_count)
    HF_TRY(cli_token_parse(args->operands[0], uri));
  if (!slot)
    return HF_OK;
  if (uri_get(uri, URI_SLOT_ID))
    return hf_fail(HF_ERR_USAGE, "--slot and slot-id= exclude each other");
  hf_err e = uri_set(uri, URI_SLOT_ID, slot, strlen(slot));
  return hf_failed(e)
             ? hf_hint(hf_fail(HF_ERR_USAGE, "--slot %s", slot), "Give its number: 'holdfast hsm list-tokens'.")
             : e;
}

/* The token that is wanted by its label, or the free slot where it is to be made. */
static hf_err find_or_slot(struct p11_module *module, const char *label, const struct uri *uri,
                           struct p11_token *ret_token)
{
  HF_CLEANUP(uri_free) struct uri named = { 0 };
  HF_TRY(uri_copy(uri, &named));
  HF_TRY(uri_set(&named, URI_TOKEN, label, strlen(label)));
  hf_err e = cli_token_find(module, &named, ret_token);
  return e.code == HF_ERR_TOKEN_NOT_FOUND ? cli_setup_slot(module, uri, ret_token) : e;
}

static hf_err report_hsm(const struct cli_args *args, const struct p11_token *token, bool made)
{
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(4 * URI_MAX);
  HF_CLEANUP(json_decrefp) json_t *json = json_object();
  HF_TRY(p11_token_uri(token, &uri));
  HF_TRY(uri_format(&uri, &text));
  if (cli_has(args, "json")) {
    HF_TRY(cli_json_set(json, "uri", hf_buf_str(&text)));
    HF_TRY(cli_json_set_new(json, "slot", json_integer((json_int_t)token->slot)));
    HF_TRY(cli_json_set_new(json, "initialized", json_boolean(made)));
    return cli_json_print(json);
  }
  fprintf(stderr,
          made ? "The token is ready in slot %lu.\n"
               : "There is such a token already, in slot %lu; it was left as it is.\n",
          token->slot);
  puts(hf_buf_str(&text));
  return HF_OK;
}

static hf_err run_hsm(const struct cli_args *args)
{
  HF_CLEANUP(p11_module_unrefp) struct p11_module *module = NULL;
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  const char *label = cli_get(args, "label");
  struct p11_token token;
  label = label ? label : DEFAULT_LABEL;
  HF_TRY(wanted(args, &uri));
  HF_TRY(cli_module_open(args, &uri, &module));
  HF_TRY(args->operand_count || cli_has(args, "slot") ? cli_token_find(module, &uri, &token)
                                                      : find_or_slot(module, label, &uri, &token));
  bool make = !(token.flags & CKF_TOKEN_INITIALIZED);
  if (make)
    HF_TRY(cli_setup_token(args, module, &token, label, &token, NULL));
  return report_hsm(args, &token, make);
}

static const char pins[] =
    "The SO (security officer) PIN sets a new user PIN and is otherwise not needed. The user PIN is the configured "
    "one\n"
    "(device.cryptoki.pin_source), if no option gives another; what nobody gives is asked for, and nothing has a\n"
    "default. --make-pins writes random PINs into the files that are named for them and do not exist yet.\n";

static const struct cli_option options[] = {
  { "label", "TEXT", "the token's label, at most 32 bytes" },
  { "token", "TOKEN", "erase this token and set it up again, instead of taking a free slot" },
  CLI_SETUP_OPTIONS,
  CLI_PIN_OPTIONS,
  CLI_YES_OPTION,
  CLI_MODULE_OPTIONS,
  CLI_END,
};

const struct cli_command cli_token_init = {
  .name = "token init",
  .help = "Set up a token: its label, its SO PIN and its user PIN",
  .options = options,
  .details = pins,
  .example =
      "holdfast token init --label my-token --so-pin-source /etc/holdfast/so.pin --pin-source /etc/holdfast/pin\n",
  .run = run,
};

static const struct cli_option hsm_options[] = {
  { "label", "TEXT", "the token's label, at most 32 bytes (default: " DEFAULT_LABEL ")" },
  { "slot", "NUMBER", "the slot to use (default: the only free one)" },
  CLI_SETUP_OPTIONS,
  CLI_PIN_OPTIONS,
  CLI_JSON_OPTION,
  CLI_MODULE_OPTIONS,
  CLI_END,
};

const struct cli_command cli_hsm_init = {
  .name = "hsm init",
  .help = "Set up a token where there is none yet, and print its URI",
  .operands = "[TOKEN]",
  .operands_max = 1,
  .options = hsm_options,
  .details = pins,
  .example = "holdfast hsm init --so-pin-source /etc/holdfast/so.pin --pin-source /etc/holdfast/pin --make-pins\n",
  .run = run_hsm,
};
