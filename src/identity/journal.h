/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a renewal has begun, on disk beside the certificate. Certificate and device.key_uri lie in two files; the journal makes
 * them change together or not at all (docs/adr/0011-renewal.md). Only files here: no key is touched.
 */
#ifndef HF_IDENTITY_JOURNAL_H
#define HF_IDENTITY_JOURNAL_H

#include "config/config.h"
#include "uri/uri.h"

#include <limits.h>

enum journal_stage {
  JOURNAL_IDLE,       /* nothing is under way */
  JOURNAL_TRYING,     /* a new certificate, perhaps a new key, is got and tried: to be undone */
  JOURNAL_COMMITTING, /* they are good: to be finished */
  JOURNAL_STAGE_COUNT
};

enum { JOURNAL_DISCARD_MAX = 16, JOURNAL_DIGEST_LEN = 64 /* SHA-256, hex */ };

/* Start with JOURNAL_INIT, end with journal_free. An empty buffer: there is none. */
struct journal {
  enum journal_stage stage;
  struct hf_buf old_key, new_key; /* device.key_uri before and after; both empty where the key stays */
  struct hf_buf digest;           /* of the new certificate's file */
  struct hf_buf previous;         /* the key that the last rotation replaced; kept until the next renewal */
  struct hf_buf discard;          /* keys that are to be deleted, a URI and a line feed each */
};

#define JOURNAL_INIT                                       \
  ((struct journal){ .old_key = HF_BUF(URI_MAX),           \
                     .new_key = HF_BUF(URI_MAX),           \
                     .digest = HF_BUF(JOURNAL_DIGEST_LEN), \
                     .previous = HF_BUF(URI_MAX),          \
                     .discard = HF_BUF(JOURNAL_DISCARD_MAX * (URI_MAX + 1)) })

void journal_free(struct journal *journal);

/* Beside the certificate. */
struct journal_paths {
  char certificate[PATH_MAX];
  char staged[PATH_MAX];  /* CERTIFICATE.new: what is tried */
  char journal[PATH_MAX]; /* CERTIFICATE.renewal */
  char lock[PATH_MAX];    /* CERTIFICATE.lock: one renewal at a time */
};

/* Fails with CONFIG where device.cert_path is no file's path (a certificate in the token is not renewed), with LIMIT. */
hf_err journal_paths(const struct config *config, struct journal_paths *ret_paths);

/* A journal that is not there is idle. journal as after JOURNAL_INIT. Fails with PARSE, and as hf_file_read does. */
hf_err journal_read(const char *path, struct journal *journal);

/* Replaces it, synced (0644: it holds no secret); one that is idle and has nothing to remember is removed. */
hf_err journal_write(const char *path, const struct journal *journal);

/* Text in place of what a buffer held; NULL for none. */
hf_err journal_set(struct hf_buf *field, const char *text);

/* Remembers a key that is to be deleted; one that is there already is fine. Fails with LIMIT past JOURNAL_DISCARD_MAX. */
hf_err journal_add_discard(struct journal *journal, const char *uri);

/* The keys to delete, one after another: *at is NULL at first; false at the end. */
bool journal_next_discard(const struct journal *journal, const char **at, char out[URI_MAX + 1]);

#endif
