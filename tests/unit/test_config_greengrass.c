/* SPDX-License-Identifier: Apache-2.0 */
/* Greengrass's config.json: what becomes of each key, each of them wrong in each way, and the lines of JSON. */
#include "config/greengrass.h"
#include "config/json_line.h"
#include "hf_test.h"

#define PATH "/greengrass/config/config.json"

/* As the tutorial prints it in the end, a key a line. */
static const char final[] = "{\n"
                            "\"coreThing\": {\n"
                            "\"thingArn\": \"arn:partition:iot:region:account-id:thing/core-thing-name\",\n"
                            "\"iotHost\": \"host-prefix-ats.iot.region.amazonaws.com\",\n"
                            "\"ggHost\": \"greengrass-ats.iot.region.amazonaws.com\",\n"
                            "\"keepAlive\": 600\n"
                            "},\n"
                            "\"runtime\": {\n"
                            "\"cgroup\": {\n"
                            "\"useSystemd\": \"yes\"\n"
                            "}\n"
                            "},\n"
                            "\"managedRespawn\": false,\n"
                            "\"crypto\": {\n"
                            "\"PKCS11\": {\n"
                            "\"P11Provider\": \"/usr/lib/softhsm/libsofthsm2.so\",\n"
                            "\"slotLabel\": \"greengrass\",\n"
                            "\"slotUserPin\": \"1234\"\n"
                            "},\n"
                            "\"principals\": {\n"
                            "\"MQTTServerCertificate\": {\n"
                            "\"privateKeyPath\": \"pkcs11:object=iotkey;type=private\"\n"
                            "},\n"
                            "\"SecretsManager\": {\n"
                            "\"privateKeyPath\": \"pkcs11:object=iotkey;type=private\"\n"
                            "},\n"
                            "\"IoTCertificate\": {\n"
                            "\"certificatePath\": \"file://certs/core.crt\",\n"
                            "\"privateKeyPath\": \"pkcs11:object=iotkey;type=private\"\n"
                            "}\n"
                            "},\n"
                            "\"caPath\": \"file://certs/root.ca.pem\"\n"
                            "}\n"
                            "}\n";

/* As the console hands it out, before crypto is added; and older ones. */
static const char old[] = "{\"coreThing\": {\"caPath\": \"root.ca.pem\", \"certPath\": \"hash.cert.pem\",\n"
                          "\"keyPath\": \"hash.private.key\",\n"
                          "\"thingArn\": \"arn:aws:iot:r:1:thing/old\", \"iotHost\": \"h.example\"}}";

static json_t *root;

static struct greengrass *read_text(const char *text)
{
  json_error_t error;
  struct greengrass *gg = NULL;
  root = json_loads(text, JSON_REJECT_DUPLICATES, &error);
  if (!root)
    fail_msg("line %d: %s", error.line, error.text);
  assert_true(greengrass_is(root));
  assert_hf_ok(greengrass_read(root, hf_slice(text, strlen(text)), PATH, &gg));
  return gg;
}

static struct greengrass *end(struct greengrass *gg)
{
  json_decref(root);
  return greengrass_free(gg);
}

static void assert_value(const struct greengrass *gg, enum config_key key, const char *expected)
{
  const char *value = greengrass_get(gg, key);
  if (expected ? !value || strcmp(value, expected) != 0 : value != NULL)
    fail_msg("%s is %s, not %s", config_row(key)->key, value ? value : "unset", expected ? expected : "unset");
}

/* The final file with one of its lines, which begins so, replaced; NULL takes it out, with the comma that it leaves. */
static char *edit(const char *starts, unsigned nth, const char *with)
{
  static char out[8192];
  const char *at = strstr(final, starts);
  while (nth-- > 0 && at)
    at = strstr(at + 1, starts);
  assert_non_null(at);
  const char *end_of = strchr(at, '\n');
  bool comma = end_of[-1] == ',';
  int before = (int)(at - final);
  if (!with && !comma)
    before -= 2; /* the comma of the line before, and its end */
  snprintf(out, sizeof(out), "%.*s%s%s%s", before, final, with ? with : "", with && comma ? "," : "",
           with || !comma ? end_of : end_of + 1);
  return out;
}

