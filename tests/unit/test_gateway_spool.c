/* SPDX-License-Identifier: Apache-2.0 */
/* The spool as a bridge uses it: order, transactions, limits, marks. */
#include "spool_rig.h"

static void messages_come_back_in_order_after_a_reopen(void **state)
{
  (void)state;
  rig_open(&rig_options);
  char payload[32];
  for (int i = 0; i < 1000; i++) {
    snprintf(payload, sizeof(payload), "out %d", i);
    assert_int_equal(i + 1, rig_put(SPOOL_OUT, payload));
  }
  rig_put(SPOOL_IN, "in");
  assert_hf_ok(spool_commit(rig_spool));
  rig_open(&rig_options);
  uint64_t at = 0;
  for (int i = 0; i < 1000; i++) {
    snprintf(payload, sizeof(payload), "out %d", i);
    at = rig_expect(SPOOL_OUT, at, payload);
  }
  rig_expect_end(SPOOL_OUT, at);
  rig_expect(SPOOL_IN, 0, "in");
  assert_int_equal(1000, rig_stats(SPOOL_OUT).messages);
  assert_int_equal(1, rig_stats(SPOOL_IN).messages);
}

static void a_message_comes_back_whole(void **state)
{
  (void)state;
  rig_open(&rig_options);
  const struct spool_message message = { .received_ms = 1234567890123,
                                         .topic = hf_slice("t/1", 3),
                                         .properties = hf_slice("\x01\x00\x02", 3),
                                         .payload = hf_slice("", 0),
                                         .qos = 2,
                                         .retain = true };
  uint64_t sequence;
  bool found;
  struct spool_message back;
  assert_hf_ok(spool_put(rig_spool, SPOOL_IN, &message, &sequence));
  assert_hf_ok(spool_commit(rig_spool));
  assert_hf_ok(spool_read(rig_spool, SPOOL_IN, 0, &found, &back));
  assert_true(found);
  assert_int_equal(sequence, back.sequence);
  assert_int_equal(1234567890123, back.received_ms);
  assert_true(hf_slice_equal(message.topic, back.topic));
  assert_true(hf_slice_equal(message.properties, back.properties));
  assert_int_equal(0, back.payload.len);
  assert_int_equal(2, back.qos);
  assert_true(back.retain);
  assert_int_equal(0, back.packet_id);
  assert_int_equal(1234567890123, rig_stats(SPOOL_IN).oldest_ms);
}

/* Around the sizes where a record goes from a leaf to a page, and from one piece to several. */
static void messages_of_all_sizes_come_back(void **state)
{
  (void)state;
  static const size_t sizes[] = { 0,    1,    1900, 1960, 2000, 2010,  2040,  2048,    4000,
                                  4040, 4050, 4080, 4096, 8160, 12345, 65536, 1000000, SPOOL_MESSAGE_MAX - 7 };
  struct spool_options options = rig_options;
  options.max_size = 64 << 20;
  rig_open(&options);
  uint8_t *bytes = malloc(SPOOL_MESSAGE_MAX);
  for (size_t i = 0; i < SPOOL_MESSAGE_MAX; i++)
    bytes[i] = (uint8_t)(i * 7 + i / 4096);
  for (int round = 0; round < 2; round++) {
    uint64_t sequence, at = 0;
    for (size_t i = 0; i < HF_ARRAY_LEN(sizes); i++) {
      struct spool_message message = rig_message("a/topic", bytes, sizes[i]);
      assert_hf_ok(spool_put(rig_spool, SPOOL_OUT, &message, &sequence));
    }
    assert_hf_ok(spool_commit(rig_spool));
    rig_open(&options);
    for (size_t i = 0; i < HF_ARRAY_LEN(sizes); i++) {
      bool found;
      struct spool_message message;
      assert_hf_ok(spool_read(rig_spool, SPOOL_OUT, at, &found, &message));
      assert_true(found);
      assert_int_equal(sizes[i], message.payload.len);
      assert_memory_equal(bytes, message.payload.data, sizes[i]);
      at = message.sequence;
      assert_hf_ok(spool_remove(rig_spool, SPOOL_OUT, at));
    }
    assert_hf_ok(spool_commit(rig_spool));
    assert_int_equal(0, rig_stats(SPOOL_OUT).messages);
    assert_int_equal(0, rig_stats(SPOOL_OUT).bytes);
  }
  free(bytes);
}

