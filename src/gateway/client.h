/* SPDX-License-Identifier: Apache-2.0 */
/* One MQTT connection, one call after the other: for commands. The bridge drives its links by itself. */
#ifndef HF_GATEWAY_CLIENT_H
#define HF_GATEWAY_CLIENT_H

#include "gateway/link.h"

struct client;

/* What came on a subscription. Free with client_message_free. */
struct client_message {
  struct hf_buf topic, payload; /* hf_buf_str makes a text of either */
};

void client_message_free(struct client_message *message);

/* timeout_s: for this call and each later one. Fails as link_open. */
hf_err client_connect(const struct link_options *options, unsigned timeout_s, struct client **ret_client);

/* "5" or "3.1.1". */
const char *client_version(const struct client *client);

/*
 * With quality of service 1; returns when the broker has acknowledged it. Fails with MQTT where it refuses (3.1.1 has no way to
 * say so), LOST, TIMEOUT.
 */
hf_err client_publish(struct client *client, const char *topic, const char *payload);

/* With quality of service 1, acknowledged. Fails the same. */
hf_err client_subscribe(struct client *client, const char *filter);

/*
 * The next message that matches the filter; those that do not are dropped. What comes before the call, during client_publish
 * say, waits for it. Fails with LOST, TIMEOUT.
 */
hf_err client_receive(struct client *client, const char *filter, struct client_message *ret_message);

/*
 * From now on what comes is neither kept nor acknowledged: in a session that outlives the connection it comes again, to whoever
 * takes the session up. For one who only looks whether the connection is good. At once after client_connect.
 */
void client_leave_messages(struct client *client);

/* Says good-bye. NULL is fine. */
struct client *client_free(struct client *client);
HF_DEFINE_CLEANUP(struct client, client_free)

#endif
