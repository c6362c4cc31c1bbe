/* SPDX-License-Identifier: Apache-2.0 */
/* A certificate as commands show it. */
#ifndef HF_CLI_CERTIFICATE_H
#define HF_CLI_CERTIFICATE_H

#include "cli/device.h"
#include "identity/chain.h"
#include "identity/validity.h"

/* device.cert_path, or what the operand says: a file, "-" (standard input) or a pkcs11: URI. */
const char *cli_certificate_where(const struct cli_args *args, const struct config *config);

/* chain_read; the hint tells what to do where there is none. */
hf_err cli_certificate_read(const char *where, STACK_OF(X509) * *ret_chain);

/*
 * All that there is to say of it: text, or JSON with --json. Whether it is for the device's key is looked up in the HSM; where
 * that fails, it says why, and that is no error. The command has CLI_JSON_OPTION and CLI_DEVICE_OPTIONS.
 */
hf_err cli_certificate_show(const struct cli_args *args, struct cli_device *device, const char *where,
                            const STACK_OF(X509) * chain);

enum { CLI_STATUS_MAX = 96 };

/* "VALID (expires in: 364 days)". */
void cli_validity_text(const struct validity *validity, enum validity_status status, int64_t now,
                       char out[CLI_STATUS_MAX]);

#endif
