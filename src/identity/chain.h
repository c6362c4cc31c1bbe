/* SPDX-License-Identifier: Apache-2.0 */
/* A certificate and those that lead from it to its CA, in this order: read, checked and written. */
#ifndef HF_IDENTITY_CHAIN_H
#define HF_IDENTITY_CHAIN_H

#include "base/buf.h"
#include "identity/openssl.h"

enum { CHAIN_FILE_MAX = 1024 * 1024, CHAIN_MAX = 32 }; /* bytes; certificates */

static inline void chain_freep(STACK_OF(X509) * *chain)
{
  sk_X509_pop_free(*chain, X509_free);
  *chain = NULL;
}

/*
 * PEM (text around and other blocks between are passed over) or DER of one certificate. At least one. where: for the
 * error's text. Fails with CERT_FILE and tells what is wrong with it: none there, a block that is damaged, DER cut short.
 */
hf_err chain_parse(struct hf_slice text, const char *where, STACK_OF(X509) * *ret_chain);

/*
 * From a file, or, by a "pkcs11:" URI (type=cert), from a token (program_start first): then the certificate alone.
 * Fails also with NOT_FOUND, PERMISSION, LIMIT; URI_NO_MATCH, URI_AMBIGUOUS, TOKEN_NOT_FOUND, ...
 */
hf_err chain_read(const char *where, STACK_OF(X509) * *ret_chain);

/* Appends; PEM of all, DER of the first. */
hf_err chain_pem(const STACK_OF(X509) * chain, struct hf_buf *out);
hf_err chain_der(const STACK_OF(X509) * chain, struct hf_buf *out);

/* Replaces the file as one step, PEM, 0644, making its directory (0755). */
hf_err chain_write(const char *path, const STACK_OF(X509) * chain);

/*
 * Whether each is signed by the next, which must be a CA's. Not whether the last is trusted, nor what day it is. where:
 * for the text. Fails with CERT_CHAIN.
 */
hf_err chain_check(const STACK_OF(X509) * chain, const char *where);

#endif
