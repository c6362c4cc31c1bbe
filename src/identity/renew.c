/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/renew.h"

#include "identity/certificate.h"
#include "identity/issue.h"
#include "identity/key.h"
#include "identity/obtain.h"
#include "identity/renew_names.h"
#include "identity/request.h"
#include "identity/rotation.h"
#include "identity/transaction.h"
#include "identity/validity.h"

#include <openssl/err.h>
#include <time.h>

enum { LOCK_WAIT_S = 120 };

struct renew {
  const struct renew_options *options;
  struct config *config; /* as it is on disk, for the lock is ours */
  struct transaction *transaction;
  bool waited; /* somebody else was renewing */
  bool self_signed, rotate;
  const char *key_uri;
  char device_id[CERTIFICATE_CN_MAX];
  STACK_OF(X509) * old, *new;
  EVP_PKEY *old_key, *new_key;
  struct rotation rotation;
  struct validity validity; /* of the old one; of the new one at the end */
  bool tried;
};

static void release(struct renew *r)
{
  rotation_free(&r->rotation);
  EVP_PKEY_free(r->new_key);
  EVP_PKEY_free(r->old_key);
  chain_freep(&r->new);
  chain_freep(&r->old);
  transaction_free(r->transaction);
  config_free(r->config);
}

static hf_err take_lock(const struct config *config, struct renew *r)
{
  unsigned timeout_s = r->options->timeout_s ? r->options->timeout_s : LOCK_WAIT_S;
  for (unsigned waited_s = 0;; waited_s++) {
    bool changed;
    hf_err e = transaction_open(config, &r->transaction, &changed);
    if (e.code != HF_ERR_BUSY || waited_s >= timeout_s)
      return e.code == HF_ERR_BUSY ? hf_hint(hf_fail(HF_ERR_BUSY, "another renewal is under way"), "Try again later.")
                                   : e;
    if (!r->waited)
      observer_note(r->options->observer, "another renewal is under way: waiting for it");
    r->waited = true;
    HF_TRY(observer_wait(r->options->observer, "another renewal is under way", 1));
  }
}

static hf_err check_mode(const struct renew *r)
{
  if (strcmp(config_get(r->config, CONFIG_DEVICE_CRYPTOKI_MODE), "off") != 0)
    return HF_OK;
  return hf_hint(hf_fail(HF_ERR_CONFIG, "device.cryptoki.mode is off; a device's key lies in an HSM"),
                 "Set it to module, or to socket for the key agent.");
}

static hf_err find_id(struct renew *r)
{
  const char *id = config_get(r->config, CONFIG_DEVICE_ID);
  certificate_cn(sk_X509_value(r->old, 0), r->device_id);
  if (id)
    snprintf(r->device_id, sizeof(r->device_id), "%s", id);
  return r->device_id[0]
             ? HF_OK
             : hf_fail(HF_ERR_CERT_INVALID, "%s has no common name (CN)", r->transaction->paths.certificate);
}

static bool is_self_signed(X509 *certificate)
{
  bool yes = X509_self_signed(certificate, 1) == 1;
  ERR_clear_error();
  return yes;
}

static hf_err load_old(struct renew *r)
{
  const char *path = r->transaction->paths.certificate;
  HF_TRY(check_mode(r));
  HF_TRY(config_require(r->config, CONFIG_DEVICE_KEY_URI, &r->key_uri));
  hf_err e = chain_read(path, &r->old);
  if (e.code == HF_ERR_NOT_FOUND)
    return hf_hint(e, "There is nothing to renew: 'holdfast cert enroll' gets the first certificate.");
  HF_TRY(e);
  HF_TRY(find_id(r));
  HF_TRY(validity_of(sk_X509_value(r->old, 0), &r->validity));
  r->self_signed = r->options->self_signed || (!r->options->cloud && is_self_signed(sk_X509_value(r->old, 0)));
  r->rotate = r->options->rotate_key || config_get_bool(r->config, CONFIG_CERTIFICATE_RENEWAL_ROTATE_KEY);
  return HF_OK;
}

static hf_err check_options(const struct renew *r)
{
  if (r->options->self_signed && r->options->cloud)
    return hf_fail(HF_ERR_USAGE, "a self-signed certificate comes from no cloud");
  if (r->options->csr_path && (r->self_signed || r->options->rotate_key))
    return hf_hint(hf_fail(HF_ERR_USAGE, "a request that was made elsewhere is by the present key, for a CA"),
                   "Leave --csr-path out, or --rotate-key and --self-signed.");
  return HF_OK;
}

/* Whether there is something to do. Who waited for another renewal does not want one more. */
static hf_err check_due(const struct renew *r, enum renew_outcome *ret_outcome)
{
  uint64_t minimum_s = config_get_number(r->config, CONFIG_CERTIFICATE_VALIDITY_MINIMUM_DURATION);
  int64_t now = time(NULL);
  bool asked = !r->options->if_needed;
  if (now < r->validity.from) {
    *ret_outcome = RENEW_CLOCK;
    return asked ? certificate_check(sk_X509_value(r->old, 0), r->transaction->paths.certificate, r->device_id) : HF_OK;
  }
  bool due = validity_needs_renewal(&r->validity, minimum_s, now);
  *ret_outcome = due || (asked && !r->waited) ? RENEW_DONE : RENEW_NOT_DUE;
  return HF_OK;
}

