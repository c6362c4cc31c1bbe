/* SPDX-License-Identifier: Apache-2.0 */
/* holdfast ca list */
#include "cli/authority.h"
#include "cli/commands.h"
#include "cli/configuration.h"
#include "cli/progress.h"

#include <time.h>

enum { EXPIRING_MAX_S = 3650u * 86400 };

/* Rows as they come: of a hundred thousand none is kept. */
struct listing {
  bool json, revoked_only;
  size_t count;
};

static hf_err print_object(struct listing *listing, const json_t *object)
{
  fputs(listing->count ? ",\n  " : "[\n  ", stdout);
  if (json_dumpf(object, stdout, JSON_COMPACT) != 0)
    return hf_fail(HF_ERR_IO, "standard output");
  return HF_OK;
}

static void end_listing(const struct listing *listing, const char *none)
{
  if (listing->json)
    puts(listing->count ? "\n]" : "[]");
  else if (listing->count == 0)
    puts(none);
}

/* Certificates */

static void print_row(const struct registry_certificate *certificate)
{
  char serial[2 * REGISTRY_SERIAL_MAX + 1], until[CLI_TIME_MAX];
  registry_serial_format(&certificate->serial, serial);
  cli_ca_time(certificate->not_after, until);
  printf("%-40s  %-7s  %-9s  %s  ", serial, cli_ca_state(certificate), cli_ca_kind(certificate->kind), until);
  cli_print_text(stdout, certificate->device, strlen(certificate->device));
  putchar('\n');
}

static hf_err add_certificate(const struct registry_certificate *certificate, void *arg)
{
  struct listing *listing = arg;
  if (listing->json) {
    HF_CLEANUP(json_decrefp) json_t *object = json_object();
    HF_TRY(cli_ca_json(certificate, object));
    HF_TRY(print_object(listing, object));
  } else {
    if (listing->count == 0)
      printf("%-40s  %-7s  %-9s  %-23s  %s\n", "SERIAL", "STATE", "KIND", "UNTIL", "DEVICE");
    print_row(certificate);
  }
  listing->count++;
  return HF_OK;
}

/* Those that are worth a thought: what is revoked does not matter any more. */
static hf_err add_unrevoked(const struct registry_certificate *certificate, void *arg)
{
  return certificate->revoked ? HF_OK : add_certificate(certificate, arg);
}

static hf_err list_certificates(const struct cli_args *args, struct registry *registry, struct listing *listing)
{
  int64_t now = (int64_t)time(NULL);
  unsigned seconds = 0;
  if (cli_has(args, "revoked"))
    return registry_revoked_each(registry, INT64_MIN, add_certificate, listing);
  if (!cli_has(args, "expiring"))
    return registry_certificate_each(registry, add_certificate, listing);
  HF_TRY(cli_duration(args, "expiring", 0, EXPIRING_MAX_S, &seconds));
  return registry_certificate_expiring(registry, now, now + seconds, add_unrevoked, listing);
}

/* Devices */

static hf_err device_json(struct listing *listing, const struct registry_device *device, const char *state,
                          const char *expires)
{
  HF_CLEANUP(json_decrefp) json_t *object = json_object();
  HF_TRY(cli_json_set(object, "device", device->id));
  HF_TRY(cli_json_set(object, "state", state));
  HF_TRY(cli_json_set_new(object, "password_uses",
                          json_integer(device->has_password ? (json_int_t)device->password.uses : 0)));
  if (device->has_password)
    HF_TRY(cli_json_set(object, "password_expires", expires));
  return print_object(listing, object);
}

static hf_err add_device(const struct registry_device *device, void *arg)
{
  static const char *const states[] = {
    [REGISTRY_EXPECTED] = "expected", [REGISTRY_ENROLLED] = "enrolled", [REGISTRY_REVOKED] = "revoked"
  };
  struct listing *listing = arg;
  char expires[CLI_TIME_MAX] = "-";
  bool usable = device->has_password && device->password.uses > 0;
  if (device->has_password)
    cli_ca_time(device->password.expires, expires);
  if (listing->json) {
    HF_TRY(device_json(listing, device, states[device->state], expires));
  } else {
    if (listing->count == 0)
      printf("%-8s  %-23s  %s\n", "STATE", "PASSWORD UNTIL", "DEVICE");
    printf("%-8s  %-23s  ", states[device->state], usable ? expires : "-");
    cli_print_text(stdout, device->id, strlen(device->id));
    putchar('\n');
  }
  listing->count++;
  return HF_OK;
}

static hf_err run(const struct cli_args *args)
{
  HF_CLEANUP(cli_ca_close) struct cli_ca ca = { 0 };
  struct listing listing = { .json = cli_has(args, "json") };
  bool devices = cli_has(args, "devices");
  if (devices + cli_has(args, "revoked") + cli_has(args, "expiring") > 1)
    return hf_fail(HF_ERR_USAGE, "of --devices, --revoked and --expiring, one at a time");
  HF_TRY(cli_ca_open(args, CLI_CA_REGISTRY, &ca));
  HF_TRY(devices ? registry_device_each(ca.registry, add_device, &listing)
                 : list_certificates(args, ca.registry, &listing));
  end_listing(&listing, devices ? "No device." : "No certificate.");
  return HF_OK;
}

static const struct cli_option options[] = {
  { "expiring", "DURATION", "those that end within this time (30d, ...), soonest first" },
  { "revoked", NULL, "those that were revoked" },
  { "devices", NULL, "the devices, and whether their passwords wait to be used" },
  CLI_JSON_OPTION,
  CLI_CONFIG_OPTION,
  CLI_END,
};

const struct cli_command cli_ca_list = {
  .name = "ca list",
  .help = "List the certificates that the authority has issued",
  .options = options,
  .example = "holdfast ca list --expiring 30d --json\n",
  .run = run,
};
