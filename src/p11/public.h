/* SPDX-License-Identifier: Apache-2.0 */
/* The public half of a key, in plain numbers, wherever the token keeps it. */
#ifndef HF_P11_PUBLIC_H
#define HF_P11_PUBLIC_H

#include "p11/object.h"

/* Start with p11_public_init, end with p11_public_free. */
struct p11_public {
  CK_KEY_TYPE type;  /* CKK_EC, CKK_EC_EDWARDS or CKK_RSA */
  const char *curve; /* EC: OpenSSL's short name ("prime256v1", "secp384r1", ...); Edwards: "ED25519"; static */
  struct hf_buf
      point; /* without an OCTET STRING around it. EC: uncompressed or compressed; Edwards: RFC 8032's bytes */
  struct hf_buf modulus; /* RSA: big-endian, no leading zero */
  struct hf_buf exponent;
};

void p11_public_init(struct p11_public *key);
void p11_public_free(struct p11_public *key);
size_t p11_public_bits(const struct p11_public *key);
bool p11_public_equal(const struct p11_public *a, const struct p11_public *b);

/* From a certificate, a public key, or a private key whose token tells (its numbers, or CKA_PUBLIC_KEY_INFO). */
hf_err p11_public_read(struct p11_session *session, const struct p11_object *object, struct p11_public *ret_key);

/*
 * For a private key: from itself, else the public key object with the same id (or, without an id, label), else the
 * certificate with the same id. Fails with URI_NO_MATCH where the token has none of them.
 */
hf_err p11_public_find(struct p11_session *session, const struct p11_object *private_key, struct p11_public *ret_key);

/*
 * From a DER SubjectPublicKeyInfo or X.509 certificate. Fails with PARSE, KEY_TYPE_INCONSISTENT, CURVE_NOT_SUPPORTED.
 */
hf_err p11_public_from_spki(struct hf_slice der, struct p11_public *ret_key);
hf_err p11_public_from_cert(struct hf_slice der, struct p11_public *ret_key);

/* Appends the key's DER SubjectPublicKeyInfo. */
hf_err p11_public_to_spki(const struct p11_public *key, struct hf_buf *out);

#endif
