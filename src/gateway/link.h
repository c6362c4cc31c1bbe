/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One MQTT connection: opened in one go, then driven by whoever polls its socket. Not for several threads at once.
 */
#ifndef HF_GATEWAY_LINK_H
#define HF_GATEWAY_LINK_H

#include "gateway/dial.h"
#include "mqtt/connect.h"
#include "mqtt/publish.h"

/* Borrowed. */
struct link_options {
  struct dial_options dial;
  enum mqtt_version version; /* MQTT_5: 3.1.1 where the broker does not speak 5 */
  const char *client_id;
  const char *user, *password;  /* NULL: none */
  const struct mqtt_will *will; /* NULL: none; properties are of 5 */
  unsigned keepalive_s;         /* at most 65535; 0: none */
  unsigned
      receive_maximum; /* messages with QoS 1 and 2 that we let the broker send at once; 0: as many as it likes. 5 */
  bool clean;          /* false: the session is taken up where there is one, and outlives the connection */
};

/* What the broker allows (section 3.2.2.3); of 3.1.1, all. */
struct link_limits {
  uint32_t receive_maximum, maximum_packet_size;
  uint8_t maximum_qos;
  bool retain_available, wildcard_available;
};

struct link;

/*
 * Dials and connects. Blocks until the deadline at most, apart from the name server and the HSM. Fails as dial does; with MQTT
 * where the broker refuses, LOST, TIMEOUT.
 */
hf_err link_open(const struct link_options *options, int64_t deadline_ms, struct link **ret_link);

/* Closes at once. */
struct link *link_free(struct link *link);
HF_DEFINE_CLEANUP(struct link, link_free)

/* Says DISCONNECT before, as far as that does not block: the broker drops the will. Returns NULL. */
struct link *link_close(struct link *link);

enum mqtt_version link_version(const struct link *link);
bool link_session_present(const struct link *link);
const struct link_limits *link_limits(const struct link *link);

/* Reads what has come, as far as it is not too much at once. Fails with LOST, TLS. */
hf_err link_fill(struct link *link);

/*
 * The next packet that was read, valid until the next link_fill; *ret_some is false where there is none. PINGRESP is not shown.
 * Fails with MQTT where the broker ends the connection by DISCONNECT (*ret_reason), PARSE where it breaks the protocol.
 */
hf_err link_next(struct link *link, bool *ret_some, struct mqtt_packet *ret_packet);

/* The reason of the broker's DISCONNECT; 0 where it gave none. */
uint8_t link_end_reason(const struct link *link);

/* Where packets are encoded to. They leave with link_flush. */
struct hf_buf *link_out(struct link *link);
size_t link_unsent(const struct link *link);
/* Bytes that left so far. */
uint64_t link_sent(const struct link *link);
hf_err link_flush(struct link *link);

/*
 * Keeps the connection alive. Fails with TIMEOUT where the broker is silent for too long: it neither sends nor takes anything.
 */
hf_err link_tick(struct link *link, int64_t now_ms);
/* When to call link_tick again, by net_now_ms. */
int64_t link_next_tick(const struct link *link);

int link_fd(const struct link *link);
/* What to wait for, by poll's names; and whether there is something to do without waiting. */
short link_events(const struct link *link);
bool link_pending(const struct link *link);

#endif
