/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/certificate.h"
#include "identity/est.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

static void store_freep(X509_STORE **store)
{
  X509_STORE_free(*store);
}

static void ctx_freep(X509_STORE_CTX **ctx)
{
  X509_STORE_CTX_free(*ctx);
}

static bool is_self_issued(X509 *certificate)
{
  return X509_NAME_cmp(X509_get_subject_name(certificate), X509_get_issuer_name(certificate)) == 0;
}

/* Takes the certificate's reference into the chain. */
static hf_err push(STACK_OF(X509) * chain, X509 *certificate)
{
  if (sk_X509_num(chain) >= CHAIN_MAX)
    return hf_fail(HF_ERR_LIMIT, "certificates in one chain");
  if (X509_up_ref(certificate) != 1)
    return hf_fail(HF_ERR_INTERNAL, "a certificate's count");
  if (sk_X509_push(chain, certificate) > 0)
    return HF_OK;
  X509_free(certificate);
  return hf_fail(HF_ERR_NO_MEMORY, "a chain");
}

static hf_err new_store(const STACK_OF(X509) * cas, X509_STORE **ret_store)
{
  HF_CLEANUP(store_freep) X509_STORE *store = X509_STORE_new();
  if (!store || X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) != 1 ||
      X509_STORE_set_purpose(store, X509_PURPOSE_SSL_CLIENT) != 1)
    return hf_fail(HF_ERR_NO_MEMORY, "a certificate store");
  for (int i = 0; i < sk_X509_num(cas); i++)
    if (X509_STORE_add_cert(store, sk_X509_value(cas, i)) != 1)
      return openssl_fail(HF_ERR_INTERNAL, "a CA certificate", "");
  *ret_store = HF_TAKE(store);
  return HF_OK;
}

/* The way from the leaf to one of the CAs, which the root among them ends. */
static hf_err verify(const STACK_OF(X509) * answer, X509 *leaf, const STACK_OF(X509) * cas, STACK_OF(X509) * *ret_path)
{
  HF_CLEANUP(store_freep) X509_STORE *store = NULL;
  HF_CLEANUP(ctx_freep) X509_STORE_CTX *ctx = X509_STORE_CTX_new();
  HF_TRY(new_store(cas, &store));
  if (!ctx || X509_STORE_CTX_init(ctx, store, leaf, (STACK_OF(X509) *)(uintptr_t)answer) != 1)
    return hf_fail(HF_ERR_NO_MEMORY, "checking a certificate");
  if (X509_verify_cert(ctx) != 1) {
    const char *why = X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx));
    ERR_clear_error();
    return hf_hint(hf_fail(HF_ERR_CERT_CHAIN, "the new certificate is not one of the CA's own: %s", why),
                   "Nothing was changed. Compare what the CA issues with what it gives out as its own (cacerts).");
  }
  *ret_path = X509_STORE_CTX_get1_chain(ctx);
  return *ret_path ? HF_OK : hf_fail(HF_ERR_NO_MEMORY, "a chain");
}

/* Without CAs to go by: whoever in the answer issued it, and whoever issued that. */
static X509 *issuer_in(const STACK_OF(X509) * answer, X509 *of)
{
  for (int i = 0; i < sk_X509_num(answer); i++) {
    X509 *one = sk_X509_value(answer, i);
    if (X509_cmp(one, of) != 0 && X509_check_issued(one, of) == X509_V_OK)
      return one;
  }
  return NULL;
}

static hf_err follow(const STACK_OF(X509) * answer, X509 *leaf, STACK_OF(X509) * *ret_path)
{
  HF_CLEANUP(chain_freep) STACK_OF(X509) *path = sk_X509_new_null();
  if (!path)
    return hf_fail(HF_ERR_NO_MEMORY, "a chain");
  for (X509 *one = leaf; one; one = is_self_issued(one) ? NULL : issuer_in(answer, one))
    HF_TRY(push(path, one));
  HF_TRY(chain_check(path, "the new certificate"));
  *ret_path = HF_TAKE(path);
  return HF_OK;
}

/* Nobody needs the root from us: who trusts it has it. */
static void drop_root(STACK_OF(X509) * path)
{
  int last = sk_X509_num(path) - 1;
  if (last > 0 && is_self_issued(sk_X509_value(path, last)))
    X509_free(sk_X509_pop(path));
}

hf_err est_issued(const STACK_OF(X509) * answer, EVP_PKEY *key, const char *device_id, const STACK_OF(X509) * cas,
                  STACK_OF(X509) * *ret_chain)
{
  X509 *leaf = NULL;
  HF_CLEANUP(chain_freep) STACK_OF(X509) *path = NULL;
  HF_TRY(est_certificates_leaf((STACK_OF(X509) *)(uintptr_t)answer, key, &leaf));
  HF_TRY(certificate_check(leaf, "the new certificate", device_id));
  HF_TRY(cas ? verify(answer, leaf, cas, &path) : follow(answer, leaf, &path));
  drop_root(path);
  *ret_chain = HF_TAKE(path);
  return HF_OK;
}
