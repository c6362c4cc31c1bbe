/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frames of p11-kit's RPC, as far as they must be looked at before libp11-kit sees them: it makes room for whatever
 * a request says that it wants, up to 2 GiB.
 */
#ifndef HF_AGENT_P11_FRAME_H
#define HF_AGENT_P11_FRAME_H

#include "base/buf.h"
#include "holdfast/pkcs11.h"

/* Big-endian: code, length of the options, length of the message. */
enum {
  P11_FRAME_HEADER = 12,
  P11_FRAME_OPTIONS_MAX = 4096,
  P11_FRAME_MESSAGE_MAX = 4 << 20,
  P11_FRAME_WANTED_MAX = 4 << 20
};

struct p11_frame {
  uint32_t code;
  uint32_t options_len;
  uint32_t message_len;
};

/* Fails with LIMIT where it is too large to be read. */
hf_err p11_frame_header(const uint8_t header[P11_FRAME_HEADER], struct p11_frame *ret_frame);

/* CKR_OK where libp11-kit may have the message, else what the client is to be told. */
CK_RV p11_frame_check(struct hf_slice message);

/* Appends a whole frame that answers code with an error. */
hf_err p11_frame_error(uint32_t code, CK_RV rv, struct hf_buf *out);

#endif
