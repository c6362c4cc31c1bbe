/* SPDX-License-Identifier: Apache-2.0 */
/* MQTT's packets against bytes that follow from the standard (the examples of its sections among them), and against each other. */
#include "mqtt/connect.h"
#include "mqtt/publish.h"
#include "mqtt/subscribe.h"

#include "hf_test.h"

#define BYTES(text) hf_slice(text, sizeof(text) - 1)

static void assert_slice(struct hf_slice got, struct hf_slice wanted)
{
  assert_int_equal(got.len, wanted.len);
  if (wanted.len)
    assert_memory_equal(got.data, wanted.data, wanted.len);
}

static void assert_bytes(struct hf_buf *buf, struct hf_slice wanted)
{
  assert_slice(hf_slice(buf->data, buf->len), wanted);
  hf_buf_free(buf);
}

/* The one packet that the bytes are. */
static struct mqtt_packet one(struct hf_slice bytes)
{
  struct mqtt_packet packet = { 0 };
  bool whole = false;
  assert_hf_ok(mqtt_packet_take(&bytes, MQTT_PACKET_MAX, &whole, &packet));
  assert_true(whole);
  assert_int_equal(bytes.len, 0);
  return packet;
}

static struct mqtt_packet packet_of(enum mqtt_type type, struct hf_slice body)
{
  return (struct mqtt_packet){ type, 0, body };
}

static const struct {
  uint32_t value;
  struct hf_slice bytes;
} varints[] = {
  { 0, { (const uint8_t *)"\0", 1 } },
  { 127, { (const uint8_t *)"\x7f", 1 } },
  { 128, { (const uint8_t *)"\x80\x01", 2 } },
  { 16383, { (const uint8_t *)"\xff\x7f", 2 } },
  { 16384, { (const uint8_t *)"\x80\x80\x01", 3 } },
  { 2097151, { (const uint8_t *)"\xff\xff\x7f", 3 } },
  { 2097152, { (const uint8_t *)"\x80\x80\x80\x01", 4 } },
  { MQTT_VARINT_MAX, { (const uint8_t *)"\xff\xff\xff\x7f", 4 } },
};

static void numbers_are_those_of_table_1_1(void **state)
{
  (void)state;
  for (size_t i = 0; i < HF_ARRAY_LEN(varints); i++) {
    HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(8);
    uint32_t value = 1;
    struct hf_slice in = varints[i].bytes, cut = hf_slice(in.data, in.len - 1);
    assert_hf_ok(mqtt_varint_add(&out, varints[i].value));
    assert_int_equal(mqtt_varint_len(varints[i].value), in.len);
    assert_bytes(&out, in);
    assert_hf_ok(mqtt_varint_take(&in, &value));
    assert_true(value == varints[i].value && in.len == 0);
    assert_hf_err(mqtt_varint_take(&cut, &value), PARSE);
  }
}

static void numbers_that_are_none(void **state)
{
  (void)state;
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(8);
  uint32_t value = 7;
  struct hf_slice overlong = BYTES("\x80\x00"), too_long = BYTES("\xff\xff\xff\xff\x7f");
  assert_hf_err(mqtt_varint_take(&overlong, &value), PARSE);
  assert_hf_err(mqtt_varint_take(&too_long, &value), PARSE);
  assert_hf_err(mqtt_varint_add(&out, (size_t)MQTT_VARINT_MAX + 1), LIMIT);
  assert_true(value == 7 && too_long.len == 5);
}

