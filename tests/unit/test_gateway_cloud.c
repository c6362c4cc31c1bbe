/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of the clouds: what every one must have, and what their texts become. */
#include "gateway/cloud_link.h"
#include "hf_test.h"

#include <unistd.h>

static const struct cloud_values values = { .id = "dev-1", .host = "hub.example", .nonce = "7f" };

static void assert_expands(const char *text, const char *expected)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(CLOUD_TEXT_MAX);
  assert_hf_ok(cloud_expand(text, &values, &out));
  assert_string_equal(hf_buf_str(&out), expected);
}

static void test_rows_are_whole(void **state)
{
  (void)state;
  for (size_t i = 0; i < CONFIG_CLOUD_COUNT; i++) {
    const struct cloud *cloud = &clouds[i], *found = NULL;
    assert_hf_ok(cloud_find(cloud->config->name, &found));
    assert_ptr_equal(found, cloud);
    assert_ptr_equal(cloud->config, &config_clouds[i]);
    assert_non_null(cloud->client_id);
    assert_true(cloud->limits.qos_max >= 1);
    char prefix[16];
    snprintf(prefix, sizeof(prefix), "%s/", cloud->config->name);
    assert_string_equal(cloud->prefix, prefix);
    if (cloud->check.topic)
      assert_memory_equal(cloud->check.topic, prefix, strlen(prefix));
  }
  assert_hf_err(cloud_find("nimbus", &(const struct cloud *){ NULL }), USAGE);
}

/* Each is "PATTERN in|out QOS PREFIX REMOTE-PREFIX", its direction one of the two, its QoS one that the cloud takes. */
static void test_topics_are_mosquittos_lines(void **state)
{
  (void)state;
  for (size_t i = 0; i < CONFIG_CLOUD_COUNT; i++) {
    HF_CLEANUP(hf_freep) char *topics = strdup(clouds[i].topics);
    char *rest = NULL;
    for (char *line = strtok_r(topics, ";", &rest); line; line = strtok_r(NULL, ";", &rest)) {
      char pattern[64], direction[8], local[64], remote[64];
      unsigned qos = 9;
      assert_int_equal(sscanf(line, "%63s %7s %u %63s %63s", pattern, direction, &qos, local, remote), 5);
      assert_true(strcmp(direction, "in") == 0 || strcmp(direction, "out") == 0);
      assert_true(qos <= clouds[i].limits.qos_max);
      assert_memory_equal(local, clouds[i].prefix, strlen(clouds[i].prefix));
    }
  }
}

static void test_expands(void **state)
{
  (void)state;
  assert_expands("", "");
  assert_expands("{id}", "dev-1");
  assert_expands(clouds[CONFIG_CLOUD_AZ].user_name, "hub.example/dev-1/?api-version=2021-04-12");
  assert_expands(clouds[CONFIG_CLOUD_AZ].check.answer_topic, "az/twin/res/200/?$rid=7f");
  assert_expands(clouds[CONFIG_CLOUD_C8Y].creation.payload, "100,dev-1,holdfast");
  assert_expands("{id{id}{else}", "{iddev-1{else}");
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(16), small = HF_BUF(4);
  assert_hf_ok(cloud_expand("{nonce}", &(struct cloud_values){ .id = "x" }, &out));
  assert_string_equal(hf_buf_str(&out), "{nonce}");
  assert_hf_err(cloud_expand("{id}", &values, &small), LIMIT);
}

/* A value is not looked through again: a device named {host} stays one. */
static void test_expands_once(void **state)
{
  (void)state;
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(64);
  assert_hf_ok(cloud_expand("{id}/{host}", &(struct cloud_values){ .id = "{host}", .host = "h" }, &out));
  assert_string_equal(hf_buf_str(&out), "{host}/h");
}

static void with_config(const char *json, void (*test)(const struct config *config))
{
  char path[] = "/tmp/hf-cloud-XXXXXX";
  int fd = mkstemp(path);
  assert_int_equal(write(fd, json, strlen(json)), (ssize_t)strlen(json));
  close(fd);
  HF_CLEANUP(config_freep) struct config *config = NULL;
  assert_hf_ok(config_load(path, &config));
  unlink(path);
  test(config);
}

