/* SPDX-License-Identifier: Apache-2.0 */
#include "config/tree.h"

#include "base/secret.h"

enum { KEY_MAX = 256, DEPTH_MAX = 8 };

const char *tree_text(const json_t *value)
{
  if (json_is_boolean(value))
    return json_is_true(value) ? "true" : "false";
  return json_string_value(value);
}

/* The next part of a dotted key into out; what follows it, or NULL at the end. */
static const char *next_part(const char *key, char out[KEY_MAX])
{
  size_t len = strcspn(key, ".");
  snprintf(out, KEY_MAX, "%.*s", (int)len, key);
  return key[len] ? key + len + 1 : NULL;
}

json_t *tree_find(const json_t *root, const char *key)
{
  const json_t *at = root;
  char part[KEY_MAX];
  while (key && at) {
    key = next_part(key, part);
    at = json_object_get(at, part);
  }
  return (json_t *)at;
}

hf_err tree_put(json_t *root, const char *key, json_t *leaf)
{
  char part[KEY_MAX];
  const char *rest = next_part(key, part);
  if (!rest)
    return json_object_set(root, part, leaf) == 0 ? HF_OK : hf_fail(HF_ERR_NO_MEMORY, "%s", key);
  json_t *child = json_object_get(root, part);
  if (!child) {
    child = json_object();
    if (json_object_set_new(root, part, child) != 0)
      return hf_fail(HF_ERR_NO_MEMORY, "%s", key);
  }
  return tree_put(child, rest, leaf);
}

hf_err tree_remove(json_t *root, const char *key)
{
  char part[KEY_MAX];
  const char *rest = next_part(key, part);
  json_t *child = json_object_get(root, part);
  if (!child)
    return HF_OK;
  if (rest) {
    HF_TRY(tree_remove(child, rest));
    if (json_object_size(child) > 0)
      return HF_OK;
  }
  return json_object_del(root, part) == 0 ? HF_OK : hf_fail(HF_ERR_INTERNAL, "removing %s", key);
}

void tree_wipe(json_t *root, const char *key)
{
  const json_t *leaf = tree_find(root, key);
  if (json_is_string(leaf))
    hf_wipe((char *)json_string_value(leaf), json_string_length(leaf));
}

static hf_err walk(json_t *object, const char *prefix, int depth, tree_fn fn, void *arg)
{
  const char *name;
  json_t *value;
  json_object_foreach (object, name, value) {
    char key[KEY_MAX];
    if (strchr(name, '.'))
      return hf_hint(hf_fail(HF_ERR_CONFIG, "the name '%s' has a dot in it", name),
                     "Write {\"device\": {\"id\": ...}} for device.id.");
    if ((size_t)snprintf(key, sizeof(key), "%s%s%s", prefix, prefix[0] ? "." : "", name) >= sizeof(key))
      return hf_fail(HF_ERR_CONFIG, "the key %s... is longer than %d bytes", prefix, KEY_MAX);
    HF_TRY(json_is_object(value) && depth < DEPTH_MAX ? walk(value, key, depth + 1, fn, arg) : fn(key, value, arg));
  }
  return HF_OK;
}

hf_err tree_walk(json_t *root, tree_fn fn, void *arg)
{
  return walk(root, "", 0, fn, arg);
}
