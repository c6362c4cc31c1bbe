/* SPDX-License-Identifier: Apache-2.0 */
#include "uri/uri.h"

#include "hf_test.h"

static void assert_parses(const char *text, struct uri *uri)
{
  assert_hf_ok(uri_parse(text, uri));
}

static void assert_formats(const struct uri *uri, const char *expected)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(URI_MAX);
  assert_hf_ok(uri_format(uri, &out));
  assert_string_equal(hf_buf_str(&out), expected);
}

/* RFC 7512, section 3, and what p11tool prints; canonical is what uri_format makes of it. */
static const struct {
  const char *text;
  const char *canonical;
} good[] = {
  { "pkcs11:", "pkcs11:" },
  { "pkcs11:object=my-pubkey;type=public", "pkcs11:object=my-pubkey;type=public" },
  { "pkcs11:object=my-key;type=private?pin-source=file:/etc/token",
    "pkcs11:object=my-key;type=private?pin-source=file:/etc/token" },
  { "pkcs11:token=The%20Software%20PKCS%2311%20Softtoken;manufacturer=Snake%20Oil,%20Inc.;model=1.0;object=my-"
    "certificate;"
    "type=cert;id=%69%95%3E%5C%F4%BD%EC%91;serial=?pin-source=file:/etc/token_pin",
    "pkcs11:model=1.0;manufacturer=Snake%20Oil,%20Inc.;serial=;token=The%20Software%20PKCS%2311%20Softtoken;"
    "id=%69%95%3E%5C%F4%BD%EC%91;object=my-certificate;type=cert?pin-source=file:/etc/token_pin" },
  { "pkcs11:object=my-sign-key;type=private?module-name=mypkcs11",
    "pkcs11:object=my-sign-key;type=private?module-name=mypkcs11" },
  { "pkcs11:object=my-sign-key;type=private?module-path=/mnt/libmypkcs11.so.1",
    "pkcs11:object=my-sign-key;type=private?module-path=/mnt/libmypkcs11.so.1" },
  { "pkcs11:token=Software%20PKCS%2311%20softtoken;manufacturer=Snake%20Oil,%20Inc.?pin-value=the-pin",
    "pkcs11:manufacturer=Snake%20Oil,%20Inc.;token=Software%20PKCS%2311%20softtoken" },
  { "pkcs11:slot-description=Sun%20Metaslot", "pkcs11:slot-description=Sun%20Metaslot" },
  { "pkcs11:slot-id=327;slot-manufacturer=m", "pkcs11:slot-manufacturer=m;slot-id=327" },
  { "pkcs11:library-manufacturer=Snake%20Oil,%20Inc.;library-description=Soft%20Token%20Library;library-version=1.23",
    "pkcs11:library-description=Soft%20Token%20Library;library-manufacturer=Snake%20Oil,%20Inc.;library-version=1.23" },
  { "pkcs11:library-version=3", "pkcs11:library-version=3" },
  { "pkcs11:token=A%20name%20with%20a%20substring%20%25%3B;object=my-certificate;type=cert",
    "pkcs11:token=A%20name%20with%20a%20substring%20%25%3B;object=my-certificate;type=cert" },
  { "pkcs11:token=Name%20with%20a%20small%20A%20with%20acute:%20%C3%A1;object=my-certificate;type=cert",
    "pkcs11:token=Name%20with%20a%20small%20A%20with%20acute:%20%C3%A1;object=my-certificate;type=cert" },
  { "pkcs11:token=my-token;object=my-certificate;type=cert;vendor-aaa=value-a?pin-source=file:/etc/"
    "token_pin&vendor-bbb=value-b",
    "pkcs11:token=my-token;object=my-certificate;type=cert?pin-source=file:/etc/token_pin" },
  { "pkcs11:v-x=1;v-x=2", "pkcs11:" },
  { "pkcs11:model=SoftHSM%20v2;manufacturer=SoftHSM%20project;serial=83f9cf49039c051a;token=my-token;id=%01;object=my-"
    "key;"
    "type=private",
    "pkcs11:model=SoftHSM%20v2;manufacturer=SoftHSM%20project;serial=83f9cf49039c051a;token=my-token;id=%01;object=my-"
    "key;"
    "type=private" },
  { "pkcs11:object=iotkey;type=private", "pkcs11:object=iotkey;type=private" },
  { "PKCS11:id=%0a%0B0;type=secret-key", "pkcs11:id=%0A%0B%30;type=secret-key" },
  { "pkcs11:object=a=b&c", "pkcs11:object=a=b&c" },
  { "pkcs11:?pin-source=|/usr/bin/pinomatic&module-path=/a?b",
    "pkcs11:?pin-source=|/usr/bin/pinomatic&module-path=/a?b" },
  { "pkcs11:type=data?", "pkcs11:type=data" },
};

