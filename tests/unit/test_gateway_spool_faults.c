/* SPDX-License-Identifier: Apache-2.0 */
/* The spool when things go wrong: killed at any moment, a full disk, a damaged file. */
#include "gateway/spool_queue.h"

#include "spool_rig.h"

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

/* Killed */

enum { KILLS = 60, BATCH = 7, KEPT = 10 * BATCH };

struct shared {
  volatile uint64_t put, removed; /* committed */
};

static void count_up(struct spool *spool, struct shared *shared)
{
  char payload[32];
  uint64_t put = shared->put, removed = shared->removed, sequence;
  for (;;) {
    for (int i = 0; i < BATCH; i++) {
      snprintf(payload, sizeof(payload), "%llu", (unsigned long long)++put);
      struct spool_message message = rig_message("t", payload, strlen(payload));
      if (hf_failed(spool_put(spool, SPOOL_OUT, &message, &sequence)) || sequence != put)
        _exit(1);
    }
    while (removed + KEPT < put)
      if (hf_failed(spool_remove(spool, SPOOL_OUT, ++removed)))
        _exit(2);
    if (hf_failed(spool_commit(spool)))
      _exit(3);
    shared->put = put;
    shared->removed = removed;
  }
}

static pid_t start_counting(struct shared *shared, const struct spool_options *options)
{
  pid_t pid = fork();
  if (pid != 0)
    return pid;
  struct spool *spool;
  if (hf_failed(spool_open(rig_spool_dir, options, &spool)))
    _exit(4);
  count_up(spool, shared);
  _exit(5);
}

/* All that was acknowledged is there, in order and once; of a transaction that was not, all or nothing. */
static void check_counted(struct shared *shared)
{
  uint64_t at = 0, first = 0;
  bool found;
  struct spool_message message;
  char payload[32];
  for (;;) {
    assert_hf_ok(spool_read(rig_spool, SPOOL_OUT, at, &found, &message));
    if (!found)
      break;
    first = first ? first : message.sequence;
    snprintf(payload, sizeof(payload), "%llu", (unsigned long long)message.sequence);
    assert_int_equal(strlen(payload), message.payload.len);
    assert_memory_equal(payload, message.payload.data, message.payload.len);
    assert_true(at == 0 || message.sequence == at + 1);
    at = message.sequence;
  }
  if (at == 0)
    return;
  assert_true(at == shared->put || at == shared->put + BATCH);
  assert_int_equal(at < KEPT ? 0 : at - KEPT, first - 1);
  shared->put = at;
  shared->removed = first - 1;
}

static void kill_again_and_again(const struct spool_options *options)
{
  struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  assert_true(shared != MAP_FAILED);
  /* A machine that is busy may kill most of them before their first commit. */
  for (int i = 0; i < KILLS || (shared->put <= KILLS && i < 10 * KILLS); i++) {
    int status;
    pid_t pid = start_counting(shared, options);
    assert_true(pid > 0);
    nanosleep(&(struct timespec){ .tv_nsec = 2000000 + (i * 7919 % 100) * 150000 }, NULL);
    kill(pid, SIGKILL);
    assert_int_equal(pid, waitpid(pid, &status, 0));
    assert_int_equal(SIGKILL, status);
    rig_open(options);
    check_counted(shared);
    rig_spool = spool_close(rig_spool);
  }
  assert_true(shared->put > KILLS);
  munmap(shared, sizeof(*shared));
}

static void nothing_committed_is_lost_by_a_kill(void **state)
{
  (void)state;
  kill_again_and_again(&rig_options);
}

static void nor_where_each_commit_is_synced(void **state)
{
  (void)state;
  struct spool_options options = rig_options;
  options.durability = SPOOL_POWER;
  kill_again_and_again(&options);
}

static void a_spool_that_was_being_made_is_made_anew(void **state)
{
  (void)state;
  char path[PATH_MAX];
  assert_int_equal(0, mkdir(rig_spool_dir, 0700));
  snprintf(path, sizeof(path), "%.4000s/making", rig_spool_dir);
  assert_int_equal(0, mkdir(path, 0700));
  snprintf(path, sizeof(path), "%.4000s/making/data.mdb", rig_spool_dir);
  int fd = open(path, O_WRONLY | O_CREAT, 0600);
  assert_int_equal(7, write(fd, "garbage", 7));
  close(fd);
  rig_open(&rig_options);
  rig_put(SPOOL_OUT, "one");
  assert_hf_ok(spool_commit(rig_spool));
  rig_open(&rig_options);
  rig_expect(SPOOL_OUT, 0, "one");
}

