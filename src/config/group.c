/* SPDX-License-Identifier: Apache-2.0 */
#include "config/group.h"

#include "base/file.h"
#include "base/text.h"
#include "mqtt/topic.h"

#include <jansson.h>

struct group {
  json_t *name;   /* NULL: none */
  json_t *things; /* by name: the certificate's fingerprint, or null */
  json_t *list;   /* what routes point into */
  struct group_route *routes;
  size_t route_count;
};

/* Where in a file something is, for errors. */
struct place {
  const char *file, *list; /* "routes" */
  size_t i;                /* from 1 */
};

static struct hf_slice slice_of(const char *text)
{
  return hf_slice(text, strlen(text));
}

static hf_err wrong(const struct place *at, const char *member, const char *must_be)
{
  return hf_hint(
      hf_fail(HF_ERR_CONFIG, "%s: %s, number %zu: %s must be %s", at->file, at->list, at->i, member, must_be),
      "docs/local-server.md describes the file.");
}

static const char *text_of(const json_t *object, const char *member)
{
  const char *text = json_string_value(json_object_get(object, member));
  return text ? text : "";
}

/* Of an object, any member that is not among the names (NULL ends them). */
static const char *find_unknown(json_t *object, const char *const *names)
{
  const char *key;
  json_t *value;
  json_object_foreach (object, key, value) {
    const char *const *name = names;
    while (*name && strcmp(*name, key) != 0)
      name++;
    if (!*name)
      return key;
  }
  return NULL;
}

/* Things */

/* A client id at the broker, and a part of topics and URLs; not one of the bridge's, and none of the words of a route. */
static bool is_thing_name(const char *name)
{
  size_t len = strlen(name);
  if (len == 0 || len > GROUP_NAME_MAX || !hf_is_utf8(slice_of(name)) || strpbrk(name, "/+#$%\"\\"))
    return false;
  for (const char *at = name; *at; at++)
    if ((unsigned char)*at <= 0x20 || *at == 0x7f)
      return false;
  return strcmp(name, GROUP_CLOUD) != 0 && strcmp(name, GROUP_LOCAL) != 0 && strncmp(name, "holdfast-", 9) != 0;
}

static bool is_fingerprint(const char *text)
{
  return strlen(text) == GROUP_FINGERPRINT && strspn(text, "0123456789abcdef") == GROUP_FINGERPRINT;
}

static hf_err add_thing(struct group *group, const struct place *at, json_t *thing)
{
  static const char *const members[] = { "name", "certificate", NULL };
  const char *name = json_is_string(thing) ? json_string_value(thing) : text_of(thing, "name");
  const json_t *certificate = json_object_get(thing, "certificate");
  if (find_unknown(thing, members))
    return wrong(at, "its members", "name and certificate");
  if (!is_thing_name(name))
    return wrong(at, "its name",
                 "1 to 128 printable characters without blanks and /+#$%\"\\, not 'cloud', 'local' or 'holdfast-...'");
  if (certificate && !is_fingerprint(text_of(thing, "certificate")))
    return wrong(at, "its certificate", "the SHA-256 of the certificate's DER, 64 lower-case hex digits");
  if (json_object_get(group->things, name))
    return hf_fail(HF_ERR_CONFIG, "%s: the thing '%s' stands there twice", at->file, name);
  if (json_object_size(group->things) >= GROUP_THINGS_MAX)
    return hf_fail(HF_ERR_CONFIG, "%s: more than %d things", at->file, GROUP_THINGS_MAX);
  json_t *value = certificate ? json_string(text_of(thing, "certificate")) : json_null();
  return json_object_set_new(group->things, name, value) == 0 ? HF_OK : hf_fail(HF_ERR_NO_MEMORY, "the group");
}

/* Routes */

static bool is_end(const struct group *group, const char *name)
{
  return strcmp(name, GROUP_CLOUD) == 0 || strcmp(name, GROUP_LOCAL) == 0 || json_object_get(group->things, name);
}

