/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor/bundle_private.h"

#include "base/file.h"
#include "base/process.h"
#include "gateway/core_status.h"
#include "gateway/mosquitto.h"
#include "gateway/service.h"
#include "identity/certificate_text.h"
#include "identity/chain.h"
#include "identity/validity.h"
#include "policy/policy.h"
#include "uri/uri.h"

#include <curl/curlver.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <time.h>

enum { JOURNAL_TIMEOUT_S = 20, SMALL_FILE_MAX = 64 * 1024 };

static int add_to_buf(const char *text, size_t len, void *arg)
{
  return hf_failed(hf_buf_add(arg, text, len)) ? -1 : 0;
}

hf_err bundle_add_json(const struct bundle *b, json_t *value, struct hf_buf *out)
{
  hf_err e = value ? redactor_json(b->redactor, value) : hf_fail(HF_ERR_NO_MEMORY, "JSON");
  if (!hf_failed(e) && json_dump_callback(value, add_to_buf, out, JSON_INDENT(2)) != 0)
    e = hf_fail(HF_ERR_LIMIT, "JSON");
  json_decref(value);
  HF_TRY(e);
  return hf_buf_add_str(out, "\n");
}

static hf_err add_text(const struct bundle *b, struct hf_buf *text, struct hf_buf *out)
{
  return redactor_text(b->redactor, hf_slice(text->data, text->len), out);
}

static hf_err collect_report(struct bundle *b, struct hf_buf *out)
{
  return bundle_add_json(b, json_incref(b->report), out);
}

static const char *systemd(void)
{
  return access("/run/systemd/system", F_OK) == 0 ? "runs" : "does not run";
}

static hf_err collect_versions(struct bundle *b, struct hf_buf *out)
{
  char mosquitto[64];
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(SMALL_FILE_MAX);
  if (hf_failed(mosquitto_version(mosquitto, sizeof(mosquitto))))
    snprintf(mosquitto, sizeof(mosquitto), "not installed");
  HF_TRY(hf_buf_addf(
      &text, "holdfast   %s\n%s\nlibcurl    %s (built with)\njansson    %s\nmosquitto  %s\nsystemd    %s\n", HF_VERSION,
      OpenSSL_version(OPENSSL_VERSION), LIBCURL_VERSION, JANSSON_VERSION, mosquitto, systemd()));
  return add_text(b, &text, out);
}

/* What is set; of secrets, that they are. */
static hf_err put_row(const struct config *config, enum config_key key, json_t *document)
{
  const char *value = config_get(config, key);
  HF_CLEANUP(hf_buf_free) struct hf_buf shown = HF_BUF(2 * URI_MAX);
  if (!config_is_set(config, key))
    return HF_OK;
  if (config_is_secret(key))
    value = REDACTED;
  else if (uri_is_pkcs11(value)) {
    HF_TRY(uri_redact(value, &shown));
    value = hf_buf_str(&shown);
  }
  return json_object_set_new(document, config_row(key)->key, json_string(value)) == 0
             ? HF_OK
             : hf_fail(HF_ERR_NO_MEMORY, "the configuration");
}

static hf_err collect_config(struct bundle *b, struct hf_buf *out)
{
  if (!b->config)
    return hf_fail(HF_ERR_CONFIG, "it cannot be read: see doctor.json");
  json_t *document = json_object();
  for (enum config_key key = 0; key < CONFIG_KEY_COUNT; key++) {
    hf_err e = put_row(b->config, key, document);
    if (hf_failed(e)) {
      json_decref(document);
      return e;
    }
  }
  return bundle_add_json(b, document, out);
}

static hf_err collect_core(struct bundle *b, struct hf_buf *out)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf answer = HF_BUF(BUNDLE_FILE_MAX);
  if (!b->config)
    return hf_fail(HF_ERR_CONFIG, "where it runs is not known");
  HF_TRY(core_status_ask(b->config, &answer));
  return bundle_add_json(b, json_loadb((const char *)answer.data, answer.len, 0, NULL), out);
}

