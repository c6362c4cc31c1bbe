/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent is told. An option is one row; its value comes from the first of: the command line, the environment,
 * --env-file, the configuration, thin-edge.io's tedge.toml, its default. An empty value counts as none.
 */
#ifndef HF_AGENT_OPTIONS_H
#define HF_AGENT_OPTIONS_H

#include "base/buf.h"
#include "base/log.h"
#include "base/secret.h"

/* X(id, option, value's name or NULL for a flag, environment name or NULL, configuration key or NONE, default or NULL, help) */
#define OPTIONS_TABLE(X)                                                                                            \
  X(SOCKET_PATH, "socket-path", "PATH", "TEDGE_DEVICE_CRYPTOKI_SOCKET_PATH", DEVICE_CRYPTOKI_SOCKET_PATH,           \
    "/run/tedge-p11-server/tedge-p11-server.sock", "signing socket, of thin-edge.io's protocol; 'none' for none")   \
  X(PKCS11_SOCKET, "pkcs11-socket", "PATH", "HOLDFAST_AGENT_PKCS11_SOCKET", DEVICE_CRYPTOKI_PKCS11_SOCKET_PATH,     \
    "/run/holdfast/pkcs11.sock", "PKCS #11 socket, for p11-kit-client.so; 'none' for none")                         \
  X(METRICS_SOCKET, "metrics-socket", "PATH", "HOLDFAST_AGENT_METRICS_SOCKET", NONE, "/run/holdfast/metrics.sock",  \
    "socket of the metrics and the status; 'none' for none")                                                        \
  X(SOCKET_GROUP, "socket-group", "GROUP", "HOLDFAST_AGENT_SOCKET_GROUP", NONE, NULL,                               \
    "group that may use the sockets (default: the agent's own)")                                                    \
  X(MODULE_PATH, "module-path", "PATH", "TEDGE_DEVICE_CRYPTOKI_MODULE_PATH", DEVICE_CRYPTOKI_MODULE_PATH, NULL,     \
    "PKCS #11 module of the HSM (default: Holdfast's own token)")                                                   \
  X(PIN_SOURCE, "pin-source", "SRC", "HOLDFAST_AGENT_PIN_SOURCE", DEVICE_CRYPTOKI_PIN_SOURCE, NULL,                 \
    "where the PIN is: a file, env:NAME or credential:NAME (default: the credential 'pin', if there is one)")       \
  X(PIN, "pin", "PIN", "TEDGE_DEVICE_CRYPTOKI_PIN", DEVICE_CRYPTOKI_PIN, NULL,                                      \
    "the PIN itself; other users may see it, so prefer --pin-source")                                               \
  X(URI, "uri", "URI", "TEDGE_DEVICE_CRYPTOKI_URI", DEVICE_CRYPTOKI_URI, NULL,                                      \
    "token or key to use where a request names none")                                                               \
  X(POLICY, "policy", "FILE", "HOLDFAST_AGENT_POLICY", NONE, "/etc/holdfast/agent.policy",                          \
    "who may do what with which key")                                                                               \
  X(AUDIT, "audit", "TARGET", "HOLDFAST_AGENT_AUDIT", NONE, "auto",                                                 \
    "where audit lines go: auto, journal, json or off")                                                             \
  X(LOG_LEVEL, "log-level", "LEVEL", "HOLDFAST_AGENT_LOG_LEVEL", NONE, "info", "error, warn, info, debug or trace") \
  X(CALL_DEADLINE, "call-deadline", "SECONDS", NULL, NONE, "30",                                                    \
    "restart the worker when a call into the module takes longer; 0: never")                                        \
  X(MEMORY_LIMIT, "memory-limit", "SIZE", NULL, NONE, "256M", "restart the worker when it outgrows this; 0: never") \
  X(MAX_CONNECTIONS, "max-connections", "N", NULL, NONE, "2048", "connections at once, of all users")               \
  X(MAX_PER_USER, "max-per-user", "N", NULL, NONE, "1024", "connections at once, of one user")                      \
  X(CLIENT_TIMEOUT, "client-timeout", "SECONDS", NULL, NONE, "10",                                                  \
    "how long a client may take to send a signing request or to take an answer")                                    \
  X(IDLE_EXIT, "idle-exit", "SECONDS", NULL, NONE, "0", "under socket activation: end when idle so long; 0: never") \
  X(ENV_FILE, "env-file", "FILE", NULL, NONE, NULL,                                                                 \
    "file of NAME=VALUE lines, like tedge-p11-server.conf; names that are not ours go to the module's environment") \
  X(CONFIG_DIR, "config-dir", "DIR", "TEDGE_CONFIG_DIR", NONE, "/etc/tedge",                                        \
    "thin-edge.io's configuration: of its tedge.toml, device.cryptoki.* is read")                                   \
  X(CONFIG, "config", "FILE", NULL, NONE, NULL,                                                                     \
    "Holdfast's configuration (default: $HOLDFAST_CONFIG, then the usual places)")

enum option {
#define OPTIONS_ENUM(id, ...) OPTION_##id,
  OPTIONS_TABLE(OPTIONS_ENUM)
#undef OPTIONS_ENUM
      OPTION_COUNT
};

enum { OPTIONS_ENV_MAX = 64, OPTIONS_MESSAGE_MAX = 64 * 1024 };

struct options {
  char *values[OPTION_COUNT];        /* NULL where there is none; PIN is never here */
  struct hf_secret *pin;             /* from where a PIN itself stands, env: included */
  char *module_env[OPTIONS_ENV_MAX]; /* "NAME=VALUE" out of --env-file */
  size_t module_env_count;
  bool given[OPTION_COUNT]; /* not its default */
};

/* The layers that stay as they are: command line and environment. Start with {0}. */
struct options_given {
  char *args[OPTION_COUNT];
  char *env[OPTION_COUNT];
  struct hf_secret *args_pin, *env_pin;
  char *source; /* "env:NAME", once it was read; then the variable is no more, and the PIN is here */
  struct hf_secret *source_pin;
};

/* Takes the command line and the environment; wipes PINs in both. Fails with USAGE and names the nearest. */
hf_err options_given_take(int argc, char **argv, struct options_given *ret_given);
void options_given_free(struct options_given *given);

/* Puts all layers together; reads the files among them each time anew. Checks numbers and words. */
hf_err options_load(struct options_given *given, struct options *ret_options);
void options_free(struct options *options);

const char *options_get(const struct options *options, enum option option);
/* Of a row that is a number, seconds or a size; checked at loading. */
unsigned long options_number(const struct options *options, enum option option);

hf_err options_log_level(const struct options *options, enum hf_log_level *ret_level);

/* All of it but the module's environment as one message, and back: how the worker gets it, PIN included. */
hf_err options_pack(const struct options *options, struct hf_buf *out);
hf_err options_unpack(struct hf_slice *in, struct options *ret_options);

/* Whether a worker would notice the difference, policy apart. */
bool options_same_worker(const struct options *a, const struct options *b);

void options_help(FILE *out);

#endif
