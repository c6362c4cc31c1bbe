/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the translation. Inside src/config/greengrass*.c only. */
#ifndef HF_CONFIG_GREENGRASS_PRIVATE_H
#define HF_CONFIG_GREENGRASS_PRIVATE_H

#include "config/greengrass.h"

#include <limits.h>

struct greengrass {
  const json_t *root;   /* while it is read */
  struct hf_slice text; /* while it is read */
  char path[PATH_MAX];
  char folder[PATH_MAX]; /* Greengrass's root: "/greengrass" */
  bool crypto;           /* has the object of this name: coreThing's paths mean nothing then */
  bool pkcs11;           /* a principal's key is in the HSM */
  char *values[CONFIG_KEY_COUNT];
  const char *origins[CONFIG_KEY_COUNT]; /* names of rows */
  unsigned lines[CONFIG_KEY_COUNT];
  struct greengrass_problem *problems;
  size_t count;
};

struct greengrass_field;

/* What a field says of ours; its value is of the field's shape. */
typedef hf_err (*greengrass_take)(struct greengrass *gg, const struct greengrass_field *field, const json_t *value);

enum greengrass_shape {
  GREENGRASS_OBJECT,
  GREENGRASS_STRING, /* not an empty one */
  GREENGRASS_NUMBER, /* whole, from min to max */
  GREENGRASS_BOOL,
  GREENGRASS_YES_NO, /* "yes" or "no" */
  GREENGRASS_ANY,
};

enum greengrass_need {
  GREENGRASS_OPTIONAL,
  GREENGRASS_REQUIRED,
  GREENGRASS_WITH_CRYPTO,    /* required beside crypto */
  GREENGRASS_WITHOUT_CRYPTO, /* required without it; means nothing beside it */
  GREENGRASS_WITH_PKCS11,    /* required where a principal's key is in the HSM */
};

struct greengrass_field {
  const char *path;
  enum greengrass_shape shape;
  enum greengrass_need need;
  greengrass_take take; /* NULL: nothing becomes of it */
  enum config_key key;  /* that it sets; CONFIG_KEY_COUNT: none, or several */
  long long min, max;   /* of a number */
  const char *note;     /* why nothing becomes of it, or what else does; NULL: goes without saying */
};

/* Ends with a row whose path is NULL. */
extern const struct greengrass_field greengrass_fields[];

const json_t *greengrass_find(const struct greengrass *gg, const char *path);

/* line 0: where the key stands. Past GREENGRASS_PROBLEMS_MAX, they are dropped. */
hf_err greengrass_tell(struct greengrass *gg, enum greengrass_severity severity, const char *key, const char *hint,
                       const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* Sets one of ours, where its row allows the value; else that is an error of the field. */
hf_err greengrass_set(struct greengrass *gg, const struct greengrass_field *field, enum config_key key,
                      const char *value);

/* Tells of names that no field has, with the nearest. */
hf_err greengrass_tell_unknown(struct greengrass *gg);

#endif
