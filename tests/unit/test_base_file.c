/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include "hf_test.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

static char dir[] = "/tmp/hf-test-file-XXXXXX";

/* A path inside the test's directory; valid until the fourth call after it. */
static const char *in_dir(const char *name)
{
  static char paths[4][PATH_MAX];
  static size_t next;
  char *path = paths[next++ % HF_ARRAY_LEN(paths)];
  snprintf(path, PATH_MAX, "%s/%s", dir, name);
  return path;
}

static void write_text(const char *name, const char *text)
{
  assert_hf_ok(hf_file_write(in_dir(name), text, strlen(text), 0600));
}

static size_t count_entries(void)
{
  size_t count = 0;
  HF_CLEANUP(hf_closedirp) DIR *open_dir = opendir(dir);
  assert_non_null(open_dir);
  while (readdir(open_dir))
    count++;
  return count - 2;
}

static int make_dir(void **state)
{
  (void)state;
  memcpy(dir + sizeof(dir) - 7, "XXXXXX", 6);
  return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
  (void)state;
  HF_CLEANUP(hf_closedirp) DIR *open_dir = opendir(dir);
  for (struct dirent *entry; open_dir && (entry = readdir(open_dir));)
    if (entry->d_name[0] != '.')
      remove(in_dir(entry->d_name));
  return rmdir(dir);
}

static void what_is_written_is_read(void **state)
{
  (void)state;
  HF_CLEANUP(hf_buf_free) struct hf_buf got = HF_BUF(100000);
  char big[70000];
  memset(big, 'x', sizeof(big));
  assert_hf_ok(hf_file_write(in_dir("f"), big, sizeof(big), 0640));
  assert_hf_ok(hf_file_read(in_dir("f"), &got));
  assert_true(hf_slice_equal(hf_slice(got.data, got.len), hf_slice(big, sizeof(big))));
  struct stat status;
  assert_int_equal(stat(in_dir("f"), &status), 0);
  assert_int_equal(status.st_mode & 07777, 0640);
}

static void writing_replaces_and_leaves_nothing_aside(void **state)
{
  (void)state;
  write_text("f", "old and longer");
  write_text("f", "new");
  HF_CLEANUP(hf_buf_free) struct hf_buf got = HF_BUF(100);
  assert_hf_ok(hf_file_read(in_dir("f"), &got));
  assert_string_equal(hf_buf_str(&got), "new");
  assert_int_equal(count_entries(), 1);
}

static void a_write_that_fails_leaves_nothing(void **state)
{
  (void)state;
  assert_hf_err(hf_file_write(in_dir("none/f"), "x", 1, 0600), NOT_FOUND);
  assert_contains(hf_err_context(), "none/f");
  assert_int_equal(mkdir(in_dir("d"), 0700), 0);
  assert_true(hf_failed(hf_file_write(in_dir("d"), "x", 1, 0600)));
  assert_int_equal(count_entries(), 1);
}

static void a_file_that_is_too_large_or_not_there_is_named(void **state)
{
  (void)state;
  HF_CLEANUP(hf_buf_free) struct hf_buf got = HF_BUF(4);
  write_text("f", "12345");
  assert_hf_err(hf_file_read(in_dir("f"), &got), LIMIT);
  assert_contains(hf_err_context(), "/f is larger than 4 bytes");
  assert_hf_err(hf_file_read(in_dir("g"), &got), NOT_FOUND);
  assert_contains(hf_err_context(), "/g: ");
  assert_hf_err(hf_file_read(dir, &got), IO);
}

static void directories_are_made_private_with_their_parents(void **state)
{
  (void)state;
  struct stat status;
  assert_hf_ok(hf_dir_make(in_dir("a/b")));
  assert_hf_ok(hf_dir_make(in_dir("a/b")));
  assert_int_equal(stat(in_dir("a/b"), &status), 0);
  assert_int_equal(status.st_mode & 07777, 0700);
  write_text("f", "");
  assert_true(hf_failed(hf_dir_make(in_dir("f/c"))));
  assert_int_equal(rmdir(in_dir("a/b")), 0);
}

