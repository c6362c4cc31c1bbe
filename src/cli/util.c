/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/util.h"

#include "cli/commands.h"
#include "cli/pin.h"
#include "cli/token.h"
#include "identity/program.h"

#include <getopt.h>
#include <limits.h>
#include <stdarg.h>

enum { PIN_MIN = 4, PIN_MAX = 255 };

static const char usage[] = "Support tool for PKCS#11\n"
                            "Usage: softhsm2-util [ACTION] [OPTIONS]\n"
                            "Action:\n"
                            "  --delete-token    Delete the token at a given slot.\n"
                            "                    Use with --token or --serial.\n"
                            "                    WARNING: Any content in token will be erased.\n"
                            "  -h                Shows this help screen.\n"
                            "  --help            Shows this help screen.\n"
                            "  --import <path>   Import a key pair from the given path.\n"
                            "                    The file must be in PKCS#8-format.\n"
                            "                    Use with --slot or --token or --serial, --file-pin,\n"
                            "                    --label, --id, --no-public-key, and --pin.\n"
                            "  --import-type <type>\n"
                            "                    Import something else. What the file holds:\n"
                            "                        keypair [default]: a key pair, PKCS#8 in PEM\n"
                            "                        aes: an AES key, as it is\n"
                            "                        cert: an X.509 certificate in PEM\n"
                            "  --init-token      Initialize the token at a given slot.\n"
                            "                    Use with --slot or --token or --serial or --free,\n"
                            "                    --label, --so-pin, and --pin.\n"
                            "                    WARNING: Any content in token will be erased.\n"
                            "  --show-config default-pkcs11-lib\n"
                            "                    Show the PKCS#11 library that is used without --module.\n"
                            "  --show-slots      Display all the available slots.\n"
                            "  -v                Show version info.\n"
                            "  --version         Show version info.\n"
                            "Options:\n"
                            "  --aes             Used to tell import to use file as is and import it as AES.\n"
                            "  --file-pin <PIN>  Supply a PIN if the file is encrypted.\n"
                            "  --force           Used to override a warning.\n"
                            "  --free            Use the first free/uninitialized token.\n"
                            "  --id <hex>        Defines the ID of the object. Hexadecimal characters.\n"
                            "                    Use with --force if multiple key pairs may share\n"
                            "                    the same ID.\n"
                            "  --label <text>    Defines the label of the object or the token.\n"
                            "  --module <path>   Use another PKCS#11 library than Holdfast's.\n"
                            "  --no-public-key   Do not import the public key.\n"
                            "  --pin <PIN>       The PIN for the normal user.\n"
                            "  --serial <number> Will use the token with a matching serial number.\n"
                            "  --slot <number>   The slot where the token is located.\n"
                            "  --so-pin <PIN>    The PIN for the Security Officer (SO).\n"
                            "  --token <label>   Will use the token with a matching token label.\n";

__attribute__((format(printf, 1, 0))) static void print_error(const char *fmt, va_list args)
{
  fflush(stdout);
  fputs("ERROR: ", stderr);
  vfprintf(stderr, fmt, args);
  fputc('\n', stderr);
}

int util_fail(const char *fmt, ...)
{
  va_list args;
  va_start(args, fmt);
  print_error(fmt, args);
  va_end(args);
  return 1;
}

int util_fail_why(hf_err e, const char *fmt, ...)
{
  char line[HF_CONTEXT_MAX + 256];
  hf_err_format(e, line, sizeof(line));
  va_list args;
  va_start(args, fmt);
  print_error(fmt, args);
  va_end(args);
  fprintf(stderr, "ERROR: %s\n", line);
  if (hf_err_hint(e)[0])
    fprintf(stderr, "  hint: %s\n", hf_err_hint(e));
  return 1;
}

/* False: there is no terminal, or its line ended. *ret_pin stays NULL where the user must try again. */
static bool ask_once(const char *title, const char *prompt, struct hf_secret **ret_pin)
{
  char text[64];
  HF_CLEANUP(hf_secret_freep) struct hf_secret *first = NULL, *second = NULL;
  printf("=== %s (%d-%d characters) ===\n", title, PIN_MIN, PIN_MAX);
  snprintf(text, sizeof(text), "Please enter %s: ", prompt);
  if (!isatty(STDIN_FILENO)) {
    fputs(text, stdout);
    return false;
  }
  hf_err e = cli_ask_secret(stdout, text, &first);
  if (hf_failed(e) && e.code != HF_ERR_PIN_LEN_RANGE)
    return false;
  if (!first || hf_secret_len(first) < PIN_MIN || hf_secret_len(first) > PIN_MAX) {
    util_fail("The length of the PIN is out of range.");
    return true;
  }
  snprintf(text, sizeof(text), "Please reenter %s: ", prompt);
  e = cli_ask_secret(stdout, text, &second);
  if (hf_failed(e) && e.code != HF_ERR_PIN_LEN_RANGE)
    return false;
  if (!second || hf_secret_len(first) != hf_secret_len(second) ||
      !hf_secret_equal(hf_secret_data(first), hf_secret_data(second), hf_secret_len(first))) {
    util_fail("The entered PINs are not equal.");
    return true;
  }
  *ret_pin = HF_TAKE(first);
  return true;
}

