/* SPDX-License-Identifier: Apache-2.0 */
/* Mechanisms, one row each. A family of them shares its verbs (struct mech_ops); op.h runs these. */
#ifndef HF_TOKEN_MECH_MECH_H
#define HF_TOKEN_MECH_MECH_H

#include "token/token.h"

#include <openssl/evp.h>

struct derivation;
struct mech;
struct op;
struct session;

/* The key of an operation, for as long as prepare runs. */
struct op_key {
  const struct attrs *open;
  EVP_PKEY *pkey;        /* NULL where it is a secret key */
  struct hf_slice value; /* the secret key's CKA_VALUE */
  struct session *session;
};

/*
 * What a family does; NULL where it does not. Room, sizes, the kept context, hashing by the row's digest and the active operation
 * are op's business. A family keeps its contexts in struct op, and what else it needs in op->state.
 */
struct mech_ops {
  /* Whether this libcrypto can; NULL: every one can. */
  bool (*available)(const struct mech *mech);
  /* Makes the contexts for the key, and knows op->out_len where signatures or digests come out. */
  hf_err (*prepare)(struct op *op, const struct op_key *key, const CK_MECHANISM *mechanism);
  /* Takes the mechanism's parameter, each time; the contexts stay. NULL: the parameter is prepare's, and another one means another
   * context. Puts nothing into libcrypto's error queue. */
  hf_err (*set_param)(struct op *op, const CK_MECHANISM *mechanism);
  /* Makes the contexts ready for one more message, the first as well; NULL: they always are. */
  hf_err (*start)(struct op *op);

  /* Takes a part of the message. NULL: the row's digest does, or, where it has none, the message comes in one part. */
  hf_err (*absorb)(struct op *op, struct hf_slice part);
  /* Where absorb is NULL: parts are gathered until the message is whole. */
  bool gather;
  /* Of what was absorbed (input is empty), of the digest, or of the message in one part. ret_signature has room for op->out_len bytes. */
  hf_err (*sign)(struct op *op, struct hf_slice input, uint8_t *ret_signature);
  hf_err (*verify)(struct op *op, struct hf_slice input, struct hf_slice signature);

  /* Encrypts, decrypts, wraps, unwraps, signs or verifies with recovery, as op->kind says: a part or, where last, the rest. ret_out has
   * room for crypt_size bytes; in may be the same memory. Whatever is wrong with what was encrypted is one and the same
   * ENCRYPTED_DATA_INVALID, in the same time, and nothing of it is left in ret_out. */
  hf_err (*crypt)(struct op *op, struct hf_slice in, bool last, uint8_t *ret_out, size_t *ret_len);
  /* The most bytes that crypt would yield now; exact where not last. */
  size_t (*crypt_size)(const struct op *op, size_t in_len, bool last);
  bool crypt_parts; /* in several parts, too */

  /* Message-based (section 5.10): the parameter of one message and what is authenticated with it; makes the IV and writes it back where the
   * parameter asks for that; and does what start does. Then crypt takes and yields the message without its tag. */
  hf_err (*message_param)(struct op *op, void *param, CK_ULONG param_len, struct hf_slice aad);
  /* Before crypt with last: where this message's tag is, or goes; the pointers are valid while crypt runs. */
  hf_err (*message_tag)(struct op *op, void *param, CK_ULONG param_len);

  /* Plans what a derivation makes (op.h), in the order in which derive yields it. NULL: one secret key by C_DeriveKey's template. */
  hf_err (*plan)(struct op *op, struct derivation *derivation);
  /* Appends len bytes, for all that is made; 0: as many as the mechanism makes by itself. */
  hf_err (*derive)(struct op *op, size_t len, struct hf_buf *out);

  /* A shared secret of len bytes (0: as derive), and op->out_len bytes from which decapsulate gets it. */
  hf_err (*encapsulate)(struct op *op, uint8_t *ret_ciphertext, size_t len, struct hf_buf *secret);
  hf_err (*decapsulate)(struct op *op, struct hf_slice ciphertext, size_t len, struct hf_buf *secret);

  /* The two objects of a new pair, made by the templates; adds the parts. */
  hf_err (*generate_pair)(const struct mech *mech, const CK_MECHANISM *mechanism, struct attr_halves *public,
                          struct attr_halves *private);
  /* The same for a secret key; or, where it makes_domain, for domain parameters (CKO_DOMAIN_PARAMETERS). */
  hf_err (*generate_secret)(const struct mech *mech, const CK_MECHANISM *mechanism, struct attr_halves *secret);
  bool makes_domain;
  bool generate_param; /* by a parameter, which it checks itself */
  bool bytes_param;    /* its parameter is bytes of any number, which prepare takes itself */
};

