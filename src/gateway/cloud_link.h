/* SPDX-License-Identifier: Apache-2.0 */
/* How this device connects to its cloud: one set of options, for a check and for the bridge. */
#ifndef HF_GATEWAY_CLOUD_LINK_H
#define HF_GATEWAY_CLOUD_LINK_H

#include "gateway/cloud.h"
#include "gateway/link.h"

/* Start with {0}, end with cloud_link_free. options borrows from the rest, and from the configuration. */
struct cloud_link {
  struct link_options options;
  struct proxy proxy;
  char address[CONFIG_HOST_MAX + 16];       /* "host:port", for texts */
  char proxy_address[CONFIG_HOST_MAX + 16]; /* "" where there is none */
  char *client_id, *user;
};

/*
 * From the configuration and the cloud's row: address, ALPN, proxy, certificate, key, client id, user name, keepalive, version
 * and session. No will. Neither opens nor reads a file. Fails with CONFIG where something is missing.
 */
hf_err cloud_link_options(const struct cloud *cloud, const struct config *config, const char *device_id,
                          struct cloud_link *ret_link);
void cloud_link_free(struct cloud_link *link);

/* Whether the device connects at all: by a key in an HSM (mode), and by our own bridge, too (device). Fail with CONFIG. */
hf_err cloud_check_mode(const struct config *config);
hf_err cloud_check_device(const struct config *config);

/* Whether the certificates that the cloud's is checked with are there. Fails with NOT_FOUND, PERMISSION. */
hf_err cloud_check_roots(const struct dial_options *dial);

/*
 * The configuration's proxy; *ret_some is false where it has none. Fails with CONFIG where it is to be reached by https, which
 * libcurl does and MQTT here does not.
 */
hf_err cloud_proxy(const struct config *config, bool *ret_some, struct proxy *ret_proxy);

/* The local broker, by plain TCP, for whoever has this client id; the session ends with the connection. */
struct link_options cloud_local_link(const struct config *config, const char *client_id);

#endif
