/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that write at once: one sync for all of them, and each change's failure its own. */
#include "hf_test.h"

#include "store/store.h"

#include <ftw.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

enum { TABLE, WRITERS = 6, ROUNDS = 200 };

static const struct store_kind kind = {
  .tables = { "table" },
  .damaged = HF_ERR_TOKEN_STORE,
  .newer = HF_ERR_TOKEN_STORE_VERSION,
  .full = HF_ERR_DEVICE_MEMORY,
};

static char dir[64];
static struct store *store;

static int up(void **state)
{
  (void)state;
  snprintf(dir, sizeof(dir), "/tmp/hf-store-XXXXXX");
  assert_non_null(mkdtemp(dir));
  assert_hf_ok(store_create(&kind, dir, 0077));
  assert_hf_ok(store_open(&kind, dir, &store));
  return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
  (void)st;
  (void)type;
  (void)ftw;
  return remove(path);
}

static int down(void **state)
{
  (void)state;
  store_close(store);
  return nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static struct hf_slice slice(const char *text)
{
  return hf_slice(text, strlen(text));
}

static uint64_t number_at(struct store_txn *txn, const char *key)
{
  bool found;
  struct hf_slice value;
  uint64_t number = 0;
  assert_hf_ok(store_get(txn, TABLE, slice(key), &found, &value));
  if (found)
    memcpy(&number, value.data, sizeof(number));
  return number;
}

static uint64_t stored(const char *key)
{
  struct store_txn *txn;
  assert_hf_ok(store_read_begin(store, &txn));
  uint64_t number = number_at(txn, key);
  store_read_end(txn);
  return number;
}

static hf_err add_one(struct store_txn *txn, void *arg)
{
  uint64_t number = number_at(txn, arg) + 1;
  return store_put(txn, TABLE, slice(arg), hf_slice(&number, sizeof(number)));
}

static void *count_up(void *arg)
{
  for (int i = 0; i < ROUNDS; i++)
    assert_hf_ok(store_write_together(store, add_one, arg));
  return NULL;
}

/* Each change sees what those before it in the same transaction did. */
static void test_nothing_is_lost(void **state)
{
  (void)state;
  pthread_t threads[WRITERS];
  static char key[] = "sum";
  for (int i = 0; i < WRITERS; i++)
    pthread_create(&threads[i], NULL, count_up, key);
  for (int i = 0; i < WRITERS; i++)
    pthread_join(threads[i], NULL);
  assert_int_equal(WRITERS * ROUNDS, stored(key));
}

/* One change that holds the lock until the others wait for it. */
static sem_t held, go;

static hf_err hold(struct store_txn *txn, void *arg)
{
  sem_post(&held);
  sem_wait(&go);
  return add_one(txn, arg);
}

static void *lead(void *arg)
{
  assert_hf_ok(store_write_together(store, hold, arg));
  return NULL;
}

/* A change that fails after it wrote, every time; its error must name it, in its own thread. */
struct refused {
  const char *name;
  atomic_uint runs;
};

static hf_err write_and_fail(struct store_txn *txn, void *arg)
{
  struct refused *refused = arg;
  refused->runs++;
  HF_TRY(store_put(txn, TABLE, slice(refused->name), slice("never there")));
  return hf_fail(HF_ERR_EXISTS, "the change %s", refused->name);
}

static void *be_refused(void *arg)
{
  struct refused *refused = arg;
  assert_hf_err(store_write_together(store, write_and_fail, refused), EXISTS);
  assert_contains(hf_err_context(), refused->name);
  return NULL;
}

/* Starts one that leads and holds, then lets the others come. */
static void hold_back(pthread_t *leader, char *key)
{
  sem_init(&held, 0, 0);
  sem_init(&go, 0, 0);
  pthread_create(leader, NULL, lead, key);
  sem_wait(&held);
}

static void *add_once(void *arg)
{
  assert_hf_ok(store_write_together(store, add_one, arg));
  return NULL;
}

static void test_one_sync(void **state)
{
  (void)state;
  pthread_t leader, threads[WRITERS];
  static char key[] = "sum";
  uint64_t before = store_changes(store);
  hold_back(&leader, key);
  for (int i = 0; i < WRITERS; i++)
    pthread_create(&threads[i], NULL, add_once, key);
  usleep(100000); /* they wait by now; if not, there are more transactions, and the test says so */
  sem_post(&go);
  pthread_join(leader, NULL);
  for (int i = 0; i < WRITERS; i++)
    pthread_join(threads[i], NULL);
  assert_int_equal(WRITERS + 1, stored(key));
  assert_in_range(store_changes(store) - before, 2, 3);
}

static void test_a_failure_is_its_own(void **state)
{
  (void)state;
  pthread_t leader, threads[WRITERS], other;
  static char key[] = "sum";
  struct refused refused[WRITERS];
  char names[WRITERS][16];
  hold_back(&leader, key);
  for (int i = 0; i < WRITERS; i++) {
    snprintf(names[i], sizeof(names[i]), "refused-%d", i);
    refused[i] = (struct refused){ .name = names[i] };
    pthread_create(&threads[i], NULL, be_refused, &refused[i]);
  }
  pthread_create(&other, NULL, add_once, key);
  usleep(50000);
  sem_post(&go);
  pthread_join(leader, NULL);
  pthread_join(other, NULL);
  for (int i = 0; i < WRITERS; i++) {
    pthread_join(threads[i], NULL);
    assert_int_equal(0, stored(names[i]));
    assert_in_range(refused[i].runs, 1, 2);
  }
  assert_int_equal(2, stored(key));
}

/* Alone, it is a write as any other. */
static void test_alone(void **state)
{
  (void)state;
  static char key[] = "sum";
  struct refused refused = { .name = "alone" };
  assert_hf_ok(store_write_together(store, add_one, key));
  be_refused(&refused);
  assert_hf_ok(store_write(store, add_one, key));
  assert_int_equal(2, stored(key));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(test_nothing_is_lost, up, down),
    cmocka_unit_test_setup_teardown(test_one_sync, up, down),
    cmocka_unit_test_setup_teardown(test_a_failure_is_its_own, up, down),
    cmocka_unit_test_setup_teardown(test_alone, up, down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
