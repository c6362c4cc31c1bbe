/* SPDX-License-Identifier: Apache-2.0 */
#include "token/abi/abi.h"

#include "holdfast/token-ext.h"
#include "token/crypto.h"
#include "token/mech/op_key.h"
#include "token/mech/op_more.h"

#include <openssl/err.h>
#include <time.h>

#define EXPORT __attribute__((visibility("default")))

static _Thread_local hf_err last;
/* Nobody's errors were in libcrypto's queue when the call began. */
static _Thread_local bool queue_is_ours;

hf_err abi_enter(void)
{
  HF_TRY(library_enter());
  queue_is_ours = ERR_peek_error() == 0;
  ERR_set_mark();
  return HF_OK;
}

/* libcrypto says no when it has no memory, too: to a signature that is good, to a key, to a parameter. */
static hf_err true_reason(hf_err e)
{
  if (hf_failed(e) && e.code != HF_ERR_NO_MEMORY && queue_is_ours && crypto_out_of_memory())
    return hf_fail(HF_ERR_NO_MEMORY, "libcrypto");
  return e;
}

CK_RV abi_leave_light(bool entered, hf_err e)
{
  if (entered)
    library_leave();
  last = e;
  return hf_err_rv(e);
}

CK_RV abi_leave(bool entered, hf_err e)
{
  if (entered) {
    e = true_reason(e);
    ERR_pop_to_mark();
  }
  return abi_leave_light(entered, e);
}

hf_err abi_arguments_bad(void)
{
  return hf_fail(HF_ERR_ARGUMENTS_BAD, "a pointer is NULL, or a count is absurd");
}

/* The program's own mutexes are not used: the system's serve any thread of it. */
static hf_err check_initialize_args(const CK_C_INITIALIZE_ARGS *args)
{
  if (!args)
    return HF_OK;
  int callbacks = !!args->CreateMutex + !!args->DestroyMutex + !!args->LockMutex + !!args->UnlockMutex;
  if (args->pReserved || (callbacks != 0 && callbacks != 4))
    return hf_fail(HF_ERR_ARGUMENTS_BAD, "C_Initialize: all four mutex functions or none, and no pReserved");
  return HF_OK;
}

EXPORT CK_RV C_Initialize(void *args)
{
  hf_err e = check_initialize_args(args);
  if (!hf_failed(e) && crypto_gone())
    e = hf_fail(HF_ERR_FUNCTION_FAILED, "libcrypto is gone: the process is about to end");
  if (hf_failed(e))
    return abi_leave(false, e);
  ERR_set_mark();
  e = library_initialize();
  ERR_pop_to_mark();
  return abi_leave(false, e);
}

EXPORT CK_RV C_Finalize(void *reserved)
{
  return abi_leave(false, reserved ? abi_arguments_bad() : library_finalize());
}

EXPORT CK_RV C_GetSlotList(unsigned char token_present, CK_SLOT_ID *ids, unsigned long *count)
{
  ABI(count, abi_slot_list(token_present, ids, count));
}

EXPORT CK_RV C_GetSlotInfo(CK_SLOT_ID id, CK_SLOT_INFO *info)
{
  ABI_SLOT(id, info, abi_slot_info(id, info));
}

EXPORT CK_RV C_GetTokenInfo(CK_SLOT_ID id, CK_TOKEN_INFO *info)
{
  ABI_SLOT(id, info, abi_token_info(id, info));
}

static CK_RV poll_slots(CK_SLOT_ID *slot, const void *reserved)
{
  ABI(slot && !reserved, abi_slot_event(slot));
}

/* Nobody is counted in while it waits, so that C_Finalize wakes it. */
EXPORT CK_RV C_WaitForSlotEvent(CK_FLAGS flags, CK_SLOT_ID *slot, void *reserved)
{
  static const struct timespec pause = { .tv_nsec = 100 * 1000 * 1000 };
  CK_RV rv;
  while ((rv = poll_slots(slot, reserved)) == CKR_NO_EVENT && !(flags & CKF_DONT_BLOCK))
    nanosleep(&pause, NULL);
  return rv;
}

EXPORT CK_RV C_GetMechanismList(CK_SLOT_ID id, CK_MECHANISM_TYPE *types, unsigned long *count)
{
  ABI_SLOT(id, count, abi_mechanism_list(id, types, count));
}

EXPORT CK_RV C_GetMechanismInfo(CK_SLOT_ID id, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *info)
{
  ABI_SLOT(id, info, abi_mechanism_info(id, type, info));
}

