/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/certificate.h"
#include "cli/commands.h"
#include "cli/place.h"
#include "identity/certificate.h"

/* Nothing that would not connect takes the place of what does. */
static hf_err check(const struct cli_device *device, const STACK_OF(X509) * chain, const char *where)
{
  const X509 *certificate = sk_X509_value(chain, 0);
  const char *id = config_get(device->config, CONFIG_DEVICE_ID);
  char cn[CERTIFICATE_CN_MAX];
  certificate_cn(certificate, cn);
  HF_TRY(certificate_check_pair(certificate, where, device->key));
  HF_TRY(certificate_check(certificate, where, id ? id : cn));
  return chain_check(chain, where);
}

static hf_err run(const struct cli_args *args)
{
  HF_CLEANUP(cli_device_end) struct cli_device device = { 0 };
  HF_CLEANUP(chain_freep) STACK_OF(X509) *chain = NULL;
  HF_TRY(cli_device_start(args, &device));
  const char *from = cli_certificate_where(args, device.config);
  HF_TRY(chain_read(from, &chain));
  HF_TRY(cli_device_key(args, &device));
  HF_TRY(check(&device, chain, from));
  HF_TRY(cli_place(args, &device, chain));
  return cli_certificate_show(args, &device, config_get(device.config, CONFIG_DEVICE_CERT_PATH), chain);
}

static const struct cli_option options[] = {
  CLI_PLACE_OPTIONS,
  CLI_JSON_OPTION,
  CLI_DEVICE_OPTIONS,
  CLI_END,
};

const struct cli_command cli_cert_import = {
  .name = "cert import",
  .help = "Take a certificate that an authority has issued for the device's key",
  .operands = "FILE",
  .operands_min = 1,
  .operands_max = 1,
  .options = options,
  .details =
      "FILE is PEM (the certificates of the CAs may follow) or DER, '-' for standard input, or a pkcs11: URI. It goes\n"
      "to device.cert_path if it is for the device's key and id, is valid now, and its chain holds.\n",
  .example = "holdfast cert import dev-1.pem\n",
  .run = run,
};
