/* SPDX-License-Identifier: Apache-2.0 */
/* Where SoftHSM2 keeps its tokens, as its own configuration says. */
#ifndef HF_SOFTHSM_CONF_H
#define HF_SOFTHSM_CONF_H

#include "base/error.h"

/*
 * directories.tokendir of $SOFTHSM2_CONF, else ~/.config/softhsm2/softhsm2.conf, else /etc/softhsm/softhsm2.conf; where the
 * file does not say, SoftHSM2's default. Lines that SoftHSM2 passes over are passed over. Fails where the file cannot be read.
 */
hf_err softhsm_tokendir(char *out, size_t size);

#endif
