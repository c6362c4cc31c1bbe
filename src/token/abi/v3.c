/* SPDX-License-Identifier: Apache-2.0 */
/* What v3.0 and v3.2 added, but for messages (PKCS #11 v3.2, sections 5.6, 5.15, 5.18, 5.22, 5.24). */
#include "token/abi/lists.h"

#include "token/mech/op_key.h"
#include "token/mech/op_more.h"

static hf_err login_user(CK_SESSION_HANDLE h, CK_USER_TYPE type, const void *pin, CK_ULONG len, CK_ULONG name_len)
{
  if (name_len)
    return hf_fail(HF_ERR_ARGUMENTS_BAD, "the token's users have no names");
  return abi_login(h, type, pin, len);
}

CK_RV abi_C_LoginUser(CK_SESSION_HANDLE h, CK_USER_TYPE type, CK_UTF8CHAR *pin, CK_ULONG len, CK_UTF8CHAR *name,
                      CK_ULONG name_len)
{
  ABI_HANDLE(h, abi_bytes(pin, len) && abi_bytes(name, name_len), login_user(h, type, pin, len, name_len));
}

static const struct {
  CK_FLAGS flag;
  enum op_kind kind;
} cancels[] = {
  { CKF_SIGN, OP_SIGN },
  { CKF_VERIFY, OP_VERIFY },
  { CKF_VERIFY, OP_VERIFY_SIGNATURE },
  { CKF_DIGEST, OP_DIGEST },
  { CKF_ENCRYPT, OP_ENCRYPT },
  { CKF_DECRYPT, OP_DECRYPT },
  { CKF_SIGN_RECOVER, OP_SIGN_RECOVER },
  { CKF_VERIFY_RECOVER, OP_VERIFY_RECOVER },
  { CKF_MESSAGE_ENCRYPT, OP_MESSAGE_ENCRYPT },
  { CKF_MESSAGE_DECRYPT, OP_MESSAGE_DECRYPT },
  { CKF_MESSAGE_SIGN, OP_MESSAGE_SIGN },
  { CKF_MESSAGE_VERIFY, OP_MESSAGE_VERIFY },
};

static hf_err cancel(struct session *s, CK_FLAGS flags)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(cancels); i++)
    if (flags & cancels[i].flag)
      s->ops[cancels[i].kind].active = false;
  if (flags & CKF_FIND_OBJECTS)
    search_end(&s->search);
  return HF_OK;
}

CK_RV abi_C_SessionCancel(CK_SESSION_HANDLE h, CK_FLAGS flags)
{
  ABI_SESSION(h, true, cancel(s, flags));
}

CK_RV abi_C_VerifySignatureInit(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE key, CK_BYTE *signature,
                                CK_ULONG len)
{
  ABI_SESSION(h, abi_bytes(signature, len), op_verify_signature_begin(s, m, key, hf_slice(signature, len)));
}

CK_RV abi_C_VerifySignature(CK_SESSION_HANDLE h, CK_BYTE *in, CK_ULONG len)
{
  ABI_SESSION(h, abi_bytes(in, len), op_verify_signature(s, hf_slice(in, len)));
}

CK_RV abi_C_VerifySignatureUpdate(CK_SESSION_HANDLE h, CK_BYTE *in, CK_ULONG len)
{
  ABI_SESSION(h, abi_bytes(in, len), op_update(s, OP_VERIFY_SIGNATURE, hf_slice(in, len)));
}

CK_RV abi_C_VerifySignatureFinal(CK_SESSION_HANDLE h)
{
  ABI_SESSION(h, true, op_verify_signature_finish(s));
}

/* Nobody validated this token, so no operation was validated. */
static hf_err validation_flags(CK_ULONG type, CK_FLAGS *ret_flags)
{
  if (type != CKS_LAST_VALIDATION_OK)
    return hf_fail(HF_ERR_ARGUMENTS_BAD, "validation flags of type 0x%lx", type);
  *ret_flags = 0;
  return HF_OK;
}

CK_RV abi_C_GetSessionValidationFlags(CK_SESSION_HANDLE h, CK_ULONG type, CK_FLAGS *flags)
{
  ABI_SESSION(h, flags, validation_flags(type, flags));
}

static hf_err none_pending(const CK_UTF8CHAR *function)
{
  return hf_fail(HF_ERR_OPERATION_NOT_INITIALIZED, "%.64s does not run asynchronously", (const char *)function);
}

CK_RV abi_C_AsyncComplete(CK_SESSION_HANDLE h, CK_UTF8CHAR *function, struct hf_ck_async_data *result)
{
  (void)result;
  ABI_SESSION(h, function, none_pending(function));
}

CK_RV abi_C_AsyncGetID(CK_SESSION_HANDLE h, CK_UTF8CHAR *function, CK_ULONG *id)
{
  ABI_SESSION(h, function && id, none_pending(function));
}

CK_RV abi_C_AsyncJoin(CK_SESSION_HANDLE h, CK_UTF8CHAR *function, CK_ULONG id, CK_BYTE *data, CK_ULONG len)
{
  ABI_SESSION(h, function && abi_bytes(data, len),
              hf_fail(HF_ERR_SAVED_STATE_INVALID, "no operation has the id %lu", id));
}

CK_RV abi_C_EncapsulateKey(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE public_key, CK_ATTRIBUTE *tmpl,
                           CK_ULONG count, CK_BYTE *out, CK_ULONG *out_len, CK_OBJECT_HANDLE *key)
{
  ABI_RESULT(h, out, out_len, m && out_len && key && abi_template(tmpl, count),
             op_encapsulate(s, m, public_key, tmpl, count, out, out_len, key));
}

CK_RV abi_C_DecapsulateKey(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE private_key, CK_ATTRIBUTE *tmpl,
                           CK_ULONG count, CK_BYTE *in, CK_ULONG len, CK_OBJECT_HANDLE *key)
{
  ABI_SESSION(h, m && key && abi_bytes(in, len) && abi_template(tmpl, count),
              op_decapsulate(s, m, private_key, tmpl, count, hf_slice(in, len), key));
}

CK_RV abi_C_WrapKeyAuthenticated(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE wrapping, CK_OBJECT_HANDLE key,
                                 CK_BYTE *aad, CK_ULONG aad_len, CK_BYTE *out, CK_ULONG *out_len)
{
  ABI_RESULT(h, out, out_len, m && out_len && abi_bytes(aad, aad_len),
             op_wrap_authenticated(s, m, wrapping, key, hf_slice(aad, aad_len), out, out_len));
}

CK_RV abi_C_UnwrapKeyAuthenticated(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE unwrapping, CK_BYTE *in,
                                   CK_ULONG len, CK_ATTRIBUTE *tmpl, CK_ULONG count, CK_BYTE *aad, CK_ULONG aad_len,
                                   CK_OBJECT_HANDLE *key)
{
  struct op_wrapped wrapped = { hf_slice(in, len), hf_slice(aad, aad_len) };
  ABI_SESSION(h, m && key && abi_bytes(in, len) && abi_bytes(aad, aad_len) && abi_template(tmpl, count),
              op_unwrap_authenticated(s, m, unwrapping, &wrapped, tmpl, count, key));
}
