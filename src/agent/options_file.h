/* SPDX-License-Identifier: Apache-2.0 */
/* A file of NAME=VALUE lines, as systemd's EnvironmentFile= reads it (systemd.exec(5)). */
#ifndef HF_AGENT_OPTIONS_FILE_H
#define HF_AGENT_OPTIONS_FILE_H

#include "base/buf.h"

enum { OPTIONS_FILE_NAMES_MAX = 128 };

struct options_file {
  struct hf_buf text; /* what names and values point into; may hold a PIN */
  char *names[OPTIONS_FILE_NAMES_MAX];
  char *values[OPTIONS_FILE_NAMES_MAX];
  size_t count;
};

/* Fails with NOT_FOUND, PERMISSION, CONFIG (names the line), LIMIT. */
hf_err options_file_read(const char *path, struct options_file *ret_file);
void options_file_free(struct options_file *file);

#endif
