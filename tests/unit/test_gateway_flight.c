/* SPDX-License-Identifier: Apache-2.0 */
/* What a bridge is made of, apart from sockets: flights, back-off, echoes, properties, its session file. */
#include "gateway/backoff.h"
#include "gateway/bridge_session.h"
#include "gateway/echo.h"
#include "gateway/flight.h"
#include "gateway/pass.h"

#include "hf_test.h"
#include "base/file.h"

static void add(struct flights *flights, uint64_t sequence, uint8_t qos)
{
  const struct flight flight = { .sequence = sequence,
                                 .end = sequence * 10,
                                 .packet_id = flight_packet_id(sequence, 7),
                                 .qos = qos,
                                 .state = FLIGHT_SENT };
  assert_hf_ok(flights_add(flights, &flight));
}

static void settle(struct flights *flights, uint64_t sequence)
{
  struct flight *flight = flights_find(flights, flight_packet_id(sequence, 7));
  assert_non_null(flight);
  assert_true(flight->sequence == sequence);
  flights_settle(flights, flight);
}

static void packet_ids_go_round(void **state)
{
  (void)state;
  assert_int_equal(flight_packet_id(0, 0), 1);
  assert_int_equal(flight_packet_id(FLIGHT_IDS - 1, 0), FLIGHT_IDS);
  assert_int_equal(flight_packet_id(FLIGHT_IDS, 0), 1);
  assert_int_equal(flight_packet_id(1, FLIGHT_IDS - 1), 1);
  for (uint64_t i = 0; i < 2 * FLIGHT_IDS; i++)
    assert_in_range(flight_packet_id(i, 64999), 1, FLIGHT_IDS);
}

static void flights_are_found_and_settled_in_any_order(void **state)
{
  (void)state;
  HF_CLEANUP(flights_free) struct flights flights = { 0 };
  for (uint64_t round = 0; round < 50; round++) {
    for (uint64_t i = 0; i < 100; i++)
      add(&flights, 1000 * round + i, 1 + i % 2);
    assert_int_equal(flights.open, 100);
    for (uint64_t i = 1; i < 100; i += 2)
      settle(&flights, 1000 * round + i);
    assert_int_equal(flights.open, 50);
    assert_null(flights_find(&flights, flight_packet_id(1000 * round + 1, 7)));
    assert_true(flights_oldest(&flights)->sequence == 1000 * round);
    for (uint64_t i = 0; i < 100; i += 2)
      settle(&flights, 1000 * round + 98 - i);
    assert_true(flights.open == 0 && flights.count == 0 && !flights_oldest(&flights));
  }
  assert_in_range(flights.capacity, 100, 256);
}

static void an_identifier_is_not_used_twice_at_a_time(void **state)
{
  (void)state;
  HF_CLEANUP(flights_free) struct flights flights = { 0 };
  assert_true(flights_fit(&flights, 1));
  add(&flights, 5, 1);
  assert_true(flights_fit(&flights, 5 + FLIGHT_IDS - 1));
  assert_false(flights_fit(&flights, 5 + FLIGHT_IDS));
  add(&flights, 6, 1);
  settle(&flights, 5);
  assert_true(flights_fit(&flights, 5 + FLIGHT_IDS));
}

static void count(uint64_t sequence, void *arg)
{
  uint64_t *last = arg;
  assert_true(sequence > *last);
  *last = sequence;
}

static void what_is_written_is_done_with_qos_0(void **state)
{
  (void)state;
  HF_CLEANUP(flights_free) struct flights flights = { 0 };
  uint64_t last = 0;
  add(&flights, 1, 1);
  add(&flights, 2, 0);
  add(&flights, 3, 0);
  add(&flights, 4, 0);
  assert_int_equal(flights.open, 1);
  assert_null(flights_find(&flights, flight_packet_id(2, 7)));
  flights_settle_sent(&flights, 30, count, &last);
  assert_true(last == 3 && flights.count == 4);
  settle(&flights, 1);
  assert_true(flights.count == 1 && flights_oldest(&flights)->sequence == 4);
  flights_settle_sent(&flights, 40, count, &last);
  assert_true(last == 4 && flights.count == 0);
}

static void waiting_doubles_with_jitter_up_to_the_maximum(void **state)
{
  (void)state;
  struct backoff backoff = { 1000, 60000, 0 };
  int64_t base = 1000;
  for (int i = 0; i < 200; i++) {
    int64_t wait = backoff_next(&backoff);
    int64_t low = base - base / 4 < 1000 ? 1000 : base - base / 4,
            high = base + base / 4 > 60000 ? 60000 : base + base / 4;
    assert_in_range(wait, low, high);
    base = base * 2 > 60000 ? 60000 : base * 2;
  }
  backoff = (struct backoff){ INT64_MAX / 4, INT64_MAX / 4, 0 };
  for (int i = 0; i < 100; i++)
    assert_true(backoff_next(&backoff) > 0);
}

