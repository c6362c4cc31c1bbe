/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands of the certificate authority share. */
#ifndef HF_CLI_AUTHORITY_H
#define HF_CLI_AUTHORITY_H

#include "ca/authority.h"
#include "cli/cli.h"
#include "cli/json.h"

enum cli_ca_need { CLI_CA_REGISTRY, CLI_CA_KEY };

/* Start with {0}, end with cli_ca_close. */
struct cli_ca {
  struct config *config;
  struct registry *registry;
  struct authority *authority; /* NULL without CLI_CA_KEY */
};

/* By --config; CLI_CA_KEY: --module, too. The registry may be in use by the server and others at once. */
hf_err cli_ca_open(const struct cli_args *args, enum cli_ca_need need, struct cli_ca *ret_ca);
void cli_ca_close(struct cli_ca *ca);

/* Fails with USAGE where a device cannot have this id. */
hf_err cli_ca_check_id(const char *id);

/* "2026-11-26 04:23:00 UTC" */
enum { CLI_TIME_MAX = 32 };
void cli_ca_time(int64_t when, char out[CLI_TIME_MAX]);

/* "valid", "expired", "revoked" */
const char *cli_ca_state(const struct registry_certificate *certificate);
const char *cli_ca_kind(enum registry_kind kind);

hf_err cli_ca_json(const struct registry_certificate *certificate, json_t *out);

/* Appends the PEM of a certificate's DER. */
hf_err cli_ca_pem(struct hf_slice der, struct hf_buf *out);

#endif
