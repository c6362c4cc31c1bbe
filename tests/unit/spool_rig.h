/* SPDX-License-Identifier: Apache-2.0 */
/* A spool in a directory of the test's own. */
#ifndef HF_TESTS_SPOOL_RIG_H
#define HF_TESTS_SPOOL_RIG_H

#include "gateway/spool.h"

#include "hf_test.h"

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <sys/stat.h>

#define RIG_TEST(fn) cmocka_unit_test_setup_teardown(fn, rig_up, rig_down)

static char rig_dir[PATH_MAX]; /* a test's own; the spool is in rig_spool_dir */
static char rig_spool_dir[PATH_MAX];
static struct spool *rig_spool;

static const struct spool_options rig_options = { .max_size = 1 << 20,
                                                  .overflow = SPOOL_REFUSE_NEWEST,
                                                  .durability = SPOOL_PROCESS };

static inline int rig_up(void **state)
{
  (void)state;
  const char *tmp = getenv("TMPDIR");
  snprintf(rig_dir, sizeof(rig_dir), "%s/hf-spool-XXXXXX", tmp ? tmp : "/tmp");
  assert_non_null(mkdtemp(rig_dir));
  snprintf(rig_spool_dir, sizeof(rig_spool_dir), "%.4000s/c8y", rig_dir);
  return 0;
}

static inline int rig_remove(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
  (void)st, (void)flag, (void)ftw;
  return remove(path);
}

static inline int rig_down(void **state)
{
  (void)state;
  rig_spool = spool_close(rig_spool);
  nftw(rig_dir, rig_remove, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
  return 0;
}

static inline void rig_open(const struct spool_options *options)
{
  rig_spool = spool_close(rig_spool);
  assert_hf_ok(spool_open(rig_spool_dir, options, &rig_spool));
}

static inline struct spool_message rig_message(const char *topic, const void *payload, size_t len)
{
  return (struct spool_message){
    .received_ms = 1700000000123, .topic = hf_slice(topic, strlen(topic)), .payload = hf_slice(payload, len), .qos = 1
  };
}

static inline hf_err rig_try_put(enum spool_queue queue, const char *topic, const char *payload, uint64_t *sequence)
{
  struct spool_message message = rig_message(topic, payload, strlen(payload));
  return spool_put(rig_spool, queue, &message, sequence);
}

static inline uint64_t rig_put(enum spool_queue queue, const char *payload)
{
  uint64_t sequence = 0;
  assert_hf_ok(rig_try_put(queue, "a/topic", payload, &sequence));
  return sequence;
}

/* The next message's payload is this; returns its sequence number. */
static inline uint64_t rig_expect(enum spool_queue queue, uint64_t after, const char *payload)
{
  bool found;
  struct spool_message message;
  assert_hf_ok(spool_read(rig_spool, queue, after, &found, &message));
  assert_true(found);
  assert_int_equal(strlen(payload), message.payload.len);
  assert_memory_equal(payload, message.payload.data, message.payload.len);
  return message.sequence;
}

static inline void rig_expect_end(enum spool_queue queue, uint64_t after)
{
  bool found;
  struct spool_message message;
  assert_hf_ok(spool_read(rig_spool, queue, after, &found, &message));
  assert_false(found);
}

static inline struct spool_stats rig_stats(enum spool_queue queue)
{
  return spool_statistics(rig_spool, queue);
}

static inline void rig_data_path(char out[PATH_MAX])
{
  snprintf(out, PATH_MAX, "%.4000s/data.mdb", rig_spool_dir);
}

#endif
