/* SPDX-License-Identifier: Apache-2.0 */
/* OpenSSL's objects for HF_CLEANUP, and its error queue as an hf_err. */
#ifndef HF_IDENTITY_OPENSSL_H
#define HF_IDENTITY_OPENSSL_H

#include "base/cleanup.h"
#include "base/error.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/store.h>
#include <openssl/x509.h>

/* Defines name##p, for HF_CLEANUP, out of one of OpenSSL's own free functions. */
#define IDENTITY_CLEANUP(T, name, free_fn) \
  static inline void name##p(T **p)        \
  {                                        \
    free_fn(*p);                           \
    *p = NULL;                             \
  }

IDENTITY_CLEANUP(BIO, openssl_bio_free, BIO_free_all)
IDENTITY_CLEANUP(EVP_PKEY, openssl_pkey_free, EVP_PKEY_free)
IDENTITY_CLEANUP(EVP_PKEY_CTX, openssl_pkey_ctx_free, EVP_PKEY_CTX_free)
IDENTITY_CLEANUP(EVP_MD_CTX, openssl_md_ctx_free, EVP_MD_CTX_free)
IDENTITY_CLEANUP(X509, openssl_x509_free, X509_free)
IDENTITY_CLEANUP(ASN1_TIME, openssl_time_free, ASN1_TIME_free)
IDENTITY_CLEANUP(X509_REQ, openssl_req_free, X509_REQ_free)
IDENTITY_CLEANUP(OSSL_STORE_INFO, openssl_store_info_free, OSSL_STORE_INFO_free)

/*
 * What a pkcs11: URI stands for, through our provider (program_start first): type is OSSL_STORE_INFO_PKEY or _CERT. what: for
 * the text. Fails as the provider does: URI_INVALID, URI_NO_MATCH, URI_AMBIGUOUS, TOKEN_NOT_FOUND, PIN_INCORRECT, ...
 */
hf_err openssl_store_load(const char *uri, int type, const char *what, OSSL_STORE_INFO **ret_info);

/*
 * Fails with what OpenSSL said first (whoever failed first says it best), after what and path, which are shown without a
 * blank between. Where that was Holdfast's provider, with its code and hint; else with code. Empties the queue.
 */
hf_err openssl_fail(enum hf_code code, const char *what, const char *path);

#endif
