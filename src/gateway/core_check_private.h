/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the checks. Inside src/gateway/core_check*.c only. */
#ifndef HF_GATEWAY_CORE_CHECK_PRIVATE_H
#define HF_GATEWAY_CORE_CHECK_PRIVATE_H

#include "gateway/core_check.h"
#include "identity/openssl.h"
#include "p11/key.h"

#include <limits.h>

enum core_principal { PRINCIPAL_IOT, PRINCIPAL_SERVER, PRINCIPAL_SECRETS, PRINCIPAL_COUNT };

/* Whose key it is: Greengrass's principals, a row each. */
struct core_principal_row {
  const char *name; /* "the device", as in "the key of ..." */
  enum config_key key;
  bool (*is_used)(const struct core_checks *checks);
};

/* Its key, in a token or, where that is allowed, in a file. */
struct core_principal_key {
  struct p11_key *key;
  EVP_PKEY *public_key; /* of either; with the private half where it is in a file */
};

struct core_checks {
  const struct config *config;
  char module_path[PATH_MAX];
  enum core_check_scope scope;
  enum core_check_verdict *verdicts; /* of those that have run */
  enum core_principal principal;     /* of the row that runs */
  struct p11_module *module;         /* of the first key in an HSM */
  struct p11_token token;
  X509 *certificate;
  struct core_principal_key keys[PRINCIPAL_COUNT];
  bool warned; /* the row that runs: its error is no failure */
  char detail[CORE_CHECK_DETAIL_MAX];
};

extern const struct core_principal_row core_principals[PRINCIPAL_COUNT];

void core_check_detail(struct core_checks *checks, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The value of a principal's key; NULL where it has none. */
const char *core_check_key_of(const struct core_checks *checks, enum core_principal principal);

/* The first key that is used and in an HSM; NULL where there is none. */
const char *core_check_hsm_uri(const struct core_checks *checks);

/* core_check_hsm.c */
hf_err core_check_module(struct core_checks *checks);
hf_err core_check_token(struct core_checks *checks);
hf_err core_check_pin_state(struct core_checks *checks);
hf_err core_check_pin(struct core_checks *checks);

/* core_check_key.c: of checks->principal */
hf_err core_check_find_key(struct core_checks *checks);
hf_err core_check_kind(struct core_checks *checks);
hf_err core_check_mechanisms(struct core_checks *checks);
hf_err core_check_works(struct core_checks *checks);
void core_check_key_free(struct core_principal_key *key);

#endif
