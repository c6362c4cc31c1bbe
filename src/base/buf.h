/* SPDX-License-Identifier: Apache-2.0 */
/* The one growable buffer: bounded, and wiped when it grows or goes. */
#ifndef HF_BASE_BUF_H
#define HF_BASE_BUF_H

#include "base/cleanup.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* data is NULL while empty; len <= max always. Lives where its owner puts it: start it with HF_BUF(max), end it with hf_buf_free. */
struct hf_buf {
  uint8_t *data;
  size_t len;
  size_t capacity;
  size_t max;
};

#define HF_BUF(max_bytes) ((struct hf_buf){ .max = (max_bytes) })

/* Appends. Fails with LIMIT past max, with NO_MEMORY; then nothing was added. */
hf_err hf_buf_add(struct hf_buf *buf, const void *data, size_t len);
hf_err hf_buf_add_u8(struct hf_buf *buf, uint8_t value);
hf_err hf_buf_add_u16(struct hf_buf *buf, uint16_t value);   /* big-endian */
hf_err hf_buf_add_u32(struct hf_buf *buf, uint32_t value);   /* big-endian */
hf_err hf_buf_add_u64(struct hf_buf *buf, uint64_t value);   /* big-endian */
hf_err hf_buf_add_str(struct hf_buf *buf, const char *text); /* without its NUL */
hf_err hf_buf_addf(struct hf_buf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Room for len more bytes; *ret_room points at them, and hf_buf_commit makes them part of the buffer. */
hf_err hf_buf_reserve(struct hf_buf *buf, size_t len, uint8_t **ret_room);
void hf_buf_commit(struct hf_buf *buf, size_t len);

/* Drops the first len bytes; what is behind them moves to the front. */
void hf_buf_drop(struct hf_buf *buf, size_t len);

/* The bytes as a string: a NUL stands after them, outside len. NULL only without memory. */
const char *hf_buf_str(struct hf_buf *buf);

/* Wipes what it holds. It can be used again. */
void hf_buf_free(struct hf_buf *buf);

/* Reads a buffer from the front. Every hf_take_* fails with PARSE where the bytes do not suffice; then nothing was taken. */
struct hf_slice {
  const uint8_t *data;
  size_t len;
};

static inline struct hf_slice hf_slice(const void *data, size_t len)
{
  return (struct hf_slice){ data, len };
}

hf_err hf_take(struct hf_slice *in, size_t len, const uint8_t **ret_data);
hf_err hf_take_u8(struct hf_slice *in, uint8_t *ret_value);
hf_err hf_take_u16(struct hf_slice *in, uint16_t *ret_value);
hf_err hf_take_u32(struct hf_slice *in, uint32_t *ret_value);
hf_err hf_take_u64(struct hf_slice *in, uint64_t *ret_value);
/* Fails with PARSE where anything is left. */
hf_err hf_take_end(const struct hf_slice *in);

bool hf_slice_equal(struct hf_slice a, struct hf_slice b);

/* Lower-case hex; fails with PARSE on an odd count or a foreign character. */
hf_err hf_buf_add_hex(struct hf_buf *buf, const void *data, size_t len);
hf_err hf_hex_decode(const char *hex, struct hf_buf *out);

#endif
