/* SPDX-License-Identifier: Apache-2.0 */
/* A link's options, owned. */
#ifndef HF_GATEWAY_LINK_COPY_H
#define HF_GATEWAY_LINK_COPY_H

#include "gateway/link.h"

/* Fails with NO_MEMORY. What options borrow is copied, the key referenced; a will's properties are left out. */
hf_err link_copy_new(const struct link_options *options, struct link_options **ret_copy);
/* Wipes the password. Returns NULL. */
struct link_options *link_copy_free(struct link_options *copy);
HF_DEFINE_CLEANUP(struct link_options, link_copy_free)

/* Whether they lead to the same connection. Files are compared by name. */
bool link_options_same(const struct link_options *a, const struct link_options *b);

#endif
