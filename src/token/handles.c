/* SPDX-License-Identifier: Apache-2.0 */
#include "token/handles.h"

#define NO_ENTRY UINT32_MAX

enum { FIRST_CAPACITY = 64 };

/* Half of the bits each on 64-bit machines; on 32-bit ones a million places and 4,096 generations. */
#define PLACE_BITS (sizeof(CK_ULONG) >= 8 ? 32 : 20)
#define PLACE_MASK (((CK_ULONG)1 << PLACE_BITS) - 1)

static uint32_t bucket_of(const struct handles *handles, uint64_t id)
{
  return (uint32_t)(id * UINT64_C(0x9E3779B97F4A7C15) >> 32) & (handles->capacity - 1);
}

void handles_init(struct handles *handles)
{
  *handles = (struct handles){ .free_head = NO_ENTRY, .session_first = NO_ENTRY, .session_last = NO_ENTRY };
}

void handles_free(struct handles *handles)
{
  for (uint32_t i = 0; i < handles->capacity; i++)
    object_unref(handles->entries[i].object);
  free(handles->entries);
  free(handles->buckets);
  handles_init(handles);
}

static uint32_t place_of(const struct handles *handles, const struct entry *entry)
{
  return (uint32_t)(entry - handles->entries);
}

static void link_bucket(struct handles *handles, struct entry *entry)
{
  uint32_t *head = &handles->buckets[bucket_of(handles, entry->id)];
  entry->next = *head;
  *head = place_of(handles, entry);
}

static void fill_buckets(struct handles *handles)
{
  for (uint32_t i = 0; i < handles->capacity; i++)
    handles->buckets[i] = NO_ENTRY;
  for (uint32_t i = 0; i < handles->capacity; i++)
    if (handles->entries[i].handle && !handles->entries[i].owner)
      link_bucket(handles, &handles->entries[i]);
}

static hf_err grow(struct handles *handles)
{
  uint32_t capacity = handles->capacity ? handles->capacity * 2 : FIRST_CAPACITY;
  if (capacity > PLACE_MASK / 2)
    return hf_fail(HF_ERR_NO_MEMORY, "%u object handles", capacity);
  uint32_t *buckets = malloc(capacity * sizeof(*buckets));
  struct entry *entries = buckets ? realloc(handles->entries, capacity * sizeof(*entries)) : NULL;
  if (!entries) {
    free(buckets);
    return hf_fail(HF_ERR_NO_MEMORY, "%u object handles", capacity);
  }
  free(handles->buckets);
  handles->buckets = buckets;
  handles->entries = entries;
  for (uint32_t i = capacity; i-- > handles->capacity;) {
    entries[i] = (struct entry){ .next = handles->free_head };
    handles->free_head = i;
  }
  handles->capacity = capacity;
  fill_buckets(handles);
  return HF_OK;
}

static hf_err take_free(struct handles *handles, struct entry **ret_entry)
{
  if (handles->free_head == NO_ENTRY)
    HF_TRY(grow(handles));
  uint32_t place = handles->free_head;
  struct entry *entry = &handles->entries[place];
  handles->free_head = entry->next;
  entry->handle = ((CK_ULONG)entry->generation << PLACE_BITS) | (place + 1);
  *ret_entry = entry;
  return HF_OK;
}

struct entry *handles_get(struct handles *handles, CK_OBJECT_HANDLE handle)
{
  CK_ULONG place = (handle & PLACE_MASK) - 1;
  if (handle == 0 || place >= handles->capacity || handles->entries[place].handle != handle)
    return NULL;
  return &handles->entries[place];
}

struct entry *handles_find_id(struct handles *handles, uint64_t id)
{
  uint32_t place = handles->capacity ? handles->buckets[bucket_of(handles, id)] : NO_ENTRY;
  while (place != NO_ENTRY && handles->entries[place].id != id)
    place = handles->entries[place].next;
  return place == NO_ENTRY ? NULL : &handles->entries[place];
}

hf_err handles_of_id(struct handles *handles, uint64_t id, bool private, struct entry **ret_entry)
{
  struct entry *known = handles_find_id(handles, id);
  if (known) {
    *ret_entry = known;
    return HF_OK;
  }
  struct entry *entry;
  HF_TRY(take_free(handles, &entry));
  entry->id = id;
  entry->private = private;
  link_bucket(handles, entry);
  *ret_entry = entry;
  return HF_OK;
}

static void link_session(struct handles *handles, struct entry *entry)
{
  uint32_t place = place_of(handles, entry);
  entry->next = NO_ENTRY;
  entry->before = handles->session_last;
  *(entry->before == NO_ENTRY ? &handles->session_first : &handles->entries[entry->before].next) = place;
  handles->session_last = place;
}

static void unlink_session(struct handles *handles, const struct entry *entry)
{
  *(entry->before == NO_ENTRY ? &handles->session_first : &handles->entries[entry->before].next) = entry->next;
  *(entry->next == NO_ENTRY ? &handles->session_last : &handles->entries[entry->next].before) = entry->before;
}

struct entry *handles_next_session(struct handles *handles, const struct entry *entry)
{
  uint32_t place = entry ? entry->next : handles->session_first;
  return place == NO_ENTRY ? NULL : &handles->entries[place];
}

hf_err handles_add_session(struct handles *handles, struct object *object, CK_SESSION_HANDLE owner,
                           struct entry **ret_entry)
{
  struct entry *entry;
  HF_TRY(take_free(handles, &entry));
  entry->id = object_id(object);
  entry->private = object_private(object);
  entry->owner = owner;
  entry->object = object;
  link_session(handles, entry);
  *ret_entry = entry;
  return HF_OK;
}

static void unlink_bucket(struct handles *handles, const struct entry *entry)
{
  uint32_t place = place_of(handles, entry);
  uint32_t *link = &handles->buckets[bucket_of(handles, entry->id)];
  while (*link != place)
    link = &handles->entries[*link].next;
  *link = entry->next;
}

void handles_drop(struct handles *handles, struct entry *entry)
{
  (entry->owner ? unlink_session : unlink_bucket)(handles, entry);
  object_unref(entry->object);
  uint32_t generation = (entry->generation + 1) & (uint32_t)(~(CK_ULONG)0 >> PLACE_BITS >> 1);
  *entry = (struct entry){ .generation = generation, .next = handles->free_head };
  handles->free_head = place_of(handles, entry);
}

void handles_drop_session(struct handles *handles, CK_SESSION_HANDLE owner)
{
  struct entry *entry = handles_next_session(handles, NULL), *next;
  for (; entry; entry = next) {
    next = handles_next_session(handles, entry);
    if (entry->owner == owner)
      handles_drop(handles, entry);
  }
}

void handles_drop_if(struct handles *handles, bool (*which)(const struct entry *entry, const void *arg),
                     const void *arg)
{
  for (uint32_t i = 0; i < handles->capacity; i++)
    if (handles->entries[i].handle && which(&handles->entries[i], arg))
      handles_drop(handles, &handles->entries[i]);
}
