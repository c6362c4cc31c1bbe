/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The functions that only the lists of v3.0 and v3.2 have: the module does not export them, and a header of the program's may
 * declare them in its own way, so their names have abi_ in front.
 */
#ifndef HF_TOKEN_ABI_LISTS_H
#define HF_TOKEN_ABI_LISTS_H

#include "token/abi/abi.h"

#define ABI_DECLARE_3_0(name) __typeof__(*((struct hf_ck_functions_3_0 *)0)->name) abi_##name;
HF_CK_FUNCTIONS_3_0(ABI_DECLARE_3_0)
#undef ABI_DECLARE_3_0

#define ABI_DECLARE_3_2(name) __typeof__(*((struct hf_ck_functions_3_2 *)0)->name) abi_##name;
HF_CK_FUNCTIONS_3_2(ABI_DECLARE_3_2)
#undef ABI_DECLARE_3_2

#endif
