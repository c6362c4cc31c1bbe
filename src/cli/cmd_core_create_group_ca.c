/* SPDX-License-Identifier: Apache-2.0 */
/* holdfast core create-group-ca */
#include "ca/setup_key.h"
#include "cli/commands.h"
#include "cli/configuration.h"
#include "cli/token.h"
#include "gateway/server_certificate.h"
#include "identity/key.h"
#include "identity/program.h"

#define KEY_LABEL "holdfast-group-ca"

static const enum p11_key_kind kinds[] = { P11_EC_P256, P11_EC_P384, P11_RSA };

static hf_err check_none(const struct config *config)
{
  char path[PATH_MAX];
  HF_TRY(group_authority_path(config, path, sizeof(path)));
  if (access(path, F_OK) != 0)
    return HF_OK;
  return hf_hint(hf_fail(HF_ERR_EXISTS, "the group has an authority: %s", path),
                 "Devices trust it. To begin anew, move the file away first.");
}

static hf_err save(const struct cli_args *args, const char *uri)
{
  HF_CLEANUP(config_freep) struct config *config = NULL;
  HF_TRY(config_open(cli_get(args, "config"), &config));
  HF_TRY(config_set(config, CONFIG_MQTT_SERVER_CA_KEY_URI, uri));
  return config_save(config);
}

/* As --key-uri says, else as before, else one in the token. */
static hf_err have_key(const struct cli_args *args, const struct config *config, const char *module_path)
{
  HF_CLEANUP(uri_free) struct uri token = { 0 };
  HF_CLEANUP(hsm_close) struct hsm hsm = { 0 };
  HF_CLEANUP(hf_buf_free) struct hf_buf uri = HF_BUF(4 * URI_MAX);
  bool made = false;
  if (cli_get(args, "key-uri"))
    return save(args, cli_get(args, "key-uri"));
  if (config_get(config, CONFIG_MQTT_SERVER_CA_KEY_URI))
    return HF_OK;
  HF_TRY(cli_token_uri(args, NULL, &token));
  HF_TRY(hsm_open(config, module_path, &token, P11_READ_WRITE, &hsm));
  HF_TRY(setup_key(&hsm, KEY_LABEL, kinds, HF_ARRAY_LEN(kinds), &uri, &made));
  fprintf(stderr, "The key '" KEY_LABEL "' %s:\n  %s\n",
          made ? "was made in the token" : "is in the token already; it is used", hf_buf_str(&uri));
  return save(args, hf_buf_str(&uri));
}

static hf_err run(const struct cli_args *args)
{
  HF_CLEANUP(config_freep) struct config *before = NULL, *config = NULL;
  HF_CLEANUP(openssl_pkey_freep) EVP_PKEY *key = NULL;
  const char *name = cli_get(args, "name"), *uri;
  char module_path[PATH_MAX], path[PATH_MAX];
  HF_TRY(cli_config_load(args, &before));
  HF_TRY(check_none(before));
  HF_TRY(cli_module_path(args, module_path, sizeof(module_path)));
  HF_TRY(have_key(args, before, module_path));
  HF_TRY(config_load(cli_get(args, "config"), &config));
  HF_TRY(program_start(config, module_path));
  HF_TRY(config_require(config, CONFIG_MQTT_SERVER_CA_KEY_URI, &uri));
  HF_TRY(identity_key_load(uri, &key));
  HF_TRY(group_authority_create(config, key, name ? name : "Holdfast group CA"));
  HF_TRY(group_authority_path(config, path, sizeof(path)));
  printf("The group's authority is there; devices need its certificate to trust the local server:\n  %s\n", path);
  return HF_OK;
}

static const struct cli_option options[] = {
  { "name", "TEXT", "the authority's name: its certificate's CN (default: Holdfast group CA)" },
  { "key-uri", "URI", "a key that is there already, in place of a new one" },
  CLI_TOKEN_OPTION,
  CLI_MODULE_OPTIONS,
  CLI_END,
};

const struct cli_command cli_core_group_ca = {
  .name = "core create-group-ca",
  .help = "Make the authority that issues the local MQTT server's certificates",
  .options = options,
  .details =
      "Has a key '" KEY_LABEL "' in the token, saves its URI as mqtt.server.ca_key_uri, and writes its certificate\n"
      "where mqtt.server.ca_cert_path says. It issues the server's certificates alone; devices have theirs from their\n"
      "own authority (mqtt.server.client_ca_path). What was cut short is gone on with by running it again.\n",
  .example = "holdfast core create-group-ca --name 'Plant 7' && holdfast config set mqtt.server.enabled true\n",
  .run = run,
};
