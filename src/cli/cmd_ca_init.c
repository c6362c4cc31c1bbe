/* SPDX-License-Identifier: Apache-2.0 */
/* holdfast ca init */
#include "ca/setup.h"
#include "ca/setup_key.h"
#include "cli/authority.h"
#include "cli/commands.h"
#include "cli/configuration.h"
#include "cli/token.h"
#include "identity/key.h"
#include "identity/program.h"

#include <limits.h>

#define KEY_LABEL "holdfast-ca"
#define SERVER_KEY_LABEL "holdfast-ca-server"

static const enum p11_key_kind kinds[] = { P11_EC_P384, P11_EC_P256, P11_RSA };
static const enum p11_key_kind server_kinds[] = { P11_EC_P256, P11_EC_P384, P11_RSA };

static hf_err save(const struct cli_args *args, enum config_key key, const char *value)
{
  HF_CLEANUP(config_freep) struct config *config = NULL;
  HF_TRY(config_open(cli_get(args, "config"), &config));
  HF_TRY(config_set(config, key, value));
  return config_save(config);
}

/* As --key-uri says, else as before, else one in the token; each step is kept at once, so that init can be run again. */
static hf_err have_key(const struct cli_args *args, const struct config *config, struct hsm *hsm, enum config_key row,
                       const char *label, const enum p11_key_kind *kind, size_t kind_count)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf uri = HF_BUF(4 * URI_MAX);
  bool made = false;
  if (config_get(config, row))
    return HF_OK;
  HF_TRY(setup_key(hsm, label, kind, kind_count, &uri, &made));
  fprintf(stderr, "The key '%s' %s:\n  %s\n", label,
          made ? "was made in the token" : "is in the token already; it is used", hf_buf_str(&uri));
  return save(args, row, hf_buf_str(&uri));
}

static hf_err have_keys(const struct cli_args *args, const char *module_path)
{
  HF_CLEANUP(config_freep) struct config *config = NULL;
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  HF_CLEANUP(hsm_close) struct hsm hsm = { 0 };
  const char *given = cli_get(args, "key-uri");
  if (given)
    HF_TRY(save(args, CONFIG_CA_KEY_URI, given));
  HF_TRY(config_load(cli_get(args, "config"), &config));
  if (config_get(config, CONFIG_CA_KEY_URI) && config_get(config, CONFIG_CA_SERVER_KEY_URI))
    return HF_OK;
  HF_TRY(cli_token_uri(args, NULL, &uri));
  HF_TRY(hsm_open(config, module_path, &uri, P11_READ_WRITE, &hsm));
  HF_TRY(have_key(args, config, &hsm, CONFIG_CA_KEY_URI, KEY_LABEL, kinds, HF_ARRAY_LEN(kinds)));
  return have_key(args, config, &hsm, CONFIG_CA_SERVER_KEY_URI, SERVER_KEY_LABEL, server_kinds,
                  HF_ARRAY_LEN(server_kinds));
}

static hf_err have_registry(const struct config *config, struct registry **ret_registry)
{
  char path[PATH_MAX];
  HF_TRY(authority_path(config, path, sizeof(path)));
  hf_err e = registry_create(path);
  if (hf_failed(e) && e.code != HF_ERR_ID_EXISTS)
    return e;
  return registry_open(path, ret_registry);
}

static hf_err write_request(const struct cli_args *args, const struct config *config, EVP_PKEY *key)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf pem = HF_BUF(REGISTRY_DER_MAX);
  HF_TRY(setup_request(key, config_get(config, CONFIG_CA_NAME), &pem));
  return cli_output(args, hf_slice(pem.data, pem.len));
}

static hf_err make(const struct cli_args *args, const struct config *config, EVP_PKEY *key)
{
  HF_CLEANUP(registry_closep) struct registry *registry = NULL;
  const char *file = cli_get(args, "import");
  char path[PATH_MAX];
  HF_TRY(have_registry(config, &registry));
  HF_TRY(file ? setup_import(config, registry, key, file)
              : setup_self_signed(config, registry, key, config_get(config, CONFIG_CA_NAME)));
  HF_TRY(authority_cert_path(config, path, sizeof(path)));
  printf("The authority '%s' is there; its certificate:\n  %s\nServe it with 'holdfast ca serve'.\n",
         config_get(config, CONFIG_CA_NAME), path);
  return HF_OK;
}

static hf_err run(const struct cli_args *args)
{
  HF_CLEANUP(config_freep) struct config *before = NULL, *config = NULL;
  HF_CLEANUP(openssl_pkey_freep) EVP_PKEY *key = NULL;
  const char *name = cli_get(args, "name"), *uri;
  char module_path[PATH_MAX];
  if (cli_has(args, "csr") && cli_has(args, "import"))
    return hf_hint(hf_fail(HF_ERR_USAGE, "--csr with --import"),
                   "First --csr, then --import what the root made of it.");
  HF_TRY(cli_config_load(args, &before));
  HF_TRY(setup_check(before));
  HF_TRY(cli_module_path(args, module_path, sizeof(module_path)));
  if (name)
    HF_TRY(save(args, CONFIG_CA_NAME, name));
  HF_TRY(have_keys(args, module_path));
  HF_TRY(config_load(cli_get(args, "config"), &config));
  HF_TRY(program_start(config, module_path));
  HF_TRY(config_require(config, CONFIG_CA_KEY_URI, &uri));
  HF_TRY(identity_key_load(uri, &key));
  return cli_has(args, "csr") ? write_request(args, config, key) : make(args, config, key);
}

static const struct cli_option options[] = {
  { "name", "TEXT", "the authority's name, saved as ca.name (default: Holdfast CA)" },
  { "key-uri", "URI", "a key that is there already, in place of a new one" },
  { "csr", NULL, "only write a certificate signing request, for a root elsewhere" },
  { "out", "FILE", "where --csr writes it (default: standard output)" },
  { "import", "FILE", "the certificate (PEM) that the root made of it, its chain after it" },
  CLI_TOKEN_OPTION,
  CLI_MODULE_OPTIONS,
  CLI_END,
};

const struct cli_command cli_ca_init = {
  .name = "ca init",
  .help = "Make a certificate authority for devices, its key in a token",
  .options = options,
  .details = "Has two keys in the token, '" KEY_LABEL "' (EC P-384, where the token has it) and '" SERVER_KEY_LABEL
             "' for the TLS server, saves\n"
             "their URIs as ca.key_uri and ca.server.key_uri, and makes the registry in ca.path and the authority's\n"
             "certificate. What was cut short is gone on with by running it again.\n",
  .example = "holdfast ca init --name 'Plant 7'\n"
             "holdfast ca init --csr --out ca.csr && holdfast ca init --import ca-from-root.pem\n",
  .run = run,
};