static void assert_pin(const char *source, const char *expected)
{
  struct hf_secret *pin = NULL;
  assert_hf_ok(hf_pin_source_read(source, &pin));
  assert_int_equal(hf_secret_len(pin), strlen(expected));
  assert_memory_equal(hf_secret_data(pin), expected, strlen(expected));
  hf_secret_free(pin);
}

static void a_pin_comes_from_a_file_a_credential_or_the_environment(void **state)
{
  (void)state;
  char source[PATH_MAX + 16];
  write_text("pin", "12 34\r\nnot this\n");
  assert_pin(in_dir("pin"), "12 34");
  snprintf(source, sizeof(source), "file:%s", in_dir("pin"));
  assert_pin(source, "12 34");
  snprintf(source, sizeof(source), "file://%s", in_dir("pin"));
  assert_pin(source, "12 34");
  setenv("CREDENTIALS_DIRECTORY", dir, 1);
  assert_pin("credential:pin", "12 34");
  setenv("HF_TEST_PIN", "5678", 1);
  assert_pin("env:HF_TEST_PIN", "5678");
}

static void a_pin_source_without_a_pin_says_which_and_not_what(void **state)
{
  (void)state;
  struct hf_secret *pin = NULL;
  unsetenv("HF_TEST_NONE");
  unsetenv("CREDENTIALS_DIRECTORY");
  assert_hf_err(hf_pin_source_read("env:HF_TEST_NONE", &pin), PIN_MISSING);
  assert_contains(hf_err_context(), "HF_TEST_NONE");
  assert_hf_err(hf_pin_source_read("credential:pin", &pin), PIN_MISSING);
  assert_hf_err(hf_pin_source_read(in_dir("none"), &pin), NOT_FOUND);
  write_text("empty", "\n1234\n");
  assert_hf_err(hf_pin_source_read(in_dir("empty"), &pin), PIN_LEN_RANGE);
  char line[300];
  memset(line, '7', sizeof(line));
  assert_hf_ok(hf_file_write(in_dir("long"), line, sizeof(line), 0600));
  assert_hf_err(hf_pin_source_read(in_dir("long"), &pin), PIN_LEN_RANGE);
  assert_null(strstr(hf_err_context(), "777"));
  assert_null(pin);
}

static void a_new_file_is_new(void **state)
{
  (void)state;
  struct stat st;
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(64);
  assert_hf_ok(hf_file_create(in_dir("made"), "a", 1, 0600));
  assert_hf_err(hf_file_create(in_dir("made"), "b", 1, 0600), IO);
  assert_hf_ok(hf_file_read(in_dir("made"), &text));
  assert_string_equal(hf_buf_str(&text), "a");
  assert_int_equal(stat(in_dir("made"), &st), 0);
  assert_int_equal(st.st_mode & 07777, 0600);
}

static void one_file_takes_another_s_place(void **state)
{
  (void)state;
  char from[PATH_MAX];
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(64);
  write_text("old", "old");
  write_text("new", "new");
  snprintf(from, sizeof(from), "%s", in_dir("new"));
  assert_hf_ok(hf_file_rename(from, in_dir("old")));
  assert_hf_ok(hf_file_read(in_dir("old"), &text));
  assert_string_equal(hf_buf_str(&text), "new");
  assert_hf_err(hf_file_rename(from, in_dir("old")), NOT_FOUND);
}

static uid_t owner_of(const char *path)
{
  struct stat st;
  assert_int_equal(lstat(path, &st), 0);
  return st.st_uid;
}

static void what_root_writes_keeps_or_takes_its_owner(void **state)
{
  (void)state;
  enum { OTHER = 12345, THIRD = 12346 };
  skip_where(geteuid() != 0, "needs root");
  write_text("mine", "x");
  assert_int_equal(owner_of(in_dir("mine")), 0);
  assert_int_equal(chown(in_dir(""), OTHER, OTHER), 0);
  write_text("mine", "y");
  assert_int_equal(owner_of(in_dir("mine")), 0);
  write_text("theirs", "x");
  assert_int_equal(owner_of(in_dir("theirs")), OTHER);
  assert_int_equal(chown(in_dir("theirs"), THIRD, THIRD), 0);
  write_text("theirs", "y");
  assert_int_equal(owner_of(in_dir("theirs")), THIRD);
  assert_hf_ok(hf_file_create(in_dir("made"), "a", 1, 0600));
  assert_int_equal(owner_of(in_dir("made")), OTHER);
  /* A link is no file of ours: what stands in its place is the directory's owner's. */
  assert_int_equal(symlink("/etc/hostname", in_dir("link")), 0);
  write_text("link", "z");
  assert_int_equal(owner_of(in_dir("link")), OTHER);
  assert_int_equal(chmod(in_dir(""), 01777), 0);
  write_text("theirs", "secret");
  assert_int_equal(owner_of(in_dir("theirs")), 0);
}

