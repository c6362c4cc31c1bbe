/* SPDX-License-Identifier: Apache-2.0 */
#include "token/abi/abi.h"

#include "token/crypto.h"
#include "token/mech/op_message.h"

#include <time.h>

static const char manufacturer[] = "Holdfast";
static const CK_VERSION release = { 0, 1 };

/* PKCS #11 pads with blanks, and has no terminator. */
static void pad(unsigned char *field, size_t size, const char *text)
{
  size_t len = strlen(text);
  memset(field, ' ', size);
  memcpy(field, text, len < size ? len : size);
}

#define PAD(field, text) pad(field, sizeof(field), text)

hf_err abi_get_info(CK_INFO *info, CK_VERSION version)
{
  *info = (CK_INFO){ .cryptokiVersion = version, .libraryVersion = release };
  PAD(info->manufacturerID, manufacturer);
  PAD(info->libraryDescription, "Holdfast software HSM");
  return HF_OK;
}

hf_err abi_slot_list(bool present, CK_SLOT_ID *ids, CK_ULONG *count)
{
  CK_ULONG room = ids ? *count : 0, found;
  if (!ids)
    HF_TRY(library_refresh());
  HF_TRY(library_slot_ids(present, ids, room, &found));
  *count = found;
  if (ids && room < found)
    return hf_fail(HF_ERR_BUFFER_TOO_SMALL, "%lu slots where there is room for %lu", found, room);
  return HF_OK;
}

hf_err abi_slot_event(CK_SLOT_ID *ret_slot)
{
  bool any;
  HF_TRY(library_next_event(&any, ret_slot));
  return any ? HF_OK : hf_fail(HF_ERR_NO_EVENT, "no token came or went");
}

hf_err abi_slot_info(CK_SLOT_ID id, CK_SLOT_INFO *info)
{
  struct slot *slot;
  char text[64];
  HF_TRY(library_slot(id, &slot));
  *info = (CK_SLOT_INFO){ .flags = CKF_TOKEN_PRESENT, .hardwareVersion = release, .firmwareVersion = release };
  if (library_conf()->removable)
    info->flags |= CKF_REMOVABLE_DEVICE;
  snprintf(text, sizeof(text), "Holdfast slot ID 0x%lx", id);
  PAD(info->slotDescription, text);
  PAD(info->manufacturerID, manufacturer);
  if (simulation_on)
    simulation_slot_info(slot, info);
  return HF_OK;
}

static const CK_FLAGS features = CKF_RNG | CKF_LOGIN_REQUIRED | CKF_RESTORE_KEY_NOT_NEEDED | CKF_DUAL_CRYPTO_OPERATIONS;

static CK_FLAGS tries_flags(const struct wrap *wrap, CK_FLAGS low, CK_FLAGS final, CK_FLAGS locked)
{
  uint32_t tries = library_conf()->pin_tries;
  CK_FLAGS flags = wrap->failures > 0 ? low : 0;
  if (wrap->failures >= tries)
    flags |= locked;
  else if (wrap->failures + 1 == tries)
    flags |= final;
  return flags;
}

static CK_FLAGS token_flags(const struct header *header)
{
  CK_FLAGS flags = features | CKF_TOKEN_INITIALIZED;
  const struct wrap *user = &header->wraps[WRAP_USER], *so = &header->wraps[WRAP_SO];
  if (user->set)
    flags |= CKF_USER_PIN_INITIALIZED |
             tries_flags(user, CKF_USER_PIN_COUNT_LOW, CKF_USER_PIN_FINAL_TRY, CKF_USER_PIN_LOCKED);
  return flags | tries_flags(so, CKF_SO_PIN_COUNT_LOW, CKF_SO_PIN_FINAL_TRY, CKF_SO_PIN_LOCKED);
}

static void set_time(CK_TOKEN_INFO *info)
{
  time_t now = time(NULL);
  struct tm utc;
  char text[32];
  gmtime_r(&now, &utc);
  strftime(text, sizeof(text), "%Y%m%d%H%M%S00", &utc);
  PAD(info->utcTime, text);
}

