/* SPDX-License-Identifier: Apache-2.0 */
/* The frames: every vector both ways, every truncation of every vector, and what a hostile peer sends. */
#include "hf_test.h"

#include "wire/frame.h"
#include "wire/postcard.h"

enum { VECTOR_MAX = 80 };

/* As the protocol's description has them, with the version in front. */
static const struct vector {
  const char *name;
  enum wire_direction direction;
  size_t len;
  uint8_t bytes[VECTOR_MAX];
} vectors[] = {
#define IN(name, ...)                                                    \
  {                                                                      \
    name, WIRE_DIRECTION_REQUEST, sizeof((uint8_t[]){ 0, __VA_ARGS__ }), \
    {                                                                    \
      0, __VA_ARGS__                                                     \
    }                                                                    \
  }
#define OUT(name, ...)                                                    \
  {                                                                       \
    name, WIRE_DIRECTION_RESPONSE, sizeof((uint8_t[]){ 0, __VA_ARGS__ }), \
    {                                                                     \
      0, __VA_ARGS__                                                      \
    }                                                                     \
  }
  OUT("error", 0, 1, 97),
  IN("nothing-offered", 1, 0, 0, 0),
  IN("choose-scheme", 1, 1, 131, 8, 1, 3, 117, 114, 105, 1, 3, 112, 105, 110),
  IN("sign", 2, 4, 100, 97, 116, 97, 1, 3, 107, 101, 121, 1, 4, 100, 97, 116, 97),
  OUT("scheme", 3, 1, 132, 16, 1),
  OUT("signature", 4, 6, 115, 105, 103, 110, 101, 100),
  IN("sign-with", 5, 4, 100, 97, 116, 97, 1, 3, 107, 101, 121, 1, 0, 1, 4, 100, 97, 116, 97),
  IN("public-key-none", 6, 0),
  IN("public-key", 6, 1, 7, 112, 117, 98, 95, 117, 114, 105),
  OUT("pem", 7, 3, 112, 101, 109),
  IN("ping", 8),
  OUT("pong", 9),
  IN("create-key", 10, 4, 97, 115, 100, 102, 1, 128, 2, 6, 109, 121, 32, 107, 101, 121, 1, 3, 1, 2, 3, 1, 3, 112, 105,
     110),
  OUT("created-key", 11, 1, 112, 1, 117),
  IN("get-tokens-uris", 12),
  OUT("tokens-uris", 13, 2, 1, 97, 1, 98),
  IN("init-token", 14, 2, 116, 107, 1, 2, 115, 111, 1, 3, 112, 105, 110, 1, 16, 112, 107, 99, 115, 49, 49, 58, 115, 108,
     111, 116, 45, 105, 100, 61, 51),
  OUT("inited-token", 15, 1, 117),
  IN("list-tokens", 16),
  OUT("tokens", 17, 1, 1, 2, 116, 107, 1, 109, 2, 109, 102, 1, 115, 1, 1, 117),
  IN("change-pin", 18, 1, 1, 117, 2, 110, 112, 1, 2, 111, 112, 1, 2, 115, 111, 1),
  OUT("changed-pin", 19, 1, 117),
  IN("delete-key", 20, 1, 117, 1, 1, 112),
  OUT("deleted-key", 21, 2, 1, 97, 1, 98),
  IN("list-keys", 22, 1, 1, 117, 1, 1, 112),
  OUT("keys", 23, 1, 1, 112, 1, 69, 1, 107, 1, 49, 1, 117),
#undef IN
#undef OUT
};

static hf_err decode(const struct vector *v, size_t len, struct wire_frame *ret_frame)
{
  return wire_frame_decode(hf_slice(v->bytes, len), v->direction, ret_frame);
}

static struct wire_frame decoded(const char *name)
{
  struct wire_frame frame = { 0 };
  for (size_t i = 0; i < HF_ARRAY_LEN(vectors); i++)
    if (strcmp(vectors[i].name, name) == 0)
      assert_hf_ok(decode(&vectors[i], vectors[i].len, &frame));
  return frame;
}

static void assert_text(struct wire_text text, const char *expected)
{
  assert_true(text.present);
  assert_int_equal(text.bytes.len, strlen(expected));
  assert_memory_equal(text.bytes.data, expected, strlen(expected));
}

