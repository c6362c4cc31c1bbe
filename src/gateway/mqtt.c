/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/mqtt.h"

#include "base/cleanup.h"

#include <MQTTAsync.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <time.h>

enum { KEEP_ALIVE_S = 60, GOODBYE_S = 1, REFUSED = 0x80, UNSUPPORTED_VERSION = 0x84 };

/* How one call ended; filled by paho's threads. */
struct outcome {
  bool done;
  bool good;
  int code;   /* paho's own, or a CONNACK's return code (3.1.1, section 3.2.2.3) */
  int reason; /* MQTT 5, section 2.4 */
  char message[256];
};

struct mqtt {
  struct mqtt_options options;
  MQTTAsync client;
  bool v5;
  atomic_bool connected;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  struct outcome outcome;
};

static void begin(struct mqtt *mqtt)
{
  pthread_mutex_lock(&mqtt->lock);
  mqtt->outcome = (struct outcome){ 0 };
  pthread_mutex_unlock(&mqtt->lock);
}

/* The first word counts: a refusal is often followed by a lost connection. */
static void end(struct mqtt *mqtt, bool good, int code, int reason, const char *message)
{
  pthread_mutex_lock(&mqtt->lock);
  if (!mqtt->outcome.done) {
    mqtt->outcome.done = true;
    mqtt->outcome.good = good;
    mqtt->outcome.code = code;
    mqtt->outcome.reason = reason;
    if (message)
      snprintf(mqtt->outcome.message, sizeof(mqtt->outcome.message), "%s", message);
    pthread_cond_signal(&mqtt->changed);
  }
  pthread_mutex_unlock(&mqtt->lock);
}

/* False where nothing came in time. */
static bool await(struct mqtt *mqtt, unsigned timeout_s, struct outcome *ret_outcome)
{
  struct timespec deadline;
  clock_gettime(CLOCK_MONOTONIC, &deadline);
  deadline.tv_sec += timeout_s;
  pthread_mutex_lock(&mqtt->lock);
  int rc = 0;
  while (!mqtt->outcome.done && rc == 0)
    rc = pthread_cond_timedwait(&mqtt->changed, &mqtt->lock, &deadline);
  bool done = mqtt->outcome.done;
  *ret_outcome = mqtt->outcome;
  pthread_mutex_unlock(&mqtt->lock);
  return done;
}

static void on_success(void *context, MQTTAsync_successData *data)
{
  (void)data;
  end(context, true, 0, 0, NULL);
}

static void on_failure(void *context, MQTTAsync_failureData *data)
{
  end(context, false, data ? data->code : MQTTASYNC_FAILURE, 0, data ? data->message : NULL);
}

static void on_success5(void *context, MQTTAsync_successData5 *data)
{
  int reason = data ? (int)data->reasonCode : 0;
  end(context, reason < REFUSED, 0, reason, NULL);
}

static void on_failure5(void *context, MQTTAsync_failureData5 *data)
{
  end(context, false, data ? data->code : MQTTASYNC_FAILURE, data ? (int)data->reasonCode : 0,
      data ? data->message : NULL);
}

static void on_lost(void *context, char *cause)
{
  (void)cause;
  struct mqtt *mqtt = context;
  mqtt->connected = false;
  end(mqtt, false, MQTTASYNC_DISCONNECTED, 0, "closed by the broker");
}

static const char *connack_text(int code)
{
  static const char *const texts[] = {
    [1] = "it does not speak MQTT 5 or 3.1.1",
    [2] = "it does not allow this client id",
    [3] = "the service is not available",
    [4] = "bad user name or password",
    [5] = "not authorized",
  };
  return code > 0 && (size_t)code < HF_ARRAY_LEN(texts) ? texts[code] : NULL;
}

