/* SPDX-License-Identifier: Apache-2.0 */
/* The names and addresses of a TLS server of ours, for its certificate. */
#ifndef HF_IDENTITY_HOST_NAMES_H
#define HF_IDENTITY_HOST_NAMES_H

#include "identity/profile.h"

#include <stdbool.h>

enum { HOST_NAMES_MAX = 32, HOST_NAMES_LIST_MAX = 1024 + 64 * HOST_NAMES_MAX };

/* names points into the rest: not to be copied. */
struct host_names {
  char list[HOST_NAMES_LIST_MAX];
  char texts[HOST_NAMES_MAX][300];
  const char *alt_names[HOST_NAMES_MAX];
  struct profile_names names; /* the first is the CN */
};

struct host_names_options {
  const char *set;         /* what the configuration says, ',' between them; NULL: this host's name and localhost */
  const char *key;         /* the configuration's key of that */
  const char *common_name; /* where the first is too long for one */
  bool addresses;          /* without set: those of its network interfaces, too */
};

/* Fails with CONFIG where there are too many, USAGE where one is none. */
hf_err host_names_read(const struct host_names_options *options, struct host_names *ret_names);

/* Whether the certificate has these alternative names and no others, in any order. */
bool host_names_match(const X509 *certificate, const struct profile_names *names);

#endif
