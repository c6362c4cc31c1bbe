/* SPDX-License-Identifier: Apache-2.0 */
/* A file from a server that knows the device by its key in the HSM: fetched, verified, given to a hook, and only then put in place. */
#ifndef HF_IDENTITY_UPDATE_H
#define HF_IDENTITY_UPDATE_H

#include "config/config.h"
#include "identity/download.h"

enum { UPDATE_STALL_S = 60, UPDATE_HOOK_S = 600, UPDATE_DIGEST_LEN = 64 /* SHA-256, hex */ };
#define UPDATE_SIZE_MAX (UINT64_C(1) << 30) /* bytes, where nobody says otherwise */

/* Borrowed. */
struct update_options {
  const char *url;       /* https */
  const char *path;      /* where it is to be */
  const char *sha256;    /* hex; NULL: there must be a signature */
  const char *signature; /* a file or an https URL; NULL: there must be a digest */
  const char *key_path;  /* what the signature is checked with; NULL: update.key_path */
  const char *root_path; /* what the server is checked with; NULL: update.root_cert_path */
  uint64_t size, max;    /* see download.h */
  unsigned stall_timeout_s;
  const char *hook; /* a program; NULL: none */
  unsigned hook_timeout_s;
  const struct observer *observer;
  void (*progress)(uint64_t have, uint64_t size, void *arg); /* see download.h */
  void *progress_arg;
};

struct update_result {
  uint64_t size, had; /* bytes; had: that were here already */
  char sha256[UPDATE_DIGEST_LEN + 1];
  bool is_signed;
};

/*
 * After program_start. What has come stays in FILE.part, where the next call goes on. A part that turns out wrong is removed, and
 * all of it is fetched once more where some of it was here before. The hook gets the verified file's path, which is still FILE.part;
 * path is replaced where it ends with 0. On failure path is as it was: USAGE without digest and signature, WRONG_FILE,
 * SIGNATURE_INVALID, HOOK, TIMEOUT (the hook), BUSY, and as download and detached_verify do.
 */
hf_err update_fetch(const struct config *config, const struct update_options *options,
                    struct update_result *ret_result);

#endif