static void an_aborted_transaction_leaves_nothing(void **state)
{
  (void)state;
  rig_open(&rig_options);
  uint64_t kept = rig_put(SPOOL_OUT, "kept");
  assert_hf_ok(spool_commit(rig_spool));
  struct spool_stats before = rig_stats(SPOOL_OUT);
  uint64_t gone = rig_put(SPOOL_OUT, "gone");
  assert_hf_ok(spool_mark(rig_spool, SPOOL_OUT, kept, 7, 1));
  assert_hf_ok(spool_remove(rig_spool, SPOOL_OUT, kept));
  assert_true(spool_dirty(rig_spool));
  rig_expect(SPOOL_OUT, 0, "gone"); /* seen before it is committed */
  spool_abort(rig_spool);
  assert_false(spool_dirty(rig_spool));
  struct spool_stats after = rig_stats(SPOOL_OUT);
  assert_memory_equal(&before, &after, sizeof(before));
  rig_expect_end(SPOOL_OUT, rig_expect(SPOOL_OUT, 0, "kept"));
  assert_true(rig_put(SPOOL_OUT, "next") > gone);
}

static void what_was_not_committed_is_gone_after_a_close(void **state)
{
  (void)state;
  rig_open(&rig_options);
  rig_put(SPOOL_OUT, "one");
  assert_hf_ok(spool_commit(rig_spool));
  rig_put(SPOOL_OUT, "two");
  rig_open(&rig_options);
  rig_expect_end(SPOOL_OUT, rig_expect(SPOOL_OUT, 0, "one"));
}

static void what_is_missing_is_not_found_and_costs_nothing(void **state)
{
  (void)state;
  rig_open(&rig_options);
  rig_put(SPOOL_OUT, "here");
  assert_hf_err(spool_remove(rig_spool, SPOOL_OUT, 99), NOT_FOUND);
  assert_hf_err(spool_remove(rig_spool, SPOOL_IN, 1), NOT_FOUND);
  assert_hf_err(spool_mark(rig_spool, SPOOL_OUT, 99, 1, 1), NOT_FOUND);
  assert_hf_err(spool_reject(rig_spool, SPOOL_OUT, 0, 0x87), NOT_FOUND);
  assert_hf_ok(spool_commit(rig_spool));
  rig_open(&rig_options);
  rig_expect(SPOOL_OUT, 0, "here");
}

static void a_mark_lasts_until_the_message_goes(void **state)
{
  (void)state;
  rig_open(&rig_options);
  bool found;
  struct spool_message message;
  uint64_t one = rig_put(SPOOL_OUT, "one"), two = rig_put(SPOOL_OUT, "two");
  assert_hf_ok(spool_mark(rig_spool, SPOOL_OUT, one, 0xFFFE, 2));
  assert_hf_ok(spool_mark(rig_spool, SPOOL_OUT, two, 5, 1));
  assert_hf_ok(spool_mark(rig_spool, SPOOL_OUT, two, 0, 0));
  assert_hf_ok(spool_commit(rig_spool));
  rig_open(&rig_options);
  assert_hf_ok(spool_read(rig_spool, SPOOL_OUT, 0, &found, &message));
  assert_int_equal(0xFFFE, message.packet_id);
  assert_int_equal(2, message.state);
  assert_hf_ok(spool_read(rig_spool, SPOOL_OUT, one, &found, &message));
  assert_int_equal(0, message.packet_id);
  assert_hf_ok(spool_remove(rig_spool, SPOOL_OUT, one));
  assert_hf_ok(spool_commit(rig_spool));
  rig_open(&rig_options); /* counts agree, or it would be refused */
}

