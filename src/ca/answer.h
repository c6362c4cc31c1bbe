/* SPDX-License-Identifier: Apache-2.0 */
/* What the server says to a request: a status and a text for people, or bytes. */
#ifndef HF_CA_ANSWER_H
#define HF_CA_ANSWER_H

#include "base/buf.h"

#include <stdbool.h>

enum { ANSWER_TEXT_MAX = 512, ANSWER_BODY_MAX = 64 << 20 };

struct answer {
  int status;                 /* HTTP's */
  unsigned retry_after_s;     /* 0: no such header */
  bool authenticate;          /* tell how to log in */
  char text[ANSWER_TEXT_MAX]; /* one sentence; of what a peer sent, only printable ASCII. Empty where there is a body */
  const char *content_type;   /* of body; static */
  bool base64;                /* body is DER, and goes as base64 with line breaks */
  struct hf_buf body;
};

#define ANSWER_INIT ((struct answer){ .status = 500, .body = HF_BUF(ANSWER_BODY_MAX) })

static inline void answer_free(struct answer *answer)
{
  hf_buf_free(&answer->body);
}

/* Sets status and text. Returns false, for "return answer_refuse(...)". */
bool answer_refuse(struct answer *answer, int status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* For what went wrong here: logs it, tells the peer only that it should come again. Returns false. */
bool answer_fail(struct answer *answer, hf_err e, const char *doing);

#endif
