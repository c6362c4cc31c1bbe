/* SPDX-License-Identifier: Apache-2.0 */
/* The HSM behind a key's URI, for more than signing: a session, logged in, where keys are made and deleted. */
#ifndef HF_IDENTITY_HSM_H
#define HF_IDENTITY_HSM_H

#include "config/config.h"
#include "p11/session.h"

/* Start with {0}, end with hsm_close. */
struct hsm {
  struct p11_module *module;
  struct p11_token token;
  struct p11_session *session;
};

/*
 * module_path: what program_module gave; the URI's own module-path and module-name go before it. Logs in where the token asks for it.
 * Fails as p11_token_find and p11_session_login do.
 */
hf_err hsm_open(const struct config *config, const char *module_path, const struct uri *uri, enum p11_mode mode,
                struct hsm *ret_hsm);
void hsm_close(struct hsm *hsm);

/* The URI's own PIN, else the configuration's; NULL where there is none, since a token may need none. */
hf_err hsm_pin(const struct config *config, const struct uri *uri, struct hf_secret **ret_pin);

#endif
