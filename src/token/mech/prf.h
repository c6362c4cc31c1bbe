/* SPDX-License-Identifier: Apache-2.0 */
/* A keyed pseudorandom function: HMAC or CMAC, by the mechanism that stands for it. */
#ifndef HF_TOKEN_MECH_PRF_H
#define HF_TOKEN_MECH_PRF_H

#include "token/mech/mech.h"

enum { PRF_MAX = EVP_MAX_MD_SIZE };

struct prf {
  EVP_MAC_CTX *ctx;
  size_t size;
};

/* Fails with MECHANISM_PARAM_INVALID where type is none (CKM_SHA256_HMAC, CKM_AES_CMAC), with KEY_SIZE_RANGE where it takes no such key. */
hf_err prf_new(CK_MECHANISM_TYPE type, struct hf_slice key, struct prf *ret_prf);
void prf_free(struct prf *prf);

/* Starts, takes a part, and gives size bytes; it can start again. */
hf_err prf_start(struct prf *prf);
hf_err prf_add(struct prf *prf, struct hf_slice part);
hf_err prf_end(struct prf *prf, uint8_t ret_out[PRF_MAX]);

#endif
