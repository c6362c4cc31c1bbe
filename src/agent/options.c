/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/options.h"

#include "policy/audit.h"
#include "agent/options_file.h"
#include "agent/options_toml.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "config/config.h"

#include <limits.h>

#define CONFIG_NONE CONFIG_KEY_COUNT

static const struct row {
  const char *name, *value, *env;
  enum config_key key;
  const char *standard, *help;
} rows[OPTION_COUNT] = {
#define OPTIONS_ROW(id, name, value, env, key, standard, help) { name, value, env, CONFIG_##key, standard, help },
  OPTIONS_TABLE(OPTIONS_ROW)
#undef OPTIONS_ROW
};

/* Words that are no rows, for the nearest. */
static const char *const flags[] = { "help", "version" };

static hf_err secret_from(char *text, struct hf_secret **ret_secret)
{
  size_t len = strlen(text);
  struct hf_secret *secret = NULL;
  hf_err e = len ? hf_secret_new(text, len, &secret) : HF_OK;
  hf_wipe(text, len);
  HF_TRY(e);
  hf_secret_free(*ret_secret);
  *ret_secret = secret;
  return HF_OK;
}

static hf_err keep(const char *text, char **out)
{
  char *copy = text && text[0] ? strdup(text) : NULL;
  if (text && text[0] && !copy)
    return hf_fail(HF_ERR_NO_MEMORY, "the options");
  free(*out);
  *out = copy;
  return HF_OK;
}

static hf_err unknown_option(const char *given, size_t len)
{
  char name[64];
  snprintf(name, sizeof(name), "%.*s", (int)len, given);
  const char *best = flags[0];
  for (size_t i = 1; i < HF_ARRAY_LEN(flags) + OPTION_COUNT; i++) {
    const char *candidate = i < HF_ARRAY_LEN(flags) ? flags[i] : rows[i - HF_ARRAY_LEN(flags)].name;
    if (hf_text_distance(name, candidate) < hf_text_distance(name, best))
      best = candidate;
  }
  hf_err e = hf_fail(HF_ERR_USAGE, "there is no option --%s", name);
  return hf_text_distance(name, best) <= 1 + strlen(best) / 3 ? hf_hint(e, "Did you mean --%s?", best)
                                                              : hf_hint(e, "See 'holdfast-agent --help'.");
}

static hf_err take_option(int argc, char **argv, int *at, struct options_given *given)
{
  if (strncmp(argv[*at], "--", 2) != 0)
    return hf_hint(hf_fail(HF_ERR_USAGE, "holdfast-agent does not take \"%s\"", argv[*at]),
                   "See 'holdfast-agent --help'.");
  char *name = argv[*at] + 2;
  size_t len = strcspn(name, "=");
  for (enum option i = 0; i < OPTION_COUNT; i++) {
    if (strlen(rows[i].name) != len || strncmp(rows[i].name, name, len) != 0)
      continue;
    char *value = name[len] ? name + len + 1 : *at + 1 < argc ? argv[++*at] : NULL;
    if (!value)
      return hf_fail(HF_ERR_USAGE, "--%s needs a value: %s", rows[i].name, rows[i].value);
    return i == OPTION_PIN ? secret_from(value, &given->args_pin) : keep(value, &given->args[i]);
  }
  return unknown_option(name, len);
}

static hf_err take_env(struct options_given *given)
{
  for (enum option i = 0; i < OPTION_COUNT; i++) {
    char *value = rows[i].env ? getenv(rows[i].env) : NULL;
    if (!value)
      continue;
    if (i != OPTION_PIN) {
      HF_TRY(keep(value, &given->env[i]));
      continue;
    }
    /* What /proc/PID/environ shows is this very memory. */
    HF_TRY(secret_from(value, &given->env_pin));
    unsetenv(rows[i].env);
  }
  return HF_OK;
}

hf_err options_given_take(int argc, char **argv, struct options_given *ret_given)
{
  struct options_given given = { 0 };
  hf_err e = HF_OK;
  for (int i = 1; i < argc && !hf_failed(e); i++)
    e = take_option(argc, argv, &i, &given);
  if (!hf_failed(e))
    e = take_env(&given);
  if (hf_failed(e)) {
    options_given_free(&given);
    return e;
  }
  *ret_given = given;
  return HF_OK;
}

