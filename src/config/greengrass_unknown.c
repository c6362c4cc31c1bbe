/* SPDX-License-Identifier: Apache-2.0 */
/* Names that no field has. */
#include "base/text.h"
#include "config/greengrass_private.h"

static const struct greengrass_field *find_field(const char *path)
{
  const struct greengrass_field *field = greengrass_fields;
  while (field->path && strcmp(field->path, path) != 0)
    field++;
  return field->path ? field : NULL;
}

static const char *last_name(const char *path)
{
  const char *dot = strrchr(path, '.');
  return dot ? dot + 1 : path;
}

static bool same_object(const char *a, const char *b)
{
  size_t len = (size_t)(last_name(a) - a);
  return (size_t)(last_name(b) - b) == len && strncmp(a, b, len) == 0;
}

/* The field whose name is nearest: of the same object, else, where the name is all but the same, of another one. */
static const struct greengrass_field *nearest(const char *path)
{
  const struct greengrass_field *best = NULL;
  size_t least = SIZE_MAX;
  const char *name = last_name(path);
  for (const struct greengrass_field *field = greengrass_fields; field->path; field++) {
    const char *its = last_name(field->path);
    size_t distance = strcasecmp(name, its) == 0 ? 0 : hf_text_distance(name, its);
    size_t most = same_object(path, field->path) ? 1 + strlen(its) / 5 : 0;
    distance = 2 * distance + !same_object(path, field->path);
    if (distance / 2 <= most && distance < least) {
      least = distance;
      best = field;
    }
  }
  return best;
}

static hf_err tell(struct greengrass *gg, const char *path)
{
  const struct greengrass_field *meant = nearest(path);
  if (!meant)
    return greengrass_tell(gg, GREENGRASS_WARNING, path, NULL, "is no key of Greengrass's; it is passed over");
  return greengrass_tell(gg, GREENGRASS_WARNING, path, NULL, "is no key of Greengrass's; did you mean %s?",
                         same_object(path, meant->path) ? last_name(meant->path) : meant->path);
}

static hf_err walk(struct greengrass *gg, const json_t *object, const char *prefix)
{
  const char *name;
  json_t *value;
  json_object_foreach ((json_t *)object, name, value) {
    char path[GREENGRASS_KEY_MAX];
    bool fits = (size_t)snprintf(path, sizeof(path), "%s%s%s", prefix, prefix[0] ? "." : "", name) < sizeof(path);
    const struct greengrass_field *field = fits ? find_field(path) : NULL;
    if (!field)
      HF_TRY(tell(gg, path));
    else if (json_is_object(value) && strcmp(path, GREENGRASS_OWN) != 0)
      HF_TRY(walk(gg, value, path));
  }
  return HF_OK;
}

hf_err greengrass_tell_unknown(struct greengrass *gg)
{
  return walk(gg, gg->root, "");
}