static void every_vector_comes_back_byte_for_byte(void **state)
{
  (void)state;
  for (size_t i = 0; i < HF_ARRAY_LEN(vectors); i++) {
    struct wire_frame frame;
    HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(WIRE_RESPONSE_MAX);
    assert_hf_ok(decode(&vectors[i], vectors[i].len, &frame));
    assert_hf_ok(wire_frame_encode(&frame, &out));
    assert_int_equal(out.len, vectors[i].len);
    assert_memory_equal(out.data, vectors[i].bytes, out.len);
    wire_frame_free(&frame);
  }
}

static void a_request_says_what_was_meant(void **state)
{
  (void)state;
  struct wire_frame frame = decoded("choose-scheme");
  assert_int_equal(frame.number, WIRE_CHOOSE_SCHEME);
  assert_int_equal(frame.offered_count, 1);
  assert_int_equal(frame.offered[0], 0x0403);
  assert_text(frame.uri, "uri");
  assert_text(frame.pin, "pin");
  frame = decoded("create-key");
  assert_text(frame.uri, "asdf");
  assert_int_equal(frame.key_type.value, WIRE_KEY_EC);
  assert_int_equal(frame.key_size, 256);
  assert_text(frame.label, "my key");
  assert_text(frame.id, "\1\2\3");
  frame = decoded("sign-with");
  assert_text(frame.bytes, "data");
  assert_true(frame.scheme.present);
  assert_int_equal(frame.scheme.value, WIRE_ECDSA_P256_SHA256);
  frame = decoded("change-pin");
  assert_text(frame.new_pin, "np");
  assert_text(frame.old_pin, "op");
  assert_text(frame.so_pin, "so");
  assert_true(frame.reset);
  frame = decoded("nothing-offered");
  assert_false(frame.uri.present || frame.pin.present);
}

static void a_response_says_what_was_meant(void **state)
{
  (void)state;
  struct wire_frame frame = decoded("scheme");
  assert_true(frame.scheme.present);
  assert_int_equal(frame.scheme.value, 0x0804);
  assert_int_equal(frame.algorithm, 1);
  frame = decoded("tokens");
  assert_int_equal(frame.item_count, 1);
  assert_int_equal(frame.items[0].slot, 1);
  assert_text(frame.items[0].label, "tk");
  assert_text(frame.items[0].manufacturer, "mf");
  assert_true(frame.items[0].initialized);
  assert_text(frame.items[0].uri, "u");
  wire_frame_free(&frame);
  frame = decoded("keys");
  assert_text(frame.items[0].object_class, "p");
  assert_text(frame.items[0].key_type, "E");
  assert_text(frame.items[0].id, "1");
  wire_frame_free(&frame);
}

/* Where a vector may end early: before its last field, an Option that older clients do not send. */
static bool may_end_at(const struct vector *v, size_t len)
{
  static const struct {
    const char *name;
    size_t len;
  } rows[] = {
    { "nothing-offered", 4 }, { "choose-scheme", 10 }, { "sign", 12 },     { "sign-with", 14 },
    { "create-key", 22 },     { "delete-key", 4 },     { "list-keys", 5 },
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++)
    if (strcmp(rows[i].name, v->name) == 0 && rows[i].len == len)
      return true;
  return false;
}

static void every_truncation_is_refused_but_a_missing_pin(void **state)
{
  (void)state;
  for (size_t i = 0; i < HF_ARRAY_LEN(vectors); i++)
    for (size_t len = 0; len < vectors[i].len; len++) {
      struct wire_frame frame = { 0 };
      hf_err e = decode(&vectors[i], len, &frame);
      if (may_end_at(&vectors[i], len)) {
        assert_hf_ok(e);
        assert_false(frame.pin.present);
      } else {
        assert_hf_err(e, PARSE);
      }
      assert_null(frame.items);
    }
}

static void what_follows_the_frame_is_ignored(void **state)
{
  (void)state;
  for (size_t i = 0; i < HF_ARRAY_LEN(vectors); i++) {
    struct vector longer = vectors[i];
    longer.bytes[longer.len] = 255;
    struct wire_frame frame;
    if (may_end_at(&vectors[i], longer.len))
      continue;
    assert_hf_ok(decode(&longer, longer.len + 1, &frame));
    wire_frame_free(&frame);
  }
}

static void the_other_direction_is_told_apart(void **state)
{
  (void)state;
  for (size_t i = 0; i < HF_ARRAY_LEN(vectors); i++) {
    struct vector other = vectors[i];
    struct wire_frame frame;
    other.direction = other.direction == WIRE_DIRECTION_REQUEST ? WIRE_DIRECTION_RESPONSE : WIRE_DIRECTION_REQUEST;
    assert_hf_err(decode(&other, other.len, &frame), ARGUMENT);
  }
}

