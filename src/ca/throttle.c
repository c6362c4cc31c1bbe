/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/throttle.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/random.h>

/* A name may stand in each place of one row. */
enum { ROWS = 1024, PLACES = 8 };

/* until: when all of its failures are forgiven; each adds interval_ms. */
struct entry {
  uint64_t name; /* its hash; 0 free */
  uint64_t until;
};

struct throttle {
  pthread_mutex_t lock;
  uint64_t key; /* so that nobody can choose names which meet */
  unsigned burst, interval_ms;
  struct entry entries[ROWS][PLACES];
};

hf_err throttle_new(unsigned burst, unsigned interval_ms, struct throttle **ret_throttle)
{
  HF_CLEANUP(throttle_freep) struct throttle *throttle = calloc(1, sizeof(*throttle));
  if (!throttle)
    return hf_fail(HF_ERR_NO_MEMORY, "the table of failures");
  pthread_mutex_init(&throttle->lock, NULL);
  if (getrandom(&throttle->key, sizeof(throttle->key), 0) != (ssize_t)sizeof(throttle->key))
    return hf_fail_errno(errno, "getting random bytes");
  throttle->burst = burst;
  throttle->interval_ms = interval_ms;
  *ret_throttle = HF_TAKE(throttle);
  return HF_OK;
}

struct throttle *throttle_free(struct throttle *throttle)
{
  if (throttle)
    pthread_mutex_destroy(&throttle->lock);
  free(throttle);
  return NULL;
}

/* FNV-1a, begun at the key and mixed at the end (splitmix64's finish). Never 0. */
static uint64_t hash_of(const struct throttle *throttle, const char *name)
{
  uint64_t hash = throttle->key ^ UINT64_C(0xcbf29ce484222325);
  for (; *name; name++)
    hash = (hash ^ (uint8_t)*name) * UINT64_C(0x100000001b3);
  hash = (hash ^ hash >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  hash = (hash ^ hash >> 27) * UINT64_C(0x94d049bb133111eb);
  hash ^= hash >> 31;
  return hash ? hash : 1;
}

/* Its place; where it has none and fresh is given, the place that is forgiven first. */
static struct entry *find(struct throttle *throttle, uint64_t hash, bool fresh)
{
  struct entry *row = throttle->entries[hash % ROWS], *first = &row[0];
  for (size_t i = 0; i < PLACES; i++) {
    if (row[i].name == hash)
      return &row[i];
    if (row[i].until < first->until)
      first = &row[i];
  }
  if (!fresh)
    return NULL;
  *first = (struct entry){ .name = hash };
  return first;
}

uint64_t throttle_wait(struct throttle *throttle, const char *name, uint64_t now_ms)
{
  uint64_t hash = hash_of(throttle, name), free_ms = (uint64_t)throttle->burst * throttle->interval_ms;
  pthread_mutex_lock(&throttle->lock);
  const struct entry *entry = find(throttle, hash, false);
  uint64_t until = entry ? entry->until : 0;
  pthread_mutex_unlock(&throttle->lock);
  /* There is room for one more failure once it would end within burst intervals from now. */
  uint64_t allowed = now_ms + free_ms - throttle->interval_ms;
  return until > allowed ? until - allowed : 0;
}

void throttle_fail(struct throttle *throttle, const char *name, uint64_t now_ms)
{
  uint64_t hash = hash_of(throttle, name);
  pthread_mutex_lock(&throttle->lock);
  struct entry *entry = find(throttle, hash, true);
  entry->until = (entry->until > now_ms ? entry->until : now_ms) + throttle->interval_ms;
  pthread_mutex_unlock(&throttle->lock);
}