static const struct greengrass_problem *find(const struct greengrass *gg, enum greengrass_severity severity,
                                             const char *key)
{
  for (size_t i = 0; i < greengrass_problem_count(gg); i++)
    if (greengrass_problem(gg, i)->severity == severity && strcmp(greengrass_problem(gg, i)->key, key) == 0)
      return greengrass_problem(gg, i);
  return NULL;
}

static void assert_problem(const char *text, enum greengrass_severity severity, const char *key, const char *part)
{
  struct greengrass *gg = read_text(text);
  const struct greengrass_problem *problem = find(gg, severity, key);
  if (!problem || !strstr(problem->text, part)) {
    for (size_t i = 0; i < greengrass_problem_count(gg); i++)
      print_error("  %s %s\n", greengrass_problem(gg, i)->key, greengrass_problem(gg, i)->text);
    fail_msg("no problem '%s ... %s' in:\n%s", key, part, text);
  }
  hf_err first = greengrass_first(gg, GREENGRASS_ERROR);
  assert_int_equal(first.code, severity == GREENGRASS_ERROR ? HF_ERR_CONFIG : HF_ERR_OK);
  end(gg);
}

/* What becomes of it */

static void test_the_tutorial_s_file(void **state)
{
  (void)state;
  struct greengrass *gg = read_text(final);
  static const struct {
    enum config_key key;
    const char *value;
  } values[] = {
    { CONFIG_DEVICE_ID, "core-thing-name" },
    { CONFIG_DEVICE_KEY_URI, "pkcs11:token=greengrass;object=iotkey;type=private" },
    { CONFIG_DEVICE_CERT_PATH, "/greengrass/certs/core.crt" },
    { CONFIG_DEVICE_KEY_PATH, NULL },
    { CONFIG_DEVICE_CRYPTOKI_MODULE_PATH, "/usr/lib/softhsm/libsofthsm2.so" },
    { CONFIG_DEVICE_CRYPTOKI_URI, "pkcs11:token=greengrass" },
    { CONFIG_DEVICE_CRYPTOKI_PIN, "1234" },
    { CONFIG_AWS_URL, "host-prefix-ats.iot.region.amazonaws.com" },
    { CONFIG_AWS_ROOT_CERT_PATH, "/greengrass/certs/root.ca.pem" },
    { CONFIG_AWS_BRIDGE_ENABLED, "true" },
    { CONFIG_MQTT_SERVER_ENABLED, "true" },
    { CONFIG_MQTT_SERVER_KEY_URI, "pkcs11:token=greengrass;object=iotkey;type=private" },
    { CONFIG_SECRETS_KEY_URI, "pkcs11:token=greengrass;object=iotkey;type=private" },
    { CONFIG_MQTT_BRIDGE_KEEPALIVE_INTERVAL, "600s" },
    { CONFIG_MQTT_BRIDGE_RECONNECT_MAXIMUM, "60s" },
    { CONFIG_MQTT_BRIDGE_SPOOL_MAX_SIZE, NULL },
    { CONFIG_DATA_PATH, NULL },
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(values); i++)
    assert_value(gg, values[i].key, values[i].value);
  for (size_t i = 0; i < greengrass_problem_count(gg); i++)
    assert_int_equal(greengrass_problem(gg, i)->severity, GREENGRASS_NOTE);
  assert_hf_ok(greengrass_first(gg, GREENGRASS_REFUSED));
  unsigned line = 0;
  assert_string_equal(greengrass_origin(gg, CONFIG_AWS_ROOT_CERT_PATH, &line), "crypto.caPath");
  assert_int_equal(line, 32);
  assert_null(greengrass_origin(gg, CONFIG_DATA_PATH, &line));
  end(gg);
}

