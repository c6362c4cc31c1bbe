/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the stock mosquitto asks at the local server: who may connect, and about which topics (mosquitto_plugin.h, version 5). The
 * group is a file of holdfast-core's, read at the start and at SIGHUP; one that cannot be read then changes nothing.
 *
 * A client with a certificate is a device: its client id names the thing, and the certificate must be that thing's. It is kept
 * apart by a username of ours from then on, since a session that is offline, or was read from the disk, has no certificate any more.
 * A client without one came by the listener of this machine alone, and is asked nothing.
 */
#include "base/cleanup.h"
#include "base/file.h"
#include "config/group.h"

#include <mosquitto.h>
#include <mosquitto_broker.h>
#include <mosquitto_plugin.h>
#include <openssl/err.h>
#include <openssl/x509.h>

#define EXPORT __attribute__((visibility("default")))
#define DEVICE "thing:"

enum { CN_MAX = 4 * 64 + 1, DEVICE_MAX = sizeof(DEVICE) + GROUP_NAME_MAX };

struct admission {
  char *path;
  struct group *group;
};

static void log_err(hf_err e)
{
  char line[HF_CONTEXT_MAX + 256];
  hf_err_format(e, line, sizeof(line));
  mosquitto_log_printf(MOSQ_LOG_ERR, "Error: the local server's group: %s", line);
}

/* Whom a certificate names */

static bool read_cn(const X509 *certificate, char out[CN_MAX])
{
  X509_NAME *subject = X509_get_subject_name(certificate);
  int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  unsigned char *text = NULL;
  out[0] = '\0';
  /* Two of them: which one counts would be anyone's guess. */
  if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0)
    return false;
  int len = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
  bool good = len > 0 && len < CN_MAX && !memchr(text, '\0', (size_t)len);
  if (good) {
    memcpy(out, text, (size_t)len);
    out[len] = '\0';
  }
  OPENSSL_free(text);
  ERR_clear_error();
  return good;
}

static bool read_fingerprint(const X509 *certificate, struct hf_buf *out)
{
  uint8_t digest[EVP_MAX_MD_SIZE];
  unsigned len = 0;
  return X509_digest(certificate, EVP_sha256(), digest, &len) == 1 && !hf_failed(hf_buf_add_hex(out, digest, len)) &&
         hf_buf_str(out);
}

static bool is_own(const struct admission *admission, const char *id, const X509 *certificate)
{
  char cn[CN_MAX];
  HF_CLEANUP(hf_buf_free) struct hf_buf fingerprint = HF_BUF(2 * EVP_MAX_MD_SIZE);
  read_cn(certificate, cn);
  if (read_fingerprint(certificate, &fingerprint) && group_admits(admission->group, id, cn, hf_buf_str(&fingerprint)))
    return true;
  mosquitto_log_printf(MOSQ_LOG_NOTICE,
                       "The client id '%s' with the certificate of '%s' (SHA-256 %s) is not in the group.", id, cn,
                       fingerprint.len ? hf_buf_str(&fingerprint) : "unknown");
  return false;
}

/* mosquitto's questions */

/* The listener without TLS is this machine's alone, so whoever shows no certificate must be from here. */
static bool is_from_here(const struct mosquitto *client)
{
  static const char *const begins[] = { "127.", "::1", "::ffff:127." };
  const char *address = mosquitto_client_address(client);
  for (size_t i = 0; address && i < HF_ARRAY_LEN(begins); i++)
    if (strncmp(address, begins[i], strlen(begins[i])) == 0)
      return true;
  return false;
}

static int on_connect(int event, void *data, void *arg)
{
  (void)event;
  const struct mosquitto_evt_basic_auth *ask = data;
  const char *id = mosquitto_client_id(ask->client);
  X509 *certificate = mosquitto_client_certificate(ask->client);
  if (!certificate)
    return is_from_here(ask->client) ? MOSQ_ERR_SUCCESS : MOSQ_ERR_AUTH;
  char username[DEVICE_MAX];
  bool own = id && is_own(arg, id, certificate);
  X509_free(certificate);
  if (!own)
    return MOSQ_ERR_AUTH;
  snprintf(username, sizeof(username), DEVICE "%s", id);
  return mosquitto_set_username(ask->client, username);
}

