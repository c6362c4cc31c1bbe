/* SPDX-License-Identifier: Apache-2.0 */
/* holdfast ca token */
#include "base/file.h"
#include "ca/password.h"
#include "cli/authority.h"
#include "cli/commands.h"
#include "cli/configuration.h"
#include "cli/device.h"
#include "cli/progress.h"

#include <errno.h>
#include <time.h>

enum { EXPIRES_DEFAULT_S = 7 * 86400, EXPIRES_MAX_S = 3650u * 86400, GROUP = 256, BATCH_MAX = 64 << 20 };

/* What all passwords of one call have. */
struct terms {
  uint32_t uses;
  int64_t now, expires;
  const char *alt_names;
};

static hf_err read_uses(const struct cli_args *args, uint32_t *ret_uses)
{
  const char *text = cli_get(args, "uses");
  char *end = NULL;
  unsigned long uses = text ? strtoul(text, &end, 10) : 1;
  if (text && (text[0] < '0' || text[0] > '9' || *end || uses < 1 || uses > PASSWORD_USES_MAX))
    return hf_fail(HF_ERR_USAGE, "--uses must be 1 to %d", PASSWORD_USES_MAX);
  *ret_uses = (uint32_t)uses;
  return HF_OK;
}

/* Now rather than when the device asks. */
static hf_err check_alt_names(const char *text)
{
  HF_CLEANUP(cli_names_end) struct cli_names names = { .list = NULL };
  HF_CLEANUP(profile_alt_names_freep) GENERAL_NAMES *parsed = NULL;
  if (strlen(text) >= REGISTRY_NAMES_MAX)
    return hf_fail(HF_ERR_LIMIT, "--san has more than %d bytes", REGISTRY_NAMES_MAX - 1);
  HF_TRY(cli_names_cut(text, &names));
  return profile_alt_names(&names.names, &parsed);
}

static hf_err read_terms(const struct cli_args *args, struct terms *terms)
{
  unsigned seconds;
  const char *alt_names = cli_get(args, "san");
  HF_TRY(cli_duration(args, "expires", EXPIRES_DEFAULT_S, EXPIRES_MAX_S, &seconds));
  HF_TRY(read_uses(args, &terms->uses));
  terms->now = (int64_t)time(NULL);
  terms->expires = terms->now + seconds;
  terms->alt_names = alt_names ? alt_names : "";
  return alt_names ? check_alt_names(alt_names) : HF_OK;
}

static hf_err prepare(const char *id, const struct terms *terms, struct registry_device *device,
                      struct hf_secret **ret_text)
{
  *device = (struct registry_device){ .has_password = true };
  HF_TRY(cli_ca_check_id(id));
  snprintf(device->id, sizeof(device->id), "%s", id);
  snprintf(device->alt_names, sizeof(device->alt_names), "%s", terms->alt_names);
  return password_make(terms->uses, terms->expires, ret_text, &device->password);
}

/* A secret: never as open as other output. */
static hf_err put_out(const struct cli_args *args, const struct hf_buf *text)
{
  const char *path = cli_get(args, "out");
  if (path)
    return hf_file_write(path, text->data, text->len, 0600);
  return cli_output(args, hf_slice(text->data, text->len));
}

static hf_err print_json(const struct cli_args *args, const char *id, const struct terms *terms, const char *password)
{
  HF_CLEANUP(json_decrefp) json_t *json = json_object();
  char expires[CLI_TIME_MAX];
  cli_ca_time(terms->expires, expires);
  HF_TRY(cli_json_set(json, "device", id));
  HF_TRY(cli_json_set(json, "password", password));
  HF_TRY(cli_json_set(json, "expires", expires));
  if (!cli_has(args, "out"))
    return cli_json_print(json);
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(4096);
  char *dump = json_dumps(json, JSON_INDENT(2));
  hf_err e = dump ? hf_buf_addf(&text, "%s\n", dump) : hf_fail(HF_ERR_NO_MEMORY, "JSON");
  free(dump);
  HF_TRY(e);
  return put_out(args, &text);
}

static hf_err one(const struct cli_args *args, struct cli_ca *ca, const struct terms *terms)
{
  HF_CLEANUP(hf_secret_freep) struct hf_secret *text = NULL;
  HF_CLEANUP(hf_buf_free) struct hf_buf line = HF_BUF(64);
  struct registry_device device;
  const char *id = cli_operand(args, 0);
  HF_TRY(prepare(id, terms, &device, &text));
  HF_TRY(registry_device_expect(ca->registry, &device, 1, terms->now));
  const char *password = (const char *)hf_secret_data(text);
  if (cli_has(args, "json"))
    return print_json(args, id, terms, password);
  HF_TRY(hf_buf_addf(&line, "%s\n", password));
  return put_out(args, &line);
}

/* Many */

