/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The socket by which processes read secrets: <run.path>/secrets.sock. Anyone may connect; the policy (secrets.policy_path,
 * operation read) says who reads what, and each request leaves an audit line. A thread a connection, each bounded in bytes and
 * time, so many in all and for each user.
 */
#ifndef HF_SECRETS_SERVER_H
#define HF_SECRETS_SERVER_H

#include "config/config.h"

struct secrets_server;

/* After audit_open. Fails with CONFIG where the policy is wrong. The configuration is read again: config may go. */
hf_err secrets_server_start(const struct config *config, const char *module_path, struct secrets_server **ret_server);

/* Takes up a changed configuration and policy, also where only the latter has changed. On failure all stays as it was. */
hf_err secrets_server_reload(struct secrets_server *server, const struct config *config);

/* NULL is fine. Returns NULL; waits for what the HSM is at. */
struct secrets_server *secrets_server_stop(struct secrets_server *server);

#endif
