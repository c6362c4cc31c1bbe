/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include "base/file.h"
#include "config/check.h"
#include "config/greengrass.h"
#include "config/location.h"
#include "config/tree.h"

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>

enum { FILE_MAX_BYTES = 1024 * 1024 };

struct config {
  char *path;
  json_t *file;                  /* as it is written */
  json_t *root;                  /* our keys in it; borrowed */
  struct greengrass *greengrass; /* what the rest of it says, where it is Greengrass's; NULL: it is ours */
  char *warning;
  int lock; /* the directory's; -1 where the file was opened for reading alone */
};

static const struct config_row rows[CONFIG_KEY_COUNT] = {
#define CONFIG_ROW(id, key, type, default_value, choices, help) \
  [CONFIG_##id] = { key, CONFIG_TYPE_##type, default_value, choices, help },
  CONFIG_TABLE(CONFIG_ROW)
#undef CONFIG_ROW
};

const struct config_row *config_row(enum config_key key)
{
  return &rows[key];
}

bool config_is_secret(enum config_key key)
{
  return rows[key].type == CONFIG_TYPE_SECRET;
}

hf_err config_key_find(const char *name, enum config_key *ret_key)
{
  for (enum config_key key = 0; key < CONFIG_KEY_COUNT; key++)
    if (strcmp(rows[key].key, name) == 0) {
      *ret_key = key;
      return HF_OK;
    }
  return hf_hint(hf_fail(HF_ERR_USAGE, "no configuration key is named '%s'", name),
                 "Did you mean %s? 'holdfast config list --doc' lists them all.", config_nearest(name));
}

/* A value of the file, against its row. Values are never shown: they may hold a PIN. */
static hf_err check_entry(const char *name, const json_t *value, void *arg)
{
  const struct config *config = arg;
  enum config_key key;
  if (hf_failed(config_key_find(name, &key)))
    return hf_hint(hf_fail(HF_ERR_CONFIG, "%s: no configuration key is named '%s'", config->path, name),
                   "Did you mean %s? 'holdfast config list --doc' lists them all.", config_nearest(name));
  const char *text = tree_text(value);
  if (!text)
    return hf_fail(HF_ERR_CONFIG, "%s: %s must be a JSON string%s", config->path, name,
                   rows[key].type == CONFIG_TYPE_BOOL ? ", or true or false" : "");
  const char *must_be = config_check(&rows[key], text);
  return must_be ? hf_fail(HF_ERR_CONFIG, "%s: %s must be %s", config->path, name, must_be) : HF_OK;
}

/* Our own keys have an object of their own there, which may be empty. */
static hf_err read_greengrass(struct config *config, const struct hf_buf *text)
{
  HF_TRY(greengrass_read(config->file, hf_slice(text->data, text->len), config->path, &config->greengrass));
  config->root = json_object_get(config->file, GREENGRASS_OWN);
  if (json_is_object(config->root))
    return HF_OK;
  config->root = json_object();
  return json_object_set_new(config->file, GREENGRASS_OWN, config->root) == 0
             ? HF_OK
             : hf_fail(HF_ERR_NO_MEMORY, "%s", config->path);
}

static hf_err parse(struct config *config, struct hf_buf *text)
{
  const char *json = hf_buf_str(text);
  if (!json)
    return hf_fail(HF_ERR_NO_MEMORY, "%s", config->path);
  json_error_t error;
  config->file = config->root = json_loadb(json, text->len, JSON_REJECT_DUPLICATES, &error);
  if (!config->root) {
    /* What stands "near" is the file's own text and may be the PIN. */
    char *near = strstr(error.text, " near ");
    if (near)
      *near = '\0';
    return hf_hint(
        hf_fail(HF_ERR_CONFIG, "%s, line %d, column %d: %s", config->path, error.line, error.column, error.text),
        "Correct the JSON there.");
  }
  if (!json_is_object(config->root))
    return hf_fail(HF_ERR_CONFIG, "%s must hold one JSON object", config->path);
  if (greengrass_is(config->file))
    HF_TRY(read_greengrass(config, text));
  return tree_walk(config->root, check_entry, config);
}

/* By whether others may read the file, and whether it holds the PIN; a Greengrass file cannot but hold it. */
static const char *warning_of(bool open, bool pin, bool greengrass)
{
  if (open)
    return pin ? "holds the PIN, and others may read it: 'chmod 600' it" : "can be read by others: 'chmod 600' it";
  return pin && !greengrass ? "holds the PIN; device.cryptoki.pin_source is safer" : NULL;
}

static hf_err warn(struct config *config)
{
  struct stat st;
  bool open = stat(config->path, &st) == 0 && (st.st_mode & S_IRWXO);
  const char *text = warning_of(open, config_is_set(config, CONFIG_DEVICE_CRYPTOKI_PIN), config->greengrass);
  if (!text || asprintf(&config->warning, "%s %s", config->path, text) >= 0)
    return HF_OK;
  config->warning = NULL;
  return hf_fail(HF_ERR_NO_MEMORY, "%s", config->path);
}

static hf_err read_file(struct config *config, bool must_exist)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(FILE_MAX_BYTES);
  hf_err e = hf_file_read(config->path, &text);
  if (e.code == HF_ERR_NOT_FOUND && !must_exist) {
    config->file = config->root = json_object();
    return config->root ? HF_OK : hf_fail(HF_ERR_NO_MEMORY, "%s", config->path);
  }
  if (e.code == HF_ERR_NOT_FOUND)
    return hf_hint(e, "Check --config; 'holdfast config set' makes a new file.");
  HF_TRY(e);
  HF_TRY(parse(config, &text));
  return warn(config);
}

