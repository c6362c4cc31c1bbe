/* SPDX-License-Identifier: Apache-2.0 */
/* The PRF of TLS 1.2 (RFC 5246, section 5), and of TLS 1.0 and 1.1 where the hash is CKM_TLS_PRF. */
#ifndef HF_TOKEN_MECH_TLS_H
#define HF_TOKEN_MECH_TLS_H

#include "token/mech/kdf.h"

enum { TLS_RANDOM = 32, TLS_MASTER = 48, TLS_LABEL_MAX = 128, TLS_SEED_MAX = 1024 - TLS_LABEL_MAX };

bool tls_available(const struct mech *mech);

/* Fails with MECHANISM_PARAM_INVALID where the hash is none. */
hf_err tls_check_hash(const struct mech *mech, CK_MECHANISM_TYPE hash);
hf_err tls_prf(const struct mech *mech, CK_MECHANISM_TYPE hash, struct hf_slice secret, const char *label,
               struct hf_slice seed, size_t len, struct hf_buf *out);

/* Appends both randoms, of TLS_RANDOM bytes each. */
hf_err tls_add_randoms(const struct mech *mech, const struct hf_ck_ssl3_random_data *random, bool server_first,
                       struct hf_buf *seed);

#endif