#define MECH_NO_KEY CK_UNAVAILABLE_INFORMATION
/* Any key of class CKO_SECRET_KEY. */
#define MECH_ANY_SECRET (CK_UNAVAILABLE_INFORMATION - 1)

struct mech {
  CK_MECHANISM_TYPE type;
  const char *name;
  CK_KEY_TYPE keys[2]; /* the types that it works with; the first is what it makes */
  CK_MECHANISM_INFO info;
  const char
      *digest;     /* of the message, which op hashes by it; NULL: the family gets the message, or the caller hashed */
  const char *alg; /* what the family works with: a cipher's name, a hash's; NULL: it needs none */
  const struct mech_ops *ops;
  bool makes_data; /* C_DeriveKey makes a CKO_DATA, not a key */
  bool shows_base; /* what it makes shows the base key: it is as sensitive, and as little extractable */
};

/* For rows, whose macros spell "type, #type" themselves: a name that was expanded on the way is a number. */
#define MECH_KEY(type) \
  {                    \
    type, type         \
  }
#define MECH_SIGNS (CKF_SIGN | CKF_VERIFY)
#define MECH_CRYPTS (CKF_ENCRYPT | CKF_DECRYPT)
#define MECH_WRAPS (CKF_WRAP | CKF_UNWRAP)
#define MECH_MESSAGES (CKF_MESSAGE_ENCRYPT | CKF_MESSAGE_DECRYPT)

/* The rows of a family, in a file table_*.c each. */
struct mech_table {
  const struct mech *rows;
  size_t count;
};

extern const struct mech_table mech_table_rsa, mech_table_ec, mech_table_dsa, mech_table_pqc;
extern const struct mech_table mech_table_digest, mech_table_secret, mech_table_derive, mech_table_agree;
extern const struct mech_table mech_table_cipher, mech_table_mac;
extern const struct mech_ops mech_ecdsa, mech_ecdh, mech_eddsa, mech_ec_keygen;
extern const struct mech_ops mech_dsa, mech_dsa_keygen, mech_dsa_paramgen;
extern const struct mech_ops mech_pqc, mech_pqc_hash, mech_pqc_prehashed, mech_pqc_mu, mech_pqc_keygen;
extern const struct mech_ops mech_rsa_pkcs, mech_rsa_x509, mech_rsa_oaep, mech_rsa_pss, mech_rsa_aes, mech_rsa_keygen;
extern const struct mech_ops mech_secret_keygen;
extern const struct mech_ops mech_cipher, mech_cipher_pad, mech_cipher_whole, mech_aes_ctr, mech_chacha20;
extern const struct mech_ops mech_key_wrap, mech_key_wrap_pad, mech_key_wrap_pkcs7;
extern const struct mech_ops mech_gcm, mech_ccm, mech_chacha20_poly1305;
extern const struct mech_ops mech_hmac, mech_hmac_general, mech_cmac, mech_cmac_general, mech_gmac, mech_poly1305;

extern const struct mech_ops mech_dh, mech_dh_keygen, mech_dh_paramgen, mech_kem, mech_kem_keygen, mech_ecdh_aes,
    mech_pbkdf2;
extern const struct mech_ops mech_concatenate_key, mech_concatenate_data, mech_concatenate_base, mech_xor, mech_extract;
extern const struct mech_ops mech_hash_key, mech_xof_key, mech_encrypt_data, mech_hkdf, mech_sp800_108;
extern const struct mech_ops mech_tls_master, mech_tls_export, mech_tls_mac, mech_tls_keys;

/* After crypto_start: finds out what libcrypto and the configuration allow. */
hf_err mech_start(const struct token_conf *conf);

/* NULL where there is none, libcrypto lacks it, or the configuration forbids it. */
const struct mech *mech_find(CK_MECHANISM_TYPE type);
/* The i-th of those that can be found; NULL past the end. */
const struct mech *mech_at(size_t i);
/* Of all rows; may be called before mech_start. */
bool mech_type_of_name(const char *name, CK_MECHANISM_TYPE *ret_type);
/* Whether it works with keys of this type. */
bool mech_takes(const struct mech *mech, struct kind key);

/* The digest's name by its CKM_SHA... and by its CKG_MGF1_SHA...; NULL for others, and where libcrypto lacks it. */
const char *mech_hash_name(CK_MECHANISM_TYPE hash);
const char *mech_mgf_name(CK_RSA_PKCS_MGF_TYPE mgf);

#endif
