/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/place.h"

#include "cli/certificate.h"
#include "identity/install.h"

/* What device.cert_path leads to must be what was written beside the key. */
static hf_err check_uri(const char *where, const STACK_OF(X509) * chain, const char *written)
{
  HF_CLEANUP(chain_freep) STACK_OF(X509) *found = NULL;
  hf_err e = chain_read(where, &found);
  if (!hf_failed(e) && X509_cmp(sk_X509_value(found, 0), sk_X509_value(chain, 0)) == 0)
    return HF_OK;
  return hf_hint(
      hf_fail(HF_ERR_CONFIG, "device.cert_path does not lead to the certificate that was written: %s", written),
      "Set device.cert_path to that.");
}

static hf_err place_in_token(const struct cli_device *device, const STACK_OF(X509) * chain, const char *where)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf uri = HF_BUF(4 * URI_MAX);
  HF_TRY(install_in_token(device->config, device->module_path, device->key_uri, chain, &uri));
  const char *written = hf_buf_str(&uri);
  fprintf(stderr, "In the token:\n  %s\n", written ? written : "");
  return uri_is_pkcs11(where) ? check_uri(where, chain, written) : HF_OK;
}

hf_err cli_place(const struct cli_args *args, const struct cli_device *device, const STACK_OF(X509) * chain)
{
  const char *where = config_get(device->config, CONFIG_DEVICE_CERT_PATH);
  bool in_token = uri_is_pkcs11(where);
  /* First where more can be refused. */
  if (in_token || cli_has(args, "to-token"))
    HF_TRY(place_in_token(device, chain, where));
  return in_token ? HF_OK : install_file(device->config, chain);
}
