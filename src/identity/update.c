/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/update.h"

#include "base/file.h"
#include "base/process.h"
#include "identity/chain.h"
#include "identity/detached.h"
#include "identity/key.h"

#include <ctype.h>
#include <strings.h>

struct update {
  const struct config *config;
  const struct update_options *options;
  STACK_OF(X509) * chain;
  EVP_PKEY *key; /* the device's */
  struct http_options http;
  EVP_PKEY *signer;
  struct hf_buf signature;
  struct part *part;
  struct update_result result;
};

static void update_end(struct update *update)
{
  part_close(update->part);
  hf_buf_free(&update->signature);
  EVP_PKEY_free(update->signer);
  EVP_PKEY_free(update->key);
  chain_freep(&update->chain);
}

static bool is_url(const char *text)
{
  return strncasecmp(text, "https://", 8) == 0;
}

/* Arguments are for all to see, and the URL is in texts. */
static hf_err check_url(const char *url)
{
  const char *host = strstr(url, "://");
  if (!is_url(url))
    return hf_hint(hf_fail(HF_ERR_USAGE, "the URL must begin with https://"),
                   "The device shows its certificate, and the server its own, by TLS.");
  host += 3;
  if (memchr(host, '@', strcspn(host, "/?#")))
    return hf_hint(hf_fail(HF_ERR_USAGE, "a URL with a user in it"), "The device's certificate says who it is.");
  return HF_OK;
}

static hf_err check_options(const struct update_options *options)
{
  HF_TRY(check_url(options->url));
  if (!options->sha256 && !options->signature)
    return hf_hint(hf_fail(HF_ERR_USAGE, "neither digest nor signature is given"),
                   "Give --sha256 or --signature: nothing is put in place that was not verified.");
  if (options->signature && is_url(options->signature))
    HF_TRY(check_url(options->signature));
  for (size_t i = 0; options->sha256 && i <= UPDATE_DIGEST_LEN; i++)
    if (i < UPDATE_DIGEST_LEN ? !isxdigit((unsigned char)options->sha256[i]) : options->sha256[i])
      return hf_fail(HF_ERR_USAGE, "--sha256 must be %d hexadecimal digits", UPDATE_DIGEST_LEN);
  return HF_OK;
}

static hf_err load_identity(struct update *update)
{
  const struct config *config = update->config;
  const char *uri, *root = update->options->root_path;
  HF_TRY(config_require(config, CONFIG_DEVICE_KEY_URI, &uri));
  HF_TRY(chain_read(config_get(config, CONFIG_DEVICE_CERT_PATH), &update->chain));
  HF_TRY(identity_key_load(uri, &update->key));
  update->http = (struct http_options){ .root_path = root ? root : config_get(config, CONFIG_UPDATE_ROOT_CERT_PATH),
                                        .url_key = "the URL",
                                        .root_key = config_row(CONFIG_UPDATE_ROOT_CERT_PATH)->key,
                                        .chain = update->chain,
                                        .key = update->key,
                                        .config = config };
  return HF_OK;
}

static hf_err load_signer(struct update *update)
{
  const char *path = update->options->key_path;
  if (!update->options->signature)
    return HF_OK;
  if (!path)
    path = config_get(update->config, CONFIG_UPDATE_KEY_PATH);
  if (!path)
    return hf_hint(hf_fail(HF_ERR_CONFIG, "no key is known that the signature could be checked with"),
                   "Give --key, or set update.key_path to the public key (PEM) of who signs.");
  return detached_key_read(path, &update->signer);
}

static hf_err fetch_signature(struct update *update)
{
  HF_CLEANUP(http_freep) struct http *http = NULL;
  struct http_response response = { .body = HF_BUF(DETACHED_SIGNATURE_MAX) };
  const struct http_request request = { .url = update->options->signature };
  HF_TRY(http_new(&update->http, &http));
  hf_err e = http_perform(http, &request, &response);
  if (!hf_failed(e) && response.status != 200)
    e = http_refused(&request, &response);
  hf_buf_free(&update->signature);
  update->signature = response.body;
  return e;
}

static hf_err read_signature(struct update *update)
{
  const char *where = update->options->signature;
  if (!where)
    return HF_OK;
  HF_TRY(is_url(where) ? fetch_signature(update) : hf_file_read(where, &update->signature));
  return update->signature.len ? HF_OK : hf_fail(HF_ERR_SIGNATURE_INVALID, "an empty signature");
}

