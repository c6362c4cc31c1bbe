/* SPDX-License-Identifier: Apache-2.0 */
/* Types of key pairs, one row each (key_rsa.c, key_ec.c ...), and how their parts go between attributes and libcrypto. */
#ifndef HF_TOKEN_KEY_TYPE_H
#define HF_TOKEN_KEY_TYPE_H

#include "token/key.h"

#include <openssl/bn.h>
#include <openssl/param_build.h>

struct key_type {
  CK_KEY_TYPE type;
  const char *const *names; /* libcrypto's, as EVP_PKEY_is_a has them; NULL ends them */
  /* As key_decode and key_encode. */
  hf_err (*decode)(struct kind kind, const struct attrs *open, const struct attrs *secret, EVP_PKEY **ret_key);
  hf_err (*encode)(const EVP_PKEY *key, struct attr_halves *public, struct attr_halves *private);
  /* Whether a key from outside is one, as far as decode does not see; NULL: it sees it all. */
  hf_err (*check)(struct kind kind, const EVP_PKEY *key);
};

extern const struct key_type key_type_rsa, key_type_ec, key_type_edwards, key_type_montgomery, key_type_dsa;
extern const struct key_type key_type_dh, key_type_ml_dsa, key_type_ml_kem, key_type_slh_dsa;

/* The check of Edwards curves (key_edwards.c). */
hf_err key_check_edwards(struct kind kind, const EVP_PKEY *key);

/* An attribute that libcrypto has, too. */
enum {
  KEY_IN_PUBLIC = 1 << 0,
  KEY_IN_PRIVATE = 1 << 1,
  KEY_SECRET = 1 << 2,   /* in the private object's secret half */
  KEY_OCTETS = 1 << 3,   /* a string of bytes; else a number */
  KEY_OPTIONAL = 1 << 4, /* a key may lack it */
};

struct key_part {
  CK_ATTRIBUTE_TYPE type;
  const char *name;
  unsigned flags;
};

/* Adds the parts to the halves that lack them; either may be NULL. */
hf_err key_parts_encode(const EVP_PKEY *key, const struct key_part *parts, size_t count, struct attr_halves *public,
                        struct attr_halves *private);

/* A key of libcrypto's in the making. Start it with { 0 } and key_build_start. */
enum { KEY_NUMBER_MAX = 2048, KEY_NUMBERS = 12 };

struct key_build {
  OSSL_PARAM_BLD *bld;
  BIGNUM *numbers[KEY_NUMBERS]; /* to which bld refers until the key is made */
  size_t count;
};

void key_build_free(struct key_build *build);
hf_err key_build_start(struct key_build *build);
/* number is the build's from now on, whatever comes of it. */
hf_err key_build_number(struct key_build *build, const char *name, BIGNUM *number);
/* The parts that an object of this kind has. Fails with ATTRIBUTE_VALUE_INVALID where one is missing that is not optional. */
hf_err key_build_parts(struct key_build *build, const struct key_part *parts, size_t count, struct kind kind,
                       const struct attrs *open, const struct attrs *secret);
/* type is libcrypto's name, selection one of its EVP_PKEY_..., as EVP_PKEY_KEYPAIR. */
hf_err key_build_done(struct key_build *build, const char *type, int selection, EVP_PKEY **ret_key);

/* For numbers that are secret, too. Fails with ATTRIBUTE_VALUE_INVALID on none, or one that is too long for any key. */
hf_err key_number(struct hf_slice value, BIGNUM **ret_number);
/* Big-endian, with at least as many bytes as padded says. */
hf_err key_set_number(struct attrs *attrs, CK_ATTRIBUTE_TYPE type, const BIGNUM *number, size_t padded);
hf_err key_bad(const char *what);

/* For HF_CLEANUP. */
static inline void key_free(EVP_PKEY **key)
{
  EVP_PKEY_free(*key);
}

static inline void key_ctx_free(EVP_PKEY_CTX **ctx)
{
  EVP_PKEY_CTX_free(*ctx);
}

static inline void key_number_free(BIGNUM **number)
{
  BN_clear_free(*number);
}

static inline void key_bn_ctx_free(BN_CTX **ctx)
{
  BN_CTX_free(*ctx);
}

#endif
