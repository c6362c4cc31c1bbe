/* SPDX-License-Identifier: Apache-2.0 */
#include "config/greengrass.h"

#include "config/check.h"
#include "config/greengrass_private.h"
#include "config/json_line.h"
#include "config/tree.h"
#include "uri/uri.h"

#include <errno.h>
#include <stdarg.h>

bool greengrass_is(const json_t *root)
{
  return json_object_get(root, "crypto") || json_object_get(root, "coreThing");
}

const json_t *greengrass_find(const struct greengrass *gg, const char *path)
{
  return tree_find(gg->root, path);
}

/* NULL where there are too many already. */
static hf_err add_problem(struct greengrass *gg, enum greengrass_severity severity, const char *key, unsigned line,
                          struct greengrass_problem **ret_problem)
{
  *ret_problem = NULL;
  if (gg->count == GREENGRASS_PROBLEMS_MAX)
    return HF_OK;
  struct greengrass_problem *more = reallocarray(gg->problems, gg->count + 1, sizeof(*more));
  if (!more)
    return hf_fail(HF_ERR_NO_MEMORY, "%s", gg->path);
  gg->problems = more;
  more[gg->count] = (struct greengrass_problem){ .severity = severity, .line = line };
  snprintf(more[gg->count].key, sizeof(more->key), "%s", key);
  *ret_problem = &more[gg->count++];
  return HF_OK;
}

hf_err greengrass_tell(struct greengrass *gg, enum greengrass_severity severity, const char *key, const char *hint,
                       const char *fmt, ...)
{
  struct greengrass_problem *problem;
  va_list args;
  HF_TRY(add_problem(gg, severity, key, json_line(gg->text, key), &problem));
  if (!problem)
    return HF_OK;
  snprintf(problem->hint, sizeof(problem->hint), "%s", hint ? hint : "");
  va_start(args, fmt);
  vsnprintf(problem->text, sizeof(problem->text), fmt, args);
  va_end(args);
  return HF_OK;
}

hf_err greengrass_set(struct greengrass *gg, const struct greengrass_field *field, enum config_key key,
                      const char *value)
{
  const char *must_be = config_check(config_row(key), value);
  if (must_be)
    return greengrass_tell(gg, GREENGRASS_ERROR, field->path, config_row(key)->help, "must lead to %s for %s", must_be,
                           config_row(key)->key);
  char *copy = strdup(value);
  if (!copy)
    return hf_fail(HF_ERR_NO_MEMORY, "%s", gg->path);
  if (gg->values[key])
    hf_wipe(gg->values[key], strlen(gg->values[key]));
  free(gg->values[key]);
  gg->values[key] = copy;
  gg->origins[key] = field->path;
  gg->lines[key] = json_line(gg->text, field->path);
  return HF_OK;
}

/* Shapes */

static bool is_object(const struct greengrass_field *field, const json_t *value)
{
  (void)field;
  return json_is_object(value);
}

static bool is_text(const struct greengrass_field *field, const json_t *value)
{
  (void)field;
  return json_string_length(value) > 0;
}

static bool is_number(const struct greengrass_field *field, const json_t *value)
{
  json_int_t number = json_integer_value(value);
  return json_is_integer(value) && number >= field->min && number <= field->max;
}

static bool is_bool(const struct greengrass_field *field, const json_t *value)
{
  (void)field;
  return json_is_boolean(value);
}

static bool is_yes_no(const struct greengrass_field *field, const json_t *value)
{
  (void)field;
  const char *text = json_string_value(value);
  return text && (strcmp(text, "yes") == 0 || strcmp(text, "no") == 0);
}

static bool is_any(const struct greengrass_field *field, const json_t *value)
{
  (void)field;
  return value;
}

static const struct {
  bool (*is)(const struct greengrass_field *field, const json_t *value);
  const char *must_be;
} shapes[] = {
  [GREENGRASS_OBJECT] = { is_object, "must be an object: {...}" },
  [GREENGRASS_STRING] = { is_text, "must be a string that is not empty" },
  [GREENGRASS_NUMBER] = { is_number, "must be a whole number" },
  [GREENGRASS_BOOL] = { is_bool, "must be true or false" },
  [GREENGRASS_YES_NO] = { is_yes_no, "must be \"yes\" or \"no\"" },
  [GREENGRASS_ANY] = { is_any, "" },
};

