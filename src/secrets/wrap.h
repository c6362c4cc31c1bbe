/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A secret's data key, wrapped by a key in a token: closed with the public half alone, opened in the token. By RSA, or by
 * ECDH of a fresh key with the token's, HKDF-SHA256 and AES-256-GCM.
 */
#ifndef HF_SECRETS_WRAP_H
#define HF_SECRETS_WRAP_H

#include "p11/key.h"
#include "secrets/seal.h"

/* Stored: the numbers stay. */
enum wrap_method { WRAP_OAEP_SHA256 = 1, WRAP_OAEP_SHA1 = 2, WRAP_PKCS1 = 3, WRAP_ECDH = 4, WRAP_METHODS };

enum { WRAP_MAX = 1024 }; /* bytes of a wrapped key */

/* "RSA-OAEP-SHA256", ... */
const char *wrap_method_name(enum wrap_method method);

/*
 * Appends the wrapped key. spki: DER. context: what the key is for; ECDH binds it (RSA cannot, so that the value itself has
 * to). Fails with KEY_TYPE_INCONSISTENT.
 */
hf_err wrap_close(struct hf_slice spki, enum wrap_method method, struct hf_slice context,
                  const uint8_t data_key[SEAL_KEY_BYTES], struct hf_buf *out);

/* Fails as p11_key_decrypt and p11_key_derive do, with SECRETS where what comes out is no data key. */
hf_err wrap_open(struct p11_key *key, enum wrap_method method, struct hf_slice context, struct hf_slice wrapped,
                 struct hf_secret **ret_data_key);

/*
 * The first method, the best one first, by which the token really opens what was closed. Fails with
 * KEY_FUNCTION_NOT_PERMITTED or what the token said last, and a hint that names what such a key needs.
 */
hf_err wrap_prove(struct p11_key *key, struct hf_slice spki, enum wrap_method *ret_method);

/* HKDF-SHA256 (RFC 5869) of the shared secret; no salt. info: both public points and the context, see wrap.c. */
hf_err wrap_kek(struct hf_slice shared, struct hf_slice info, uint8_t ret_kek[SEAL_KEY_BYTES]);

#endif
