/* SPDX-License-Identifier: Apache-2.0 */
/* How values are sealed and data keys wrapped: known answers, and that whatever is changed does not open. */
#include "hf_test.h"

#include "secrets/record.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

static struct hf_buf hex(const char *text)
{
  struct hf_buf bytes = HF_BUF(4096);
  assert_hf_ok(hf_hex_decode(text, &bytes));
  return bytes;
}

static struct hf_slice slice(const struct hf_buf *buf)
{
  return hf_slice(buf->data, buf->len);
}

/* McGrew and Viega, The Galois/Counter Mode of Operation, test case 16. */
static void seals_by_the_book(void **state)
{
  (void)state;
  HF_CLEANUP(hf_buf_free)
  struct hf_buf key = hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"),
                nonce = hex("cafebabefacedbaddecaf888"), aad = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2"),
                plain = hex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
                            "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"),
                expected =
                    hex("cafebabefacedbaddecaf888522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
                        "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b"),
                sealed = HF_BUF(4096);
  assert_hf_ok(seal_close(key.data, nonce.data, slice(&aad), slice(&plain), &sealed));
  assert_true(hf_slice_equal(slice(&sealed), slice(&expected)));
  HF_CLEANUP(hf_secret_freep) struct hf_secret *opened = NULL;
  assert_hf_ok(seal_open(key.data, slice(&aad), slice(&sealed), &opened));
  assert_int_equal(hf_secret_len(opened), plain.len);
  assert_memory_equal(hf_secret_data(opened), plain.data, plain.len);
}

static void opens_nothing_that_was_changed(void **state)
{
  (void)state;
  uint8_t key[SEAL_KEY_BYTES] = { 1 };
  struct hf_secret *opened = NULL;
  HF_CLEANUP(hf_buf_free) struct hf_buf sealed = HF_BUF(256);
  const struct hf_slice name = hf_slice("name", 4), other = hf_slice("nama", 4);
  assert_hf_ok(seal_close(key, NULL, name, hf_slice("value", 5), &sealed));
  for (size_t bit = 0; bit < 8 * sealed.len; bit++) {
    sealed.data[bit / 8] = (uint8_t)(sealed.data[bit / 8] ^ 1 << bit % 8);
    assert_hf_err(seal_open(key, name, slice(&sealed), &opened), SECRETS);
    sealed.data[bit / 8] = (uint8_t)(sealed.data[bit / 8] ^ 1 << bit % 8);
  }
  assert_hf_err(seal_open(key, other, slice(&sealed), &opened), SECRETS);
  for (size_t len = 0; len < sealed.len; len++)
    assert_hf_err(seal_open(key, name, hf_slice(sealed.data, len), &opened), SECRETS);
  key[31] = 1;
  assert_hf_err(seal_open(key, name, slice(&sealed), &opened), SECRETS);
  assert_null(opened);
}

/* RFC 5869, test case 3; and one with an info, by Python's hmac. */
static void derives_by_the_book(void **state)
{
  (void)state;
  static const struct {
    const char *shared, *info, *expected;
  } rows[] = {
    { "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "",
      "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d" },
    { "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "what it is for",
      "766929bacd53781a237a7ee60b911a283cfbec82775c9a340dceffee42b6c113" },
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
    uint8_t kek[SEAL_KEY_BYTES];
    HF_CLEANUP(hf_buf_free) struct hf_buf shared = hex(rows[i].shared);
    HF_CLEANUP(hf_buf_free) struct hf_buf expected = hex(rows[i].expected);
    assert_hf_ok(wrap_kek(slice(&shared), hf_slice(rows[i].info, strlen(rows[i].info)), kek));
    assert_memory_equal(kek, expected.data, sizeof(kek));
  }
}

