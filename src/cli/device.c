/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/device.h"

#include "cli/token.h"
#include "config/check.h"
#include "identity/key.h"
#include "identity/program.h"
#include "identity/transaction.h"

#include <signal.h>

static hf_err load(const struct cli_args *args, struct cli_device *device)
{
  HF_TRY(cli_config_load(args, &device->config));
  return transaction_refresh(&device->config);
}

hf_err cli_device_start(const struct cli_args *args, struct cli_device *ret_device)
{
  HF_CLEANUP(cli_device_end) struct cli_device device = { 0 };
  /* OpenSSL writes to sockets without MSG_NOSIGNAL. */
  signal(SIGPIPE, SIG_IGN);
  HF_TRY(load(args, &device));
  HF_TRY(cli_module_path(args, device.module_path, sizeof(device.module_path)));
  HF_TRY(program_start(device.config, device.module_path));
  *ret_device = device;
  device = (struct cli_device){ 0 };
  return HF_OK;
}

static hf_err key_uri(const struct cli_args *args, const struct config *config, struct hf_buf *out)
{
  const char *text = cli_get(args, "key"), *source = cli_get(args, "pin-source");
  if (!text)
    text = config_get(config, CONFIG_DEVICE_KEY_URI);
  if (!text)
    return hf_hint(hf_fail(HF_ERR_CONFIG, "device.key_uri is not set in %s", config_path(config)),
                   "Make a key with 'holdfast hsm create-key', or name one by --key.");
  if (!source)
    return hf_buf_add_str(out, text);
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  HF_TRY(uri_parse(text, &uri));
  HF_TRY(uri_set(&uri, URI_PIN_SOURCE, source, strlen(source)));
  return uri_format(&uri, out);
}

hf_err cli_device_key(const struct cli_args *args, struct cli_device *device)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(4 * URI_MAX);
  HF_TRY(key_uri(args, device->config, &text));
  const char *uri = hf_buf_str(&text);
  device->key_uri = uri ? strdup(uri) : NULL;
  if (!device->key_uri)
    return hf_fail(HF_ERR_NO_MEMORY, "the key's URI");
  return identity_key_load(device->key_uri, &device->key);
}

void cli_device_end(struct cli_device *device)
{
  EVP_PKEY_free(device->key);
  if (device->key_uri)
    hf_wipe(device->key_uri, strlen(device->key_uri));
  free(device->key_uri);
  config_free(device->config);
  *device = (struct cli_device){ 0 };
}

static const struct usage_row {
  const char *name;
  enum profile_purpose purpose;
} usages[] = { { "client", PROFILE_CLIENT }, { "server", PROFILE_SERVER }, { "both", PROFILE_CLIENT_SERVER } };

static hf_err find_usage(const struct cli_args *args, enum profile_purpose *ret_purpose)
{
  const char *given = cli_get(args, "usage");
  for (size_t i = 0; i < HF_ARRAY_LEN(usages); i++)
    if (strcmp(given ? given : usages[0].name, usages[i].name) == 0) {
      *ret_purpose = usages[i].purpose;
      return HF_OK;
    }
  return hf_hint(hf_fail(HF_ERR_USAGE, "--usage %s", given), "Use client, server or both.");
}

static hf_err find_id(const struct cli_args *args, const struct config *config, const char **ret_id)
{
  const char *given = cli_get(args, "device-id"), *kept = config_get(config, CONFIG_DEVICE_ID);
  if (!given && !kept)
    return hf_hint(hf_fail(HF_ERR_CONFIG, "device.id is not set in %s", config_path(config)),
                   "Give --device-id, or set it: 'holdfast config set device.id ID'.");
  if (given && kept && strcmp(given, kept) != 0)
    return hf_hint(hf_fail(HF_ERR_USAGE, "--device-id %s, but device.id is '%s'", given, kept),
                   "A device has one id: leave --device-id out, or set device.id.");
  const char *must_be = given ? config_check(config_row(CONFIG_DEVICE_ID), given) : NULL;
  if (must_be)
    return hf_fail(HF_ERR_USAGE, "--device-id must be %s", must_be);
  *ret_id = given ? given : kept;
  return HF_OK;
}

hf_err cli_names_cut(const char *list, struct cli_names *names)
{
  names->list = strdup(list);
  if (!names->list)
    return hf_fail(HF_ERR_NO_MEMORY, "--san");
  names->names.alt_names = names->alt_names;
  char *rest = names->list;
  for (char *one = strsep(&rest, ","); one; one = strsep(&rest, ",")) {
    if (names->names.alt_name_count == PROFILE_ALT_NAMES_MAX)
      return hf_fail(HF_ERR_USAGE, "--san has more than %d names", PROFILE_ALT_NAMES_MAX);
    names->alt_names[names->names.alt_name_count++] = one + strspn(one, " ");
  }
  return HF_OK;
}

hf_err cli_names(const struct cli_args *args, const struct config *config, struct cli_names *ret_names)
{
  const char *list = cli_get(args, "san");
  HF_TRY(find_usage(args, &ret_names->purpose));
  HF_TRY(find_id(args, config, &ret_names->names.common_name));
  ret_names->names.organization = config_get(config, CONFIG_CERTIFICATE_ORGANIZATION);
  ret_names->names.organization_unit = config_get(config, CONFIG_CERTIFICATE_ORGANIZATION_UNIT);
  return list ? cli_names_cut(list, ret_names) : HF_OK;
}

void cli_names_end(struct cli_names *names)
{
  free(names->list);
}

hf_err cli_device_keep_id(const struct cli_args *args, const struct config *config)
{
  const char *id = cli_get(args, "device-id");
  HF_CLEANUP(config_freep) struct config *changed = NULL;
  if (!id || config_get(config, CONFIG_DEVICE_ID))
    return HF_OK;
  HF_TRY(config_open(cli_get(args, "config"), &changed));
  HF_TRY(config_set(changed, CONFIG_DEVICE_ID, id));
  return config_save(changed);
}
