/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/certificate_text.h"

#include "identity/openssl.h"

#include <arpa/inet.h>
#include <openssl/bn.h>

void certificate_time(const ASN1_TIME *when, char out[CERTIFICATE_TIME_MAX])
{
  struct tm tm;
  if (ASN1_TIME_to_tm(when, &tm) != 1 || strftime(out, CERTIFICATE_TIME_MAX, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
    snprintf(out, CERTIFICATE_TIME_MAX, "an unreadable time");
}

hf_err certificate_name_text(const X509_NAME *name, struct hf_buf *out)
{
  /* RFC 2253's order and escapes, but UTF-8 as it is, and a blank after each comma. */
  unsigned long how =
      (XN_FLAG_RFC2253 & ~(unsigned long)(ASN1_STRFLGS_ESC_MSB | XN_FLAG_SEP_MASK)) | XN_FLAG_SEP_CPLUS_SPC;
  HF_CLEANUP(openssl_bio_freep) BIO *bio = BIO_new(BIO_s_mem());
  if (!bio || X509_NAME_print_ex(bio, name, 0, how) < 0)
    return openssl_fail(HF_ERR_NO_MEMORY, "a name", "");
  char *text = NULL;
  long len = BIO_get_mem_data(bio, &text);
  return hf_buf_add(out, text, len > 0 ? (size_t)len : 0);
}

hf_err certificate_serial_text(const X509 *certificate, struct hf_buf *out)
{
  BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), NULL);
  char *hex = number ? BN_bn2hex(number) : NULL;
  hf_err e = hex ? hf_buf_add_str(out, hex) : openssl_fail(HF_ERR_NO_MEMORY, "a serial number", "");
  OPENSSL_free(hex);
  BN_free(number);
  return e;
}

hf_err certificate_thumbprint_text(const X509 *certificate, const EVP_MD *digest, struct hf_buf *out)
{
  uint8_t value[EVP_MAX_MD_SIZE];
  unsigned len = 0;
  if (X509_digest(certificate, digest, value, &len) != 1)
    return openssl_fail(HF_ERR_INTERNAL, "a thumbprint", "");
  for (unsigned i = 0; i < len; i++)
    HF_TRY(hf_buf_addf(out, "%02X", value[i]));
  return HF_OK;
}

static hf_err add_address(const ASN1_OCTET_STRING *octets, struct hf_buf *out)
{
  char text[INET6_ADDRSTRLEN];
  int family = ASN1_STRING_length(octets) == sizeof(struct in_addr) ? AF_INET : AF_INET6;
  bool good =
      ASN1_STRING_length(octets) == sizeof(struct in_addr) || ASN1_STRING_length(octets) == sizeof(struct in6_addr);
  if (!good || !inet_ntop(family, ASN1_STRING_get0_data(octets), text, sizeof(text)))
    return HF_OK;
  return hf_buf_addf(out, "IP:%s", text);
}

static const struct alt_row {
  int type;
  const char *prefix;
} alts[] = { { GEN_DNS, "DNS:" }, { GEN_URI, "URI:" }, { GEN_EMAIL, "email:" } };

hf_err certificate_alt_name_text(const GENERAL_NAME *name, struct hf_buf *out)
{
  int type;
  const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);
  if (type == GEN_IPADD)
    return add_address(value, out);
  for (size_t i = 0; i < HF_ARRAY_LEN(alts); i++)
    if (alts[i].type == type) {
      HF_TRY(hf_buf_add_str(out, alts[i].prefix));
      return hf_buf_add(out, ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value));
    }
  return HF_OK;
}
