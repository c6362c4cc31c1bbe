/* SPDX-License-Identifier: Apache-2.0 */
/* Messages a second through the spool: put, read and removed, in group commits. */
#include "gateway/spool.h"

#include <limits.h>
#include <time.h>

enum { PAYLOAD = 100, BACKLOG = 1000 };

static double now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static hf_err put_batch(struct spool *spool, int batch)
{
  static const uint8_t payload[PAYLOAD];
  const struct spool_message message = {
    .received_ms = 1, .topic = hf_slice("some/topic", 10), .payload = hf_slice(payload, sizeof(payload)), .qos = 1
  };
  uint64_t sequence;
  for (int i = 0; i < batch; i++)
    HF_TRY(spool_put(spool, SPOOL_OUT, &message, &sequence));
  return HF_OK;
}

static hf_err take_batch(struct spool *spool, int batch, uint64_t *at)
{
  struct spool_message message;
  bool found;
  for (int i = 0; i < batch; i++) {
    HF_TRY(spool_read(spool, SPOOL_OUT, *at, &found, &message));
    *at = message.sequence;
    HF_TRY(spool_remove(spool, SPOOL_OUT, *at));
  }
  return spool_commit(spool);
}

static hf_err run(const char *dir, enum spool_durability durability, int batch, double seconds, double *ret_rate)
{
  HF_CLEANUP(spool_closep) struct spool *spool = NULL;
  const struct spool_options options = { .max_size = 64 << 20, .durability = durability };
  uint64_t at = 0, count = 0;
  HF_TRY(spool_open(dir, &options, &spool));
  HF_TRY(put_batch(spool, BACKLOG));
  HF_TRY(spool_commit(spool));
  double start = now();
  for (; now() - start < seconds; count += (uint64_t)batch) {
    HF_TRY(put_batch(spool, batch));
    HF_TRY(take_batch(spool, batch, &at));
  }
  *ret_rate = (double)count / (now() - start);
  return HF_OK;
}

static void remove_spool(const char *base)
{
  static const char *const names[] = { "spool/data.mdb", "spool/lock", "spool", "" };
  for (size_t i = 0; i < HF_ARRAY_LEN(names); i++) {
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", base, names[i]);
    remove(path);
  }
}

int main(void)
{
  static const struct {
    const char *name;
    enum spool_durability durability;
    int batch;
  } rows[] = {
    { "process, 1 a commit", SPOOL_PROCESS, 1 },
    { "process, 100 a commit", SPOOL_PROCESS, 100 },
    { "power, 1 a commit", SPOOL_POWER, 1 },
    { "power, 100 a commit", SPOOL_POWER, 100 },
  };
  printf("spool: %d-byte messages put, read and removed, a second\n", PAYLOAD);
  for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
    char base[] = "/var/tmp/hf-bench-spool-XXXXXX", dir[PATH_MAX];
    double rate = 0;
    if (!mkdtemp(base))
      return 1;
    snprintf(dir, sizeof(dir), "%s/spool", base);
    hf_err e = run(dir, rows[i].durability, rows[i].batch, 2, &rate);
    remove_spool(base);
    if (hf_failed(e)) {
      hf_err_print(stderr, "bench_spool", e);
      return 1;
    }
    printf("  %-24s %10.0f\n", rows[i].name, rate);
  }
  return 0;
}
