/* SPDX-License-Identifier: Apache-2.0 */
#include "p11/pem.h"

#include "p11/der.h"
#include "uri/uri.h"

static const char version[] = "PKCS#11 Provider URI v1.0";

enum { LINE_BYTES = 48 }; /* 64 characters of base64 */

static hf_err add_base64(const uint8_t *data, size_t len, struct hf_buf *out)
{
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < len; i += 3) {
    size_t n = len - i < 3 ? len - i : 3;
    uint32_t group = (uint32_t)data[i] << 16;
    if (n > 1)
      group |= (uint32_t)data[i + 1] << 8;
    if (n > 2)
      group |= data[i + 2];
    char quad[4] = { digits[group >> 18], digits[group >> 12 & 63], n > 1 ? digits[group >> 6 & 63] : '=',
                     n > 2 ? digits[group & 63] : '=' };
    HF_TRY(hf_buf_add(out, quad, sizeof(quad)));
  }
  return HF_OK;
}

hf_err p11_pem_write(const char *uri, struct hf_buf *out)
{
  struct uri parsed = { 0 };
  HF_TRY(uri_parse(uri, &parsed));
  uri_free(&parsed);
  HF_CLEANUP(hf_buf_free) struct hf_buf content = HF_BUF(2 * URI_MAX);
  HF_CLEANUP(hf_buf_free) struct hf_buf der = HF_BUF(2 * URI_MAX);
  HF_TRY(p11_der_add(&content, DER_VISIBLE_STRING, version, sizeof(version) - 1));
  HF_TRY(p11_der_add(&content, DER_UTF8_STRING, uri, strlen(uri)));
  HF_TRY(p11_der_add(&der, DER_SEQUENCE, content.data, content.len));
  HF_TRY(hf_buf_add_str(out, "-----BEGIN " P11_PEM_LABEL "-----\n"));
  for (size_t i = 0; i < der.len; i += LINE_BYTES) {
    HF_TRY(add_base64(der.data + i, der.len - i < LINE_BYTES ? der.len - i : LINE_BYTES, out));
    HF_TRY(hf_buf_add_str(out, "\n"));
  }
  return hf_buf_add_str(out, "-----END " P11_PEM_LABEL "-----\n");
}

hf_err p11_pem_read_der(struct hf_slice der, struct hf_buf *uri)
{
  struct hf_slice content, label, text;
  HF_TRY(p11_der_take(&der, DER_SEQUENCE, &content));
  HF_TRY(hf_take_end(&der));
  HF_TRY(p11_der_take(&content, DER_VISIBLE_STRING, &label));
  HF_TRY(p11_der_take(&content, DER_UTF8_STRING, &text));
  HF_TRY(hf_take_end(&content));
  if (!hf_slice_equal(label, hf_slice(version, sizeof(version) - 1)))
    return hf_fail(HF_ERR_PARSE, "not a \"%s\"", version);
  if (memchr(text.data, '\0', text.len))
    return hf_fail(HF_ERR_PARSE, "the URI holds a NUL");
  return hf_buf_add(uri, text.data, text.len);
}
