/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/part.h"

#include "base/file.h"
#include "identity/http.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

enum { SOURCE_MAX = 16 * 1024 };

struct part {
  char *path, *part, *source;
  char *url;
  char etag[HTTP_ETAG_MAX];
  int fd;
  uint64_t size;
};

static hf_err allocate(const char *path, const char *url, struct part **ret_part)
{
  HF_CLEANUP(part_closep) struct part *part = calloc(1, sizeof(*part));
  if (!part)
    return hf_fail(HF_ERR_NO_MEMORY, "%s", path);
  part->fd = -1;
  part->path = strdup(path);
  part->url = strdup(url);
  if (!part->path || !part->url || asprintf(&part->part, "%s.part", path) < 0 ||
      asprintf(&part->source, "%s.part.source", path) < 0)
    return hf_fail(HF_ERR_NO_MEMORY, "%s", path);
  *ret_part = HF_TAKE(part);
  return HF_OK;
}

/* The one who had it may have given it the file's name since it was opened: then it is not ours to write. */
static hf_err check_same(const struct part *part)
{
  struct stat ours, there;
  if (fstat(part->fd, &ours) != 0)
    return hf_fail_errno(errno, "%s", part->part);
  if (lstat(part->part, &there) != 0 || there.st_ino != ours.st_ino || there.st_dev != ours.st_dev)
    return hf_fail(HF_ERR_BUSY, "%s was just finished by another program", part->part);
  if (!S_ISREG(ours.st_mode) || ours.st_nlink != 1)
    return hf_hint(hf_fail(HF_ERR_IO, "%s is no file of its own", part->part), "Remove it.");
  return fchmod(part->fd, S_IRUSR | S_IWUSR) == 0 ? HF_OK : hf_fail_errno(errno, "%s", part->part);
}

/* Only a strong one says that bytes are the same (RFC 9110, section 8.8.1). */
static bool is_strong(const char *etag)
{
  return etag && etag[0] == '"' && strlen(etag) < HTTP_ETAG_MAX;
}

/* What cannot be read is as if it were not there: then all is fetched anew. */
static void read_source(struct part *part)
{
  struct stat st;
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(SOURCE_MAX);
  if (hf_failed(hf_file_read(part->source, &text)) || fstat(part->fd, &st) != 0)
    return;
  HF_CLEANUP(json_decrefp) json_t *source = json_loadb((const char *)text.data, text.len, 0, NULL);
  const char *url = json_string_value(json_object_get(source, "url")),
             *etag = json_string_value(json_object_get(source, "etag"));
  if (!url || strcmp(url, part->url) != 0 || !is_strong(etag))
    return;
  snprintf(part->etag, sizeof(part->etag), "%s", etag);
  part->size = (uint64_t)st.st_size;
}

hf_err part_open(const char *path, const char *url, struct part **ret_part)
{
  HF_CLEANUP(part_closep) struct part *part = NULL;
  struct stat st;
  if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
    return hf_hint(hf_fail(HF_ERR_USAGE, "%s is no file", path), "Name the file itself.");
  HF_TRY(allocate(path, url, &part));
  HF_TRY(hf_file_lock(part->part, &part->fd));
  HF_TRY(check_same(part));
  read_source(part);
  *ret_part = HF_TAKE(part);
  return HF_OK;
}

struct part *part_close(struct part *part)
{
  if (!part)
    return NULL;
  hf_closep(&part->fd);
  free(part->path);
  free(part->part);
  free(part->source);
  free(part->url);
  free(part);
  return NULL;
}

const char *part_path(const struct part *part)
{
  return part->part;
}

int part_fd(const struct part *part)
{
  return part->fd;
}

uint64_t part_size(const struct part *part)
{
  return part->size;
}

const char *part_etag(const struct part *part)
{
  return part->etag;
}

/* First nothing is there, then it is said of what: a cut between the two leaves no bytes of another version. */
hf_err part_begin(struct part *part, const char *etag)
{
  part->etag[0] = '\0';
  part->size = 0;
  if (ftruncate(part->fd, 0) != 0)
    return hf_fail_errno(errno, "%s", part->part);
  if (!is_strong(etag))
    return hf_file_remove(part->source);
  snprintf(part->etag, sizeof(part->etag), "%s", etag);
  HF_CLEANUP(json_decrefp) json_t *source = json_pack("{s:s, s:s}", "url", part->url, "etag", part->etag);
  HF_CLEANUP(hf_freep) char *text = source ? json_dumps(source, JSON_INDENT(2)) : NULL;
  return text ? hf_file_write(part->source, text, strlen(text), S_IRUSR | S_IWUSR)
              : hf_fail(HF_ERR_INTERNAL, "%s", part->source);
}

hf_err part_add(struct part *part, struct hf_slice piece)
{
  while (piece.len > 0) {
    ssize_t n = pwrite(part->fd, piece.data, piece.len, (off_t)part->size);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return hf_fail_errno(errno, "writing %s", part->part);
    piece = hf_slice(piece.data + n, piece.len - (size_t)n);
    part->size += (uint64_t)n;
  }
  return HF_OK;
}

hf_err part_check_room(const struct part *part, uint64_t len)
{
  struct statvfs fs;
  if (fstatvfs(part->fd, &fs) != 0 || fs.f_blocks == 0 || len <= (uint64_t)fs.f_bavail * fs.f_frsize)
    return HF_OK;
  return hf_fail(HF_ERR_DISK_FULL, "%s needs %llu MiB more, and %llu MiB are free", part->part,
                 (unsigned long long)(len >> 20) + 1, (unsigned long long)fs.f_bavail * fs.f_frsize >> 20);
}

hf_err part_finish(struct part *part)
{
  if (fsync(part->fd) != 0)
    return hf_fail_errno(errno, "writing %s", part->part);
  HF_TRY(hf_file_rename(part->part, part->path));
  hf_ignore(hf_file_remove(part->source));
  return HF_OK;
}

hf_err part_discard(struct part *part)
{
  HF_TRY(part_begin(part, ""));
  return hf_file_remove(part->part);
}
