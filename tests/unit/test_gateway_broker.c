/* SPDX-License-Identifier: Apache-2.0 */
/* What the local broker is told, who has its port, and who runs the gateway of a directory. */
#include "base/file.h"
#include "gateway/broker_config.h"
#include "gateway/pidfile.h"
#include "gateway/port_owner.h"

#include "hf_test.h"

#include <arpa/inet.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/wait.h>

static char dir[] = "/tmp/hf-broker-XXXXXX";
static struct config *config;

static int set_up(void **state)
{
  (void)state;
  char path[PATH_MAX];
  memcpy(dir + sizeof(dir) - 7, "XXXXXX", 6);
  assert_non_null(mkdtemp(dir));
  snprintf(path, sizeof(path), "%s/config.json", dir);
  assert_hf_ok(config_open(path, &config));
  assert_hf_ok(config_set(config, CONFIG_RUN_PATH, dir));
  return 0;
}

static int tear_down(void **state)
{
  (void)state;
  static const char *const names[] = { "/core.pid", "/config.json", "" };
  config = config_free(config);
  for (size_t i = 0; i < HF_ARRAY_LEN(names); i++) {
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s%s", dir, names[i]);
    remove(path);
  }
  return 0;
}

/* The broker's configuration */

static const char *build(struct hf_buf *out)
{
  out->len = 0;
  assert_hf_ok(broker_config_add(config, dir, NULL, out));
  return hf_buf_str(out);
}

static void nothing_has_a_limit_and_all_is_kept(void **state)
{
  (void)state;
  static const char *const lines[] = {
    "\nlistener 1883 127.0.0.1\n",        "\nallow_anonymous true\n", "\npersistence true\n",
    "\nmax_queued_messages 2147483647\n", "\nmax_queued_bytes 0\n",   "\nmax_inflight_bytes 0\n",
    "\nmax_inflight_messages 0\n",        "\nset_tcp_nodelay true\n",
  };
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(1 << 16);
  const char *text = build(&out);
  for (size_t i = 0; i < HF_ARRAY_LEN(lines); i++)
    assert_contains(text, lines[i]);
  assert_contains(text, dir);
  if (geteuid() == 0)
    assert_contains(text, "\nuser root\n");
  else
    assert_null(strstr(text, "\nuser "));
}

static void it_listens_on_this_machine_alone(void **state)
{
  (void)state;
  static const struct {
    const char *address;
    enum hf_code code;
  } cases[] = {
    { "127.0.0.1", HF_ERR_OK },     { "127.9.9.9", HF_ERR_OK },       { "::1", HF_ERR_OK },
    { "localhost", HF_ERR_OK },     { "0.0.0.0", HF_ERR_CONFIG },     { "::", HF_ERR_CONFIG },
    { "192.0.2.1", HF_ERR_CONFIG }, { "example.com", HF_ERR_CONFIG },
  };
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(1 << 16);
  for (size_t i = 0; i < HF_ARRAY_LEN(cases); i++) {
    assert_hf_ok(config_set(config, CONFIG_MQTT_BIND_ADDRESS, cases[i].address));
    assert_int_equal(cases[i].code, broker_config_add(config, dir, NULL, &out).code);
  }
}

static void only_a_new_place_wants_a_new_start(void **state)
{
  (void)state;
  HF_CLEANUP(hf_buf_free) struct hf_buf old = HF_BUF(1 << 16), new = HF_BUF(1 << 16);
  build(&old);
  assert_true(broker_config_reloads(hf_buf_str(&old), build(&new)));
  assert_hf_ok(hf_buf_add_str(&new, "log_type none\n"));
  assert_true(broker_config_reloads(hf_buf_str(&old), hf_buf_str(&new)));
  assert_hf_ok(config_set(config, CONFIG_MQTT_BIND_PORT, "1884"));
  assert_false(broker_config_reloads(hf_buf_str(&old), build(&new)));
}

/* The listener for devices */

static struct broker_tls some_tls(void)
{
  return (struct broker_tls){ .listens = true,
                              .address = "0.0.0.0",
                              .port = "8883",
                              .cert_path = "/d/cert.pem",
                              .key_path = "/r/key.pem",
                              .client_ca_path = "/e/ca.pem",
                              .module_path = "/l/admission.so",
                              .group_path = "/r/group",
                              .client_ca_stamp = 1 };
}

static const char *build_tls(const struct broker_tls *tls, struct hf_buf *out)
{
  out->len = 0;
  assert_hf_ok(broker_config_add(config, dir, tls, out));
  return hf_buf_str(out);
}

static void devices_have_a_listener_of_their_own(void **state)
{
  (void)state;
  static const char *const lines[] = { "\nlistener 8883 0.0.0.0\n",    "\ncertfile /d/cert.pem\n",
                                       "\nkeyfile /r/key.pem\n",       "\ncafile /e/ca.pem\n",
                                       "\nrequire_certificate true\n", "\ntls_version tlsv1.2\n" };
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(1 << 16);
  struct broker_tls tls = some_tls();
  const char *text = build_tls(&tls, &out), *listener = strstr(text, lines[0]);
  assert_contains(text, "\nplugin /l/admission.so\nplugin_opt_group /r/group\n");
  assert_non_null(listener);
  for (size_t i = 0; i < HF_ARRAY_LEN(lines); i++)
    assert_contains(listener, lines[i]);
  assert_null(strstr(text, "per_listener_settings"));
  /* Those who have a session there are not to get what they may not, with the listener or without. */
  tls.listens = false;
  text = build_tls(&tls, &out);
  assert_contains(text, "\nplugin ");
  assert_null(strstr(text, "certfile"));
}

