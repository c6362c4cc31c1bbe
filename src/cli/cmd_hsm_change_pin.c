/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"
#include "cli/agent_client.h"
#include "cli/commands.h"
#include "cli/configuration.h"
#include "cli/pin.h"
#include "cli/token.h"

#include <limits.h>
#include <sys/stat.h>

/* Where the configuration keeps the user PIN, to be brought in line with the token. */
struct keeper {
  char path[PATH_MAX]; /* the pin_source's file; "": there is none to be changed */
  char aside[PATH_MAX + 8];
  struct config *config; /* open where device.cryptoki.pin is the PIN */
};

static void keeper_free(struct keeper *keeper)
{
  config_free(keeper->config);
}

static hf_err find_keeper(const struct cli_args *args, struct keeper *keeper)
{
  HF_CLEANUP(config_freep) struct config *config = NULL;
  if (!cli_has(args, "update-source"))
    return HF_OK;
  HF_TRY(config_open(cli_get(args, "config"), &config));
  const char *source = config_get(config, CONFIG_DEVICE_CRYPTOKI_PIN_SOURCE);
  if (source) {
    HF_TRY(hf_pin_source_path(source, keeper->path, sizeof(keeper->path)));
    snprintf(keeper->aside, sizeof(keeper->aside), "%s.new", keeper->path);
    return HF_OK;
  }
  if (!config_is_set(config, CONFIG_DEVICE_CRYPTOKI_PIN))
    return hf_hint(hf_fail(HF_ERR_USAGE, "--update-source, but neither device.cryptoki.pin_source nor .pin is set"),
                   "Leave it out.");
  keeper->config = HF_TAKE(config);
  return HF_OK;
}

/* The new PIN is on disk before the token takes it, beside the old one: a power cut in between loses neither. */
static hf_err write_aside(const struct keeper *keeper, struct hf_secret *pin)
{
  struct stat st;
  HF_CLEANUP(hf_buf_free) struct hf_buf line = HF_BUF(512);
  if (!keeper->path[0])
    return HF_OK;
  mode_t mode = stat(keeper->path, &st) == 0 ? st.st_mode & (S_IRUSR | S_IWUSR | S_IRGRP) : S_IRUSR | S_IWUSR;
  HF_TRY(hf_buf_add(&line, hf_secret_data(pin), hf_secret_len(pin)));
  HF_TRY(hf_buf_add_str(&line, "\n"));
  return hf_file_write(keeper->aside, line.data, line.len, mode);
}

static hf_err put_in_place(struct keeper *keeper, struct hf_secret *pin)
{
  if (keeper->path[0]) {
    hf_err e = hf_file_rename(keeper->aside, keeper->path);
    return hf_failed(e) ? hf_hint(e, "The PIN was changed; the new one is in %s.", keeper->aside) : e;
  }
  if (!keeper->config)
    return HF_OK;
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(512);
  HF_TRY(hf_buf_add(&text, hf_secret_data(pin), hf_secret_len(pin)));
  hf_err e = config_set(keeper->config, CONFIG_DEVICE_CRYPTOKI_PIN, hf_buf_str(&text));
  if (!hf_failed(e))
    e = config_save(keeper->config);
  return hf_failed(e) ? hf_hint(e, "The PIN was changed: 'holdfast config set device.cryptoki.pin -' with the new one.")
                      : e;
}

/* One change: whose PIN, by whose. */
struct change {
  bool so, reset;
  struct hf_secret *by, *new_pin;
};

static void change_free(struct change *change)
{
  hf_secret_free(change->by);
  hf_secret_free(change->new_pin);
}

static hf_err by_agent(const struct cli_args *args, const struct uri *uri, const struct change *change)
{
  if (change->so)
    return hf_hint(hf_fail(HF_ERR_FUNCTION_NOT_SUPPORTED, "changing the SO PIN through the key agent"),
                   "Stop the agent and name the HSM's module by --module.");
  return cli_agent_change_pin(args, uri, change->reset ? NULL : change->by, change->reset ? change->by : NULL,
                              change->new_pin);
}

static hf_err apply(const struct cli_args *args, struct p11_module *module, const struct p11_token *token,
                    const struct change *change)
{
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  HF_TRY(p11_token_uri(token, &uri));
  if (cli_agent_serves(module))
    return by_agent(args, &uri, change);
  if (change->reset)
    return p11_token_set_user_pin(module, token->slot, change->by, change->new_pin);
  return p11_token_change_pin(module, token->slot, change->so ? CKU_SO : CKU_USER, change->by, change->new_pin);
}