static hf_err add_route(struct group *group, const struct place *at, json_t *route)
{
  static const char *const members[] = { "source", "target", "topic", NULL };
  const struct group_route row = { text_of(route, "source"), text_of(route, "target"), text_of(route, "topic") };
  if (!json_is_object(route) || find_unknown(route, members))
    return wrong(at, "its members", "source, target and topic");
  if (!is_end(group, row.source))
    return wrong(at, "its source", "one of the things, 'cloud' or 'local'");
  if (!is_end(group, row.target))
    return wrong(at, "its target", "one of the things, 'cloud' or 'local'");
  if (!mqtt_topic_is_filter(slice_of(row.topic)) || row.topic[0] == '$' || strpbrk(row.topic, "\"{"))
    return wrong(at, "its topic", "an MQTT topic filter without '\"' and '{' that does not begin with '$'");
  if (group->route_count >= GROUP_ROUTES_MAX)
    return hf_fail(HF_ERR_CONFIG, "%s: more than %d routes", at->file, GROUP_ROUTES_MAX);
  if (json_array_append(group->list, route) != 0)
    return hf_fail(HF_ERR_NO_MEMORY, "the group");
  group->routes[group->route_count++] = row;
  return HF_OK;
}

/* Files */

typedef hf_err add_fn(struct group *group, const struct place *at, json_t *one);

static hf_err add_all(struct group *group, const char *file, const json_t *document, const char *list, add_fn *add)
{
  const json_t *all = json_object_get(document, list);
  struct place at = { file, list, 0 };
  json_t *one;
  size_t i;
  if (all && !json_is_array(all))
    return hf_fail(HF_ERR_CONFIG, "%s: %s must be a list", file, list);
  json_array_foreach (all, i, one) {
    at.i = i + 1;
    HF_TRY(add(group, &at, one));
  }
  return HF_OK;
}

static hf_err take_name(struct group *group, const char *file, const json_t *document)
{
  json_t *name = json_object_get(document, "name");
  if (!name)
    return HF_OK;
  if (!json_is_string(name) || !is_thing_name(json_string_value(name)))
    return hf_fail(HF_ERR_CONFIG, "%s: name must be a word", file);
  json_decref(group->name);
  group->name = json_incref(name);
  return HF_OK;
}

hf_err group_parse(struct hf_slice text, const char *where, struct group *group)
{
  static const char *const members[] = { "name", "things", "routes", NULL };
  json_error_t error;
  HF_CLEANUP(json_decrefp)
  json_t *document = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, &error);
  if (!document)
    return hf_fail(HF_ERR_CONFIG, "%s: line %d, column %d: %s", where, error.line, error.column, error.text);
  if (!json_is_object(document))
    return hf_fail(HF_ERR_CONFIG, "%s: an object is needed", where);
  const char *unknown = find_unknown(document, members);
  if (unknown)
    return hf_fail(HF_ERR_CONFIG, "%s: there is no '%.64s' in a group; there are name, things and routes", where,
                   unknown);
  HF_TRY(take_name(group, where, document));
  HF_TRY(add_all(group, where, document, "things", add_thing));
  return add_all(group, where, document, "routes", add_route);
}

static hf_err read_into(const char *path, struct group *group)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(GROUP_FILE_MAX);
  HF_TRY(hf_file_read(path, &text));
  return group_parse(hf_slice(text.data, text.len), path, group);
}

hf_err group_new(struct group **ret_group)
{
  HF_CLEANUP(group_freep) struct group *group = calloc(1, sizeof(*group));
  if (!group)
    return hf_fail(HF_ERR_NO_MEMORY, "the group");
  group->things = json_object();
  group->list = json_array();
  group->routes = calloc(GROUP_ROUTES_MAX, sizeof(*group->routes));
  if (!group->things || !group->list || !group->routes)
    return hf_fail(HF_ERR_NO_MEMORY, "the group");
  *ret_group = HF_TAKE(group);
  return HF_OK;
}

struct group *group_free(struct group *group)
{
  if (!group)
    return NULL;
  json_decref(group->name);
  json_decref(group->things);
  json_decref(group->list);
  free(group->routes);
  free(group);
  return NULL;
}

