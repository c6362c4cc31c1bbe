/* SPDX-License-Identifier: Apache-2.0 */
#include "softhsm/token.h"

#include "softhsm/backend.h"
#include "softhsm/crypto.h"

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>

/* Of the token's own object: above CKA_VENDOR_DEFINED. */
enum attribute {
  TOKEN_LABEL = 0x5349,
  TOKEN_SERIAL = 0x534a,
  TOKEN_FLAGS = 0x534b,
  TOKEN_SO_BLOB = 0x534c,
  TOKEN_USER_BLOB = 0x534d,
};

struct softhsm_token {
  char dir[PATH_MAX];
  const struct softhsm_backend *backend;
  void *store;
  struct softhsm_object own;
  struct softhsm_info info;
  struct hf_secret *key; /* NULL: not logged in */
  char name[SOFTHSM_NAME_MAX];
};

static const struct softhsm_backend *const backends[] = { &softhsm_files, &softhsm_database };

static struct hf_slice own_bytes(const struct softhsm_token *token, enum attribute type)
{
  return softhsm_object_bytes(&token->own, CKA_VENDOR_DEFINED | (CK_ATTRIBUTE_TYPE)type);
}

static const struct softhsm_backend *find_backend(const char *dir)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(backends); i++) {
    char path[PATH_MAX + SOFTHSM_NAME_MAX];
    struct stat st;
    snprintf(path, sizeof(path), "%s/%s", dir, backends[i]->file);
    if (stat(path, &st) == 0)
      return backends[i];
  }
  return NULL;
}

bool softhsm_is_token(const char *dir)
{
  return find_backend(dir) != NULL;
}

/* What a text field says, without its padding; false where it does not fit. */
static bool copy_text(struct hf_slice text, char *out, size_t size)
{
  while (text.len && text.data[text.len - 1] == ' ')
    text.len--;
  if (text.len >= size || (text.len && memchr(text.data, '\0', text.len)))
    return false;
  if (text.len)
    memcpy(out, text.data, text.len);
  out[text.len] = '\0';
  return true;
}

/* A damaged object, by its name. */
static hf_err in_file(const struct softhsm_token *token, hf_err e, const char *name)
{
  char why[HF_CONTEXT_MAX];
  if (e.code != HF_ERR_TOKEN_STORE && e.code != HF_ERR_PARSE && e.code != HF_ERR_LIMIT)
    return e;
  snprintf(why, sizeof(why), "%s", hf_err_context());
  return hf_fail(HF_ERR_TOKEN_STORE, "%s/%s: %s", token->dir, name, why);
}

static hf_err read_own(struct softhsm_token *token)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf bytes = HF_BUF(SOFTHSM_OBJECT_MAX);
  HF_TRY(token->backend->read_token(token->store, &bytes));
  hf_err e = bytes.len ? softhsm_object_parse(hf_slice(bytes.data, bytes.len), NULL, &token->own)
                       : hf_fail(HF_ERR_TOKEN_STORE, "it is empty");
  if (e.code == HF_ERR_PIN_MISSING)
    e = hf_fail(HF_ERR_TOKEN_STORE, "the token's own object is private");
  if (!hf_failed(e) && (!copy_text(own_bytes(token, TOKEN_LABEL), token->info.label, sizeof(token->info.label)) ||
                        !copy_text(own_bytes(token, TOKEN_SERIAL), token->info.serial, sizeof(token->info.serial))))
    e = hf_fail(HF_ERR_TOKEN_STORE, "the label or the serial is not of the form");
  if (hf_failed(e))
    return in_file(token, e, token->backend->file);
  token->info.flags = softhsm_object_ulong(&token->own, CKA_VENDOR_DEFINED | (CK_ATTRIBUTE_TYPE)TOKEN_FLAGS, 0);
  token->info.has_user_pin = own_bytes(token, TOKEN_USER_BLOB).len != 0;
  return HF_OK;
}