EXPORT CK_RV C_InitToken(CK_SLOT_ID id, unsigned char *pin, unsigned long pin_len, unsigned char *label)
{
  ABI_SLOT(id, pin && abi_bytes(pin, pin_len) && label, abi_init_token(id, pin, pin_len, label));
}

EXPORT CK_RV C_InitPIN(CK_SESSION_HANDLE h, unsigned char *pin, unsigned long len)
{
  ABI_HANDLE(h, pin && abi_bytes(pin, len), abi_init_pin(h, pin, len));
}

EXPORT CK_RV C_SetPIN(CK_SESSION_HANDLE h, unsigned char *old_pin, unsigned long old_len, unsigned char *new_pin,
                      unsigned long new_len)
{
  ABI_HANDLE(h, old_pin && new_pin && abi_bytes(old_pin, old_len) && abi_bytes(new_pin, new_len),
             abi_set_pin(h, old_pin, old_len, new_pin, new_len));
}

EXPORT CK_RV C_OpenSession(CK_SLOT_ID id, CK_FLAGS flags, void *application, CK_NOTIFY notify, CK_SESSION_HANDLE *h)
{
  (void)application;
  (void)notify;
  ABI_SLOT(id, h, abi_open_session(id, flags, h));
}

EXPORT CK_RV C_CloseSession(CK_SESSION_HANDLE h)
{
  ABI_HANDLE(h, true, session_close(h));
}

EXPORT CK_RV C_CloseAllSessions(CK_SLOT_ID id)
{
  ABI_SLOT(id, true, abi_close_all(id));
}

EXPORT CK_RV C_GetSessionInfo(CK_SESSION_HANDLE h, CK_SESSION_INFO *info)
{
  ABI_SESSION(h, info, abi_session_info(s, info));
}

EXPORT CK_RV C_Login(CK_SESSION_HANDLE h, CK_USER_TYPE type, unsigned char *pin, unsigned long len)
{
  ABI_HANDLE(h, abi_bytes(pin, len), abi_login(h, type, pin, len));
}

EXPORT CK_RV C_Logout(CK_SESSION_HANDLE h)
{
  ABI_HANDLE(h, true, abi_logout(h));
}

EXPORT CK_RV C_CreateObject(CK_SESSION_HANDLE h, CK_ATTRIBUTE *tmpl, unsigned long count, CK_OBJECT_HANDLE *object)
{
  ABI_SESSION(h, tmpl && object && abi_template(tmpl, count), abi_create_object(s, tmpl, count, object));
}

EXPORT CK_RV C_CopyObject(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE source, CK_ATTRIBUTE *tmpl, unsigned long count,
                          CK_OBJECT_HANDLE *object)
{
  ABI_SESSION(h, object && abi_template(tmpl, count), abi_copy_object(s, source, tmpl, count, object));
}

EXPORT CK_RV C_DestroyObject(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE object)
{
  ABI_SESSION(h, true, token_destroy(s->token, session_access(s), object));
}

EXPORT CK_RV C_GetObjectSize(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE object, unsigned long *size)
{
  ABI_SESSION(h, size, abi_object_size(s, object, size));
}

EXPORT CK_RV C_GetAttributeValue(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *tmpl, unsigned long count)
{
  ABI_SESSION(h, tmpl && abi_template(tmpl, count), abi_get_attributes(s, object, tmpl, count));
}

EXPORT CK_RV C_SetAttributeValue(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *tmpl, unsigned long count)
{
  ABI_SESSION(h, tmpl && abi_template(tmpl, count), token_set_attrs(s->token, session_access(s), object, tmpl, count));
}

EXPORT CK_RV C_FindObjectsInit(CK_SESSION_HANDLE h, CK_ATTRIBUTE *tmpl, unsigned long count)
{
  ABI_SESSION(h, abi_template(tmpl, count), abi_find_init(s, tmpl, count));
}

EXPORT CK_RV C_FindObjects(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE *objects, unsigned long room, unsigned long *count)
{
  ABI_SESSION(h, objects && count, abi_find(s, objects, room, count));
}

EXPORT CK_RV C_FindObjectsFinal(CK_SESSION_HANDLE h)
{
  ABI_SESSION(h, true, abi_find_final(s));
}

EXPORT CK_RV C_DigestInit(CK_SESSION_HANDLE h, CK_MECHANISM *m)
{
  ABI_SESSION_LIGHT(h, true, op_begin(s, OP_DIGEST, m, 0));
}