/* Why the outcome is not good. */
static hf_err refused(const struct mqtt *mqtt, const struct outcome *outcome, const char *what)
{
  const char *why = outcome->reason >= REFUSED ? MQTTReasonCode_toString((enum MQTTReasonCodes)outcome->reason) : NULL;
  if (!why)
    why = connack_text(outcome->code);
  if (why)
    return hf_fail(HF_ERR_MQTT, "%s: %s: %s", mqtt->options.server.peer.address, what, why);
  const char *detail = outcome->message[0] ? outcome->message : MQTTAsync_strerror(outcome->code);
  return hf_hint(
      hf_fail(HF_ERR_MQTT, "%s: %s: the connection was lost (%s)", mqtt->options.server.peer.address, what, detail),
      "See the broker's log: some close the connection of a client id or topic that they do not allow.");
}

static hf_err finish(struct mqtt *mqtt, const char *what, const char *answer)
{
  struct outcome outcome;
  if (!await(mqtt, mqtt->options.timeout_s, &outcome))
    return hf_fail(HF_ERR_TIMEOUT, "%s: no %s within %u s", mqtt->options.server.peer.address, answer,
                   mqtt->options.timeout_s);
  return outcome.good ? HF_OK : refused(mqtt, &outcome, what);
}

static hf_err new_mqtt(const struct mqtt_options *options, bool v5, struct mqtt **ret_mqtt)
{
  HF_CLEANUP(mqtt_freep) struct mqtt *mqtt = calloc(1, sizeof(*mqtt));
  if (!mqtt)
    return hf_fail(HF_ERR_NO_MEMORY, "MQTT");
  mqtt->options = *options;
  mqtt->v5 = v5;
  pthread_mutex_init(&mqtt->lock, NULL);
  pthread_condattr_t attr;
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(&mqtt->changed, &attr);
  pthread_condattr_destroy(&attr);
  /* No brackets around an IPv6 address: paho would look for them in the server's certificate. The last colon is the port's. */
  char uri[512];
  snprintf(uri, sizeof(uri), "ssl://%s:%s", options->server.host, options->server.port);
  MQTTAsync_createOptions create = MQTTAsync_createOptions_initializer;
  create.MQTTVersion = v5 ? MQTTVERSION_5 : MQTTVERSION_3_1_1;
  int rc =
      MQTTAsync_createWithOptions(&mqtt->client, uri, options->client_id, MQTTCLIENT_PERSISTENCE_NONE, NULL, &create);
  if (rc == MQTTASYNC_SUCCESS)
    rc = MQTTAsync_setConnectionLostCallback(mqtt->client, mqtt, on_lost);
  if (rc != MQTTASYNC_SUCCESS)
    return hf_fail(HF_ERR_MQTT, "%s: %s", options->server.peer.address, MQTTAsync_strerror(rc));
  *ret_mqtt = HF_TAKE(mqtt);
  return HF_OK;
}

static MQTTAsync_SSLOptions ssl_options(const struct mqtt_options *options)
{
  MQTTAsync_SSLOptions ssl = MQTTAsync_SSLOptions_initializer;
  struct stat st;
  bool dir = stat(options->identity.root_path, &st) == 0 && S_ISDIR(st.st_mode);
  ssl.trustStore = dir ? NULL : options->identity.root_path;
  ssl.CApath = dir ? options->identity.root_path : NULL;
  ssl.keyStore = options->identity.cert_path;
  ssl.privateKey = options->identity.key_path;
  ssl.enableServerCertAuth = 1;
  ssl.verify = 1;
  return ssl;
}

static hf_err connect_now(struct mqtt *mqtt)
{
  const MQTTAsync_connectOptions v3 = MQTTAsync_connectOptions_initializer, v5 = MQTTAsync_connectOptions_initializer5;
  MQTTAsync_connectOptions connect = mqtt->v5 ? v5 : v3;
  MQTTAsync_SSLOptions ssl = ssl_options(&mqtt->options);
  connect.ssl = &ssl;
  connect.MQTTVersion = mqtt->v5 ? MQTTVERSION_5 : MQTTVERSION_3_1_1;
  connect.keepAliveInterval = KEEP_ALIVE_S;
  connect.connectTimeout = (int)mqtt->options.timeout_s;
  connect.context = mqtt;
  if (mqtt->v5) {
    connect.cleanstart = 1;
    connect.onSuccess5 = on_success5;
    connect.onFailure5 = on_failure5;
  } else {
    connect.onSuccess = on_success;
    connect.onFailure = on_failure;
  }
  begin(mqtt);
  int rc = MQTTAsync_connect(mqtt->client, &connect);
  if (rc != MQTTASYNC_SUCCESS)
    return hf_fail(HF_ERR_MQTT, "%s: %s", mqtt->options.server.peer.address, MQTTAsync_strerror(rc));
  HF_TRY(finish(mqtt, "connecting", "CONNACK"));
  mqtt->connected = true;
  return HF_OK;
}

