/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/broker_config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pwd.h>
#include <sys/stat.h>

enum { NSS_BUFFER = 16 * 1024 };

/*
 * Nothing that loses what a bridge has not taken yet: a queue without an end, and a window as wide as the bridge asks for. What the
 * broker holds itself is saved every minute and when it ends. Of messages not 0, which stands for no limit, too: mosquitto 2.0 then
 * disconnects a client after a message that it may not send.
 */
static const char fixed[] = "persistence true\n"
                            "autosave_interval 60\n"
                            "max_queued_messages 2147483647\n"
                            "max_queued_bytes 0\n"
                            "max_inflight_messages 0\n"
                            "max_inflight_bytes 0\n"
                            "set_tcp_nodelay true\n"
                            "log_dest stderr\n"
                            "log_timestamp false\n";

static bool is_loopback(const char *address)
{
  struct in_addr v4;
  struct in6_addr v6;
  if (inet_pton(AF_INET, address, &v4) == 1)
    return ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET;
  if (inet_pton(AF_INET6, address, &v6) == 1)
    return IN6_IS_ADDR_LOOPBACK(&v6);
  return strcmp(address, "localhost") == 0;
}

static hf_err check_address(const char *address)
{
  if (is_loopback(address))
    return HF_OK;
  return hf_hint(
      hf_fail(HF_ERR_CONFIG, "mqtt.bind.address is %s: anyone there could send to the cloud as this device", address),
      "Use 127.0.0.1; or run a broker that knows its users, and set mqtt.broker to external.");
}

/* mosquitto drops root's rights; to those of whom the data belongs to, or it could not read it. */
static hf_err add_user(const char *data_dir, struct hf_buf *out)
{
  struct stat st;
  char buffer[NSS_BUFFER];
  struct passwd entry, *found = NULL;
  if (geteuid() != 0)
    return HF_OK;
  if (stat(data_dir, &st) != 0)
    return hf_fail_errno(errno, "%s", data_dir);
  if (getpwuid_r(st.st_uid, &entry, buffer, sizeof(buffer), &found) != 0 || !found)
    return hf_fail(HF_ERR_CONFIG, "%s belongs to user %u, who has no name", data_dir, (unsigned)st.st_uid);
  return hf_buf_addf(out, "user %s\n", found->pw_name);
}

/*
 * Who may do what on either listener is the module's to say. Settings of a listener's own (per_listener_settings) are not used:
 * with them, a session that is offline belongs to none, and is given nothing.
 */
static hf_err add_admission(const struct broker_tls *tls, struct hf_buf *out)
{
  return hf_buf_addf(out, "plugin %s\nplugin_opt_group %s\n", tls->module_path, tls->group_path);
}

static hf_err add_tls_listener(const struct broker_tls *tls, struct hf_buf *out)
{
  HF_TRY(hf_buf_addf(out, "listener %s %s\ncertfile %s\nkeyfile %s\ncafile %s\n", tls->port, tls->address,
                     tls->cert_path, tls->key_path, tls->client_ca_path));
  return hf_buf_addf(out, "# cafile %016llx\nrequire_certificate true\ntls_version tlsv1.2\n",
                     (unsigned long long)tls->client_ca_stamp);
}

hf_err broker_config_add(const struct config *config, const char *data_dir, const struct broker_tls *tls,
                         struct hf_buf *out)
{
  const char *address = config_get(config, CONFIG_MQTT_BIND_ADDRESS);
  HF_TRY(check_address(address));
  HF_TRY(hf_buf_addf(out, "# Written by holdfast-core: what is changed here is lost.\nlistener %s %s\n",
                     config_get(config, CONFIG_MQTT_BIND_PORT), address));
  HF_TRY(hf_buf_addf(out, "allow_anonymous true\npersistence_location %s/\n", data_dir));
  HF_TRY(add_user(data_dir, out));
  HF_TRY(hf_buf_add_str(out, fixed));
  if (tls)
    HF_TRY(add_admission(tls, out));
  return tls && tls->listens ? add_tls_listener(tls, out) : HF_OK;
}

/* The next line that only a start takes up, at or after *at, which is moved behind it; empty at the end. */
static struct hf_slice next_of_start(const char **at)
{
  static const char *const names[] = {
    "listener ", "persistence_location ", "user ",       "plugin ", "plugin_opt_", "certfile ", "keyfile ", "cafile ",
    "# cafile ", "require_certificate ",  "tls_version "
  };
  while (**at) {
    struct hf_slice line = hf_slice(*at, strcspn(*at, "\n"));
    const char *text = *at;
    *at += line.len + ((*at)[line.len] == '\n');
    for (size_t i = 0; i < HF_ARRAY_LEN(names); i++)
      if (strncmp(text, names[i], strlen(names[i])) == 0)
        return line;
  }
  return hf_slice("", 0);
}

bool broker_config_reloads(const char *old, const char *new)
{
  struct hf_slice before, now;
  do {
    before = next_of_start(&old);
    now = next_of_start(&new);
  } while (before.len && hf_slice_equal(before, now));
  return hf_slice_equal(before, now);
}
