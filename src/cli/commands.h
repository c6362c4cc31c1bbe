/* SPDX-License-Identifier: Apache-2.0 */
/* The one table of commands, in the order of the help. */
#ifndef HF_CLI_COMMANDS_H
#define HF_CLI_COMMANDS_H

#include "cli/cli.h"

#define CLI_COMMANDS(X) \
  X(token_init)         \
  X(token_list)         \
  X(token_delete)       \
  X(token_migrate)      \
  X(token_unplug)       \
  X(token_plug)         \
  X(token_fault)        \
  X(key_generate)       \
  X(key_import)         \
  X(key_list)           \
  X(key_delete)         \
  X(key_pem)            \
  X(pubkey)             \
  X(sign)               \
  X(hsm_init)           \
  X(hsm_list_tokens)    \
  X(hsm_list_keys)      \
  X(hsm_create_key)     \
  X(hsm_change_pin)     \
  X(hsm_delete_key)     \
  X(cert_create)        \
  X(cert_create_csr)    \
  X(cert_enroll)        \
  X(cert_download)      \
  X(cert_renew)         \
  X(cert_show)          \
  X(cert_needs_renewal) \
  X(cert_import)        \
  X(cert_upload)        \
  X(cert_remove)        \
  X(config_get)         \
  X(config_set)         \
  X(config_unset)       \
  X(config_list)        \
  X(config_import)      \
  X(secret_put)         \
  X(secret_get)         \
  X(secret_list)        \
  X(secret_rotate)      \
  X(secret_delete)      \
  X(secret_rewrap)      \
  X(ca_init)            \
  X(ca_token)           \
  X(ca_issue)           \
  X(ca_pending)         \
  X(ca_approve)         \
  X(ca_list)            \
  X(ca_show)            \
  X(ca_revoke)          \
  X(ca_crl)             \
  X(ca_serve)           \
  X(connect)            \
  X(disconnect)         \
  X(reconnect)          \
  X(core_run)           \
  X(core_start)         \
  X(core_stop)          \
  X(core_restart)       \
  X(core_status)        \
  X(core_check_config)  \
  X(core_move_aside)    \
  X(core_group_ca)      \
  X(agent_run)          \
  X(agent_status)       \
  X(agent_check)        \
  X(agent_reload)       \
  X(update_fetch)       \
  X(doctor_bundle)      \
  X(doctor)             \
  X(softhsm2_util)      \
  X(greengrassd)        \
  X(completion)         \
  X(man)

#define CLI_DECLARE(id) extern const struct cli_command cli_##id;
CLI_COMMANDS(CLI_DECLARE)
#undef CLI_DECLARE

#endif
