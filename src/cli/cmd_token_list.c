/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/simulated.h"

static const struct flag_row {
  CK_FLAGS flag;
  const char *name;
} flags[] = {
  { CKF_TOKEN_INITIALIZED, "initialized" },
  { CKF_USER_PIN_INITIALIZED, "user-pin-initialized" },
  { CKF_LOGIN_REQUIRED, "login-required" },
  { CKF_RNG, "rng" },
  { CKF_WRITE_PROTECTED, "write-protected" },
  { CKF_PROTECTED_AUTHENTICATION_PATH, "protected-authentication-path" },
  { CKF_USER_PIN_COUNT_LOW, "user-pin-count-low" },
  { CKF_USER_PIN_FINAL_TRY, "user-pin-final-try" },
  { CKF_USER_PIN_LOCKED, "user-pin-locked" },
  { CKF_SO_PIN_COUNT_LOW, "so-pin-count-low" },
  { CKF_SO_PIN_FINAL_TRY, "so-pin-final-try" },
  { CKF_SO_PIN_LOCKED, "so-pin-locked" },
};

struct found {
  struct p11_token *tokens;
  size_t token_count;
  struct p11_trouble *troubles;
  size_t trouble_count;
  struct cli_simulated *simulated;
  size_t simulated_count;
};

static void found_free(struct found *found)
{
  free(found->tokens);
  free(found->troubles);
  free(found->simulated);
}

/* The simulation of the token in a slot; NULL where it has none. */
static const struct cli_simulated *simulation_of(const struct found *found, CK_SLOT_ID slot)
{
  for (size_t i = 0; i < found->simulated_count; i++)
    if (found->simulated[i].slot == slot)
      return &found->simulated[i];
  return NULL;
}

static hf_err token_uri(const struct p11_token *token, struct hf_buf *out)
{
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  HF_TRY(p11_token_uri(token, &uri));
  return uri_format(&uri, out);
}

static hf_err simulation_to_json(const struct cli_simulated *simulated, json_t *out)
{
  json_t *simulation = json_object();
  HF_TRY(cli_json_set_new(out, "simulation", simulation));
  HF_TRY(cli_json_set(simulation, "profile", simulated->state.profile));
  HF_TRY(cli_json_set_new(simulation, "unplugged", json_boolean(simulated->state.unplugged)));
  return cli_json_set_new(simulation, "faults", json_integer((json_int_t)simulated->state.fault_count));
}

/* PKCS #11 shows nothing of it. */
static hf_err unplugged_to_json(const struct cli_simulated *simulated, json_t *out)
{
  HF_TRY(cli_json_set_new(out, "slot", json_integer((json_int_t)simulated->slot)));
  HF_TRY(cli_json_set(out, "label", simulated->state.label));
  HF_TRY(cli_json_set(out, "serial", simulated->state.serial));
  return simulation_to_json(simulated, out);
}

static hf_err to_json(const struct found *found, const struct p11_token *token, json_t *out)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf uri = HF_BUF(4 * URI_MAX);
  HF_TRY(token_uri(token, &uri));
  HF_TRY(cli_json_set_new(out, "slot", json_integer((json_int_t)token->slot)));
  HF_TRY(cli_json_set(out, "label", token->label));
  HF_TRY(cli_json_set(out, "manufacturer", token->manufacturer));
  HF_TRY(cli_json_set(out, "model", token->model));
  HF_TRY(cli_json_set(out, "serial", token->serial));
  HF_TRY(cli_json_set(out, "uri", hf_buf_str(&uri)));
  json_t *names = json_array();
  HF_TRY(cli_json_set_new(out, "flags", names));
  for (size_t i = 0; i < HF_ARRAY_LEN(flags); i++)
    if (token->flags & flags[i].flag)
      HF_TRY(cli_json_append_new(names, json_string(flags[i].name)));
  const struct cli_simulated *simulated = simulation_of(found, token->slot);
  return simulated ? simulation_to_json(simulated, out) : HF_OK;
}

static hf_err trouble_to_json(const struct p11_trouble *trouble, json_t *out)
{
  HF_TRY(cli_json_set_new(out, "slot", json_integer((json_int_t)trouble->slot)));
  HF_TRY(cli_json_set(out, "error", hf_err_name(trouble->error)));
  HF_TRY(cli_json_set(out, "reason", trouble->text));
  return cli_json_set(out, "hint", trouble->hint);
}

