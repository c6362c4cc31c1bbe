/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the local server is, for devices that ask as they ask Greengrass: GET /greengrass/discover/thing/NAME over TLS with their
 * certificate, answered by groups, cores and authorities in JSON. A device may ask for itself alone.
 */
#ifndef HF_GATEWAY_DISCOVERY_H
#define HF_GATEWAY_DISCOVERY_H

#include "config/group.h"
#include "identity/chain.h"

/* Borrowed. */
struct discovery {
  const struct group *group;
  const STACK_OF(X509) * roots; /* what the device checks the server with */
  const char *core;             /* this device's id */
  const char *const *hosts;     /* names and addresses of the server, ends with NULL */
  unsigned port;
};

/* path: percent-encoded. Appends the answer's JSON and returns its status: 200, 400, 403, 404 or 500. */
int discovery_answer(const struct discovery *discovery, const char *path, const X509 *client, struct hf_buf *out);

#endif
