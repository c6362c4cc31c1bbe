/* SPDX-License-Identifier: Apache-2.0 */
/* One running mosquitto. For broker.c; its program for whoever asks. */
#ifndef HF_GATEWAY_BROKER_CHILD_H
#define HF_GATEWAY_BROKER_CHILD_H

#include "base/buf.h"

#include <sys/types.h>

enum { BROKER_LINE_MAX = 1024 };

struct broker_child {
  pid_t pid; /* 0: none */
  int pid_fd, log_fd;
  char line[BROKER_LINE_MAX]; /* begun, and not whole yet */
  size_t line_len;
  char last_error[BROKER_LINE_MAX]; /* the last line that it called one */
};

#define BROKER_NO_CHILD ((struct broker_child){ .pid_fd = -1, .log_fd = -1 })

/* mosquitto's path, or its name where it is in none of the usual places. */
const char *broker_child_program(void);

/* Ends the one whose number is in the file, if it still runs, and removes the file. */
hf_err broker_child_end_leftover(const char *pid_path);

/*
 * Starts one; it ends when this thread does. openssl_conf: by which its OpenSSL finds keys; NULL: as everybody's. Fails with
 * NOT_FOUND.
 */
hf_err broker_child_start(const char *config_path, const char *pid_path, const char *openssl_conf,
                          struct broker_child *ret_child);

/* Passes on what it has logged. */
void broker_child_log(struct broker_child *child);

/* Whether it has ended, and how: "ended with status 1: Error: ..." Then it is BROKER_NO_CHILD. */
bool broker_child_ended(struct broker_child *child, char *out, size_t size);

/* Ends it, politely first. */
void broker_child_end(struct broker_child *child);

#endif