static void test_the_old_form(void **state)
{
  (void)state;
  struct greengrass *gg = read_text(old);
  assert_hf_ok(greengrass_first(gg, GREENGRASS_ERROR));
  assert_value(gg, CONFIG_DEVICE_ID, "old");
  assert_value(gg, CONFIG_DEVICE_CERT_PATH, "/greengrass/certs/hash.cert.pem");
  assert_value(gg, CONFIG_AWS_ROOT_CERT_PATH, "/greengrass/certs/root.ca.pem");
  assert_value(gg, CONFIG_DEVICE_KEY_PATH, "/greengrass/certs/hash.private.key");
  assert_value(gg, CONFIG_DEVICE_KEY_URI, NULL);
  hf_err e = greengrass_first(gg, GREENGRASS_REFUSED);
  assert_hf_err(e, CONFIG);
  assert_contains(hf_err_context(), "line 2: coreThing.keyPath is a key in a file");
  assert_contains(hf_err_hint(e), "holdfast key import /greengrass/certs/hash.private.key");
  end(gg);
}

static void test_the_other_keys(void **state)
{
  (void)state;
  struct greengrass *gg = read_text(
      "{\"coreThing\": {\"thingArn\": \"arn:aws:iot:r:1:thing/t\", \"iotHost\": \"h\", \"iotMqttPort\": 443, "
      "\"keepAlive\": 30, \"ggMqttPort\": 9000, \"networkProxy\": {\"noProxyAddresses\": \"x\", \"proxy\": {\"url\": "
      "\"http://proxy:3128\", \"username\": \"me\", \"password\": \"secret\"}}},"
      "\"crypto\": {\"caPath\": \"file:///ca.pem\", \"PKCS11\": {\"P11Provider\": \"/m.so\", \"slotLabel\": \"a b\", "
      "\"OpenSSLEngine\": \"/e.so\"}, \"principals\": {\"IoTCertificate\": {\"privateKeyPath\": \"pkcs11:id=%00%01\", "
      "\"certificatePath\": \"pkcs11:object=c;type=cert\"}, \"MQTTServerCertificate\": {\"privateKeyPath\": "
      "\"file:///server.key\"}, \"SecretsManager\": {\"privateKeyPath\": \"file://certs/secrets.key\"}}},"
      "\"runtime\": {\"GG_CONFIG_STORAGE_TYPE\": \"Memory\", \"GG_CONFIG_MAX_SIZE_BYTES\": \"300000\"},"
      "\"mqttMaxConnectionRetryInterval\": 90, \"writeDirectory\": \"/w\", \"pidFileDirectory\": \"/p\"}");
  static const struct {
    enum config_key key;
    const char *value;
  } values[] = {
    { CONFIG_AWS_URL, "h:443" },
    { CONFIG_MQTT_BRIDGE_KEEPALIVE_INTERVAL, "30s" },
    { CONFIG_MQTT_SERVER_BIND_PORT, "9000" },
    { CONFIG_PROXY_ADDRESS, "http://proxy:3128" },
    { CONFIG_PROXY_USERNAME, "me" },
    { CONFIG_PROXY_PASSWORD, "secret" },
    { CONFIG_DEVICE_CRYPTOKI_URI, "pkcs11:token=a%20b" },
    { CONFIG_DEVICE_KEY_URI, "pkcs11:token=a%20b;id=%00%01;type=private" },
    { CONFIG_DEVICE_CERT_PATH, "pkcs11:object=c;type=cert" },
    { CONFIG_MQTT_SERVER_KEY_URI, "/server.key" },
    { CONFIG_SECRETS_KEY_URI, "/greengrass/certs/secrets.key" },
    { CONFIG_MQTT_BRIDGE_SPOOL_MAX_SIZE, "300000" },
    { CONFIG_MQTT_BRIDGE_SPOOL_OVERFLOW, "drop-oldest" },
    { CONFIG_MQTT_BRIDGE_SPOOL_DURABILITY, "process" },
    { CONFIG_MQTT_BRIDGE_RECONNECT_MAXIMUM, "90s" },
    { CONFIG_DATA_PATH, "/w/holdfast" },
    { CONFIG_RUN_PATH, "/p/holdfast" },
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(values); i++)
    assert_value(gg, values[i].key, values[i].value);
  assert_hf_ok(greengrass_first(gg, GREENGRASS_ERROR));
  assert_hf_ok(greengrass_first(gg, GREENGRASS_REFUSED)); /* those two may be files, as in the guide */
  assert_non_null(find(gg, GREENGRASS_WARNING, "crypto.PKCS11.slotUserPin"));
  assert_non_null(find(gg, GREENGRASS_NOTE, "crypto.PKCS11.OpenSSLEngine"));
  end(gg);
}

