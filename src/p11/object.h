/* SPDX-License-Identifier: Apache-2.0 */
/* Objects in a token: found by URI, described, created, destroyed. */
#ifndef HF_P11_OBJECT_H
#define HF_P11_OBJECT_H

#include "p11/session.h"

#define P11_ATTRIBUTE_MAX (64 * 1024) /* bytes of one attribute's value that we ever read */
#define P11_OBJECTS_MAX (1024 * 1024) /* objects in one listing */

/* Boolean attributes of an object; a bit is set where the token says true, and left out where it says nothing. */
#define P11_FLAG_TABLE(X)                                                \
  X(TOKEN, CKA_TOKEN, "token")                                           \
  X(PRIVATE, CKA_PRIVATE, "private")                                     \
  X(SENSITIVE, CKA_SENSITIVE, "sensitive")                               \
  X(ALWAYS_SENSITIVE, CKA_ALWAYS_SENSITIVE, "always-sensitive")          \
  X(EXTRACTABLE, CKA_EXTRACTABLE, "extractable")                         \
  X(NEVER_EXTRACTABLE, CKA_NEVER_EXTRACTABLE, "never-extractable")       \
  X(LOCAL, CKA_LOCAL, "local")                                           \
  X(MODIFIABLE, CKA_MODIFIABLE, "modifiable")                            \
  X(ALWAYS_AUTHENTICATE, CKA_ALWAYS_AUTHENTICATE, "always-authenticate") \
  X(SIGN, CKA_SIGN, "sign")                                              \
  X(VERIFY, CKA_VERIFY, "verify")                                        \
  X(ENCRYPT, CKA_ENCRYPT, "encrypt")                                     \
  X(DECRYPT, CKA_DECRYPT, "decrypt")                                     \
  X(WRAP, CKA_WRAP, "wrap")                                              \
  X(UNWRAP, CKA_UNWRAP, "unwrap")                                        \
  X(DERIVE, CKA_DERIVE, "derive")

enum p11_flag_index {
#define P11_FLAG_INDEX(id, type, name) P11_FLAG_INDEX_##id,
  P11_FLAG_TABLE(P11_FLAG_INDEX)
#undef P11_FLAG_INDEX
      P11_FLAG_COUNT
};
enum p11_flag {
#define P11_FLAG_BIT(id, type, name) P11_FLAG_##id = 1 << P11_FLAG_INDEX_##id,
  P11_FLAG_TABLE(P11_FLAG_BIT)
#undef P11_FLAG_BIT
};
const char *p11_flag_name(enum p11_flag_index index);

struct p11_object {
  CK_OBJECT_HANDLE handle;
  CK_OBJECT_CLASS object_class;
  CK_KEY_TYPE key_type; /* CK_UNAVAILABLE_INFORMATION where it is no key, or the token does not say */
  unsigned flags;       /* enum p11_flag */
  size_t bits;          /* RSA modulus, curve's field; 0 where unknown */
  const char *curve;    /* "secp256r1", "edwards25519", ...; NULL where it is none or unknown; static */
  struct hf_buf label;  /* UTF-8 as the token gives it: escape it before it goes to a terminal */
  struct hf_buf id;
};

/* "private", "public", "cert", "secret-key" or "data" (RFC 7512); NULL for another class. */
const char *p11_class_name(CK_OBJECT_CLASS object_class);
/* "RSA", "EC", ...; "unknown" for a type without a row. */
const char *p11_key_type_name(CK_KEY_TYPE type);

/* All that match the URI's object, id and type, as the session may see them. uri NULL: all. */
hf_err p11_object_list(struct p11_session *session, const struct uri *uri, struct p11_object **ret_objects,
                       size_t *ret_count);
void p11_object_list_free(struct p11_object *objects, size_t count);

/* Exactly one: fails with URI_NO_MATCH naming the URI, or URI_AMBIGUOUS naming the candidates as URIs. */
hf_err p11_object_find(struct p11_session *session, const struct uri *uri, struct p11_object *ret_object);
void p11_object_free(struct p11_object *object);

/* The URI by which this object is found again: the token's attributes, id, object and type. Start uri with {0}. */
hf_err p11_object_uri(const struct p11_token *token, const struct p11_object *object, struct uri *uri);

/* Appends one attribute's value. Fails with ATTRIBUTE_SENSITIVE, ATTRIBUTE_TYPE_INVALID, ..., LIMIT past out's. */
hf_err p11_object_get(struct p11_session *session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, struct hf_buf *out);

hf_err p11_object_create(struct p11_session *session, CK_ATTRIBUTE *attrs, size_t count, CK_OBJECT_HANDLE *ret_object);
hf_err p11_object_destroy(struct p11_session *session, CK_OBJECT_HANDLE object);

enum p11_key_kind { P11_EC_P256, P11_EC_P384, P11_EC_P521, P11_ED25519, P11_RSA };

struct p11_key_spec {
  enum p11_key_kind kind;
  unsigned rsa_bits; /* 2048 to 4096, a multiple of 8; for P11_RSA alone */
  const char *label; /* may be NULL */
  const void *id;    /* may be NULL with id_len 0 */
  size_t id_len;
};

/*
 * Private: token, private, sensitive, not extractable, sign (RSA: decrypt). Public: token, verify (RSA: encrypt). Where
 * the token does not offer the kind, fails with MECHANISM_INVALID, or KEY_SIZE_RANGE for a size of RSA, and a hint that
 * names what it offers. Where the SO is logged in, the id must be one byte, a key's place: see docs/hsms.md. Fails with
 * MODULE_ANSWER, and without a key, where the token neither takes "not extractable" nor says it of itself.
 */
hf_err p11_key_generate(struct p11_session *session, const struct p11_key_spec *spec, CK_OBJECT_HANDLE *ret_public,
                        CK_OBJECT_HANDLE *ret_private);

/* Whether the object is of the spec's kind and, for RSA, size. */
bool p11_object_is_kind(const struct p11_object *object, const struct p11_key_spec *spec);

#endif