static hf_err new_config(const char *path, struct config **ret_config, bool *ret_named)
{
  HF_CLEANUP(config_freep) struct config *config = calloc(1, sizeof(*config));
  if (!config)
    return hf_fail(HF_ERR_NO_MEMORY, "the configuration");
  config->lock = -1;
  HF_TRY(location_find(path, &config->path, ret_named));
  *ret_config = HF_TAKE(config);
  return HF_OK;
}

hf_err config_examine(const char *path, bool look, struct config **ret_config)
{
  HF_CLEANUP(config_freep) struct config *config = NULL;
  bool named = false;
  HF_TRY(new_config(path, &config, &named));
  HF_TRY(read_file(config, named));
  if (look && config->greengrass)
    HF_TRY(greengrass_look(config->greengrass));
  *ret_config = HF_TAKE(config);
  return HF_OK;
}

static hf_err check_greengrass(const struct config *config)
{
  return config->greengrass ? greengrass_first(config->greengrass, GREENGRASS_ERROR) : HF_OK;
}

hf_err config_load(const char *path, struct config **ret_config)
{
  HF_CLEANUP(config_freep) struct config *config = NULL;
  HF_TRY(config_examine(path, false, &config));
  HF_TRY(check_greengrass(config));
  *ret_config = HF_TAKE(config);
  return HF_OK;
}

hf_err config_open(const char *path, struct config **ret_config)
{
  HF_CLEANUP(config_freep) struct config *config = NULL;
  bool named = false;
  HF_TRY(new_config(path, &config, &named));
  HF_TRY(location_lock(config->path, &config->lock));
  hf_file_tidy(config->path);
  HF_TRY(read_file(config, false));
  HF_TRY(check_greengrass(config));
  *ret_config = HF_TAKE(config);
  return HF_OK;
}

struct config *config_free(struct config *config)
{
  if (!config)
    return NULL;
  for (enum config_key key = 0; key < CONFIG_KEY_COUNT; key++)
    if (config_is_secret(key))
      tree_wipe(config->root, rows[key].key);
  greengrass_wipe(config->file);
  json_decref(config->file);
  greengrass_free(config->greengrass);
  hf_closep(&config->lock);
  free(config->warning);
  free(config->path);
  free(config);
  return NULL;
}

const char *config_path(const struct config *config)
{
  return config->path;
}

const char *config_warning(const struct config *config)
{
  return config->warning;
}

const struct greengrass *config_greengrass(const struct config *config)
{
  return config->greengrass;
}

hf_err config_usable(const struct config *config)
{
  return config->greengrass ? greengrass_first(config->greengrass, GREENGRASS_REFUSED) : HF_OK;
}

static const char *greengrass_value(const struct config *config, enum config_key key)
{
  return config->greengrass ? greengrass_get(config->greengrass, key) : NULL;
}

/* Where the file itself says it, among our own keys. */
static const json_t *own_value(const struct config *config, enum config_key key)
{
  return tree_find(config->root, rows[key].key);
}

const char *config_get(const struct config *config, enum config_key key)
{
  const json_t *own = own_value(config, key);
  const char *value = own ? tree_text(own) : greengrass_value(config, key);
  return value ? value : rows[key].default_value;
}

void config_where(const struct config *config, enum config_key key, char *out, size_t size)
{
  unsigned line = 0;
  bool own = own_value(config, key) || !config->greengrass;
  const char *origin = own ? NULL : greengrass_origin(config->greengrass, key, &line);
  if (origin)
    snprintf(out, size, "%s, line %u: %s", config->path, line, origin);
  else
    snprintf(out, size, "%s: %s", config->path, rows[key].key);
}

bool config_get_bool(const struct config *config, enum config_key key)
{
  const char *value = config_get(config, key);
  return value && strcmp(value, "true") == 0;
}

uint64_t config_get_number(const struct config *config, enum config_key key)
{
  const char *value = config_get(config, key);
  uint64_t number = 0;
  return value && config_number(rows[key].type, value, &number) ? number : 0;
}

bool config_is_set(const struct config *config, enum config_key key)
{
  return own_value(config, key) || greengrass_value(config, key);
}

hf_err config_require(const struct config *config, enum config_key key, const char **ret_value)
{
  const char *value = config_get(config, key);
  if (!value)
    return hf_hint(hf_fail(HF_ERR_CONFIG, "%s is not set in %s", rows[key].key, config->path),
                   "Set it: 'holdfast config set %s VALUE'.", rows[key].key);
  *ret_value = value;
  return HF_OK;
}