void options_given_free(struct options_given *given)
{
  for (enum option i = 0; i < OPTION_COUNT; i++) {
    free(given->args[i]);
    free(given->env[i]);
  }
  hf_secret_free(given->args_pin);
  hf_secret_free(given->env_pin);
  hf_secret_free(given->source_pin);
  free(given->source);
  *given = (struct options_given){ 0 };
}

void options_free(struct options *options)
{
  for (enum option i = 0; i < OPTION_COUNT; i++)
    free(options->values[i]);
  for (size_t i = 0; i < options->module_env_count; i++)
    free(options->module_env[i]);
  hf_secret_free(options->pin);
  *options = (struct options){ 0 };
}

/* One source of values. pin is borrowed. */
struct layer {
  const char *name;
  const char *values[OPTION_COUNT];
  const char *pin;
  size_t pin_len;
};

static void layer_of_given(char *const *values, struct hf_secret *pin, struct layer *layer)
{
  for (enum option i = 0; i < OPTION_COUNT; i++)
    layer->values[i] = values[i];
  if (pin) {
    layer->pin = (const char *)hf_secret_data(pin);
    layer->pin_len = hf_secret_len(pin);
  }
}

static void layer_set(struct layer *layer, enum option option, const char *value)
{
  if (!value || !value[0])
    return;
  if (option != OPTION_PIN) {
    layer->values[option] = value;
    return;
  }
  layer->pin = value;
  layer->pin_len = strlen(value);
}

/* Ours into the layer, the others into the module's environment. */
static hf_err layer_of_env_file(const struct options_file *file, struct layer *layer, struct options *options)
{
  for (size_t n = 0; n < file->count; n++) {
    enum option i = 0;
    while (i < OPTION_COUNT && (!rows[i].env || strcmp(rows[i].env, file->names[n]) != 0))
      i++;
    if (i < OPTION_COUNT) {
      layer_set(layer, i, file->values[n]);
      continue;
    }
    if (options->module_env_count >= OPTIONS_ENV_MAX)
      return hf_fail(HF_ERR_LIMIT, "--env-file has more than %d names", OPTIONS_ENV_MAX);
    char *entry;
    if (asprintf(&entry, "%s=%s", file->names[n], file->values[n]) < 0)
      return hf_fail(HF_ERR_NO_MEMORY, "the options");
    options->module_env[options->module_env_count++] = entry;
  }
  return HF_OK;
}

static void layer_of_config(const struct config *config, struct layer *layer)
{
  for (enum option i = 0; i < OPTION_COUNT; i++)
    if (rows[i].key != CONFIG_NONE && config_is_set(config, rows[i].key))
      layer_set(layer, i, config_get(config, rows[i].key));
}

static void layer_of_toml(const struct options_toml *toml, struct layer *layer)
{
  static const enum option options[OPTIONS_TOML_COUNT] = {
    [OPTIONS_TOML_MODULE_PATH] = OPTION_MODULE_PATH,
    [OPTIONS_TOML_PIN] = OPTION_PIN,
    [OPTIONS_TOML_URI] = OPTION_URI,
    [OPTIONS_TOML_SOCKET_PATH] = OPTION_SOCKET_PATH,
  };
  for (size_t i = 0; i < OPTIONS_TOML_COUNT; i++)
    layer_set(layer, options[i], toml->values[i]);
}

/* Of another program, so that it must not stand in the way: one that we may not read is told, and passed over. */
static hf_err read_toml(const struct options_given *given, char *path, size_t size, struct options_toml *ret_toml)
{
  const char *dir = given->args[OPTION_CONFIG_DIR] ? given->args[OPTION_CONFIG_DIR] : given->env[OPTION_CONFIG_DIR];
  snprintf(path, size, "%s/tedge.toml", dir ? dir : rows[OPTION_CONFIG_DIR].standard);
  hf_err e = options_toml_read(path, ret_toml);
  if (e.code != HF_ERR_PERMISSION)
    return e;
  hf_log(HF_LOG_WARNING, "not read: %s", hf_err_context());
  return HF_OK;
}