static hf_err print_json(const struct found *found)
{
  HF_CLEANUP(json_decrefp) json_t *list = json_array();
  for (size_t i = 0; i < found->token_count; i++) {
    json_t *token = json_object();
    HF_TRY(cli_json_append_new(list, token));
    HF_TRY(to_json(found, &found->tokens[i], token));
  }
  for (size_t i = 0; i < found->simulated_count; i++) {
    if (!found->simulated[i].state.unplugged)
      continue;
    json_t *token = json_object();
    HF_TRY(cli_json_append_new(list, token));
    HF_TRY(unplugged_to_json(&found->simulated[i], token));
  }
  for (size_t i = 0; i < found->trouble_count; i++) {
    json_t *trouble = json_object();
    HF_TRY(cli_json_append_new(list, trouble));
    HF_TRY(trouble_to_json(&found->troubles[i], trouble));
  }
  return cli_json_print(list);
}

static void print_line(const char *name, const char *text)
{
  fputs("  ", stdout);
  cli_print_line(name, 14, text);
}

static void print_simulation(const struct cli_simulated *simulated)
{
  const struct holdfast_simulation *state = &simulated->state;
  printf("  Simulation:   %s, %lu fault%s%s\n", state->profile[0] ? state->profile : "no profile", state->fault_count,
         state->fault_count == 1 ? "" : "s", state->unplugged ? ", unplugged" : "");
}

static void print_unplugged(const struct cli_simulated *simulated)
{
  printf("Slot %lu: ", simulated->slot);
  cli_print_text(stdout, simulated->state.label, strlen(simulated->state.label));
  puts(": unplugged");
  print_line("Serial:", simulated->state.serial);
  print_simulation(simulated);
  print_line("Hint:", "Plug it in with 'holdfast token plug'.");
}

static hf_err print_token(const struct found *found, const struct p11_token *token)
{
  if (!(token->flags & CKF_TOKEN_INITIALIZED)) {
    printf("Slot %lu: free\n", token->slot);
    return HF_OK;
  }
  HF_CLEANUP(hf_buf_free) struct hf_buf uri = HF_BUF(4 * URI_MAX);
  HF_TRY(token_uri(token, &uri));
  printf("Slot %lu: ", token->slot);
  cli_print_text(stdout, token->label, strlen(token->label));
  putchar('\n');
  print_line("URI:", hf_buf_str(&uri));
  print_line("Manufacturer:", token->manufacturer);
  print_line("Model:", token->model);
  print_line("Serial:", token->serial);
  fputs("  Flags:        ", stdout);
  const char *separator = "";
  for (size_t i = 0; i < HF_ARRAY_LEN(flags); i++)
    if (token->flags & flags[i].flag) {
      printf("%s%s", separator, flags[i].name);
      separator = ", ";
    }
  putchar('\n');
  const struct cli_simulated *simulated = simulation_of(found, token->slot);
  if (simulated)
    print_simulation(simulated);
  return HF_OK;
}

static void print_trouble(const struct p11_trouble *trouble)
{
  printf("Slot %lu: cannot be read: %s\n", trouble->slot, hf_err_text(trouble->error));
  print_line("Reason:", trouble->text);
  print_line("Hint:", trouble->hint);
}

static hf_err run(const struct cli_args *args)
{
  HF_CLEANUP(p11_module_unrefp) struct p11_module *module = NULL;
  HF_CLEANUP(found_free) struct found found = { 0 };
  HF_TRY(cli_module_open(args, NULL, &module));
  HF_TRY(p11_token_list(module, &found.tokens, &found.token_count));
  HF_TRY(p11_trouble_list(module, &found.troubles, &found.trouble_count));
  HF_TRY(cli_simulated_list(module, &found.simulated, &found.simulated_count));
  if (cli_has(args, "json"))
    return print_json(&found);
  for (size_t i = 0; i < found.token_count; i++)
    HF_TRY(print_token(&found, &found.tokens[i]));
  for (size_t i = 0; i < found.simulated_count; i++)
    if (found.simulated[i].state.unplugged)
      print_unplugged(&found.simulated[i]);
  for (size_t i = 0; i < found.trouble_count; i++)
    print_trouble(&found.troubles[i]);
  if (found.token_count + found.trouble_count + found.simulated_count == 0)
    puts("No token is present.");
  return HF_OK;
}

static const struct cli_option options[] = { CLI_JSON_OPTION, CLI_MODULE_OPTIONS, CLI_END };

const struct cli_command cli_hsm_list_tokens = {
  .name = "hsm list-tokens",
  .help = "List the tokens and free slots of the module, as 'token list' does",
  .options = options,
  .example = "holdfast hsm list-tokens\n",
  .run = run,
};

const struct cli_command cli_token_list = {
  .name = "token list",
  .help = "List the tokens and free slots of the module",
  .options = options,
  .example = "holdfast token list --json\n",
  .run = run,
};