/* A full disk */

/* Puts in batches until one of them is refused; returns how many are committed. */
static uint64_t fill_disk(void)
{
  static char payload[2001];
  memset(payload, 'x', 2000);
  hf_err e = HF_OK;
  for (int i = 0; i < 10000 && !hf_failed(e); i++) {
    uint64_t sequence;
    e = rig_try_put(SPOOL_OUT, "t", payload, &sequence);
    if (i % 10 == 9 && !hf_failed(e))
      e = spool_commit(rig_spool);
  }
  assert_hf_err(e, DISK_FULL);
  assert_hf_ok(spool_commit(rig_spool));
  return rig_stats(SPOOL_OUT).messages;
}

/* Nothing is lost, all can leave, and then there is room again. */
static void use_full_disk(void)
{
  static const struct spool_options options = { .max_size = 1 << 30, .durability = SPOOL_POWER };
  rig_open(&options);
  uint64_t count = fill_disk();
  assert_true(count > 500);
  rig_open(&options);
  assert_int_equal(count, rig_stats(SPOOL_OUT).messages);
  for (uint64_t sequence = 1; sequence <= count; sequence++) {
    assert_hf_ok(spool_remove(rig_spool, SPOOL_OUT, sequence));
    if (sequence < count)
      assert_hf_ok(spool_mark(rig_spool, SPOOL_OUT, sequence + 1, 1, 1));
    if (sequence % 50 == 0 || sequence == count)
      assert_hf_ok(spool_commit(rig_spool));
  }
  assert_int_equal(0, rig_stats(SPOOL_OUT).messages);
  uint64_t again = fill_disk();
  assert_true(again > count / 2);
  rig_open(&options);
  assert_int_equal(again, rig_stats(SPOOL_OUT).messages);
}

static void a_full_disk_loses_nothing(void **state)
{
  (void)state;
  /* A chroot's root is no mount point. */
  skip_where(unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0, "may not mount");
  assert_int_equal(0, mount("tmpfs", rig_dir, "tmpfs", 0, "size=6m"));
  use_full_disk();
  rig_spool = spool_close(rig_spool);
  assert_int_equal(0, umount2(rig_dir, MNT_DETACH));
}

static void a_limit_on_files_is_a_full_disk(void **state)
{
  (void)state;
  const struct rlimit limit = { 6 << 20, RLIM_INFINITY }, none = { RLIM_INFINITY, RLIM_INFINITY };
  signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(0, setrlimit(RLIMIT_FSIZE, &limit));
  use_full_disk();
  assert_int_equal(0, setrlimit(RLIMIT_FSIZE, &none));
}

/* A commit that fails half-way (the file must not grow, and the reserve does not show it beforehand) takes nothing along. */
static void a_failed_commit_leaves_all_as_it_was(void **state)
{
  (void)state;
  static const struct spool_options options = { .max_size = 1 << 30, .durability = SPOOL_PROCESS };
  const struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };
  struct stat file;
  char path[PATH_MAX];
  static char payload[200001];
  memset(payload, 'x', 200000);
  rig_open(&options);
  rig_put(SPOOL_OUT, "kept");
  assert_hf_ok(spool_commit(rig_spool));
  struct spool_stats before = rig_stats(SPOOL_OUT);
  rig_data_path(path);
  assert_int_equal(0, stat(path, &file));
  uint64_t lost = rig_put(SPOOL_OUT, payload);
  assert_hf_ok(spool_remove(rig_spool, SPOOL_OUT, 1));
  signal(SIGXFSZ, SIG_IGN);
  const struct rlimit limit = { (rlim_t)file.st_size, RLIM_INFINITY };
  assert_int_equal(0, setrlimit(RLIMIT_FSIZE, &limit));
  assert_hf_err(spool_commit(rig_spool), DISK_FULL);
  assert_int_equal(0, setrlimit(RLIMIT_FSIZE, &none));
  struct spool_stats after = rig_stats(SPOOL_OUT);
  assert_memory_equal(&before, &after, sizeof(before));
  rig_expect_end(SPOOL_OUT, rig_expect(SPOOL_OUT, 0, "kept"));
  assert_true(rig_put(SPOOL_OUT, payload) > lost); /* and again */
  assert_hf_ok(spool_remove(rig_spool, SPOOL_OUT, 1));
  assert_hf_ok(spool_commit(rig_spool));
  rig_open(&options);
  rig_expect(SPOOL_OUT, 0, payload);
  assert_int_equal(1, rig_stats(SPOOL_OUT).messages);
}