hf_err abi_token_info(CK_SLOT_ID id, CK_TOKEN_INFO *info)
{
  struct slot *slot;
  struct token *token;
  struct header header = { .serial = "" };
  HF_TRY(library_slot(id, &slot));
  bool initialized = !slot_uninitialized(slot);
  memset(header.label, ' ', sizeof(header.label));
  if (initialized) {
    HF_TRY(slot_token(slot, &token));
    HF_TRY(token_settled_header(token, &header));
  }
  *info = (CK_TOKEN_INFO){
    .flags = initialized ? token_flags(&header) : features,
    .ulMaxSessionCount = CK_EFFECTIVELY_INFINITE,
    .ulSessionCount = sessions_open(slot, false),
    .ulMaxRwSessionCount = CK_EFFECTIVELY_INFINITE,
    .ulMaxPinLen = 255,
    .ulMinPinLen = 4,
    .ulTotalPublicMemory = CK_UNAVAILABLE_INFORMATION,
    .ulFreePublicMemory = CK_UNAVAILABLE_INFORMATION,
    .ulTotalPrivateMemory = CK_UNAVAILABLE_INFORMATION,
    .ulFreePrivateMemory = CK_UNAVAILABLE_INFORMATION,
    .hardwareVersion = release,
    .firmwareVersion = release,
  };
  info->ulRwSessionCount = info->ulSessionCount - sessions_open(slot, true);
  memcpy(info->label, header.label, sizeof(info->label));
  PAD(info->manufacturerID, manufacturer);
  PAD(info->model, "Holdfast token");
  PAD(info->serialNumber, header.serial);
  set_time(info);
  if (simulation_on)
    simulation_token_info(info);
  return HF_OK;
}

hf_err abi_simulation_state(CK_SLOT_ID id, struct holdfast_simulation *state)
{
  struct slot *slot;
  HF_TRY(library_slot(id, &slot));
  return simulation_describe(slot, state);
}

hf_err abi_simulation_fault(CK_SLOT_ID id, CK_ULONG number, struct holdfast_fault *fault)
{
  struct slot *slot;
  HF_TRY(library_slot(id, &slot));
  return simulation_fault(slot, number, fault);
}

hf_err abi_simulation_switch(CK_SLOT_ID id, CK_ULONG what, const char *text)
{
  struct slot *slot;
  HF_TRY(library_slot(id, &slot));
  return simulation_switch(slot, what, text);
}

hf_err abi_mechanism_list(CK_SLOT_ID id, CK_MECHANISM_TYPE *types, CK_ULONG *count)
{
  struct slot *slot;
  CK_ULONG found = 0, room = *count;
  HF_TRY(library_slot(id, &slot));
  for (const struct mech *mech; (mech = mech_at(found)) != NULL; found++)
    if (types && found < room)
      types[found] = mech->type;
  *count = found;
  if (types && room < found)
    return hf_fail(HF_ERR_BUFFER_TOO_SMALL, "%lu mechanisms where there is room for %lu", found, room);
  return HF_OK;
}

hf_err abi_mechanism_info(CK_SLOT_ID id, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *info)
{
  struct slot *slot;
  HF_TRY(library_slot(id, &slot));
  const struct mech *mech = mech_find(type);
  if (!mech)
    return hf_fail(HF_ERR_MECHANISM_INVALID, "mechanism 0x%lx", type);
  *info = mech->info;
  info->flags |= message_flags(mech);
  return HF_OK;
}

hf_err abi_init_token(CK_SLOT_ID id, const void *pin, CK_ULONG pin_len, const uint8_t *label)
{
  struct slot *slot;
  HF_TRY(library_slot(id, &slot));
  return slot_init_token(slot, hf_slice(pin, pin_len), label);
}

hf_err abi_delete_token(CK_SLOT_ID id, char *dir, CK_ULONG size)
{
  struct slot *slot;
  HF_TRY(library_slot(id, &slot));
  return slot_delete_token(slot, dir, size);
}

hf_err abi_restore_begin(const uint8_t *label, const uint8_t *serial, struct hf_slice so_pin, CK_SLOT_ID *ret_slot)
{
  char text[SERIAL_CHARS + 1] = "";
  if (serial)
    memcpy(text, serial, SERIAL_CHARS);
  return slot_restore_begin(so_pin, label, serial ? text : NULL, ret_slot);
}

hf_err abi_restore_end(CK_SLOT_ID id, bool keep)
{
  struct slot *slot;
  HF_TRY(library_slot(id, &slot));
  return slot_restore_end(slot, keep);
}