EXPORT CK_RV C_Digest(CK_SESSION_HANDLE h, unsigned char *in, unsigned long len, unsigned char *out,
                      unsigned long *out_len)
{
  ABI_RESULT_LIGHT(h, out, out_len, abi_bytes(in, len) && out_len,
                   op_run(s, OP_DIGEST, hf_slice(in, len), out, out_len));
}

EXPORT CK_RV C_DigestUpdate(CK_SESSION_HANDLE h, unsigned char *in, unsigned long len)
{
  ABI_SESSION_LIGHT(h, abi_bytes(in, len), op_update(s, OP_DIGEST, hf_slice(in, len)));
}

EXPORT CK_RV C_DigestFinal(CK_SESSION_HANDLE h, unsigned char *out, unsigned long *out_len)
{
  ABI_RESULT_LIGHT(h, out, out_len, out_len, op_finish(s, OP_DIGEST, out, out_len));
}

EXPORT CK_RV C_SignInit(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
  ABI_SESSION_LIGHT(h, true, op_begin(s, OP_SIGN, m, key));
}

EXPORT CK_RV C_Sign(CK_SESSION_HANDLE h, unsigned char *in, unsigned long len, unsigned char *out,
                    unsigned long *out_len)
{
  ABI_RESULT(h, out, out_len, abi_bytes(in, len) && out_len, op_run(s, OP_SIGN, hf_slice(in, len), out, out_len));
}

EXPORT CK_RV C_SignUpdate(CK_SESSION_HANDLE h, unsigned char *in, unsigned long len)
{
  ABI_SESSION(h, abi_bytes(in, len), op_update(s, OP_SIGN, hf_slice(in, len)));
}

EXPORT CK_RV C_SignFinal(CK_SESSION_HANDLE h, unsigned char *out, unsigned long *out_len)
{
  ABI_RESULT(h, out, out_len, out_len, op_finish(s, OP_SIGN, out, out_len));
}

EXPORT CK_RV C_VerifyInit(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
  ABI_SESSION_LIGHT(h, true, op_begin(s, OP_VERIFY, m, key));
}

EXPORT CK_RV C_Verify(CK_SESSION_HANDLE h, unsigned char *in, unsigned long len, unsigned char *signature,
                      unsigned long signature_len)
{
  ABI_SESSION(h, abi_bytes(in, len) && signature, op_run(s, OP_VERIFY, hf_slice(in, len), signature, &signature_len));
}

EXPORT CK_RV C_VerifyUpdate(CK_SESSION_HANDLE h, unsigned char *in, unsigned long len)
{
  ABI_SESSION(h, abi_bytes(in, len), op_update(s, OP_VERIFY, hf_slice(in, len)));
}

EXPORT CK_RV C_VerifyFinal(CK_SESSION_HANDLE h, unsigned char *signature, unsigned long signature_len)
{
  ABI_SESSION(h, signature, op_finish(s, OP_VERIFY, signature, &signature_len));
}

EXPORT CK_RV C_GenerateKey(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_ATTRIBUTE *tmpl, unsigned long count,
                           CK_OBJECT_HANDLE *key)
{
  ABI_SESSION(h, m && key && abi_template(tmpl, count), abi_generate_key(s, m, tmpl, count, key));
}

EXPORT CK_RV C_GenerateKeyPair(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_ATTRIBUTE *public, unsigned long public_count,
                               CK_ATTRIBUTE *private, unsigned long private_count, CK_OBJECT_HANDLE *public_key,
                               CK_OBJECT_HANDLE *private_key)
{
  ABI_SESSION(
      h, m && public_key && private_key && abi_template(public, public_count) && abi_template(private, private_count),
      abi_generate_pair(s, m, public, public_count, private, private_count, public_key, private_key));
}

EXPORT CK_RV C_EncryptInit(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
  ABI_SESSION_LIGHT(h, true, op_begin(s, OP_ENCRYPT, m, key));
}

EXPORT CK_RV C_Encrypt(CK_SESSION_HANDLE h, unsigned char *in, unsigned long len, unsigned char *out,
                       unsigned long *out_len)
{
  ABI_RESULT(h, out, out_len, abi_bytes(in, len) && out_len, op_run(s, OP_ENCRYPT, hf_slice(in, len), out, out_len));
}

EXPORT CK_RV C_EncryptUpdate(CK_SESSION_HANDLE h, unsigned char *in, unsigned long len, unsigned char *out,
                             unsigned long *out_len)
{
  ABI_RESULT(h, out, out_len, abi_bytes(in, len) && out_len,
             op_crypt_update(s, OP_ENCRYPT, hf_slice(in, len), out, out_len));
}