static hf_err tell_shape(struct greengrass *gg, const struct greengrass_field *field)
{
  const char *must_be = shapes[field->shape].must_be;
  if (field->shape == GREENGRASS_NUMBER)
    return greengrass_tell(gg, GREENGRASS_ERROR, field->path, NULL, "%s, %lld to %lld", must_be, field->min,
                           field->max);
  return greengrass_tell(gg, GREENGRASS_ERROR, field->path, NULL, "%s", must_be);
}

/* Fields */

static bool means_nothing(const struct greengrass *gg, const struct greengrass_field *field)
{
  return field->need == GREENGRASS_WITHOUT_CRYPTO && gg->crypto;
}

static bool is_needed(const struct greengrass *gg, const struct greengrass_field *field)
{
  const bool needed[] = { [GREENGRASS_OPTIONAL] = false,
                          [GREENGRASS_REQUIRED] = true,
                          [GREENGRASS_WITH_CRYPTO] = gg->crypto,
                          [GREENGRASS_WITHOUT_CRYPTO] = !gg->crypto,
                          [GREENGRASS_WITH_PKCS11] = gg->pkcs11 };
  return needed[field->need];
}

/* Where its object is none, that has been told. */
static bool has_place(const struct greengrass *gg, const char *path)
{
  char parent[GREENGRASS_KEY_MAX];
  const char *dot = strrchr(path, '.');
  if (!dot)
    return true;
  snprintf(parent, sizeof(parent), "%.*s", (int)(dot - path), path);
  return json_is_object(greengrass_find(gg, parent));
}

static hf_err read_field(struct greengrass *gg, const struct greengrass_field *field)
{
  const json_t *value = greengrass_find(gg, field->path);
  if (!value && is_needed(gg, field) && has_place(gg, field->path))
    return greengrass_tell(gg, GREENGRASS_ERROR, field->path, NULL, "is missing");
  if (!value)
    return HF_OK;
  if (means_nothing(gg, field))
    return greengrass_tell(gg, GREENGRASS_NOTE, field->path, NULL, "means nothing beside \"crypto\", as in Greengrass");
  if (!shapes[field->shape].is(field, value))
    return tell_shape(gg, field);
  if (field->note)
    HF_TRY(greengrass_tell(gg, GREENGRASS_NOTE, field->path, NULL, "%s", field->note));
  return field->take ? field->take(gg, field, value) : HF_OK;
}

static hf_err read_fields(struct greengrass *gg)
{
  for (const struct greengrass_field *field = greengrass_fields; field->path; field++)
    HF_TRY(read_field(gg, field));
  return greengrass_tell_unknown(gg);
}

/* What a Greengrass core always does, told by no key. */
static hf_err set_constants(struct greengrass *gg)
{
  static const struct greengrass_field whole = { .path = "coreThing" };
  HF_TRY(greengrass_set(gg, &whole, CONFIG_AWS_BRIDGE_ENABLED, "true"));
  HF_TRY(greengrass_set(gg, &whole, CONFIG_MQTT_SERVER_ENABLED, "true"));
  if (!gg->values[CONFIG_MQTT_BRIDGE_KEEPALIVE_INTERVAL])
    HF_TRY(greengrass_set(gg, &whole, CONFIG_MQTT_BRIDGE_KEEPALIVE_INTERVAL, "600s"));
  if (!gg->values[CONFIG_MQTT_BRIDGE_RECONNECT_MAXIMUM])
    HF_TRY(greengrass_set(gg, &whole, CONFIG_MQTT_BRIDGE_RECONNECT_MAXIMUM, "60s"));
  return HF_OK;
}

/* Whole */

static int by_line(const void *a, const void *b)
{
  const struct greengrass_problem *x = a, *y = b;
  if (x->line != y->line)
    return x->line < y->line ? -1 : 1;
  return strcmp(x->key, y->key);
}

/* "/greengrass" of "/greengrass/config/config.json". */
static void find_folder(struct greengrass *gg)
{
  snprintf(gg->folder, sizeof(gg->folder), "%s", gg->path);
  for (int i = 0; i < 2; i++) {
    char *slash = strrchr(gg->folder, '/');
    if (slash)
      *slash = '\0';
  }
}