/* A damaged file */

static uint8_t *image;
static size_t image_len;

static void take_image(void)
{
  char path[PATH_MAX];
  struct stat file;
  rig_data_path(path);
  int fd = open(path, O_RDONLY);
  assert_int_equal(0, fstat(fd, &file));
  image_len = (size_t)file.st_size;
  image = malloc(image_len);
  assert_int_equal(image_len, read(fd, image, image_len));
  close(fd);
}

static void put_image(size_t len)
{
  char path[PATH_MAX];
  rig_data_path(path);
  int fd = open(path, O_WRONLY | O_TRUNC);
  assert_int_equal(len, write(fd, image, len));
  close(fd);
}

/* Small and large messages, marks, ids and free pages. */
static void make_image(void)
{
  static uint8_t large[20000];
  uint64_t sequence;
  rig_open(&rig_options);
  for (int i = 0; i < 300; i++) {
    struct spool_message message = rig_message("some/topic", large, i % 10 == 0 ? sizeof(large) : 100);
    assert_hf_ok(spool_put(rig_spool, SPOOL_OUT, &message, &sequence));
    assert_hf_ok(spool_mark(rig_spool, SPOOL_OUT, sequence, (uint16_t)(i + 1), 1));
    if (i % 50 == 0)
      assert_hf_ok(spool_commit(rig_spool));
  }
  for (sequence = 1; sequence < 60; sequence++) {
    assert_hf_ok(spool_remove(rig_spool, SPOOL_OUT, sequence));
    assert_hf_ok(spool_received_add(rig_spool, SPOOL_OUT, (uint16_t)sequence));
    assert_hf_ok(spool_commit(rig_spool));
  }
  rig_spool = spool_close(rig_spool);
  take_image();
}

/* Opens what lies there; where that goes, all 241 messages must be there. Returns whether it did. */
static bool try_image(void)
{
  hf_err e = spool_open(rig_spool_dir, &rig_options, &rig_spool);
  if (hf_failed(e)) {
    assert_true(e.code == HF_ERR_SPOOL_DAMAGED || e.code == HF_ERR_SPOOL_VERSION);
    assert_contains(hf_err_context(), rig_spool_dir);
    return false;
  }
  uint64_t at = 0, count = 0;
  for (bool found = true; found; count += found) {
    struct spool_message message;
    assert_hf_ok(spool_read(rig_spool, SPOOL_OUT, at, &found, &message));
    at = message.sequence;
  }
  assert_int_equal(241, count);
  rig_spool = spool_close(rig_spool);
  return true;
}

static void a_truncated_spool_is_refused(void **state)
{
  (void)state;
  make_image();
  int refused = 0;
  for (size_t len = image_len - 4096; len > 4096 * 5; len -= 4096 * 3) {
    put_image(len);
    refused += !try_image();
  }
  assert_true(refused > 50);
  put_image(0);
  assert_false(try_image());
  assert_contains(hf_err_context(), "cut short");
  free(image);
}

static void a_flipped_bit_is_found_or_does_no_harm(void **state)
{
  (void)state;
  make_image();
  unsigned random = 7;
  int refused = 0;
  for (int i = 0; i < 400; i++) {
    random = random * 1103515245 + 12345;
    size_t at = (size_t)(random >> 1) % image_len;
    /* Each page's head in turn, too: where LMDB is most trusting. */
    if (i % 2 == 0)
      at = at / 4096 * 4096 + (size_t)(random >> 8) % 32;
    image[at] ^= (uint8_t)(1 << (random >> 24) % 8);
    put_image(image_len);
    refused += !try_image();
    image[at] ^= (uint8_t)(1 << (random >> 24) % 8);
  }
  assert_true(refused > 50);
  put_image(image_len);
  assert_true(try_image());
  free(image);
}