static void texts_are_utf8_without_nul(void **state)
{
  (void)state;
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(16);
  /* Figure 1-1: "A" and U+2A6D4. */
  assert_hf_ok(mqtt_bytes_add(&out, BYTES("A\xf0\xaa\x9b\x94")));
  struct hf_slice in = hf_slice(out.data, out.len), text;
  assert_slice(in, BYTES("\x00\x05\x41\xf0\xaa\x9b\x94"));
  assert_hf_ok(mqtt_text_take(&in, &text));
  assert_slice(text, BYTES("A\xf0\xaa\x9b\x94"));
  static const struct {
    const char *bytes;
    size_t len;
  } bad[] = { { "\0\1\0", 3 }, { "\0\3\xed\xa0\x80", 5 }, { "\0\2\xc0\x80", 4 }, { "\0\5abcd", 6 }, { "\0", 1 } };
  for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++) {
    in = hf_slice(bad[i].bytes, bad[i].len);
    assert_hf_err(mqtt_text_take(&in, &text), PARSE);
    assert_int_equal(in.len, bad[i].len);
  }
}

static void a_stream_is_cut_into_packets(void **state)
{
  (void)state;
  static const char stream[] = "\xc0\x00\x40\x02\x00\x07\x30\x05\x00\x01"
                               "axy\xd0\x00";
  static const enum mqtt_type types[] = { MQTT_PINGREQ, MQTT_PUBACK, MQTT_PUBLISH, MQTT_PINGRESP };
  /* However it arrives: split at each place in turn. */
  for (size_t cut = 0; cut < sizeof(stream); cut++) {
    size_t got = 0, start = 0;
    for (size_t end = cut;; end = sizeof(stream) - 1) {
      struct hf_slice in = hf_slice(stream + start, end - start);
      struct mqtt_packet packet;
      for (bool whole = true; whole;) {
        assert_hf_ok(mqtt_packet_take(&in, 64, &whole, &packet));
        if (whole)
          assert_int_equal(packet.type, types[got++]);
      }
      start = (size_t)((const char *)in.data - stream);
      if (end == sizeof(stream) - 1)
        break;
    }
    assert_int_equal(got, HF_ARRAY_LEN(types));
    assert_int_equal(start, sizeof(stream) - 1);
  }
}

static const struct {
  const char *bytes;
  size_t len;
  enum hf_code code;
} bad_frames[] = {
  { "\x00\x00", 2, HF_ERR_PARSE },                 /* type 0 */
  { "\x41\x02\x00\x07", 4, HF_ERR_PARSE },         /* PUBACK with flags */
  { "\x60\x02\x00\x07", 4, HF_ERR_PARSE },         /* PUBREL without its flags */
  { "\x80", 1, HF_ERR_PARSE },                     /* SUBSCRIBE without, seen at its first byte */
  { "\x30\xff\xff\xff\xff\x7f", 6, HF_ERR_PARSE }, /* a length of five bytes */
  { "\x30\x80\x00", 3, HF_ERR_PARSE },             /* a length with a shorter form */
  { "\x30\x40", 2, HF_ERR_LIMIT },                 /* over the limit, seen before the bytes come */
};

static void what_begins_no_packet_is_refused_at_once(void **state)
{
  (void)state;
  for (size_t i = 0; i < HF_ARRAY_LEN(bad_frames); i++) {
    struct hf_slice in = hf_slice(bad_frames[i].bytes, bad_frames[i].len);
    struct mqtt_packet packet;
    bool whole = false;
    hf_err e = mqtt_packet_take(&in, 64, &whole, &packet);
    assert_int_equal(e.code, bad_frames[i].code);
    assert_int_equal(in.len, bad_frames[i].len);
  }
}

static void connect_of_3_1_1(void **state)
{
  (void)state;
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(256);
  const struct mqtt_will will = { mqtt_text("w/t"), mqtt_text("gone"), { 0 }, 1, false };
  const struct mqtt_connect connect = {
    MQTT_3_1_1, mqtt_text("id"), mqtt_text("user"), mqtt_text("pass"), { 0 }, &will, 10, true
  };
  assert_hf_ok(mqtt_connect_encode(&connect, &out));
  /* Figure 3.6's flags: user name, password, will QoS 1, will, clean session; keep alive 10. */
  assert_bytes(&out,
               BYTES("\x10\x25\x00\x04MQTT\x04\xce\x00\x0a\x00\x02id\x00\x03w/t\x00\x04gone\x00\x04user\x00\x04pass"));
}

