/* SPDX-License-Identifier: Apache-2.0 */
#include "p11/fork.h"

#include "base/cleanup.h"

#include <sched.h>
#include <stdatomic.h>
#include <sys/types.h>

static void (*const resets[])(void) = { p11_module_forked, p11_pool_forked, p11_pin_forked };

/* Whose locks these are; negative while that process puts them right; 0 at first. */
static _Atomic pid_t owner;

void p11_fork_check(void)
{
  pid_t me = getpid();
  pid_t seen = atomic_load_explicit(&owner, memory_order_acquire);
  if (seen == me)
    return;
  if (seen == -me || !atomic_compare_exchange_strong(&owner, &seen, -me)) {
    while (atomic_load_explicit(&owner, memory_order_acquire) != me)
      sched_yield();
    return;
  }
  if (seen != 0)
    for (size_t i = 0; i < HF_ARRAY_LEN(resets); i++)
      resets[i]();
  atomic_store_explicit(&owner, me, memory_order_release);
}
