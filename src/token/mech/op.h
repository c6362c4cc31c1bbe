/* SPDX-License-Identifier: Apache-2.0 */
/* A session's operations. Key look-up, usage checks, the one active operation and the rule of the size query are written once, here. */
#ifndef HF_TOKEN_MECH_OP_H
#define HF_TOKEN_MECH_OP_H

#include "token/mech/mech.h"

struct session;

enum op_kind {
  OP_SIGN,
  OP_VERIFY,
  OP_DIGEST,
  OP_ENCRYPT,
  OP_DECRYPT,
  OP_SIGN_RECOVER,
  OP_VERIFY_RECOVER,
  OP_WRAP,
  OP_UNWRAP,
  OP_DERIVE,
  OP_ENCAPSULATE,
  OP_DECAPSULATE,
  /* Each beside the one that it is to its mechanism (see struct op): a session may have both. */
  OP_VERIFY_SIGNATURE,
  OP_MESSAGE_ENCRYPT,
  OP_MESSAGE_DECRYPT,
  OP_MESSAGE_SIGN,
  OP_MESSAGE_VERIFY,
  OP_KINDS
};

enum { OP_PARAM_MAX = 96, OP_RESULT_MAX = 64 << 20, OP_PART_MAX = 1 << 30 };

/*
 * One operation of a session. What it prepared (the key's context) stays when it ends: the next one with the same key and
 * mechanism begins without a lock, a look-up or an allocation.
 */
struct op {
  bool active;
  bool updated;       /* C_...Update was called */
  bool started;       /* what crypts is ready for the message */
  bool wants_pin;     /* the key does, for each use (CKA_ALWAYS_AUTHENTICATE) */
  bool authenticated; /* it was given */
  bool message;       /* one of several messages has begun in parts */
  bool once;          /* its parameter points at more, so that no other operation can be known to have the same */
  enum op_kind kind;  /* of those that mechanisms know: OP_ENCRYPT, not OP_MESSAGE_ENCRYPT */
  uint64_t messages;  /* encrypted so far */
  const struct mech *mech;
  CK_OBJECT_HANDLE handle;
  struct object *object;  /* NULL of a digest */
  struct object *other;   /* a second key, which the parameter names; what is derived inherits from both */
  struct token_mark mark; /* when object was last known to be what handle means */
  EVP_PKEY_CTX *key_ctx;
  EVP_MD_CTX *md_ctx; /* of the message, or of an operation that signs messages themselves */
  EVP_CIPHER_CTX *cipher_ctx;
  EVP_MAC_CTX *mac_ctx;
  const EVP_MD *md; /* of the message, or the hash that the parameter names */
  size_t out_len;   /* bytes of a signature, digest, tag or encapsulated secret */
  void *state;      /* the family's own */
  void (*free_state)(void *state);
  uint8_t param[OP_PARAM_MAX];
  size_t param_len;
  struct hf_buf result; /* of C_...Final, for which there was no room yet; or the message, gathered */
  bool has_result;
};

/* For a family's prepare: op->key_ctx, ready for the kind of operation. */
hf_err op_key_ctx(struct op *op, EVP_PKEY *key);
/* And for one that takes no parameter. */
hf_err op_no_param(const struct op *op, const CK_MECHANISM *mechanism);
/* A secret key that the parameter names, into op->other, where it may serve this kind of operation; and its value. */
hf_err op_other_key(struct op *op, const struct op_key *key, CK_OBJECT_HANDLE handle, struct hf_buf *value);

/* For one that takes a structure, or bytes: a copy of exactly len bytes; what is its name in a text. */
hf_err op_param(const struct op *op, const CK_MECHANISM *mechanism, const char *what, void *ret_param, size_t len);
/* Whether a cipher is to encrypt: to wrap and to sign, too. */
bool op_encrypts(const struct op *op);

/* A NULL mechanism cancels (PKCS #11 v3.0, section 5.13). Leaves libcrypto's error queue as it was. */
hf_err op_begin(struct session *session, enum op_kind kind, const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key);
/* The same, but a parameter comes with each message, by ops->message_param: the one in mechanism is not looked at. */
hf_err op_begin_messages(struct session *session, enum op_kind kind, const CK_MECHANISM *mechanism,
                         CK_OBJECT_HANDLE key);
/* in is the message; other is the signature to verify, or where the result goes with its room and size. A size query and
 * BUFFER_TOO_SMALL keep the operation; whatever else ends it. */
hf_err op_run(struct session *session, enum op_kind kind, struct hf_slice in, void *other, CK_ULONG *other_len);
/* A part of what is signed, verified or hashed; what must be gathered to be signed is at most OP_RESULT_MAX bytes. */
hf_err op_update(struct session *session, enum op_kind kind, struct hf_slice in);
/* A part of what is encrypted or decrypted. */
hf_err op_crypt_update(struct session *session, enum op_kind kind, struct hf_slice in, void *out, CK_ULONG *out_len);
hf_err op_finish(struct session *session, enum op_kind kind, void *other, CK_ULONG *other_len);

enum { DERIVED_PIECES = 32, DERIVED_BYTES = 64 << 10 };

/* One piece of what a derivation yields: a new object's value, or bytes for the caller. */
struct derived {
  struct attr_halves halves; /* the object, all but its value */
  size_t len;                /* 0: as many as the mechanism makes, and there is one piece alone */
  size_t span;               /* with the bytes behind it that are left out */
  CK_OBJECT_HANDLE *ret_handle;
  uint8_t *ret_bytes; /* NULL: an object */
};

/* What one C_DeriveKey makes: all of it or nothing. */
struct derivation {
  struct session *session;
  const CK_ATTRIBUTE *tmpl;
  CK_ULONG count;
  CK_OBJECT_HANDLE *ret_handle;
  struct derived pieces[DERIVED_PIECES];
  size_t piece_count;
};

/* For plan: one more object by a template, one more secret key of the type that it may leave out; the handles and bytes are written once
 * all is done. Fails as policy_make, with ARGUMENTS_BAD without ret_handle, and with TEMPLATE_INCOMPLETE where it must say how long. */
hf_err derivation_object(struct op *op, struct derivation *derivation, const CK_ATTRIBUTE *tmpl, CK_ULONG count,
                         CK_OBJECT_HANDLE *ret_handle);
hf_err derivation_bytes(struct derivation *derivation, size_t len, void *ret_bytes);

/* Whether the mechanism plans what it makes: of all others C_DeriveKey needs a place for a handle. */
bool op_plans(const CK_MECHANISM *mechanism);
/* C_DeriveKey: a new object by the template, or what the mechanism plans. */
hf_err op_derive(struct session *session, const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE base,
                 const CK_ATTRIBUTE *tmpl, CK_ULONG count, CK_OBJECT_HANDLE *ret_handle);

/* C_Login with CKU_CONTEXT_SPECIFIC was right. Fails with OPERATION_NOT_INITIALIZED. */
hf_err op_authenticated(struct session *session);

/* Fails with OPERATION_NOT_INITIALIZED, and with USER_NOT_LOGGED_IN where the key wants the PIN for each use. */
hf_err op_need_active(const struct session *session, enum op_kind kind);
/* For calls in one part. Fails, and ends it, with OPERATION_ACTIVE. */
hf_err op_need_whole(struct op *op);

/* Ends it and lets go of all that is kept. */
void op_free(struct op *op);

/* mech/op_crypt.c: of op_run and op_finish. */
hf_err op_crypt_run(struct op *op, struct hf_slice in, void *out, CK_ULONG *out_len);
hf_err op_crypt_finish(struct op *op, void *out, CK_ULONG *out_len);

#endif
