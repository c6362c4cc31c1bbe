/* SPDX-License-Identifier: Apache-2.0 */
/* A new certificate put in its place: what 'cert create' and 'cert import' share. */
#ifndef HF_CLI_PLACE_H
#define HF_CLI_PLACE_H

#include "cli/device.h"

/* clang-format off */
#define CLI_PLACE_OPTIONS                                                              \
  { "to-token", NULL, "write it into the HSM, too, beside its key" }
/* clang-format on */

/*
 * Where device.cert_path says, a file or the token, and with --to-token into the token as well. The device's key is loaded.
 * Tells on standard error what was written into the token. Fails as install_file and install_in_token do; and with CONFIG where
 * device.cert_path is a URI that does not lead to the key's certificate.
 */
hf_err cli_place(const struct cli_args *args, const struct cli_device *device, const STACK_OF(X509) * chain);

#endif
