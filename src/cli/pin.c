/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/pin.h"

#include "base/file.h"
#include "cli/configuration.h"

#include <errno.h>

hf_err cli_secret_from_arg(char *arg, struct hf_secret **ret_secret)
{
  size_t len = strlen(arg);
  if (len == 0)
    return hf_fail(HF_ERR_PIN_LEN_RANGE, "an empty PIN");
  HF_TRY(hf_secret_new(arg, len, ret_secret));
  memset(arg, 'x', len);
  return HF_OK;
}

static hf_err from_uri(const struct uri *uri, struct hf_secret **ret_pin)
{
  const char *value = uri_get(uri, URI_PIN_VALUE), *source = uri_get(uri, URI_PIN_SOURCE);
  if (value && value[0])
    return hf_secret_new(value, strlen(value), ret_pin);
  return hf_pin_source_read(source, ret_pin);
}

/* *ret_pin stays NULL where the configuration says nothing of a PIN. */
static hf_err from_config(const struct cli_args *args, struct hf_secret **ret_pin)
{
  HF_CLEANUP(config_freep) struct config *config = NULL;
  HF_TRY(cli_config_load(args, &config));
  if (!config_is_set(config, CONFIG_DEVICE_CRYPTOKI_PIN) && !config_is_set(config, CONFIG_DEVICE_CRYPTOKI_PIN_SOURCE))
    return HF_OK;
  return config_pin(config, ret_pin);
}

static hf_err ask(const char *title, bool twice, struct hf_secret **ret_pin)
{
  char prompt[64];
  snprintf(prompt, sizeof(prompt), "%s: ", title);
  HF_CLEANUP(hf_secret_freep) struct hf_secret *first = NULL, *second = NULL;
  HF_TRY(cli_ask_secret(stderr, prompt, &first));
  if (twice) {
    snprintf(prompt, sizeof(prompt), "%s, again: ", title);
    HF_TRY(cli_ask_secret(stderr, prompt, &second));
    if (hf_secret_len(first) != hf_secret_len(second) ||
        !hf_secret_equal(hf_secret_data(first), hf_secret_data(second), hf_secret_len(first)))
      return hf_hint(hf_fail(HF_ERR_PIN_INVALID, "the two entries differ"), "Enter the same PIN twice.");
  }
  *ret_pin = HF_TAKE(first);
  return HF_OK;
}

hf_err cli_secret_from_input(const char *title, struct hf_secret **ret_secret)
{
  enum { SECRET_MAX = 255 };
  char line[SECRET_MAX + 2]; /* one more than may be, and the NUL */
  size_t len = 0;
  ssize_t n = 1;
  if (isatty(STDIN_FILENO))
    return ask(title, false, ret_secret);
  while (len < sizeof(line) - 1 && (n = read(STDIN_FILENO, line + len, 1)) == 1 && line[len] != '\n')
    len++;
  if (len && line[len - 1] == '\r')
    len--;
  hf_err e = n < 0              ? hf_fail_errno(errno, "standard input")
             : len == 0         ? hf_fail(HF_ERR_USAGE, "standard input is empty")
             : len > SECRET_MAX ? hf_fail(HF_ERR_LIMIT, "the first line of standard input")
                                : hf_secret_new(line, len, ret_secret);
  hf_wipe(line, sizeof(line));
  return e;
}

hf_err cli_pin_option(const struct cli_args *args, const char *name, const char *title, bool twice,
                      struct hf_secret **ret_pin)
{
  char source_name[32];
  snprintf(source_name, sizeof(source_name), "%s-source", name);
  const char *source = cli_get(args, source_name);
  char *pin = cli_get(args, name);
  if (source && pin)
    return hf_fail(HF_ERR_USAGE, "--%s and --%s exclude each other", name, source_name);
  if (source)
    return hf_pin_source_read(source, ret_pin);
  if (pin)
    return cli_secret_from_arg(pin, ret_pin);
  if (isatty(STDIN_FILENO))
    return ask(title, twice, ret_pin);
  return hf_hint(hf_fail(HF_ERR_PIN_MISSING, "the %s, and there is no terminal to ask on", title), "Give it by --%s.",
                 source_name);
}

static hf_err find_pin(const struct cli_args *args, const struct uri *uri, bool twice, struct hf_secret **ret_pin)
{
  struct hf_secret *pin = NULL;
  if (!cli_has(args, "pin") && !cli_has(args, "pin-source")) {
    if (uri && (uri_get(uri, URI_PIN_VALUE) || uri_get(uri, URI_PIN_SOURCE)))
      return from_uri(uri, ret_pin);
    HF_TRY(from_config(args, &pin));
  }
  if (!pin)
    return cli_pin_option(args, "pin", "user PIN", twice, ret_pin);
  *ret_pin = pin;
  return HF_OK;
}

hf_err cli_pin(const struct cli_args *args, const struct uri *uri, struct hf_secret **ret_pin)
{
  return find_pin(args, uri, false, ret_pin);
}

hf_err cli_new_pin(const struct cli_args *args, struct hf_secret **ret_pin)
{
  return find_pin(args, NULL, true, ret_pin);
}
