/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/echo.h"

/* FNV-1a, 64 bits. */
static uint64_t add(uint64_t digest, struct hf_slice bytes)
{
  for (size_t i = 0; i < bytes.len; i++)
    digest = (digest ^ bytes.data[i]) * UINT64_C(0x100000001b3);
  return digest;
}

static uint64_t digest_of(struct hf_slice topic, struct hf_slice payload)
{
  static const uint8_t between[1] = { 0 };
  return add(add(add(UINT64_C(0xcbf29ce484222325), topic), hf_slice(between, 1)), payload);
}

static struct echo *at(struct echoes *echoes, size_t i)
{
  return &echoes->items[(echoes->head + i) % ECHO_MAX];
}

static void drop_first(struct echoes *echoes)
{
  echoes->head = (echoes->head + 1) % ECHO_MAX;
  echoes->count--;
}

static void forget_old(struct echoes *echoes, int64_t now_ms)
{
  while (echoes->count > 0 && at(echoes, 0)->until_ms <= now_ms)
    drop_first(echoes);
}

void echoes_expect(struct echoes *echoes, struct hf_slice topic, struct hf_slice payload, int64_t now_ms)
{
  forget_old(echoes, now_ms);
  if (echoes->count == ECHO_MAX)
    drop_first(echoes);
  *at(echoes, echoes->count++) = (struct echo){ digest_of(topic, payload), now_ms + ECHO_MS };
}

bool echoes_take(struct echoes *echoes, struct hf_slice topic, struct hf_slice payload, int64_t now_ms)
{
  forget_old(echoes, now_ms);
  uint64_t digest = echoes->count > 0 ? digest_of(topic, payload) : 0;
  for (size_t i = 0; i < echoes->count; i++)
    if (at(echoes, i)->digest == digest) {
      at(echoes, i)->until_ms = 0; /* goes when it is the first */
      at(echoes, i)->digest = 0;
      return true;
    }
  return false;
}
