/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands behind a CK_OBJECT_HANDLE: an entry of a token's table. A handle is a place and a generation, so one that was
 * given up never meets a later object; zero is never valid. The token's lock guards the table.
 */
#ifndef HF_TOKEN_HANDLES_H
#define HF_TOKEN_HANDLES_H

#include "token/object.h"

#define ENTRY_BUILT_IN (~(CK_SESSION_HANDLE)0)

struct entry {
  CK_OBJECT_HANDLE handle; /* 0: free */
  uint32_t generation;
  uint32_t next;           /* in the bucket, the session objects' or the free list; NO_ENTRY ends it */
  uint32_t before;         /* in the session objects' list */
  uint64_t id;             /* the object's, in the store or among the session objects */
  CK_SESSION_HANDLE owner; /* the session that made it; 0 for a token object, ENTRY_BUILT_IN for the token's own */
  bool private;
  uint64_t seen;         /* store_changes when object was last compared with the store */
  struct object *object; /* NULL until somebody looks */
};

struct handles {
  struct entry *entries;
  uint32_t capacity;
  uint32_t free_head;
  uint32_t session_first, session_last;
  uint32_t *buckets; /* token objects by id; capacity of them, a power of two */
};

void handles_init(struct handles *handles);
void handles_free(struct handles *handles);

/* Valid until the table changes; NULL where the handle is none. */
struct entry *handles_get(struct handles *handles, CK_OBJECT_HANDLE handle);

/* The token object's entry, NULL where it has none; and made where it has none. */
struct entry *handles_find_id(struct handles *handles, uint64_t id);
hf_err handles_of_id(struct handles *handles, uint64_t id, bool private, struct entry **ret_entry);

/* A new entry for a session object; takes over object. */
hf_err handles_add_session(struct handles *handles, struct object *object, CK_SESSION_HANDLE owner,
                           struct entry **ret_entry);

/* The session objects' entries, oldest first: the one after entry, the first one after NULL; NULL at the end. */
struct entry *handles_next_session(struct handles *handles, const struct entry *entry);

/* Gives the handle up for good and lets go of the object. */
void handles_drop(struct handles *handles, struct entry *entry);

/* Drops the objects of a session. */
void handles_drop_session(struct handles *handles, CK_SESSION_HANDLE owner);

/* Drops every entry that which says. */
void handles_drop_if(struct handles *handles, bool (*which)(const struct entry *entry, const void *arg),
                     const void *arg);

#endif