static hf_err collect_agent(struct bundle *b, struct hf_buf *out)
{
  if (!b->options->agent)
    return hf_fail(HF_ERR_UNREACHABLE, "no key agent answers");
  return bundle_add_json(b, json_deep_copy(b->options->agent), out);
}

/* The certificates alone: a key may stand in the same file. */
static hf_err read_chain(const struct bundle *b, STACK_OF(X509) * *ret_chain)
{
  if (!b->config)
    return hf_fail(HF_ERR_CONFIG, "where it is, is not known");
  const char *path = config_get(b->config, CONFIG_DEVICE_CERT_PATH);
  if (uri_is_pkcs11(path))
    return hf_fail(HF_ERR_CONFIG, "it is in the token");
  return chain_read(path, ret_chain);
}

static hf_err collect_pem(struct bundle *b, struct hf_buf *out)
{
  HF_CLEANUP(chain_freep) STACK_OF(X509) *chain = NULL;
  HF_TRY(read_chain(b, &chain));
  return chain_pem(chain, out);
}

static hf_err describe_certificate(const X509 *certificate, struct hf_buf *out)
{
  struct validity validity;
  char from[VALIDITY_TIME_MAX], until[VALIDITY_TIME_MAX];
  HF_TRY(validity_of(certificate, &validity));
  validity_time_text(validity.from, from);
  validity_time_text(validity.until, until);
  HF_TRY(hf_buf_add_str(out, "subject  "));
  HF_TRY(certificate_name_text(X509_get_subject_name(certificate), out));
  HF_TRY(hf_buf_add_str(out, "\nissuer   "));
  HF_TRY(certificate_name_text(X509_get_issuer_name(certificate), out));
  HF_TRY(hf_buf_add_str(out, "\nserial   "));
  HF_TRY(certificate_serial_text(certificate, out));
  return hf_buf_addf(out, "\nvalid    %s to %s\n\n", from, until);
}

static hf_err collect_certificate(struct bundle *b, struct hf_buf *out)
{
  HF_CLEANUP(chain_freep) STACK_OF(X509) *chain = NULL;
  HF_TRY(read_chain(b, &chain));
  for (int i = 0; i < sk_X509_num(chain); i++)
    HF_TRY(describe_certificate(sk_X509_value(chain, i), out));
  return HF_OK;
}

static void add_file(const char *path, struct hf_buf *out)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(SMALL_FILE_MAX);
  if (!hf_failed(hf_file_read(path, &text)) && !hf_failed(hf_buf_addf(out, "\n%s\n", path)))
    hf_ignore(hf_buf_add(out, text.data, text.len));
}

static void add_space(const char *name, const char *path, struct hf_buf *out)
{
  struct statvfs fs;
  struct stat st;
  if (statvfs(path, &fs) == 0 && stat(path, &st) == 0)
    hf_ignore(hf_buf_addf(out, "%-10s %s: %llu of %llu MiB free, mode %04o, user %u\n", name, path,
                          (unsigned long long)fs.f_bavail * fs.f_frsize >> 20,
                          (unsigned long long)fs.f_blocks * fs.f_frsize >> 20, (unsigned)st.st_mode & 07777,
                          (unsigned)st.st_uid));
}

static hf_err collect_system(struct bundle *b, struct hf_buf *out)
{
  static const char *const files[] = { "/etc/os-release", "/etc/debian_version", "/proc/meminfo", "/proc/loadavg",
                                       "/proc/uptime" };
  char path[PATH_MAX], now[VALIDITY_TIME_MAX];
  struct utsname name;
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(BUNDLE_FILE_MAX);
  validity_time_text((int64_t)time(NULL), now);
  if (uname(&name) == 0)
    HF_TRY(hf_buf_addf(&text, "%s %s %s %s\n", name.sysname, name.release, name.version, name.machine));
  HF_TRY(hf_buf_addf(&text, "time       %s\nuser       %u\n", now, (unsigned)geteuid()));
  if (b->config && !hf_failed(config_data_path(b->config, path, sizeof(path))))
    add_space("data.path", path, &text);
  if (b->config && !hf_failed(config_run_path(b->config, path, sizeof(path))))
    add_space("run.path", path, &text);
  for (size_t i = 0; i < HF_ARRAY_LEN(files); i++)
    add_file(files[i], &text);
  return add_text(b, &text, out);
}