EXPORT CK_RV C_EncryptFinal(CK_SESSION_HANDLE h, unsigned char *out, unsigned long *out_len)
{
  ABI_RESULT(h, out, out_len, out_len, op_finish(s, OP_ENCRYPT, out, out_len));
}

EXPORT CK_RV C_DecryptInit(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
  ABI_SESSION_LIGHT(h, true, op_begin(s, OP_DECRYPT, m, key));
}

EXPORT CK_RV C_Decrypt(CK_SESSION_HANDLE h, unsigned char *in, unsigned long len, unsigned char *out,
                       unsigned long *out_len)
{
  ABI_RESULT(h, out, out_len, abi_bytes(in, len) && out_len, op_run(s, OP_DECRYPT, hf_slice(in, len), out, out_len));
}

EXPORT CK_RV C_DecryptUpdate(CK_SESSION_HANDLE h, unsigned char *in, unsigned long len, unsigned char *out,
                             unsigned long *out_len)
{
  ABI_RESULT(h, out, out_len, abi_bytes(in, len) && out_len,
             op_crypt_update(s, OP_DECRYPT, hf_slice(in, len), out, out_len));
}

EXPORT CK_RV C_DecryptFinal(CK_SESSION_HANDLE h, unsigned char *out, unsigned long *out_len)
{
  ABI_RESULT(h, out, out_len, out_len, op_finish(s, OP_DECRYPT, out, out_len));
}

EXPORT CK_RV C_DeriveKey(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE base, CK_ATTRIBUTE *tmpl,
                         unsigned long count, CK_OBJECT_HANDLE *key)
{
  ABI_SESSION(h, m && (key || op_plans(m)) && abi_template(tmpl, count), op_derive(s, m, base, tmpl, count, key));
}

static hf_err seed_refused(void)
{
  return hf_fail(HF_ERR_RANDOM_SEED_NOT_SUPPORTED, "the system seeds the generator");
}

EXPORT CK_RV C_SeedRandom(CK_SESSION_HANDLE h, unsigned char *seed, unsigned long len)
{
  ABI_SESSION(h, abi_bytes(seed, len), seed_refused());
}

EXPORT CK_RV C_GenerateRandom(CK_SESSION_HANDLE h, unsigned char *out, unsigned long len)
{
  ABI_SESSION(h, abi_bytes(out, len), crypto_random(out, len));
}

EXPORT CK_RV C_GetFunctionStatus(CK_SESSION_HANDLE h)
{
  ABI_SESSION(h, true, hf_fail(HF_ERR_FUNCTION_NOT_PARALLEL, "no function runs in parallel"));
}

EXPORT CK_RV C_CancelFunction(CK_SESSION_HANDLE h)
{
  ABI_SESSION(h, true, hf_fail(HF_ERR_FUNCTION_NOT_PARALLEL, "no function runs in parallel"));
}

EXPORT CK_RV C_GetOperationState(CK_SESSION_HANDLE h, unsigned char *state, unsigned long *len)
{
  ABI_SESSION(h, len, op_state_save(s, state, len));
}

EXPORT CK_RV C_SetOperationState(CK_SESSION_HANDLE h, unsigned char *state, unsigned long len,
                                 CK_OBJECT_HANDLE cipher_key, CK_OBJECT_HANDLE sign_key)
{
  ABI_SESSION(h, state && abi_bytes(state, len), op_state_restore(s, hf_slice(state, len), cipher_key, sign_key));
}

EXPORT CK_RV C_DigestKey(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE key)
{
  ABI_SESSION(h, true, op_digest_key(s, key));
}

EXPORT CK_RV C_SignRecoverInit(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
  ABI_SESSION(h, true, op_begin(s, OP_SIGN_RECOVER, m, key));
}

EXPORT CK_RV C_SignRecover(CK_SESSION_HANDLE h, unsigned char *in, unsigned long len, unsigned char *out,
                           unsigned long *out_len)
{
  ABI_RESULT(h, out, out_len, abi_bytes(in, len) && out_len,
             op_run(s, OP_SIGN_RECOVER, hf_slice(in, len), out, out_len));
}

EXPORT CK_RV C_VerifyRecoverInit(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
  ABI_SESSION(h, true, op_begin(s, OP_VERIFY_RECOVER, m, key));
}

EXPORT CK_RV C_VerifyRecover(CK_SESSION_HANDLE h, unsigned char *in, unsigned long len, unsigned char *out,
                             unsigned long *out_len)
{
  ABI_RESULT(h, out, out_len, abi_bytes(in, len) && out_len,
             op_run(s, OP_VERIFY_RECOVER, hf_slice(in, len), out, out_len));
}

