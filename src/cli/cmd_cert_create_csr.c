/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"
#include "cli/commands.h"
#include "cli/device.h"
#include "identity/key.h"
#include "identity/request.h"

#include <sys/stat.h>

static hf_err encode(const struct cli_args *args, const X509_REQ *request, struct hf_buf *out)
{
  return cli_has(args, "der") ? request_der(request, out) : request_pem(request, out);
}

/* To device.csr_path, where --out says nothing. */
static hf_err write_request(const struct cli_args *args, const struct cli_device *device, struct hf_slice data)
{
  const char *out = cli_get(args, "out");
  const char *path = out ? out : config_get(device->config, CONFIG_DEVICE_CSR_PATH);
  char key[IDENTITY_KEY_TEXT_MAX];
  if (strcmp(path, "-") == 0)
    return cli_output(args, data);
  if (!out)
    HF_TRY(hf_dir_make_above(path, 0755));
  HF_TRY(hf_file_write(path, data.data, data.len, S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH));
  identity_key_describe(device->key, key, sizeof(key));
  printf("The request for the device's key (%s) was written to %s\n", key, path);
  return HF_OK;
}

static hf_err run(const struct cli_args *args)
{
  HF_CLEANUP(cli_device_end) struct cli_device device = { 0 };
  HF_CLEANUP(cli_names_end) struct cli_names names = { 0 };
  HF_CLEANUP(openssl_req_freep) X509_REQ *request = NULL;
  HF_CLEANUP(hf_buf_free) struct hf_buf data = HF_BUF(REQUEST_MAX);
  HF_TRY(cli_device_start(args, &device));
  HF_TRY(cli_names(args, device.config, &names));
  HF_TRY(cli_device_key(args, &device));
  HF_TRY(request_create(device.key, &names.names, names.purpose, &request));
  HF_TRY(encode(args, request, &data));
  HF_TRY(write_request(args, &device, hf_slice(data.data, data.len)));
  return cli_device_keep_id(args, device.config);
}

static const struct cli_option options[] = {
  CLI_NAMES_OPTIONS,
  { "out", "FILE", "write it there; '-' is standard output (default: device.csr_path)" },
  { "der", NULL, "write DER in place of PEM" },
  CLI_DEVICE_OPTIONS,
  CLI_END,
};

const struct cli_command cli_cert_create_csr = {
  .name = "cert create-csr",
  .help = "Create a certificate signing request for the device, signed by its key in the HSM",
  .options = options,
  .details = "Have it signed by a certificate authority, and give what comes back to 'holdfast cert import'.\n"
             "An authority that speaks EST is asked by 'holdfast cert enroll' in one step.\n",
  .example = "holdfast cert create-csr --device-id dev-1 --out - --san DNS:dev-1.local,IP:192.0.2.7\n",
  .run = run,
};
