/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A private key, kept ready: it stays logged in and found, any number of threads sign with it at once (on as many
 * sessions as the token gives, down to one), and it comes back by itself after a fork, a lost session or a token that
 * was away. What to do is decided by the return code alone. A wrong PIN is never tried twice.
 */
#ifndef HF_P11_KEY_H
#define HF_P11_KEY_H

#include "p11/public.h"

struct p11_key;

/*
 * Finds the one private key that the URI names and reads its public half. pin is copied; NULL where none is known (a
 * token without log-in, or with a key pad). The URI's own pin-value and pin-source are not looked at.
 */
hf_err p11_key_open(struct p11_module *module, const struct uri *uri, struct hf_secret *pin, struct p11_key **ret_key);
struct p11_key *p11_key_ref(struct p11_key *key);
struct p11_key *p11_key_unref(struct p11_key *key);
HF_DEFINE_CLEANUP(struct p11_key, p11_key_unref)

/* As it was when the key was opened; constant. */
const struct p11_public *p11_key_public(const struct p11_key *key);

/* The URI by which this one key is found: token, id, object and type, as they were when it was opened; constant. */
const struct uri *p11_key_uri(const struct p11_key *key);

/* Borrowed. */
struct p11_module *p11_key_module(const struct p11_key *key);

/*
 * A quick look, one call into the module: whether the object that was found is still there and has the label and id that
 * it had. Not whether another object has them now, too: that is for p11_key_check.
 */
hf_err p11_key_peek(struct p11_key *key, bool *ret_still);

/*
 * Looks whether the URI still leads to the same key pair; *ret_same false where another program replaced it, and then
 * a new p11_key is needed. Costs a search.
 */
hf_err p11_key_check(struct p11_key *key, bool *ret_same);

enum p11_scheme {
  P11_SIGN_ECDSA,     /* the digest as it is; the signature is r and s, each as long as the curve's order */
  P11_SIGN_RSA_PKCS1, /* DigestInfo made here; with no hash (NULL) the data is signed as it is */
  P11_SIGN_RSA_PSS,   /* MGF1 of mgf_hash */
  P11_SIGN_EDDSA,     /* Ed25519 (RFC 8032): the message itself, of any length, in place of a digest */
};

struct p11_sign {
  enum p11_scheme scheme;
  const char *hash;     /* "SHA1", "SHA224", "SHA256", "SHA384", "SHA512"; NULL: see the scheme */
  const char *mgf_hash; /* PSS; NULL: hash */
  size_t salt_len;      /* PSS; bytes */
};

/* Signs a digest. One retry after recovery; what still fails is the error. Appends to out. */
hf_err p11_key_sign(struct p11_key *key, const struct p11_sign *how, const void *digest, size_t len,
                    struct hf_buf *out);

/* The same, in the form of X.509 and TLS: an ECDSA signature is DER, as p11_ecdsa_to_der makes it. */
hf_err p11_key_sign_der(struct p11_key *key, const struct p11_sign *how, const void *digest, size_t len,
                        struct hf_buf *out);

/* Any signing mechanism, its parameter and its data, as C_Sign takes them. */
hf_err p11_key_sign_raw(struct p11_key *key, CK_MECHANISM *mechanism, const void *data, size_t len, struct hf_buf *out);

/* C_Decrypt with any mechanism of the key. Appends to out. */
hf_err p11_key_decrypt(struct p11_key *key, CK_MECHANISM *mechanism, const void *data, size_t len, struct hf_buf *out);

/*
 * ECDH (CKM_ECDH1_DERIVE without a KDF) with the other side's point on the key's curve, uncompressed and bare. Appends the
 * shared secret, as many bytes as the curve's field has; nothing of it stays in the token.
 */
hf_err p11_key_derive(struct p11_key *key, const void *point, size_t len, struct hf_buf *out);

#define P11_SIGNATURE_MAX 2048 /* bytes of any signature or decrypted value here */

/* An ECDSA signature's r and s, as PKCS #11 gives them, to the DER that X.509 and TLS use. */
hf_err p11_ecdsa_to_der(const void *signature, size_t len, struct hf_buf *out);

#endif
