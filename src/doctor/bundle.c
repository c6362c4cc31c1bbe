/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor/bundle_private.h"

#include "base/file.h"
#include "base/process.h"
#include "doctor/doctor_report.h"
#include "identity/hsm.h"
#include "uri/uri.h"

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <time.h>

enum { TAR_TIMEOUT_S = 120, TAR_OUTPUT_MAX = 64 * 1024, NAME_TEXT_MAX = 128 };

/* Where it is put together: a directory of our own beside the archive, gone at the end. */
struct stage {
  char dir[PATH_MAX];
  char name[NAME_TEXT_MAX]; /* of the directory in the archive */
  struct hf_buf contents;   /* README.txt */
};

static void stage_end(struct stage *stage)
{
  char path[PATH_MAX + NAME_TEXT_MAX + 64];
  hf_buf_free(&stage->contents);
  if (!stage->dir[0])
    return;
  for (const struct bundle_file *file = bundle_files; file->name; file++) {
    snprintf(path, sizeof(path), "%s/%s/%s", stage->dir, stage->name, file->name);
    unlink(path);
  }
  snprintf(path, sizeof(path), "%s/%s/README.txt", stage->dir, stage->name);
  unlink(path);
  snprintf(path, sizeof(path), "%s/%s", stage->dir, stage->name);
  rmdir(path);
  snprintf(path, sizeof(path), "%s/bundle.tar.gz", stage->dir);
  unlink(path);
  rmdir(stage->dir);
}

static void bundle_end(struct bundle *b)
{
  json_decref(b->report);
  redactor_free(b->redactor);
  config_free(b->config);
}

/* The host's name as far as it makes a good file's name. */
static void name_it(char out[NAME_TEXT_MAX])
{
  char host[64] = "", when[32] = "";
  time_t now = time(NULL);
  struct tm tm;
  if (gethostname(host, sizeof(host) - 1) != 0 ||
      strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.") != strlen(host))
    snprintf(host, sizeof(host), "device");
  if (gmtime_r(&now, &tm))
    strftime(when, sizeof(when), "%Y%m%dT%H%M%SZ", &tm);
  snprintf(out, NAME_TEXT_MAX, "holdfast-bundle-%s-%s", host, when);
}

static hf_err stage_begin(const char *path, struct stage *stage)
{
  char dir[PATH_MAX];
  if ((size_t)snprintf(dir, sizeof(dir), "%s.XXXXXX", path) >= sizeof(dir))
    return hf_fail(HF_ERR_LIMIT, "the path %.64s...", path);
  if (!mkdtemp(dir))
    return hf_fail_errno(errno, "%s", path);
  memcpy(stage->dir, dir, sizeof(dir));
  snprintf(dir + strlen(dir), sizeof(dir) - strlen(dir), "/%s", stage->name);
  return mkdir(dir, 0700) == 0 ? HF_OK : hf_fail_errno(errno, "%s", dir);
}

static hf_err add_secret(struct bundle *b, const char *secret)
{
  return secret ? redactor_add(b->redactor, secret, strlen(secret)) : HF_OK;
}

/* The PIN, wherever it is; that there is none is known, too. */
static hf_err add_pin(struct bundle *b, const char *uri_text)
{
  HF_CLEANUP(hf_secret_freep) struct hf_secret *pin = NULL;
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  if (uri_text)
    HF_TRY(uri_parse(uri_text, &uri));
  hf_err e = hsm_pin(b->config, &uri, &pin);
  if (e.code == HF_ERR_NOT_FOUND || e.code == HF_ERR_PIN_MISSING)
    return HF_OK;
  HF_TRY(e);
  return pin ? redactor_add(b->redactor, hf_secret_data(pin), hf_secret_len(pin)) : HF_OK;
}

static hf_err learn_secrets(struct bundle *b)
{
  HF_TRY(config_load(b->options->config_path, &b->config));
  for (enum config_key key = 0; key < CONFIG_KEY_COUNT; key++) {
    const char *value = config_get(b->config, key);
    if (config_is_secret(key))
      HF_TRY(add_secret(b, value));
    else if (value && uri_is_pkcs11(value))
      HF_TRY(add_pin(b, value));
  }
  return add_pin(b, NULL);
}

static void add_finding(const struct doctor_finding *finding, void *arg)
{
  const struct bundle *b = arg;
  hf_ignore(doctor_report_add(b->report, finding));
}

static void on_begin(const char *code, const char *title, void *arg)
{
  const struct bundle *b = arg;
  b->options->begin(code, title, b->options->arg);
}

static hf_err examine(struct bundle *b)
{
  struct doctor_summary summary;
  const struct doctor_reporter reporter = { on_begin, add_finding, b };
  const struct doctor_options options = { .config_path = b->options->config_path,
                                          .module_path = b->options->module_path,
                                          .timeout_s = b->options->timeout_s,
                                          .reporter = &reporter };
  b->report = doctor_report_new();
  HF_TRY(doctor_run(&options, &summary));
  return doctor_report_end(b->report, &summary);
}

static hf_err write_file(struct stage *stage, const char *name, const struct hf_buf *content)
{
  char path[PATH_MAX + NAME_TEXT_MAX + 64];
  snprintf(path, sizeof(path), "%s/%s/%s", stage->dir, stage->name, name);
  return hf_file_write(path, content->data, content->len, S_IRUSR | S_IWUSR);
}

/* What cannot be had is left out, and said so. */
static hf_err add(struct bundle *b, struct stage *stage, const struct bundle_file *file)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf content = HF_BUF(BUNDLE_FILE_MAX);
  char why[HF_CONTEXT_MAX + 256];
  hf_err e = file->collect(b, &content);
  if (!hf_failed(e)) {
    HF_TRY(write_file(stage, file->name, &content));
    b->options->file(file->name, true, file->what, b->options->arg);
    return hf_buf_addf(&stage->contents, "%-16s %s\n", file->name, file->what);
  }
  hf_err_format(e, why, sizeof(why));
  b->options->file(file->name, false, why, b->options->arg);
  HF_CLEANUP(hf_buf_free) struct hf_buf shown = HF_BUF(4 * sizeof(why));
  HF_TRY(redactor_text(b->redactor, hf_slice(why, strlen(why)), &shown));
  return hf_buf_addf(&stage->contents, "%-16s left out: %s\n", file->name, hf_buf_str(&shown));
}

