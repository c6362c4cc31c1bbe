/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include "hf_test.h"

static void adds_in_order_and_grows(void **state)
{
  (void)state;
  HF_CLEANUP(hf_buf_free) struct hf_buf buf = HF_BUF(100000);
  for (size_t i = 0; i < 1000; i++)
    assert_hf_ok(hf_buf_addf(&buf, "%03zu,", i));
  assert_int_equal(buf.len, 4000);
  assert_memory_equal(buf.data, "000,001,", 8);
  assert_memory_equal(buf.data + 3996, "999,", 4);
  assert_int_equal(strlen(hf_buf_str(&buf)), 4000);
}

static void refuses_past_its_limit_and_keeps_what_it_has(void **state)
{
  (void)state;
  HF_CLEANUP(hf_buf_free) struct hf_buf buf = HF_BUF(8);
  assert_hf_ok(hf_buf_add(&buf, "12345678", 8));
  assert_hf_err(hf_buf_add_u8(&buf, '9'), LIMIT);
  assert_hf_err(hf_buf_addf(&buf, "%d", 9), LIMIT);
  assert_hf_err(hf_buf_add(&buf, "", SIZE_MAX), LIMIT);
  assert_hf_ok(hf_buf_add(&buf, NULL, 0));
  assert_string_equal(hf_buf_str(&buf), "12345678");
}

static void drops_from_the_front(void **state)
{
  (void)state;
  HF_CLEANUP(hf_buf_free) struct hf_buf buf = HF_BUF(8);
  hf_buf_drop(&buf, 0);
  assert_hf_ok(hf_buf_add(&buf, "12345678", 8));
  hf_buf_drop(&buf, 3);
  assert_string_equal(hf_buf_str(&buf), "45678");
  assert_hf_ok(hf_buf_add(&buf, "abc", 3));
  hf_buf_drop(&buf, 8);
  assert_int_equal(buf.len, 0);
}

static void integers_are_big_endian_both_ways(void **state)
{
  (void)state;
  HF_CLEANUP(hf_buf_free) struct hf_buf buf = HF_BUF(64);
  assert_hf_ok(hf_buf_add_u8(&buf, 0xfe));
  assert_hf_ok(hf_buf_add_u16(&buf, 0x0a0b));
  assert_hf_ok(hf_buf_add_u32(&buf, 0x01020304));
  assert_hf_ok(hf_buf_add_u64(&buf, 0x0102030405060708));
  assert_memory_equal(buf.data, "\xfe\x0a\x0b\1\2\3\4\1\2\3\4\5\6\7\10", 15);
  struct hf_slice in = hf_slice(buf.data, buf.len);
  uint8_t u8 = 0;
  uint16_t u16 = 0;
  uint32_t u32 = 0;
  uint64_t u64 = 0;
  assert_hf_ok(hf_take_u8(&in, &u8));
  assert_hf_ok(hf_take_u16(&in, &u16));
  assert_hf_ok(hf_take_u32(&in, &u32));
  assert_hf_ok(hf_take_u64(&in, &u64));
  assert_hf_ok(hf_take_end(&in));
  assert_true(u8 == 0xfe && u16 == 0x0a0b && u32 == 0x01020304 && u64 == 0x0102030405060708);
}

static void a_short_read_takes_nothing(void **state)
{
  (void)state;
  struct hf_slice in = hf_slice("abc", 3);
  uint32_t u32 = 7;
  const uint8_t *data = NULL;
  assert_hf_err(hf_take_u32(&in, &u32), PARSE);
  assert_hf_err(hf_take(&in, 4, &data), PARSE);
  assert_hf_err(hf_take_end(&in), PARSE);
  assert_true(in.len == 3 && u32 == 7 && !data);
  assert_hf_ok(hf_take(&in, 3, &data));
  assert_memory_equal(data, "abc", 3);
}

static void a_reserved_room_becomes_part_when_committed(void **state)
{
  (void)state;
  HF_CLEANUP(hf_buf_free) struct hf_buf buf = HF_BUF(64);
  uint8_t *room = NULL;
  assert_hf_err(hf_buf_reserve(&buf, 65, &room), LIMIT);
  assert_null(room);
  assert_hf_ok(hf_buf_reserve(&buf, 64, &room));
  memcpy(room, "key", 3);
  assert_int_equal(buf.len, 0);
  hf_buf_commit(&buf, 3);
  assert_string_equal(hf_buf_str(&buf), "key");
}

static void an_empty_buffer_is_an_empty_string_and_can_be_used_again(void **state)
{
  (void)state;
  HF_CLEANUP(hf_buf_free) struct hf_buf buf = HF_BUF(4);
  assert_string_equal(hf_buf_str(&buf), "");
  assert_hf_ok(hf_buf_add_str(&buf, "abcd"));
  hf_buf_free(&buf);
  assert_true(buf.len == 0 && buf.max == 4 && !buf.data);
  assert_hf_ok(hf_buf_add_str(&buf, "efgh"));
  assert_string_equal(hf_buf_str(&buf), "efgh");
}

static void hex_both_ways(void **state)
{
  (void)state;
  HF_CLEANUP(hf_buf_free) struct hf_buf bytes = HF_BUF(16);
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(32);
  assert_hf_ok(hf_hex_decode("00fFA9", &bytes));
  assert_hf_ok(hf_buf_add_hex(&text, bytes.data, bytes.len));
  assert_string_equal(hf_buf_str(&text), "00ffa9");
}

static void what_is_not_hex_is_refused(void **state)
{
  (void)state;
  HF_CLEANUP(hf_buf_free) struct hf_buf bytes = HF_BUF(2);
  assert_hf_err(hf_hex_decode("012", &bytes), PARSE);
  assert_hf_err(hf_hex_decode("0g", &bytes), PARSE);
  assert_contains(hf_err_context(), "0g");
  assert_hf_err(hf_hex_decode("001122", &bytes), LIMIT);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(adds_in_order_and_grows),
    cmocka_unit_test(refuses_past_its_limit_and_keeps_what_it_has),
    cmocka_unit_test(drops_from_the_front),
    cmocka_unit_test(integers_are_big_endian_both_ways),
    cmocka_unit_test(a_short_read_takes_nothing),
    cmocka_unit_test(a_reserved_room_becomes_part_when_committed),
    cmocka_unit_test(an_empty_buffer_is_an_empty_string_and_can_be_used_again),
    cmocka_unit_test(hex_both_ways),
    cmocka_unit_test(what_is_not_hex_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