static void a_pin_source_that_can_be_written_is_a_file(void **state)
{
  (void)state;
  char path[64];
  assert_hf_ok(hf_pin_source_path("/run/pin", path, sizeof(path)));
  assert_string_equal(path, "/run/pin");
  assert_hf_ok(hf_pin_source_path("file:///run/pin", path, sizeof(path)));
  assert_string_equal(path, "/run/pin");
  assert_hf_err(hf_pin_source_path("env:PIN", path, sizeof(path)), USAGE);
  assert_hf_err(hf_pin_source_path("credential:pin", path, sizeof(path)), USAGE);
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)

static void what_a_cut_left_aside_is_removed(void **state)
{
  (void)state;
  static const char *const left[] = { "f.aside-a1B2c3", "f.aside-zzzzzz" };
  static const char *const others[] = { "f", "f.backup", "f.aside-", "f.aside-1234567", "ff.aside-123456" };
  for (size_t i = 0; i < HF_ARRAY_LEN(left); i++)
    write_text(left[i], "half");
  for (size_t i = 0; i < HF_ARRAY_LEN(others); i++)
    write_text(others[i], "whole");
  hf_file_tidy(in_dir("f"));
  assert_int_equal(count_entries(), HF_ARRAY_LEN(others));
  hf_file_tidy("/nowhere/f");
}

static void a_rename_replaces_and_a_removal_may_come_twice(void **state)
{
  (void)state;
  HF_CLEANUP(hf_buf_free) struct hf_buf got = HF_BUF(100);
  write_text("old", "old");
  write_text("new", "new");
  assert_hf_ok(hf_file_rename(in_dir("new"), in_dir("old")));
  assert_hf_ok(hf_file_read(in_dir("old"), &got));
  assert_string_equal(hf_buf_str(&got), "new");
  assert_int_equal(count_entries(), 1);
  assert_hf_err(hf_file_rename(in_dir("new"), in_dir("old")), NOT_FOUND);
  assert_contains(hf_err_context(), in_dir("new"));
  assert_hf_ok(hf_file_remove(in_dir("old")));
  assert_hf_ok(hf_file_remove(in_dir("old")));
  assert_int_equal(count_entries(), 0);
}

static void one_has_a_lock_until_its_descriptor_goes(void **state)
{
  (void)state;
  int fd = -1, other = -1;
  assert_hf_ok(hf_file_lock(in_dir("lock"), &fd));
  assert_hf_err(hf_file_lock(in_dir("lock"), &other), BUSY);
  assert_int_equal(other, -1);
  close(fd);
  assert_hf_ok(hf_file_lock(in_dir("lock"), &other));
  close(other);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    IN_DIR(what_is_written_is_read),
    IN_DIR(writing_replaces_and_leaves_nothing_aside),
    IN_DIR(a_write_that_fails_leaves_nothing),
    IN_DIR(what_a_cut_left_aside_is_removed),
    IN_DIR(a_rename_replaces_and_a_removal_may_come_twice),
    IN_DIR(one_has_a_lock_until_its_descriptor_goes),
    IN_DIR(a_file_that_is_too_large_or_not_there_is_named),
    IN_DIR(directories_are_made_private_with_their_parents),
    IN_DIR(a_pin_comes_from_a_file_a_credential_or_the_environment),
    IN_DIR(a_pin_source_without_a_pin_says_which_and_not_what),
    IN_DIR(a_new_file_is_new),
    IN_DIR(one_file_takes_another_s_place),
    IN_DIR(what_root_writes_keeps_or_takes_its_owner),
    IN_DIR(a_pin_source_that_can_be_written_is_a_file),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
