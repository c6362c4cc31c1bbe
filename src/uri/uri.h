/* SPDX-License-Identifier: Apache-2.0 */
/* PKCS #11 URIs (RFC 7512), decoded. Pure: nothing here looks at a token. */
#ifndef HF_URI_URI_H
#define HF_URI_URI_H

#include "base/buf.h"
#include "base/secret.h"

#include <stdbool.h>

/* Path attributes first (section 2.3), then query attributes (section 2.4); the order is the one that uri_format writes. */
enum uri_attr {
  URI_LIBRARY_DESCRIPTION,
  URI_LIBRARY_MANUFACTURER,
  URI_LIBRARY_VERSION,
  URI_SLOT_DESCRIPTION,
  URI_SLOT_MANUFACTURER,
  URI_SLOT_ID,
  URI_MODEL,
  URI_MANUFACTURER,
  URI_SERIAL,
  URI_TOKEN,
  URI_ID, /* bytes, may hold NUL */
  URI_OBJECT,
  URI_TYPE,
  URI_PIN_SOURCE,
  URI_PIN_VALUE, /* a secret: never formatted */
  URI_MODULE_NAME,
  URI_MODULE_PATH,
  URI_ATTR_COUNT
};

#define URI_MAX 4096 /* bytes of a URI's text */

/* Start with {0}; end with uri_free, which wipes it. Attributes of vendors are checked for their form and dropped. */
struct uri {
  struct {
    bool present;
    struct hf_buf value; /* percent-decoded; UTF-8 except id */
  } attrs[URI_ATTR_COUNT];
};

bool uri_is_pkcs11(const char *text); /* by the scheme alone */

/* Fails with URI_INVALID and names the place: unknown form, attribute twice, bad percent-encoding, type that is none. */
hf_err uri_parse(const char *text, struct uri *ret_uri);

/* Appends the text. Percent-encodes all but what the RFC leaves plain; the whole id as %XX. Leaves out pin-value. */
hf_err uri_format(const struct uri *uri, struct hf_buf *out);

/* The value as a terminated string, or NULL where it is absent. Valid until the attribute changes. */
const char *uri_get(const struct uri *uri, enum uri_attr attr);
hf_err uri_set(struct uri *uri, enum uri_attr attr, const void *value, size_t len);
void uri_unset(struct uri *uri, enum uri_attr attr);
hf_err uri_copy(const struct uri *uri, struct uri *ret_copy);

/* A copy of a URI's text that may be logged or shown: the value of pin-value is replaced by "***". */
hf_err uri_redact(const char *text, struct hf_buf *out);

void uri_free(struct uri *uri);

#endif
