/* SPDX-License-Identifier: Apache-2.0 */
/* The other end of the socket of secrets. */
#ifndef HF_SECRETS_CLIENT_H
#define HF_SECRETS_CLIENT_H

#include "base/buf.h"
#include "config/config.h"

/* <run.path>/secrets.sock */
hf_err secrets_socket_path(const struct config *config, char *out, size_t size);

/*
 * Asks for a secret; the answer is a line of JSON, see answer.h, at most SECRETS_ANSWER_MAX. Fails with UNREACHABLE where nobody
 * listens, TIMEOUT, LOST.
 */
hf_err secrets_ask(const char *path, const char *name, const char *stage, const uint8_t *version,
                   struct hf_buf *answer);

#endif