static void test_the_spooler_s_kinds(void **state)
{
  (void)state;
  struct greengrass *gg = read_text(edit("\"cgroup\"", 0, "\"GG_CONFIG_STORAGE_TYPE\": \"Memory\", \"cgroup\": {"));
  assert_value(gg, CONFIG_MQTT_BRIDGE_SPOOL_MAX_SIZE, "2621440");
  end(gg);
  gg = read_text(edit("\"cgroup\"", 0, "\"GG_CONFIG_STORAGE_TYPE\": \"FileSystem\", \"cgroup\": {"));
  assert_value(gg, CONFIG_MQTT_BRIDGE_SPOOL_DURABILITY, "power");
  assert_value(gg, CONFIG_MQTT_BRIDGE_SPOOL_MAX_SIZE, NULL);
  end(gg);
}

/* What is wrong with it */

/* A line of the final file, what it may be replaced by, and what is said then. */
static const struct {
  const char *line;
  unsigned nth;
  const char *with; /* NULL: nothing */
  const char *key, *part;
} wrong[] = {
  { "\"thingArn\"", 0, NULL, "coreThing.thingArn", "is missing" },
  { "\"thingArn\"", 0, "\"thingArn\": \"\"", "coreThing.thingArn", "a string" },
  { "\"thingArn\"", 0, "\"thingArn\": 1", "coreThing.thingArn", "a string" },
  { "\"thingArn\"", 0, "\"thingArn\": null", "coreThing.thingArn", "a string" },
  { "\"thingArn\"", 0, "\"thingArn\": \"core-thing-name\"", "coreThing.thingArn", "ARN" },
  { "\"thingArn\"", 0, "\"thingArn\": \"arn:a:iot:r:1:thing/\"", "coreThing.thingArn", "ARN" },
  { "\"thingArn\"", 0, "\"thingArn\": \"arn:a:iot:r:1:thing/a/b\"", "coreThing.thingArn", "ARN" },
  { "\"thingArn\"", 0, "\"thingArn\": \"arn:a:iot:r:1:cert/x\"", "coreThing.thingArn", "ARN" },
  { "\"iotHost\"", 0, NULL, "coreThing.iotHost", "is missing" },
  { "\"iotHost\"", 0, "\"iotHost\": []", "coreThing.iotHost", "a string" },
  { "\"iotHost\"", 0, "\"iotHost\": \"https://h\"", "coreThing.iotHost", "host's name" },
  { "\"iotHost\"", 0, "\"iotHost\": \"h:8883\"", "coreThing.iotHost", "host's name" },
  { "\"iotHost\"", 0, "\"iotHost\": \"a b\"", "coreThing.iotHost", "host's name" },
  { "\"iotHost\"", 0, "\"iotHost\": \"h\", \"iotMqttPort\": 0", "coreThing.iotMqttPort", "1 to 65535" },
  { "\"iotHost\"", 0, "\"iotHost\": \"h\", \"iotMqttPort\": 65536", "coreThing.iotMqttPort", "1 to 65535" },
  { "\"iotHost\"", 0, "\"iotHost\": \"h\", \"iotMqttPort\": \"8883\"", "coreThing.iotMqttPort", "whole number" },
  { "\"iotHost\"", 0, "\"iotHost\": \"h\", \"ggMqttPort\": 1023", "coreThing.ggMqttPort", "1024 to 65535" },
  { "\"iotHost\"", 0, "\"iotHost\": \"h\", \"networkProxy\": true", "coreThing.networkProxy", "object" },
  { "\"iotHost\"", 0, "\"iotHost\": \"h\", \"networkProxy\": {\"proxy\": {\"url\": \"socks5://p\"}}",
    "coreThing.networkProxy.proxy.url", "http://HOST:PORT" },
  { "\"iotHost\"", 0, "\"iotHost\": \"h\", \"networkProxy\": {\"proxy\": {\"url\": \"http://u:p@p\"}}",
    "coreThing.networkProxy.proxy.url", "http://HOST:PORT" },
  { "\"ggHost\"", 0, "\"ggHost\": 7", "coreThing.ggHost", "a string" },
  { "\"keepAlive\"", 0, "\"keepAlive\": 29", "coreThing.keepAlive", "30 to 1200" },
  { "\"keepAlive\"", 0, "\"keepAlive\": 1201", "coreThing.keepAlive", "30 to 1200" },
  { "\"keepAlive\"", 0, "\"keepAlive\": 600.5", "coreThing.keepAlive", "whole number" },
  { "\"keepAlive\"", 0, "\"keepAlive\": -600", "coreThing.keepAlive", "whole number" },
  { "\"keepAlive\"", 0, "\"keepAlive\": \"600\"", "coreThing.keepAlive", "whole number" },
  { "\"useSystemd\"", 0, "\"useSystemd\": true", "runtime.cgroup.useSystemd", "\"yes\" or \"no\"" },
  { "\"useSystemd\"", 0, "\"useSystemd\": \"maybe\"", "runtime.cgroup.useSystemd", "\"yes\" or \"no\"" },
  { "\"cgroup\"", 0, "\"GG_CONFIG_STORAGE_TYPE\": \"Disk\", \"cgroup\": {", "runtime.GG_CONFIG_STORAGE_TYPE",
    "\"FileSystem\"" },
  { "\"cgroup\"", 0, "\"GG_CONFIG_MAX_SIZE_BYTES\": 262143, \"cgroup\": {", "runtime.GG_CONFIG_MAX_SIZE_BYTES",
    "262144 or more" },
  { "\"cgroup\"", 0, "\"GG_CONFIG_MAX_SIZE_BYTES\": \"1MiB\", \"cgroup\": {", "runtime.GG_CONFIG_MAX_SIZE_BYTES",
    "262144 or more" },
  { "\"cgroup\"", 0, "\"GG_CONFIG_MAX_SIZE_BYTES\": {}, \"cgroup\": {", "runtime.GG_CONFIG_MAX_SIZE_BYTES",
    "262144 or more" },
  { "\"managedRespawn\"", 0, "\"managedRespawn\": \"no\"", "managedRespawn", "true or false" },
  { "\"managedRespawn\"", 0, "\"mqttMaxConnectionRetryInterval\": 0", "mqttMaxConnectionRetryInterval", "1 to" },
  { "\"managedRespawn\"", 0, "\"writeDirectory\": \"var\"", "writeDirectory", "absolute path" },
  { "\"managedRespawn\"", 0, "\"pidFileDirectory\": \"./run\"", "pidFileDirectory", "absolute path" },
  { "\"managedRespawn\"", 0, "\"holdfast\": []", "holdfast", "object" },
  { "\"P11Provider\"", 0, NULL, "crypto.PKCS11.P11Provider", "is missing" },
  { "\"P11Provider\"", 0, "\"P11Provider\": \"libsofthsm2.so\"", "crypto.PKCS11.P11Provider", "absolute path" },
  { "\"P11Provider\"", 0, "\"P11Provider\": \"\"", "crypto.PKCS11.P11Provider", "a string" },
  { "\"P11Provider\"", 0, "\"P11Provider\": \"/a\\nb\"", "crypto.PKCS11.P11Provider", "absolute path" },
  { "\"slotLabel\"", 0, NULL, "crypto.PKCS11.slotLabel", "is missing" },
  { "\"slotLabel\"", 0, "\"slotLabel\": 0", "crypto.PKCS11.slotLabel", "a string" },
  { "\"slotLabel\"", 0, "\"slotLabel\": \"0123456789012345678901234567890123\"", "crypto.PKCS11.slotLabel",
    "32 bytes" },
  { "\"slotUserPin\"", 0, "\"slotUserPin\": 1234", "crypto.PKCS11.slotUserPin", "a string" },
  { "\"slotUserPin\"", 0, "\"slotUserPin\": \"\"", "crypto.PKCS11.slotUserPin", "a string" },
  { "\"privateKeyPath\"", 0, "\"privateKeyPath\": \"iotkey\"", "crypto.principals.MQTTServerCertificate.privateKeyPath",
    "file's URI" },
  { "\"privateKeyPath\"", 0, "\"privateKeyPath\": {}", "crypto.principals.MQTTServerCertificate.privateKeyPath",
    "a string" },
  { "\"privateKeyPath\"", 1, "\"privateKeyPath\": \"file://\"", "crypto.principals.SecretsManager.privateKeyPath",
    "file's URI" },
  { "\"privateKeyPath\"", 2, NULL, "crypto.principals.IoTCertificate.privateKeyPath", "is missing" },
  { "\"privateKeyPath\"", 2, "\"privateKeyPath\": \"pkcs11:object=a;object=b\"",
    "crypto.principals.IoTCertificate.privateKeyPath", "RFC 7512" },
  { "\"privateKeyPath\"", 2, "\"privateKeyPath\": \"pkcs11:object=%zz\"",
    "crypto.principals.IoTCertificate.privateKeyPath", "RFC 7512" },
  { "\"privateKeyPath\"", 2, "\"privateKeyPath\": \"pkcs11:type=private\"",
    "crypto.principals.IoTCertificate.privateKeyPath", "name the key" },
  { "\"privateKeyPath\"", 2, "\"privateKeyPath\": \"pkcs11:object=iotkey;type=public\"",
    "crypto.principals.IoTCertificate.privateKeyPath", "type=private" },
  { "\"privateKeyPath\"", 2, "\"privateKeyPath\": \"pkcs11:token=other;object=iotkey\"",
    "crypto.principals.IoTCertificate.privateKeyPath", "another token" },
  { "\"privateKeyPath\"", 2, "\"privateKeyPath\": \"pkcs11:object=iotkey?pin-value=1234\"",
    "crypto.principals.IoTCertificate.privateKeyPath", "has a PIN in it" },
  { "\"certificatePath\"", 0, NULL, "crypto.principals.IoTCertificate.certificatePath", "is missing" },
  { "\"certificatePath\"", 0, "\"certificatePath\": \"core.crt\"", "crypto.principals.IoTCertificate.certificatePath",
    "file's URI" },
  { "\"certificatePath\"", 0, "\"certificatePath\": \"pkcs11:type=private\"",
    "crypto.principals.IoTCertificate.certificatePath", "device.cert_path" },
  { "\"caPath\"", 0, "\"caPath\": \"https://ca\"", "crypto.caPath", "file's URI" },
  { "\"caPath\"", 0, "\"caPath\": \"\"", "crypto.caPath", "a string" },
  { "\"caPath\"", 0, "\"caPath\": [\"file:///ca.pem\"]", "crypto.caPath", "a string" },
  { "\"caPath\"", 0, "\"CAPath\": \"file:///ca.pem\"", "crypto.caPath", "is missing" },
};