static struct hf_buf spki_of(const char *type, const char *detail)
{
  struct hf_buf spki = HF_BUF(4096);
  EVP_PKEY *key =
      detail ? EVP_PKEY_Q_keygen(NULL, NULL, type, detail) : EVP_PKEY_Q_keygen(NULL, NULL, type, (size_t)2048);
  unsigned char *der = NULL;
  int len = i2d_PUBKEY(key, &der);
  assert_true(len > 0);
  assert_hf_ok(hf_buf_add(&spki, der, (size_t)len));
  OPENSSL_free(der);
  EVP_PKEY_free(key);
  return spki;
}

/* With the public half alone; each time another. */
static void wraps_with_the_public_half(void **state)
{
  (void)state;
  static const uint8_t data_key[SEAL_KEY_BYTES] = { 7 };
  HF_CLEANUP(hf_buf_free) struct hf_buf rsa = spki_of("RSA", NULL);
  HF_CLEANUP(hf_buf_free) struct hf_buf ec = spki_of("EC", "P-256");
  for (enum wrap_method method = WRAP_OAEP_SHA256; method < WRAP_METHODS; method++) {
    HF_CLEANUP(hf_buf_free) struct hf_buf one = HF_BUF(WRAP_MAX), two = HF_BUF(WRAP_MAX);
    const struct hf_buf *right = method == WRAP_ECDH ? &ec : &rsa, *wrong = method == WRAP_ECDH ? &rsa : &ec;
    assert_hf_ok(wrap_close(slice(right), method, hf_slice("context", 7), data_key, &one));
    assert_hf_ok(wrap_close(slice(right), method, hf_slice("context", 7), data_key, &two));
    assert_false(hf_slice_equal(slice(&one), slice(&two)));
    assert_hf_err(wrap_close(slice(wrong), method, hf_slice("context", 7), data_key, &one), KEY_TYPE_INCONSISTENT);
    assert_hf_err(wrap_close(hf_slice("no key", 6), method, hf_slice("context", 7), data_key, &one), SECRETS);
  }
}

static void names_are_amazon_s(void **state)
{
  (void)state;
  char name[SECRETS_NAME_MAX + 2];
  memset(name, 'x', sizeof(name));
  name[SECRETS_NAME_MAX] = '\0';
  assert_hf_ok(secrets_name_check(name));
  assert_hf_ok(secrets_name_check("plc/4_a+b=c.d@e-F9"));
  name[SECRETS_NAME_MAX] = 'x';
  name[SECRETS_NAME_MAX + 1] = '\0';
  assert_hf_err(secrets_name_check(name), USAGE);
  assert_hf_err(secrets_name_check(""), USAGE);
  assert_hf_err(secrets_name_check("a b"), USAGE);
  assert_hf_err(secrets_name_check("a\xc3\xa4"), USAGE);
  assert_hf_err(secrets_value_check(0), LIMIT);
  assert_hf_ok(secrets_value_check(1));
  assert_hf_ok(secrets_value_check(65536));
  assert_hf_err(secrets_value_check(65537), LIMIT);
}

static void versions_have_uuids(void **state)
{
  (void)state;
  static const char text[] = "00010203-0405-4607-8809-0a0b0c0d0eff";
  uint8_t id[SECRETS_ID_BYTES];
  char again[SECRETS_ID_TEXT];
  assert_hf_ok(secrets_id_parse(text, id));
  secrets_id_format(id, again);
  assert_string_equal(again, text);
  assert_hf_err(secrets_id_parse("0001020304054607880900a0b0c0d0eff", id), USAGE);
  assert_hf_err(secrets_id_parse("00010203-0405-4607-8809-0A0B0C0D0EFF", id), USAGE);
  assert_hf_err(secrets_id_parse("", id), USAGE);
  assert_hf_err(secrets_id_parse("00010203-0405-4607-8809-0a0b0c0d0eff0", id), USAGE);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(seals_by_the_book),   cmocka_unit_test(opens_nothing_that_was_changed),
    cmocka_unit_test(derives_by_the_book), cmocka_unit_test(wraps_with_the_public_half),
    cmocka_unit_test(names_are_amazon_s),  cmocka_unit_test(versions_have_uuids),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