/* A broker of MQTT 3.1.1 alone says so, or drops a connection whose first packet it does not understand. */
static bool worth_3_1_1(hf_err e, const struct mqtt *mqtt)
{
  int reason = mqtt->outcome.reason;
  return e.code == HF_ERR_MQTT && (reason < REFUSED || reason == UNSUPPORTED_VERSION);
}

hf_err mqtt_connect(const struct mqtt_options *options, struct mqtt **ret_mqtt)
{
  HF_CLEANUP(mqtt_freep) struct mqtt *mqtt = NULL;
  HF_TRY(new_mqtt(options, true, &mqtt));
  hf_err e = connect_now(mqtt);
  if (worth_3_1_1(e, mqtt)) {
    mqtt = mqtt_free(mqtt);
    HF_TRY(new_mqtt(options, false, &mqtt));
    e = connect_now(mqtt);
  }
  HF_TRY(e);
  *ret_mqtt = HF_TAKE(mqtt);
  return HF_OK;
}

const char *mqtt_version(const struct mqtt *mqtt)
{
  return mqtt->v5 ? "5" : "3.1.1";
}

hf_err mqtt_publish(struct mqtt *mqtt, const char *topic, const char *payload)
{
  MQTTAsync_message message = MQTTAsync_message_initializer;
  message.payload = (void *)payload;
  message.payloadlen = (int)strlen(payload);
  message.qos = 1;
  MQTTAsync_responseOptions response = MQTTAsync_responseOptions_initializer;
  response.context = mqtt;
  if (mqtt->v5) {
    response.onSuccess5 = on_success5;
    response.onFailure5 = on_failure5;
  } else {
    response.onSuccess = on_success;
    response.onFailure = on_failure;
  }
  begin(mqtt);
  int rc = MQTTAsync_sendMessage(mqtt->client, topic, &message, &response);
  if (rc != MQTTASYNC_SUCCESS)
    return hf_fail(HF_ERR_MQTT, "publishing on %s: %s", topic, MQTTAsync_strerror(rc));
  char what[320];
  snprintf(what, sizeof(what), "publishing on %s", topic);
  return finish(mqtt, what, "PUBACK");
}

static void say_goodbye(struct mqtt *mqtt)
{
  const MQTTAsync_disconnectOptions v3 = MQTTAsync_disconnectOptions_initializer,
                                    v5 = MQTTAsync_disconnectOptions_initializer5;
  MQTTAsync_disconnectOptions disconnect = mqtt->v5 ? v5 : v3;
  disconnect.context = mqtt;
  if (mqtt->v5) {
    disconnect.onSuccess5 = on_success5;
    disconnect.onFailure5 = on_failure5;
  } else {
    disconnect.onSuccess = on_success;
    disconnect.onFailure = on_failure;
  }
  begin(mqtt);
  struct outcome outcome;
  if (MQTTAsync_disconnect(mqtt->client, &disconnect) == MQTTASYNC_SUCCESS)
    await(mqtt, GOODBYE_S, &outcome);
}

struct mqtt *mqtt_free(struct mqtt *mqtt)
{
  if (!mqtt)
    return NULL;
  if (mqtt->connected)
    say_goodbye(mqtt);
  MQTTAsync_destroy(&mqtt->client);
  pthread_cond_destroy(&mqtt->changed);
  pthread_mutex_destroy(&mqtt->lock);
  free(mqtt);
  return NULL;
}
