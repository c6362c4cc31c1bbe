/* SPDX-License-Identifier: Apache-2.0 */
/* Who has a TCP port. */
#ifndef HF_GATEWAY_PORT_OWNER_H
#define HF_GATEWAY_PORT_OWNER_H

#include "base/error.h"

#include <stdbool.h>

/*
 * "process 1234 (mosquitto)"; "a process of user mosquitto" where its owner does not let us look. False where nobody listens
 * there, as far as /proc tells.
 */
bool port_owner(unsigned port, char *out, size_t size);

/* Fails with BUSY and names who has it, PERMISSION, IO; NOT_FOUND where the address is not of this machine. */
hf_err port_check_free(const char *address, const char *port);

#endif