static void received_packet_ids_are_kept_by_queue(void **state)
{
  (void)state;
  rig_open(&rig_options);
  bool has;
  assert_hf_ok(spool_received_add(rig_spool, SPOOL_OUT, 1));
  assert_hf_ok(spool_received_add(rig_spool, SPOOL_OUT, 1));
  assert_hf_ok(spool_received_add(rig_spool, SPOOL_OUT, 65535));
  assert_hf_ok(spool_received_add(rig_spool, SPOOL_IN, 2));
  assert_hf_ok(spool_commit(rig_spool));
  rig_open(&rig_options);
  assert_hf_ok(spool_received_has(rig_spool, SPOOL_OUT, 65535, &has));
  assert_true(has);
  assert_hf_ok(spool_received_has(rig_spool, SPOOL_OUT, 2, &has));
  assert_false(has);
  assert_hf_ok(spool_received_remove(rig_spool, SPOOL_OUT, 1));
  assert_hf_ok(spool_received_remove(rig_spool, SPOOL_OUT, 3));
  assert_hf_ok(spool_received_has(rig_spool, SPOOL_OUT, 1, &has));
  assert_false(has);
  assert_hf_ok(spool_received_clear(rig_spool, SPOOL_OUT));
  assert_hf_ok(spool_received_has(rig_spool, SPOOL_OUT, 65535, &has));
  assert_false(has);
  assert_hf_ok(spool_received_has(rig_spool, SPOOL_IN, 2, &has));
  assert_true(has);
}

/* Puts until it is refused; returns how many there are. */
static uint64_t fill(enum spool_queue queue, enum hf_code expected)
{
  uint64_t sequence;
  hf_err e;
  while (!hf_failed(e = rig_try_put(queue, "a/topic", "a payload of some length, so that it takes a while", &sequence)))
    ;
  assert_int_equal(expected, e.code);
  return rig_stats(queue).messages;
}

static void a_full_spool_refuses_and_keeps_the_rest(void **state)
{
  (void)state;
  rig_open(&rig_options);
  uint64_t count = fill(SPOOL_OUT, HF_ERR_SPOOL_FULL);
  assert_in_range(count, 8000, 11000);
  assert_in_range(rig_stats(SPOOL_OUT).bytes, rig_options.max_size - 200, rig_options.max_size);
  assert_contains(hf_err_hint((hf_err){ HF_ERR_SPOOL_FULL }), "mqtt.bridge.spool.max_size");
  uint64_t sequence;
  assert_hf_err(rig_try_put(SPOOL_IN, "t",
                            "the limit is one for both, and this takes more than what is left there for "
                            "it, which is less than a message of the others takes",
                            &sequence),
                SPOOL_FULL);
  assert_hf_ok(spool_commit(rig_spool));
  assert_hf_ok(spool_remove(rig_spool, SPOOL_OUT, 1));
  rig_put(SPOOL_OUT, "fits again");
  assert_hf_ok(spool_commit(rig_spool));
  rig_open(&rig_options);
  assert_int_equal(count, rig_stats(SPOOL_OUT).messages);
  assert_int_equal(0, rig_stats(SPOOL_OUT).dropped);
}

static void the_oldest_goes_first_but_never_one_on_its_way(void **state)
{
  (void)state;
  struct spool_options options = rig_options;
  options.overflow = SPOOL_DROP_OLDEST;
  options.max_size = SPOOL_SIZE_MIN;
  rig_open(&options);
  static char payload[1001];
  memset(payload, 'x', 1000);
  for (int i = 0; i < 40; i++)
    rig_put(SPOOL_OUT, payload);
  spool_hold(rig_spool, SPOOL_OUT, 2);
  assert_hf_ok(spool_mark(rig_spool, SPOOL_OUT, 3, 9, 1));
  for (int i = 0; i < 40; i++)
    rig_put(SPOOL_OUT, payload);
  assert_hf_ok(spool_commit(rig_spool));
  struct spool_stats stats = rig_stats(SPOOL_OUT);
  assert_int_equal(80, stats.messages + stats.dropped);
  assert_in_range(stats.messages, 55, 64);
  uint64_t at = 0;
  for (int i = 1; i <= 3; i++) {
    at = rig_expect(SPOOL_OUT, at, payload);
    assert_int_equal(i, at);
  }
  assert_int_equal(4 + stats.dropped, rig_expect(SPOOL_OUT, at, payload));
  rig_open(&options);
  assert_int_equal(stats.dropped, rig_stats(SPOOL_OUT).dropped);
}

