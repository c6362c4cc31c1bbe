/* SPDX-License-Identifier: Apache-2.0 */
/* Private keys in PEM files, on their way into a token. */
#ifndef HF_CLI_KEYFILE_H
#define HF_CLI_KEYFILE_H

#include "base/buf.h"
#include "base/secret.h"
#include "p11/session.h"

#include <openssl/evp.h>

/*
 * libcrypto without the user's openssl.cnf, which may name a provider that leads back to a token. Keys live in it, so it stays; NULL
 * without memory.
 */
OSSL_LIB_CTX *cli_own_context(void);

enum cli_key_form {
  CLI_KEY_NONE, /* the file holds no PEM block of a private key */
  CLI_KEY_PKCS8,
  CLI_KEY_ENCRYPTED,   /* PKCS #8 */
  CLI_KEY_TRADITIONAL, /* "EC PRIVATE KEY", "RSA PRIVATE KEY"; may be encrypted too */
};

#define CLI_KEY_FILE_MAX (1024 * 1024)

/* Reads all of path (never seeking: it may be a pipe) and tells what its first private key is. "-": standard input. */
hf_err cli_key_file_read(const char *path, struct hf_buf *out, enum cli_key_form *ret_form);

/* The first private key; what follows it (a certificate) is left alone. passphrase may be NULL. Fails with KEY_FILE. */
hf_err cli_key_decode(const char *path, struct hf_buf *pem, struct hf_secret *passphrase, EVP_PKEY **ret_key);

static inline void cli_pkey_freep(EVP_PKEY **key)
{
  EVP_PKEY_free(*key);
  *key = NULL;
}

struct cli_key_name {
  const char *label;
  const void *id;
  size_t id_len;
};

enum cli_key_store_how {
  CLI_KEY_PUBLIC = 1 << 0,  /* the public half as well */
  CLI_KEY_DERIVES = 1 << 1, /* an EC key may agree on secrets (CKA_DERIVE), which softhsm2-util's may not */
};

/*
 * Makes the private key object (token, private, sensitive, not extractable, sign; RSA: decrypt, unwrap) and, with CLI_KEY_PUBLIC
 * in how, the public one (token, verify; RSA: encrypt, wrap). X25519 and X448: derive in place of sign and verify. Both or none. Fails
 * with KEY_TYPE_INCONSISTENT where the key is neither RSA nor EC nor DSA nor of RFC 8410's curves.
 */
hf_err cli_key_store(struct p11_session *session, EVP_PKEY *key, const struct cli_key_name *name, unsigned how);

/* A secret key of these bytes: token, private, sensitive, not extractable, encrypt, decrypt, wrap, unwrap. */
hf_err cli_aes_store(struct p11_session *session, const struct hf_buf *value, const struct cli_key_name *name);

#endif
