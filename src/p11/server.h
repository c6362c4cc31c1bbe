/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A module behind a socket that speaks p11-kit's RPC: the key agent's, or "p11-kit server". Its path is p11-kit's form of
 * an address, unix:path=/run/holdfast/pkcs11.sock; p11-kit-client.so is what is loaded. Inside src/p11 only.
 */
#ifndef HF_P11_SERVER_H
#define HF_P11_SERVER_H

#include "base/error.h"
#include "holdfast/pkcs11.h"

#include <stdbool.h>

#define P11_SERVER_PREFIX "unix:path="

bool p11_server_is(const char *path);

/*
 * p11-kit's RPC of 0.24 and 0.25 does not carry the mechanisms of Edwards curves; the key agent takes those of other curves
 * for them. Whether e is that refusal.
 */
bool p11_server_lacks_edwards(const char *path, hf_err e);

/* Whether someone listens there: the client itself would show no slots, and no error. Fails with UNREACHABLE. */
hf_err p11_server_check(const char *path);

/* p11-kit-client.so. */
const char *p11_server_library(void);

/* A function list that leads to this address. It is told by the environment, which is as before afterwards. */
hf_err p11_server_functions(CK_C_GetFunctionList get_list, const char *path, CK_FUNCTION_LIST **ret_functions);

#endif
