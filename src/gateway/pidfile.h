/* SPDX-License-Identifier: Apache-2.0 */
/* <run.path>/core.pid: whoever holds its lock is the holdfast-core of that directory. */
#ifndef HF_GATEWAY_PIDFILE_H
#define HF_GATEWAY_PIDFILE_H

#include "config/config.h"

#include <sys/types.h>

/* <run.path>/NAME. Makes nothing. */
hf_err core_run_file(const struct config *config, const char *name, char *out, size_t size);

/* Makes run.path, 0755, where it is missing; takes the lock and writes this process's number. Fails with BUSY, naming who has it. */
hf_err pidfile_take(const struct config *config, int *ret_fd);

/* Whose it is; 0 where no holdfast-core runs. */
hf_err pidfile_read(const struct config *config, pid_t *ret_pid);

#endif
