/* SPDX-License-Identifier: Apache-2.0 */
/* Opens a link in a thread of its own: a name server, a server or an HSM may take its time, and nobody else shall wait for it. */
#ifndef HF_GATEWAY_OPENER_H
#define HF_GATEWAY_OPENER_H

#include "gateway/link_copy.h"

struct opener;

/* How many may hang at once, in a vendor's module say, before no other is started. */
enum { OPENERS_MAX = 8 };

/* Copies the options. Fails with BUSY past OPENERS_MAX, NO_MEMORY, IO. */
hf_err opener_start(const struct link_options *options, unsigned timeout_s, struct opener **ret_opener);

/* Becomes readable once it has ended. */
int opener_fd(const struct opener *opener);

/* What came of it, once it has ended; it is gone then. Fails as link_open did there. */
hf_err opener_finish(struct opener *opener, struct link **ret_link);

/* Does not wait: it goes on alone, and closes what comes of it. NULL is fine. Returns NULL. */
struct opener *opener_abandon(struct opener *opener);

#endif
