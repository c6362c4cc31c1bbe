/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/est_answer.h"

#include <openssl/err.h>
#include <openssl/pkcs7.h>
#include <strings.h>

static void pkcs7_freep(PKCS7 **message)
{
  PKCS7_free(*message);
}

static bool is_blank(uint8_t c)
{
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static hf_err strip_blanks(struct hf_slice text, struct hf_buf *out)
{
  for (size_t i = 0; i < text.len; i++)
    if (!is_blank(text.data[i]))
      HF_TRY(hf_buf_add_u8(out, text.data[i]));
  return HF_OK;
}

/* How many '=' stand at the end; more than two where one stands elsewhere. */
static size_t padding_of(const struct hf_buf *packed)
{
  const uint8_t *first = packed->len ? memchr(packed->data, '=', packed->len) : NULL;
  return first ? packed->len - (size_t)(first - packed->data) : 0;
}

hf_err est_base64_decode(struct hf_slice text, struct hf_buf *out)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf packed = HF_BUF(EST_ANSWER_MAX);
  HF_TRY(strip_blanks(text, &packed));
  size_t padding = padding_of(&packed);
  if (packed.len == 0 || packed.len % 4 || padding > 2)
    return hf_fail(HF_ERR_PARSE, "it is not base64");
  uint8_t *room;
  HF_TRY(hf_buf_reserve(out, packed.len / 4 * 3, &room));
  int len = EVP_DecodeBlock(room, packed.data, (int)packed.len);
  if (len < 0 || (size_t)len < padding)
    return hf_fail(HF_ERR_PARSE, "it is not base64");
  hf_buf_commit(out, (size_t)len - padding);
  return HF_OK;
}

static hf_err copy_certificates(STACK_OF(X509) * from, STACK_OF(X509) * *ret_certificates)
{
  if (sk_X509_num(from) < 1)
    return hf_fail(HF_ERR_PARSE, "it holds no certificate");
  if (sk_X509_num(from) > CHAIN_MAX)
    return hf_fail(HF_ERR_LIMIT, "%d certificates in one answer", sk_X509_num(from));
  *ret_certificates = X509_chain_up_ref(from);
  return *ret_certificates ? HF_OK : hf_fail(HF_ERR_NO_MEMORY, "certificates");
}

hf_err est_certificates_parse(struct hf_slice body, STACK_OF(X509) * *ret_certificates)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf der = HF_BUF(EST_ANSWER_MAX);
  HF_TRY(est_base64_decode(body, &der));
  const unsigned char *at = der.data;
  HF_CLEANUP(pkcs7_freep) PKCS7 *message = d2i_PKCS7(NULL, &at, (long)der.len);
  ERR_clear_error();
  if (!message || !PKCS7_type_is_signed(message) || !message->d.sign)
    return hf_fail(HF_ERR_PARSE, "it is not a PKCS #7 message of certificates");
  if (at != der.data + der.len)
    return hf_fail(HF_ERR_PARSE, "something follows its PKCS #7 message");
  return copy_certificates(message->d.sign->cert, ret_certificates);
}

hf_err est_certificates_leaf(STACK_OF(X509) * certificates, EVP_PKEY *key, X509 **ret_leaf)
{
  X509 *leaf = NULL;
  for (int i = 0; i < sk_X509_num(certificates); i++) {
    X509 *one = sk_X509_value(certificates, i);
    EVP_PKEY *public_key = X509_get0_pubkey(one);
    if (!public_key || EVP_PKEY_eq(public_key, key) != 1)
      continue;
    if (leaf && X509_cmp(leaf, one) != 0)
      return hf_fail(HF_ERR_KEY_MISMATCH, "the CA answered several certificates for our key");
    leaf = one;
  }
  ERR_clear_error();
  if (!leaf)
    return hf_hint(hf_fail(HF_ERR_KEY_MISMATCH, "the CA answered a certificate for another key"),
                   "Nothing was changed. See the CA's log for which request it answered.");
  *ret_leaf = leaf;
  return HF_OK;
}

bool est_content_type_is(const char *value, const char *type)
{
  if (!value)
    return false;
  value += strspn(value, " \t");
  size_t len = strlen(type);
  return strncasecmp(value, type, len) == 0 && (!value[len] || strchr("; \t", value[len]));
}
