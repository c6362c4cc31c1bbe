/* SPDX-License-Identifier: Apache-2.0 */
/* The function lists (PKCS #11 v2.40, section 4.6; v3.0, sections 3.3 and 3.4). */
#include "token/abi/abi.h"

#include "holdfast/token-ext.h"

#define EXPORT __attribute__((visibility("default")))

extern const struct holdfast_token_ext abi_token_ext;

#define ENTRY(name) .name = name,

static CK_FUNCTION_LIST functions_2_40 = { .version = { 2, 40 }, HF_CK_FUNCTIONS_2_40(ENTRY) };

static CK_RV not_supported(void)
{
  return abi_leave(false, hf_fail(HF_ERR_FUNCTION_NOT_SUPPORTED, "this token does not offer the function"));
}

/* The message functions differ in their arguments, of which this one looks at none. */
#define NOT_SUPPORTED(field) \
  .field = (__typeof__(((struct hf_ck_functions_3_0 *)0)->field))(void (*)(void))not_supported

static hf_err login_user(CK_SESSION_HANDLE h, CK_USER_TYPE type, const void *pin, CK_ULONG len, CK_ULONG name_len)
{
  if (name_len)
    return hf_fail(HF_ERR_ARGUMENTS_BAD, "the token's users have no names");
  return abi_login(h, type, pin, len);
}

static CK_RV C_LoginUser(CK_SESSION_HANDLE h, CK_USER_TYPE type, CK_UTF8CHAR *pin, CK_ULONG len, CK_UTF8CHAR *name,
                         CK_ULONG name_len)
{
  ABI_HANDLE(h, abi_bytes(pin, len) && abi_bytes(name, name_len), login_user(h, type, pin, len, name_len));
}

static const struct {
  CK_FLAGS flag;
  enum op_kind kind;
} cancels[] = { { CKF_SIGN, OP_SIGN },
                { CKF_VERIFY, OP_VERIFY },
                { CKF_DIGEST, OP_DIGEST },
                { CKF_ENCRYPT, OP_ENCRYPT },
                { CKF_DECRYPT, OP_DECRYPT } };

static hf_err cancel(struct session *s, CK_FLAGS flags)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(cancels); i++)
    if (flags & cancels[i].flag)
      s->ops[cancels[i].kind].active = false;
  if (flags & CKF_FIND_OBJECTS)
    search_end(&s->search);
  return HF_OK;
}

static CK_RV C_SessionCancel(CK_SESSION_HANDLE h, CK_FLAGS flags)
{
  ABI_SESSION(h, true, cancel(s, flags));
}

EXPORT CK_RV C_GetInterfaceList(struct hf_ck_interface *list, CK_ULONG *count);
EXPORT CK_RV C_GetInterface(CK_UTF8CHAR *name, CK_VERSION *version, struct hf_ck_interface **interface, CK_FLAGS flags);

static struct hf_ck_functions_3_0 functions_3_0 = {
  .base = { .version = { 3, 0 }, HF_CK_FUNCTIONS_2_40(ENTRY) },
  .C_GetInterfaceList = C_GetInterfaceList,
  .C_GetInterface = C_GetInterface,
  .C_LoginUser = C_LoginUser,
  .C_SessionCancel = C_SessionCancel,
  NOT_SUPPORTED(C_MessageEncryptInit),
  NOT_SUPPORTED(C_EncryptMessage),
  NOT_SUPPORTED(C_EncryptMessageBegin),
  NOT_SUPPORTED(C_EncryptMessageNext),
  NOT_SUPPORTED(C_MessageEncryptFinal),
  NOT_SUPPORTED(C_MessageDecryptInit),
  NOT_SUPPORTED(C_DecryptMessage),
  NOT_SUPPORTED(C_DecryptMessageBegin),
  NOT_SUPPORTED(C_DecryptMessageNext),
  NOT_SUPPORTED(C_MessageDecryptFinal),
  NOT_SUPPORTED(C_MessageSignInit),
  NOT_SUPPORTED(C_SignMessage),
  NOT_SUPPORTED(C_SignMessageBegin),
  NOT_SUPPORTED(C_SignMessageNext),
  NOT_SUPPORTED(C_MessageSignFinal),
  NOT_SUPPORTED(C_MessageVerifyInit),
  NOT_SUPPORTED(C_VerifyMessage),
  NOT_SUPPORTED(C_VerifyMessageBegin),
  NOT_SUPPORTED(C_VerifyMessageNext),
  NOT_SUPPORTED(C_MessageVerifyFinal),
};

/* The first is the default. Every function list begins with its version. */
static struct hf_ck_interface interfaces[] = {
  { (CK_UTF8CHAR *)"PKCS 11", &functions_3_0, CKF_INTERFACE_FORK_SAFE },
  { (CK_UTF8CHAR *)"PKCS 11", &functions_2_40, CKF_INTERFACE_FORK_SAFE },
  { (CK_UTF8CHAR *)HOLDFAST_TOKEN_INTERFACE, (void *)(uintptr_t)&abi_token_ext, CKF_INTERFACE_FORK_SAFE },
};

EXPORT CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list)
{
  if (!list)
    return CKR_ARGUMENTS_BAD;
  *list = &functions_2_40;
  return CKR_OK;
}

CK_RV C_GetInterfaceList(struct hf_ck_interface *list, CK_ULONG *count)
{
  if (!count)
    return CKR_ARGUMENTS_BAD;
  CK_ULONG room = *count;
  *count = HF_ARRAY_LEN(interfaces);
  if (!list)
    return CKR_OK;
  if (room < *count)
    return CKR_BUFFER_TOO_SMALL;
  memcpy(list, interfaces, sizeof(interfaces));
  return CKR_OK;
}

static bool interface_fits(const struct hf_ck_interface *interface, const CK_UTF8CHAR *name, const CK_VERSION *version,
                           CK_FLAGS flags)
{
  const CK_VERSION *have = interface->function_list;
  const char *wanted = name ? (const char *)name : "PKCS 11";
  return strcmp((const char *)interface->name, wanted) == 0 && (interface->flags & flags) == flags &&
         (!version || (have->major == version->major && have->minor == version->minor));
}

CK_RV C_GetInterface(CK_UTF8CHAR *name, CK_VERSION *version, struct hf_ck_interface **interface, CK_FLAGS flags)
{
  if (!interface)
    return CKR_ARGUMENTS_BAD;
  for (size_t i = 0; i < HF_ARRAY_LEN(interfaces); i++) {
    if (interface_fits(&interfaces[i], name, version, flags)) {
      *interface = &interfaces[i];
      return CKR_OK;
    }
  }
  return CKR_ARGUMENTS_BAD;
}
