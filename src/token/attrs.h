/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A set of attributes, held as it is stored: rows of type (u32), length (u32), value, ascending by type. Booleans are one
 * byte, numbers are u64, all big-endian: the same on every machine.
 */
#ifndef HF_TOKEN_ATTRS_H
#define HF_TOKEN_ATTRS_H

#include "base/buf.h"
#include "holdfast/pkcs11.h"

enum { ATTRS_MAX_BYTES = 1 << 20 };

struct attrs {
  struct hf_buf rows;
};

#define ATTRS_EMPTY ((struct attrs){ HF_BUF(ATTRS_MAX_BYTES) })

struct attr_row {
  CK_ATTRIBUTE_TYPE type;
  struct hf_slice value;
};

/* Takes over stored bytes; fails with TOKEN_STORE where they are not of the form. */
hf_err attrs_check(struct hf_slice rows);

/* Stored bytes as a set that only looks at them: not to be changed or freed. Fails as attrs_check. */
hf_err attrs_view(struct hf_slice rows, struct attrs *ret_view);

/* Walks in order; start with *pos = 0. */
bool attrs_next(const struct attrs *attrs, size_t *pos, struct attr_row *ret_row);

bool attrs_get(const struct attrs *attrs, CK_ATTRIBUTE_TYPE type, struct hf_slice *ret_value);
bool attrs_true(const struct attrs *attrs, CK_ATTRIBUTE_TYPE type); /* absent: false */
CK_ULONG attrs_ulong(const struct attrs *attrs, CK_ATTRIBUTE_TYPE type, CK_ULONG fallback);

/* Adds or replaces. */
hf_err attrs_set(struct attrs *attrs, CK_ATTRIBUTE_TYPE type, struct hf_slice value);
hf_err attrs_set_bool(struct attrs *attrs, CK_ATTRIBUTE_TYPE type, bool value);
hf_err attrs_set_ulong(struct attrs *attrs, CK_ATTRIBUTE_TYPE type, CK_ULONG value);

/* Wipes. */
void attrs_free(struct attrs *attrs);

#endif
