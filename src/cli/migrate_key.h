/* SPDX-License-Identifier: Apache-2.0 */
/* A private key as libcrypto has it, out of an old object's values: what the new token's work is checked with. */
#ifndef HF_CLI_MIGRATE_KEY_H
#define HF_CLI_MIGRATE_KEY_H

#include "softhsm/object.h"

#include <openssl/evp.h>

/* Of an RSA key, the public half. Fails with KEY_FILE where the values are none, KEY_TYPE_INCONSISTENT for other types. */
hf_err migrate_key_read(const struct softhsm_object *object, EVP_PKEY **ret_key);

#endif