static hf_err load_key(struct renew *r)
{
  HF_TRY(identity_key_load(r->key_uri, &r->old_key));
  return certificate_check_pair(sk_X509_value(r->old, 0), r->transaction->paths.certificate, r->old_key);
}

/* Keys of the journal's list go; one that does not, stays on it. keep: what device.key_uri says. */
static void sweep(struct renew *r, const char *keep)
{
  struct journal *journal = &r->transaction->journal;
  HF_CLEANUP(journal_free) struct journal left = JOURNAL_INIT;
  char uri[URI_MAX + 1];
  for (const char *at = NULL; journal_next_discard(journal, &at, uri);) {
    char line[OBSERVER_TEXT_MAX];
    hf_err e = rotation_delete(r->config, r->options->module_path, uri, keep);
    hf_err_format(e, line, sizeof(line));
    if (hf_failed(e)) {
      observer_note(r->options->observer, "the key %s could not be deleted, and stays until the next renewal: %s", uri,
                    line);
      hf_ignore(journal_add_discard(&left, uri));
    } else {
      observer_step(r->options->observer, "Deleted the key %s", uri);
    }
  }
  hf_buf_free(&journal->discard);
  hf_ignore(hf_buf_add(&journal->discard, left.discard.data, left.discard.len));
  hf_ignore(transaction_save(r->transaction));
}

/* What earlier renewals left behind: the key before the present one, and those of renewals that failed. */
static hf_err sweep_old(struct renew *r)
{
  struct journal *journal = &r->transaction->journal;
  if (journal->previous.len)
    HF_TRY(journal_add_discard(journal, hf_buf_str(&journal->previous)));
  HF_TRY(journal_set(&journal->previous, NULL));
  if (journal->discard.len)
    sweep(r, r->key_uri);
  return HF_OK;
}

static hf_err make_key(struct renew *r)
{
  if (!r->rotate) {
    r->new_key = r->old_key;
    return EVP_PKEY_up_ref(r->old_key) == 1 ? HF_OK : hf_fail(HF_ERR_INTERNAL, "the key's count");
  }
  observer_step(r->options->observer, "Making the key %s", r->rotation.new_uri);
  HF_TRY(rotation_make(&r->rotation));
  return identity_key_load(r->rotation.new_uri, &r->new_key);
}

static hf_err sign_self(struct renew *r)
{
  HF_CLEANUP(renew_names_free) struct renew_names names;
  HF_CLEANUP(certificate_freep) X509 *certificate = NULL;
  HF_CLEANUP(chain_freep) STACK_OF(X509) *chain = sk_X509_new_null();
  renew_names_read(sk_X509_value(r->old, 0), r->device_id, &names);
  const struct issue_options issue = {
    .purpose = PROFILE_SELF_SIGNED,
    .names = &names.names,
    .lifetime_s = config_get_number(r->config, CONFIG_CERTIFICATE_VALIDITY_REQUESTED_DURATION),
    .path_length = -1,
  };
  observer_step(r->options->observer, "Signing a new self-signed certificate");
  HF_TRY(issue_self_signed(&issue, r->new_key, &certificate));
  if (!chain || sk_X509_push(chain, certificate) <= 0)
    return hf_fail(HF_ERR_NO_MEMORY, "a chain");
  certificate = NULL;
  r->new = HF_TAKE(chain);
  return HF_OK;
}

/* What a CA issued is asked for again as it was; a self-signed one, which is a CA, as a device's. */
static hf_err make_request(struct renew *r, X509_REQ **ret_request)
{
  HF_CLEANUP(renew_names_free) struct renew_names names;
  X509 *old = sk_X509_value(r->old, 0);
  renew_names_read(old, r->device_id, &names);
  if (r->options->csr_path)
    return obtain_read_request(r->options->csr_path, r->new_key, r->device_id, ret_request);
  return is_self_signed(old) ? request_create(r->new_key, &names.names, PROFILE_CLIENT, ret_request)
                             : request_create_like(r->new_key, old, ret_request);
}

static hf_err ask_ca(struct renew *r)
{
  struct est_server server;
  HF_CLEANUP(openssl_req_freep) X509_REQ *request = NULL;
  HF_TRY(est_server_find(r->config, r->options->cloud, &server));
  HF_TRY(make_request(r, &request));
  const struct obtain_options obtaining = {
    .config = r->config,
    .server = &server,
    .device_id = r->device_id,
    .key = r->new_key,
    .request = request,
    .old = r->old,
    .old_key = r->old_key,
    .timeout_s = r->options->timeout_s,
    .observer = r->options->observer,
  };
  return obtain_certificate(&obtaining, &r->new);
}

