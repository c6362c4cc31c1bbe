/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/tls_identity.h"

hf_err tls_identity_use(SSL_CTX *ctx, const STACK_OF(X509) * chain, EVP_PKEY *key, const char *where)
{
  if (SSL_CTX_use_certificate(ctx, sk_X509_value(chain, 0)) != 1)
    return openssl_fail(HF_ERR_CERT_FILE, "the device's certificate ", where);
  for (int i = 1; i < sk_X509_num(chain); i++)
    if (SSL_CTX_add1_chain_cert(ctx, sk_X509_value(chain, i)) != 1)
      return openssl_fail(HF_ERR_CERT_FILE, "the device's certificate chain ", where);
  if (SSL_CTX_use_PrivateKey(ctx, key) != 1)
    return openssl_fail(HF_ERR_KEY_MISMATCH, "", where);
  return HF_OK;
}
