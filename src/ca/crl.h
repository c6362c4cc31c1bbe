/* SPDX-License-Identifier: Apache-2.0 */
/* The list of revoked certificates (RFC 5280, section 5). */
#ifndef HF_CA_CRL_H
#define HF_CA_CRL_H

#include "ca/authority.h"

/* A list tells what is so for a day, and is good for a week where the authority cannot be reached. */
enum { CRL_FRESH_S = 86400, CRL_VALID_S = 7 * 86400 };

/*
 * The present list, DER, appended to out: the registry's, or, where that is older than CRL_FRESH_S or something was revoked
 * since, a new one, signed and kept in the registry first. Where signing fails but the latest list still holds, that one is
 * given and the failure logged. Threads and processes may do it at once: each number is given once.
 */
hf_err crl_current(const struct authority *authority, struct hf_buf *out);

#endif
