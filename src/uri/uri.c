/* SPDX-License-Identifier: Apache-2.0 */
#include "uri/uri.h"

#include <errno.h>
#include <strings.h>

/* What an attribute's decoded value must be, beyond its characters. */
typedef bool (*value_check)(const char *value, size_t len);

static bool is_digit(char c)
{
  return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_any(const char *value, size_t len)
{
  (void)value;
  (void)len;
  return true;
}

/* Text is handed out as a terminated string, so that a NUL inside would cut it unseen. */
static bool is_text(const char *value, size_t len)
{
  return len == 0 || !memchr(value, '\0', len);
}

static bool is_slot_id(const char *value, size_t len)
{
  if (len == 0 || len > 20 || strspn(value, "0123456789") != len)
    return false;
  errno = 0;
  (void)strtoul(value, NULL, 10);
  return errno == 0;
}

static bool is_version(const char *value, size_t len)
{
  size_t major = strspn(value, "0123456789");
  if (major == 0 || major == len)
    return major > 0;
  size_t minor = strspn(value + major + 1, "0123456789");
  return value[major] == '.' && minor > 0 && major + 1 + minor == len;
}

static bool is_type(const char *value, size_t len)
{
  static const char *const types[] = { "public", "private", "cert", "secret-key", "data" };
  for (size_t i = 0; i < HF_ARRAY_LEN(types); i++)
    if (strlen(types[i]) == len && strcmp(value, types[i]) == 0)
      return true;
  return false;
}

static const struct attr_row {
  const char *name;
  bool query;
  value_check check;
  const char *expected;
} rows[URI_ATTR_COUNT] = {
  [URI_LIBRARY_DESCRIPTION] = { "library-description", false, is_text, "text without NUL" },
  [URI_LIBRARY_MANUFACTURER] = { "library-manufacturer", false, is_text, "text without NUL" },
  [URI_LIBRARY_VERSION] = { "library-version", false, is_version, "a version like 2 or 2.40" },
  [URI_SLOT_DESCRIPTION] = { "slot-description", false, is_text, "text without NUL" },
  [URI_SLOT_MANUFACTURER] = { "slot-manufacturer", false, is_text, "text without NUL" },
  [URI_SLOT_ID] = { "slot-id", false, is_slot_id, "a decimal number" },
  [URI_MODEL] = { "model", false, is_text, "text without NUL" },
  [URI_MANUFACTURER] = { "manufacturer", false, is_text, "text without NUL" },
  [URI_SERIAL] = { "serial", false, is_text, "text without NUL" },
  [URI_TOKEN] = { "token", false, is_text, "text without NUL" },
  [URI_ID] = { "id", false, is_any, "bytes" },
  [URI_OBJECT] = { "object", false, is_text, "text without NUL" },
  [URI_TYPE] = { "type", false, is_type, "public, private, cert, secret-key or data" },
  [URI_PIN_SOURCE] = { "pin-source", true, is_text, "text without NUL" },
  [URI_PIN_VALUE] = { "pin-value", true, is_text, "text without NUL" },
  [URI_MODULE_NAME] = { "module-name", true, is_text, "text without NUL" },
  [URI_MODULE_PATH] = { "module-path", true, is_text, "text without NUL" },
};

static const char scheme[] = "pkcs11:";

/* Unreserved characters, then the reserved ones that stay plain: pk11-path-res-avail and pk11-query-res-avail. */
static bool is_plain(char c, bool query)
{
  if (is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
    return true;
  return c && strchr(query ? "-._~:[]@!$'()*+,=/?|" : "-._~:[]@!$'()*+,=&", c);
}

static bool is_name_char(char c)
{
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
}

bool uri_is_pkcs11(const char *text)
{
  return strncasecmp(text, scheme, sizeof(scheme) - 1) == 0;
}

/* One attribute's text: [at, end) of the whole URI. */
struct span {
  const char *whole;
  const char *at;
  const char *end;
};

/* what must hold nothing of the value: it may be a PIN. */
static hf_err refuse(const char *whole, const char *at, const char *what, const char *detail)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf shown = HF_BUF(4 * URI_MAX);
  hf_ignore(uri_redact(whole, &shown));
  const char *text = hf_buf_str(&shown);
  return hf_fail(HF_ERR_URI_INVALID, "%s%s at character %zu of \"%.600s\"", what, detail, (size_t)(at - whole) + 1,
                 text ? text : "");
}

static hf_err decode_value(const struct span *value, bool query, struct hf_buf *out)
{
  for (const char *p = value->at; p < value->end; p++) {
    if (*p != '%') {
      if (!is_plain(*p, query))
        return refuse(value->whole, p, "a character that must be percent-encoded", "");
      HF_TRY(hf_buf_add(out, p, 1));
      continue;
    }
    if (value->end - p < 3 || !is_hex(p[1]) || !is_hex(p[2]))
      return refuse(value->whole, p, "'%' without two hex digits", "");
    HF_TRY(hf_hex_decode((char[]){ p[1], p[2], '\0' }, out));
    p += 2;
  }
  return HF_OK;
}

static const struct attr_row *find_row(const char *name, size_t len)
{
  for (size_t i = 0; i < URI_ATTR_COUNT; i++)
    if (strlen(rows[i].name) == len && memcmp(rows[i].name, name, len) == 0)
      return &rows[i];
  return NULL;
}

static hf_err parse_attr(const struct span *attr, bool query, struct uri *uri)
{
  const char *equals = memchr(attr->at, '=', (size_t)(attr->end - attr->at));
  if (!equals || equals == attr->at)
    return refuse(attr->whole, attr->at, "an attribute that is not NAME=VALUE", "");
  for (const char *p = attr->at; p < equals; p++)
    if (!is_name_char(*p))
      return refuse(attr->whole, p, "a character that no attribute's name has", "");

  HF_CLEANUP(hf_buf_free) struct hf_buf value = HF_BUF(URI_MAX);
  HF_TRY(decode_value(&(struct span){ attr->whole, equals + 1, attr->end }, query, &value));
  const struct attr_row *row = find_row(attr->at, (size_t)(equals - attr->at));
  if (!row)
    return HF_OK;
  if (row->query != query)
    return refuse(attr->whole, attr->at, row->name, query ? " after the '?'" : " before the '?'");
  if (uri->attrs[row - rows].present)
    return refuse(attr->whole, attr->at, "a second ", row->name);
  const char *text = hf_buf_str(&value);
  if (!text)
    return hf_fail(HF_ERR_NO_MEMORY, "parsing a URI");
  if (!row->check(text, value.len))
    return hf_hint(refuse(attr->whole, attr->at, "a bad value of ", row->name), "%s= takes %s.", row->name,
                   row->expected);
  return uri_set(uri, (enum uri_attr)(row - rows), value.data, value.len);
}

static hf_err parse_attrs(const char *whole, const char *at, const char *end, bool query, struct uri *uri)
{
  if (at == end)
    return HF_OK;
  for (;;) {
    const char *stop = memchr(at, query ? '&' : ';', (size_t)(end - at));
    HF_TRY(parse_attr(&(struct span){ whole, at, stop ? stop : end }, query, uri));
    if (!stop)
      return HF_OK;
    at = stop + 1;
  }
}

hf_err uri_parse(const char *text, struct uri *ret_uri)
{
  size_t len = strnlen(text, URI_MAX + 1);
  if (len > URI_MAX)
    return hf_fail(HF_ERR_URI_INVALID, "it is longer than %d bytes", URI_MAX);
  if (!uri_is_pkcs11(text))
    return refuse(text, text, "no \"pkcs11:\"", "");
  HF_CLEANUP(uri_free) struct uri built = { 0 };
  const char *path = text + sizeof(scheme) - 1;
  const char *mark = strchr(path, '?');
  HF_TRY(parse_attrs(text, path, mark ? mark : text + len, false, &built));
  if (mark)
    HF_TRY(parse_attrs(text, mark + 1, text + len, true, &built));
  *ret_uri = built;
  built = (struct uri){ 0 };
  return HF_OK;
}

static hf_err format_value(const struct hf_buf *value, enum uri_attr attr, struct hf_buf *out)
{
  for (size_t i = 0; i < value->len; i++) {
    char c = (char)value->data[i];
    if (attr != URI_ID && is_plain(c, rows[attr].query))
      HF_TRY(hf_buf_add(out, &c, 1));
    else
      HF_TRY(hf_buf_addf(out, "%%%02X", (unsigned char)c));
  }
  return HF_OK;
}

static hf_err format(const struct uri *uri, struct hf_buf *out)
{
  HF_TRY(hf_buf_add_str(out, scheme));
  const char *path_mark = "", *query_mark = "?";
  for (size_t i = 0; i < URI_ATTR_COUNT; i++) {
    if (!uri->attrs[i].present || i == URI_PIN_VALUE)
      continue;
    HF_TRY(hf_buf_addf(out, "%s%s=", rows[i].query ? query_mark : path_mark, rows[i].name));
    *(rows[i].query ? &query_mark : &path_mark) = rows[i].query ? "&" : ";";
    HF_TRY(format_value(&uri->attrs[i].value, (enum uri_attr)i, out));
  }
  return HF_OK;
}

hf_err uri_format(const struct uri *uri, struct hf_buf *out)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(URI_ATTR_COUNT * 3 * URI_MAX);
  HF_TRY(format(uri, &text));
  return hf_buf_add(out, text.data, text.len);
}

