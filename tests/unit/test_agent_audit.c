/* SPDX-License-Identifier: Apache-2.0 */
/* What an audit line says, whatever the names in it; the watchdog's view of calls. */
#include "policy/audit.h"
#include "agent/deadline.h"
#include "base/json_text.h"
#include "hf_test.h"

#include <pthread.h>

static const struct policy_answer denial = { .verdict = VERDICT_DENY, .rule = "the default: nobody may delete" };

static struct audit_event event_of(const struct peer *peer)
{
  return (struct audit_event){ .peer = peer,
                               .socket = "signing",
                               .request = "DeleteKeyRequest",
                               .op = "delete",
                               .key = "pkcs11:token=device;object=tls",
                               .answer = &denial,
                               .result = { HF_ERR_PERMISSION },
                               .seconds = 0.0125 };
}

static const char *text_of(struct hf_buf *buf)
{
  const char *text = hf_buf_str(buf);
  return text ? text : "";
}

static void test_a_line_of_json(void **state)
{
  (void)state;
  struct peer peer = { .uid = 7, .pid = 99, .unit = "web.service", .exe = "/bin/a \"b\"\n\x80" };
  struct audit_event event = event_of(&peer);
  struct hf_buf line = HF_BUF(8192);
  assert_hf_ok(audit_format_json(&event, &line));
  const char *text = text_of(&line);
  assert_contains(text,
                  "\"uid\":7,\"pid\":99,\"socket\":\"signing\",\"request\":\"DeleteKeyRequest\",\"op\":\"delete\"");
  assert_contains(text, "\"verdict\":\"deny\",\"rule\":\"the default: nobody may delete\",\"result\":\"permission\"");
  assert_contains(text, "\"exe\":\"/bin/a \\\"b\\\"\\u000a\\ufffd\",\"seconds\":0.012500}\n");
  assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
  hf_buf_free(&line);
}

static void test_fields_of_the_journal(void **state)
{
  (void)state;
  struct peer peer = { .uid = 7, .pid = 99, .exe = "/bin/a\nPRIORITY=0" };
  struct audit_event event = event_of(&peer);
  struct hf_buf datagram = HF_BUF(8192);
  assert_hf_ok(audit_format_journal(&event, &datagram));
  const char *text = text_of(&datagram);
  assert_contains(text, "MESSAGE=DeleteKeyRequest by uid 7, pid 99: denied, permission\nPRIORITY=5\n");
  assert_contains(text, "\nHOLDFAST_KEY=pkcs11:token=device;object=tls\n");
  assert_contains(text, "\nHOLDFAST_EXE=/bin/a?PRIORITY=0\n");
  assert_null(strstr(text, "HOLDFAST_UNIT"));
  hf_buf_free(&datagram);
}

static void test_what_json_makes_of_bytes(void **state)
{
  (void)state;
  static const struct {
    const char *text, *json;
  } rows[] = {
    { "plain", "\"plain\"" },
    { "\xC3\xA4\xE2\x82\xAC\xF0\x9F\x94\x91", "\"\xC3\xA4\xE2\x82\xAC\xF0\x9F\x94\x91\"" },
    { "\xC0\x80", "\"\\ufffd\\ufffd\"" },
    { "\xED\xA0\x80", "\"\\ufffd\\ufffd\\ufffd\"" },
    { "\xF0\x9F\x94", "\"\\ufffd\\ufffd\\ufffd\"" },
    { "\x01\x7F\\", "\"\\u0001\\u007f\\\\\"" },
    { NULL, "null" },
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
    struct hf_buf out = HF_BUF(256);
    assert_hf_ok(hf_json_add_text(&out, rows[i].text));
    assert_string_equal(text_of(&out), rows[i].json);
    hf_buf_free(&out);
  }
}

static void test_the_journal_where_there_is_none(void **state)
{
  (void)state;
  skip_where(access("/run/systemd/journal/socket", F_OK) == 0, "there is a journal");
  hf_err e = audit_open("holdfast-agent", AUDIT_JOURNAL, 2);
  assert_true(hf_failed(e));
  assert_contains(hf_err_hint(e), "--audit json");
}

static void test_a_line_that_cannot_be_written_is_counted(void **state)
{
  (void)state;
  struct peer peer = { .uid = 7 };
  struct audit_event event = event_of(&peer);
  unsigned long before = audit_lost();
  assert_hf_ok(audit_open("holdfast-agent", AUDIT_JSON, -1));
  audit_write(&event);
  assert_int_equal(audit_lost(), before + 1);
  assert_hf_ok(audit_open("holdfast-agent", AUDIT_OFF, -1));
  audit_write(&event);
  assert_int_equal(audit_lost(), before + 1);
}

static void test_a_call_over_its_deadline(void **state)
{
  (void)state;
  assert_null(deadline_overrun(0));
  struct deadline first = deadline_begin("C_Sign"), second = deadline_begin("C_Login");
  usleep(2000);
  assert_string_equal(deadline_overrun(1000000), "C_Sign");
  assert_null(deadline_overrun(3600LL * 1000000000));
  deadline_end(first);
  assert_string_equal(deadline_overrun(1000000), "C_Login");
  deadline_end(second);
  assert_null(deadline_overrun(0));
}

static void test_more_calls_than_places(void **state)
{
  (void)state;
  static struct deadline all[DEADLINE_SLOTS + 2];
  for (size_t i = 0; i < HF_ARRAY_LEN(all); i++)
    all[i] = deadline_begin("C_Sign");
  for (size_t i = 0; i < HF_ARRAY_LEN(all); i++)
    deadline_end(all[i]);
  assert_null(deadline_overrun(0));
}

static void *call_often(void *arg)
{
  (void)arg;
  for (int i = 0; i < 20000; i++)
    deadline_end(deadline_begin("C_Sign"));
  return NULL;
}

static void test_calls_of_many_threads(void **state)
{
  (void)state;
  pthread_t threads[8];
  for (size_t i = 0; i < HF_ARRAY_LEN(threads); i++)
    assert_int_equal(pthread_create(&threads[i], NULL, call_often, NULL), 0);
  for (int i = 0; i < 100; i++)
    assert_null(deadline_overrun(3600LL * 1000000000));
  for (size_t i = 0; i < HF_ARRAY_LEN(threads); i++)
    pthread_join(threads[i], NULL);
  assert_null(deadline_overrun(0));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_a_line_of_json),
    cmocka_unit_test(test_fields_of_the_journal),
    cmocka_unit_test(test_what_json_makes_of_bytes),
    cmocka_unit_test(test_the_journal_where_there_is_none),
    cmocka_unit_test(test_a_line_that_cannot_be_written_is_counted),
    cmocka_unit_test(test_a_call_over_its_deadline),
    cmocka_unit_test(test_more_calls_than_places),
    cmocka_unit_test(test_calls_of_many_threads),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
