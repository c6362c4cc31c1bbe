/* SPDX-License-Identifier: Apache-2.0 */
/* Included before every source file: what must not be called does not compile. */
#ifndef HF_BASE_BANNED_H
#define HF_BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* With clang, a fortified libc makes macros of these. */
#undef sprintf
#undef vsprintf

#pragma GCC poison strcpy strcat sprintf vsprintf strtok gets strncpy strncat atoi atol

#endif