hf_err group_load(const char *things_path, const char *routes_path, struct group **ret_group)
{
  HF_CLEANUP(group_freep) struct group *group = NULL;
  HF_TRY(group_new(&group));
  if (things_path)
    HF_TRY(read_into(things_path, group));
  if (routes_path)
    HF_TRY(read_into(routes_path, group));
  *ret_group = HF_TAKE(group);
  return HF_OK;
}

static json_t *things_json(const struct group *group)
{
  json_t *list = json_array(), *certificate;
  const char *name;
  json_object_foreach (group->things, name, certificate)
    json_array_append_new(list, json_is_null(certificate)
                                    ? json_string(name)
                                    : json_pack("{s:s, s:O}", "name", name, "certificate", certificate));
  return list;
}

hf_err group_format(const struct group *group, struct hf_buf *out)
{
  HF_CLEANUP(json_decrefp)
  json_t *document =
      json_pack("{s:s, s:o, s:O}", "name", group_name(group), "things", things_json(group), "routes", group->list);
  char *text = document ? json_dumps(document, JSON_INDENT(1)) : NULL;
  hf_err e = text ? hf_buf_add_str(out, text) : hf_fail(HF_ERR_NO_MEMORY, "the group");
  free(text);
  return e;
}

/* Asking */

const char *group_name(const struct group *group)
{
  return group->name ? json_string_value(group->name) : "group";
}

size_t group_thing_count(const struct group *group)
{
  return json_object_size(group->things);
}

size_t group_route_count(const struct group *group)
{
  return group->route_count;
}

const struct group_route *group_route(const struct group *group, size_t i)
{
  return &group->routes[i];
}

bool group_has(const struct group *group, const char *thing)
{
  return json_object_get(group->things, thing);
}

bool group_admits(const struct group *group, const char *thing, const char *cn, const char *fingerprint)
{
  const json_t *certificate = json_object_get(group->things, thing);
  if (!certificate)
    return false;
  return json_is_null(certificate) ? strcmp(thing, cn) == 0 : strcmp(json_string_value(certificate), fingerprint) == 0;
}

void group_compare(const struct group *before, const struct group *now, group_thing_fn *fn)
{
  const char *thing;
  json_t *certificate;
  json_object_foreach (before->things, thing, certificate) {
    const json_t *other = json_object_get(now->things, thing);
    if (!other || !json_equal(certificate, other))
      fn(thing);
  }
}

bool group_may_publish(const struct group *group, const char *thing, const char *topic)
{
  for (size_t i = 0; group_has(group, thing) && i < group->route_count; i++)
    if (strcmp(group->routes[i].source, thing) == 0 &&
        mqtt_topic_matches(slice_of(group->routes[i].topic), slice_of(topic)))
      return true;
  return false;
}

bool group_may_receive(const struct group *group, const char *thing, const char *topic)
{
  for (size_t i = 0; group_has(group, thing) && i < group->route_count; i++)
    if (strcmp(group->routes[i].target, thing) == 0 &&
        mqtt_topic_matches(slice_of(group->routes[i].topic), slice_of(topic)))
      return true;
  return false;
}

/* Whether some topic matches both. "a/#" matches "a" as well. */
static bool filters_meet(const char *a, const char *b)
{
  for (;;) {
    size_t m = strcspn(a, "/"), n = strcspn(b, "/");
    if (*a == '#' || *b == '#')
      return true;
    bool any = (m == 1 && *a == '+') || (n == 1 && *b == '+');
    if (!any && (m != n || memcmp(a, b, m) != 0))
      return false;
    a += m;
    b += n;
    if (!*a || !*b)
      return (!*a || strcmp(a, "/#") == 0) && (!*b || strcmp(b, "/#") == 0);
    a++;
    b++;
  }
}

bool group_may_subscribe(const struct group *group, const char *thing, const char *filter)
{
  for (size_t i = 0; group_has(group, thing) && filter[0] != '$' && i < group->route_count; i++)
    if (strcmp(group->routes[i].target, thing) == 0 && filters_meet(group->routes[i].topic, filter))
      return true;
  return false;
}
