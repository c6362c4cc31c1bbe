/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/migrate.h"
#include "cli/pin.h"
#include "cli/progress.h"
#include "cli/token.h"
#include "softhsm/conf.h"

#include <errno.h>
#include <limits.h>

/* What became of one directory. */
struct outcome {
  char dir[PATH_MAX];
  struct softhsm_info info;
  struct migrate_result result;
  struct hf_err_saved error;
};

struct work {
  const struct cli_args *args;
  struct p11_module *module;
  struct migrate_how how;
  struct outcome *outcomes;
  size_t count;
};

static void work_free(struct work *work)
{
  for (size_t i = 0; i < work->count; i++)
    migrate_result_free(&work->outcomes[i].result);
  free(work->outcomes);
  hf_secret_free(work->how.pin);
  hf_secret_free(work->how.so_pin);
  p11_module_unref(work->module);
}

static hf_err add_directory(struct work *work, const char *dir)
{
  struct outcome *more = reallocarray(work->outcomes, work->count + 1, sizeof(*more));
  if (!more)
    return hf_fail(HF_ERR_NO_MEMORY, "%zu tokens", work->count);
  work->outcomes = more;
  more[work->count] = (struct outcome){ .error = { .error = HF_OK } };
  if ((size_t)snprintf(more[work->count].dir, sizeof(more->dir), "%s", dir) >= sizeof(more->dir))
    return hf_fail(HF_ERR_LIMIT, "a path of %zu bytes", strlen(dir));
  work->count++;
  return HF_OK;
}

static hf_err add_all(struct work *work)
{
  char tokendir[PATH_MAX], dir[2 * PATH_MAX];
  struct dirent **entries;
  HF_TRY(softhsm_tokendir(tokendir, sizeof(tokendir)));
  int count = scandir(tokendir, &entries, NULL, alphasort);
  if (count < 0)
    return hf_hint(hf_fail_errno(errno, "%s", tokendir),
                   "This is directories.tokendir of SoftHSM2's configuration; SOFTHSM2_CONF names another one.");
  hf_err e = HF_OK;
  for (int i = 0; i < count; i++) {
    snprintf(dir, sizeof(dir), "%s/%s", tokendir, entries[i]->d_name);
    if (!hf_failed(e) && entries[i]->d_name[0] != '.' && softhsm_is_token(dir))
      e = add_directory(work, dir);
    free(entries[i]);
  }
  free(entries);
  HF_TRY(e);
  return work->count ? HF_OK : hf_fail(HF_ERR_TOKEN_NOT_FOUND, "%s holds no token of SoftHSM2's", tokendir);
}

static hf_err find_directories(struct work *work)
{
  const struct cli_args *args = work->args;
  if (cli_has(args, "all") == (args->operand_count > 0))
    return hf_hint(hf_fail(HF_ERR_USAGE, "'token migrate' needs a token's directory, or --all"),
                   "--all takes every token of SoftHSM2's configuration.");
  if (cli_has(args, "all"))
    return add_all(work);
  for (int i = 0; i < args->operand_count; i++)
    HF_TRY(add_directory(work, args->operands[i]));
  return HF_OK;
}

static hf_err open_module(struct work *work)
{
  HF_TRY(cli_module_open(work->args, NULL, &work->module));
  const struct holdfast_token_ext *ext = p11_module_ext(work->module);
  if (ext && (ext->version.major > 1 || ext->version.minor >= 1))
    return HF_OK;
  return hf_hint(hf_fail(HF_ERR_FUNCTION_NOT_SUPPORTED, "taking over a token into %s", p11_module_path(work->module)),
                 "It goes into Holdfast's own token alone, in this process: name its module by --module.");
}

static bool given(const struct cli_args *args, const char *pin, const char *source)
{
  return cli_has(args, pin) || cli_has(args, source);
}

static hf_err read_pins(struct work *work)
{
  const struct cli_args *args = work->args;
  bool new = given(args, "new-so-pin", "new-so-pin-source"), old = given(args, "so-pin", "so-pin-source");
  if (new &&old)
    return hf_fail(HF_ERR_USAGE, "--so-pin and --new-so-pin exclude each other");
  HF_TRY(cli_pin(args, NULL, &work->how.pin));
  work->how.so_pin_is_new = new;
  hf_err e = cli_pin_option(args, new ? "new-so-pin" : "so-pin", "SO PIN", new, &work->how.so_pin);
  if (e.code != HF_ERR_PIN_MISSING)
    return e;
  return hf_hint(e, "Give the old token's by --so-pin-source, or set a new one by --new-so-pin-source.");
}

static void show_progress(const char *label, size_t done, size_t count)
{
  cli_progress_items(label, done, count);
}

