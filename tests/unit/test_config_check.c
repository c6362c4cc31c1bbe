/* SPDX-License-Identifier: Apache-2.0 */
/* What each type of value allows, and that every row is sound. */
#include "config/address.h"
#include "config/check.h"
#include "hf_test.h"

#define ID_64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define HOST_250 ID_64 ID_64 ID_64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789"

static const struct {
  enum config_key key;
  const char *good[6];
  const char *bad[10];
} values[] = {
  { CONFIG_DEVICE_ID, { "device-1", "Gerät 7", ID_64 }, { "", "a/b", "a+", "#", "tab\there", ID_64 "x" } },
  { CONFIG_DEVICE_CSR_PATH, { "/a", "/etc/x y.pem" }, { "", "cert.pem", "./a", "~/a", "/new\nline" } },
  { CONFIG_DEVICE_CERT_PATH,
    { "/a", "pkcs11:token=t;object=c", "pkcs11:token=t;id=%01;type=cert?module-path=/m.so" },
    { "", "cert.pem", "/new\nline", "pkcs11:token=t;type=private", "pkcs11:token=t;type=cert?pin-value=1" } },
  { CONFIG_MQTT_SERVER_KEY_URI,
    { "/key.pem", "pkcs11:token=t;object=k;type=private" },
    { "", "key.pem", "file:///key.pem", "pkcs11:id=%0", "pkcs11:type=door" } },
  { CONFIG_MQTT_BRIDGE_BUILT_IN, { "true", "false" }, { "", "yes", "1", "True" } },
  { CONFIG_DEVICE_CRYPTOKI_MODE, { "off", "module", "socket" }, { "", "mod", "modules", "off|module", "|" } },
  { CONFIG_DEVICE_KEY_URI,
    { "pkcs11:", "pkcs11:token=t;object=k;type=private", "pkcs11:id=%01?pin-source=/x" },
    { "", "/key.pem", "pkcs11", "pkcs11:id=%0", "pkcs11:token=a;token=b", "pkcs11:type=door" } },
  { CONFIG_MQTT_URL,
    { "h", "broker.example:8883", "mqtts://broker.example", "mqtts://b:1", "[::1]:65535", "127.0.0.1" },
    { "", ":8883", "h:", "h:0", "h:65536", "h:88x", "mqtt://h", "https://h", "a b", "h:1/path" } },
  { CONFIG_MQTT_CONNECT_TOPIC, { "a/b", "te/device/main///e/up", "{id}" }, { "", "a/#", "+/b", "\x01" } },
  { CONFIG_DEVICE_CRYPTOKI_PIN_SOURCE,
    { "/run/pin", "env:PIN", "credential:pin", "file:/run/pin" },
    { "", "1234", "env:", "credential:", "file:", "pin.txt" } },
  { CONFIG_DEVICE_CRYPTOKI_PIN, { "1", "any bytes: \"'" }, { "" } },
  { CONFIG_CERTIFICATE_ORGANIZATION, { "Holdfast Inc.", "Über" }, { "", "a\tb", ID_64 "x" } },
  { CONFIG_EST_URL,
    { "https://ca", "https://ca:8443/.well-known/est/label", "http://[::1]:80" },
    { "", "ca", "ftp://ca", "https://", "https://a b", "https://u@ca", "https://ca:0/", "https://ca/?x" } },
  { CONFIG_MQTT_BIND_ADDRESS, { "127.0.0.1", "::1", "gateway.local" }, { "", "a:1", "a b", "-a", "[::1]" } },
  { CONFIG_CA_SERVER_NAMES,
    { "ca.example", "ca.example,192.0.2.1,2001:db8::1" },
    { "", ",", "a,", ",a", "a,,b", "a, b", "a:1", "[::1]" } },
  { CONFIG_MQTT_BIND_PORT, { "1", "1883", "65535" }, { "", "0", "65536", "-1", "1 ", "0x10", "1s" } },
  { CONFIG_MQTT_BRIDGE_WINDOW, { "1", "65535" }, { "", "0", "65536", "1.5" } },
  { CONFIG_CERTIFICATE_VALIDITY_REQUESTED_DURATION,
    { "1s", "90m", "24h", "365d" },
    { "", "0d", "1", "d", "1w", "-1d", "99999999999d", "1 d" } },
  { CONFIG_MQTT_BRIDGE_SPOOL_MAX_SIZE,
    { "1", "64KiB", "256MiB", "1024GiB" },
    { "", "0", "1MB", "1025GiB", "KiB", "1.5GiB" } },
  { CONFIG_C8Y_BRIDGE_TOPICS, { "# out 1 a/ b/", "a; b in" }, { "", "a\nb", "a x", "a/#; b out 3" } },
};

