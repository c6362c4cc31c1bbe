/* SPDX-License-Identifier: Apache-2.0 */
/* A file that comes in parts, taken up by another process, and what does not belong to it. */
#include "base/file.h"
#include "identity/part.h"
#include "hf_test.h"

#include <fcntl.h>
#include <sys/stat.h>

static char directory[] = "/tmp/hf-part-XXXXXX";
static char path[64], part_name[80], source_name[80];
static const char url[] = "https://updates.example/file";

static int setup(void **state)
{
  (void)state;
  if (!mkdtemp(directory))
    return -1;
  snprintf(path, sizeof(path), "%s/file", directory);
  snprintf(part_name, sizeof(part_name), "%s.part", path);
  snprintf(source_name, sizeof(source_name), "%s.part.source", path);
  return 0;
}

static int tidy(void **state)
{
  (void)state;
  unlink(path);
  unlink(part_name);
  unlink(source_name);
  return 0;
}

static int teardown(void **state)
{
  (void)state;
  return rmdir(directory);
}

static void put(const char *etag, const char *text)
{
  HF_CLEANUP(part_closep) struct part *part = NULL;
  assert_hf_ok(part_open(path, url, &part));
  assert_hf_ok(part_begin(part, etag));
  assert_hf_ok(part_add(part, hf_slice(text, strlen(text))));
}

static void expect_there(const char *from, uint64_t size)
{
  HF_CLEANUP(part_closep) struct part *part = NULL;
  assert_hf_ok(part_open(path, from, &part));
  assert_int_equal(size, part_size(part));
  assert_int_equal(size > 0, part_etag(part)[0] != '\0');
}

static void another_goes_on_with_it(void **state)
{
  (void)state;
  struct stat st;
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(64);
  put("\"v1\"", "hello ");
  assert_int_equal(0, stat(part_name, &st));
  assert_int_equal(0600, st.st_mode & 07777);
  expect_there(url, 6);
  HF_CLEANUP(part_closep) struct part *part = NULL;
  assert_hf_ok(part_open(path, url, &part));
  assert_string_equal("\"v1\"", part_etag(part));
  assert_hf_ok(part_add(part, hf_slice("world", 5)));
  assert_hf_ok(part_finish(part));
  assert_hf_ok(hf_file_read(path, &text));
  assert_string_equal("hello world", hf_buf_str(&text));
  assert_int_equal(-1, access(part_name, F_OK));
  assert_int_equal(-1, access(source_name, F_OK));
}

static void what_is_of_another_source_does_not_count(void **state)
{
  (void)state;
  put("\"v1\"", "hello");
  expect_there("https://updates.example/other", 0);
  put("W/\"v1\"", "hello");
  expect_there(url, 0);
  put("", "hello");
  expect_there(url, 0);
  static const char *const rubbish[] = { "", "{", "[]", "{\"url\": 1}", "{\"url\": \"https://updates.example/file\"}" };
  for (size_t i = 0; i < HF_ARRAY_LEN(rubbish); i++) {
    put("\"v1\"", "hello");
    assert_hf_ok(hf_file_write(source_name, rubbish[i], strlen(rubbish[i]), 0600));
    expect_there(url, 0);
  }
}

static void one_at_a_time(void **state)
{
  (void)state;
  HF_CLEANUP(part_closep) struct part *part = NULL, *other = NULL;
  assert_hf_ok(part_open(path, url, &part));
  assert_hf_err(part_open(path, url, &other), BUSY);
  assert_hf_ok(part_discard(part));
  assert_int_equal(-1, access(part_name, F_OK));
}

static void no_link_is_followed(void **state)
{
  (void)state;
  HF_CLEANUP(part_closep) struct part *part = NULL;
  assert_hf_ok(hf_file_write(path, "precious", 8, 0644));
  assert_int_equal(0, symlink(path, part_name));
  assert_true(hf_failed(part_open(path, url, &part)));
  assert_int_equal(0, unlink(part_name));
  assert_int_equal(0, link(path, part_name));
  assert_hf_err(part_open(path, url, &part), IO);
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(64);
  assert_hf_ok(hf_file_read(path, &text));
  assert_string_equal("precious", hf_buf_str(&text));
  assert_hf_err(part_open(directory, url, &part), USAGE);
}

static void room_is_looked_for(void **state)
{
  (void)state;
  HF_CLEANUP(part_closep) struct part *part = NULL;
  assert_hf_ok(part_open(path, url, &part));
  assert_hf_ok(part_check_room(part, 1));
  assert_hf_err(part_check_room(part, UINT64_C(1) << 60), DISK_FULL);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_teardown(another_goes_on_with_it, tidy),
    cmocka_unit_test_teardown(what_is_of_another_source_does_not_count, tidy),
    cmocka_unit_test_teardown(one_at_a_time, tidy),
    cmocka_unit_test_teardown(no_link_is_followed, tidy),
    cmocka_unit_test_teardown(room_is_looked_for, tidy),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