static hf_err collect_policy(struct bundle *b, struct hf_buf *out)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(SMALL_FILE_MAX);
  HF_TRY(hf_file_read(POLICY_FILE, &text));
  return add_text(b, &text, out);
}

/* Logs hold no secrets by themselves; who had one in a command line or a topic may have put it there. */
static hf_err check_secrets_known(const struct bundle *b)
{
  return b->secrets_known ? HF_OK : hf_fail(HF_ERR_CONFIG, "which secrets to take out of it is not known");
}

static hf_err read_tail(const char *path, struct hf_buf *out)
{
  struct stat st;
  uint8_t *room;
  HF_CLEANUP(hf_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (fd < 0 || fstat(fd, &st) != 0)
    return hf_fail_errno(errno, "%s", path);
  size_t len = st.st_size < BUNDLE_LOG_MAX ? (size_t)st.st_size : BUNDLE_LOG_MAX;
  HF_TRY(hf_buf_reserve(out, len, &room));
  ssize_t n = pread(fd, room, len, st.st_size - (off_t)len);
  if (n < 0)
    return hf_fail_errno(errno, "%s", path);
  hf_buf_commit(out, (size_t)n);
  /* A secret that the cut went through is not to be found: the first line, which may be half a one, goes. */
  const uint8_t *line = (off_t)len < st.st_size && n > 0 ? memchr(out->data, '\n', (size_t)n) : NULL;
  if (line)
    hf_buf_drop(out, (size_t)(line - out->data) + 1);
  return HF_OK;
}

static hf_err collect_core_log(struct bundle *b, struct hf_buf *out)
{
  char path[PATH_MAX];
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(BUNDLE_LOG_MAX);
  HF_TRY(check_secrets_known(b));
  HF_TRY(service_log_path(b->config, path, sizeof(path)));
  HF_TRY(read_tail(path, &text));
  return add_text(b, &text, out);
}

static hf_err collect_journal(struct bundle *b, struct hf_buf *out)
{
  static const char *const argv[] = { "journalctl",   "--no-pager",        "--output=short-iso",
                                      "--lines=2000", "--unit=holdfast-*", NULL };
  int status = 0;
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(BUNDLE_FILE_MAX);
  HF_TRY(check_secrets_known(b));
  HF_TRY(hf_process_run(argv, JOURNAL_TIMEOUT_S, &text, &status));
  if (status != 0)
    return hf_fail(HF_ERR_SERVICE, "journalctl ended with status %d", status);
  return add_text(b, &text, out);
}

const struct bundle_file bundle_files[] = {
  { "doctor.json", "what each check found", collect_report },
  { "versions.txt", "of Holdfast and of what it uses", collect_versions },
  { "config.json", "the configuration, its secrets redacted", collect_config },
  { "core.json", "the state of holdfast-core, its bridges and its broker", collect_core },
  { "agent.json", "the state of the key agent", collect_agent },
  { "agent.policy", "its policy", collect_policy },
  { "token.json", "the PKCS #11 module, its tokens and their mechanisms", bundle_token },
  { "certificate.pem", "the device's certificate and its chain", collect_pem },
  { "certificate.txt", "the same, in words", collect_certificate },
  { "system.txt", "the system, its memory, and the room in data.path and run.path", collect_system },
  { "core.log", "the end of holdfast-core's log, secrets redacted", collect_core_log },
  { "journal.log", "the end of the services' journal, secrets redacted", collect_journal },
  { NULL, NULL, NULL },
};