bool util_pin(char *given, const char *title, const char *prompt, struct hf_secret **ret_pin)
{
  size_t len = given ? strlen(given) : 0;
  if (len >= PIN_MIN && len <= PIN_MAX)
    return !hf_failed(cli_secret_from_arg(given, ret_pin));
  *ret_pin = NULL;
  while (!*ret_pin)
    if (!ask_once(title, prompt, ret_pin))
      return false;
  return true;
}

static hf_err find_module(const char *named, char *out, size_t size)
{
  if (!named)
    named = getenv("HOLDFAST_MODULE");
  if (!named)
    return program_own_module(out, size);
  snprintf(out, size, "%s", named);
  return HF_OK;
}

static int show_config(const char *name)
{
  char path[PATH_MAX];
  if (strcmp(name, "default-pkcs11-lib") != 0)
    return util_fail("Invalid configuration key '%s'", name);
  hf_err e = find_module(NULL, path, sizeof(path));
  if (hf_failed(e))
    return util_fail_why(e, "Could not find the PKCS#11 library.");
  puts(path);
  return 0;
}

static int open_module(struct util *util)
{
  hf_err e = find_module(util->values[UTIL_MODULE], util->module_path, sizeof(util->module_path));
  if (!hf_failed(e))
    e = p11_module_open(util->module_path, &util->module);
  if (!hf_failed(e))
    return 0;
  if (e.code != HF_ERR_MODULE_INIT) {
    util_fail("Could not load the PKCS#11 library/module: %s", hf_err_context());
    fprintf(stderr, "  hint: %s\n", hf_err_hint(e));
    return 1;
  }
  util_fail_why(e, "Could not initialize the library.");
  return util_fail("Please verify that the SoftHSM configuration is correct.");
}

static const struct action_row {
  enum util_option option;
  int (*run)(struct util *util);
} actions[] = {
  { UTIL_INIT_TOKEN, util_init_token },
  { UTIL_SHOW_SLOTS, util_show_slots },
  { UTIL_IMPORT, util_import },
  { UTIL_DELETE_TOKEN, util_delete_token },
};

static int print_and_end(const char *text, int status)
{
  fputs(text, stdout);
  return status;
}

static int run_action(struct util *util)
{
  const struct action_row *action = NULL;
  for (size_t i = 0; i < HF_ARRAY_LEN(actions); i++)
    if (util->values[actions[i].option]) {
      if (action)
        return print_and_end(usage, 1);
      action = &actions[i];
    }
  if (!action)
    return print_and_end(usage, 1);
  int status = open_module(util);
  if (status == 0)
    status = action->run(util);
  util->module = p11_module_unref(util->module);
  if (fflush(stdout) != 0 && status == 0)
    return util_fail("Could not write to standard output.");
  return status;
}

static int run(int argc, char **argv)
{
  static const struct option long_options[] = {
#define UTIL_LONG_OPTION(id, name, value) { name, value, NULL, 0x100 + UTIL_##id },
    UTIL_OPTION_TABLE(UTIL_LONG_OPTION)
#undef UTIL_LONG_OPTION
        { NULL, 0, NULL, 0 },
  };
  struct util util = { .module = NULL };
  static char given[] = "";
  optind = 0;
  for (int c; (c = getopt_long(argc, argv, "hv", long_options, NULL)) != -1;) {
    if (c == '?')
      return print_and_end(usage, 1);
    if (c == 'h' || c == 0x100 + UTIL_HELP)
      return print_and_end(usage, 0);
    if (c == 'v' || c == 0x100 + UTIL_VERSION)
      return print_and_end(HF_VERSION "\n", 0);
    if (c == 0x100 + UTIL_SHOW_CONFIG)
      return show_config(optarg ? optarg : given);
    util.values[c - 0x100] = optarg ? optarg : given;
  }
  return run_action(&util);
}

static const struct cli_option options[] = { CLI_END };

const struct cli_command cli_softhsm2_util = {
  .name = "softhsm2-util",
  .help = "Do as SoftHSM2's utility does, with its options and texts; see 'holdfast softhsm2-util --help'",
  .options = options,
  .details = "Takes softhsm2-util's own options and answers with its texts and exit statuses, on Holdfast's token\n"
             "or --module. A link of the name softhsm2-util to holdfast does the same.\n",
  .example = "holdfast softhsm2-util --init-token --free --label my-token\n",
  .run_raw = run,
};
