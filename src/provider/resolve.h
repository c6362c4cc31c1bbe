/* SPDX-License-Identifier: Apache-2.0 */
/* From a URI's text to a key: which module, which PIN, and whether it is open already. */
#ifndef HF_PROVIDER_RESOLVE_H
#define HF_PROVIDER_RESOLVE_H

#include "provider/key.h"

/*
 * The private key that the URI names. It is kept open under its module and URI, so that loading it again does not log
 * in again; one that has been replaced in the token meanwhile is opened anew. What a module leaves in OpenSSL's error
 * queue is taken out of it.
 */
hf_err provider_load_key(struct provider_ctx *ctx, const char *uri, struct provider_key **ret_key);

/* A session in the URI's token, not logged in: for what anyone may see. */
hf_err provider_resolve_session(struct provider_ctx *ctx, const struct uri *uri, struct p11_session **ret_session);

#endif