static hf_err fetch(struct update *update)
{
  const struct update_options *o = update->options;
  const struct download_options download_options = { .url = o->url,
                                                     .size = o->size,
                                                     .max = o->max,
                                                     .stall_timeout_s = o->stall_timeout_s,
                                                     .http = &update->http,
                                                     .observer = o->observer,
                                                     .progress = o->progress,
                                                     .progress_arg = o->progress_arg };
  update->result.had = part_size(update->part);
  if (update->result.had)
    observer_step(o->observer, "Going on after %llu bytes", (unsigned long long)update->result.had);
  HF_TRY(download(&download_options, update->part));
  update->result.size = part_size(update->part);
  return HF_OK;
}

static hf_err verify(struct update *update)
{
  const struct update_options *o = update->options;
  const char *path = part_path(update->part);
  uint8_t digest[DETACHED_DIGEST_LEN];
  HF_CLEANUP(hf_buf_free) struct hf_buf hex = HF_BUF(UPDATE_DIGEST_LEN);
  HF_TRY(detached_digest(part_fd(update->part), path, digest));
  HF_TRY(hf_buf_add_hex(&hex, digest, sizeof(digest)));
  snprintf(update->result.sha256, sizeof(update->result.sha256), "%s", hf_buf_str(&hex));
  if (o->sha256 && strcasecmp(o->sha256, update->result.sha256) != 0)
    return hf_fail(HF_ERR_WRONG_FILE, "its SHA-256 is %s", update->result.sha256);
  if (!update->signer)
    return HF_OK;
  update->result.is_signed = true;
  return detached_verify(part_fd(update->part), path, update->signer,
                         hf_slice(update->signature.data, update->signature.len));
}

static bool is_wrong(hf_err e)
{
  return e.code == HF_ERR_WRONG_FILE || e.code == HF_ERR_SIGNATURE_INVALID;
}

/* What is wrong can never become right: it goes. */
static hf_err fetch_and_verify(struct update *update)
{
  hf_err e = fetch(update);
  if (!hf_failed(e))
    e = verify(update);
  if (!is_wrong(e))
    return e;
  const struct hf_err_saved kept = hf_err_save(e);
  HF_TRY(part_begin(update->part, ""));
  return hf_err_restore(&kept);
}

/* The parts that were here may have been damaged, by a power cut say, or be of the file before. */
static hf_err fetch_right(struct update *update)
{
  hf_err e = fetch_and_verify(update);
  if (!is_wrong(e) || !update->result.had)
    return e;
  observer_note(update->options->observer,
                "What was here already is not part of the file; it is fetched from the start");
  HF_TRY(read_signature(update));
  return fetch_and_verify(update);
}

static hf_err run_hook(const struct update *update)
{
  const struct update_options *o = update->options;
  const char *const argv[] = { o->hook, part_path(update->part), NULL };
  const struct hf_spawn spawn = { .argv = argv, .out = STDERR_FILENO };
  int status = 0;
  pid_t pid;
  if (!o->hook)
    return HF_OK;
  observer_step(o->observer, "Running %s", o->hook);
  HF_TRY(hf_process_start(&spawn, &pid));
  HF_TRY(hf_process_wait(pid, o->hook, o->hook_timeout_s, &status));
  return status == 0 ? HF_OK : hf_fail(HF_ERR_HOOK, "%s ended with status %d", o->hook, status);
}

static hf_err run(struct update *update)
{
  HF_TRY(read_signature(update));
  HF_TRY(fetch_right(update));
  HF_TRY(run_hook(update));
  return part_finish(update->part);
}

hf_err update_fetch(const struct config *config, const struct update_options *options, struct update_result *ret_result)
{
  HF_CLEANUP(update_end)
  struct update update = { .config = config, .options = options, .signature = HF_BUF(DETACHED_SIGNATURE_MAX) };
  HF_TRY(check_options(options));
  HF_TRY(load_signer(&update));
  HF_TRY(load_identity(&update));
  HF_TRY(part_open(options->path, options->url, &update.part));
  const struct hf_err_saved result = hf_err_save(run(&update));
  /* One that has nothing yet is not left behind. */
  if (hf_failed(result.error) && part_size(update.part) == 0)
    hf_ignore(part_discard(update.part));
  HF_TRY(hf_err_restore(&result));
  *ret_result = update.result;
  return HF_OK;
}
