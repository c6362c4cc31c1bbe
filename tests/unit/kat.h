/* SPDX-License-Identifier: Apache-2.0 */
/* Known answers of symmetric mechanisms, one row each; bytes are in hex. */
#ifndef HF_TESTS_KAT_H
#define HF_TESTS_KAT_H

#include "holdfast/pkcs11.h"

struct kat {
  CK_MECHANISM_TYPE type;
  const char *source;
  CK_KEY_TYPE key_type;
  const char *key;
  const char *iv; /* the IV, nonce, tweak or counter block; NULL: none */
  const char *aad;
  CK_ULONG number; /* bits of a counter, bytes of a tag */
  const char *in, *out;
};

#define DIGEST(type, source, in, out)                 \
  {                                                   \
    type, source, 0, NULL, NULL, NULL, 0, (in), (out) \
  }
#define MAC(type, source, key_type, key, iv, in, out)     \
  {                                                       \
    type, source, key_type, key, iv, NULL, 0, (in), (out) \
  }
#define CIPHER(type, source, key_type, key, iv, in, out)  \
  {                                                       \
    type, source, key_type, key, iv, NULL, 0, (in), (out) \
  }
#define COUNTER(type, source, key_type, key, iv, bits, in, out) \
  {                                                             \
    type, source, key_type, key, iv, NULL, bits, (in), (out)    \
  }
/* out: what is encrypted, then the tag. */
#define AEAD(type, source, key_type, key, iv, aad, tag, in, out) \
  {                                                              \
    type, source, key_type, key, iv, aad, tag, (in), (out)       \
  }

#endif
