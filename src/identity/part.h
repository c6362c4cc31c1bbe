/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file that comes in parts, before it has its name: FILE.part (0600), and beside it, in FILE.part.source, where it comes from and
 * which version of it that is. Another process goes on where one was killed.
 */
#ifndef HF_IDENTITY_PART_H
#define HF_IDENTITY_PART_H

#include "base/buf.h"
#include "base/cleanup.h"

struct part;

/*
 * Opens the parts of path and locks them; what is there of another URL does not count. The directory must exist. Fails with BUSY
 * where another program has them, PERMISSION, ...
 */
hf_err part_open(const char *path, const char *url, struct part **ret_part);
/* What has come stays. */
struct part *part_close(struct part *part);
HF_DEFINE_CLEANUP(struct part, part_close)

/* FILE.part. */
const char *part_path(const struct part *part);
int part_fd(const struct part *part);

/* Bytes that are there, of the version that part_etag names (a strong one, with its quotes; "": it has none, and there are no bytes). */
uint64_t part_size(const struct part *part);
const char *part_etag(const struct part *part);

/* Drops what is there: what follows is of this version. Any text will do; a weak or empty one is no version to go on with. */
hf_err part_begin(struct part *part, const char *etag);
hf_err part_add(struct part *part, struct hf_slice piece);

/* Whether the file system has room for so many bytes more. Fails with DISK_FULL. */
hf_err part_check_room(const struct part *part, uint64_t len);

/* Synced, and in the file's place as one step. */
hf_err part_finish(struct part *part);

/* Removes them: they are not what was wanted. */
hf_err part_discard(struct part *part);

#endif
