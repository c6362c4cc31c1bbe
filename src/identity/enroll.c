/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/enroll.h"

#include "identity/install.h"
#include "identity/key.h"
#include "identity/obtain.h"
#include "identity/request.h"

static hf_err load_key(const struct config *config, EVP_PKEY **ret_key)
{
  const char *uri = config_get(config, CONFIG_DEVICE_KEY_URI);
  if (strcmp(config_get(config, CONFIG_DEVICE_CRYPTOKI_MODE), "off") == 0)
    return hf_hint(hf_fail(HF_ERR_CONFIG, "device.cryptoki.mode is off; a device's key lies in an HSM"),
                   "Set it to module, or to socket for the key agent.");
  if (!uri)
    return hf_hint(hf_fail(HF_ERR_CONFIG, "device.key_uri is not set: there is no key to get a certificate for"),
                   "Make one in the HSM: 'holdfast hsm create-key' also sets device.key_uri.");
  return identity_key_load(uri, ret_key);
}

static hf_err make_request(const struct config *config, const struct enroll_options *options, EVP_PKEY *key,
                           X509_REQ **ret_request)
{
  const struct profile_names names = {
    .common_name = options->device_id,
    .organization = config_get(config, CONFIG_CERTIFICATE_ORGANIZATION),
    .organization_unit = config_get(config, CONFIG_CERTIFICATE_ORGANIZATION_UNIT),
  };
  if (options->csr_path)
    return obtain_read_request(options->csr_path, key, options->device_id, ret_request);
  return request_create(key, &names, PROFILE_CLIENT, ret_request);
}

/* Who is not registered yet will be; who is not reached will come back. Any other failure stays one. */
static bool is_worth_waiting(hf_err e)
{
  return e.code == HF_ERR_HTTP || e.code == HF_ERR_UNREACHABLE || e.code == HF_ERR_TIMEOUT;
}

/* On the way, the error that may be the last. */
static hf_err obtain(const struct obtain_options *obtaining, const struct enroll_options *options,
                     STACK_OF(X509) * *ret_chain)
{
  time_t end = est_clock_s() + options->max_timeout_s;
  for (;;) {
    char line[OBSERVER_TEXT_MAX];
    hf_err e = obtain_certificate(obtaining, ret_chain);
    if (!is_worth_waiting(e) || est_clock_s() + options->retry_every_s > end)
      return e;
    hf_err_format(e, line, sizeof(line));
    observer_note(options->observer, "%s", line);
    HF_TRY(observer_wait(options->observer, "it is tried again", options->retry_every_s));
  }
}

/* Where device.cert_path says. */
static hf_err put(const struct config *config, const struct enroll_options *options, const STACK_OF(X509) * chain)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf uri = HF_BUF(4 * URI_MAX);
  if (!uri_is_pkcs11(config_get(config, CONFIG_DEVICE_CERT_PATH)))
    return install_file(config, chain);
  return install_in_token(config, options->module_path, config_get(config, CONFIG_DEVICE_KEY_URI), chain, &uri);
}

static hf_err set_id(const struct config *config, const char *device_id)
{
  HF_CLEANUP(config_freep) struct config *changed = NULL;
  if (config_get(config, CONFIG_DEVICE_ID))
    return HF_OK;
  HF_TRY(config_open(config_path(config), &changed));
  HF_TRY(config_set(changed, CONFIG_DEVICE_ID, device_id));
  return config_save(changed);
}

hf_err enroll(const struct config *config, const struct enroll_options *options)
{
  struct est_server server;
  HF_CLEANUP(openssl_pkey_freep) EVP_PKEY *key = NULL;
  HF_CLEANUP(openssl_req_freep) X509_REQ *request = NULL;
  HF_CLEANUP(chain_freep) STACK_OF(X509) *chain = NULL;
  HF_TRY(est_server_find(config, options->cloud, &server));
  HF_TRY(load_key(config, &key));
  HF_TRY(make_request(config, options, key, &request));
  const struct obtain_options obtaining = {
    .config = config,
    .server = &server,
    .device_id = options->device_id,
    .key = key,
    .request = request,
    .user = options->password ? (options->user ? options->user : options->device_id) : NULL,
    .password = options->password,
    .timeout_s = options->timeout_s,
    .observer = options->observer,
  };
  HF_TRY(obtain(&obtaining, options, &chain));
  HF_TRY(put(config, options, chain));
  return set_id(config, options->device_id);
}
