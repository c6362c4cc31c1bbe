/* SPDX-License-Identifier: Apache-2.0 */
#include "secrets/name.h"

static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/_+=.@-";

static hf_err check(const char *what, const char *text, size_t max)
{
  size_t len = strlen(text);
  if (len > 0 && len <= max && text[strspn(text, allowed)] == '\0')
    return HF_OK;
  return hf_hint(hf_fail(HF_ERR_USAGE, "%s '%.80s'%s", what, text, len > 80 ? "..." : ""),
                 "It is 1 to %zu letters, digits and /_+=.@-", max);
}

hf_err secrets_name_check(const char *name)
{
  return check("the secret's name", name, SECRETS_NAME_MAX);
}

hf_err secrets_stage_check(const char *stage)
{
  return check("the label", stage, SECRETS_STAGE_MAX);
}

hf_err secrets_value_check(size_t len)
{
  if (len > 0 && len <= SECRETS_VALUE_MAX)
    return HF_OK;
  hf_err e = len ? hf_fail(HF_ERR_LIMIT, "a secret of more than %d bytes", SECRETS_VALUE_MAX)
                 : hf_fail(HF_ERR_LIMIT, "a secret of 0 bytes");
  return hf_hint(e, "A secret has 1 to %d bytes; nothing was changed.", SECRETS_VALUE_MAX);
}

/* RFC 4122, section 3: the bytes before which a hyphen stands. */
static bool hyphen_before(size_t byte)
{
  return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

void secrets_id_format(const uint8_t id[SECRETS_ID_BYTES], char out[SECRETS_ID_TEXT])
{
  size_t at = 0;
  for (size_t i = 0; i < SECRETS_ID_BYTES; i++)
    at += (size_t)snprintf(out + at, SECRETS_ID_TEXT - at, "%s%02x", hyphen_before(i) ? "-" : "", id[i]);
}

hf_err secrets_id_parse(const char *text, uint8_t ret_id[SECRETS_ID_BYTES])
{
  HF_CLEANUP(hf_buf_free) struct hf_buf id = HF_BUF(SECRETS_ID_BYTES);
  char hex[2 * SECRETS_ID_BYTES + 1], again[SECRETS_ID_TEXT];
  size_t count = 0;
  for (const char *c = text; *c && count < sizeof(hex) - 1; c++)
    if (*c != '-')
      hex[count++] = *c;
  hex[count] = '\0';
  bool good = !hf_failed(hf_hex_decode(hex, &id)) && id.len == SECRETS_ID_BYTES;
  if (good)
    secrets_id_format(id.data, again);
  if (!good || strcmp(again, text) != 0)
    return hf_hint(hf_fail(HF_ERR_USAGE, "the version '%.40s'", text), "'holdfast secret list NAME' shows them.");
  memcpy(ret_id, id.data, SECRETS_ID_BYTES);
  return HF_OK;
}
