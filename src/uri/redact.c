/* SPDX-License-Identifier: Apache-2.0 */
#include "uri/uri.h"

#include <strings.h>

/* A log line or a terminal must not be led astray by what a URI holds. */
static hf_err add_shown(struct hf_buf *out, char c)
{
  unsigned char byte = (unsigned char)c;
  return byte < 0x20 || byte == 0x7f ? hf_buf_addf(out, "%%%02X", byte) : hf_buf_add_u8(out, byte);
}

/* Any text will do: what is shown is often what could not be parsed. A value ends at '&' alone, as ';' may be a PIN's. */
hf_err uri_redact(const char *text, struct hf_buf *out)
{
  static const char name[] = "pin-value=";
  HF_CLEANUP(hf_buf_free) struct hf_buf shown = HF_BUF(4 * URI_MAX);
  for (const char *p = text; *p;) {
    if (strncasecmp(p, name, sizeof(name) - 1) != 0) {
      HF_TRY(add_shown(&shown, *p++));
      continue;
    }
    HF_TRY(hf_buf_add(&shown, p, sizeof(name) - 1));
    HF_TRY(hf_buf_add_str(&shown, "***"));
    p += strcspn(p, "&");
  }
  return hf_buf_add(out, shown.data, shown.len);
}
