/* SPDX-License-Identifier: Apache-2.0 */
/* The front of the module: each C_ function is one guarded line. */
#ifndef HF_TOKEN_ABI_ABI_H
#define HF_TOKEN_ABI_ABI_H

#include "token/session.h"
#include "token/simulation/simulation.h"

/* Counts the call in, sets the caller's OpenSSL error queue aside. */
hf_err abi_enter(void);
/* Undoes abi_enter where it succeeded (entered), remembers the error for last_error, and yields its CK_RV. */
CK_RV abi_leave(bool entered, hf_err e);
/* The same after library_enter alone. */
CK_RV abi_leave_light(bool entered, hf_err e);

/* Runs body where the module is up and the arguments are there: for a call that concerns no token. */
#define ABI(arguments_there, body)                         \
  hf_err e_ = abi_enter();                                 \
  bool entered_ = !hf_failed(e_);                          \
  if (entered_)                                            \
    e_ = (arguments_there) ? (body) : abi_arguments_bad(); \
  return abi_leave(entered_, e_)

/* The same for a call that concerns the token in a slot, and for one that concerns a session's, which is not locked. */
#define ABI_SLOT(id, arguments_there, body)                                \
  hf_err e_ = abi_enter();                                                 \
  bool entered_ = !hf_failed(e_);                                          \
  if (entered_)                                                            \
    e_ = (arguments_there) ? abi_slot(__func__, id) : abi_arguments_bad(); \
  if (entered_ && !hf_failed(e_))                                          \
    e_ = (body);                                                           \
  return abi_leave(entered_, e_)
#define ABI_HANDLE(h, arguments_there, body)                                \
  hf_err e_ = abi_enter();                                                  \
  bool entered_ = !hf_failed(e_);                                           \
  if (entered_)                                                             \
    e_ = (arguments_there) ? abi_handle(__func__, h) : abi_arguments_bad(); \
  if (entered_ && !hf_failed(e_))                                           \
    e_ = (body);                                                            \
  return abi_leave(entered_, e_)

#define ABI_LOCKED_BY(enter, leave, acquire, arguments_there, body) \
  struct session *s = NULL;                                         \
  hf_err e_ = enter();                                              \
  bool entered_ = !hf_failed(e_);                                   \
  if (entered_)                                                     \
    e_ = (arguments_there) ? (acquire) : abi_arguments_bad();       \
  if (s) {                                                          \
    e_ = (body);                                                    \
    session_release(s);                                             \
  }                                                                 \
  return leave(entered_, e_)
#define ABI_LOCKED(acquire, arguments_there, body) ABI_LOCKED_BY(abi_enter, abi_leave, acquire, arguments_there, body)

/* The same with the session locked, as s. */
#define ABI_SESSION(h, arguments_there, body) ABI_LOCKED(abi_session(__func__, h, &s), arguments_there, body)

/* The same for a call with a result: a NULL out asks for its size alone, which is no work for a device. */
#define ABI_RESULT(h, out, out_len, arguments_there, body)                                   \
  ABI_LOCKED((out) ? abi_session(__func__, h, &s) : session_acquire(h, &s), arguments_there, \
             abi_result(body, out, out_len))

/* The same for a call that leaves OpenSSL's error queue alone by itself: one that begins an operation (see op.h), or hashes, where nothing
 * fails but for want of memory. Setting the queue aside takes as long as all the rest of these. */
#define ABI_SESSION_LIGHT(h, arguments_there, body) \
  ABI_LOCKED_BY(library_enter, abi_leave_light, abi_session(__func__, h, &s), arguments_there, body)
#define ABI_RESULT_LIGHT(h, out, out_len, arguments_there, body)                                               \
  ABI_LOCKED_BY(library_enter, abi_leave_light, (out) ? abi_session(__func__, h, &s) : session_acquire(h, &s), \
                arguments_there, abi_result(body, out, out_len))

hf_err abi_arguments_bad(void);

/* A function that only the newer lists have is abi_C_... (see lists.h). */
static inline const char *abi_name(const char *function)
{
  return strncmp(function, "abi_", 4) == 0 ? function + 4 : function;
}

/* Where a simulated device has its say; all the others pay for a look at a byte. */
static inline hf_err abi_slot(const char *function, CK_SLOT_ID id)
{
  return simulation_on ? simulation_slot_call(abi_name(function), id) : HF_OK;
}

static inline hf_err abi_handle(const char *function, CK_SESSION_HANDLE handle)
{
  return simulation_on ? simulation_session_call(abi_name(function), handle) : HF_OK;
}