EXPORT CK_RV C_DigestEncryptUpdate(CK_SESSION_HANDLE h, unsigned char *in, unsigned long len, unsigned char *out,
                                   unsigned long *out_len)
{
  ABI_RESULT(h, out, out_len, abi_bytes(in, len) && out_len,
             op_encrypt_and(s, OP_DIGEST, hf_slice(in, len), out, out_len));
}

EXPORT CK_RV C_DecryptDigestUpdate(CK_SESSION_HANDLE h, unsigned char *in, unsigned long len, unsigned char *out,
                                   unsigned long *out_len)
{
  ABI_RESULT(h, out, out_len, abi_bytes(in, len) && out_len,
             op_decrypt_and(s, OP_DIGEST, hf_slice(in, len), out, out_len));
}

EXPORT CK_RV C_SignEncryptUpdate(CK_SESSION_HANDLE h, unsigned char *in, unsigned long len, unsigned char *out,
                                 unsigned long *out_len)
{
  ABI_RESULT(h, out, out_len, abi_bytes(in, len) && out_len,
             op_encrypt_and(s, OP_SIGN, hf_slice(in, len), out, out_len));
}

EXPORT CK_RV C_DecryptVerifyUpdate(CK_SESSION_HANDLE h, unsigned char *in, unsigned long len, unsigned char *out,
                                   unsigned long *out_len)
{
  ABI_RESULT(h, out, out_len, abi_bytes(in, len) && out_len,
             op_decrypt_and(s, OP_VERIFY, hf_slice(in, len), out, out_len));
}

EXPORT CK_RV C_WrapKey(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE wrapping, CK_OBJECT_HANDLE key,
                       unsigned char *out, unsigned long *out_len)
{
  ABI_RESULT(h, out, out_len, m && out_len, op_wrap(s, m, wrapping, key, out, out_len));
}

EXPORT CK_RV C_UnwrapKey(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE unwrapping, unsigned char *in,
                         unsigned long len, CK_ATTRIBUTE *tmpl, unsigned long count, CK_OBJECT_HANDLE *key)
{
  ABI_SESSION(h, m && key && abi_bytes(in, len) && abi_template(tmpl, count),
              op_unwrap(s, m, unwrapping, hf_slice(in, len), tmpl, count, key));
}

static CK_RV delete_token(CK_SLOT_ID slot, char *dir, CK_ULONG dir_size)
{
  ABI(abi_bytes(dir, dir_size), abi_delete_token(slot, dir, dir_size));
}

static void last_error(char *text, CK_ULONG text_size, char *hint, CK_ULONG hint_size)
{
  bool failed = hf_failed(last);
  if (failed)
    hf_err_format(last, text, text_size);
  else
    snprintf(text, text_size, "%s", "");
  snprintf(hint, hint_size, "%s", failed ? hf_err_hint(last) : "");
}

static CK_RV restore_begin(CK_UTF8CHAR *label, CK_UTF8CHAR *serial, CK_UTF8CHAR *so_pin, CK_ULONG so_pin_len,
                           CK_SLOT_ID *slot)
{
  ABI(label && so_pin && slot, abi_restore_begin(label, serial, hf_slice(so_pin, so_pin_len), slot));
}

static CK_RV restore_object(CK_SESSION_HANDLE h, CK_ATTRIBUTE *tmpl, CK_ULONG count, CK_OBJECT_HANDLE *object)
{
  ABI_SESSION(h, object && abi_template(tmpl, count), abi_restore_object(s, tmpl, count, object));
}

static CK_RV restore_end(CK_SLOT_ID slot, CK_BBOOL keep)
{
  ABI(true, abi_restore_end(slot, keep));
}

static CK_RV simulation_state(CK_SLOT_ID slot, struct holdfast_simulation *state)
{
  ABI(state, abi_simulation_state(slot, state));
}

static CK_RV fault_state(CK_SLOT_ID slot, CK_ULONG number, struct holdfast_fault *fault)
{
  ABI(fault, abi_simulation_fault(slot, number, fault));
}

static CK_RV switch_simulation(CK_SLOT_ID slot, CK_ULONG what, const char *text)
{
  ABI(true, abi_simulation_switch(slot, what, text));
}

const struct holdfast_token_ext abi_token_ext = {
  .version = { 1, 2 },
  .delete_token = delete_token,
  .last_error = last_error,
  .restore_begin = restore_begin,
  .restore_object = restore_object,
  .restore_end = restore_end,
  .simulation_state = simulation_state,
  .simulation_fault = fault_state,
  .simulation_switch = switch_simulation,
};
