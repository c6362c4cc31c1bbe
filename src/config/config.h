/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration: one JSON file of nested objects, its keys written with dots ("device.cryptoki.mode"). Every key is
 * one row below; what has no row is an error.
 */
#ifndef HF_CONFIG_CONFIG_H
#define HF_CONFIG_CONFIG_H

#include "base/secret.h"

#include <stdbool.h>

#define CONFIG_SYSTEM_FILE "/etc/holdfast/config.json"
#define CONFIG_SYSTEM_DATA "/var/lib/holdfast"
#define CONFIG_SYSTEM_RUN "/run/holdfast"
#define CONFIG_DEVICE_DIR "/etc/holdfast/device-certs/"

/* What each cloud has; C: its name in upper case, c: its name. */
#define CONFIG_CLOUD_ROWS(X, C, c)                                                                                    \
  X(C##_URL, c ".url", ADDRESS, NULL, NULL, "Where the cloud's MQTT broker is: HOST, HOST:PORT or mqtts://HOST:PORT") \
  X(C##_ROOT_CERT_PATH, c ".root_cert_path", PATH, "/etc/ssl/certs", NULL,                                            \
    "Certificates that the cloud's is checked with: a file or a directory")                                           \
  X(C##_BRIDGE_ENABLED, c ".bridge.enabled", BOOL, "false", NULL,                                                     \
    "Whether the bridge to it runs: 'holdfast connect' and 'holdfast disconnect' set it")                             \
  X(C##_BRIDGE_TOPICS, c ".bridge.topics", TOPICS, NULL, NULL,                                                        \
    "What is bridged, as mosquitto's topic lines, ';' between them; without it, the cloud's usual topics")

/* X(id, key, type, default or NULL, what an enum may be or NULL, help) */
#define CONFIG_TABLE(X)                                                                                                \
  X(DEVICE_ID, "device.id", ID, NULL, NULL, "Name of the device; without it, the certificate's CN")                    \
  X(DEVICE_CERT_PATH, "device.cert_path", CERTIFICATE, CONFIG_DEVICE_DIR "certificate.pem", NULL,                      \
    "The device's certificate (PEM), its chain after it; or where it is in the HSM: a PKCS #11 URI, type=cert")        \
  X(DEVICE_CSR_PATH, "device.csr_path", PATH, CONFIG_DEVICE_DIR "device.csr", NULL,                                    \
    "Where the device's certificate signing request is written")                                                       \
  X(DEVICE_KEY_PATH, "device.key_path", PATH, CONFIG_DEVICE_DIR "private-key.pem", NULL,                               \
    "A key file that is to be imported into the HSM; nothing else reads it")                                           \
  X(DEVICE_KEY_URI, "device.key_uri", URI, NULL, NULL, "The device's private key: a PKCS #11 URI (RFC 7512)")          \
  X(DEVICE_CRYPTOKI_MODE, "device.cryptoki.mode", ENUM, "module", "off|module|socket",                                 \
    "How the HSM is reached: its module in the process, or the key agent's socket")                                    \
  X(DEVICE_CRYPTOKI_MODULE_PATH, "device.cryptoki.module_path", PATH, NULL, NULL,                                      \
    "The HSM's PKCS #11 module; without it, Holdfast's own token")                                                     \
  X(DEVICE_CRYPTOKI_SOCKET_PATH, "device.cryptoki.socket_path", PATH, "/run/tedge-p11-server/tedge-p11-server.sock",   \
    NULL, "The key agent's signing socket: thin-edge.io's protocol")                                                   \
  X(DEVICE_CRYPTOKI_PKCS11_SOCKET_PATH, "device.cryptoki.pkcs11_socket_path", PATH, "/run/holdfast/pkcs11.sock", NULL, \
    "The key agent's PKCS #11 socket: what mode socket uses")                                                          \
  X(DEVICE_CRYPTOKI_URI, "device.cryptoki.uri", URI, NULL, NULL, "The token to use, where there are several")          \
  X(DEVICE_CRYPTOKI_PIN_SOURCE, "device.cryptoki.pin_source", PIN_SOURCE, NULL, NULL,                                  \
    "Where the PIN is: a file's path, env:NAME or credential:NAME")                                                    \
  X(DEVICE_CRYPTOKI_PIN, "device.cryptoki.pin", SECRET, NULL, NULL,                                                    \
    "The PIN itself; better is device.cryptoki.pin_source")                                                            \
  X(CERTIFICATE_ORGANIZATION, "certificate.organization", TEXT, NULL, NULL,                                            \
    "Organization (O) in the subject of certificates and requests")                                                    \
  X(CERTIFICATE_ORGANIZATION_UNIT, "certificate.organization_unit", TEXT, NULL, NULL,                                  \
    "Organizational unit (OU) in the subject of certificates and requests")                                            \
  X(CERTIFICATE_VALIDITY_REQUESTED_DURATION, "certificate.validity.requested_duration", DURATION, "365d", NULL,        \
    "How long a self-signed certificate is valid, and how long a CA is asked for")                                     \
  X(CERTIFICATE_VALIDITY_MINIMUM_DURATION, "certificate.validity.minimum_duration", DURATION, NULL, NULL,              \
    "Renew when less than this is left; without it, when a third of the lifetime is left")                             \
  X(CERTIFICATE_RENEWAL_ROTATE_KEY, "certificate.renewal.rotate_key", BOOL, "false", NULL,                             \
    "Whether renewal makes a new key in the HSM, too")                                                                 \
  X(CERTIFICATE_RENEWAL_DELETE_OLD_KEY, "certificate.renewal.delete_old_key", BOOL, "false", NULL,                     \
    "Delete the old key as soon as the new one is in use, rather than at the next renewal")                            \
  X(EST_URL, "est.url", URL, NULL, NULL,                                                                               \
    "The EST server that issues certificates (RFC 7030): https://HOST[:PORT][/.well-known/est[/LABEL]]")               \
  X(EST_ROOT_CERT_PATH, "est.root_cert_path", PATH, "/etc/ssl/certs", NULL,                                            \
    "Certificates that the EST server's is checked with: a file or a directory")                                       \
  X(PROXY_ADDRESS, "proxy.address", URL, NULL, NULL, "An HTTP proxy for all that leaves the device: http://HOST:PORT") \
  X(PROXY_USERNAME, "proxy.username", TEXT, NULL, NULL, "Who logs in at the proxy")                                    \
  X(PROXY_PASSWORD, "proxy.password", SECRET, NULL, NULL, "The password for it")                                       \
  CONFIG_CLOUD_ROWS(X, C8Y, "c8y")                                                                                     \
  X(C8Y_HTTP, "c8y.http", ADDRESS, NULL, NULL, "Cumulocity's REST and EST server; without it, the host of c8y.url")    \
  CONFIG_CLOUD_ROWS(X, AWS, "aws")                                                                                     \
  CONFIG_CLOUD_ROWS(X, AZ, "az")                                                                                       \
  CONFIG_CLOUD_ROWS(X, MQTT, "mqtt")                                                                                   \
  X(MQTT_CONNECT_TOPIC, "mqtt.connect_topic", TOPIC, "holdfast/{id}/connect", NULL,                                    \
    "Where 'holdfast connect' publishes; {id} stands for the device's id")                                             \
  X(MQTT_BROKER, "mqtt.broker", ENUM, "managed", "managed|external",                                                   \
    "The local MQTT broker: a mosquitto that holdfast-core runs, or one that is there already")                        \
  X(MQTT_BIND_ADDRESS, "mqtt.bind.address", HOST, "127.0.0.1", NULL, "Where the local MQTT broker listens")            \
  X(MQTT_BIND_PORT, "mqtt.bind.port", PORT, "1883", NULL, "The local MQTT broker's port")                              \
  X(MQTT_BRIDGE_BUILT_IN, "mqtt.bridge.built_in", BOOL, "true", NULL,                                                  \
    "Use Holdfast's own bridge rather than the local broker's")                                                        \
  X(MQTT_BRIDGE_KEEPALIVE_INTERVAL, "mqtt.bridge.keepalive_interval", DURATION, "60s", NULL,                           \
    "How long the bridge may be silent before it asks whether the cloud is still there")                               \
  X(MQTT_BRIDGE_WINDOW, "mqtt.bridge.window", NUMBER, "1000", NULL,                                                    \
    "Messages on their way to the cloud at once; 1 keeps their order even where some are sent again")                  \
  X(MQTT_BRIDGE_RECONNECT_MINIMUM, "mqtt.bridge.reconnect_policy.initial_interval", DURATION, "1s", NULL,              \
    "How long to wait before connecting again; doubled at each failure")                                               \
  X(MQTT_BRIDGE_RECONNECT_MAXIMUM, "mqtt.bridge.reconnect_policy.maximum_interval", DURATION, "10m", NULL,             \
    "The longest wait before connecting again")                                                                        \
  X(MQTT_BRIDGE_SPOOL_MAX_SIZE, "mqtt.bridge.spool.max_size", SIZE, "256MiB", NULL,                                    \
    "How much a bridge keeps on disk while it cannot send")                                                            \
  X(MQTT_BRIDGE_SPOOL_OVERFLOW, "mqtt.bridge.spool.overflow", ENUM, "refuse-newest", "refuse-newest|drop-oldest",      \
    "What happens beyond that: new messages wait in the local broker, or the oldest are dropped")                      \
  X(MQTT_BRIDGE_SPOOL_DURABILITY, "mqtt.bridge.spool.durability", ENUM, "power", "power|process",                      \
    "What kept messages survive: a power cut (synced to disk), or the end of the process alone")                       \
  X(MQTT_SERVER_ENABLED, "mqtt.server.enabled", BOOL, "false", NULL,                                                   \
    "Whether the local MQTT server for devices runs: TLS, a client certificate required")                              \
  X(MQTT_SERVER_BIND_ADDRESS, "mqtt.server.bind.address", HOST, "0.0.0.0", NULL, "Where it listens")                   \
  X(MQTT_SERVER_BIND_PORT, "mqtt.server.bind.port", PORT, "8883", NULL, "Its port")                                    \
  X(MQTT_SERVER_KEY_URI, "mqtt.server.key_uri", KEY, NULL, NULL,                                                       \
    "Its private key: a PKCS #11 URI, or a key file; without it, the device's")                                        \
  X(MQTT_SERVER_CERT_PATH, "mqtt.server.cert_path", PATH, NULL, NULL,                                                  \
    "Its certificate (PEM), its chain after it; without it, one is issued by the group's authority")                   \
  X(MQTT_SERVER_CLIENT_CA_PATH, "mqtt.server.client_ca_path", PATH, NULL, NULL,                                        \
    "Certificates that devices' are checked with; without it, the group's authority")                                  \
  X(MQTT_SERVER_THINGS_PATH, "mqtt.server.things_path", PATH, NULL, NULL, "The group file: which devices may connect") \
  X(MQTT_SERVER_ROUTES_PATH, "mqtt.server.routes_path", PATH, NULL, NULL,                                              \
    "The routing table: from which device or the cloud, to which, what topics")                                        \
  X(MQTT_SERVER_NAMES, "mqtt.server.names", HOSTS, NULL, NULL,                                                         \
    "Names and addresses that devices reach it by, ',' between them; without it, all that this host has")              \
  X(MQTT_SERVER_VALIDITY, "mqtt.server.validity", DURATION, "7d", NULL,                                                \
    "How long a certificate of the group's authority is valid; renewed when a third of that is left")                  \
  X(MQTT_SERVER_CA_KEY_URI, "mqtt.server.ca_key_uri", URI, NULL, NULL,                                                 \
    "The private key of the group's authority; 'holdfast core create-group-ca' sets it")                               \
  X(MQTT_SERVER_CA_CERT_PATH, "mqtt.server.ca_cert_path", PATH, NULL, NULL,                                            \
    "The group's authority's certificate (PEM); without it, group-ca.pem in data.path")                                \
  X(MQTT_SERVER_DISCOVERY_ENABLED, "mqtt.server.discovery.enabled", BOOL, "true", NULL,                                \
    "Whether devices may ask by HTTPS where the local server is, as they ask Greengrass")                              \
  X(MQTT_SERVER_DISCOVERY_PORT, "mqtt.server.discovery.port", PORT, "8443", NULL, "The port for that")                 \
  X(SECRETS_KEY_URI, "secrets.key_uri", KEY, NULL, NULL,                                                               \
    "The private key that wraps secrets' data keys: a PKCS #11 URI, or a key file; without it, the device's")          \
  X(SECRETS_POLICY_PATH, "secrets.policy_path", PATH, "/etc/holdfast/agent.policy", NULL,                              \
    "Which processes may read which secrets by the gateway's socket: the key agent's policy, operation read")          \
  X(CA_PATH, "ca.path", PATH, NULL, NULL,                                                                              \
    "Where the certificate authority keeps its registry and certificates; without it, ca in data.path")                \
  X(CA_NAME, "ca.name", TEXT, "Holdfast CA", NULL, "The authority's name: the CN of its certificate")                  \
  X(CA_KEY_URI, "ca.key_uri", URI, NULL, NULL,                                                                         \
    "The authority's private key: a PKCS #11 URI; 'holdfast ca init' sets it")                                         \
  X(CA_CERT_PATH, "ca.cert_path", PATH, NULL, NULL,                                                                    \
    "The authority's certificate (PEM), its chain after it; without it, ca.pem in ca.path")                            \
  X(CA_APPROVAL, "ca.approval", ENUM, "automatic", "automatic|manual",                                                 \
    "Whether a device's one-time password suffices, or a person approves each first certificate")                      \
  X(CA_VALIDITY_DEVICE, "ca.validity.device", DURATION, "90d", NULL, "How long devices' certificates are valid")       \
  X(CA_VALIDITY_AUTHORITY, "ca.validity.authority", DURATION, "3650d", NULL,                                           \
    "How long the authority's own certificate is valid, where 'holdfast ca init' makes it")                            \
  X(CA_SERVER_KEY_URI, "ca.server.key_uri", URI, NULL, NULL,                                                           \
    "The private key of the authority's TLS server: a PKCS #11 URI; 'holdfast ca init' sets it")                       \
  X(CA_SERVER_NAMES, "ca.server.names", HOSTS, NULL, NULL,                                                             \
    "Names and addresses that the server is reached by, ',' between them; without it, this host's name and localhost") \
  X(CA_BIND_ADDRESS, "ca.bind.address", HOST, "127.0.0.1", NULL, "Where the authority's server listens")               \
  X(CA_BIND_PORT, "ca.bind.port", PORT, "8443", NULL, "Its port for HTTPS: EST, and all the rest")                     \
  X(CA_BIND_HTTP_PORT, "ca.bind.http_port", PORT, NULL, NULL,                                                          \
    "Its port for plain HTTP: CRL, OCSP and the authority's certificate alone; without it, there is none")             \
  X(CA_CRL_URL, "ca.crl_url", URL, NULL, NULL, "Where certificates say that the CRL is: http://HOST:PORT/crl")         \
  X(CA_OCSP_URL, "ca.ocsp_url", URL, NULL, NULL, "Where they say that OCSP is answered: http://HOST:PORT/ocsp")        \
  X(UPDATE_KEY_PATH, "update.key_path", PATH, NULL, NULL,                                                              \
    "The public key (PEM, or a certificate) that the signatures of updates are checked with")                          \
  X(UPDATE_ROOT_CERT_PATH, "update.root_cert_path", PATH, "/etc/ssl/certs", NULL,                                      \
    "Certificates that the update server's is checked with: a file or a directory")                                    \
  X(DATA_PATH, "data.path", PATH, NULL, NULL,                                                                          \
    "Where the gateway keeps its data; root's is /var/lib/holdfast, another user's ~/.local/share/holdfast")           \
  X(RUN_PATH, "run.path", PATH, NULL, NULL,                                                                            \
    "Where its sockets and pid files are; root's is /run/holdfast, another user's $XDG_RUNTIME_DIR/holdfast")

enum config_key {
#define CONFIG_KEY_ENUM(id, ...) CONFIG_##id,
  CONFIG_TABLE(CONFIG_KEY_ENUM)
#undef CONFIG_KEY_ENUM
      CONFIG_KEY_COUNT
};

enum config_type {
  CONFIG_TYPE_ID,
  CONFIG_TYPE_PATH,
  CONFIG_TYPE_CERTIFICATE, /* a path, or a PKCS #11 URI without a PIN in it */
  CONFIG_TYPE_KEY,         /* a PKCS #11 URI, or the path of a key file */
  CONFIG_TYPE_BOOL,
  CONFIG_TYPE_ENUM,
  CONFIG_TYPE_URI,
  CONFIG_TYPE_ADDRESS,
  CONFIG_TYPE_TOPIC,
  CONFIG_TYPE_PIN_SOURCE,
  CONFIG_TYPE_SECRET, /* a PIN, a password: never shown */
  CONFIG_TYPE_TEXT,
  CONFIG_TYPE_URL,   /* http or https */
  CONFIG_TYPE_HOST,  /* a name or an IP address */
  CONFIG_TYPE_HOSTS, /* several, ',' between them */
  CONFIG_TYPE_PORT,
  CONFIG_TYPE_NUMBER,   /* 1 to 65535 */
  CONFIG_TYPE_DURATION, /* "90s", "15m", "12h", "30d" */
  CONFIG_TYPE_SIZE,     /* bytes, or "64KiB", "256MiB", "1GiB" */
  CONFIG_TYPE_TOPICS,
  CONFIG_TYPE_COUNT
};

struct config_row {
  const char *key;
  enum config_type type;
  const char *default_value; /* NULL where there is none */
  const char *choices;       /* of an enum: "a|b|c" */
  const char *help;
};

const struct config_row *config_row(enum config_key key);
const char *config_type_name(enum config_type type);
bool config_is_secret(enum config_key key);

/* Fails with USAGE and names the nearest key. */
hf_err config_key_find(const char *name, enum config_key *ret_key);

struct config;

/*
 * Reads the configuration. The file is path; where that is NULL, $HOLDFAST_CONFIG; else /etc/holdfast/config.json for root;
 * else the user's own ($XDG_CONFIG_HOME or ~/.config, then holdfast/config.json), or, where they have none but the system
 * has, /etc/holdfast/config.json. The file that path names must exist; where any other is missing, all is at its default.
 *
 * Fails with NOT_FOUND, PERMISSION, or CONFIG: bad JSON (names line and column), an unknown key (names the nearest), a
 * value that its row does not allow.
 */
hf_err config_load(const char *path, struct config **ret_config);

/*
 * A Greengrass core's config.json is taken as it is: its keys stand for ours (docs/greengrass.md), and those of ours in its object
 * "holdfast" go before them; that is where config_set writes. Its first error is a CONFIG.
 */

/*
 * The same, but errors of a Greengrass file are left to its problems (config_greengrass); with look, files that it names and that are
 * not there are among them.
 */
hf_err config_examine(const char *path, bool look, struct config **ret_config);

/* The same, for changing it: the file may be missing, and others who open it so wait until this one is freed. */
hf_err config_open(const char *path, struct config **ret_config);

struct config *config_free(struct config *config);
HF_DEFINE_CLEANUP(struct config, config_free)

/* The file's path, whether or not it exists. Valid as long as config. */
const char *config_path(const struct config *config);

/* What a person should be told (a PIN in the file, others may read it); NULL where all is well. Valid as long as config. */
const char *config_warning(const struct config *config);

/* What is known of the file as Greengrass's; NULL where it is ours. Valid as long as config. */
struct greengrass;
const struct greengrass *config_greengrass(const struct config *config);

/* Fails with CONFIG where nothing may start on it although it can be read: a Greengrass file that names a key in a file. */
hf_err config_usable(const struct config *config);

/* Where a value is from: "FILE: KEY", of a Greengrass file "FILE, line 7: ITS KEY". */
void config_where(const struct config *config, enum config_key key, char *out, size_t size);

/* The value, or the default; NULL where there is neither. Valid until the key changes. Of a secret, this is the secret. */
const char *config_get(const struct config *config, enum config_key key);
bool config_get_bool(const struct config *config, enum config_key key); /* of a BOOL row */
bool config_is_set(const struct config *config, enum config_key key);   /* in the file, that is */

/* The number that a NUMBER, PORT, DURATION (seconds) or SIZE (bytes) row stands for; 0 where it has neither value nor default. */
uint64_t config_get_number(const struct config *config, enum config_key key);

/* The value that something cannot do without. Fails with CONFIG; the hint tells how to set it. */
hf_err config_require(const struct config *config, enum config_key key, const char **ret_value);

/* Fails with USAGE where the row does not allow the value; then nothing is changed. */
hf_err config_set(struct config *config, enum config_key key, const char *value);
/* Fails with USAGE where it is not ours: a Greengrass file says it by a key of its own. */
hf_err config_unset(struct config *config, enum config_key key);

/*
 * Writes the file as one step, keeping the order of its keys, its owner, and its mode: 0600 for a new one, and never
 * open to others. A new one that root makes in another user's directory is that user's. Makes its directory. On failure the old file is as it was.
 */
hf_err config_save(const struct config *config);

/*
 * The module as p11_module_open takes it: in mode socket the key agent's socket, else module_path; "" where the latter is
 * not set.
 */
hf_err config_module(const struct config *config, char *out, size_t size);

/* data.path and run.path, or what stands for them where they are not set. Neither is made here. */
hf_err config_data_path(const struct config *config, char *out, size_t size);
hf_err config_run_path(const struct config *config, char *out, size_t size);

/* The HSM's PIN: what pin_source leads to, else pin. Fails with PIN_MISSING where neither is set. */
hf_err config_pin(const struct config *config, struct hf_secret **ret_pin);

#endif