static inline hf_err abi_session(const char *function, CK_SESSION_HANDLE handle, struct session **ret_session)
{
  HF_TRY(abi_handle(function, handle));
  return session_acquire(handle, ret_session);
}

static inline hf_err abi_result(hf_err e, void *out, const CK_ULONG *len)
{
  if (simulation_on && !hf_failed(e))
    simulation_result(out, len);
  return e;
}

/* A pointer and its length belong together; and no program has so many bytes as a wrong length says. */
static inline bool abi_bytes(const void *data, CK_ULONG len)
{
  return len == 0 || (data && len <= OP_PART_MAX);
}

bool abi_template(const CK_ATTRIBUTE *tmpl, CK_ULONG count);

/* abi/objects.c */
hf_err abi_create_object(struct session *s, const CK_ATTRIBUTE *tmpl, CK_ULONG count, CK_OBJECT_HANDLE *ret_handle);
hf_err abi_restore_object(struct session *s, const CK_ATTRIBUTE *tmpl, CK_ULONG count, CK_OBJECT_HANDLE *ret_handle);
hf_err abi_copy_object(struct session *s, CK_OBJECT_HANDLE source, const CK_ATTRIBUTE *tmpl, CK_ULONG count,
                       CK_OBJECT_HANDLE *ret_handle);
hf_err abi_get_attributes(struct session *s, CK_OBJECT_HANDLE handle, CK_ATTRIBUTE *tmpl, CK_ULONG count);
hf_err abi_object_size(struct session *s, CK_OBJECT_HANDLE handle, CK_ULONG *ret_size);
hf_err abi_generate_pair(struct session *s, const CK_MECHANISM *m, const CK_ATTRIBUTE *public, CK_ULONG public_count,
                         const CK_ATTRIBUTE *private, CK_ULONG private_count, CK_OBJECT_HANDLE *ret_public,
                         CK_OBJECT_HANDLE *ret_private);
hf_err abi_generate_key(struct session *s, const CK_MECHANISM *m, const CK_ATTRIBUTE *tmpl, CK_ULONG count,
                        CK_OBJECT_HANDLE *ret_handle);
hf_err abi_find_init(struct session *s, const CK_ATTRIBUTE *tmpl, CK_ULONG count);
hf_err abi_find(struct session *s, CK_OBJECT_HANDLE *out, CK_ULONG room, CK_ULONG *ret_count);
hf_err abi_find_final(struct session *s);

/* abi/slots.c */
hf_err abi_get_info(CK_INFO *info, CK_VERSION version);
hf_err abi_slot_list(bool present, CK_SLOT_ID *ids, CK_ULONG *count);
/* Fails with NO_EVENT. */
hf_err abi_slot_event(CK_SLOT_ID *ret_slot);
hf_err abi_slot_info(CK_SLOT_ID id, CK_SLOT_INFO *info);
hf_err abi_token_info(CK_SLOT_ID id, CK_TOKEN_INFO *info);
hf_err abi_simulation_state(CK_SLOT_ID id, struct holdfast_simulation *state);
hf_err abi_simulation_fault(CK_SLOT_ID id, CK_ULONG number, struct holdfast_fault *fault);
hf_err abi_simulation_switch(CK_SLOT_ID id, CK_ULONG what, const char *text);
hf_err abi_mechanism_list(CK_SLOT_ID id, CK_MECHANISM_TYPE *types, CK_ULONG *count);
hf_err abi_mechanism_info(CK_SLOT_ID id, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *info);
hf_err abi_init_token(CK_SLOT_ID id, const void *pin, CK_ULONG pin_len, const uint8_t *label);
hf_err abi_delete_token(CK_SLOT_ID id, char *dir, CK_ULONG size);
/* serial has 16 characters, or is NULL. */
hf_err abi_restore_begin(const uint8_t *label, const uint8_t *serial, struct hf_slice so_pin, CK_SLOT_ID *ret_slot);
hf_err abi_restore_end(CK_SLOT_ID id, bool keep);
hf_err abi_open_session(CK_SLOT_ID id, CK_FLAGS flags, CK_SESSION_HANDLE *ret_handle);
hf_err abi_close_all(CK_SLOT_ID id);
hf_err abi_session_info(struct session *s, CK_SESSION_INFO *info);
hf_err abi_login(CK_SESSION_HANDLE h, CK_USER_TYPE type, const void *pin, CK_ULONG len);
hf_err abi_logout(CK_SESSION_HANDLE h);
hf_err abi_init_pin(CK_SESSION_HANDLE h, const void *pin, CK_ULONG len);
hf_err abi_set_pin(CK_SESSION_HANDLE h, const void *old_pin, CK_ULONG old_len, const void *new_pin, CK_ULONG new_len);

#endif
