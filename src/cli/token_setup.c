/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/token_setup.h"

#include "base/file.h"
#include "cli/agent_client.h"
#include "cli/configuration.h"
#include "cli/pin.h"

#include <errno.h>
#include <sys/random.h>
#include <sys/stat.h>

enum { MADE_PIN_LEN = 16 /* digits: 53 bits */ };

static hf_err add_slot(const struct p11_token *slot, struct hf_buf *out)
{
  return hf_buf_addf(out, "%spkcs11:slot-id=%lu", out->len ? ", " : "", slot->slot);
}

hf_err cli_setup_slot(struct p11_module *module, const struct uri *uri, struct p11_token *ret_slot)
{
  HF_CLEANUP(hf_freep) struct p11_token *tokens = NULL;
  HF_CLEANUP(hf_buf_free) struct hf_buf names = HF_BUF(HF_CONTEXT_MAX);
  size_t count = 0, found = 0;
  HF_TRY(p11_token_list(module, &tokens, &count));
  for (size_t i = 0; i < count; i++) {
    bool match;
    HF_TRY(p11_token_matches(module, &tokens[i], uri, &match));
    if (!match || (tokens[i].flags & CKF_TOKEN_INITIALIZED))
      continue;
    tokens[found++] = tokens[i];
    HF_TRY(add_slot(&tokens[i], &names));
  }
  if (found == 0)
    return hf_hint(hf_fail(HF_ERR_TOKEN_NOT_FOUND, "%s has no free slot", p11_module_path(module)),
                   "'holdfast token init --token TOKEN' erases a token and sets it up again.");
  if (found > 1)
    return hf_hint(hf_fail(HF_ERR_TOKEN_AMBIGUOUS, "%zu slots are free: %s", found, hf_buf_str(&names)),
                   "Name one: --slot, or slot-id= in a URI.");
  *ret_slot = tokens[0];
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

static hf_err random_digits(char *out, size_t len)
{
  for (size_t i = 0; i < len;) {
    uint8_t byte;
    if (getrandom(&byte, 1, 0) != 1)
      return hf_fail_errno(errno, "getting random bytes");
    if (byte < 250) /* so that each digit is as likely as another */
      out[i++] = (char)('0' + byte % 10);
  }
  out[len] = '\n';
  return HF_OK;
}

/* A file for this PIN, if one is named and none is there. */
static hf_err make_pin(const char *source, const char *title, const struct p11_token *slot)
{
  char path[PATH_MAX], digits[MADE_PIN_LEN + 1];
  size_t len = slot->pin_max && slot->pin_max < MADE_PIN_LEN ? slot->pin_max : MADE_PIN_LEN;
  if (!source)
    return hf_hint(hf_fail(HF_ERR_USAGE, "--make-pins, but no file is named for the %s", title),
                   "Name one by --so-pin-source and by --pin-source or device.cryptoki.pin_source.");
  HF_TRY(hf_pin_source_path(source, path, sizeof(path)));
  if (access(path, F_OK) == 0)
    return HF_OK;
  hf_err e = random_digits(digits, len);
  if (!hf_failed(e))
    e = hf_file_create(path, digits, len + 1, S_IRUSR | S_IWUSR);
  hf_wipe(digits, sizeof(digits));
  HF_TRY(e);
  fprintf(stderr, "Made a %s of %zu digits: %s\n", title, len, path);
  return HF_OK;
}

static hf_err make_pins(const struct cli_args *args, const struct p11_token *slot)
{
  HF_CLEANUP(config_freep) struct config *config = NULL;
  if (!cli_has(args, "make-pins"))
    return HF_OK;
  HF_TRY(cli_config_load(args, &config));
  const char *source = cli_get(args, "pin-source");
  HF_TRY(make_pin(cli_get(args, "so-pin-source"), "SO PIN", slot));
  return make_pin(source ? source : config_get(config, CONFIG_DEVICE_CRYPTOKI_PIN_SOURCE), "user PIN", slot);
}

/* The agent has the user PIN already, if none is given; and it alone can log in as SO. */
static hf_err by_agent(const struct cli_args *args, struct p11_module *module, const struct p11_token *slot,
                       const char *label, struct hf_secret *so_pin, struct p11_token *ret_token)
{
  HF_CLEANUP(uri_free) struct uri at = { 0 }, named = { 0 };
  HF_CLEANUP(hf_secret_freep) struct hf_secret *pin = NULL;
  char number[32];
  if (cli_has(args, "pin") || cli_has(args, "pin-source"))
    HF_TRY(cli_pin_option(args, "pin", "user PIN", true, &pin));
  HF_TRY(uri_set(&at, URI_SLOT_ID, number, (size_t)snprintf(number, sizeof(number), "%lu", slot->slot)));
  HF_TRY(cli_agent_init_token(args, &at, label, so_pin, pin));
  HF_TRY(uri_set(&named, URI_TOKEN, label, strlen(label)));
  return cli_token_find(module, &named, ret_token);
}

hf_err cli_setup_token(const struct cli_args *args, struct p11_module *module, const struct p11_token *slot,
                       const char *label, struct p11_token *ret_token, struct hf_secret **ret_pin)
{
  HF_CLEANUP(hf_secret_freep) struct hf_secret *so_pin = NULL, *pin = NULL;
  struct p11_token token;
  HF_TRY(make_pins(args, slot));
  HF_TRY(cli_pin_option(args, "so-pin", "SO PIN", true, &so_pin));
  HF_TRY(check_length(slot, "SO PIN", so_pin));
  if (cli_agent_serves(module))
    return by_agent(args, module, slot, label, so_pin, ret_token);
  HF_TRY(cli_new_pin(args, &pin));
  HF_TRY(check_length(slot, "user PIN", pin));
  HF_TRY(p11_token_setup(module, slot->slot, label, so_pin, &token));
  HF_TRY(p11_token_set_user_pin(module, token.slot, so_pin, pin));
  HF_TRY(p11_token_get(module, token.slot, ret_token));
  if (ret_pin)
    *ret_pin = HF_TAKE(pin);
  return HF_OK;
}