static void all_on_its_way_is_full(void **state)
{
  (void)state;
  struct spool_options options = rig_options;
  options.overflow = SPOOL_DROP_OLDEST;
  options.max_size = SPOOL_SIZE_MIN;
  rig_open(&options);
  spool_hold(rig_spool, SPOOL_OUT, UINT64_MAX);
  fill(SPOOL_OUT, HF_ERR_SPOOL_FULL);
  assert_int_equal(0, rig_stats(SPOOL_OUT).dropped);
  uint64_t sequence;
  assert_hf_err(
      rig_try_put(SPOOL_IN, "t", "the other queue cannot make room either, as nothing may go there is", &sequence),
      SPOOL_FULL);
  spool_hold(rig_spool, SPOOL_OUT, 0);
  assert_hf_ok(
      rig_try_put(SPOOL_IN, "t", "and now the other queue's oldest goes for it, since its own has none", &sequence));
  assert_int_equal(1, rig_stats(SPOOL_OUT).dropped);
}

static void a_message_too_large_is_refused_by_itself(void **state)
{
  (void)state;
  rig_open(&rig_options);
  uint64_t sequence;
  uint8_t *bytes = calloc(1, SPOOL_MESSAGE_MAX + 1);
  struct spool_message message = rig_message("t", bytes, SPOOL_MESSAGE_MAX);
  assert_hf_err(spool_put(rig_spool, SPOOL_OUT, &message, &sequence), LIMIT);
  assert_contains(hf_err_context(), "16777217 bytes");
  message = rig_message("t", bytes, 2 << 20);
  assert_hf_err(spool_put(rig_spool, SPOOL_OUT, &message, &sequence), LIMIT);
  assert_contains(hf_err_hint((hf_err){ HF_ERR_LIMIT }), "max_size");
  message = rig_message("", bytes, 1);
  assert_hf_err(spool_put(rig_spool, SPOOL_OUT, &message, &sequence), LIMIT);
  assert_hf_ok(spool_count_dropped(rig_spool, SPOOL_OUT));
  rig_put(SPOOL_OUT, "small");
  assert_hf_ok(spool_commit(rig_spool));
  assert_int_equal(1, rig_stats(SPOOL_OUT).dropped);
  free(bytes);
}

static void a_rejected_message_is_kept_apart(void **state)
{
  (void)state;
  rig_open(&rig_options);
  bool found;
  struct spool_message message;
  uint64_t one = rig_put(SPOOL_OUT, "one");
  rig_put(SPOOL_OUT, "two");
  assert_hf_ok(spool_mark(rig_spool, SPOOL_OUT, one, 3, 1));
  assert_hf_ok(spool_reject(rig_spool, SPOOL_OUT, one, 0x87));
  assert_hf_ok(spool_commit(rig_spool));
  rig_open(&rig_options);
  rig_expect(SPOOL_OUT, 0, "two");
  assert_int_equal(1, rig_stats(SPOOL_OUT).rejected);
  rig_expect(SPOOL_REJECTED, 0, "one");
  assert_hf_ok(spool_read(rig_spool, SPOOL_REJECTED, 0, &found, &message));
  assert_int_equal(SPOOL_OUT, message.from);
  assert_int_equal(0x87, message.reason);
  assert_hf_ok(spool_remove(rig_spool, SPOOL_REJECTED, message.sequence));
  assert_hf_ok(spool_commit(rig_spool));
  assert_int_equal(0, rig_stats(SPOOL_REJECTED).messages);
}

static void what_is_rejected_is_bounded(void **state)
{
  (void)state;
  rig_open(&rig_options);
  static char payload[3001];
  memset(payload, 'x', 3000);
  for (int i = 0; i < 200; i++)
    assert_hf_ok(spool_reject(rig_spool, SPOOL_IN, rig_put(SPOOL_IN, payload), 1));
  for (int i = 0; i < 1200; i++)
    assert_hf_ok(spool_reject(rig_spool, SPOOL_IN, rig_put(SPOOL_IN, "small"), 1));
  /* Larger than all that it may hold. */
  static uint8_t large[300000];
  struct spool_message message = rig_message("t", large, sizeof(large));
  uint64_t sequence;
  assert_hf_ok(spool_put(rig_spool, SPOOL_IN, &message, &sequence));
  assert_hf_ok(spool_reject(rig_spool, SPOOL_IN, sequence, 1));
  assert_hf_ok(spool_commit(rig_spool));
  assert_int_equal(1401, rig_stats(SPOOL_IN).rejected);
  assert_in_range(rig_stats(SPOOL_REJECTED).messages, 0, SPOOL_REJECTED_MESSAGES_MAX);
  assert_in_range(rig_stats(SPOOL_REJECTED).bytes, 1, rig_options.max_size / 8);
  rig_open(&rig_options);
}