static hf_err stage(struct renew *r)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf pem = HF_BUF(CHAIN_FILE_MAX);
  HF_TRY(certificate_check_pair(sk_X509_value(r->new, 0), "the new certificate", r->new_key));
  HF_TRY(chain_pem(r->new, &pem));
  return transaction_stage(r->transaction, hf_slice(pem.data, pem.len));
}

static hf_err candidate_of(const struct renew *r, struct config **ret_candidate)
{
  HF_CLEANUP(config_freep) struct config *candidate = NULL;
  HF_TRY(config_load(config_path(r->config), &candidate));
  HF_TRY(config_set(candidate, CONFIG_DEVICE_CERT_PATH, r->transaction->paths.staged));
  if (r->rotate)
    HF_TRY(config_set(candidate, CONFIG_DEVICE_KEY_URI, r->rotation.new_uri));
  *ret_candidate = HF_TAKE(candidate);
  return HF_OK;
}

/* That a cloud cannot be reached says nothing of the certificate: with one that has expired there is nothing to lose. */
static bool is_no_verdict(const struct renew *r, hf_err e)
{
  bool away = e.code == HF_ERR_UNREACHABLE || e.code == HF_ERR_TIMEOUT || e.code == HF_ERR_LOST;
  return away && r->validity.until <= time(NULL);
}

static hf_err try_candidate(struct renew *r)
{
  HF_CLEANUP(config_freep) struct config *candidate = NULL;
  if (!r->options->try_connect)
    return HF_OK;
  HF_TRY(candidate_of(r, &candidate));
  hf_err e = r->options->try_connect(candidate, &r->tried, r->options->try_arg);
  if (r->self_signed && (e.code == HF_ERR_TLS || e.code == HF_ERR_MQTT))
    return hf_hint(e, "The cloud must know a self-signed certificate first: 'holdfast cert renew --no-try', then "
                      "'holdfast cert upload', and connect.");
  return e;
}

static hf_err try_it(struct renew *r)
{
  hf_err e = try_candidate(r);
  if (is_no_verdict(r, e)) {
    observer_note(r->options->observer, "it could not be tried, and is taken all the same: the old one has expired");
    e = HF_OK;
  } else if (!hf_failed(e) && !r->tried) {
    observer_note(r->options->observer, "the new certificate is taken without having been tried on a connection");
  }
  return e;
}

static hf_err get_certificate(struct renew *r)
{
  return r->self_signed ? sign_self(r) : ask_ca(r);
}

/* Between begin and commit: undone when one fails. */
static hf_err (*const steps[])(struct renew *r) = { make_key, get_certificate, stage, try_it };

static hf_err run_steps(struct renew *r)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(steps); i++)
    HF_TRY(steps[i](r));
  return HF_OK;
}

static hf_err roll_back(struct renew *r, hf_err e)
{
  struct hf_err_saved saved = hf_err_save(e);
  hf_err undone = transaction_undo(r->transaction);
  if (hf_failed(undone))
    observer_note(r->options->observer, "what was begun is undone later: %s", hf_err_context());
  else if (r->transaction->journal.discard.len)
    sweep(r, r->key_uri);
  return hf_err_restore(&saved);
}

static void delete_old(struct renew *r)
{
  struct journal *journal = &r->transaction->journal;
  bool wanted = r->options->delete_old_key || config_get_bool(r->config, CONFIG_CERTIFICATE_RENEWAL_DELETE_OLD_KEY);
  if (!r->rotate || !wanted || hf_failed(journal_add_discard(journal, r->rotation.old_uri)))
    return;
  hf_ignore(journal_set(&journal->previous, NULL));
  sweep(r, r->rotation.new_uri);
}

static hf_err replace(struct renew *r)
{
  HF_TRY(load_key(r));
  HF_TRY(sweep_old(r));
  if (r->rotate)
    HF_TRY(rotation_plan(r->config, r->options->module_path, r->key_uri, r->old_key, &r->rotation));
  hf_err e = transaction_begin(r->transaction, r->rotate ? r->key_uri : NULL, r->rotation.new_uri);
  if (!hf_failed(e))
    e = run_steps(r);
  if (hf_failed(e))
    return roll_back(r, e);
  HF_TRY(transaction_commit(r->transaction, r->rotation.old_uri));
  delete_old(r);
  return validity_of(sk_X509_value(r->new, 0), &r->validity);
}

hf_err identity_renew(const struct config *config, const struct renew_options *options, struct renew_result *ret_result)
{
  HF_CLEANUP(release) struct renew r = { .options = options };
  enum renew_outcome outcome;
  HF_TRY(take_lock(config, &r));
  HF_TRY(config_load(config_path(config), &r.config));
  HF_TRY(load_old(&r));
  HF_TRY(check_options(&r));
  HF_TRY(check_due(&r, &outcome));
  if (outcome == RENEW_DONE)
    HF_TRY(replace(&r));
  *ret_result =
      (struct renew_result){ outcome, outcome == RENEW_DONE && r.rotate, r.tried, r.validity.from, r.validity.until };
  return HF_OK;
}
