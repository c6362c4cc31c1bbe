/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One-time passwords: 130 random bits in 26 letters and digits. The registry keeps a salt and Argon2id's hash of one; the
 * password itself is nowhere. Its cost (8 MiB) bounds what a wrong guess may take of the server, and what a hundred
 * thousand new passwords take of a person's time: nobody finds 130 bits by trying.
 */
#ifndef HF_CA_PASSWORD_H
#define HF_CA_PASSWORD_H

#include "base/secret.h"
#include "ca/registry.h"

enum { PASSWORD_LEN = 26, PASSWORD_USES_MAX = 1000 };

/* A new one, good for so many uses until expires. */
hf_err password_make(uint32_t uses, int64_t expires, struct hf_secret **ret_text,
                     struct registry_password *ret_password);

/*
 * Whether it is the one. Takes the same time for each text and, where password is NULL (there is no such device), as long
 * as for one.
 */
hf_err password_verify(const char *text, const struct registry_password *password, bool *ret_right);

#endif
