/* SPDX-License-Identifier: Apache-2.0 */
/* What must not leave the device, and what must stay readable. */
#include "doctor/redact.h"
#include "hf_test.h"

static const struct {
  const char *in, *out;
} texts[] = {
  { "", "" },
  { "the PIN is 13579.", "the PIN is " REDACTED "." },
  { "x1357924680y", "x" REDACTED "y" },
  { "1357 is none", "1357 is none" },
  { "pkcs11:token=device;object=key?pin-value=abcd&module-path=/x",
    "pkcs11:token=device;object=key?pin-value=" REDACTED "&module-path=/x" },
  { "http://me:geheim@proxy.example:3128/x", "http://" REDACTED "@proxy.example:3128/x" },
  { "https://broker.example:8883/a@b", "https://broker.example:8883/a@b" },
  { "password=geheim, user=me", "password=" REDACTED ", user=me" },
  { "\"proxy_password\": \"geheim\"", "\"proxy_password\": \"" REDACTED "\"" },
  { "PIN: geheim\nnext", "PIN: " REDACTED "\nnext" },
  { "pin_source=/etc/pin mapping=x", "pin_source=/etc/pin mapping=x" },
  { "Proxy-Authorization: Basic bWU6Z2VoZWlt\r\nHost: x", "Proxy-Authorization: Basic " REDACTED "\r\nHost: x" },
  { "Authorization: Bearer eyJ0.e-_~x", "Authorization: Bearer " REDACTED },
  { "Basic TLS", "Basic TLS" },
  { "its password ABCDEFGHJKLMNPQRSTUVWXYZ23, once", "its password " REDACTED ", once" },
  { "ABCDEFGHJKLMNPQRSTUVWXYZ234 is a letter longer", "ABCDEFGHJKLMNPQRSTUVWXYZ234 is a letter longer" },
  { "a\n-----BEGIN PRIVATE KEY-----\nMIGH\n-----END PRIVATE KEY-----\nb", "a\n" REDACTED "\nb" },
  { "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIGH\nMIGH", REDACTED },
  { "-----BEGIN EC PRIVATE KEY-----\nMIGH\n-----END EC PRIVATE KEY-----", REDACTED },
  { "-----BEGIN CERTIFICATE-----\nMIGH\n-----END CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----\nMIGH\n-----END "
                                                                      "CERTIFICATE-----\n" },
  { "2026-11-26T09:00:00 INFO: ready, port 8883", "2026-11-26T09:00:00 INFO: ready, port 8883" },
};

static struct redactor *make(void)
{
  struct redactor *redactor = NULL;
  assert_hf_ok(redactor_new(&redactor));
  assert_hf_ok(redactor_add(redactor, "13579", 5));
  assert_hf_ok(redactor_add(redactor, "1357924680", 10));
  assert_hf_ok(redactor_add(redactor, "abc", 3));
  return redactor;
}

static void secrets_go_and_the_rest_stays(void **state)
{
  (void)state;
  HF_CLEANUP(redactor_freep) struct redactor *redactor = make();
  for (size_t i = 0; i < HF_ARRAY_LEN(texts); i++) {
    HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(4096);
    assert_hf_ok(redactor_text(redactor, hf_slice(texts[i].in, strlen(texts[i].in)), &out));
    assert_string_equal(texts[i].out, hf_buf_str(&out));
  }
}

static void json_keeps_its_form(void **state)
{
  (void)state;
  HF_CLEANUP(redactor_freep) struct redactor *redactor = make();
  json_t *json = json_loads("{\"a\": [\"13579\", 13579, true, null], \"device.cryptoki.pin\": \"x\", \"password\": "
                            "\"y\", \"pin_source\": \"/etc/pin\", \"b\": {\"c\": \"d 1357924680\"}}",
                            0, NULL);
  assert_non_null(json);
  assert_hf_ok(redactor_json(redactor, json));
  char *text = json_dumps(json, JSON_COMPACT);
  assert_string_equal("{\"a\":[\"" REDACTED "\",13579,true,null],\"device.cryptoki.pin\":\"" REDACTED
                      "\",\"password\":\"" REDACTED "\",\"pin_source\":\"/etc/pin\",\"b\":{\"c\":\"d " REDACTED "\"}}",
                      text);
  free(text);
  json_decref(json);
}

static void it_holds_so_many(void **state)
{
  (void)state;
  HF_CLEANUP(redactor_freep) struct redactor *redactor = NULL;
  assert_hf_ok(redactor_new(&redactor));
  for (int i = 0; i < REDACT_SECRETS_MAX; i++)
    assert_hf_ok(redactor_add(redactor, "secret", 6));
  assert_hf_err(redactor_add(redactor, "secret", 6), LIMIT);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(secrets_go_and_the_rest_stays),
    cmocka_unit_test(json_keeps_its_form),
    cmocka_unit_test(it_holds_so_many),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