static hf_err no_token(const char *dir)
{
  struct stat st;
  if (stat(dir, &st) != 0)
    return hf_fail_errno(errno, "%s", dir);
  if (S_ISDIR(st.st_mode) && access(dir, R_OK | X_OK) != 0)
    return hf_fail_errno(errno, "%s", dir);
  return hf_hint(hf_fail(HF_ERR_TOKEN_NOT_FOUND, "%s is no token of SoftHSM2's", dir),
                 "Name a directory that holds %s or %s: one below directories.tokendir of softhsm2.conf.",
                 softhsm_files.file, softhsm_database.file);
}

hf_err softhsm_open(const char *dir, struct softhsm_token **ret_token)
{
  HF_CLEANUP(softhsm_closep) struct softhsm_token *token = calloc(1, sizeof(*token));
  if (!token)
    return hf_fail(HF_ERR_NO_MEMORY, "%s", dir);
  if ((size_t)snprintf(token->dir, sizeof(token->dir), "%s", dir) >= sizeof(token->dir))
    return hf_fail(HF_ERR_LIMIT, "a path of %zu bytes", strlen(dir));
  token->backend = find_backend(dir);
  if (!token->backend)
    return no_token(dir);
  HF_TRY(token->backend->open(dir, &token->store));
  HF_TRY(read_own(token));
  *ret_token = HF_TAKE(token);
  return HF_OK;
}

struct softhsm_token *softhsm_close(struct softhsm_token *token)
{
  if (!token)
    return NULL;
  if (token->store)
    token->backend->close(token->store);
  softhsm_object_free(&token->own);
  hf_secret_free(token->key);
  free(token);
  return NULL;
}

const struct softhsm_info *softhsm_info(const struct softhsm_token *token)
{
  return &token->info;
}

static hf_err open_blob(const struct softhsm_token *token, enum attribute blob, struct hf_slice pin, const char *title,
                        struct hf_secret **ret_key)
{
  char whose[128];
  snprintf(whose, sizeof(whose), "%s of token \"%s\"", title, token->info.label);
  return in_file(token, softhsm_blob_open(own_bytes(token, blob), pin, whose, ret_key), token->backend->file);
}

hf_err softhsm_login(struct softhsm_token *token, struct hf_slice pin)
{
  HF_CLEANUP(hf_secret_freep) struct hf_secret *key = NULL;
  if (!token->info.has_user_pin)
    return hf_hint(hf_fail(HF_ERR_USER_PIN_NOT_INITIALIZED, "token \"%s\"", token->info.label),
                   "It holds nothing private. Set its user PIN by SoftHSM2 first, or leave it out.");
  HF_TRY(open_blob(token, TOKEN_USER_BLOB, pin, "user PIN", &key));
  hf_secret_free(token->key);
  token->key = HF_TAKE(key);
  return HF_OK;
}

hf_err softhsm_check_so_pin(const struct softhsm_token *token, struct hf_slice pin)
{
  HF_CLEANUP(hf_secret_freep) struct hf_secret *key = NULL;
  return open_blob(token, TOKEN_SO_BLOB, pin, "SO PIN", &key);
}

size_t softhsm_count(const struct softhsm_token *token)
{
  return token->backend->count(token->store);
}

const char *softhsm_name(struct softhsm_token *token, size_t number)
{
  token->backend->name(token->store, number, token->name);
  return token->name;
}

hf_err softhsm_read(struct softhsm_token *token, size_t number, bool *ret_whole, struct softhsm_object *ret_object)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf bytes = HF_BUF(2 * SOFTHSM_OBJECT_MAX);
  HF_TRY(token->backend->read(token->store, number, &bytes));
  *ret_whole = bytes.len != 0;
  if (!bytes.len)
    return HF_OK;
  return in_file(
      token,
      softhsm_object_parse(hf_slice(bytes.data, bytes.len), token->key ? hf_secret_data(token->key) : NULL, ret_object),
      softhsm_name(token, number));
}
