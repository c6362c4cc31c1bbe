/* SPDX-License-Identifier: Apache-2.0 */
/* holdfast update fetch */
#include "cli/commands.h"
#include "cli/device.h"
#include "cli/json.h"
#include "cli/progress.h"
#include "config/check.h"
#include "identity/update.h"

#include <signal.h>

enum { TIMEOUT_MAX_S = 86400 };

static hf_err parse_size(const struct cli_args *args, const char *name, uint64_t otherwise, uint64_t *ret_size)
{
  const char *text = cli_get(args, name);
  uint64_t size = otherwise;
  if (text && !config_number(CONFIG_TYPE_SIZE, text, &size))
    return hf_hint(hf_fail(HF_ERR_USAGE, "--%s %s", name, text), "Write bytes, or a number and KiB, MiB or GiB.");
  *ret_size = size;
  return HF_OK;
}

/* The last part of the URL's path, in the current directory. */
static hf_err name_of_url(const char *url, char *out, size_t size)
{
  const char *host = strstr(url, "://"), *path = host ? strpbrk(host + 3, "/?#") : NULL;
  size_t len = path ? strcspn(path, "?#") : 0;
  while (len > 0 && memchr(path, '/', len))
    path++, len--;
  if (len == 0 || len >= size || (len <= 2 && strspn(path, ".") >= len))
    return hf_hint(hf_fail(HF_ERR_USAGE, "the URL names no file"), "Say by --output where it is to be.");
  snprintf(out, size, "%.*s", (int)len, path);
  return HF_OK;
}

static hf_err read_options(const struct cli_args *args, char *path, size_t size, struct update_options *options)
{
  const char *output = cli_get(args, "output");
  options->url = args->operands[0];
  options->path = output ? output : path;
  options->sha256 = cli_get(args, "sha256");
  options->signature = cli_get(args, "signature");
  options->key_path = cli_get(args, "key");
  options->root_path = cli_get(args, "ca");
  options->hook = cli_get(args, "hook");
  options->observer = cli_progress();
  options->progress = cli_progress_bytes;
  if (!output)
    HF_TRY(name_of_url(options->url, path, size));
  HF_TRY(parse_size(args, "size", 0, &options->size));
  HF_TRY(parse_size(args, "max-size", options->size ? options->size : UPDATE_SIZE_MAX, &options->max));
  HF_TRY(cli_duration(args, "hook-timeout", UPDATE_HOOK_S, TIMEOUT_MAX_S, &options->hook_timeout_s));
  return cli_duration(args, "timeout", UPDATE_STALL_S, TIMEOUT_MAX_S, &options->stall_timeout_s);
}

static hf_err report(const struct cli_args *args, const struct update_options *options,
                     const struct update_result *result)
{
  if (!cli_has(args, "json")) {
    printf("%s: %llu bytes, SHA-256 %s%s\n", options->path, (unsigned long long)result->size, result->sha256,
           result->is_signed ? ", signed" : "");
    return HF_OK;
  }
  HF_CLEANUP(json_decrefp) json_t *json = json_object();
  HF_TRY(cli_json_set(json, "file", options->path));
  HF_TRY(cli_json_set_new(json, "size", json_integer((json_int_t)result->size)));
  HF_TRY(cli_json_set_new(json, "had", json_integer((json_int_t)result->had)));
  HF_TRY(cli_json_set(json, "sha256", result->sha256));
  HF_TRY(cli_json_set_new(json, "signed", json_boolean(result->is_signed)));
  return cli_json_print(json);
}

static hf_err run(const struct cli_args *args)
{
  char path[NAME_MAX + 1];
  struct update_options options = { 0 };
  struct update_result result;
  HF_TRY(read_options(args, path, sizeof(path), &options));
  HF_CLEANUP(cli_device_end) struct cli_device device = { 0 };
  HF_TRY(cli_device_start(args, &device));
  signal(SIGPIPE, SIG_IGN);
  HF_TRY(update_fetch(device.config, &options, &result));
  return report(args, &options, &result);
}

static const struct cli_option options[] = {
  { "output", "FILE", "where it is to be (default: the URL's last part, in the current directory)" },
  { "sha256", "HEX", "its digest" },
  { "signature", "WHERE", "its detached signature: a file or an https URL" },
  { "key", "FILE", "what the signature is checked with, PEM (default: update.key_path)" },
  { "size", "BYTES", "how large it must be" },
  { "max-size", "SIZE", "how large it may be (default: 1GiB)" },
  { "ca", "PATH", "what the server is checked with (default: update.root_cert_path)" },
  { "hook", "PROGRAM", "run it with the verified file's path before that is put in place; it must end with 0" },
  { "hook-timeout", "TIME", "how long it may take (default: 10m)" },
  { "timeout", "TIME", "how long the server may be silent (default: 60s)" },
  CLI_JSON_OPTION,
  CLI_MODULE_OPTIONS,
  CLI_END,
};

const struct cli_command cli_update_fetch = {
  .name = "update fetch",
  .help = "Fetch a file by TLS with the key in the HSM, verify it, and only then put it in place",
  .operands = "URL",
  .operands_min = 1,
  .operands_max = 1,
  .options = options,
  .details =
      "The server is checked, and sees the device's certificate. Without digest or signature nothing is fetched. What "
      "was\n"
      "cut goes on where it ended, as far as the server has the same version: also after a kill or a power cut.\n"
      "Signatures are those of 'openssl dgst -sha256 -sign KEY' (RSA, EC) and 'openssl pkeyutl -sign -rawin' "
      "(Ed25519).\n",
  .example = "holdfast update fetch https://updates.example.com/app-1.2.deb --output /var/lib/app/app.deb \\\n"
             "  --signature https://updates.example.com/app-1.2.deb.sig --key /etc/holdfast/update.pem --hook "
             "/usr/lib/app/install\n",
  .run = run,
};