static void hostile_frames_are_refused(void **state)
{
  (void)state;
  static const struct {
    const char *what;
    size_t len;
    uint8_t bytes[16];
  } rows[] = {
#define ROW(what, ...)                        \
  {                                           \
    what, sizeof((uint8_t[]){ __VA_ARGS__ }), \
    {                                         \
      __VA_ARGS__                             \
    }                                         \
  }
    ROW("another version", 1, 8),
    ROW("a version too long", 0x80, 0x80, 0x80, 0x80, 0x80, 0, 8),
    ROW("frame 24", 0, 24),
    ROW("frame 2^32 - 1", 0, 0xff, 0xff, 0xff, 0xff, 0x0f),
    ROW("a number of more than 32 bits", 0, 0xff, 0xff, 0xff, 0xff, 0x1f),
    ROW("a number with leading zeros", 0, 0x88, 0x00),
    ROW("2^64 - 1 schemes", 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01),
    ROW("513 schemes", 0, 1, 0x81, 0x04),
    ROW("a scheme of more than 16 bits", 0, 1, 1, 0xff, 0xff, 0x04, 0, 0),
    ROW("a scheme of four bytes", 0, 1, 1, 0x81, 0x80, 0x80, 0x00, 0, 0),
    ROW("2^64 - 1 bytes to sign", 0, 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01),
    ROW("an Option of 2", 0, 6, 2, 1, 'a'),
    ROW("a URI that is not UTF-8", 0, 6, 1, 2, 0xc3, 0x28),
    ROW("SigScheme 5", 0, 5, 0, 0, 1, 5, 0),
    ROW("KeyTypeParams 2", 0, 10, 0, 2, 1, 0, 0, 0),
    ROW("a bool of 2", 0, 18, 0, 0, 0, 0, 2),
#undef ROW
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
    struct wire_frame frame;
    hf_err e = wire_frame_decode(hf_slice(rows[i].bytes, rows[i].len), WIRE_DIRECTION_REQUEST, &frame);
    if (e.code != HF_ERR_PARSE)
      print_error("%s\n", rows[i].what);
    assert_hf_err(e, PARSE);
  }
}

static void a_list_gets_no_memory_for_its_count_alone(void **state)
{
  (void)state;
  static const uint8_t bytes[] = { 0, 13, 0xff, 0xff, 0x03, 1, 'a' };
  struct wire_frame frame;
  assert_hf_err(wire_frame_decode(hf_slice(bytes, sizeof(bytes)), WIRE_DIRECTION_RESPONSE, &frame), PARSE);
}

static void numbers_come_back(void **state)
{
  (void)state;
  static const struct {
    uint64_t value;
    unsigned bits;
    size_t len;
  } rows[] = {
    { 0, 16, 1 },          { 127, 16, 1 },         { 128, 16, 2 },         { 0x0403, 16, 2 }, { UINT16_MAX, 16, 3 },
    { UINT32_MAX, 32, 5 }, { UINT64_MAX, 64, 10 }, { 1ull << 63, 64, 10 }, { 16384, 64, 3 },
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
    HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(16);
    uint64_t value;
    assert_hf_ok(wire_add_varint(&out, rows[i].value));
    assert_int_equal(out.len, rows[i].len);
    struct hf_slice in = hf_slice(out.data, out.len);
    assert_hf_ok(wire_take_varint(&in, rows[i].bits, &value));
    assert_true(value == rows[i].value && in.len == 0);
    in = hf_slice(out.data, out.len - 1);
    assert_hf_err(wire_take_varint(&in, rows[i].bits, &value), PARSE);
  }
}

static void every_frame_has_its_name(void **state)
{
  (void)state;
  for (unsigned i = 0; i < WIRE_FRAME_COUNT; i++)
    assert_non_null(wire_frame_name(i));
  assert_string_equal(wire_frame_name(WIRE_SIGN_WITH), "SignRequestWithSigScheme");
  assert_null(wire_frame_name(WIRE_FRAME_COUNT));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_vector_comes_back_byte_for_byte),
    cmocka_unit_test(a_request_says_what_was_meant),
    cmocka_unit_test(a_response_says_what_was_meant),
    cmocka_unit_test(every_truncation_is_refused_but_a_missing_pin),
    cmocka_unit_test(what_follows_the_frame_is_ignored),
    cmocka_unit_test(the_other_direction_is_told_apart),
    cmocka_unit_test(hostile_frames_are_refused),
    cmocka_unit_test(a_list_gets_no_memory_for_its_count_alone),
    cmocka_unit_test(numbers_come_back),
    cmocka_unit_test(every_frame_has_its_name),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
