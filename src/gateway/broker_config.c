/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/broker_config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pwd.h>
#include <sys/stat.h>

enum { NSS_BUFFER = 16 * 1024 };

/*
 * Nothing that loses what a bridge has not taken yet: a queue without an end, and a window as wide as the bridge asks for. What the
 * broker holds itself is saved every minute and when it ends.
 */
static const char fixed[] = "persistence true\n"
                            "autosave_interval 60\n"
                            "max_queued_messages 0\n"
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

hf_err broker_config_add(const struct config *config, const char *data_dir, struct hf_buf *out)
{
  const char *address = config_get(config, CONFIG_MQTT_BIND_ADDRESS);
  HF_TRY(check_address(address));
  HF_TRY(hf_buf_addf(out, "# Written by holdfast-core: what is changed here is lost.\nlistener %s %s\n",
                     config_get(config, CONFIG_MQTT_BIND_PORT), address));
  HF_TRY(hf_buf_addf(out, "allow_anonymous true\npersistence_location %s/\n", data_dir));
  HF_TRY(add_user(data_dir, out));
  return hf_buf_add_str(out, fixed);
}

/* The first line that begins so; "" where there is none. */
static struct hf_slice line_of(const char *text, const char *name)
{
  size_t len = strlen(name);
  for (; *text; text += strcspn(text, "\n"), text += *text == '\n')
    if (strncmp(text, name, len) == 0)
      return hf_slice(text, strcspn(text, "\n"));
  return hf_slice("", 0);
}

bool broker_config_reloads(const char *old, const char *new)
{
  static const char *const at_start[] = { "listener ", "persistence_location ", "user " };
  for (size_t i = 0; i < HF_ARRAY_LEN(at_start); i++)
    if (!hf_slice_equal(line_of(old, at_start[i]), line_of(new, at_start[i])))
      return false;
  return true;
}