/* The system's may be for root's eyes alone: then the agent's own user does without, and says so. *ret_config may stay NULL. */
static hf_err read_config(const struct options_given *given, struct config **ret_config)
{
  hf_err e = config_load(given->args[OPTION_CONFIG], ret_config);
  if (e.code != HF_ERR_PERMISSION || given->args[OPTION_CONFIG])
    return e;
  hf_log(HF_LOG_WARNING, "not read: %s; what it says of device.cryptoki, tell the agent by its options",
         hf_err_context());
  return HF_OK;
}

static hf_err merge_values(const struct layer *layers, size_t count, struct options *options)
{
  for (enum option i = 0; i < OPTION_COUNT; i++) {
    const char *value = NULL;
    for (size_t n = 0; n < count && !value; n++)
      value = layers[n].values[i];
    options->given[i] = value != NULL;
    HF_TRY(keep(value ? value : rows[i].standard, &options->values[i]));
  }
  return HF_OK;
}

/* The nearest layer that says anything of the PIN; in one layer its source goes before the PIN itself. */
static hf_err merge_pin(const struct layer *layers, size_t count, struct options *options)
{
  size_t n = 0;
  while (n < count && !layers[n].values[OPTION_PIN_SOURCE] && !layers[n].pin)
    n++;
  if (n == count)
    return HF_OK;
  if (layers[n].values[OPTION_PIN_SOURCE])
    return HF_OK;
  HF_TRY(keep(NULL, &options->values[OPTION_PIN_SOURCE]));
  hf_log(HF_LOG_WARNING, "the PIN stands in %s; better is --pin-source FILE, a file of mode 0600", layers[n].name);
  return hf_secret_new(layers[n].pin, layers[n].pin_len, &options->pin);
}

/* No environment that others may see keeps a PIN: what the variable holds goes the way of other PINs. */
static hf_err take_variable(const char *source, struct options_given *given, struct hf_secret **ret_pin)
{
  if (!given->source || strcmp(given->source, source) != 0) {
    struct hf_secret *pin;
    HF_TRY(hf_pin_source_read(source, &pin));
    hf_secret_free(given->source_pin);
    given->source_pin = pin;
    HF_TRY(keep(source, &given->source));
    char *value = getenv(source + sizeof("env:") - 1);
    if (value)
      hf_wipe(value, strlen(value));
    unsetenv(source + sizeof("env:") - 1);
  }
  return hf_secret_new(hf_secret_data(given->source_pin), hf_secret_len(given->source_pin), ret_pin);
}

static hf_err resolve_pin_source(struct options_given *given, struct options *options)
{
  const char *source = options->values[OPTION_PIN_SOURCE];
  const char *dir = getenv("CREDENTIALS_DIRECTORY");
  char path[PATH_MAX];
  if (!source && !options->pin && dir) {
    snprintf(path, sizeof(path), "%s/pin", dir);
    if (access(path, F_OK) == 0)
      return keep("credential:pin", &options->values[OPTION_PIN_SOURCE]);
  }
  if (!source || strncmp(source, "env:", 4) != 0)
    return HF_OK;
  HF_TRY(take_variable(source, given, &options->pin));
  return keep(NULL, &options->values[OPTION_PIN_SOURCE]);
}

/* Holdfast's own token, installed or built beside the agent. */
static hf_err default_module(struct options *options)
{
  static const char *const places[] = {
    "../" AGENT_LIBDIR "/pkcs11/libholdfast-token.so",
    "../lib/pkcs11/libholdfast-token.so",
    "../token/libholdfast-token.so",
  };
  char path[PATH_MAX];
  if (options->values[OPTION_MODULE_PATH])
    return HF_OK;
  hf_err e = hf_file_beside_program(places, HF_ARRAY_LEN(places), path, sizeof(path));
  if (hf_failed(e))
    return hf_hint(hf_fail(HF_ERR_MODULE_LOAD, "no module is named, and %s is not there", hf_err_context()),
                   "Name the HSM's module: --module-path, or device.cryptoki.module_path in the configuration.");
  return keep(path, &options->values[OPTION_MODULE_PATH]);
}