static hf_err check_length(const struct p11_token *token, const struct hf_secret *pin)
{
  size_t len = hf_secret_len(pin);
  if (len >= token->pin_min && (token->pin_max == 0 || len <= token->pin_max))
    return HF_OK;
  return hf_hint(hf_fail(HF_ERR_PIN_LEN_RANGE, "the new PIN has %zu characters; nothing was changed", len),
                 "This token takes %lu to %lu characters.", token->pin_min, token->pin_max);
}

/* The present user PIN as everywhere; the agent has it itself. The SO PIN is never in a configuration. */
static hf_err ask(const struct cli_args *args, struct p11_module *module, const struct uri *uri,
                  const struct p11_token *token, struct change *change)
{
  bool given = cli_has(args, "current-pin") || cli_has(args, "current-pin-source");
  if (change->so || change->reset)
    HF_TRY(cli_pin_option(args, "so-pin", "SO PIN", false, &change->by));
  else if (given)
    HF_TRY(cli_pin_option(args, "current-pin", "current user PIN", false, &change->by));
  else if (!cli_agent_serves(module))
    HF_TRY(cli_pin(args, uri, &change->by));
  HF_TRY(cli_pin_option(args, "new-pin", change->so ? "new SO PIN" : "new user PIN", true, &change->new_pin));
  return check_length(token, change->new_pin);
}

static hf_err run(const struct cli_args *args)
{
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  HF_CLEANUP(p11_module_unrefp) struct p11_module *module = NULL;
  HF_CLEANUP(keeper_free) struct keeper keeper = { 0 };
  HF_CLEANUP(change_free) struct change change = { .so = cli_has(args, "so"), .reset = cli_has(args, "reset") };
  struct p11_token token;
  if (change.so && (change.reset || cli_has(args, "update-source")))
    return hf_fail(HF_ERR_USAGE, "--so excludes --reset and --update-source");
  HF_TRY(cli_token_uri(args, cli_operand(args, 0), &uri));
  HF_TRY(cli_module_open(args, &uri, &module));
  HF_TRY(cli_token_find(module, &uri, &token));
  HF_TRY(ask(args, module, &uri, &token, &change));
  HF_TRY(find_keeper(args, &keeper));
  HF_TRY(write_aside(&keeper, change.new_pin));
  hf_err e = apply(args, module, &token, &change);
  if (hf_failed(e) && keeper.path[0])
    unlink(keeper.aside);
  HF_TRY(e);
  printf("The %s PIN of the token \"%s\" (serial %s) was %s.\n", change.so ? "SO" : "user", token.label, token.serial,
         change.reset ? "set anew" : "changed");
  return put_in_place(&keeper, change.new_pin);
}

static const struct cli_option options[] = {
  { "current-pin-source", "SRC", "where the present PIN is: a file, env:NAME or credential:NAME" },
  { "current-pin", "PIN", "the present PIN itself; other users may see it" },
  { "new-pin-source", "SRC", "where the new PIN is" },
  { "new-pin", "PIN", "the new PIN itself; other users may see it" },
  { "so", NULL, "change the SO PIN in place of the user PIN" },
  { "reset", NULL, "set the user PIN by the SO PIN, where it is unknown or locked" },
  { "so-pin-source", "SRC", "for --so and --reset: where the present SO PIN is" },
  { "so-pin", "PIN", "the present SO PIN itself; other users may see it" },
  { "update-source", NULL, "write the new user PIN where the configuration has the old one" },
  CLI_TOKEN_OPTION,
  CLI_PIN_OPTIONS,
  CLI_MODULE_OPTIONS,
  CLI_END,
};

const struct cli_command cli_hsm_change_pin = {
  .name = "hsm change-pin",
  .help = "Change a token's user PIN or SO PIN",
  .operands = "[TOKEN]",
  .operands_max = 1,
  .options = options,
  .details =
      "What no option gives is asked for; the present user PIN is the configured one, where there is one.\n"
      "--update-source writes the file of device.cryptoki.pin_source (or device.cryptoki.pin), so that the device\n"
      "goes on connecting. While the token changes, FILE.new holds the new PIN.\n",
  .example = "holdfast hsm change-pin my-token --update-source\n",
  .run = run,
};
