/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The group of the local MQTT server: which devices there are, and from whom to whom messages go. JSON:
 *
 *   { "name": "plant-7",
 *     "things": [ "sensor-1", { "name": "lamp-1", "certificate": "<SHA-256 of its DER, hex>" } ],
 *     "routes": [ { "source": "sensor-1", "target": "lamp-1", "topic": "light/#" } ] }
 *
 * source and target are a thing, "cloud" or "local" (programs of this machine). A thing without a certificate is known by its
 * certificate's CN; one with it by that alone, as where AWS issues certificates that all have the same CN: the number is the
 * certificate's id there.
 */
#ifndef HF_CONFIG_GROUP_H
#define HF_CONFIG_GROUP_H

#include "base/buf.h"
#include "base/cleanup.h"

enum {
  GROUP_FILE_MAX = 4 << 20,
  GROUP_THINGS_MAX = 2500, /* what Greengrass allows, too */
  GROUP_ROUTES_MAX = 10000,
  GROUP_NAME_MAX = 128,   /* bytes of a thing's name, as at AWS */
  GROUP_FINGERPRINT = 64, /* hex digits */
};

#define GROUP_CLOUD "cloud"
#define GROUP_LOCAL "local"

struct group;

struct group_route {
  const char *source, *target, *topic; /* topic: a filter */
};

/* Without things, and so without rights. */
hf_err group_new(struct group **ret_group);
struct group *group_free(struct group *group);
HF_DEFINE_CLEANUP(struct group, group_free)

/*
 * Adds what the text says. where: for the error's text. Fails with CONFIG and names line or member: bad JSON, an unknown member, a
 * thing twice, a route of somebody who is not there, a topic that is none. Then the group is of no use.
 */
hf_err group_parse(struct hf_slice text, const char *where, struct group *group);

/* Reads the files; NULL: none. The routes may stand in either. Fails also with NOT_FOUND, PERMISSION, LIMIT. */
hf_err group_load(const char *things_path, const char *routes_path, struct group **ret_group);

/* All of it as one text that group_parse takes; appended. */
hf_err group_format(const struct group *group, struct hf_buf *out);

const char *group_name(const struct group *group); /* "group" where it has none */
size_t group_thing_count(const struct group *group);
size_t group_route_count(const struct group *group);
const struct group_route *group_route(const struct group *group, size_t i);

/* Whether the thing is in the group, and a certificate with this CN and fingerprint (lower-case hex) its own. */
bool group_admits(const struct group *group, const char *thing, const char *cn, const char *fingerprint);
bool group_has(const struct group *group, const char *thing);

/* Calls fn for each thing that is no longer there, or has another certificate. */
typedef void group_thing_fn(const char *thing);
void group_compare(const struct group *before, const struct group *now, group_thing_fn *fn);

/* Topics: a name of one. filter: of a subscription; whether any topic that it stands for may be received. */
bool group_may_publish(const struct group *group, const char *thing, const char *topic);
bool group_may_receive(const struct group *group, const char *thing, const char *topic);
bool group_may_subscribe(const struct group *group, const char *thing, const char *filter);

#endif