static void connect_of_5_comes_back(void **state)
{
  (void)state;
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(256), properties = HF_BUF(64), will_properties = HF_BUF(64);
  assert_hf_ok(mqtt_property_add_number(&properties, MQTT_SESSION_EXPIRY, 10));
  assert_slice(hf_slice(properties.data, properties.len), BYTES("\x11\x00\x00\x00\x0a"));
  assert_hf_ok(mqtt_property_add_number(&will_properties, MQTT_WILL_DELAY, 5));
  const struct mqtt_will will = {
    mqtt_text("w"), BYTES("\0\1"), { will_properties.data, will_properties.len }, 2, true
  };
  const struct mqtt_connect connect = { .version = MQTT_5,
                                        .client_id = mqtt_text(""),
                                        .properties = { properties.data, properties.len },
                                        .will = &will,
                                        .keep_alive_s = 60 };
  assert_hf_ok(mqtt_connect_encode(&connect, &out));
  struct mqtt_packet packet = one(hf_slice(out.data, out.len));
  struct mqtt_connect got;
  struct mqtt_will got_will;
  assert_hf_ok(mqtt_connect_decode(&packet, &got, &got_will));
  assert_true(got.version == MQTT_5 && !got.clean && got.keep_alive_s == 60 && got.will == &got_will);
  assert_true(!got.user.data && !got.password.data && got.client_id.len == 0);
  assert_int_equal(mqtt_property_number(got.properties, MQTT_SESSION_EXPIRY, 0), 10);
  assert_int_equal(mqtt_property_number(got.properties, MQTT_RECEIVE_MAXIMUM, 65535), 65535);
  assert_int_equal(mqtt_property_number(got_will.properties, MQTT_WILL_DELAY, 0), 5);
  assert_slice(got_will.payload, BYTES("\0\1"));
  assert_true(got_will.qos == 2 && got_will.retain);
}

static const struct {
  const char *what;
  struct hf_slice body;
} bad_connects[] = {
  { "another protocol", { (const uint8_t *)"\x00\x04MQTt\x04\x02\x00\x0a\x00\x00", 12 } },
  { "another level", { (const uint8_t *)"\x00\x04MQTT\x03\x02\x00\x0a\x00\x00", 12 } },
  { "the reserved flag", { (const uint8_t *)"\x00\x04MQTT\x04\x03\x00\x0a\x00\x00", 12 } },
  { "will QoS without a will", { (const uint8_t *)"\x00\x04MQTT\x04\x0a\x00\x0a\x00\x00", 12 } },
  { "a will of QoS 3", { (const uint8_t *)"\x00\x04MQTT\x04\x1e\x00\x0a\x00\x00\x00\x01w\x00\x00", 17 } },
  { "a password without a user", { (const uint8_t *)"\x00\x04MQTT\x04\x42\x00\x0a\x00\x00\x00\x00", 14 } },
  { "bytes too many", { (const uint8_t *)"\x00\x04MQTT\x04\x02\x00\x0a\x00\x00\x00", 13 } },
  { "a client id that is cut", { (const uint8_t *)"\x00\x04MQTT\x04\x02\x00\x0a\x00\x05", 12 } },
};

static void connects_that_are_malformed(void **state)
{
  (void)state;
  for (size_t i = 0; i < HF_ARRAY_LEN(bad_connects); i++) {
    struct mqtt_packet packet = packet_of(MQTT_CONNECT, bad_connects[i].body);
    struct mqtt_connect connect;
    struct mqtt_will will;
    hf_err e = mqtt_connect_decode(&packet, &connect, &will);
    if (e.code != HF_ERR_PARSE)
      print_error("%s\n", bad_connects[i].what);
    assert_hf_err(e, PARSE);
  }
}

