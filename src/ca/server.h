/* SPDX-License-Identifier: Apache-2.0 */
/* The authority's server, until it is told to end. */
#ifndef HF_CA_SERVER_H
#define HF_CA_SERVER_H

#include "base/error.h"

/* config_path: as config_load takes it. SIGTERM and SIGINT end it, SIGHUP has it read its configuration again. */
hf_err server_run(const char *config_path);

#endif
