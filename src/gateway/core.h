/* SPDX-License-Identifier: Apache-2.0 */
/*
 * holdfast-core, the gateway daemon: the local MQTT broker, a bridge to each cloud that is connected, the renewal of the device's
 * certificate. Its pid file (pidfile.h) and status socket (core_status.h) are in run.path.
 */
#ifndef HF_GATEWAY_CORE_H
#define HF_GATEWAY_CORE_H

#include "base/error.h"

#include <stdbool.h>

/*
 * Runs until SIGTERM or SIGINT. SIGHUP, a changed configuration file or a changed certificate is taken up as it runs. Fails with the
 * one cause where it cannot start, told to the service manager as well: BUSY where one runs already, CONFIG, and as broker_start
 * and core_bridges_apply do. path: the configuration's; NULL: the usual one. check: it also fails where a check of core_check.h does;
 * without it, what may come yet, a token or a certificate, is waited for.
 */
hf_err core_run(const char *path, bool check);

#endif