static void test_each_field_wrong_in_each_way(void **state)
{
  (void)state;
  for (size_t i = 0; i < HF_ARRAY_LEN(wrong); i++)
    assert_problem(edit(wrong[i].line, wrong[i].nth, wrong[i].with), GREENGRASS_ERROR, wrong[i].key, wrong[i].part);
}

static void test_whole_objects_that_are_not_there(void **state)
{
  (void)state;
  static const struct {
    const char *text, *key, *part;
  } rows[] = {
    { "{\"crypto\": {}}", "coreThing", "is missing" },
    { "{\"crypto\": {}}", "crypto.caPath", "is missing" },
    { "{\"crypto\": {}}", "crypto.principals", "is missing" },
    { "{\"crypto\": 1, \"coreThing\": {}}", "crypto", "must be an object" },
    { "{\"coreThing\": []}", "coreThing", "must be an object" },
    { "{\"coreThing\": {}}", "coreThing.keyPath", "is missing" },
    { "{\"coreThing\": {}}", "coreThing.caPath", "is missing" },
    { "{\"crypto\": {\"principals\": {}}}", "crypto.principals.IoTCertificate", "is missing" },
    { "{\"crypto\": {\"principals\": {\"IoTCertificate\": {\"privateKeyPath\": \"pkcs11:object=k\"}}}}",
      "crypto.PKCS11", "is missing" },
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++)
    assert_problem(rows[i].text, GREENGRASS_ERROR, rows[i].key, rows[i].part);
  /* Of what cannot be there, only the object that is missing is told. */
  struct greengrass *gg = read_text("{\"crypto\": {}}");
  assert_null(find(gg, GREENGRASS_ERROR, "coreThing.thingArn"));
  assert_null(find(gg, GREENGRASS_ERROR, "crypto.principals.IoTCertificate.privateKeyPath"));
  end(gg);
}

