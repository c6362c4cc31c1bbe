/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of simulated tokens. */
#ifndef HF_TESTS_SIMULATION_RIG_H
#define HF_TESTS_SIMULATION_RIG_H

#include "token_rig.h"

#include "holdfast/token-ext.h"

CK_RV C_GetInterface(CK_UTF8CHAR *name, CK_VERSION *version, struct hf_ck_interface **interface, CK_FLAGS flags);

static inline const struct holdfast_token_ext *extension(void)
{
  struct hf_ck_interface *interface;
  assert_ok(C_GetInterface(utf8(HOLDFAST_TOKEN_INTERFACE), NULL, &interface, 0));
  return interface->function_list;
}

/* The module anew, by a configuration with these lines. */
static inline void restart(const char *lines)
{
  C_Finalize(NULL);
  rig_write_conf(lines);
  assert_ok(C_Initialize(NULL));
}

static inline CK_RV sign(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE key)
{
  CK_BYTE hash[32] = { 1 }, signature[64];
  CK_ULONG len = sizeof(signature);
  CK_MECHANISM m = { CKM_ECDSA, NULL, 0 };
  CK_RV rv = C_SignInit(h, &m, key);
  return rv ? rv : C_Sign(h, hash, sizeof(hash), signature, &len);
}

#endif
