/* SPDX-License-Identifier: Apache-2.0 */
/* What goes before a start of the gateway daemon by hand. */
#ifndef HF_CLI_CORE_START_H
#define HF_CLI_CORE_START_H

#include "config/config.h"
#include "gateway/service.h"

/*
 * The checks of gateway/core_check.h; warnings go to standard error. Where the service reaches the HSM by what is the service's alone
 * (the key agent, whose policy knows its user; a credential of its unit), nothing is checked.
 */
hf_err cli_core_check(const struct config *config, const struct service_manager *manager);

#endif
