/* SPDX-License-Identifier: Apache-2.0 */
/* What the secret commands share. */
#ifndef HF_CLI_SECRET_H
#define HF_CLI_SECRET_H

#include "cli/configuration.h"
#include "cli/json.h"
#include "secrets/secrets.h"

enum { CLI_SECRET_TIME_MAX = 32 };

/* Start with {0}, end with cli_secrets_close. */
struct cli_secrets {
  struct config *config;
  struct secrets *secrets;
};

/* create: made where there are none yet. The command has CLI_MODULE_OPTIONS. */
hf_err cli_secrets_open(const struct cli_args *args, bool create, struct cli_secrets *ret_secrets);
void cli_secrets_close(struct cli_secrets *secrets);

/* "2026-01-31 12:00:00 UTC" */
void cli_secret_time(int64_t when, char out[CLI_SECRET_TIME_MAX]);

/* Tells of a new version; with --json as JSON. The command has CLI_JSON_OPTION. */
hf_err cli_secret_report(const struct cli_args *args, const char *name, const struct secrets_made *made);

/* An array of the labels that a version has. */
json_t *cli_secret_stages(const struct secrets_info *info, const uint8_t *version);

#endif