static hf_err remove_own(struct config *config, enum config_key key)
{
  if (config_is_secret(key))
    tree_wipe(config->root, rows[key].key);
  return tree_remove(config->root, rows[key].key);
}

hf_err config_set(struct config *config, enum config_key key, const char *value)
{
  const char *must_be = config_check(&rows[key], value);
  if (must_be)
    return hf_hint(hf_fail(HF_ERR_USAGE, "%s must be %s", rows[key].key, must_be), "%s.", rows[key].help);
  bool is_bool = rows[key].type == CONFIG_TYPE_BOOL;
  HF_CLEANUP(json_decrefp) json_t *leaf = is_bool ? json_boolean(strcmp(value, "true") == 0) : json_string(value);
  if (!leaf)
    return hf_hint(hf_fail(HF_ERR_USAGE, "%s must be UTF-8", rows[key].key), "%s.", rows[key].help);
  HF_TRY(remove_own(config, key));
  return tree_put(config->root, rows[key].key, leaf);
}

hf_err config_unset(struct config *config, enum config_key key)
{
  char where[PATH_MAX];
  bool own = own_value(config, key);
  if (own || !greengrass_value(config, key))
    return remove_own(config, key);
  config_where(config, key, where, sizeof(where));
  return hf_hint(hf_fail(HF_ERR_USAGE, "%s is what the Greengrass file says (%s)", rows[key].key, where),
                 "Change it there; or set %s, which goes before it.", rows[key].key);
}

static int add_to_buf(const char *text, size_t len, void *arg)
{
  return hf_failed(hf_buf_add(arg, text, len)) ? -1 : 0;
}

hf_err config_save(const struct config *config)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(FILE_MAX_BYTES);
  if (json_dump_callback(config->file, add_to_buf, &text, JSON_INDENT(2)) != 0)
    return hf_fail(HF_ERR_LIMIT, "%s would be larger than %zu bytes", config->path, text.max);
  HF_TRY(hf_buf_add_str(&text, "\n"));
  return location_write(config->path, text.data, text.len);
}

hf_err config_module(const struct config *config, char *out, size_t size)
{
  bool socket = strcmp(config_get(config, CONFIG_DEVICE_CRYPTOKI_MODE), "socket") == 0;
  const char *path =
      config_get(config, socket ? CONFIG_DEVICE_CRYPTOKI_PKCS11_SOCKET_PATH : CONFIG_DEVICE_CRYPTOKI_MODULE_PATH);
  int len = snprintf(out, size, "%s%s", socket ? "unix:path=" : "", path ? path : "");
  return len >= 0 && (size_t)len < size ? HF_OK : hf_fail(HF_ERR_LIMIT, "the module's path %.64s...", path);
}

static hf_err put_path(char *out, size_t size, const char *first, const char *rest)
{
  int len = snprintf(out, size, "%s%s", first, rest);
  return len >= 0 && (size_t)len < size ? HF_OK : hf_fail(HF_ERR_LIMIT, "the path %.64s...%s", first, rest);
}

/* The user's own place: below the directory that the variable names, else below their home. */
static hf_err own_path(const char *variable, const char *below_home, const char *rest, char *out, size_t size)
{
  const char *dir = getenv(variable), *home = getenv("HOME");
  if (dir && dir[0] == '/')
    return put_path(out, size, dir, rest);
  char below[PATH_MAX];
  if (!home || home[0] != '/')
    return hf_hint(hf_fail(HF_ERR_CONFIG, "neither $%s nor $HOME is set", variable),
                   "Set data.path and run.path in the configuration.");
  HF_TRY(put_path(below, sizeof(below), home, below_home));
  return put_path(out, size, below, rest);
}

hf_err config_data_path(const struct config *config, char *out, size_t size)
{
  const char *set = config_get(config, CONFIG_DATA_PATH);
  if (set || geteuid() == 0)
    return put_path(out, size, set ? set : CONFIG_SYSTEM_DATA, "");
  return own_path("XDG_DATA_HOME", "/.local/share", "/holdfast", out, size);
}

hf_err config_run_path(const struct config *config, char *out, size_t size)
{
  const char *set = config_get(config, CONFIG_RUN_PATH);
  if (set || geteuid() == 0)
    return put_path(out, size, set ? set : CONFIG_SYSTEM_RUN, "");
  return own_path("XDG_RUNTIME_DIR", "/.local/share/holdfast", "/holdfast", out, size);
}

hf_err config_pin(const struct config *config, struct hf_secret **ret_pin)
{
  const char *source = config_get(config, CONFIG_DEVICE_CRYPTOKI_PIN_SOURCE);
  if (source)
    return hf_pin_source_read(source, ret_pin);
  const char *pin = config_get(config, CONFIG_DEVICE_CRYPTOKI_PIN);
  if (pin)
    return hf_secret_new(pin, strlen(pin), ret_pin);
  return hf_hint(hf_fail(HF_ERR_PIN_MISSING, "neither device.cryptoki.pin_source nor device.cryptoki.pin is set in %s",
                         config->path),
                 "Put the PIN in a file of mode 0600 and set device.cryptoki.pin_source to its path.");
}
