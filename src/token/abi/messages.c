/* SPDX-License-Identifier: Apache-2.0 */
/* Messages, several with one key (PKCS #11 v3.2, sections 5.9, 5.11, 5.14, 5.16). */
#include "token/abi/lists.h"

#include "token/mech/op_message.h"

/* A message's own parameter. */
#define PARAM      \
  &(CK_MECHANISM)  \
  {                \
    0, param, size \
  }

CK_RV abi_C_MessageEncryptInit(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
  ABI_SESSION(h, true, message_crypt_init(s, OP_MESSAGE_ENCRYPT, m, key));
}

CK_RV abi_C_EncryptMessage(CK_SESSION_HANDLE h, void *param, CK_ULONG size, CK_BYTE *aad, CK_ULONG aad_len, CK_BYTE *in,
                           CK_ULONG len, CK_BYTE *out, CK_ULONG *out_len)
{
  ABI_RESULT(h, out, out_len, abi_bytes(param, size) && abi_bytes(aad, aad_len) && abi_bytes(in, len) && out_len,
             message_crypt(s, OP_MESSAGE_ENCRYPT, PARAM, hf_slice(aad, aad_len), hf_slice(in, len), out, out_len));
}

CK_RV abi_C_EncryptMessageBegin(CK_SESSION_HANDLE h, void *param, CK_ULONG size, CK_BYTE *aad, CK_ULONG aad_len)
{
  ABI_SESSION(h, abi_bytes(param, size) && abi_bytes(aad, aad_len),
              message_crypt_begin(s, OP_MESSAGE_ENCRYPT, PARAM, hf_slice(aad, aad_len)));
}

CK_RV abi_C_EncryptMessageNext(CK_SESSION_HANDLE h, void *param, CK_ULONG size, CK_BYTE *in, CK_ULONG len, CK_BYTE *out,
                               CK_ULONG *out_len, CK_FLAGS flags)
{
  ABI_RESULT(
      h, out, out_len, abi_bytes(param, size) && abi_bytes(in, len) && out_len,
      message_crypt_next(s, OP_MESSAGE_ENCRYPT, PARAM, hf_slice(in, len), out, out_len, flags & CKF_END_OF_MESSAGE));
}

CK_RV abi_C_MessageEncryptFinal(CK_SESSION_HANDLE h)
{
  ABI_SESSION(h, true, message_final(s, OP_MESSAGE_ENCRYPT));
}

CK_RV abi_C_MessageDecryptInit(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
  ABI_SESSION(h, true, message_crypt_init(s, OP_MESSAGE_DECRYPT, m, key));
}

CK_RV abi_C_DecryptMessage(CK_SESSION_HANDLE h, void *param, CK_ULONG size, CK_BYTE *aad, CK_ULONG aad_len, CK_BYTE *in,
                           CK_ULONG len, CK_BYTE *out, CK_ULONG *out_len)
{
  ABI_RESULT(h, out, out_len, abi_bytes(param, size) && abi_bytes(aad, aad_len) && abi_bytes(in, len) && out_len,
             message_crypt(s, OP_MESSAGE_DECRYPT, PARAM, hf_slice(aad, aad_len), hf_slice(in, len), out, out_len));
}

CK_RV abi_C_DecryptMessageBegin(CK_SESSION_HANDLE h, void *param, CK_ULONG size, CK_BYTE *aad, CK_ULONG aad_len)
{
  ABI_SESSION(h, abi_bytes(param, size) && abi_bytes(aad, aad_len),
              message_crypt_begin(s, OP_MESSAGE_DECRYPT, PARAM, hf_slice(aad, aad_len)));
}

CK_RV abi_C_DecryptMessageNext(CK_SESSION_HANDLE h, void *param, CK_ULONG size, CK_BYTE *in, CK_ULONG len, CK_BYTE *out,
                               CK_ULONG *out_len, CK_FLAGS flags)
{
  ABI_RESULT(
      h, out, out_len, abi_bytes(param, size) && abi_bytes(in, len) && out_len,
      message_crypt_next(s, OP_MESSAGE_DECRYPT, PARAM, hf_slice(in, len), out, out_len, flags & CKF_END_OF_MESSAGE));
}

CK_RV abi_C_MessageDecryptFinal(CK_SESSION_HANDLE h)
{
  ABI_SESSION(h, true, message_final(s, OP_MESSAGE_DECRYPT));
}

CK_RV abi_C_MessageSignInit(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
  ABI_SESSION(h, true, op_begin(s, OP_MESSAGE_SIGN, m, key));
}

CK_RV abi_C_SignMessage(CK_SESSION_HANDLE h, void *param, CK_ULONG size, CK_BYTE *in, CK_ULONG len, CK_BYTE *out,
                        CK_ULONG *out_len)
{
  ABI_RESULT(h, out, out_len, abi_bytes(param, size) && abi_bytes(in, len) && out_len,
             message_apply(s, OP_MESSAGE_SIGN, PARAM, hf_slice(in, len), out, out_len));
}

CK_RV abi_C_SignMessageBegin(CK_SESSION_HANDLE h, void *param, CK_ULONG size)
{
  ABI_SESSION(h, abi_bytes(param, size), message_apply_begin(s, OP_MESSAGE_SIGN, PARAM));
}

/* Without a place for the signature's length it is not the last part. */
CK_RV abi_C_SignMessageNext(CK_SESSION_HANDLE h, void *param, CK_ULONG size, CK_BYTE *in, CK_ULONG len, CK_BYTE *out,
                            CK_ULONG *out_len)
{
  ABI_SESSION(h, abi_bytes(param, size) && abi_bytes(in, len),
              message_apply_next(s, OP_MESSAGE_SIGN, PARAM, hf_slice(in, len), out, out_len));
}

CK_RV abi_C_MessageSignFinal(CK_SESSION_HANDLE h)
{
  ABI_SESSION(h, true, message_final(s, OP_MESSAGE_SIGN));
}

CK_RV abi_C_MessageVerifyInit(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
  ABI_SESSION(h, true, op_begin(s, OP_MESSAGE_VERIFY, m, key));
}

CK_RV abi_C_VerifyMessage(CK_SESSION_HANDLE h, void *param, CK_ULONG size, CK_BYTE *in, CK_ULONG len,
                          CK_BYTE *signature, CK_ULONG signature_len)
{
  ABI_SESSION(h, abi_bytes(param, size) && abi_bytes(in, len) && signature && abi_bytes(signature, signature_len),
              message_apply(s, OP_MESSAGE_VERIFY, PARAM, hf_slice(in, len), signature, &signature_len));
}

CK_RV abi_C_VerifyMessageBegin(CK_SESSION_HANDLE h, void *param, CK_ULONG size)
{
  ABI_SESSION(h, abi_bytes(param, size), message_apply_begin(s, OP_MESSAGE_VERIFY, PARAM));
}

/* Without a signature it is not the last part. */
CK_RV abi_C_VerifyMessageNext(CK_SESSION_HANDLE h, void *param, CK_ULONG size, CK_BYTE *in, CK_ULONG len,
                              CK_BYTE *signature, CK_ULONG signature_len)
{
  ABI_SESSION(
      h, abi_bytes(param, size) && abi_bytes(in, len) && abi_bytes(signature, signature_len),
      message_apply_next(s, OP_MESSAGE_VERIFY, PARAM, hf_slice(in, len), signature, signature ? &signature_len : NULL));
}

CK_RV abi_C_MessageVerifyFinal(CK_SESSION_HANDLE h)
{
  ABI_SESSION(h, true, message_final(s, OP_MESSAGE_VERIFY));
}