static void connack_of_both_versions(void **state)
{
  (void)state;
  struct mqtt_connack connack;
  struct mqtt_packet v3 = one(BYTES("\x20\x02\x01\x00")), v5 = one(BYTES("\x20\x06\x00\x87\x03\x24\x01\x00"));
  struct mqtt_packet good = one(BYTES("\x20\x08\x01\x00\x05\x24\x01\x21\x00\x14"));
  assert_hf_ok(mqtt_connack_decode(&v3, MQTT_3_1_1, &connack));
  assert_true(connack.session_present && connack.reason == 0 && connack.version == MQTT_3_1_1);
  /* Who knows only 3.1.1 answers a CONNECT of 5 so. */
  struct mqtt_packet refusal = one(BYTES("\x20\x02\x00\x01"));
  assert_hf_ok(mqtt_connack_decode(&refusal, MQTT_5, &connack));
  assert_true(connack.version == MQTT_3_1_1 && connack.reason == 1);
  /* "maximum QoS", then a property that is cut. */
  assert_hf_err(mqtt_connack_decode(&v5, MQTT_5, &connack), PARSE);
  assert_hf_ok(mqtt_connack_decode(&good, MQTT_5, &connack));
  assert_int_equal(mqtt_property_number(connack.properties, MQTT_MAXIMUM_QOS, 2), 1);
  assert_int_equal(mqtt_property_number(connack.properties, MQTT_RECEIVE_MAXIMUM, 0), 20);
  struct mqtt_packet flags = one(BYTES("\x20\x02\x02\x00"));
  assert_hf_err(mqtt_connack_decode(&flags, MQTT_3_1_1, &connack), PARSE);
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(16);
  assert_hf_ok(mqtt_connack_encode(&(struct mqtt_connack){ MQTT_3_1_1, true, 0, { 0 } }, &out));
  assert_bytes(&out, BYTES("\x20\x02\x01\x00"));
}

static void publish_of_both_versions(void **state)
{
  (void)state;
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(256);
  struct mqtt_publish publish = { mqtt_text("a/b"), { 0 }, mqtt_text("hi"), 10, 1, false, false };
  /* Figure 3-9's variable header. */
  assert_hf_ok(mqtt_publish_encode(&publish, MQTT_3_1_1, &out));
  assert_int_equal(out.len, mqtt_publish_size(&publish, MQTT_3_1_1));
  assert_bytes(&out, BYTES("\x32\x09\x00\x03\x61\x2f\x62\x00\x0ahi"));
  publish.properties = BYTES("\x01\x01\x26\x00\x01k\x00\x01v");
  publish.retain = publish.dup = true;
  assert_hf_ok(mqtt_publish_encode(&publish, MQTT_5, &out));
  assert_int_equal(out.len, mqtt_publish_size(&publish, MQTT_5));
  assert_bytes(&out, BYTES("\x3b\x13\x00\x03\x61\x2f\x62\x00\x0a\x09\x01\x01\x26\x00\x01k\x00\x01vhi"));
  publish = (struct mqtt_publish){ .topic = mqtt_text("t"), .qos = 0 };
  assert_hf_ok(mqtt_publish_encode(&publish, MQTT_5, &out));
  assert_bytes(&out, BYTES("\x30\x04\x00\x01t\x00"));
}

static void a_published_message_comes_back(void **state)
{
  (void)state;
  struct mqtt_packet packet = one(BYTES("\x3d\x0e\x00\x03\x61\x2f\x62\x12\x34\x05\x02\x00\x00\x00\x3ch"));
  struct mqtt_publish publish;
  struct mqtt_property property;
  assert_hf_ok(mqtt_publish_decode(&packet, MQTT_5, &publish));
  assert_true(publish.qos == 2 && publish.dup && publish.retain && publish.packet_id == 0x1234);
  assert_slice(publish.topic, BYTES("a/b"));
  assert_slice(publish.payload, BYTES("h"));
  assert_int_equal(mqtt_property_number(publish.properties, MQTT_MESSAGE_EXPIRY, 0), 60);
  assert_false(mqtt_property_find(publish.properties, MQTT_CONTENT_TYPE, &property));
  /* The same bytes as 3.1.1: what were properties is payload. */
  assert_hf_ok(mqtt_publish_decode(&packet, MQTT_3_1_1, &publish));
  assert_int_equal(publish.payload.len, 7);
  assert_int_equal(publish.properties.len, 0);
}

