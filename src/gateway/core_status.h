/* SPDX-License-Identifier: Apache-2.0 */
/* What holdfast-core says of itself on <run.path>/core.sock: one JSON document a connection. */
#ifndef HF_GATEWAY_CORE_STATUS_H
#define HF_GATEWAY_CORE_STATUS_H

#include "gateway/broker.h"
#include "gateway/core_bridges.h"
#include "gateway/core_renewal.h"
#include "gateway/core_server.h"

struct core_status {
  const struct config *config;
  int64_t started_s; /* since the epoch */
  const struct broker *broker;
  struct core_server *server; /* NULL: none */
  const struct hf_err_saved *server_cause;
  struct core_bridges *bridges;
  struct core_renewal *renewal;
};

/* Listens there, for our user alone (0600), and root. */
hf_err core_status_listen(const struct config *config, int *ret_fd);

/* Takes the connections that wait, tells each, and closes it: none can hold us up. */
void core_status_serve(int fd, const struct core_status *status);

/* Asks the one that runs, and gives the document. Fails with NOT_FOUND where none runs, TIMEOUT. */
hf_err core_status_ask(const struct config *config, struct hf_buf *ret_json);

#endif