static void what_is_no_spool_is_refused_and_left_alone(void **state)
{
  (void)state;
  rig_open(&rig_options);
  rig_spool = spool_close(rig_spool);
  image_len = 40000;
  image = malloc(image_len);
  memset(image, 'x', image_len);
  put_image(image_len);
  free(image);
  assert_hf_err(spool_open(rig_spool_dir, &rig_options, &rig_spool), SPOOL_DAMAGED);
  take_image();
  assert_int_equal(40000, image_len);
  assert_int_equal('x', image[0]);
  free(image);
}

static void another_program_s_store_is_no_spool(void **state)
{
  (void)state;
  static const struct store_kind other = { .tables = { "objects" }, .damaged = HF_ERR_SPOOL_DAMAGED };
  assert_int_equal(0, mkdir(rig_spool_dir, 0700));
  assert_hf_ok(solo_create(&other, rig_spool_dir, 0, hf_slice("a", 1), hf_slice("b", 1)));
  assert_hf_err(spool_open(rig_spool_dir, &rig_options, &rig_spool), SPOOL_DAMAGED);
  assert_contains(hf_err_context(), "a table is missing");
}

static void a_newer_version_s_spool_is_refused(void **state)
{
  (void)state;
  struct solo *solo;
  struct spool_state counts = { 0 };
  HF_CLEANUP(hf_buf_free) struct hf_buf bytes = HF_BUF(SPOOL_STATE_MAX);
  rig_open(&rig_options);
  rig_spool = spool_close(rig_spool);
  assert_hf_ok(spool_state_add(&counts, SPOOL_FORMAT + 1, &bytes));
  assert_hf_ok(solo_open(&spool_kind, rig_spool_dir, 1 << 24, true, &solo));
  assert_hf_ok(solo_begin(solo));
  assert_hf_ok(solo_put(solo, SPOOL_TABLE_META, hf_slice("state", 5), hf_slice(bytes.data, bytes.len), false));
  assert_hf_ok(solo_commit(solo));
  solo_close(solo);
  assert_hf_err(spool_open(rig_spool_dir, &rig_options, &rig_spool), SPOOL_VERSION);
  assert_contains(hf_err_context(), "format is 2");
}

static void moved_aside_a_damaged_one_makes_place(void **state)
{
  (void)state;
  char path[PATH_MAX], aside[PATH_MAX];
  assert_hf_err(spool_move_aside(rig_spool_dir, aside, sizeof(aside)), NOT_FOUND);
  rig_open(&rig_options);
  rig_spool = spool_close(rig_spool);
  rig_data_path(path);
  assert_int_equal(0, truncate(path, 100));
  assert_hf_err(spool_open(rig_spool_dir, &rig_options, &rig_spool), SPOOL_DAMAGED);
  assert_contains(hf_err_hint((hf_err){ HF_ERR_SPOOL_DAMAGED }), "move-aside");
  assert_hf_ok(spool_move_aside(rig_spool_dir, aside, sizeof(aside)));
  assert_contains(aside, "c8y.damaged-20");
  assert_int_equal(0, access(aside, F_OK));
  rig_open(&rig_options);
  rig_put(SPOOL_OUT, "new");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    RIG_TEST(nothing_committed_is_lost_by_a_kill),
    RIG_TEST(nor_where_each_commit_is_synced),
    RIG_TEST(a_spool_that_was_being_made_is_made_anew),
    RIG_TEST(a_limit_on_files_is_a_full_disk),
    RIG_TEST(a_failed_commit_leaves_all_as_it_was),
    RIG_TEST(a_truncated_spool_is_refused),
    RIG_TEST(a_flipped_bit_is_found_or_does_no_harm),
    RIG_TEST(what_is_no_spool_is_refused_and_left_alone),
    RIG_TEST(another_program_s_store_is_no_spool),
    RIG_TEST(a_newer_version_s_spool_is_refused),
    RIG_TEST(moved_aside_a_damaged_one_makes_place),
    RIG_TEST(a_full_disk_loses_nothing), /* last: it takes the mounts apart from the system's */
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
