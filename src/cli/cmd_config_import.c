/* SPDX-License-Identifier: Apache-2.0 */
/* holdfast config import */
#include "base/file.h"
#include "cli/commands.h"
#include "cli/configuration.h"
#include "config/location.h"

#include <limits.h>

#define PIN_NAME "greengrass.pin"

/* Beside the new configuration, for its owner alone. */
static hf_err pin_path(const char *path, char *out, size_t size)
{
  const char *slash = strrchr(path, '/');
  int len = snprintf(out, size, "%.*s" PIN_NAME, slash ? (int)(slash - path + 1) : 0, path);
  return len > 0 && (size_t)len < size ? HF_OK : hf_fail(HF_ERR_LIMIT, "the path %.64s...", path);
}

static bool is_pin(enum config_key key)
{
  return key == CONFIG_DEVICE_CRYPTOKI_PIN;
}

static hf_err copy_values(const struct config *from, struct config *to)
{
  for (enum config_key key = 0; key < CONFIG_KEY_COUNT; key++)
    if (config_is_set(from, key) && !is_pin(key))
      HF_TRY(config_set(to, key, config_get(from, key)));
  return HF_OK;
}

static hf_err write_pin(const char *pin, const char *path)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf line = HF_BUF(PATH_MAX);
  HF_TRY(hf_buf_add_str(&line, pin));
  HF_TRY(hf_buf_add_str(&line, "\n"));
  return hf_file_write(path, line.data, line.len, 0600);
}

static void show(const struct config *from, const char *pin_file)
{
  for (enum config_key key = 0; key < CONFIG_KEY_COUNT; key++)
    if (config_is_set(from, key) && !is_pin(key))
      printf("%s=%s\n", config_row(key)->key, config_is_secret(key) ? "***" : config_get(from, key));
  if (config_is_set(from, CONFIG_DEVICE_CRYPTOKI_PIN))
    printf("%s=%s\n", config_row(CONFIG_DEVICE_CRYPTOKI_PIN_SOURCE)->key, pin_file);
}

/* A key in a file is taken over as what it is: one that is to be imported. */
static void warn(const struct config *from)
{
  hf_err e = config_usable(from);
  if (hf_failed(e))
    fprintf(stderr, "holdfast: warning: %s\n  hint: %s\n", hf_err_context(), hf_err_hint(e));
}

static hf_err import(const struct cli_args *args, const struct config *from, struct config *to, const char *pin_file)
{
  const char *pin =
      config_is_set(from, CONFIG_DEVICE_CRYPTOKI_PIN) ? config_get(from, CONFIG_DEVICE_CRYPTOKI_PIN) : NULL;
  if (access(config_path(to), F_OK) == 0 && !cli_has(args, "force"))
    return hf_hint(
        hf_fail(HF_ERR_EXISTS, "%s", config_path(to)),
        "With --force, what the Greengrass file says goes before what is there; or name another by --config.");
  HF_TRY(copy_values(from, to));
  if (pin && !config_is_set(from, CONFIG_DEVICE_CRYPTOKI_PIN_SOURCE)) {
    HF_TRY(write_pin(pin, pin_file));
    HF_TRY(config_set(to, CONFIG_DEVICE_CRYPTOKI_PIN_SOURCE, pin_file));
  }
  HF_TRY(config_save(to));
  printf("%s has been written%s%s.\n", config_path(to), pin ? "; the PIN is in " : "", pin ? pin_file : "");
  return HF_OK;
}

static hf_err run(const struct cli_args *args)
{
  char pin_file[PATH_MAX];
  bool named;
  HF_CLEANUP(hf_freep) char *target = NULL;
  HF_CLEANUP(config_freep) struct config *from = NULL, *to = NULL;
  HF_TRY(config_load(args->operands[0], &from));
  if (!config_greengrass(from))
    return hf_hint(hf_fail(HF_ERR_USAGE, "%s is no Greengrass core's: it has neither \"crypto\" nor \"coreThing\"",
                           config_path(from)),
                   "Holdfast's own file is used as it is: --config, or $HOLDFAST_CONFIG.");
  HF_TRY(location_find(cli_get(args, "config"), &target, &named));
  HF_TRY(pin_path(target, pin_file, sizeof(pin_file)));
  if (cli_has(args, "dry-run")) {
    show(from, pin_file);
    warn(from);
    return HF_OK;
  }
  HF_TRY(config_open(cli_get(args, "config"), &to));
  HF_TRY(import(args, from, to, pin_file));
  warn(from);
  return HF_OK;
}

static const struct cli_option options[] = {
  CLI_CONFIG_OPTION,
  { "dry-run", NULL, "print what would be written, as keys and values, and write nothing" },
  { "force", NULL, "write into a configuration that exists: its other keys stay" },
  CLI_END,
};

const struct cli_command cli_config_import = {
  .name = "config import",
  .help = "Write a Greengrass core's config.json as a configuration of Holdfast's own",
  .operands = "FILE",
  .operands_min = 1,
  .operands_max = 1,
  .options = options,
  .details = "The PIN goes into a file of its own, " PIN_NAME " beside the configuration (0600), which names it by\n"
             "device.cryptoki.pin_source. This is not needed to use the file, only to be rid of it: a Greengrass\n"
             "file is also taken as it is, by --config or by greengrassd.\n",
  .example = "holdfast config import /greengrass/config/config.json --dry-run\n",
  .run = run,
};