static const struct {
  const char *what;
  struct hf_slice bytes;
} bad_publishes[] = {
  { "QoS 3", { (const uint8_t *)"\x36\x06\x00\x01t\x00\x01\x00", 8 } },
  { "DUP with QoS 0", { (const uint8_t *)"\x38\x04\x00\x01t\x00", 6 } },
  { "packet identifier 0", { (const uint8_t *)"\x32\x06\x00\x01t\x00\x00\x00", 8 } },
  { "no packet identifier", { (const uint8_t *)"\x32\x03\x00\x01t", 5 } },
  { "a wildcard", { (const uint8_t *)"\x30\x04\x00\x01#\x00", 6 } },
  { "an empty topic", { (const uint8_t *)"\x30\x03\x00\x00\x00", 5 } },
  { "a property of CONNACK", { (const uint8_t *)"\x30\x06\x00\x01t\x02\x24\x01", 8 } },
  { "a property that is none", { (const uint8_t *)"\x30\x06\x00\x01t\x02\x04\x01", 8 } },
  { "a property twice", { (const uint8_t *)"\x30\x08\x00\x01t\x04\x01\x01\x01\x00", 10 } },
  { "topic alias 0", { (const uint8_t *)"\x30\x07\x00\x01t\x03\x23\x00\x00", 9 } },
  { "payload format 2", { (const uint8_t *)"\x30\x06\x00\x01t\x02\x01\x02", 8 } },
  { "properties that are cut", { (const uint8_t *)"\x30\x05\x00\x01t\x05\x01", 7 } },
};

static void publishes_that_are_malformed(void **state)
{
  (void)state;
  for (size_t i = 0; i < HF_ARRAY_LEN(bad_publishes); i++) {
    struct mqtt_packet packet = one(bad_publishes[i].bytes);
    struct mqtt_publish publish = { .qos = 7 };
    hf_err e = mqtt_publish_decode(&packet, MQTT_5, &publish);
    if (e.code != HF_ERR_PARSE)
      print_error("%s\n", bad_publishes[i].what);
    assert_hf_err(e, PARSE);
    assert_int_equal(publish.qos, 7);
  }
}

static void acknowledgements(void **state)
{
  (void)state;
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(64);
  struct mqtt_ack ack;
  assert_hf_ok(mqtt_ack_encode(MQTT_PUBACK, &(struct mqtt_ack){ .packet_id = 0x0102 }, MQTT_5, &out));
  assert_bytes(&out, BYTES("\x40\x02\x01\x02"));
  assert_hf_ok(mqtt_ack_encode(MQTT_PUBREL, &(struct mqtt_ack){ .packet_id = 7, .reason = 0x92 }, MQTT_5, &out));
  assert_bytes(&out, BYTES("\x62\x03\x00\x07\x92"));
  assert_hf_ok(mqtt_ack_encode(MQTT_PUBREL, &(struct mqtt_ack){ .packet_id = 7, .reason = 0x92 }, MQTT_3_1_1, &out));
  assert_bytes(&out, BYTES("\x62\x02\x00\x07"));
  struct mqtt_packet with_text = one(BYTES("\x50\x09\x00\x07\x97\x05\x1f\x00\x02no"));
  assert_hf_ok(mqtt_ack_decode(&with_text, MQTT_5, &ack));
  struct mqtt_property property;
  assert_true(ack.packet_id == 7 && ack.reason == 0x97);
  assert_true(mqtt_property_find(ack.properties, MQTT_REASON_STRING, &property));
  assert_slice(property.text, BYTES("no"));
  assert_hf_err(mqtt_ack_decode(&with_text, MQTT_3_1_1, &ack), PARSE);
  struct mqtt_packet none = one(BYTES("\x40\x02\x00\x00"));
  assert_hf_err(mqtt_ack_decode(&none, MQTT_5, &ack), PARSE);
}

