/* SPDX-License-Identifier: Apache-2.0 */
#include "p11/pin.h"

#include "p11/fork.h"

#include <assert.h>
#include <pthread.h>
#include <sys/mman.h>

/* A ring: the oldest is forgotten. A longer PIN than any token takes is not remembered. */
enum { WRONG_MAX = 16, PIN_MAX = 255 };

struct wrong_pin {
  uint64_t module; /* its path's hash: other processes have it elsewhere in memory */
  CK_USER_TYPE user;
  char label[33];
  char serial[17];
  uint8_t len; /* 0: this place is free */
  uint8_t pin[PIN_MAX];
};

struct ring {
  size_t next;
  struct wrong_pin wrong[WRONG_MAX];
};
static_assert(sizeof(struct ring) <= P11_PIN_MEMORY, "the ring fits into shared memory");

static struct ring *ring; /* NULL until the first PIN was wrong, if it is not shared */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void p11_pin_forked(void)
{
  lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

/* As hf_secret does it: what cannot be locked or kept out of a dump is still better than no memory of it. */
static void protect(void *memory)
{
  (void)mlock(memory, P11_PIN_MEMORY);
  (void)madvise(memory, P11_PIN_MEMORY, MADV_DONTDUMP);
}

void p11_pin_share(void *memory)
{
  protect(memory);
  pthread_mutex_lock(&lock);
  ring = memory;
  pthread_mutex_unlock(&lock);
}

/* FNV-1a */
static uint64_t hash_of_path(struct p11_module *module)
{
  uint64_t hash = 14695981039346656037U;
  for (const char *c = p11_module_path(module); *c; c++)
    hash = (hash ^ (unsigned char)*c) * 1099511628211U;
  return hash;
}

static bool same_pin(const struct wrong_pin *wrong, struct hf_secret *pin)
{
  return wrong->len && wrong->len == hf_secret_len(pin) && hf_secret_equal(wrong->pin, hf_secret_data(pin), wrong->len);
}

/* With the lock held. NULL where it is not there. */
static struct wrong_pin *find(struct p11_module *module, const struct p11_token *token, CK_USER_TYPE user,
                              struct hf_secret *pin)
{
  uint64_t hash = hash_of_path(module);
  for (size_t i = 0; ring && i < WRONG_MAX; i++) {
    struct wrong_pin *wrong = &ring->wrong[i];
    if (same_pin(wrong, pin) && wrong->module == hash && wrong->user == user &&
        strncmp(wrong->label, token->label, sizeof(wrong->label)) == 0 &&
        strncmp(wrong->serial, token->serial, sizeof(wrong->serial)) == 0)
      return wrong;
  }
  return NULL;
}

bool p11_pin_was_wrong(struct p11_module *module, const struct p11_token *token, CK_USER_TYPE user,
                       struct hf_secret *pin)
{
  p11_fork_check();
  pthread_mutex_lock(&lock);
  bool found = find(module, token, user, pin) != NULL;
  pthread_mutex_unlock(&lock);
  return found;
}

static bool have_ring(void)
{
  if (ring)
    return true;
  void *memory = mmap(NULL, P11_PIN_MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    return false;
  protect(memory);
  ring = memory;
  return true;
}

void p11_pin_set_wrong(struct p11_module *module, const struct p11_token *token, CK_USER_TYPE user,
                       struct hf_secret *pin)
{
  size_t len = hf_secret_len(pin);
  p11_fork_check();
  pthread_mutex_lock(&lock);
  if (len <= PIN_MAX && !find(module, token, user, pin) && have_ring()) {
    struct wrong_pin *place = &ring->wrong[ring->next % WRONG_MAX];
    ring->next = (ring->next + 1) % WRONG_MAX;
    hf_wipe(place, sizeof(*place));
    place->module = hash_of_path(module);
    place->user = user;
    memcpy(place->label, token->label, sizeof(place->label));
    memcpy(place->serial, token->serial, sizeof(place->serial));
    memcpy(place->pin, hf_secret_data(pin), len);
    place->len = (uint8_t)len;
  }
  pthread_mutex_unlock(&lock);
}

void p11_pin_set_right(struct p11_module *module, const struct p11_token *token, CK_USER_TYPE user,
                       struct hf_secret *pin)
{
  p11_fork_check();
  pthread_mutex_lock(&lock);
  struct wrong_pin *place = find(module, token, user, pin);
  if (place)
    hf_wipe(place, sizeof(*place));
  pthread_mutex_unlock(&lock);
}