static const struct {
  enum option option;
  unsigned long min;
  bool size; /* K, M or G may follow */
} numbers[] = {
  { OPTION_CALL_DEADLINE, 0, false }, { OPTION_MEMORY_LIMIT, 0, true },    { OPTION_MAX_CONNECTIONS, 1, false },
  { OPTION_MAX_PER_USER, 1, false },  { OPTION_CLIENT_TIMEOUT, 1, false }, { OPTION_IDLE_EXIT, 0, false },
};

static hf_err check_numbers(const struct options *options)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(numbers); i++) {
    const char *text = options->values[numbers[i].option];
    size_t digits = strspn(text, "0123456789");
    bool unit = numbers[i].size && digits > 0 && text[digits] && strchr("KMG", text[digits]) && !text[digits + 1];
    if (digits > 0 && digits < 10 && (!text[digits] || unit) && strtoul(text, NULL, 10) >= numbers[i].min)
      continue;
    hf_err e = hf_fail(HF_ERR_USAGE, "--%s %s is no number%s", rows[numbers[i].option].name, text,
                       numbers[i].min ? " above 0" : "");
    return hf_hint(e, "%s", numbers[i].size ? "Write it like 256M, or 0." : "Write it in digits.");
  }
  return HF_OK;
}

static const char *const level_names[] = {
  [HF_LOG_ERROR] = "error",
  [HF_LOG_WARNING] = "warn",
  [HF_LOG_INFO] = "info",
  [HF_LOG_DEBUG] = "debug",
};

static hf_err check(const struct options *options)
{
  enum hf_log_level level;
  enum audit_target target;
  HF_TRY(check_numbers(options));
  HF_TRY(audit_target_parse(options->values[OPTION_AUDIT], &target));
  return options_log_level(options, &level);
}

hf_err options_log_level(const struct options *options, enum hf_log_level *ret_level)
{
  const char *name = options->values[OPTION_LOG_LEVEL];
  for (size_t i = 0; i < HF_ARRAY_LEN(level_names); i++)
    if (strncasecmp(level_names[i], name, strlen(level_names[i])) == 0) {
      *ret_level = (enum hf_log_level)i;
      return HF_OK;
    }
  if (strcasecmp(name, "trace") == 0) {
    *ret_level = HF_LOG_DEBUG;
    return HF_OK;
  }
  return hf_hint(hf_fail(HF_ERR_USAGE, "there is no log level '%s'", name), "It is error, warn, info, debug or trace.");
}

static hf_err load(struct options_given *given, struct options *options)
{
  struct layer layers[5] = { { .name = "the command line" }, { .name = "the environment" } };
  layer_of_given(given->args, given->args_pin, &layers[0]);
  layer_of_given(given->env, given->env_pin, &layers[1]);
  HF_CLEANUP(options_file_free) struct options_file file = { 0 };
  if (given->args[OPTION_ENV_FILE]) {
    HF_TRY(options_file_read(given->args[OPTION_ENV_FILE], &file));
    layers[2].name = given->args[OPTION_ENV_FILE];
    HF_TRY(layer_of_env_file(&file, &layers[2], options));
  }
  HF_CLEANUP(config_freep) struct config *config = NULL;
  HF_TRY(read_config(given, &config));
  if (config) {
    layers[3].name = config_path(config);
    layer_of_config(config, &layers[3]);
  }
  HF_CLEANUP(options_toml_free) struct options_toml toml = { 0 };
  char toml_path[PATH_MAX];
  HF_TRY(read_toml(given, toml_path, sizeof(toml_path), &toml));
  layers[4].name = toml_path;
  layer_of_toml(&toml, &layers[4]);
  HF_TRY(merge_values(layers, HF_ARRAY_LEN(layers), options));
  HF_TRY(merge_pin(layers, HF_ARRAY_LEN(layers), options));
  HF_TRY(resolve_pin_source(given, options));
  HF_TRY(default_module(options));
  return check(options);
}

hf_err options_load(struct options_given *given, struct options *ret_options)
{
  struct options options = { 0 };
  hf_err e = load(given, &options);
  if (hf_failed(e)) {
    options_free(&options);
    return e;
  }
  *ret_options = options;
  return HF_OK;
}

