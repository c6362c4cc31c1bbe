/* SPDX-License-Identifier: Apache-2.0 */
/* What an EST server answers (RFC 7030, with RFC 8951), read. Pure: nothing here asks a network or a token. */
#ifndef HF_IDENTITY_EST_ANSWER_H
#define HF_IDENTITY_EST_ANSWER_H

#include "base/buf.h"
#include "identity/chain.h"

enum {
  EST_ANSWER_MAX = 256 * 1024, /* bytes of an answer's body */
  EST_EXTENSIONS_MAX = 16,
};

/* Base64 with or without line breaks and blanks, as servers write it; nothing else. Fails with PARSE. Appends to out. */
hf_err est_base64_decode(struct hf_slice text, struct hf_buf *out);

/*
 * The certificates of a base64 PKCS #7 "certs-only" message (RFC 7030, sections 4.1.3 and 4.2.3), in its order, BER or DER.
 * Fails with PARSE, also where it holds none or something follows it; with LIMIT past CHAIN_MAX.
 */
hf_err est_certificates_parse(struct hf_slice body, STACK_OF(X509) * *ret_certificates);

/* The certificate of this key; it stays the stack's. Fails with KEY_MISMATCH where there is none, or more than one. */
hf_err est_certificates_leaf(STACK_OF(X509) * certificates, EVP_PKEY *key, X509 **ret_leaf);

/* Whether a Content-Type header's value (NULL: none was sent) is this type, whatever its parameters. */
bool est_content_type_is(const char *value, const char *type);

/* What a CA wants to see in a request (RFC 7030, section 4.5.2), as far as we know it. NIDs; NID_undef: it does not say. */
struct est_attributes {
  int key_type; /* NID_X9_62_id_ecPublicKey, NID_rsaEncryption, NID_ED25519 */
  int curve;    /* of an EC key */
  int rsa_bits; /* of an RSA key; 0 where it does not say */
  int extensions[EST_EXTENSIONS_MAX];
  size_t extension_count;
  bool challenge_password; /* for TLS's channel binding, which TLS 1.3 has no longer */
};

/* From csrattrs' base64 body; an empty one wants nothing. Fails with PARSE. What is unknown is passed over. */
hf_err est_attributes_parse(struct hf_slice body, struct est_attributes *ret_attributes);

/* What of it a request by this key, with these extensions, does not have: "an EC key on P-384, the extension ..."; "" where it has all. */
void est_attributes_missing(const struct est_attributes *attributes, EVP_PKEY *key, const int *extensions, size_t count,
                            char *out, size_t size);

#endif
