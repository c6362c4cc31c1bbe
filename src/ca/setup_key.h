/* SPDX-License-Identifier: Apache-2.0 */
/* A key of the authority's, made in the token. */
#ifndef HF_CA_SETUP_KEY_H
#define HF_CA_SETUP_KEY_H

#include "identity/hsm.h"
#include "p11/object.h"

/*
 * The private key with this label, which is made where there is none: of the first of kinds that the token offers. Appends
 * its URI. *ret_made: it was not there before. Fails with URI_AMBIGUOUS where several have the label.
 */
hf_err setup_key(struct hsm *hsm, const char *label, const enum p11_key_kind *kinds, size_t kind_count,
                 struct hf_buf *ret_uri, bool *ret_made);

#endif
