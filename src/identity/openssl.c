/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/openssl.h"

#include "uri/uri.h"

#include <ctype.h>
#include <openssl/err.h>

/* Our provider's reasons are the codes of base/error.h, with their sentences: see provider/error.c. */
static bool is_ours(unsigned long error, enum hf_code *ret_code)
{
  int reason = ERR_GET_REASON(error);
  const char *text = ERR_reason_error_string(error);
  if (reason <= HF_ERR_OK || reason >= HF_ERR_COUNT || !text)
    return false;
  enum hf_code code = (enum hf_code)reason;
  if (strcmp(hf_err_text((hf_err){ code }), text) != 0)
    return false;
  *ret_code = code;
  return true;
}

/* The provider gives "context. Hint.". */
static hf_err fail_ours(enum hf_code code, const char *data)
{
  const char *end = data;
  while ((end = strstr(end, ". ")) && !isupper((unsigned char)end[2]))
    end += 2;
  if (!end)
    return hf_fail(code, "%s", data);
  return hf_hint(hf_fail(code, "%.*s", (int)(end - data), data), "%s", end + 2);
}

hf_err openssl_fail(enum hf_code code, const char *what, const char *path)
{
  const char *data = "";
  int flags = 0;
  unsigned long error = ERR_peek_error_all(NULL, NULL, NULL, &data, &flags);
  const char *reason = error ? ERR_reason_error_string(error) : NULL;
  bool said = (flags & ERR_TXT_STRING) && data[0];
  enum hf_code ours;
  hf_err e = is_ours(error, &ours) ? fail_ours(ours, said ? data : "")
                                   : hf_fail(code, "%s%s%s%s%s%s", what, path, reason ? ": " : "", reason ? reason : "",
                                             said ? ": " : "", said ? data : "");
  ERR_clear_error();
  return e;
}

static void store_closep(OSSL_STORE_CTX **store)
{
  OSSL_STORE_close(*store);
}

hf_err openssl_store_load(const char *uri, int type, const char *what, OSSL_STORE_INFO **ret_info)
{
  if (!uri_is_pkcs11(uri))
    return hf_fail(HF_ERR_URI_INVALID, "%s", uri);
  ERR_clear_error();
  HF_CLEANUP(store_closep)
  OSSL_STORE_CTX *store = OSSL_STORE_open_ex(uri, NULL, "provider=holdfast", NULL, NULL, NULL, NULL, NULL);
  if (!store || OSSL_STORE_expect(store, type) != 1)
    return openssl_fail(HF_ERR_INTERNAL, what, "");
  OSSL_STORE_INFO *info = OSSL_STORE_load(store);
  if (!info || OSSL_STORE_INFO_get_type(info) != type) {
    OSSL_STORE_INFO_free(info);
    return openssl_fail(HF_ERR_URI_NO_MATCH, what, "");
  }
  *ret_info = info;
  return HF_OK;
}