static void test_each_type_allows_and_refuses(void **state)
{
  (void)state;
  bool seen[CONFIG_TYPE_COUNT] = { false };
  for (size_t i = 0; i < HF_ARRAY_LEN(values); i++) {
    const struct config_row *row = config_row(values[i].key);
    seen[row->type] = true;
    for (size_t j = 0; j < HF_ARRAY_LEN(values[i].good) && values[i].good[j]; j++)
      if (config_check(row, values[i].good[j]))
        fail_msg("%s refuses '%s'", row->key, values[i].good[j]);
    for (size_t j = 0; j < HF_ARRAY_LEN(values[i].bad) && values[i].bad[j]; j++)
      if (!config_check(row, values[i].bad[j]))
        fail_msg("%s allows '%s'", row->key, values[i].bad[j]);
  }
  for (size_t type = 0; type < CONFIG_TYPE_COUNT; type++)
    assert_true(seen[type]);
}

static void test_numbers_have_units(void **state)
{
  (void)state;
  static const struct {
    enum config_type type;
    const char *value;
    uint64_t number;
  } numbers[] = { { CONFIG_TYPE_PORT, "1883", 1883 },
                  { CONFIG_TYPE_DURATION, "90s", 90 },
                  { CONFIG_TYPE_DURATION, "30d", 30 * 86400 },
                  { CONFIG_TYPE_SIZE, "7", 7 },
                  { CONFIG_TYPE_SIZE, "256MiB", 256 * 1024 * 1024 } };
  for (size_t i = 0; i < HF_ARRAY_LEN(numbers); i++) {
    uint64_t number = 0;
    assert_true(config_number(numbers[i].type, numbers[i].value, &number));
    assert_int_equal(number, numbers[i].number);
  }
}

static void test_every_default_is_allowed(void **state)
{
  (void)state;
  for (enum config_key key = 0; key < CONFIG_KEY_COUNT; key++) {
    const struct config_row *row = config_row(key);
    assert_true(row->help[0]);
    if (row->default_value)
      assert_null(config_check(row, row->default_value));
  }
}

static void test_secrets(void **state)
{
  (void)state;
  for (enum config_key key = 0; key < CONFIG_KEY_COUNT; key++)
    assert_int_equal(config_is_secret(key), key == CONFIG_DEVICE_CRYPTOKI_PIN || key == CONFIG_PROXY_PASSWORD);
}

static void test_nearest(void **state)
{
  (void)state;
  assert_string_equal(config_nearest("device.iid"), "device.id");
  assert_string_equal(config_nearest("device.cryptoki.modul"), "device.cryptoki.mode");
  assert_string_equal(config_nearest("mqtt.bridge.builtin"), "mqtt.bridge.built_in");
  assert_non_null(config_nearest(""));
  assert_non_null(config_nearest(HOST_250 HOST_250));
}

static void test_addresses(void **state)
{
  (void)state;
  struct config_address address;
  char text[300];
  assert_true(config_address_parse("mqtts://h.example", "8883", &address));
  assert_string_equal(address.host, "h.example");
  assert_string_equal(address.port, "8883");
  assert_true(config_address_parse("[2001:db8::1]:99", "8883", &address));
  assert_string_equal(address.host, "2001:db8::1");
  config_address_format(&address, text, sizeof(text));
  assert_string_equal(text, "[2001:db8::1]:99");
  static const char *const bad[] = { "[::1", "[]:1", "[host]:1", "::1", "-h", ".h", "h:000001", HOST_250 "abcd" };
  for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++) {
    assert_false(config_address_parse(bad[i], "8883", &address));
    assert_string_equal(address.port, "99");
  }
  assert_true(config_address_parse(HOST_250 "abc", "8883", &address));
}

static void test_a_wrong_topic_rule_is_named(void **state)
{
  (void)state;
  const char *must_be = config_check(config_row(CONFIG_AWS_BRIDGE_TOPICS), "td/# out 1 aws/ t/; cmd/# into 1");
  assert_contains(must_be, "rule 2, 'cmd/# into 1': the direction");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_each_type_allows_and_refuses),
    cmocka_unit_test(test_numbers_have_units),
    cmocka_unit_test(test_every_default_is_allowed),
    cmocka_unit_test(test_secrets),
    cmocka_unit_test(test_nearest),
    cmocka_unit_test(test_a_wrong_topic_rule_is_named),
    cmocka_unit_test(test_addresses),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