static void a_listener_or_an_authority_wants_a_new_start(void **state)
{
  (void)state;
  HF_CLEANUP(hf_buf_free) struct hf_buf old = HF_BUF(1 << 16), new = HF_BUF(1 << 16);
  struct broker_tls tls = some_tls();
  build_tls(&tls, &old);
  tls.stamp = 7; /* what SIGHUP has read again is not in the text */
  assert_true(broker_config_reloads(hf_buf_str(&old), build_tls(&tls, &new)));
  assert_string_equal(hf_buf_str(&old), hf_buf_str(&new));
  tls.client_ca_stamp = 2;
  assert_false(broker_config_reloads(hf_buf_str(&old), build_tls(&tls, &new)));
  tls = some_tls();
  tls.listens = false;
  assert_false(broker_config_reloads(hf_buf_str(&old), build_tls(&tls, &new)));
  assert_false(broker_config_reloads(build_tls(&tls, &new), hf_buf_str(&old)));
  assert_false(broker_config_reloads(hf_buf_str(&old), build(&new)));
}

/* Ports */

static int listen_on_any(char port[8])
{
  struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
  socklen_t len = sizeof(at);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(0, bind(fd, (const struct sockaddr *)&at, sizeof(at)));
  assert_int_equal(0, listen(fd, 1));
  assert_int_equal(0, getsockname(fd, (struct sockaddr *)&at, &len));
  snprintf(port, 8, "%u", ntohs(at.sin_port));
  return fd;
}

static void a_port_s_owner_is_named(void **state)
{
  (void)state;
  char port[8], who[128], own[64];
  int fd = listen_on_any(port);
  assert_hf_err(port_check_free("127.0.0.1", port), BUSY);
  assert_contains(hf_err_context(), port);
  if (access("/proc/net/tcp", R_OK) == 0) {
    snprintf(own, sizeof(own), "process %d (test_gateway", (int)getpid());
    assert_contains(hf_err_context(), own);
    assert_true(port_owner((unsigned)strtoul(port, NULL, 10), who, sizeof(who)));
    assert_contains(who, own);
  }
  close(fd);
  assert_hf_ok(port_check_free("127.0.0.1", port));
  assert_false(port_owner((unsigned)strtoul(port, NULL, 10), who, sizeof(who)));
}

static void an_address_of_another_machine_is_told_apart(void **state)
{
  (void)state;
  assert_hf_err(port_check_free("192.0.2.1", "1883"), NOT_FOUND);
}

/* The pid file */

static void whoever_holds_the_lock_runs(void **state)
{
  (void)state;
  pid_t pid = 1;
  int fd, pair[2];
  assert_hf_ok(pidfile_read(config, &pid));
  assert_int_equal(0, pid);
  assert_int_equal(0, pipe(pair));
  pid_t child = fork();
  if (child == 0) {
    _exit(hf_failed(pidfile_take(config, &fd)) || write(pair[1], "x", 1) != 1 || pause());
  }
  char c;
  assert_int_equal(1, read(pair[0], &c, 1));
  assert_hf_ok(pidfile_read(config, &pid));
  assert_int_equal(child, pid);
  assert_hf_err(pidfile_take(config, &fd), BUSY);
  char name[64];
  snprintf(name, sizeof(name), "process %d", (int)child);
  assert_contains(hf_err_context(), name);
  kill(child, 9);
  waitpid(child, NULL, 0);
  assert_hf_ok(pidfile_read(config, &pid));
  assert_int_equal(0, pid);
  assert_hf_ok(pidfile_take(config, &fd));
  assert_hf_ok(pidfile_read(config, &pid));
  assert_int_equal(getpid(), pid);
  close(fd);
  close(pair[0]);
  close(pair[1]);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(nothing_has_a_limit_and_all_is_kept, set_up, tear_down),
    cmocka_unit_test_setup_teardown(it_listens_on_this_machine_alone, set_up, tear_down),
    cmocka_unit_test_setup_teardown(only_a_new_place_wants_a_new_start, set_up, tear_down),
    cmocka_unit_test_setup_teardown(devices_have_a_listener_of_their_own, set_up, tear_down),
    cmocka_unit_test_setup_teardown(a_listener_or_an_authority_wants_a_new_start, set_up, tear_down),
    cmocka_unit_test_setup_teardown(a_port_s_owner_is_named, set_up, tear_down),
    cmocka_unit_test_setup_teardown(an_address_of_another_machine_is_told_apart, set_up, tear_down),
    cmocka_unit_test_setup_teardown(whoever_holds_the_lock_runs, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