static hf_err migrate_one(struct work *work, struct outcome *outcome)
{
  HF_CLEANUP(softhsm_closep) struct softhsm_token *from = NULL;
  HF_TRY(softhsm_open(outcome->dir, &from));
  outcome->info = *softhsm_info(from);
  hf_err e = migrate_token(work->module, from, &work->how, &outcome->result);
  if (e.code == HF_ERR_PIN_INCORRECT)
    return hf_hint(e, "Each token has PINs of its own: migrate one with others by its directory. A forgotten SO PIN is "
                      "replaced by --new-so-pin-source.");
  return e;
}

static const struct {
  CK_KEY_TYPE type;
  const char *name;
} key_types[] = {
  { CKK_RSA, "RSA" },   { CKK_DSA, "DSA" },
  { CKK_DH, "DH" },     { CKK_EC, "EC" },
  { CKK_AES, "AES" },   { CKK_GENERIC_SECRET, "generic" },
  { CKK_DES, "DES" },   { CKK_DES2, "DES2" },
  { CKK_DES3, "DES3" }, { CKK_EC_EDWARDS, "EC (Edwards)" },
  { 0x30UL, "GOST" },   { CKK_EC_MONTGOMERY, "EC (Montgomery)" },
};

/* "private key, DSA" */
static void describe(const struct migrate_left *left, char *out, size_t size)
{
  const char *class = p11_class_name(left->object_class);
  int len = snprintf(out, size, "%s", class ? class : "object of another class");
  for (size_t i = 0; i < HF_ARRAY_LEN(key_types); i++)
    if (key_types[i].type == left->key_type)
      snprintf(out + len, size - (size_t)len, ", %s", key_types[i].name);
}

static hf_err left_to_json(const struct migrate_left *left, json_t *list)
{
  char kind[64];
  json_t *json = json_object();
  HF_TRY(cli_json_append_new(list, json));
  describe(left, kind, sizeof(kind));
  HF_TRY(cli_json_set(json, "name", left->name));
  HF_TRY(cli_json_set(json, "label", left->label));
  HF_TRY(cli_json_set(json, "kind", kind));
  return cli_json_set(json, "reason", left->reason);
}

static hf_err numbers_to_json(const struct migrate_result *result, json_t *json)
{
  const struct {
    const char *name;
    size_t value;
  } numbers[] = {
    { "objects", result->objects },
    { "taken", result->taken },
    { "keys", result->keys },
    { "keys_tried", result->keys_tried },
    { "interrupted", result->interrupted },
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(numbers); i++)
    HF_TRY(cli_json_set_new(json, numbers[i].name, json_integer((json_int_t)numbers[i].value)));
  return HF_OK;
}

static bool is_migrated(const struct work *work, const struct outcome *outcome)
{
  return !hf_failed(outcome->error.error) && !work->how.dry_run;
}

static hf_err to_json(const struct work *work, const struct outcome *outcome, json_t *json)
{
  json_t *left = json_array();
  HF_TRY(cli_json_set_new(json, "left", left));
  HF_TRY(cli_json_set(json, "directory", outcome->dir));
  HF_TRY(cli_json_set(json, "label", outcome->info.label));
  HF_TRY(cli_json_set(json, "old_serial", outcome->info.serial));
  HF_TRY(cli_json_set_new(json, "migrated", json_boolean(is_migrated(work, outcome))));
  HF_TRY(numbers_to_json(&outcome->result, json));
  for (size_t i = 0; i < outcome->result.left_count; i++)
    HF_TRY(left_to_json(&outcome->result.left[i], left));
  if (is_migrated(work, outcome)) {
    HF_TRY(cli_json_set(json, "serial", outcome->result.serial));
    return cli_json_set_new(json, "slot", json_integer((json_int_t)outcome->result.slot));
  }
  if (!hf_failed(outcome->error.error))
    return HF_OK;
  HF_TRY(cli_json_set(json, "error", hf_err_name(outcome->error.error)));
  HF_TRY(cli_json_set(json, "reason", outcome->error.context));
  return cli_json_set(json, "hint", outcome->error.hint);
}

static hf_err print_json(const struct work *work)
{
  HF_CLEANUP(json_decrefp) json_t *list = json_array();
  for (size_t i = 0; i < work->count; i++) {
    json_t *json = json_object();
    HF_TRY(cli_json_append_new(list, json));
    HF_TRY(to_json(work, &work->outcomes[i], json));
  }
  return cli_json_print(list);
}

static void print_left(const struct migrate_left *left)
{
  char kind[64];
  describe(left, kind, sizeof(kind));
  fputs("  left: ", stdout);
  cli_print_text(stdout, left->label, strlen(left->label));
  printf("%s(%s)\n    ", left->label[0] ? " " : "", kind);
  cli_print_text(stdout, left->reason, strlen(left->reason));
  putchar('\n');
}

static hf_err print_uri(const struct work *work, const struct outcome *outcome)
{
  struct p11_token token;
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(4 * URI_MAX);
  HF_TRY(p11_token_get(work->module, outcome->result.slot, &token));
  HF_TRY(p11_token_uri(&token, &uri));
  HF_TRY(uri_format(&uri, &text));
  printf("  %s\n", hf_buf_str(&text));
  return HF_OK;
}

