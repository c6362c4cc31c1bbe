/* SPDX-License-Identifier: Apache-2.0 */
/* Why a certificate was revoked: CRLReason (RFC 5280, section 5.3.1), a row each. */
#ifndef HF_CA_REASON_H
#define HF_CA_REASON_H

#include "base/error.h"

/* "key-compromise", ...; "unspecified" for a number without a row. */
const char *reason_name(int reason);

/* Fails with USAGE and names those that there are. */
hf_err reason_parse(const char *name, int *ret_reason);

#endif
