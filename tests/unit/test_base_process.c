/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/process.h"

#include "hf_test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

static void what_a_program_prints_comes_with_its_status(void **state)
{
  (void)state;
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(1 << 20);
  int status = -1;
  static const char *const argv[] = { "sh", "-c", "echo out; echo err >&2; cat; exit 3", NULL };
  assert_hf_ok(hf_process_run(argv, 10, &out, &status));
  assert_string_equal("out\nerr\n", hf_buf_str(&out));
  assert_int_equal(3, status);
}

static void a_signal_that_ended_it_shows(void **state)
{
  (void)state;
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(1 << 20);
  int status = -1;
  static const char *const argv[] = { "sh", "-c", "kill -9 $$", NULL };
  assert_hf_ok(hf_process_run(argv, 10, &out, &status));
  assert_int_equal(128 + SIGKILL, status);
}

static void a_program_that_is_not_there_is_not_found(void **state)
{
  (void)state;
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(64);
  int status;
  static const char *const missing[] = { "/nowhere/program", NULL }, *const file[] = { "/etc/passwd", NULL };
  assert_hf_err(hf_process_run(missing, 10, &out, &status), NOT_FOUND);
  assert_contains(hf_err_context(), "/nowhere/program");
  assert_hf_err(hf_process_run(file, 10, &out, &status), PERMISSION);
}

static void one_that_takes_too_long_or_prints_too_much_is_killed(void **state)
{
  (void)state;
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(4096);
  int status;
  static const char *const slow[] = { "sleep", "60", NULL }, *const wordy[] = { "yes", NULL };
  assert_hf_err(hf_process_run(slow, 1, &out, &status), TIMEOUT);
  assert_hf_err(hf_process_run(wordy, 10, &out, &status), LIMIT);
}

static void one_that_was_started_is_waited_for(void **state)
{
  (void)state;
  static const char *const quick[] = { "sh", "-c", "exit 4", NULL }, *const slow[] = { "sleep", "60", NULL };
  struct hf_spawn spawn = { .argv = quick, .out = STDERR_FILENO };
  int status = -1;
  pid_t pid;
  assert_hf_ok(hf_process_start(&spawn, &pid));
  assert_hf_ok(hf_process_wait(pid, "quick", 10, &status));
  assert_int_equal(4, status);
  spawn.argv = slow;
  assert_hf_ok(hf_process_start(&spawn, &pid));
  assert_hf_err(hf_process_wait(pid, "the slow one", 1, &status), TIMEOUT);
  assert_contains(hf_err_context(), "the slow one");
  assert_int_equal(-1, kill(pid, 0));
}

/* Signals as a daemon has them, and descriptors, do not reach it; what is added to the environment does. */
static void it_starts_clean(void **state)
{
  (void)state;
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(1 << 20);
  static const char *const argv[] = {
    "sh", "-c",
    "grep -E 'Sig(Blk|Ign)' /proc/self/status; ls /proc/self/fd | wc -l; echo $A$HOME; env | grep -c ^HOME=", NULL
  };
  static const char *const env[] = { "A=b", "HOME=/x", NULL };
  sigset_t set, old;
  sigfillset(&set);
  sigprocmask(SIG_SETMASK, &set, &old);
  signal(SIGPIPE, SIG_IGN);
  int extra = open("/dev/null", O_RDONLY), pair[2], status;
  assert_int_equal(0, pipe2(pair, O_CLOEXEC));
  pid_t pid;
  const struct hf_spawn spawn = { .argv = argv, .add_env = env, .out = pair[1], .new_session = true };
  assert_hf_ok(hf_process_start(&spawn, &pid));
  sigprocmask(SIG_SETMASK, &old, NULL);
  signal(SIGPIPE, SIG_DFL);
  close(pair[1]);
  uint8_t *room;
  assert_hf_ok(hf_buf_reserve(&out, 4096, &room));
  for (ssize_t n; (n = read(pair[0], out.data + out.len, 4096 - out.len)) > 0;)
    hf_buf_commit(&out, (size_t)n);
  assert_int_equal(pid, waitpid(pid, &status, 0));
  close(pair[0]);
  close(extra);
  assert_contains(hf_buf_str(&out), "SigBlk:\t0000000000000000");
  assert_contains(hf_buf_str(&out), "SigIgn:\t0000000000000000");
  assert_contains(hf_buf_str(&out), "\n4\nb/x\n1\n"); /* ls has opened a fourth */
}

static void one_that_ends_with_us_does(void **state)
{
  (void)state;
  int pair[2];
  assert_int_equal(0, pipe(pair));
  static const char *const argv[] = { "sleep", "60", NULL };
  const struct hf_spawn spawn = { .argv = argv, .out = STDERR_FILENO, .ends_with_us = true };
  pid_t us = fork();
  if (us == 0) {
    pid_t pid;
    if (hf_failed(hf_process_start(&spawn, &pid)) || write(pair[1], &pid, sizeof(pid)) != (ssize_t)sizeof(pid))
      _exit(1);
    for (;;)
      pause();
  }
  pid_t pid;
  assert_int_equal(sizeof(pid), read(pair[0], &pid, sizeof(pid)));
  assert_int_equal(0, kill(pid, 0));
  kill(us, SIGKILL);
  waitpid(us, NULL, 0);
  bool gone = false;
  for (int i = 0; i < 200 && !gone; i++) {
    char path[64], line[256] = "";
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    HF_CLEANUP(hf_fclosep) FILE *file = fopen(path, "re");
    gone = !file || !fgets(line, sizeof(line), file) || strstr(line, ") Z ");
    nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
  }
  assert_true(gone);
  close(pair[0]);
  close(pair[1]);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_a_program_prints_comes_with_its_status),
    cmocka_unit_test(a_signal_that_ended_it_shows),
    cmocka_unit_test(a_program_that_is_not_there_is_not_found),
    cmocka_unit_test(one_that_takes_too_long_or_prints_too_much_is_killed),
    cmocka_unit_test(one_that_was_started_is_waited_for),
    cmocka_unit_test(it_starts_clean),
    cmocka_unit_test(one_that_ends_with_us_does),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