static void test_names_that_are_unknown(void **state)
{
  (void)state;
  static const struct {
    const char *line, *with, *key, *part;
  } rows[] = {
    { "\"keepAlive\"", "\"keepalive\": 600", "coreThing.keepalive", "did you mean keepAlive?" },
    { "\"keepAlive\"", "\"useSystemd\": \"yes\"", "coreThing.useSystemd", "did you mean runtime.cgroup.useSystemd?" },
    { "\"managedRespawn\"", "\"managedRespwan\": true", "managedRespwan", "did you mean managedRespawn?" },
    { "\"managedRespawn\"", "\"something\": {\"else\": 1}", "something", "passed over" },
    { "\"managedRespawn\"", "\"slotlabel\": 1", "slotlabel", "did you mean crypto.PKCS11.slotLabel?" },
    { "\"slotUserPin\"", "\"slotUserPIN\": \"1234\"", "crypto.PKCS11.slotUserPIN", "did you mean slotUserPin?" },
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++)
    assert_problem(edit(rows[i].line, 0, rows[i].with), GREENGRASS_WARNING, rows[i].key, rows[i].part);
}

/* No value of a secret is in any text. */
static void test_no_pin_is_told(void **state)
{
  (void)state;
  struct greengrass *gg =
      read_text(edit("\"privateKeyPath\"", 2, "\"privateKeyPath\": \"pkcs11:object=iotkey?pin-value=98765\""));
  for (size_t i = 0; i < greengrass_problem_count(gg); i++) {
    const struct greengrass_problem *problem = greengrass_problem(gg, i);
    assert_null(strstr(problem->text, "98765"));
    assert_null(strstr(problem->hint, "98765"));
  }
  end(gg);
}

