/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is particular to each cloud's MQTT, a row each: for 'holdfast connect', the bridge and the core alike.
 *
 * Texts may hold {id} (the device's id), {host} (the cloud's, without its port) and {nonce} (a word that is another each
 * time); cloud_expand puts them in.
 */
#ifndef HF_GATEWAY_CLOUD_H
#define HF_GATEWAY_CLOUD_H

#include "base/buf.h"
#include "config/address.h"
#include "config/cloud.h"

/* Topics as MQTT's are on the wire; longer than any cloud allows. */
enum { CLOUD_TEXT_MAX = 1024 };

/* Limits of the cloud; 0: none of its own. */
struct cloud_limits {
  unsigned qos_max;
  size_t payload_max;         /* bytes; a larger message costs the connection */
  size_t topic_max;           /* bytes */
  unsigned slashes_max;       /* in a topic */
  unsigned subscriptions_max; /* filters in one SUBSCRIBE */
  unsigned keepalive_min_s, keepalive_max_s;
};

/* A message that goes to the cloud alone, on its own topic, before there is a bridge. */
struct cloud_message {
  const char *topic, *payload;
  unsigned qos;
};

/*
 * A question asked through the local broker and the bridge, and the answer that only the cloud can give. What the good
 * answer's topic and payload begin with; anything else that comes on the filter is a refusal.
 */
struct cloud_question {
  const char *topic, *payload;
  const char *answer_filter, *answer_topic, *answer_payload;
};

struct cloud {
  const struct config_cloud *config; /* name, title, keys of the configuration */
  const char *port;                  /* where the address names none */
  const char *alpn;                  /* asked for on port 443 (RFC 7301); NULL: none */
  const char *client_id, *user_name; /* user_name NULL: none */
  bool any_cn;                       /* it knows a certificate as a whole, whatever its CN says */
  bool mqtt5;                        /* MQTT 5 may be tried; else 3.1.1 at once */
  bool clean_session;                /* false: the cloud keeps subscriptions and QoS 1 messages of one who is away */
  struct cloud_limits limits;
  struct cloud_message creation; /* makes the device known; topic NULL: the cloud has no such message */
  struct cloud_question check;   /* topic NULL: the cloud answers nothing; its PUBACK must do */
  const char *prefix;            /* of the local topics, with its slash */
  const char *topics; /* bridged where bridge.topics is not set: mosquitto's topic lines, ';' between or after them */
};

/* By enum config_cloud_index. */
extern const struct cloud clouds[CONFIG_CLOUD_COUNT];

/* Fails with USAGE and names the clouds there are. */
hf_err cloud_find(const char *name, const struct cloud **ret_cloud);

/* Where the configuration says the cloud is. Fails with CONFIG where it says nothing. */
hf_err cloud_address(const struct cloud *cloud, const struct config *config, struct config_address *ret_address);

/* The protocol to ask for at this address; NULL: none. */
const char *cloud_alpn(const struct cloud *cloud, const struct config_address *address);

/* mqtt.bridge.keepalive_interval within the cloud's bounds; in seconds. */
unsigned cloud_keepalive(const struct cloud *cloud, const struct config *config);

/* What the braces stand for; NULL where there is none, and then the braces stay. */
struct cloud_values {
  const char *id, *host, *nonce;
};

/* Appends the text with all its braces replaced. Fails with LIMIT. */
hf_err cloud_expand(const char *text, const struct cloud_values *values, struct hf_buf *out);

#endif
