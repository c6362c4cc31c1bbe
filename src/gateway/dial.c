/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/dial.h"

#include "gateway/net.h"
#include "identity/key.h"

const struct config_address *dial_first_hop(const struct dial_options *options)
{
  return options->proxy ? &options->proxy->address : &options->address;
}

hf_err dial_reach(const struct dial_options *options, const struct addrinfo *found, int64_t deadline_ms, int *ret_fd)
{
  HF_CLEANUP(hf_closep) int fd = -1;
  HF_TRY(net_connect(found, deadline_ms, &fd));
  if (options->proxy)
    HF_TRY(proxy_tunnel(fd, options->proxy, &options->address, deadline_ms));
  *ret_fd = fd;
  fd = -1;
  return HF_OK;
}

static struct tls_server server_of(const struct dial_options *options, const char *address)
{
  return (struct tls_server){ .host = options->address.host,
                              .alpn = options->alpn,
                              .peer = { address, options->url_key, options->root_key, "8883" } };
}

static struct tls_identity identity_of(const struct dial_options *options, EVP_PKEY *key)
{
  struct tls_identity identity = options->identity;
  if (key)
    identity.key = key;
  return identity;
}

hf_err dial_handshake(const struct dial_options *options, const struct addrinfo *found, EVP_PKEY *key,
                      const char *address, int64_t deadline_ms, char result[TLS_RESULT_MAX])
{
  const struct tls_server server = server_of(options, address);
  const struct tls_identity identity = identity_of(options, key);
  HF_CLEANUP(hf_closep) int fd = -1;
  HF_TRY(dial_reach(options, found, deadline_ms, &fd));
  return tls_handshake(fd, &identity, &server, deadline_ms, result);
}

hf_err dial(const struct dial_options *options, int64_t deadline_ms, struct stream **ret_stream)
{
  char address[CONFIG_HOST_MAX + 16];
  config_address_format(&options->address, address, sizeof(address));
  HF_CLEANUP(openssl_pkey_freep) EVP_PKEY *key = NULL;
  HF_CLEANUP(hf_closep) int fd = -1;
  HF_CLEANUP(tls_freep) struct tls *tls = NULL;
  HF_CLEANUP(net_addrinfo_freep) struct addrinfo *found = NULL;
  const struct tls_server server = server_of(options, address);
  /* The key first: a server does not wait for a slow HSM. */
  if (options->tls && options->identity.cert_path && !options->identity.key)
    HF_TRY(identity_key_load(options->key_uri, &key));
  HF_TRY(net_resolve(dial_first_hop(options), &found));
  HF_TRY(dial_reach(options, found, deadline_ms, &fd));
  const struct tls_identity identity = identity_of(options, key);
  if (options->tls)
    HF_TRY(tls_open(fd, &identity, &server, deadline_ms, &tls));
  int taken = fd;
  fd = -1;
  return stream_new(taken, HF_TAKE(tls), address, ret_stream);
}