static void sort(struct greengrass *gg)
{
  if (gg->count)
    qsort(gg->problems, gg->count, sizeof(*gg->problems), by_line);
}

hf_err greengrass_look(struct greengrass *gg)
{
  static const enum config_key files[] = { CONFIG_DEVICE_CERT_PATH,    CONFIG_DEVICE_KEY_PATH,
                                           CONFIG_AWS_ROOT_CERT_PATH,  CONFIG_DEVICE_CRYPTOKI_MODULE_PATH,
                                           CONFIG_MQTT_SERVER_KEY_URI, CONFIG_SECRETS_KEY_URI };
  for (size_t i = 0; i < HF_ARRAY_LEN(files); i++) {
    struct greengrass_problem *problem;
    const char *path = gg->values[files[i]];
    if (!path || path[0] != '/' || access(path, R_OK) == 0)
      continue;
    int error = errno;
    HF_TRY(add_problem(gg, GREENGRASS_ERROR, gg->origins[files[i]], gg->lines[files[i]], &problem));
    if (problem)
      snprintf(problem->text, sizeof(problem->text), "leads to %.400s: %s", path, strerror(error));
  }
  sort(gg);
  return HF_OK;
}

static bool any_in_hsm(const json_t *root)
{
  const char *name;
  json_t *principal;
  json_object_foreach (tree_find(root, "crypto.principals"), name, principal) {
    const char *path = json_string_value(json_object_get(principal, "privateKeyPath"));
    if (path && uri_is_pkcs11(path))
      return true;
  }
  return false;
}

hf_err greengrass_read(const json_t *root, struct hf_slice text, const char *path, struct greengrass **ret_greengrass)
{
  HF_CLEANUP(greengrass_freep) struct greengrass *gg = calloc(1, sizeof(*gg));
  if (!gg)
    return hf_fail(HF_ERR_NO_MEMORY, "%s", path);
  gg->root = root;
  gg->text = text;
  gg->crypto = json_object_get(root, "crypto");
  gg->pkcs11 = any_in_hsm(root);
  snprintf(gg->path, sizeof(gg->path), "%s", path);
  find_folder(gg);
  HF_TRY(read_fields(gg));
  HF_TRY(set_constants(gg));
  sort(gg);
  gg->root = NULL;
  gg->text = (struct hf_slice){ 0 };
  *ret_greengrass = HF_TAKE(gg);
  return HF_OK;
}

struct greengrass *greengrass_free(struct greengrass *greengrass)
{
  if (!greengrass)
    return NULL;
  for (enum config_key key = 0; key < CONFIG_KEY_COUNT; key++) {
    if (greengrass->values[key])
      hf_wipe(greengrass->values[key], strlen(greengrass->values[key]));
    free(greengrass->values[key]);
  }
  free(greengrass->problems);
  free(greengrass);
  return NULL;
}

size_t greengrass_problem_count(const struct greengrass *greengrass)
{
  return greengrass->count;
}

const struct greengrass_problem *greengrass_problem(const struct greengrass *greengrass, size_t i)
{
  return &greengrass->problems[i];
}

hf_err greengrass_first(const struct greengrass *greengrass, enum greengrass_severity severity)
{
  for (size_t i = 0; i < greengrass->count; i++) {
    const struct greengrass_problem *problem = &greengrass->problems[i];
    if (problem->severity != severity)
      continue;
    hf_err e =
        hf_fail(HF_ERR_CONFIG, "%s, line %u: %s %s", greengrass->path, problem->line, problem->key, problem->text);
    return problem->hint[0] ? hf_hint(e, "%s", problem->hint)
                            : hf_hint(e, "'holdfast core check-config' tells all that is wrong with the file.");
  }
  return HF_OK;
}

const char *greengrass_get(const struct greengrass *greengrass, enum config_key key)
{
  return greengrass->values[key];
}

const char *greengrass_origin(const struct greengrass *greengrass, enum config_key key, unsigned *ret_line)
{
  if (greengrass->values[key])
    *ret_line = greengrass->lines[key];
  return greengrass->values[key] ? greengrass->origins[key] : NULL;
}

void greengrass_wipe(json_t *root)
{
  tree_wipe(root, "crypto.PKCS11.slotUserPin");
  tree_wipe(root, "coreThing.networkProxy.proxy.password");
}