const char *uri_get(const struct uri *uri, enum uri_attr attr)
{
  return uri->attrs[attr].present ? (const char *)uri->attrs[attr].value.data : NULL;
}

hf_err uri_set(struct uri *uri, enum uri_attr attr, const void *value, size_t len)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf built = HF_BUF(URI_MAX);
  HF_TRY(hf_buf_add(&built, value, len));
  /* The terminating NUL that uri_get relies on. */
  const char *text = hf_buf_str(&built);
  if (!text)
    return hf_fail(HF_ERR_NO_MEMORY, "setting %s of a URI", rows[attr].name);
  if (!rows[attr].check(text, len))
    return hf_fail(HF_ERR_URI_INVALID, "%s= takes %s", rows[attr].name, rows[attr].expected);
  uri_unset(uri, attr);
  uri->attrs[attr].value = built;
  uri->attrs[attr].present = true;
  built = (struct hf_buf){ 0 };
  return HF_OK;
}

void uri_unset(struct uri *uri, enum uri_attr attr)
{
  hf_buf_free(&uri->attrs[attr].value);
  uri->attrs[attr].present = false;
}

hf_err uri_copy(const struct uri *uri, struct uri *ret_copy)
{
  HF_CLEANUP(uri_free) struct uri built = { 0 };
  for (size_t i = 0; i < URI_ATTR_COUNT; i++)
    if (uri->attrs[i].present)
      HF_TRY(uri_set(&built, (enum uri_attr)i, uri->attrs[i].value.data, uri->attrs[i].value.len));
  *ret_copy = built;
  built = (struct uri){ 0 };
  return HF_OK;
}

void uri_free(struct uri *uri)
{
  for (size_t i = 0; i < URI_ATTR_COUNT; i++)
    uri_unset(uri, (enum uri_attr)i);
}
