/* SPDX-License-Identifier: Apache-2.0 */
/* An archive for who helps from afar: what the doctor found, states, versions and logs, without a secret in it. */
#ifndef HF_DOCTOR_BUNDLE_H
#define HF_DOCTOR_BUNDLE_H

#include "doctor/doctor.h"

#include <jansson.h>

/* Borrowed. */
struct bundle_options {
  const char *path; /* of the archive, a .tar.gz; NULL: holdfast-bundle-HOST-TIME.tar.gz in the current directory */
  const char *config_path, *module_path; /* as doctor.h has them */
  unsigned timeout_s;
  const json_t *agent; /* what the key agent says of itself; NULL: it was not reached */
  void (*begin)(const char *code, const char *title, void *arg); /* see struct doctor_reporter */
  /* A file is in it, or is not and why: what it is. */
  void (*file)(const char *name, bool is_in, const char *what, void *arg);
  void *arg;
};

/*
 * Makes it (0600), by tar. Logs are left out where it is not known which secrets to look for. ret_path: free() it. Fails with EXISTS where
 * there is a file of that name, NOT_FOUND without tar, DISK_FULL, ... As doctor_run, before any thread.
 */
hf_err bundle_make(const struct bundle_options *options, char **ret_path);

#endif
