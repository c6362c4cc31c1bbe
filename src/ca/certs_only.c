/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/certs_only.h"

#include <openssl/err.h>
#include <openssl/pkcs7.h>

IDENTITY_CLEANUP(PKCS7, pkcs7_free, PKCS7_free)

static hf_err fail(void)
{
  return openssl_fail(HF_ERR_NO_MEMORY, "a message of certificates", "");
}

hf_err certs_only(const STACK_OF(X509) * certificates, struct hf_buf *out)
{
  HF_CLEANUP(pkcs7_freep) PKCS7 *message = PKCS7_new();
  uint8_t *room;
  if (!message || PKCS7_set_type(message, NID_pkcs7_signed) != 1 || PKCS7_content_new(message, NID_pkcs7_data) != 1)
    return fail();
  /* No content at all, in place of an empty one (RFC 5652, section 5.2). */
  PKCS7_set_detached(message, 1);
  for (int i = 0; i < sk_X509_num(certificates); i++)
    if (PKCS7_add_certificate(message, sk_X509_value(certificates, i)) != 1)
      return fail();
  int len = i2d_PKCS7(message, NULL);
  if (len <= 0)
    return fail();
  HF_TRY(hf_buf_reserve(out, (size_t)len, &room));
  i2d_PKCS7(message, &room);
  hf_buf_commit(out, (size_t)len);
  return HF_OK;
}

hf_err certs_only_der(struct hf_slice der, struct hf_buf *out)
{
  const unsigned char *at = der.data;
  HF_CLEANUP(openssl_x509_freep) X509 *certificate = d2i_X509(NULL, &at, (long)der.len);
  STACK_OF(X509) *one = sk_X509_new_null();
  hf_err e = certificate && one && sk_X509_push(one, certificate) > 0 ? certs_only(one, out) : fail();
  sk_X509_free(one);
  return e;
}
