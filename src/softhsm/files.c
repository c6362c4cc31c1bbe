/* SPDX-License-Identifier: Apache-2.0 */
/* The backend "file": a file an object. */
#include "base/file.h"
#include "softhsm/backend.h"
#include "softhsm/object.h"

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>

#define TOKEN_FILE "token.object"
#define SUFFIX ".object"

struct files {
  char dir[PATH_MAX];
  struct dirent **entries;
  size_t count;
};

static int is_object(const struct dirent *entry)
{
  size_t len = strlen(entry->d_name);
  return len > strlen(SUFFIX) && len < SOFTHSM_NAME_MAX && strcmp(entry->d_name, TOKEN_FILE) != 0 &&
         strcmp(entry->d_name + len - strlen(SUFFIX), SUFFIX) == 0;
}

static void files_close(void *store)
{
  struct files *files = store;
  for (size_t i = 0; i < files->count; i++)
    free(files->entries[i]);
  free(files->entries);
  free(files);
}

static hf_err files_open(const char *dir, void **ret_store)
{
  struct files *files = calloc(1, sizeof(*files));
  if (!files)
    return hf_fail(HF_ERR_NO_MEMORY, "%s", dir);
  snprintf(files->dir, sizeof(files->dir), "%s", dir);
  int count = scandir(dir, &files->entries, is_object, alphasort);
  if (count < 0) {
    hf_err e = hf_fail_errno(errno, "%s", dir);
    free(files);
    return e;
  }
  files->count = (size_t)count;
  if (count > SOFTHSM_OBJECTS_MAX) {
    files_close(files);
    return hf_fail(HF_ERR_LIMIT, "%s holds %d objects", dir, count);
  }
  *ret_store = files;
  return HF_OK;
}

static size_t files_count(const void *store)
{
  return ((const struct files *)store)->count;
}

static void files_name(const void *store, size_t number, char out[SOFTHSM_NAME_MAX])
{
  snprintf(out, SOFTHSM_NAME_MAX, "%.*s", SOFTHSM_NAME_MAX - 1, ((const struct files *)store)->entries[number]->d_name);
}

static hf_err read_file(const struct files *files, const char *name, struct hf_buf *out)
{
  char path[PATH_MAX + SOFTHSM_NAME_MAX];
  struct stat st;
  snprintf(path, sizeof(path), "%s/%s", files->dir, name);
  if (stat(path, &st) != 0)
    return hf_fail_errno(errno, "%s", path);
  /* A pipe would keep us waiting. */
  if (!S_ISREG(st.st_mode) || st.st_size > SOFTHSM_OBJECT_MAX)
    return hf_fail(HF_ERR_TOKEN_STORE, "%s is %s", path, S_ISREG(st.st_mode) ? "too large" : "no file");
  return hf_file_read(path, out);
}

static hf_err files_read_token(void *store, struct hf_buf *out)
{
  return read_file(store, TOKEN_FILE, out);
}

static hf_err files_read(void *store, size_t number, struct hf_buf *out)
{
  const struct files *files = store;
  return read_file(files, files->entries[number]->d_name, out);
}

const struct softhsm_backend softhsm_files = {
  .file = TOKEN_FILE,
  .open = files_open,
  .close = files_close,
  .count = files_count,
  .name = files_name,
  .read_token = files_read_token,
  .read = files_read,
};
