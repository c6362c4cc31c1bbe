/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/dial.h"

#include "gateway/net.h"
#include "identity/key.h"

static hf_err reach(const struct config_address *address, int64_t deadline_ms, int *ret_fd)
{
  HF_CLEANUP(net_addrinfo_freep) struct addrinfo *found = NULL;
  HF_TRY(net_resolve(address, &found));
  return net_connect(found, deadline_ms, ret_fd);
}

static hf_err start_tls(const struct dial_options *options, EVP_PKEY *key, int fd, const char *address,
                        int64_t deadline_ms, struct tls **ret_tls)
{
  struct tls_identity identity = options->identity;
  const struct tls_server server = { .host = options->address.host,
                                     .alpn = options->alpn,
                                     .peer = { address, options->url_key, options->root_key, "8883" } };
  if (key)
    identity.key = key;
  return tls_open(fd, &identity, &server, deadline_ms, ret_tls);
}

hf_err dial(const struct dial_options *options, int64_t deadline_ms, struct stream **ret_stream)
{
  char address[CONFIG_HOST_MAX + 16];
  config_address_format(&options->address, address, sizeof(address));
  HF_CLEANUP(openssl_pkey_freep) EVP_PKEY *key = NULL;
  HF_CLEANUP(hf_closep) int fd = -1;
  HF_CLEANUP(tls_freep) struct tls *tls = NULL;
  /* The key first: a server does not wait for a slow HSM. */
  if (options->tls && options->identity.cert_path && !options->identity.key)
    HF_TRY(identity_key_load(options->key_uri, &key));
  HF_TRY(reach(options->proxy ? &options->proxy->address : &options->address, deadline_ms, &fd));
  if (options->proxy)
    HF_TRY(proxy_tunnel(fd, options->proxy, &options->address, deadline_ms));
  if (options->tls)
    HF_TRY(start_tls(options, key, fd, address, deadline_ms, &tls));
  int taken = fd;
  fd = -1;
  return stream_new(taken, HF_TAKE(tls), address, ret_stream);
}