static void subscribe_of_both_versions(void **state)
{
  (void)state;
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(256), v3 = HF_BUF(64), v5 = HF_BUF(64);
  const struct mqtt_subscription a = { mqtt_text("a/b"), 1, true, true, MQTT_RETAINED_IF_NEW },
                                 c = { mqtt_text("c/d"), 2, false, false, MQTT_RETAINED_ALWAYS };
  assert_hf_ok(mqtt_subscription_add(&v3, &a, MQTT_3_1_1));
  assert_hf_ok(mqtt_subscription_add(&v3, &c, MQTT_3_1_1));
  struct mqtt_subscribe subscribe = { 10, { 0 }, { v3.data, v3.len } };
  assert_hf_ok(mqtt_subscribe_encode(MQTT_SUBSCRIBE, &subscribe, MQTT_3_1_1, &out));
  /* Figures 3.21 and 3.23 of 3.1.1. */
  assert_bytes(&out, BYTES("\x82\x0e\x00\x0a\x00\x03\x61\x2f\x62\x01\x00\x03\x63\x2f\x64\x02"));
  assert_hf_ok(mqtt_subscription_add(&v5, &a, MQTT_5));
  subscribe.filters = hf_slice(v5.data, v5.len);
  assert_hf_ok(mqtt_subscribe_encode(MQTT_SUBSCRIBE, &subscribe, MQTT_5, &out));
  assert_slice(hf_slice(out.data, out.len), BYTES("\x82\x09\x00\x0a\x00\x00\x03\x61\x2f\x62\x1d"));
  struct mqtt_packet packet = one(hf_slice(out.data, out.len));
  struct mqtt_subscription got;
  assert_hf_ok(mqtt_subscribe_decode(&packet, MQTT_5, &subscribe));
  assert_hf_ok(mqtt_subscription_take(&subscribe.filters, MQTT_5, &got));
  assert_true(got.qos == 1 && got.no_local && got.retain_as_published && got.retain_handling == MQTT_RETAINED_IF_NEW);
  assert_slice(got.filter, BYTES("a/b"));
  assert_int_equal(subscribe.filters.len, 0);
}

static void subscribes_that_are_malformed(void **state)
{
  (void)state;
  struct mqtt_packet empty = one(BYTES("\x82\x03\x00\x0a\x00"));
  struct mqtt_subscribe subscribe;
  assert_hf_err(mqtt_subscribe_decode(&empty, MQTT_5, &subscribe), PARSE);
  static const struct {
    const char *bytes;
    enum mqtt_version version;
  } bad[] = {
    { "\x00\x01t\x03", MQTT_5 },     { "\x00\x01t\x30", MQTT_5 },      { "\x00\x01t\x41", MQTT_5 },
    { "\x00\x01t\x05", MQTT_3_1_1 }, { "\x00\x02+a\x01", MQTT_3_1_1 },
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++) {
    struct hf_slice in = hf_slice(bad[i].bytes, 3u + (uint8_t)bad[i].bytes[1]);
    struct mqtt_subscription subscription;
    assert_hf_err(mqtt_subscription_take(&in, bad[i].version, &subscription), PARSE);
  }
}

