/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of connect. Inside src/gateway/connect*.c only. */
#ifndef HF_GATEWAY_CONNECT_PRIVATE_H
#define HF_GATEWAY_CONNECT_PRIVATE_H

#include "gateway/client.h"
#include "gateway/cloud_link.h"
#include "gateway/connect.h"
#include "gateway/service.h"
#include "identity/certificate.h"

#include <netdb.h>
#include <openssl/evp.h>

enum { CONNECT_TEXT_MAX = 600 };

/* What the checks find, each for those after it. */
struct connect {
  const struct config *config;
  const struct gateway_connect_options *options;
  const struct gateway_reporter *reporter;
  const struct cloud *cloud;
  struct config_address address;
  char address_text[CONFIG_HOST_MAX + 16];
  const char *device_id;
  char cn[CERTIFICATE_CN_MAX];
  const char *cert_path;
  struct uri uri; /* the key's */
  X509 *certificate;
  struct p11_module *module;
  struct p11_key *key;
  EVP_PKEY *tls_key;
  struct cloud_link link;
  struct addrinfo *found; /* of the proxy, where there is one */
  struct client *client;
  const struct service_manager *manager;
  bool was_enabled;            /* the cloud's bridge, before */
  bool taken_away;             /* and it is not as it was; see connect_restore */
  bool started;                /* holdfast-core, by us */
  char step[CONNECT_TEXT_MAX]; /* the text of the check that runs */
  char detail[CONNECT_TEXT_MAX];
  int64_t told_s; /* the second that connect_wait_until told last */
  hf_err result;  /* of the checks so far */
};

/* What stands between a check's two texts. */
enum connect_of { CONNECT_OF_NONE, CONNECT_OF_CLOUD, CONNECT_OF_HOST, CONNECT_OF_ADDRESS };

struct connect_check {
  const char *text;
  enum connect_of of;
  const char *after;
  bool (*applies)(const struct connect *c); /* NULL: always */
  hf_err (*run)(struct connect *c);
};

/* Of the check that runs. */
void connect_detail(struct connect *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Tells what is waited for: "2 of 5", with s after each number where unit is " s". */
void connect_wait(const struct connect *c, unsigned now, unsigned of, const char *unit);
/* The same by the time that has passed; call it as often as one likes. */
void connect_wait_until(struct connect *c, int64_t deadline_ms);
int64_t connect_deadline(const struct connect *c);

/* connect_check.c: what can be known before the cloud's MQTT is spoken to. */
hf_err connect_check_configuration(struct connect *c);
hf_err connect_check_certificate(struct connect *c);
hf_err connect_open_hsm(struct connect *c);
hf_err connect_find_key(struct connect *c);
hf_err connect_check_key(struct connect *c);
hf_err connect_resolve(struct connect *c);
hf_err connect_reach(struct connect *c);
hf_err connect_handshake(struct connect *c);

/* connect_cloud.c: by MQTT, straight and through the local broker and the bridge. */
hf_err connect_mqtt(struct connect *c);
hf_err connect_create(struct connect *c);
hf_err connect_publish(struct connect *c);
hf_err connect_verify(struct connect *c);

/* connect_service.c: holdfast-core, the local broker and the bridge. */
hf_err connect_look_for_bridge(struct connect *c);
void connect_restore(struct connect *c);
bool connect_has_own_broker(const struct connect *c);
hf_err connect_start_core(struct connect *c);
hf_err connect_await_broker(struct connect *c);
hf_err connect_enable_bridge(struct connect *c);
hf_err connect_find_bridge(struct connect *c);
hf_err connect_send_through_bridge(struct connect *c, const char *topic, const char *payload);
hf_err connect_disable_bridge(struct connect *c);
bool connect_is_last(const struct connect *c);
hf_err connect_stop_core(struct connect *c);

#endif
