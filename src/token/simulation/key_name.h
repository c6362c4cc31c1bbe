/* SPDX-License-Identifier: Apache-2.0 */
/* What kind a key is, as profiles and latencies name it. */
#ifndef HF_TOKEN_SIMULATION_KEY_NAME_H
#define HF_TOKEN_SIMULATION_KEY_NAME_H

#include "token/attrs.h"
#include "token/simulation/words.h"

/* "RSA-2048", "P-256", "Ed25519"; "" where it is no key pair's. A template of a public key will do. */
void key_name(const struct attrs *open, char ret_name[WORD_KEY]);

#endif
