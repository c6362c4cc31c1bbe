/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Postcard 1.1, the serialisation of the signing socket's frames: integers are LEB128 varints, strings and lists have
 * their length in front. Every wire_take_* fails with PARSE where the bytes do not suffice or break the format.
 */
#ifndef HF_WIRE_POSTCARD_H
#define HF_WIRE_POSTCARD_H

#include "base/buf.h"

/* The longest varint of an integer of so many bits. */
#define WIRE_VARINT_MAX(bits) (((bits) + 6) / 7)
_Static_assert(WIRE_VARINT_MAX(16) == 3 && WIRE_VARINT_MAX(32) == 5 && WIRE_VARINT_MAX(64) == 10, "postcard 1.1");

/* bits: 16, 32 or 64. Refuses a varint that is too long, that has more bits, or that has a shorter form. */
hf_err wire_take_varint(struct hf_slice *in, unsigned bits, uint64_t *ret_value);
hf_err wire_add_varint(struct hf_buf *out, uint64_t value);

/* 00 or 01, nothing else: a bool, and what stands in front of an Option. */
hf_err wire_take_bool(struct hf_slice *in, bool *ret_value);

/* A length and so many bytes, which stay where they are. */
hf_err wire_take_bytes(struct hf_slice *in, struct hf_slice *ret_bytes);
/* The same; refuses what is not UTF-8 (RFC 3629). */
hf_err wire_take_string(struct hf_slice *in, struct hf_slice *ret_text);
hf_err wire_add_bytes(struct hf_buf *out, struct hf_slice bytes);

#endif
