/* SPDX-License-Identifier: Apache-2.0 */
/* As much of DER (X.690) as keys and certificates need. */
#ifndef HF_P11_DER_H
#define HF_P11_DER_H

#include "base/buf.h"

enum {
  DER_INTEGER = 0x02,
  DER_BIT_STRING = 0x03,
  DER_OCTET_STRING = 0x04,
  DER_NULL = 0x05,
  DER_OID = 0x06,
  DER_UTF8_STRING = 0x0c,
  DER_VISIBLE_STRING = 0x1a,
  DER_SEQUENCE = 0x30,
  DER_CONTEXT_0 = 0xa0,
};

/* Takes one element of this tag from the front. Fails with PARSE on another tag, a wrong or indefinite length. */
hf_err p11_der_take(struct hf_slice *in, uint8_t tag, struct hf_slice *ret_content);
/* Takes one element of any tag. */
hf_err p11_der_skip(struct hf_slice *in);
/* A positive INTEGER without its leading zeros. */
hf_err p11_der_take_unsigned(struct hf_slice *in, struct hf_slice *ret_number);

/* Appends tag, length and content. */
hf_err p11_der_add(struct hf_buf *out, uint8_t tag, const void *content, size_t len);
hf_err p11_der_add_unsigned(struct hf_buf *out, const void *number, size_t len);

#endif