struct batch {
  const struct cli_args *args;
  struct cli_ca *ca;
  const struct terms *terms;
  struct registry_device *devices; /* GROUP of them */
  size_t count;                    /* of this group */
  size_t done;
  struct hf_buf lines; /* of this group; with --out, of all */
};

static hf_err flush(struct batch *batch)
{
  HF_TRY(registry_device_expect(batch->ca->registry, batch->devices, batch->count, batch->terms->now));
  batch->done += batch->count;
  batch->count = 0;
  if (!cli_has(batch->args, "out")) {
    HF_TRY(cli_output(batch->args, hf_slice(batch->lines.data, batch->lines.len)));
    hf_buf_free(&batch->lines);
  }
  fprintf(stderr, isatty(STDERR_FILENO) ? "\r%zu devices" : "%zu devices\n", batch->done);
  return HF_OK;
}

static hf_err add_device(struct batch *batch, const char *id)
{
  HF_CLEANUP(hf_secret_freep) struct hf_secret *text = NULL;
  HF_TRY(prepare(id, batch->terms, &batch->devices[batch->count], &text));
  HF_TRY(hf_buf_addf(&batch->lines, "%s\t%s\n", id, (const char *)hf_secret_data(text)));
  batch->count++;
  return batch->count == GROUP ? flush(batch) : HF_OK;
}

static hf_err each_line(struct batch *batch, FILE *file, const char *path)
{
  char line[256];
  for (size_t number = 1; fgets(line, sizeof(line), file); number++) {
    line[strcspn(line, "\r\n")] = '\0';
    if (!line[0] || line[0] == '#')
      continue;
    hf_err e = add_device(batch, line);
    if (e.code == HF_ERR_USAGE)
      return hf_hint(hf_fail(HF_ERR_USAGE, "%s, line %zu: %s", path, number, hf_err_context()), "%s", hf_err_hint(e));
    HF_TRY(e);
  }
  HF_TRY(ferror(file) ? hf_fail_errno(errno, "%s", path) : HF_OK);
  return batch->count ? flush(batch) : HF_OK;
}

static hf_err many(const struct cli_args *args, struct cli_ca *ca, const struct terms *terms)
{
  const char *path = cli_get(args, "batch");
  HF_CLEANUP(hf_fclosep) FILE *file = fopen(strcmp(path, "-") == 0 ? "/dev/stdin" : path, "re");
  if (!file)
    return hf_fail_errno(errno, "%s", path);
  HF_CLEANUP(hf_freep) struct registry_device *devices = calloc(GROUP, sizeof(*devices));
  if (!devices)
    return hf_fail(HF_ERR_NO_MEMORY, "devices");
  struct batch batch = { args, ca, terms, devices, .lines = HF_BUF(BATCH_MAX) };
  hf_err e = each_line(&batch, file, path);
  if (isatty(STDERR_FILENO))
    fputc('\n', stderr);
  if (!hf_failed(e) && cli_has(args, "out"))
    e = put_out(args, &batch.lines);
  hf_buf_free(&batch.lines);
  return e;
}

static hf_err run(const struct cli_args *args)
{
  HF_CLEANUP(cli_ca_close) struct cli_ca ca = { 0 };
  struct terms terms;
  if ((args->operand_count == 1) == cli_has(args, "batch"))
    return hf_hint(hf_fail(HF_ERR_USAGE, "'ca token' needs a device's id, or --batch FILE"),
                   "See 'holdfast ca token --help'.");
  HF_TRY(read_terms(args, &terms));
  HF_TRY(cli_ca_open(args, CLI_CA_REGISTRY, &ca));
  return cli_has(args, "batch") ? many(args, &ca, &terms) : one(args, &ca, &terms);
}

static const struct cli_option options[] = {
  { "expires", "DURATION", "how long it can be used: 12h, 30d, ... (default: 7d)" },
  { "uses", "N", "how often it can be used (default: once)" },
  { "san", "NAMES", "alternative names that the device may ask for: DNS:NAME,IP:ADDRESS,..." },
  { "batch", "FILE", "for each device that a line of this file names (-: standard input)" },
  { "out", "FILE", "write it there (0600) in place of standard output" },
  CLI_JSON_OPTION,
  CLI_CONFIG_OPTION,
  CLI_END,
};

const struct cli_command cli_ca_token = {
  .name = "ca token",
  .help = "Make a one-time password by which a device gets its first certificate",
  .operands = "[DEVICE-ID]",
  .operands_max = 1,
  .options = options,
  .details =
      "It is shown this once: the authority keeps a hash of it. It takes the place of an earlier one. With --batch,\n"
      "lines of the device's id, a tab and its password come out.\n",
  .example = "holdfast ca token device-1\n"
             "holdfast ca token --batch devices.txt --out passwords.tsv --expires 30d\n",
  .run = run,
};