static void other_limits_hold_from_now_on(void **state)
{
  (void)state;
  rig_open(&rig_options);
  uint64_t count = fill(SPOOL_OUT, HF_ERR_SPOOL_FULL), sequence;
  assert_hf_ok(spool_commit(rig_spool));
  struct spool_options options = rig_options;
  options.max_size *= 2;
  options.durability = SPOOL_POWER;
  assert_hf_ok(spool_configure(rig_spool, &options));
  assert_true(fill(SPOOL_OUT, HF_ERR_SPOOL_FULL) >= 2 * count - 1);
  assert_hf_ok(spool_commit(rig_spool));
  assert_hf_ok(spool_configure(rig_spool, &rig_options));
  assert_hf_err(rig_try_put(SPOOL_OUT, "t", "no", &sequence), SPOOL_FULL);
  rig_expect(SPOOL_OUT, 0, "a payload of some length, so that it takes a while");
  options.max_size = SPOOL_SIZE_MIN - 1;
  assert_hf_err(spool_configure(rig_spool, &options), LIMIT);
}

/* The file stays near max_size, whatever the sizes: what goes makes room for what comes. */
static void space_is_used_again(void **state)
{
  (void)state;
  char path[PATH_MAX];
  struct stat file;
  static uint8_t bytes[70000];
  uint64_t sequence, oldest = 1;
  unsigned random = 1;
  rig_open(&rig_options);
  for (int i = 0; i < 30000; i++) {
    random = random * 1103515245 + 12345;
    size_t len = (random >> 16) % 50 == 0 ? (random >> 8) % sizeof(bytes) : (random >> 8) % 500;
    struct spool_message message = rig_message("a/topic", bytes, len);
    while (hf_failed(spool_put(rig_spool, SPOOL_OUT, &message, &sequence)))
      assert_hf_ok(spool_remove(rig_spool, SPOOL_OUT, oldest++));
    if (i % 20 == 0)
      assert_hf_ok(spool_commit(rig_spool));
  }
  assert_hf_ok(spool_commit(rig_spool));
  rig_data_path(path);
  assert_int_equal(0, stat(path, &file));
  assert_in_range(file.st_size, 0, rig_options.max_size * 3 / 2);
  rig_open(&rig_options);
}

static void one_process_alone_has_it(void **state)
{
  (void)state;
  rig_open(&rig_options);
  struct spool *second;
  char aside[PATH_MAX];
  assert_hf_err(spool_open(rig_spool_dir, &rig_options, &second), BUSY);
  assert_contains(hf_err_context(), rig_spool_dir);
  assert_hf_err(spool_move_aside(rig_spool_dir, aside, sizeof(aside)), BUSY);
}

static void its_directory_is_its_owner_s(void **state)
{
  (void)state;
  struct stat st;
  rig_open(&rig_options);
  assert_int_equal(0, stat(rig_spool_dir, &st));
  assert_int_equal(0700, st.st_mode & 0777);
  char path[PATH_MAX];
  rig_data_path(path);
  assert_int_equal(0, stat(path, &st));
  assert_int_equal(0600, st.st_mode & 0777);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    RIG_TEST(messages_come_back_in_order_after_a_reopen),
    RIG_TEST(a_message_comes_back_whole),
    RIG_TEST(messages_of_all_sizes_come_back),
    RIG_TEST(an_aborted_transaction_leaves_nothing),
    RIG_TEST(what_was_not_committed_is_gone_after_a_close),
    RIG_TEST(what_is_missing_is_not_found_and_costs_nothing),
    RIG_TEST(a_mark_lasts_until_the_message_goes),
    RIG_TEST(received_packet_ids_are_kept_by_queue),
    RIG_TEST(a_full_spool_refuses_and_keeps_the_rest),
    RIG_TEST(the_oldest_goes_first_but_never_one_on_its_way),
    RIG_TEST(all_on_its_way_is_full),
    RIG_TEST(a_message_too_large_is_refused_by_itself),
    RIG_TEST(a_rejected_message_is_kept_apart),
    RIG_TEST(what_is_rejected_is_bounded),
    RIG_TEST(other_limits_hold_from_now_on),
    RIG_TEST(space_is_used_again),
    RIG_TEST(one_process_alone_has_it),
    RIG_TEST(its_directory_is_its_owner_s),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
