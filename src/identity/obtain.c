/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/obtain.h"

#include "base/file.h"
#include "identity/certificate.h"
#include "identity/request.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

enum { MISSING_MAX = 512, REQUEST_EXTENSIONS_MAX = 32 };

static void tell_missing(const struct obtain_options *options, const struct est_attributes *wanted)
{
  HF_CLEANUP(profile_extensions_freep)
  STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions((X509_REQ *)(uintptr_t)options->request);
  int nids[REQUEST_EXTENSIONS_MAX];
  size_t count = 0;
  char missing[MISSING_MAX];
  for (int i = 0; i < sk_X509_EXTENSION_num(extensions) && count < HF_ARRAY_LEN(nids); i++)
    nids[count++] = OBJ_obj2nid(X509_EXTENSION_get_object(sk_X509_EXTENSION_value(extensions, i)));
  ERR_clear_error();
  est_attributes_missing(wanted, options->key, nids, count, missing, sizeof(missing));
  if (missing[0])
    observer_note(options->observer, "the CA asks for what the request does not have: %s", missing);
}

/* Cumulocity offers neither; what its certificates are checked with is its own business. */
static hf_err ask_first(const struct obtain_options *options, struct est *est, STACK_OF(X509) * *ret_cas)
{
  struct est_attributes wanted;
  if (options->server->cumulocity)
    return HF_OK;
  observer_step(options->observer, "Asking %s for its CA certificates", options->server->url);
  HF_TRY(est_cacerts(est, ret_cas));
  if (!*ret_cas)
    observer_note(options->observer, "the server gives out no CA certificates: the new one is not checked with them");
  HF_TRY(est_csrattrs(est, &wanted));
  tell_missing(options, &wanted);
  return HF_OK;
}

hf_err obtain_certificate(const struct obtain_options *options, STACK_OF(X509) * *ret_chain)
{
  const struct est_options est_options = {
    .config = options->config,
    .server = options->server,
    .chain = options->old,
    .key = options->old_key,
    .user = options->user,
    .password = options->password,
    .timeout_s = options->timeout_s,
    .observer = options->observer,
  };
  HF_CLEANUP(est_freep) struct est *est = NULL;
  HF_CLEANUP(chain_freep) STACK_OF(X509) *cas = NULL, *answer = NULL;
  HF_TRY(est_open(&est_options, &est));
  HF_TRY(ask_first(options, est, &cas));
  observer_step(options->observer, "Asking %s for %s certificate", options->server->url,
                options->old ? "a new" : "the");
  HF_TRY(est_enroll(est, options->request, options->old != NULL, &answer));
  return est_issued(answer, options->key, options->device_id, cas, ret_chain);
}

static hf_err check_request(X509_REQ *request, const char *path, EVP_PKEY *key, const char *device_id)
{
  char cn[CERTIFICATE_CN_MAX] = "";
  bool same = EVP_PKEY_eq(X509_REQ_get0_pubkey(request), key) == 1;
  ERR_clear_error();
  if (!same)
    return hf_hint(hf_fail(HF_ERR_KEY_MISMATCH, "%s is a request by another key than device.key_uri's", path),
                   "Have it made by the device's key: 'holdfast cert create-csr'.");
  X509_NAME_get_text_by_NID(X509_REQ_get_subject_name(request), NID_commonName, cn, sizeof(cn));
  if (strcmp(cn, device_id) != 0)
    return hf_hint(hf_fail(HF_ERR_CERT_INVALID, "%s is for '%s', but the device is '%s'", path, cn, device_id),
                   "Have it made with the device's id as CN.");
  return HF_OK;
}

hf_err obtain_read_request(const char *path, EVP_PKEY *key, const char *device_id, X509_REQ **ret_request)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(REQUEST_MAX);
  HF_CLEANUP(openssl_req_freep) X509_REQ *request = NULL;
  HF_TRY(hf_file_read(path, &text));
  HF_TRY(request_parse(hf_slice(text.data, text.len), path, &request));
  HF_TRY(check_request(request, path, key, device_id));
  *ret_request = HF_TAKE(request);
  return HF_OK;
}
