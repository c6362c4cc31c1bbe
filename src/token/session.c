/* SPDX-License-Identifier: Apache-2.0 */
#include "token/session.h"

#include "token/mech/op_more.h"

#include <assert.h>
#include <stdatomic.h>

#define NO_SESSION UINT32_MAX

enum { CHUNK = 64, CHUNKS = 1024 };

/* A place and a generation, like object handles: 16 bits of place. */
#define PLACE_BITS 16
#define PLACE_MASK (((CK_ULONG)1 << PLACE_BITS) - 1)

static_assert(CHUNK * CHUNKS <= 1 << PLACE_BITS, "a session's place fits its handle");

static struct {
  pthread_mutex_t lock; /* guards all but the chunks' pointers */
  _Atomic(struct session *) chunks[CHUNKS];
  uint32_t used;
  uint32_t free_head;
} table;

void sessions_start(void)
{
  op_states_start();
  memset(&table, 0, sizeof(table));
  pthread_mutex_init(&table.lock, NULL);
  table.free_head = NO_SESSION;
}

static struct session *at(uint32_t place)
{
  struct session *chunk = atomic_load_explicit(&table.chunks[place / CHUNK], memory_order_acquire);
  return chunk ? &chunk[place % CHUNK] : NULL;
}

static uint32_t place_of(CK_SESSION_HANDLE handle)
{
  return (uint32_t)((handle & PLACE_MASK) - 1) & (uint32_t)PLACE_MASK;
}

void search_end(struct search_state *search)
{
  free(search->found);
  *search = (struct search_state){ 0 };
}

static void end_operations(struct session *session)
{
  for (size_t i = 0; i < OP_KINDS; i++)
    op_free(&session->ops[i]);
  hf_buf_free(&session->signature);
  search_end(&session->search);
}

void sessions_stop(void)
{
  for (uint32_t i = 0; i < table.used; i++) {
    end_operations(at(i));
    pthread_mutex_destroy(&at(i)->lock);
  }
  op_states_stop();
  for (size_t i = 0; i < CHUNKS && table.chunks[i]; i++)
    free(table.chunks[i]);
  pthread_mutex_destroy(&table.lock);
}

/* With the table's lock held. */
static struct session *take_place(uint32_t *ret_place)
{
  if (table.free_head != NO_SESSION) {
    *ret_place = table.free_head;
    struct session *session = at(table.free_head);
    table.free_head = session->next_free;
    return session;
  }
  uint32_t place = table.used;
  if (place == CHUNK * CHUNKS - 1)
    return NULL;
  if (!at(place)) {
    struct session *chunk = calloc(CHUNK, sizeof(*chunk));
    if (!chunk)
      return NULL;
    for (size_t i = 0; i < CHUNK; i++)
      pthread_mutex_init(&chunk[i].lock, NULL);
    atomic_store_explicit(&table.chunks[place / CHUNK], chunk, memory_order_release);
  }
  table.used++;
  *ret_place = place;
  return at(place);
}

hf_err session_open(struct slot *slot, bool read_write, CK_SESSION_HANDLE *ret_handle)
{
  struct token *token;
  uint32_t place;
  HF_TRY(slot_token(slot, &token));
  HF_TRY(token_header(token, &(struct header){ 0 }));
  if (!read_write && token_login_state(token) == LOGIN_SO)
    return hf_fail(HF_ERR_SESSION_RW_SO_EXISTS, "slot %lu", slot_id(slot));
  pthread_mutex_lock(&table.lock);
  struct session *session = take_place(&place);
  if (session) {
    pthread_mutex_lock(&session->lock);
    session->slot = slot;
    session->token = token;
    session->read_write = read_write;
    session->handle = ((CK_ULONG)session->generation << PLACE_BITS) | (place + 1);
    *ret_handle = session->handle;
    pthread_mutex_unlock(&session->lock);
  }
  pthread_mutex_unlock(&table.lock);
  return session ? HF_OK : hf_fail(HF_ERR_SESSION_COUNT, "%d sessions are open", CHUNK * CHUNKS - 1);
}

hf_err session_acquire(CK_SESSION_HANDLE handle, struct session **ret_session)
{
  uint32_t place = place_of(handle);
  struct session *session = handle && place < CHUNK * CHUNKS ? at(place) : NULL;
  if (session) {
    pthread_mutex_lock(&session->lock);
    if (session->handle == handle) {
      *ret_session = session;
      return HF_OK;
    }
    pthread_mutex_unlock(&session->lock);
  }
  return hf_fail(HF_ERR_SESSION_HANDLE_INVALID, "session 0x%lx", handle);
}

void session_release(struct session *session)
{
  pthread_mutex_unlock(&session->lock);
}

size_t sessions_open(const struct slot *slot, bool read_only)
{
  size_t count = 0;
  pthread_mutex_lock(&table.lock);
  for (uint32_t i = 0; i < table.used; i++) {
    const struct session *session = at(i);
    count += session->handle && session->slot == slot && !(read_only && session->read_write);
  }
  pthread_mutex_unlock(&table.lock);
  return count;
}

/* With the table's lock held; the last one on a slot logs out. */
static void close_locked(struct session *session)
{
  pthread_mutex_lock(&session->lock);
  CK_SESSION_HANDLE handle = session->handle;
  end_operations(session);
  session->handle = 0;
  session->generation = (session->generation + 1) & 0x7FFF;
  session->next_free = table.free_head;
  table.free_head = place_of(handle);
  pthread_mutex_unlock(&session->lock);
  token_session_ended(session->token, handle);
  for (uint32_t i = 0; i < table.used; i++)
    if (at(i)->handle && at(i)->slot == session->slot)
      return;
  hf_ignore(token_logout(session->token));
}

hf_err session_close(CK_SESSION_HANDLE handle)
{
  pthread_mutex_lock(&table.lock);
  uint32_t place = place_of(handle);
  struct session *session = handle && place < table.used ? at(place) : NULL;
  bool open = session && session->handle == handle;
  if (open)
    close_locked(session);
  pthread_mutex_unlock(&table.lock);
  return open ? HF_OK : hf_fail(HF_ERR_SESSION_HANDLE_INVALID, "session 0x%lx", handle);
}

hf_err session_close_all(struct slot *slot)
{
  pthread_mutex_lock(&table.lock);
  for (uint32_t i = 0; i < table.used; i++)
    if (at(i)->handle && at(i)->slot == slot)
      close_locked(at(i));
  pthread_mutex_unlock(&table.lock);
  return HF_OK;
}

void sessions_forget_private(const struct token *token)
{
  pthread_mutex_lock(&table.lock);
  uint32_t used = table.used;
  pthread_mutex_unlock(&table.lock);
  for (uint32_t i = 0; i < used; i++) {
    struct session *session = at(i);
    pthread_mutex_lock(&session->lock);
    for (size_t k = 0; session->token == token && k < OP_KINDS; k++)
      if (session->ops[k].object && object_private(session->ops[k].object))
        op_free(&session->ops[k]);
    if (session->token == token)
      search_end(&session->search);
    pthread_mutex_unlock(&session->lock);
  }
}