static void an_echo_is_one_once_and_for_a_while(void **state)
{
  (void)state;
  static struct echoes echoes;
  struct hf_slice topic = mqtt_text("a/b"), one = mqtt_text("1"), other = mqtt_text("2");
  assert_false(echoes_take(&echoes, topic, one, 0));
  echoes_expect(&echoes, topic, one, 0);
  echoes_expect(&echoes, topic, one, 0);
  echoes_expect(&echoes, topic, other, 1000);
  assert_true(echoes_take(&echoes, topic, one, 10));
  assert_true(echoes_take(&echoes, topic, one, 10));
  assert_false(echoes_take(&echoes, topic, one, 10));
  assert_false(echoes_take(&echoes, mqtt_text("a/b2"), mqtt_text(""), 10));
  assert_true(echoes_take(&echoes, topic, other, ECHO_MS + 999));
  echoes_expect(&echoes, topic, other, 1000);
  assert_false(echoes_take(&echoes, topic, other, ECHO_MS + 1000));
  for (int i = 0; i < ECHO_MAX + 10; i++)
    echoes_expect(&echoes, topic, hf_slice(&i, sizeof(i)), 0);
  int first = 0, last = ECHO_MAX + 9;
  assert_false(echoes_take(&echoes, topic, hf_slice(&first, sizeof(first)), 1));
  assert_true(echoes_take(&echoes, topic, hf_slice(&last, sizeof(last)), 1));
}

static void properties_of_the_message_pass_and_those_of_the_connection_do_not(void **state)
{
  (void)state;
  HF_CLEANUP(hf_buf_free) struct hf_buf all = HF_BUF(256), passed = HF_BUF(256), sent = HF_BUF(256);
  assert_hf_ok(mqtt_property_add_number(&all, MQTT_TOPIC_ALIAS, 3));
  assert_hf_ok(mqtt_property_add_number(&all, MQTT_MESSAGE_EXPIRY, 60));
  assert_hf_ok(mqtt_property_add_number(&all, MQTT_SUBSCRIPTION_ID, 5));
  assert_hf_ok(mqtt_property_add_text(&all, MQTT_RESPONSE_TOPIC, mqtt_text("r/t")));
  assert_hf_ok(
      mqtt_property_add(&all, &(struct mqtt_property){ MQTT_USER_PROPERTY, 0, mqtt_text("k"), mqtt_text("v") }));
  assert_hf_ok(pass_properties(hf_slice(all.data, all.len), &passed));
  struct hf_slice got = hf_slice(passed.data, passed.len);
  assert_int_equal(got.len, 5 + 6 + 7);
  struct mqtt_property property;
  assert_false(mqtt_property_find(got, MQTT_TOPIC_ALIAS, &property));
  assert_true(mqtt_property_find(got, MQTT_USER_PROPERTY, &property));
  bool expired = true;
  assert_hf_ok(pass_expiry(got, 59, &sent, &expired));
  assert_false(expired);
  assert_int_equal(mqtt_property_number(hf_slice(sent.data, sent.len), MQTT_MESSAGE_EXPIRY, 0), 1);
  assert_int_equal(sent.len, got.len);
  assert_hf_ok(pass_expiry(got, 60, &sent, &expired));
  assert_true(expired);
  hf_buf_free(&sent);
  assert_hf_ok(pass_expiry(hf_slice(NULL, 0), 1000000, &sent, &expired));
  assert_false(expired);
}

static void a_session_file_keeps_what_it_was_told(void **state)
{
  (void)state;
  char dir[] = "/tmp/hf-session-XXXXXX", path[64];
  assert_non_null(mkdtemp(dir));
  snprintf(path, sizeof(path), "%s/session", dir);
  HF_CLEANUP(bridge_session_free) struct bridge_session session = { 0 }, again = { 0 };
  HF_CLEANUP(hf_buf_free) struct hf_buf filters = HF_BUF(256);
  assert_hf_ok(bridge_filters_add(&filters, mqtt_text("a/#")));
  assert_hf_ok(bridge_filters_add(&filters, mqtt_text("b +/\xc3\xa4")));
  assert_hf_ok(bridge_session_open(dir, &session));
  assert_in_range(session.salt, 0, FLIGHT_IDS - 1);
  struct hf_slice both = hf_slice(filters.data, filters.len);
  assert_hf_ok(bridge_session_subscribed(&session, BRIDGE_CLOUD, both));
  assert_hf_ok(bridge_session_open(dir, &again));
  assert_int_equal(again.salt, session.salt);
  assert_int_equal(again.filters[BRIDGE_LOCAL].len, 0);
  assert_true(hf_slice_equal(hf_slice(again.filters[BRIDGE_CLOUD].data, again.filters[BRIDGE_CLOUD].len), both));
  assert_true(bridge_filters_have(both, mqtt_text("b +/\xc3\xa4")));
  assert_false(bridge_filters_have(both, mqtt_text("b")));
  static const char *const bad[] = { "",
                                     "x",
                                     "holdfast-bridge-session 1\n",
                                     "holdfast-bridge-session 1\n65000\n",
                                     "holdfast-bridge-session 1\n5\nfoo a\n",
                                     "holdfast-bridge-session 1\n5\nlocal a" };
  for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++) {
    struct bridge_session damaged;
    assert_hf_ok(hf_file_write(path, bad[i], strlen(bad[i]), 0600));
    assert_hf_err(bridge_session_open(dir, &damaged), CONFIG);
  }
  unlink(path);
  rmdir(dir);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(packet_ids_go_round),
    cmocka_unit_test(flights_are_found_and_settled_in_any_order),
    cmocka_unit_test(an_identifier_is_not_used_twice_at_a_time),
    cmocka_unit_test(what_is_written_is_done_with_qos_0),
    cmocka_unit_test(waiting_doubles_with_jitter_up_to_the_maximum),
    cmocka_unit_test(an_echo_is_one_once_and_for_a_while),
    cmocka_unit_test(properties_of_the_message_pass_and_those_of_the_connection_do_not),
    cmocka_unit_test(a_session_file_keeps_what_it_was_told),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
