/* SPDX-License-Identifier: Apache-2.0 */
#include "p11/pin.h"

#include "p11/fork.h"

#include <pthread.h>

/* A ring: the oldest is forgotten. */
enum { WRONG_MAX = 16 };

static struct wrong_pin {
  struct p11_module *module; /* compared, never used; modules stay */
  char label[33];
  char serial[17];
  CK_USER_TYPE user;
  struct hf_secret *pin;
} wrong[WRONG_MAX];
static size_t next_wrong;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void p11_pin_forked(void)
{
  lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

static bool same_pin(struct hf_secret *a, struct hf_secret *b)
{
  return hf_secret_len(a) == hf_secret_len(b) &&
         hf_secret_equal(hf_secret_data(a), hf_secret_data(b), hf_secret_len(a));
}

/* With the lock held. NULL where it is not there. */
static struct wrong_pin *find(struct p11_module *module, const struct p11_token *token, CK_USER_TYPE user,
                              struct hf_secret *pin)
{
  for (size_t i = 0; i < WRONG_MAX; i++)
    if (wrong[i].pin && wrong[i].module == module && wrong[i].user == user &&
        strcmp(wrong[i].label, token->label) == 0 && strcmp(wrong[i].serial, token->serial) == 0 &&
        same_pin(wrong[i].pin, pin))
      return &wrong[i];
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

void p11_pin_set_wrong(struct p11_module *module, const struct p11_token *token, CK_USER_TYPE user,
                       struct hf_secret *pin)
{
  p11_fork_check();
  struct hf_secret *copy = NULL;
  pthread_mutex_lock(&lock);
  if (!find(module, token, user, pin) && !hf_failed(hf_secret_new(hf_secret_data(pin), hf_secret_len(pin), &copy))) {
    struct wrong_pin *place = &wrong[next_wrong];
    next_wrong = (next_wrong + 1) % WRONG_MAX;
    hf_secret_free(place->pin);
    *place = (struct wrong_pin){ .module = module, .user = user, .pin = copy };
    memcpy(place->label, token->label, sizeof(place->label));
    memcpy(place->serial, token->serial, sizeof(place->serial));
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
    place->pin = hf_secret_free(place->pin);
  pthread_mutex_unlock(&lock);
}
