/* SPDX-License-Identifier: Apache-2.0 */
/* The words that profiles, latencies and faults are written in. All fail with PARSE, and say what was expected. */
#ifndef HF_TOKEN_SIMULATION_WORDS_H
#define HF_TOKEN_SIMULATION_WORDS_H

#include "base/error.h"
#include "holdfast/pkcs11.h"

#include <stdbool.h>
#include <stdint.h>

enum { WORD_FUNCTION = 32, WORD_KEY = 16 };

/* PARSE: what stands there, and what was expected in its place. */
hf_err word_bad(const char *word, const char *expected);

/* "20ms", "1.5s": us, ms, s, m and h; at most 24 h. In nanoseconds. */
hf_err word_duration(const char *word, uint64_t *ret_ns);
/* "120ms", or "120ms-200ms". */
hf_err word_duration_range(const char *word, uint64_t *ret_min, uint64_t *ret_max);
hf_err word_number(const char *word, uint64_t min, uint64_t max, uint64_t *ret_number);
/* "6-8", or "8". */
hf_err word_number_range(const char *word, uint64_t max, uint64_t *ret_from, uint64_t *ret_to);

/* Whether PKCS #11 has a function of this name. */
bool word_is_function(const char *word);
/* What the function does by itself, without its device: "C_SignInit", "C_CloseSession". */
bool word_is_local(const char *function);
/* The function that this one ends: C_Sign of C_SignFinal; itself where it ends none. */
const char *word_whole_function(const char *function);

/* The name of a kind of key: "RSA-2048", "P-256", "Ed25519". A curve by libcrypto's name for it; others as they are. */
const char *word_of_curve(const char *curve);
/* Whether it is one: "RSA" stands for any size of it. */
bool word_is_key(const char *word);
/* Whether a kind of key ("RSA-2048") is what the word says ("RSA", "RSA-2048"). */
bool word_matches_key(const char *word, const char *key);

/* "CKR_DEVICE_ERROR": the error that has this CK_RV. */
hf_err word_error(const char *word, enum hf_code *ret_code);

#endif
