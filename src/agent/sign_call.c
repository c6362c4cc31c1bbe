/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/sign_call.h"

#include "base/text.h"
#include "p11/der.h"
#include "wire/postcard.h"

#include <ctype.h>
#include <openssl/evp.h>

enum { PEM_LINE_BYTES = 48, PEM_LINE_CHARS = 64, PEM_MAX = 16 * 1024, ITEMS_FIRST = 16 };

/* Policy */

hf_err sign_ask(struct sign_call *call, enum policy_op op, const struct uri *key)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(URI_ATTR_COUNT * 3 * URI_MAX);
  HF_TRY(uri_format(key, &text));
  hf_buf_free(&call->key);
  HF_TRY(hf_buf_add(&call->key, text.data, text.len));
  call->op = op;
  call->asked = true;
  policy_ask(call->agent->policy, call->peer, op, key, &call->answer);
  if (call->answer.verdict == VERDICT_ALLOW)
    return HF_OK;
  hf_err e = hf_fail(HF_ERR_PERMISSION, "%s of %.500s: %s%s", policy_op_name(op), hf_buf_str(&text),
                     call->answer.rate_limited ? "over the rate of " : "", call->answer.rule);
  return call->answer.to_allow[0] ? hf_hint(e, "To allow it, add the rule: %s", call->answer.to_allow) : e;
}

hf_err sign_ask_item(struct sign_call *call, const struct uri *key, bool *ret_shown)
{
  struct policy_answer answer;
  policy_ask(call->agent->policy, call->peer, POLICY_LIST, key, &answer);
  *ret_shown = answer.verdict == VERDICT_ALLOW;
  call->op = POLICY_LIST;
  if (!call->asked || *ret_shown)
    call->answer = answer;
  call->asked = true;
  return HF_OK;
}

hf_err sign_ask_end(struct sign_call *call)
{
  if (!call->asked || call->answer.verdict == VERDICT_ALLOW)
    return HF_OK;
  return hf_hint(hf_fail(HF_ERR_PERMISSION, "list: %s", call->answer.rule), "To allow it, add the rule: %s",
                 call->answer.to_allow);
}

/* The response's texts */

struct sign_kept {
  struct sign_kept *next;
  uint8_t data[];
};

hf_err sign_keep(struct sign_call *call, const void *data, size_t len, struct wire_text *ret_text)
{
  struct sign_kept *kept = malloc(sizeof(*kept) + len + 1);
  if (!kept)
    return hf_fail(HF_ERR_NO_MEMORY, "a response");
  if (len)
    memcpy(kept->data, data, len);
  kept->next = call->kept;
  call->kept = kept;
  *ret_text = wire_text(kept->data, len);
  return HF_OK;
}

/* A String must be UTF-8; a token's or a system's text need not be. */
static void scrub(uint8_t *text, size_t len)
{
  if (hf_is_utf8(hf_slice(text, len)))
    return;
  for (size_t i = 0; i < len; i++)
    if (text[i] >= 0x80)
      text[i] = '?';
}

hf_err sign_keep_text(struct sign_call *call, const char *text, size_t len, struct wire_text *ret_text)
{
  struct wire_text kept;
  HF_TRY(sign_keep(call, text, len, &kept));
  scrub(call->kept->data, len);
  *ret_text = kept;
  return HF_OK;
}

void sign_kept_free(struct sign_kept *kept)
{
  while (kept) {
    struct sign_kept *next = kept->next;
    free(kept);
    kept = next;
  }
}

static bool is_plain(uint8_t c)
{
  return c < 0x80 && (isalnum(c) || c == '-');
}

static hf_err add_value(const struct hf_buf *value, bool encode_all, struct hf_buf *out)
{
  for (size_t i = 0; i < value->len; i++)
    HF_TRY(!encode_all && is_plain(value->data[i]) ? hf_buf_add_u8(out, value->data[i])
                                                   : hf_buf_addf(out, "%%%02X", value->data[i]));
  return HF_OK;
}

hf_err sign_keep_uri(struct sign_call *call, const struct uri *uri, struct wire_text *ret_text)
{
  static const struct {
    enum uri_attr attr;
    const char *name;
  } rows[] = {
    { URI_MODEL, "model" },   { URI_MANUFACTURER, "manufacturer" }, { URI_SERIAL, "serial" },
    { URI_TOKEN, "token" },   { URI_SLOT_ID, "slot-id" },           { URI_ID, "id" },
    { URI_OBJECT, "object" },
  };
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(URI_ATTR_COUNT * 3 * URI_MAX);
  HF_TRY(hf_buf_add_str(&text, "pkcs11:"));
  const char *separator = "";
  for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
    if (!uri->attrs[rows[i].attr].present)
      continue;
    HF_TRY(hf_buf_addf(&text, "%s%s=", separator, rows[i].name));
    HF_TRY(add_value(&uri->attrs[rows[i].attr].value, rows[i].attr == URI_ID, &text));
    separator = ";";
  }
  return sign_keep(call, text.data, text.len, ret_text);
}

hf_err sign_add_item(struct sign_call *call, struct wire_item **ret_item)
{
  struct wire_frame *response = &call->response;
  size_t count = response->item_count;
  if (count == WIRE_ITEMS_MAX)
    return hf_fail(HF_ERR_LIMIT, "a listing of over %d", WIRE_ITEMS_MAX);
  /* Room doubles whenever the count is a power of two. */
  if (count == 0 || (count >= ITEMS_FIRST && (count & (count - 1)) == 0)) {
    struct wire_item *items = reallocarray(response->items, count ? count * 2 : ITEMS_FIRST, sizeof(*items));
    if (!items)
      return hf_fail(HF_ERR_NO_MEMORY, "a listing");
    response->items = items;
  }
  response->items[count] = (struct wire_item){ 0 };
  response->item_count++;
  *ret_item = &response->items[count];
  return HF_OK;
}

hf_err sign_secret(const struct wire_text *text, struct hf_secret **ret_secret)
{
  if (!text->present || text->bytes.len == 0) {
    *ret_secret = NULL;
    return HF_OK;
  }
  return hf_secret_new(text->bytes.data, text->bytes.len, ret_secret);
}

/* Public keys */

static hf_err public_der(const struct p11_public *key, struct hf_buf *out)
{
  if (key->type != CKK_RSA)
    return hf_buf_add(out, key->point.data, key->point.len);
  HF_CLEANUP(hf_buf_free) struct hf_buf numbers = HF_BUF(PEM_MAX);
  HF_TRY(p11_der_add_unsigned(&numbers, key->modulus.data, key->modulus.len));
  HF_TRY(p11_der_add_unsigned(&numbers, key->exponent.data, key->exponent.len));
  return p11_der_add(out, DER_SEQUENCE, numbers.data, numbers.len);
}

hf_err sign_pem(const struct p11_public *key, struct hf_buf *out)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf der = HF_BUF(PEM_MAX);
  HF_TRY(public_der(key, &der));
  HF_TRY(hf_buf_add_str(out, "-----BEGIN PUBLIC KEY-----\n"));
  for (size_t at = 0; at < der.len; at += PEM_LINE_BYTES) {
    unsigned char line[PEM_LINE_CHARS + 1];
    size_t len = der.len - at < PEM_LINE_BYTES ? der.len - at : PEM_LINE_BYTES;
    int chars = EVP_EncodeBlock(line, der.data + at, (int)len);
    HF_TRY(hf_buf_add(out, line, (size_t)chars));
    HF_TRY(hf_buf_add_str(out, "\n"));
  }
  return hf_buf_add_str(out, "-----END PUBLIC KEY-----\n");
}
