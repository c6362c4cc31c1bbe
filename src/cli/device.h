/* SPDX-License-Identifier: Apache-2.0 */
/* The device as the configuration names it: for commands that use its key and certificate. */
#ifndef HF_CLI_DEVICE_H
#define HF_CLI_DEVICE_H

#include "cli/configuration.h"
#include "identity/openssl.h"
#include "identity/profile.h"

#include <limits.h>

/* clang-format off */
#define CLI_DEVICE_OPTIONS                                                             \
  { "key", "URI", "the key in the HSM (default: device.key_uri)" },                    \
  { "pin-source", "SRC", "where its PIN is: a file, env:NAME or credential:NAME" },    \
  CLI_MODULE_OPTIONS
#define CLI_NAMES_OPTIONS                                                              \
  { "device-id", "ID", "the device's id, which is the CN (default: device.id)" },      \
  { "san", "LIST", "alternative names, with commas: DNS:NAME, IP:ADDRESS, URI:URI" },  \
  { "usage", "USAGE", "what it is for: client (default), server or both" }
/* clang-format on */

/* Start with {0}, end with cli_device_end. */
struct cli_device {
  struct config *config;
  char module_path[PATH_MAX];
  char *key_uri;
  EVP_PKEY *key;
};

/*
 * Loads the configuration, finishes or undoes a renewal that was cut, and sets OpenSSL up for the HSM: before any thread. The
 * command has CLI_MODULE_OPTIONS.
 */
hf_err cli_device_start(const struct cli_args *args, struct cli_device *ret_device);

/* And loads the key: never one in a file. The command has CLI_DEVICE_OPTIONS. Fails with CONFIG where none is configured. */
hf_err cli_device_key(const struct cli_args *args, struct cli_device *device);

void cli_device_end(struct cli_device *device);

/* What CLI_NAMES_OPTIONS and certificate.* say. Start with {0}; end with cli_names_end. */
struct cli_names {
  struct profile_names names;
  enum profile_purpose purpose;
  char *list; /* --san, cut up */
  const char *alt_names[PROFILE_ALT_NAMES_MAX];
};
hf_err cli_names(const struct cli_args *args, const struct config *config, struct cli_names *ret_names);
/* --san's value alone, as alternative names; not whether they are good ones: see profile_alt_names. */
hf_err cli_names_cut(const char *list, struct cli_names *names);
void cli_names_end(struct cli_names *names);

/* Keeps --device-id as device.id, where none is set. */
hf_err cli_device_keep_id(const struct cli_args *args, const struct config *config);

#endif