static hf_err pack(const struct stage *stage, const char *path)
{
  char archive[PATH_MAX + 32];
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(TAR_OUTPUT_MAX);
  int status = 0;
  snprintf(archive, sizeof(archive), "%s/bundle.tar.gz", stage->dir);
  const char *const argv[] = { "tar",     "--create", "--gzip",  "--file", archive,     "--directory", stage->dir,
                               "--owner", "root:0",   "--group", "root:0", stage->name, NULL };
  mode_t old = umask(0077);
  hf_err e = hf_process_run(argv, TAR_TIMEOUT_S, &out, &status);
  umask(old);
  HF_TRY(e);
  if (status != 0)
    return hf_fail(HF_ERR_IO, "tar ended with status %d: %.200s", status, hf_buf_str(&out));
  /* A file system without links may replace what came there meanwhile. */
  if (link(archive, path) == 0)
    return HF_OK;
  return errno == EEXIST ? hf_fail(HF_ERR_EXISTS, "%s", path) : hf_file_rename(archive, path);
}

static hf_err fill(struct bundle *b, struct stage *stage)
{
  HF_TRY(redactor_new(&b->redactor));
  b->secrets_known = !hf_failed(learn_secrets(b));
  HF_TRY(examine(b));
  HF_TRY(hf_buf_addf(&stage->contents,
                     "%s, by 'holdfast doctor bundle'. No PIN, password or private key is meant to be in it.\n\n",
                     stage->name));
  for (const struct bundle_file *file = bundle_files; file->name; file++)
    HF_TRY(add(b, stage, file));
  return write_file(stage, "README.txt", &stage->contents);
}

hf_err bundle_make(const struct bundle_options *options, char **ret_path)
{
  char path[PATH_MAX];
  HF_CLEANUP(bundle_end) struct bundle b = { .options = options };
  HF_CLEANUP(stage_end) struct stage stage = { .contents = HF_BUF(BUNDLE_FILE_MAX) };
  name_it(stage.name);
  if ((size_t)snprintf(path, sizeof(path), "%s%s", options->path ? options->path : stage.name,
                       options->path ? "" : ".tar.gz") >= sizeof(path))
    return hf_fail(HF_ERR_LIMIT, "the path %.64s...", path);
  if (access(path, F_OK) == 0)
    return hf_fail(HF_ERR_EXISTS, "%s", path);
  HF_TRY(stage_begin(path, &stage));
  HF_TRY(fill(&b, &stage));
  HF_TRY(pack(&stage, path));
  char *copy = strdup(path);
  if (!copy)
    return hf_fail(HF_ERR_NO_MEMORY, "%s", path);
  *ret_path = copy;
  return HF_OK;
}