static hf_err print_outcome(const struct work *work, const struct outcome *outcome)
{
  const struct migrate_result *result = &outcome->result;
  bool failed = hf_failed(outcome->error.error);
  if (!outcome->info.label[0] && failed)
    return HF_OK;
  fputs("Token \"", stdout);
  cli_print_text(stdout, outcome->info.label, strlen(outcome->info.label));
  printf("\" (serial %s): ", outcome->info.serial);
  if (outcome->error.error.code == HF_ERR_EXISTS)
    puts("there already");
  else if (failed && result->left_count == 0)
    puts("not migrated");
  else
    printf("%zu of %zu objects %s, %zu of %zu keys tried\n", result->taken, result->objects,
           is_migrated(work, outcome) ? "taken" : "can be taken", result->keys_tried, result->keys);
  if (result->interrupted)
    printf("  %zu empty: SoftHSM2 was interrupted when it wrote them\n", result->interrupted);
  for (size_t i = 0; i < result->left_count; i++)
    print_left(&result->left[i]);
  return is_migrated(work, outcome) ? print_uri(work, outcome) : HF_OK;
}

/* That --all meets a token of an earlier run is no failure: so it can be run again. */
static bool counts_as_failed(const struct work *work, const struct outcome *outcome)
{
  return hf_failed(outcome->error.error) && !(outcome->error.error.code == HF_ERR_EXISTS && cli_has(work->args, "all"));
}

static hf_err overall(const struct work *work)
{
  const struct outcome *first = NULL;
  size_t failed = 0;
  for (size_t i = 0; i < work->count; i++) {
    if (!counts_as_failed(work, &work->outcomes[i]))
      continue;
    first = first ? first : &work->outcomes[i];
    failed++;
  }
  if (!first)
    return HF_OK;
  if (work->count == 1)
    return hf_err_restore(&first->error);
  return hf_hint(hf_fail(first->error.error.code, "%zu of %zu tokens were not migrated; %s: %s", failed, work->count,
                         first->dir, first->error.context),
                 "%s", first->error.hint);
}

static hf_err run(const struct cli_args *args)
{
  HF_CLEANUP(work_free)
  struct work work = { .args = args,
                       .how = { .new_serial = cli_has(args, "new-serial"),
                                .skip_unsupported = cli_has(args, "skip-unsupported"),
                                .strict = cli_has(args, "strict"),
                                .dry_run = cli_has(args, "dry-run"),
                                .progress = show_progress } };
  HF_TRY(find_directories(&work));
  HF_TRY(open_module(&work));
  HF_TRY(read_pins(&work));
  for (size_t i = 0; i < work.count; i++) {
    struct outcome *outcome = &work.outcomes[i];
    outcome->error = hf_err_save(migrate_one(&work, outcome));
    if (!cli_has(args, "json"))
      HF_TRY(print_outcome(&work, outcome));
  }
  if (cli_has(args, "json"))
    HF_TRY(print_json(&work));
  return overall(&work);
}

static const struct cli_option options[] = {
  { "all", NULL, "every token of SoftHSM2's configuration (SOFTHSM2_CONF, or its usual places)" },
  CLI_PIN_OPTIONS,
  CLI_SO_PIN_OPTIONS,
  { "new-so-pin-source", "SRC", "where a new SO PIN is, in place of the old token's" },
  { "new-so-pin", "PIN", "the new SO PIN itself; other users may see it" },
  { "new-serial", NULL, "give the new token another serial number, and so another slot" },
  { "skip-unsupported", NULL, "take the others where Holdfast's token cannot hold an object" },
  { "strict", NULL, "fail on an object that SoftHSM2 was interrupted to write" },
  { "dry-run", NULL, "try all of it, and leave nothing" },
  CLI_JSON_OPTION,
  CLI_MODULE_OPTIONS,
  CLI_END,
};

const struct cli_command cli_token_migrate = {
  .name = "token migrate",
  .help = "Take over a token of SoftHSM2's with all that is in it",
  .operands = "[DIR...]",
  .operands_max = INT_MAX,
  .options = options,
  .details =
      "DIR is a token's directory, below directories.tokendir of softhsm2.conf; either backend, file or db, will do.\n"
      "SoftHSM2 itself is not needed, and its directory stays as it is. End the programs that use the token first.\n"
      "\n"
      "The new token has the old one's label, serial number, user PIN and SO PIN, and every object with every\n"
      "attribute. Each private and secret key is used once in it, and what comes out is compared. The new token is\n"
      "there once all is, or not at all.\n",
  .example = "holdfast token migrate --all --pin-source /etc/holdfast/pin --new-so-pin-source /etc/holdfast/so.pin\n",
  .run = run,
};
