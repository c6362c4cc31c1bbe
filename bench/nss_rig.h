/* SPDX-License-Identifier: Apache-2.0 */
/* NSS's software token for a benchmark, by its PKCS #11 functions. */
#ifndef HF_BENCH_NSS_RIG_H
#define HF_BENCH_NSS_RIG_H

#include "p11_rig.h"

/* Makes a database below base; false where the library (package libnss3) is not installed. */
bool nss_rig_open(struct rig *rig, const char *base);

/* As rig_fill, with public keys: it takes no data objects, and derives a key anew for each that it seals. One thread. */
void nss_rig_fill(const struct rig *rig, unsigned from, unsigned to, unsigned threads);

#endif
