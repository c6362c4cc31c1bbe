/* SPDX-License-Identifier: Apache-2.0 */
/* Mechanisms, one row each, and the four verbs of every operation: begin, run, update, finish. */
#ifndef HF_TOKEN_MECH_MECH_H
#define HF_TOKEN_MECH_MECH_H

#include "token/token.h"

#include <openssl/evp.h>

struct session;
struct op;

enum op_kind { OP_SIGN, OP_VERIFY, OP_DIGEST, OP_ENCRYPT, OP_DECRYPT, OP_DERIVE, OP_KINDS };

/* What a family of mechanisms does with a hash, or with raw input. */
struct mech_ops {
  /* Makes the contexts (most by op_key_ctx), set up by the mechanism's parameter, and knows op->out_len. */
  hf_err (*prepare)(struct op *op, enum op_kind kind, EVP_PKEY *key, const CK_MECHANISM *mechanism);
  /* ret_signature has room for op->out_len bytes. */
  hf_err (*sign)(struct op *op, struct hf_slice input, uint8_t *ret_signature);
  hf_err (*verify)(struct op *op, struct hf_slice input, struct hf_slice signature);
  /* ret_out has room for op->out_len bytes, of which *ret_len are the result. Whatever is wrong with what was encrypted is one
   * and the same ENCRYPTED_DATA_INVALID, in the same time. */
  hf_err (*encrypt)(struct op *op, struct hf_slice input, uint8_t *ret_out, size_t *ret_len);
  hf_err (*decrypt)(struct op *op, struct hf_slice input, uint8_t *ret_out, size_t *ret_len);
  /* Appends a secret of len bytes; 0: as many as the mechanism makes by itself. */
  hf_err (*derive)(struct op *op, size_t len, struct hf_buf *out);
};

/* The two objects of a new pair, made by the templates; adds the parts. */
typedef hf_err (*mech_generate_fn)(const CK_MECHANISM *mechanism, struct attr_halves *public,
                                   struct attr_halves *private);

struct mech {
  CK_MECHANISM_TYPE type;
  const char *name;
  CK_KEY_TYPE key_type; /* CK_UNAVAILABLE_INFORMATION: no key */
  CK_MECHANISM_INFO info;
  const char *digest; /* of the message; NULL: the caller hashed */
  const struct mech_ops *ops;
  mech_generate_fn generate;
};

/* NULL where there is none, or the configuration forbids it. */
const struct mech *mech_find(CK_MECHANISM_TYPE type);
/* The table's i-th allowed row; NULL past its end. */
const struct mech *mech_at(size_t i);
bool mech_type_of_name(const char *name, CK_MECHANISM_TYPE *ret_type);
/* The digest's name by its CKM_SHA... and by its CKG_MGF1_SHA...; NULL for others. */
const char *mech_hash_name(CK_MECHANISM_TYPE hash);
const char *mech_mgf_name(CK_RSA_PKCS_MGF_TYPE mgf);

extern const struct mech_ops mech_ecdsa, mech_ecdh, mech_eddsa, mech_rsa_pkcs, mech_rsa_oaep, mech_rsa_pss;
/* mech/rsa_cipher.c */
hf_err mech_rsa_encrypt(struct op *op, struct hf_slice input, uint8_t *ret_out, size_t *ret_len);
hf_err mech_rsa_decrypt_pkcs(struct op *op, struct hf_slice input, uint8_t *ret_out, size_t *ret_len);
hf_err mech_generate_ec(const CK_MECHANISM *mechanism, struct attr_halves *public, struct attr_halves *private);
hf_err mech_generate_rsa(const CK_MECHANISM *mechanism, struct attr_halves *public, struct attr_halves *private);

enum { OP_PARAM_MAX = 64, OP_CIPHER_MAX = 512 /* bytes of what RSA encrypts, or decrypts */ };

/*
 * One operation of a session. What it prepared (the key's context) stays when it ends: the next one with the same key,
 * mechanism and parameter begins without a lock, a look-up or an allocation.
 */
struct op {
  bool active;
  bool updated;       /* C_...Update was called */
  bool authenticated; /* the PIN was given for it (CKA_ALWAYS_AUTHENTICATE) */
  bool once;          /* its parameter points at more, so that no other operation can be known to have the same */
  const struct mech *mech;
  CK_OBJECT_HANDLE handle;
  struct object *object;
  struct token_mark mark; /* when object was last known to be what handle means */
  EVP_PKEY_CTX *key_ctx;
  EVP_MD_CTX *md_ctx; /* of the message, or of an operation that signs messages themselves */
  const EVP_MD *md;   /* of the message, or the hash that the parameter names */
  size_t out_len;     /* bytes of a signature or digest; the most of what is encrypted or decrypted */
  uint8_t param[OP_PARAM_MAX];
  size_t param_len;
};

/* For a family's prepare: op->key_ctx, ready for the kind of operation. */
hf_err op_key_ctx(struct op *op, enum op_kind kind, EVP_PKEY *key);
/* And for one that takes no parameter. */
hf_err op_no_param(const struct op *op, const CK_MECHANISM *mechanism);

/* A NULL mechanism cancels (PKCS #11 v3.0, section 5.13). */
hf_err op_begin(struct session *session, enum op_kind kind, const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key);
/* in is the message; other is the signature to verify, or where the result goes with its room and size. A size query and
 * BUFFER_TOO_SMALL keep the operation; whatever else ends it. */
hf_err op_run(struct session *session, enum op_kind kind, struct hf_slice in, void *other, CK_ULONG *other_len);
hf_err op_update(struct session *session, enum op_kind kind, struct hf_slice in);
hf_err op_finish(struct session *session, enum op_kind kind, void *other, CK_ULONG *other_len);

/* C_DeriveKey: a new object by the template. */
hf_err op_derive(struct session *session, const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE base,
                 const CK_ATTRIBUTE *tmpl, CK_ULONG count, CK_OBJECT_HANDLE *ret_handle);

/* C_Login with CKU_CONTEXT_SPECIFIC was right. Fails with OPERATION_NOT_INITIALIZED. */
hf_err op_authenticated(struct session *session);

/* Ends it and lets go of all that is kept. */
void op_free(struct op *op);

#endif