static void check_addresses(const struct config *config)
{
  struct config_address address;
  const struct cloud *aws = &clouds[CONFIG_CLOUD_AWS], *c8y = &clouds[CONFIG_CLOUD_C8Y];
  assert_hf_ok(cloud_address(aws, config, &address));
  assert_string_equal(address.port, "443");
  assert_string_equal(cloud_alpn(aws, &address), "x-amzn-mqtt-ca");
  assert_null(cloud_alpn(c8y, &address));
  assert_hf_ok(cloud_address(c8y, config, &address));
  assert_string_equal(address.host, "tenant.example");
  assert_string_equal(address.port, "8883");
  assert_null(cloud_alpn(aws, &address));
  assert_hf_err(cloud_address(&clouds[CONFIG_CLOUD_AZ], config, &address), CONFIG);
}

static void test_addresses(void **state)
{
  (void)state;
  with_config("{\"c8y\": {\"url\": \"tenant.example\"}, \"aws\": {\"url\": \"mqtts://x.example:443\"}}",
              check_addresses);
}

static void check_short(const struct config *config)
{
  assert_int_equal(cloud_keepalive(&clouds[CONFIG_CLOUD_AWS], config), 30);
  assert_int_equal(cloud_keepalive(&clouds[CONFIG_CLOUD_MQTT], config), 5);
}

static void check_long(const struct config *config)
{
  assert_int_equal(cloud_keepalive(&clouds[CONFIG_CLOUD_AWS], config), 1200);
  assert_int_equal(cloud_keepalive(&clouds[CONFIG_CLOUD_AZ], config), 1767);
  assert_int_equal(cloud_keepalive(&clouds[CONFIG_CLOUD_C8Y], config), 65535);
}

static void test_keepalive_within_bounds(void **state)
{
  (void)state;
  with_config("{\"mqtt\": {\"bridge\": {\"keepalive_interval\": \"5s\"}}}", check_short);
  with_config("{\"mqtt\": {\"bridge\": {\"keepalive_interval\": \"1d\"}}}", check_long);
}

static void check_link(const struct config *config)
{
  HF_CLEANUP(cloud_link_free) struct cloud_link link = { 0 };
  assert_hf_ok(cloud_link_options(&clouds[CONFIG_CLOUD_AZ], config, "dev-1", &link));
  assert_string_equal(link.address, "hub.example:8883");
  assert_string_equal(link.options.user, "hub.example/dev-1/?api-version=2021-04-12");
  assert_string_equal(link.options.client_id, "dev-1");
  assert_int_equal(link.options.version, MQTT_3_1_1);
  assert_false(link.options.clean);
  assert_string_equal(link.options.dial.root_key, "az.root_cert_path");
  assert_ptr_equal(link.options.dial.proxy, &link.proxy);
  assert_string_equal(link.proxy_address, "[::1]:3128");
  assert_string_equal(link.proxy.user, "me");
  cloud_link_free(&link);
  assert_hf_err(cloud_link_options(&clouds[CONFIG_CLOUD_AWS], config, "dev-1", &link), CONFIG);
}

static void check_https_proxy(const struct config *config)
{
  bool some = false;
  struct proxy proxy;
  assert_hf_err(cloud_proxy(config, &some, &proxy), CONFIG);
}

static void check_no_proxy(const struct config *config)
{
  bool some = true;
  struct proxy proxy;
  assert_hf_ok(cloud_proxy(config, &some, &proxy));
  assert_false(some);
  const struct link_options local = cloud_local_link(config, "me");
  assert_string_equal(local.dial.address.host, "127.0.0.1");
  assert_string_equal(local.dial.address.port, "1883");
  assert_false(local.dial.tls);
}

static void check_proxy_port(const struct config *config)
{
  bool some = false;
  struct proxy proxy;
  assert_hf_ok(cloud_proxy(config, &some, &proxy));
  assert_true(some);
  assert_string_equal(proxy.address.host, "proxy.example");
  assert_string_equal(proxy.address.port, "1080");
  assert_null(proxy.user);
}

static void test_links(void **state)
{
  (void)state;
  with_config("{\"az\": {\"url\": \"hub.example\"}, \"device\": {\"key_uri\": \"pkcs11:object=k\"},"
              "\"proxy\": {\"address\": \"http://[::1]:3128/\", \"username\": \"me\"}}",
              check_link);
  with_config("{\"proxy\": {\"address\": \"https://proxy.example\"}}", check_https_proxy);
  with_config("{\"proxy\": {\"address\": \"http://proxy.example\"}}", check_proxy_port);
  with_config("{}", check_no_proxy);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_rows_are_whole), cmocka_unit_test(test_topics_are_mosquittos_lines),
    cmocka_unit_test(test_expands),        cmocka_unit_test(test_expands_once),
    cmocka_unit_test(test_addresses),      cmocka_unit_test(test_keepalive_within_bounds),
    cmocka_unit_test(test_links),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