/* Lines */

static void test_lines_of_keys(void **state)
{
  (void)state;
  static const char text[] =
      "{\n \"a\": {\n  \"b\": [ {\"c\": 1},\n  \"x\" ],\n  \"c\": \"\\\"}{\",\n  \"d\":\n {\"e\":\n0}\n "
      "},\n \"d\" : 1, \"a.b\": 2 }";
  static const struct {
    const char *path;
    unsigned line;
  } rows[] = { { "a", 2 },   { "a.b", 3 },   { "a.c", 5 },  { "a.d", 6 }, { "a.d.e", 7 },   { "d", 10 },
               { "a.x", 2 }, { "a.b.c", 3 }, { "none", 1 }, { "", 1 },    { "a.d.none", 6 } };
  for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++)
    if (json_line(hf_slice(text, strlen(text)), rows[i].path) != rows[i].line)
      fail_msg("%s is on line %u", rows[i].path, json_line(hf_slice(text, strlen(text)), rows[i].path));
}

static void test_lines_of_what_is_no_json(void **state)
{
  (void)state;
  static const char *const texts[] = { "", "\"", "\"a\\", "{\"a\"", "}}}}", "]", "{{{{\"a\":", "\"a\":\n1" };
  for (size_t i = 0; i < HF_ARRAY_LEN(texts); i++)
    assert_int_equal(json_line(hf_slice(texts[i], strlen(texts[i])), "a") >= 1, 1);
  static const char nul[] = "{\"a\0bcdefgh\": 1}";
  assert_int_equal(json_line(hf_slice(nul, sizeof(nul) - 1), "a"), 1);
  char deep[400];
  memset(deep, '[', sizeof(deep));
  assert_int_equal(json_line(hf_slice(deep, sizeof(deep)), "a"), 1);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_the_tutorial_s_file),
    cmocka_unit_test(test_the_old_form),
    cmocka_unit_test(test_the_other_keys),
    cmocka_unit_test(test_the_spooler_s_kinds),
    cmocka_unit_test(test_each_field_wrong_in_each_way),
    cmocka_unit_test(test_whole_objects_that_are_not_there),
    cmocka_unit_test(test_names_that_are_unknown),
    cmocka_unit_test(test_no_pin_is_told),
    cmocka_unit_test(test_lines_of_keys),
    cmocka_unit_test(test_lines_of_what_is_no_json),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
