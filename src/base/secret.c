/* SPDX-License-Identifier: Apache-2.0 */
#include "base/secret.h"

#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

enum { SECRET_MAX = 64 * 1024 };

struct hf_secret {
  atomic_uint owners;
  size_t mapped;
  size_t len;
  uint8_t data[];
};

void hf_wipe(void *data, size_t len)
{
  if (data)
    explicit_bzero(data, len);
}

bool hf_secret_equal(const void *a, const void *b, size_t len)
{
  const volatile uint8_t *x = a, *y = b;
  uint8_t difference = 0;
  for (size_t i = 0; i < len; i++)
    difference = (uint8_t)(difference | (x[i] ^ y[i]));
  return difference == 0;
}

hf_err hf_secret_new(const void *data, size_t len, struct hf_secret **ret_secret)
{
  if (len == 0 || len > SECRET_MAX)
    return hf_fail(HF_ERR_LIMIT, "a secret of %zu bytes", len);
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  size_t mapped = (sizeof(struct hf_secret) + len + page - 1) / page * page;
  struct hf_secret *secret = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (secret == MAP_FAILED)
    return hf_fail(HF_ERR_NO_MEMORY, "a secret of %zu bytes", len);
  /* RLIMIT_MEMLOCK may be small: a secret that can be swapped is still better than no service. */
  (void)mlock(secret, mapped);
  (void)madvise(secret, mapped, MADV_DONTDUMP);
  secret->owners = 1;
  secret->mapped = mapped;
  secret->len = len;
  if (data)
    memcpy(secret->data, data, len);
  *ret_secret = secret;
  return HF_OK;
}

struct hf_secret *hf_secret_ref(struct hf_secret *secret)
{
  if (secret)
    atomic_fetch_add_explicit(&secret->owners, 1, memory_order_relaxed);
  return secret;
}

struct hf_secret *hf_secret_free(struct hf_secret *secret)
{
  if (secret && atomic_fetch_sub_explicit(&secret->owners, 1, memory_order_acq_rel) == 1) {
    hf_wipe(secret->data, secret->len);
    munmap(secret, secret->mapped);
  }
  return NULL;
}

uint8_t *hf_secret_data(struct hf_secret *secret)
{
  return secret->data;
}

size_t hf_secret_len(const struct hf_secret *secret)
{
  return secret->len;
}

void hf_secret_harden_process(void)
{
  (void)setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
  (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}