const char *options_get(const struct options *options, enum option option)
{
  return options->values[option];
}

unsigned long options_number(const struct options *options, enum option option)
{
  char *end;
  unsigned long number = strtoul(options->values[option], &end, 10);
  switch (*end) {
  case 'K':
    return number << 10;
  case 'M':
    return number << 20;
  case 'G':
    return number << 30;
  default:
    return number;
  }
}

/* Length 0 stands for none: an empty value is none. */
static hf_err pack_bytes(const void *data, size_t len, struct hf_buf *out)
{
  HF_TRY(hf_buf_add_u32(out, (uint32_t)len));
  return hf_buf_add(out, data, len);
}

static hf_err pack_text(const char *text, struct hf_buf *out)
{
  return pack_bytes(text, text ? strlen(text) : 0, out);
}

hf_err options_pack(const struct options *options, struct hf_buf *out)
{
  for (enum option i = 0; i < OPTION_COUNT; i++)
    HF_TRY(pack_text(options->values[i], out));
  const struct hf_secret *pin = options->pin;
  return pack_bytes(pin ? hf_secret_data(options->pin) : NULL, pin ? hf_secret_len(pin) : 0, out);
}

static hf_err unpack_bytes(struct hf_slice *in, struct hf_slice *ret_bytes)
{
  uint32_t len;
  const uint8_t *data;
  HF_TRY(hf_take_u32(in, &len));
  HF_TRY(hf_take(in, len, &data));
  *ret_bytes = hf_slice(data, len);
  return HF_OK;
}

static hf_err unpack(struct hf_slice *in, struct options *options)
{
  struct hf_slice bytes;
  for (enum option i = 0; i < OPTION_COUNT; i++) {
    HF_TRY(unpack_bytes(in, &bytes));
    if (bytes.len && !(options->values[i] = strndup((const char *)bytes.data, bytes.len)))
      return hf_fail(HF_ERR_NO_MEMORY, "the options");
  }
  HF_TRY(unpack_bytes(in, &bytes));
  return bytes.len ? hf_secret_new(bytes.data, bytes.len, &options->pin) : HF_OK;
}

hf_err options_unpack(struct hf_slice *in, struct options *ret_options)
{
  struct options options = { 0 };
  hf_err e = unpack(in, &options);
  if (hf_failed(e)) {
    options_free(&options);
    return e;
  }
  *ret_options = options;
  return HF_OK;
}

bool options_same_worker(const struct options *a, const struct options *b)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf left = HF_BUF(OPTIONS_MESSAGE_MAX);
  HF_CLEANUP(hf_buf_free) struct hf_buf right = HF_BUF(OPTIONS_MESSAGE_MAX);
  if (hf_failed(options_pack(a, &left)) || hf_failed(options_pack(b, &right)) ||
      a->module_env_count != b->module_env_count)
    return false;
  for (size_t i = 0; i < a->module_env_count; i++)
    if (strcmp(a->module_env[i], b->module_env[i]) != 0)
      return false;
  return hf_slice_equal(hf_slice(left.data, left.len), hf_slice(right.data, right.len));
}

void options_help(FILE *out)
{
  fputs("Usage: holdfast-agent [OPTIONS]\n\n"
        "The key agent: the one process that holds the HSM's PIN. Serves thin-edge.io's signing protocol in place of\n"
        "tedge-p11-server, and PKCS #11 to any program that loads p11-kit-client.so.\n\n",
        out);
  for (enum option i = 0; i < OPTION_COUNT; i++) {
    char left[64];
    snprintf(left, sizeof(left), "--%s %s", rows[i].name, rows[i].value);
    fprintf(out, "  %-26s %s\n", left, rows[i].help);
    if (rows[i].standard)
      fprintf(out, "  %-26s (default: %s)\n", "", rows[i].standard);
    if (rows[i].env)
      fprintf(out, "  %-26s [%s]\n", "", rows[i].env);
  }
  fputs("  --help                     this text\n  --version                  the version\n\n"
        "Example:\n  holdfast-agent --module-path /usr/lib/softhsm/libsofthsm2.so --pin-source /etc/holdfast/pin\n",
        out);
}
