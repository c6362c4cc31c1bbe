/* SPDX-License-Identifier: Apache-2.0 */
/* A file over HTTPS that may come in several goes: after a lost connection, a server that was away, a program that was killed. */
#ifndef HF_IDENTITY_DOWNLOAD_H
#define HF_IDENTITY_DOWNLOAD_H

#include "identity/http.h"
#include "identity/observer.h"
#include "identity/part.h"

/* Borrowed. */
struct download_options {
  const char *url;
  uint64_t size; /* what it must have; 0: not known */
  uint64_t max;  /* bytes; more is refused */
  /* How long the server may be silent, or away once it has answered. progress and timeout_s of http are not looked at. */
  unsigned stall_timeout_s;
  const struct http_options *http;
  const struct observer *observer; /* what was lost, and goes on; may be NULL */
  /* At each piece, and about once a second; size 0: not known. May be NULL. */
  void (*progress)(uint64_t have, uint64_t size, void *arg);
  void *progress_arg;
};

/*
 * Brings the parts to the whole file: asks for what is missing of the version that is there (Range, If-Range; RFC 9110, section
 * 13.1.5), and begins anew where the server has another or cannot tell. Whether it is the right file is for the caller to see.
 * Fails with LIMIT, WRONG_FILE (another size than it must have), DISK_FULL, HTTP, and as http_perform does; what has come stays.
 */
hf_err download(const struct download_options *options, struct part *part);

#endif
