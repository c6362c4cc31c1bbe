/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Greengrass core's config.json (version 1), as the values that it stands for among our own keys. Nothing but greengrass_look looks at
 * a file.
 */
#ifndef HF_CONFIG_GREENGRASS_H
#define HF_CONFIG_GREENGRASS_H

#include "base/buf.h"
#include "config/config.h"

#include <jansson.h>

/* The member of such a file that holds keys of our own: they go before what is translated. */
#define GREENGRASS_OWN "holdfast"

enum greengrass_severity {
  GREENGRASS_ERROR,   /* no value can be made of it */
  GREENGRASS_REFUSED, /* understood, but nothing may start on it: a key in a file */
  GREENGRASS_WARNING,
  GREENGRASS_NOTE, /* what becomes of a key that means nothing here */
};

enum { GREENGRASS_KEY_MAX = 128, GREENGRASS_TEXT_MAX = 512, GREENGRASS_PROBLEMS_MAX = 256 };

struct greengrass_problem {
  enum greengrass_severity severity;
  unsigned line;
  char key[GREENGRASS_KEY_MAX]; /* "crypto.PKCS11.slotLabel" */
  char text[GREENGRASS_TEXT_MAX];
  char hint[HF_HINT_MAX]; /* may be "" */
};

struct greengrass;

/* By its objects: crypto or coreThing. */
bool greengrass_is(const json_t *root);

/*
 * root: the file, parsed; text: the same as it is, for the lines; path: the file's, absolute: its folder's parent is what relative paths
 * begin at. Fails with NO_MEMORY alone: what is wrong with the file are its problems.
 */
hf_err greengrass_read(const json_t *root, struct hf_slice text, const char *path, struct greengrass **ret_greengrass);
struct greengrass *greengrass_free(struct greengrass *greengrass); /* wipes the PIN */
HF_DEFINE_CLEANUP(struct greengrass, greengrass_free)

/* Adds, as errors, the files that it names and that are not there, or cannot be read. */
hf_err greengrass_look(struct greengrass *greengrass);

/* In the order of their lines. */
size_t greengrass_problem_count(const struct greengrass *greengrass);
const struct greengrass_problem *greengrass_problem(const struct greengrass *greengrass, size_t i);

/* The first problem of this severity, as CONFIG; HF_OK where there is none. */
hf_err greengrass_first(const struct greengrass *greengrass, enum greengrass_severity severity);

/* What it says of one of our keys; NULL: nothing. */
const char *greengrass_get(const struct greengrass *greengrass, enum config_key key);

/* By which of its keys it says so, and where; NULL where it says nothing. */
const char *greengrass_origin(const struct greengrass *greengrass, enum config_key key, unsigned *ret_line);

/* Overwrites what is secret in the parsed file. */
void greengrass_wipe(json_t *root);

#endif