static void test_good(void **state)
{
  (void)state;
  for (size_t i = 0; i < HF_ARRAY_LEN(good); i++) {
    HF_CLEANUP(uri_free) struct uri uri = { 0 };
    assert_parses(good[i].text, &uri);
    assert_formats(&uri, good[i].canonical);
  }
}

static const struct {
  const char *text;
  const char *named;
} bad[] = {
  { "", "no \"pkcs11:\" at character 1" },
  { "file:/etc/key", "no \"pkcs11:\" at character 1" },
  { "pkcs11", "no \"pkcs11:\" at character 1" },
  { "pkcs11:object", "not NAME=VALUE at character 8" },
  { "pkcs11:=a", "not NAME=VALUE at character 8" },
  { "pkcs11:object=a;", "not NAME=VALUE at character 17" },
  { "pkcs11:;object=a", "not NAME=VALUE at character 8" },
  { "pkcs11:object=a?pin-source=b&", "not NAME=VALUE at character 30" },
  { "pkcs11:object=a;object=a", "a second object at character 17" },
  { "pkcs11:?pin-source=a&pin-source=a", "a second pin-source at character 22" },
  { "pkcs11:object=a b", "must be percent-encoded at character 16" },
  { "pkcs11:object=a/b", "must be percent-encoded at character 16" },
  { "pkcs11:object=a#b", "must be percent-encoded at character 16" },
  { "pkcs11:object=\xc3\xa1", "must be percent-encoded at character 15" },
  { "pkcs11:ob ject=a", "no attribute's name has at character 10" },
  { "pkcs11:object=%", "'%' without two hex digits at character 15" },
  { "pkcs11:object=%4", "'%' without two hex digits at character 15" },
  { "pkcs11:object=%4;id=a", "'%' without two hex digits at character 15" },
  { "pkcs11:id=%zz", "'%' without two hex digits at character 11" },
  { "pkcs11:object=a%00b", "a bad value of object at character 8" },
  { "pkcs11:type=privat", "a bad value of type at character 8" },
  { "pkcs11:type=", "a bad value of type at character 8" },
  { "pkcs11:type=private%00", "a bad value of type at character 8" },
  { "pkcs11:slot-id=", "a bad value of slot-id at character 8" },
  { "pkcs11:slot-id=-1", "a bad value of slot-id at character 8" },
  { "pkcs11:slot-id=99999999999999999999", "a bad value of slot-id at character 8" },
  { "pkcs11:library-version=1.", "a bad value of library-version at character 8" },
  { "pkcs11:library-version=.1", "a bad value of library-version at character 8" },
  { "pkcs11:library-version=1.2.3", "a bad value of library-version at character 8" },
  { "pkcs11:pin-value=1234;object=a", "pin-value before the '?' at character 8" },
  { "pkcs11:?object=a", "object after the '?' at character 9" },
};

static void test_bad_names_the_place(void **state)
{
  (void)state;
  for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++) {
    HF_CLEANUP(uri_free) struct uri uri = { 0 };
    hf_err e = uri_parse(bad[i].text, &uri);
    if (e.code != HF_ERR_URI_INVALID || !strstr(hf_err_context(), bad[i].named))
      fail_msg("%s: %s, %s", bad[i].text, hf_err_name(e), hf_err_context());
    for (size_t a = 0; a < URI_ATTR_COUNT; a++)
      assert_false(uri.attrs[a].present);
  }
}

static void test_too_long(void **state)
{
  (void)state;
  HF_CLEANUP(hf_freep) char *text = malloc(URI_MAX + 2);
  assert_non_null(text);
  memset(text, 'a', URI_MAX + 1);
  memcpy(text, "pkcs11:object=", strlen("pkcs11:object="));
  text[URI_MAX + 1] = '\0';
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  assert_hf_err(uri_parse(text, &uri), URI_INVALID);
  text[URI_MAX] = '\0';
  assert_parses(text, &uri);
}

