/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/connect_private.h"
#include "gateway/net.h"
#include "identity/hsm.h"
#include "identity/key.h"

#include <limits.h>

hf_err connect_check_configuration(struct connect *c)
{
  HF_TRY(cloud_check_device(c->config));
  HF_TRY(cloud_link_options(c->cloud, c->config, c->device_id, &c->link));
  HF_TRY(uri_parse(c->link.options.dial.key_uri, &c->uri));
  if (!c->certificate)
    HF_TRY(certificate_read(c->cert_path, &c->certificate));
  return cloud_check_roots(&c->link.options.dial);
}

hf_err connect_check_certificate(struct connect *c)
{
  HF_TRY(c->cloud->any_cn ? certificate_check_time(c->certificate, c->cert_path)
                          : certificate_check(c->certificate, c->cert_path, c->device_id));
  connect_detail(c, "%s", c->cn);
  return HF_OK;
}

hf_err connect_open_hsm(struct connect *c)
{
  char path[PATH_MAX];
  struct p11_token token;
  HF_TRY(p11_module_of_uri(&c->uri, c->options->module_path, path, sizeof(path)));
  HF_TRY(p11_module_open(path, &c->module));
  HF_TRY(p11_token_find(c->module, &c->uri, &token));
  connect_detail(c, "token '%s', %s", token.label, token.model);
  return HF_OK;
}

hf_err connect_find_key(struct connect *c)
{
  HF_CLEANUP(hf_secret_freep) struct hf_secret *pin = NULL;
  HF_TRY(hsm_pin(c->config, &c->uri, &pin));
  HF_TRY(p11_key_open(c->module, &c->uri, pin, &c->key));
  const struct p11_public *public = p11_key_public(c->key);
  if (public->type == CKK_RSA)
    connect_detail(c, "RSA, %zu bits", p11_public_bits(public));
  else
    connect_detail(c, "%s, %s", p11_key_type_name(public->type), public->curve);
  return HF_OK;
}

hf_err connect_check_key(struct connect *c)
{
  return certificate_check_key(c->certificate, c->cert_path, c->key);
}

hf_err connect_resolve(struct connect *c)
{
  HF_TRY(net_resolve(dial_first_hop(&c->link.options.dial), &c->found));
  char addresses[CONNECT_TEXT_MAX / 2];
  net_format_addresses(c->found, addresses, sizeof(addresses));
  connect_detail(c, "%s%s", c->link.options.dial.proxy ? "the proxy: " : "", addresses);
  return HF_OK;
}

hf_err connect_reach(struct connect *c)
{
  HF_CLEANUP(hf_closep) int fd = -1;
  HF_TRY(dial_reach(&c->link.options.dial, c->found, connect_deadline(c), &fd));
  if (c->link.proxy_address[0])
    connect_detail(c, "through the proxy %s", c->link.proxy_address);
  return HF_OK;
}

/* A handshake of its own: what goes wrong in TLS is told as such, before MQTT may be blamed. */
hf_err connect_handshake(struct connect *c)
{
  struct dial_options *dial = &c->link.options.dial;
  HF_TRY(identity_key_load(dial->key_uri, &c->tls_key));
  dial->identity.key = c->tls_key;
  char result[TLS_RESULT_MAX];
  HF_TRY(dial_handshake(dial, c->found, c->tls_key, c->link.address, connect_deadline(c), result));
  connect_detail(c, "%s%s%s", result, dial->alpn ? ", " : "", dial->alpn ? dial->alpn : "");
  return HF_OK;
}
