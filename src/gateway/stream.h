/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes to and from the other side, by TCP or by TLS on it. Never blocks. The program ignores SIGPIPE. */
#ifndef HF_GATEWAY_STREAM_H
#define HF_GATEWAY_STREAM_H

#include "gateway/tls.h"

struct stream;

/* Takes over fd, and tls, which may be NULL; on failure they are closed. address is for texts. */
hf_err stream_new(int fd, struct tls *tls, const char *address, struct stream **ret_stream);
struct stream *stream_free(struct stream *stream);
HF_DEFINE_CLEANUP(struct stream, stream_free)

/* Whatever is there now; *ret_len is 0 where there is nothing. Fails with LOST where the other side is gone, with TLS. */
hf_err stream_read(struct stream *stream, void *data, size_t size, size_t *ret_len);

/* Whatever it takes now. */
hf_err stream_write(struct stream *stream, const void *data, size_t len, size_t *ret_len);

int stream_fd(const struct stream *stream);
/* What to wait for, by poll's names, where there is something to write or not. */
short stream_events(const struct stream *stream, bool writing);
/* Bytes are here that poll does not tell of. */
bool stream_pending(const struct stream *stream);

/* Bytes that were given to the socket so far; and how many of them the other side's system has. */
uint64_t stream_sent(const struct stream *stream);
uint64_t stream_delivered(const struct stream *stream);

#endif