static void test_id_with_nul(void **state)
{
  (void)state;
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  assert_parses("pkcs11:id=%00%01a%00", &uri);
  assert_int_equal(uri.attrs[URI_ID].value.len, 4);
  assert_memory_equal(uri.attrs[URI_ID].value.data, "\0\1a\0", 4);
  assert_formats(&uri, "pkcs11:id=%00%01%61%00");
}

static void test_empty_is_present(void **state)
{
  (void)state;
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  assert_parses("pkcs11:object=;id=", &uri);
  assert_string_equal(uri_get(&uri, URI_OBJECT), "");
  assert_true(uri.attrs[URI_ID].present);
  assert_int_equal(uri.attrs[URI_ID].value.len, 0);
  assert_null(uri_get(&uri, URI_TOKEN));
}

static void test_set_copy_unset(void **state)
{
  (void)state;
  HF_CLEANUP(uri_free) struct uri uri = { 0 }, copy = { 0 };
  assert_hf_ok(uri_set(&uri, URI_TOKEN, "my token/1", 10));
  assert_hf_ok(uri_set(&uri, URI_OBJECT, "k", 1));
  assert_hf_ok(uri_set(&uri, URI_OBJECT, "key", 3));
  assert_hf_err(uri_set(&uri, URI_TYPE, "key", 3), URI_INVALID);
  assert_hf_err(uri_set(&uri, URI_OBJECT, "a\0b", 3), URI_INVALID);
  assert_string_equal(uri_get(&uri, URI_OBJECT), "key");
  assert_hf_ok(uri_copy(&uri, &copy));
  uri_unset(&uri, URI_TOKEN);
  assert_formats(&uri, "pkcs11:object=key");
  assert_formats(&copy, "pkcs11:token=my%20token%2F1;object=key");
}

static void test_format_past_the_limit_adds_nothing(void **state)
{
  (void)state;
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  assert_parses("pkcs11:object=abc", &uri);
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(10);
  assert_hf_err(uri_format(&uri, &out), LIMIT);
  assert_int_equal(out.len, 0);
}

static const struct {
  const char *text;
  const char *shown;
} secret[] = {
  { "pkcs11:object=k?pin-value=1234", "pkcs11:object=k?pin-value=***" },
  { "pkcs11:object=k?pin-value=12;34&pin-source=a", "pkcs11:object=k?pin-value=***&pin-source=a" },
  { "pkcs11:PIN-VALUE=1234;object=k", "pkcs11:PIN-VALUE=***" },
  { "pin-value=", "pin-value=***" },
  { "pkcs11:object=k?pin-source=a", "pkcs11:object=k?pin-source=a" },
  { "pkcs11:object=a\nb", "pkcs11:object=a%0Ab" },
};

static void test_redact(void **state)
{
  (void)state;
  for (size_t i = 0; i < HF_ARRAY_LEN(secret); i++) {
    HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(URI_MAX);
    assert_hf_ok(uri_redact(secret[i].text, &out));
    assert_string_equal(hf_buf_str(&out), secret[i].shown);
  }
}

static void test_no_error_tells_a_pin(void **state)
{
  (void)state;
  static const char *const texts[] = {
    "pkcs11:object=k?pin-value=87654321%",           "pkcs11:pin-value=87654321",         "pkcs11:?pin-value=876 54321",
    "pkcs11:?pin-value=87654321&pin-value=87654321", "pkcs11:?pin-value=%00%38%37654321",
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(texts); i++) {
    HF_CLEANUP(uri_free) struct uri uri = { 0 };
    assert_hf_err(uri_parse(texts[i], &uri), URI_INVALID);
    assert_null(strstr(hf_err_context(), "54321"));
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_good),
    cmocka_unit_test(test_bad_names_the_place),
    cmocka_unit_test(test_too_long),
    cmocka_unit_test(test_id_with_nul),
    cmocka_unit_test(test_empty_is_present),
    cmocka_unit_test(test_set_copy_unset),
    cmocka_unit_test(test_format_past_the_limit_adds_nothing),
    cmocka_unit_test(test_redact),
    cmocka_unit_test(test_no_error_tells_a_pin),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