static void answers_to_subscribe(void **state)
{
  (void)state;
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(64);
  struct mqtt_suback suback = { 10, { 0 }, BYTES("\x00\x02\x80") };
  assert_hf_ok(mqtt_suback_encode(MQTT_SUBACK, &suback, MQTT_3_1_1, &out));
  assert_slice(hf_slice(out.data, out.len), BYTES("\x90\x05\x00\x0a\x00\x02\x80"));
  struct mqtt_packet packet = one(hf_slice(out.data, out.len)), bare = one(BYTES("\xb0\x02\x00\x0a"));
  assert_hf_ok(mqtt_suback_decode(&packet, MQTT_3_1_1, &suback));
  assert_slice(suback.reasons, BYTES("\x00\x02\x80"));
  assert_hf_ok(mqtt_suback_decode(&bare, MQTT_3_1_1, &suback));
  assert_int_equal(suback.reasons.len, 0);
  assert_hf_err(mqtt_suback_decode(&bare, MQTT_5, &suback), PARSE);
}

static void disconnect_of_both_versions(void **state)
{
  (void)state;
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(64);
  struct mqtt_disconnect disconnect = { 0 };
  assert_hf_ok(mqtt_disconnect_encode(&disconnect, MQTT_5, &out));
  assert_bytes(&out, BYTES("\xe0\x00"));
  struct mqtt_packet packet = one(BYTES("\xe0\x07\x8e\x05\x1f\x00\x02no"));
  assert_hf_ok(mqtt_disconnect_decode(&packet, MQTT_5, &disconnect));
  assert_int_equal(disconnect.reason, 0x8e);
  assert_hf_err(mqtt_disconnect_decode(&packet, MQTT_3_1_1, &disconnect), PARSE);
  disconnect.properties = hf_slice(NULL, 0);
  assert_hf_ok(mqtt_disconnect_encode(&disconnect, MQTT_5, &out));
  assert_bytes(&out, BYTES("\xe0\x01\x8e"));
}

/* One of each property, in order; they are walked and written again as they were. */
static void properties_of_every_type_come_back(void **state)
{
  (void)state;
  static const char bytes[] = "\x15\x01\x01\x02\x00\x00\x00\x09\x09\x00\x02\x00\xff\x0b\x80\x01\x26\x00\x01k\x00\x00";
  struct hf_slice in = hf_slice(bytes, sizeof(bytes) - 1), properties, rest;
  assert_hf_ok(mqtt_properties_take(&in, MQTT_PUBLISH, &properties));
  assert_int_equal(in.len, 0);
  HF_CLEANUP(hf_buf_free) struct hf_buf again = HF_BUF(64), whole = HF_BUF(64);
  rest = properties;
  size_t count = 0;
  for (struct mqtt_property property; mqtt_property_next(&rest, &property); count++)
    assert_hf_ok(mqtt_property_add(&again, &property));
  assert_int_equal(count, 5);
  assert_hf_ok(mqtt_properties_add(&whole, hf_slice(again.data, again.len)));
  assert_bytes(&whole, hf_slice(bytes, sizeof(bytes) - 1));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(numbers_are_those_of_table_1_1),
    cmocka_unit_test(numbers_that_are_none),
    cmocka_unit_test(texts_are_utf8_without_nul),
    cmocka_unit_test(a_stream_is_cut_into_packets),
    cmocka_unit_test(what_begins_no_packet_is_refused_at_once),
    cmocka_unit_test(connect_of_3_1_1),
    cmocka_unit_test(connect_of_5_comes_back),
    cmocka_unit_test(connects_that_are_malformed),
    cmocka_unit_test(connack_of_both_versions),
    cmocka_unit_test(publish_of_both_versions),
    cmocka_unit_test(a_published_message_comes_back),
    cmocka_unit_test(publishes_that_are_malformed),
    cmocka_unit_test(acknowledgements),
    cmocka_unit_test(subscribe_of_both_versions),
    cmocka_unit_test(subscribes_that_are_malformed),
    cmocka_unit_test(answers_to_subscribe),
    cmocka_unit_test(disconnect_of_both_versions),
    cmocka_unit_test(properties_of_every_type_come_back),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
