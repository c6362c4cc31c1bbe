/* SPDX-License-Identifier: Apache-2.0 */
/* The function lists (PKCS #11 v2.40, section 4.6; v3.2, sections 3.3 and 3.4). */
#include "token/abi/lists.h"

#include "holdfast/token-ext.h"

#define EXPORT __attribute__((visibility("default")))

extern const struct holdfast_token_ext abi_token_ext;

#define ENTRY(name) .name = name,
#define ABI_ENTRY(name) .name = abi_##name,

static const CK_VERSION v2_40 = { 2, 40 }, v3_0 = { 3, 0 }, v3_2 = { 3, 2 };

/* A program sees the version that it asked for. */
static CK_RV get_info_3_0(CK_INFO *info)
{
  ABI(info, abi_get_info(info, v3_0));
}

static CK_RV get_info_3_2(CK_INFO *info)
{
  ABI(info, abi_get_info(info, v3_2));
}

EXPORT CK_RV C_GetInfo(CK_INFO *info)
{
  ABI(info, abi_get_info(info, v2_40));
}

EXPORT CK_RV C_GetInterfaceList(struct hf_ck_interface *list, CK_ULONG *count);
EXPORT CK_RV C_GetInterface(CK_UTF8CHAR *name, CK_VERSION *version, struct hf_ck_interface **interface, CK_FLAGS flags);

static CK_FUNCTION_LIST functions_2_40 = { .version = { 2, 40 }, HF_CK_FUNCTIONS_2_40(ENTRY) };

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
static struct hf_ck_functions_3_0 functions_3_0 = { .base = { .version = { 3, 0 },
                                                              HF_CK_FUNCTIONS_2_40(ENTRY).C_GetInfo = get_info_3_0 },
                                                    .C_GetInterfaceList = C_GetInterfaceList,
                                                    .C_GetInterface = C_GetInterface,
                                                    HF_CK_FUNCTIONS_3_0(ABI_ENTRY) };

static struct hf_ck_functions_3_2 functions_3_2 = {
  .base = { .base = { .version = { 3, 2 }, HF_CK_FUNCTIONS_2_40(ENTRY).C_GetInfo = get_info_3_2 },
            .C_GetInterfaceList = C_GetInterfaceList,
            .C_GetInterface = C_GetInterface,
            HF_CK_FUNCTIONS_3_0(ABI_ENTRY) },
  HF_CK_FUNCTIONS_3_2(ABI_ENTRY)
};
#pragma GCC diagnostic pop

/* The first is the default. Every function list begins with its version. */
static struct hf_ck_interface interfaces[] = {
  { (CK_UTF8CHAR *)"PKCS 11", &functions_3_2, CKF_INTERFACE_FORK_SAFE },
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
