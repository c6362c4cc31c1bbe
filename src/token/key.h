/* SPDX-License-Identifier: Apache-2.0 */
/* Keys between their two forms: PKCS #11 attributes and libcrypto's EVP_PKEY. */
#ifndef HF_TOKEN_KEY_H
#define HF_TOKEN_KEY_H

#include "token/policy.h"

#include <openssl/evp.h>

enum { CURVE_FORMS = 3 };

/* The curves, one row each: libcrypto's name, bits, and CKA_EC_PARAMS (DER) in each form that it may have; the first is ours. */
struct curve {
  const char *name;
  CK_KEY_TYPE type; /* of its keys: CKK_EC, CKK_EC_EDWARDS, CKK_EC_MONTGOMERY */
  CK_ULONG bits;
  struct hf_slice params[CURVE_FORMS];
};

/* Fails with CURVE_NOT_SUPPORTED. */
hf_err curve_find(CK_KEY_TYPE type, struct hf_slice params, const struct curve **ret_curve);
/* By libcrypto's name of it. */
hf_err curve_find_name(CK_KEY_TYPE type, const char *name, const struct curve **ret_curve);

/* Checks what it is given: a point that is not on its curve, numbers that are no key give ATTRIBUTE_VALUE_INVALID. */
hf_err key_decode(struct kind kind, const struct attrs *open, const struct attrs *secret, EVP_PKEY **ret_key);

/*
 * Adds the parts of a key pair to the halves of its objects, as far as they lack them; either may be NULL. The key may be one
 * of this token's libcrypto context or of any other.
 */
hf_err key_encode(CK_KEY_TYPE type, const EVP_PKEY *key, struct attr_halves *public, struct attr_halves *private);

/* Which type of ours it is; false for others. */
bool key_type_of(const EVP_PKEY *key, CK_KEY_TYPE *ret_type);

/* The public key at a point of the curve of an EC key (its open half), the point bare or as a DER OCTET STRING. Fails as key_decode. */
hf_err key_peer(const struct attrs *own, struct hf_slice point, EVP_PKEY **ret_peer);

/* The same for a Diffie-Hellman key's group: the peer's value is a number, between 1 and the prime less one. */
hf_err key_peer_dh(const struct attrs *own, struct hf_slice value, EVP_PKEY **ret_peer);

/* Makes a key pair and adds its parts to the halves of the two objects (made by policy_make). The public one's
 * CKA_EC_PARAMS is the curve's. */
hf_err key_generate_ec(const struct curve *curve, struct attr_halves *public, struct attr_halves *private);
hf_err key_generate_rsa(CK_ULONG bits, struct hf_slice exponent, struct attr_halves *public,
                        struct attr_halves *private);
/* By the domain parameters of the public one, whose prime has min to max bits. */
hf_err key_generate_dsa(CK_ULONG min, CK_ULONG max, struct attr_halves *public, struct attr_halves *private);
/* Adds CKA_PRIME, CKA_SUBPRIME and CKA_BASE. */
hf_err key_generate_dsa_params(CK_ULONG p_bits, CK_ULONG q_bits, struct attr_halves *params);
/* ML-DSA, ML-KEM, SLH-DSA, by the public one's CKA_PARAMETER_SET. Fails with PARAMETER_SET_NOT_SUPPORTED. */
hf_err key_generate_pqc(CK_KEY_TYPE type, struct attr_halves *public, struct attr_halves *private);

/* Adds what the token knows of a created key of a pair but its creator need not give: CKA_MODULUS_BITS, a private key's other parts,
 * the point's DER form. Checks it by decoding; *ret_key is the caller's. */
hf_err key_complete(struct kind kind, struct attr_halves *halves, EVP_PKEY **ret_key);

/* Diffie-Hellman, in the group that the public half names; private_bits 0: as the group wants it. Fails with KEY_SIZE_RANGE. */
hf_err key_generate_dh(CK_ULONG private_bits, struct attr_halves *public, struct attr_halves *private);
/* A group of RFC 7919 or RFC 3526. Fails with KEY_SIZE_RANGE where there is none of so many bits. */
hf_err key_dh_group(CK_ULONG bits, struct attr_halves *params);

#endif
