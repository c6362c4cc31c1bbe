/* SPDX-License-Identifier: Apache-2.0 */
/* holdfast secret list */
#include "cli/commands.h"
#include "cli/secret.h"

#include <stdlib.h>

struct listing {
  struct secrets_info *infos;
  size_t count, capacity;
};

static void free_listing(struct listing *listing)
{
  free(listing->infos);
}

static hf_err add(const struct secrets_info *info, void *arg)
{
  struct listing *listing = arg;
  if (listing->count == listing->capacity) {
    size_t capacity = listing->capacity ? 2 * listing->capacity : 16;
    struct secrets_info *infos = reallocarray(listing->infos, capacity, sizeof(*infos));
    if (!infos)
      return hf_fail(HF_ERR_NO_MEMORY, "%zu secrets", capacity);
    listing->infos = infos;
    listing->capacity = capacity;
  }
  listing->infos[listing->count++] = *info;
  return HF_OK;
}

static int by_name(const void *a, const void *b)
{
  return strcmp(((const struct secrets_info *)a)->name, ((const struct secrets_info *)b)->name);
}

/* Whether the version has had its turn with an earlier label. */
static bool is_seen(const struct secrets_info *info, size_t stage)
{
  for (size_t i = 0; i < stage; i++)
    if (memcmp(info->stages[i].version, info->stages[stage].version, SECRETS_ID_BYTES) == 0)
      return true;
  return false;
}

static hf_err info_json(const struct secrets_info *info, json_t *out)
{
  char time[CLI_SECRET_TIME_MAX], version[SECRETS_ID_TEXT];
  json_t *versions = json_array();
  HF_TRY(cli_json_set(out, "name", info->name));
  cli_secret_time(info->created, time);
  HF_TRY(cli_json_set(out, "created", time));
  cli_secret_time(info->changed, time);
  HF_TRY(cli_json_set(out, "changed", time));
  HF_TRY(cli_json_set_new(out, "versions", versions));
  for (size_t i = 0; i < info->stage_count; i++) {
    if (is_seen(info, i))
      continue;
    json_t *one = json_object();
    HF_TRY(cli_json_append_new(versions, one));
    secrets_id_format(info->stages[i].version, version);
    HF_TRY(cli_json_set(one, "version", version));
    HF_TRY(cli_json_set_new(one, "stages", cli_secret_stages(info, info->stages[i].version)));
  }
  return HF_OK;
}

static hf_err print_json(const struct listing *listing)
{
  HF_CLEANUP(json_decrefp) json_t *list = json_array();
  for (size_t i = 0; i < listing->count; i++) {
    json_t *object = json_object();
    HF_TRY(cli_json_append_new(list, object));
    HF_TRY(info_json(&listing->infos[i], object));
  }
  return cli_json_print(list);
}

static void print_one(const struct secrets_info *info)
{
  char time[CLI_SECRET_TIME_MAX], version[SECRETS_ID_TEXT];
  cli_secret_time(info->changed, time);
  printf("%s\n  changed %s\n", info->name, time);
  for (size_t i = 0; i < info->stage_count; i++) {
    secrets_id_format(info->stages[i].version, version);
    printf("  %s  %s\n", version, info->stages[i].label);
  }
}

static hf_err run(const struct cli_args *args)
{
  HF_CLEANUP(cli_secrets_close) struct cli_secrets secrets = { 0 };
  HF_CLEANUP(free_listing) struct listing listing = { 0 };
  const char *name = cli_operand(args, 0);
  struct secrets_info info;
  hf_err e = cli_secrets_open(args, false, &secrets);
  if (hf_failed(e) && (e.code != HF_ERR_NOT_FOUND || name))
    return e;
  if (name) {
    HF_TRY(secrets_info(secrets.secrets, name, &info));
    HF_TRY(add(&info, &listing));
  } else if (!hf_failed(e)) {
    HF_TRY(secrets_each(secrets.secrets, add, &listing));
  }
  if (listing.count)
    qsort(listing.infos, listing.count, sizeof(listing.infos[0]), by_name);
  if (cli_has(args, "json"))
    return print_json(&listing);
  for (size_t i = 0; i < listing.count; i++)
    print_one(&listing.infos[i]);
  if (listing.count == 0)
    puts("No secret.");
  return HF_OK;
}

static const struct cli_option options[] = { CLI_JSON_OPTION, CLI_MODULE_OPTIONS, CLI_END };

const struct cli_command cli_secret_list = {
  .name = "secret list",
  .help = "List the secrets, their versions and labels; no value, and no PIN",
  .operands = "[NAME]",
  .operands_max = 1,
  .options = options,
  .example = "holdfast secret list --json\n",
  .run = run,
};