/* NULL for a client that is no device. */
static const char *thing_of(const struct mosquitto *client)
{
  const char *username = mosquitto_client_username(client);
  size_t len = strlen(DEVICE);
  return username && strncmp(username, DEVICE, len) == 0 ? username + len : NULL;
}

/* What is subscribed to in "$share/NAME/FILTER". */
static const char *plain_filter(const char *filter)
{
  static const char share[] = "$share/";
  const char *rest = strncmp(filter, share, sizeof(share) - 1) == 0 ? strchr(filter + sizeof(share) - 1, '/') : NULL;
  return rest ? rest + 1 : filter;
}

static int on_topic(int event, void *data, void *arg)
{
  (void)event;
  const struct mosquitto_evt_acl_check *ask = data;
  const struct admission *admission = arg;
  const char *thing = thing_of(ask->client);
  bool may = !thing || ask->access == MOSQ_ACL_UNSUBSCRIBE;
  if (!may && ask->access == MOSQ_ACL_READ)
    may = group_may_receive(admission->group, thing, ask->topic);
  else if (!may && ask->access == MOSQ_ACL_WRITE)
    may = group_may_publish(admission->group, thing, ask->topic);
  else if (!may && ask->access == MOSQ_ACL_SUBSCRIBE)
    may = group_may_subscribe(admission->group, thing, plain_filter(ask->topic));
  return may ? MOSQ_ERR_SUCCESS : MOSQ_ERR_ACL_DENIED;
}

/* Whoever was taken out of the group does not stay. */
static void disconnect(const char *thing)
{
  char username[DEVICE_MAX];
  snprintf(username, sizeof(username), DEVICE "%s", thing);
  mosquitto_kick_client_by_username(username, false);
}

static int on_reload(int event, void *data, void *arg)
{
  (void)event;
  (void)data;
  struct admission *admission = arg;
  struct group *before = admission->group;
  hf_err e = group_load(admission->path, NULL, &admission->group);
  if (hf_failed(e)) {
    log_err(e);
    return MOSQ_ERR_SUCCESS;
  }
  group_compare(before, admission->group, disconnect);
  group_free(before);
  return MOSQ_ERR_SUCCESS;
}

/* Its life */

EXPORT int mosquitto_plugin_version(int count, const int *versions)
{
  for (int i = 0; i < count; i++)
    if (versions[i] == MOSQ_PLUGIN_VERSION)
      return MOSQ_PLUGIN_VERSION;
  return -1;
}

static struct admission *admission_free(struct admission *admission)
{
  if (!admission)
    return NULL;
  group_free(admission->group);
  free(admission->path);
  free(admission);
  return NULL;
}

static struct admission *admission_new(const struct mosquitto_opt *options, int count)
{
  struct admission *admission = calloc(1, sizeof(*admission));
  for (int i = 0; admission && i < count; i++)
    if (strcmp(options[i].key, "group") == 0)
      admission->path = strdup(options[i].value);
  return admission && admission->path ? admission : admission_free(admission);
}

EXPORT int mosquitto_plugin_init(mosquitto_plugin_id_t *id, void **user_data, struct mosquitto_opt *options, int count)
{
  static const struct {
    int event;
    MOSQ_FUNC_generic_callback call;
  } rows[] = { { MOSQ_EVT_BASIC_AUTH, on_connect }, { MOSQ_EVT_ACL_CHECK, on_topic }, { MOSQ_EVT_RELOAD, on_reload } };
  struct admission *admission = admission_new(options, count);
  if (!admission)
    return MOSQ_ERR_NOMEM;
  hf_err e = group_load(admission->path, NULL, &admission->group);
  int rc = hf_failed(e) ? MOSQ_ERR_INVAL : MOSQ_ERR_SUCCESS;
  if (hf_failed(e))
    log_err(e);
  for (size_t i = 0; rc == MOSQ_ERR_SUCCESS && i < HF_ARRAY_LEN(rows); i++)
    rc = mosquitto_callback_register(id, rows[i].event, rows[i].call, NULL, admission);
  if (rc == MOSQ_ERR_SUCCESS)
    *user_data = admission;
  else
    admission_free(admission);
  return rc;
}

EXPORT int mosquitto_plugin_cleanup(void *user_data, struct mosquitto_opt *options, int count)
{
  (void)options;
  (void)count;
  admission_free(user_data);
  return MOSQ_ERR_SUCCESS;
}