hf_err abi_open_session(CK_SLOT_ID id, CK_FLAGS flags, CK_SESSION_HANDLE *ret_handle)
{
  struct slot *slot;
  if (!(flags & CKF_SERIAL_SESSION))
    return hf_fail(HF_ERR_SESSION_PARALLEL, "slot %lu", id);
  if (flags & CKF_ASYNC_SESSION)
    return hf_fail(HF_ERR_SESSION_ASYNC_NOT_SUPPORTED, "slot %lu", id);
  HF_TRY(library_slot(id, &slot));
  return session_open(slot, flags & CKF_RW_SESSION, ret_handle);
}

hf_err abi_close_all(CK_SLOT_ID id)
{
  struct slot *slot;
  HF_TRY(library_slot(id, &slot));
  return session_close_all(slot);
}

hf_err abi_session_info(struct session *s, CK_SESSION_INFO *info)
{
  static const CK_STATE states[][2] = {
    [LOGIN_NONE] = { CKS_RO_PUBLIC_SESSION, CKS_RW_PUBLIC_SESSION },
    [LOGIN_USER] = { CKS_RO_USER_FUNCTIONS, CKS_RW_USER_FUNCTIONS },
    [LOGIN_SO] = { CKS_RW_SO_FUNCTIONS, CKS_RW_SO_FUNCTIONS },
  };
  *info = (CK_SESSION_INFO){
    .slotID = slot_id(s->slot),
    .state = states[token_login_state(s->token)][s->read_write],
    .flags = CKF_SERIAL_SESSION | (s->read_write ? CKF_RW_SESSION : 0),
  };
  return HF_OK;
}

/* What a login needs of its session. The session is not held meanwhile: a PIN takes its time, and a logout visits all. */
struct login_place {
  struct slot *slot;
  struct token *token;
  bool read_write;
};

static hf_err login_place(CK_SESSION_HANDLE h, struct login_place *ret_place)
{
  struct session *s;
  HF_TRY(session_acquire(h, &s));
  *ret_place = (struct login_place){ s->slot, s->token, s->read_write };
  session_release(s);
  return HF_OK;
}

static hf_err login_context(CK_SESSION_HANDLE h, struct hf_slice pin)
{
  struct session *s;
  struct token *token;
  HF_TRY(session_acquire(h, &s));
  token = s->token;
  hf_err e = op_authenticated(s);
  for (size_t i = 0; i < OP_KINDS; i++)
    s->ops[i].authenticated = false;
  session_release(s);
  HF_TRY(e);
  HF_TRY(token_check_pin(token, pin));
  HF_TRY(session_acquire(h, &s));
  e = op_authenticated(s);
  session_release(s);
  return e;
}

hf_err abi_login(CK_SESSION_HANDLE h, CK_USER_TYPE type, const void *pin, CK_ULONG len)
{
  struct login_place place;
  HF_TRY(login_place(h, &place));
  if (type == CKU_CONTEXT_SPECIFIC)
    return login_context(h, hf_slice(pin, len));
  if (type != CKU_USER && type != CKU_SO)
    return hf_fail(HF_ERR_USER_TYPE_INVALID, "user type 0x%lx", type);
  if (type == CKU_SO && sessions_open(place.slot, true))
    return hf_fail(HF_ERR_SESSION_READ_ONLY_EXISTS, "slot %lu", slot_id(place.slot));
  return token_login(place.token, type == CKU_SO ? LOGIN_SO : LOGIN_USER, hf_slice(pin, len));
}

hf_err abi_logout(CK_SESSION_HANDLE h)
{
  struct login_place place;
  HF_TRY(login_place(h, &place));
  HF_TRY(token_logout(place.token));
  sessions_forget_private(place.token);
  return HF_OK;
}

hf_err abi_init_pin(CK_SESSION_HANDLE h, const void *pin, CK_ULONG len)
{
  struct login_place place;
  HF_TRY(login_place(h, &place));
  return token_init_pin(place.token, hf_slice(pin, len));
}

hf_err abi_set_pin(CK_SESSION_HANDLE h, const void *old_pin, CK_ULONG old_len, const void *new_pin, CK_ULONG new_len)
{
  struct login_place place;
  HF_TRY(login_place(h, &place));
  if (!place.read_write)
    return hf_fail(HF_ERR_SESSION_READ_ONLY, "C_SetPIN");
  enum login who = token_login_state(place.token) == LOGIN_SO ? LOGIN_SO : LOGIN_USER;
  return token_set_pin(place.token, who, hf_slice(old_pin, old_len), hf_slice(new_pin, new_len));
}
