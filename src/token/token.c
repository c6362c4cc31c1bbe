/* SPDX-License-Identifier: Apache-2.0 */
#include "token/token_private.h"

#include "base/file.h"
#include "token/simulation/simulated.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

enum { UUID_CHARS = 36 };

/* A directory of this name is a token that is being restored: see token_create_aside. */
#define TOKEN_ASIDE ".restore"
#define ASIDE_LOCK "restore.lock" /* in it: held by the process that restores it */

static hf_err sync_dir(const char *path)
{
  HF_CLEANUP(hf_closep) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return fd >= 0 && fsync(fd) == 0 ? HF_OK : hf_fail_errno(errno, "%s", path);
}

static hf_err new_uuid(uint8_t uuid[TOKEN_UUID_BYTES], char text[UUID_CHARS + 1])
{
  HF_TRY(crypto_random(uuid, TOKEN_UUID_BYTES));
  uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x40);
  uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
  char *to = text;
  for (size_t i = 0; i < TOKEN_UUID_BYTES; i++)
    to += snprintf(to, 4, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", uuid[i]);
  return HF_OK;
}

hf_err token_new_serial(bool (*taken)(const char *serial, void *arg), void *arg, char serial[SERIAL_CHARS + 1])
{
  do {
    uint8_t bytes[SERIAL_CHARS / 2];
    HF_TRY(crypto_random(bytes, sizeof(bytes)));
    for (size_t i = 0; i < sizeof(bytes); i++)
      snprintf(serial + 2 * i, 3, "%02x", bytes[i]);
  } while (taken(serial, arg));
  return HF_OK;
}

static hf_err write_header(struct store_txn *txn, void *arg)
{
  return header_write(txn, arg);
}

/* The epoch, the master key and its wrap by the SO PIN, all anew; no user PIN. */
static hf_err fresh_header(const struct token_conf *conf, struct hf_slice so_pin, const uint8_t label[LABEL_BYTES],
                           struct header *header)
{
  HF_CLEANUP(hf_secret_freep) struct hf_secret *keys = NULL;
  HF_TRY(crypto_random(header->epoch, sizeof(header->epoch)));
  memcpy(header->label, label, LABEL_BYTES);
  header->wraps[WRAP_USER] = (struct wrap){ 0 };
  HF_TRY(token_new_keys(&keys));
  return token_wrap(conf, header->uuid, WRAP_SO, so_pin, keys, &header->wraps[WRAP_SO]);
}

static hf_err fill_new_dir(const struct token_conf *conf, const char *dir, struct header *header)
{
  struct store *store;
  HF_TRY(store_create(&token_store_kind, dir, conf->umask));
  HF_TRY(store_open(&token_store_kind, dir, &store));
  hf_err e = store_write(store, write_header, header);
  store_close(store);
  return hf_failed(e) ? e : sync_dir(dir);
}

static void remove_dir(const char *dir)
{
  static const char *const files[] = { "data.mdb", "lock.mdb", BOARD_FILE, ASIDE_LOCK };
  char path[PATH_MAX + 16];
  for (size_t i = 0; i < HF_ARRAY_LEN(files); i++) {
    snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
    unlink(path);
  }
  rmdir(dir);
}

/* A new token whose directory's name ends in suffix: no scan finds it. The header has its serial already. */
static hf_err make_aside(const struct token_conf *conf, struct hf_slice so_pin, const uint8_t label[LABEL_BYTES],
                         const char *suffix, struct header *header, char aside[PATH_MAX])
{
  char name[UUID_CHARS + 1];
  if (conf->tokendir_default)
    HF_TRY(hf_dir_make(conf->tokendir));
  HF_TRY(new_uuid(header->uuid, name));
  HF_TRY(fresh_header(conf, so_pin, label, header));
  if ((size_t)snprintf(aside, PATH_MAX, "%s/%s%s", conf->tokendir, name, suffix) >= PATH_MAX)
    return hf_fail(HF_ERR_LIMIT, "the path %s", conf->tokendir);
  if (mkdir(aside, 0777 & ~conf->umask) != 0)
    return hf_fail_errno(errno, "%s", conf->tokendir);
  hf_err e = fill_new_dir(conf, aside, header);
  if (hf_failed(e))
    remove_dir(aside);
  return e;
}

/* Its name without the suffix: from here on every scan finds it. */
static hf_err put_in_place(const struct token_conf *conf, const char *aside, const char *suffix, char dir[PATH_MAX])
{
  snprintf(dir, PATH_MAX, "%.*s", (int)(strlen(aside) - strlen(suffix)), aside);
  if (rename(aside, dir) != 0)
    return hf_fail_errno(errno, "%s", dir);
  return sync_dir(conf->tokendir);
}

hf_err token_create(const struct token_conf *conf, struct hf_slice so_pin, const uint8_t label[LABEL_BYTES],
                    bool (*serial_taken)(const char *serial, void *arg), void *arg, struct token **ret_token)
{
  static const char suffix[] = ".new";
  struct header header = { 0 };
  char dir[PATH_MAX], aside[PATH_MAX];
  HF_TRY(token_new_serial(serial_taken, arg, header.serial));
  HF_TRY(make_aside(conf, so_pin, label, suffix, &header, aside));
  hf_err e = put_in_place(conf, aside, suffix, dir);
  if (hf_failed(e)) {
    remove_dir(aside);
    return e;
  }
  return token_open(conf, dir, ret_token);
}

static bool is_aside(const char *dir)
{
  size_t len = strlen(dir), suffix = strlen(TOKEN_ASIDE);
  return len > suffix && strcmp(dir + len - suffix, TOKEN_ASIDE) == 0;
}

static int is_aside_entry(const struct dirent *entry)
{
  return is_aside(entry->d_name);
}

static hf_err open_locked(const char *path, int flags, int *ret_fd)
{
  int fd = open(path, O_RDONLY | O_CLOEXEC | flags, 0600);
  if (fd >= 0 && flock(fd, LOCK_EX) == 0) {
    *ret_fd = fd;
    return HF_OK;
  }
  hf_err e = hf_fail_errno(errno, "%s", path);
  if (fd >= 0)
    close(fd);
  return e;
}

static void lock_path(const char *dir, char out[PATH_MAX + 32])
{
  snprintf(out, PATH_MAX + 32, "%s/" ASIDE_LOCK, dir);
}

/* Nobody is between making a directory and its lock: see token_create_aside. */
static bool is_left_behind(const char *dir)
{
  char path[PATH_MAX + 32];
  lock_path(dir, path);
  HF_CLEANUP(hf_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
  return fd < 0 ? errno == ENOENT : flock(fd, LOCK_EX | LOCK_NB) == 0;
}

/* With the lock of the tokens' directory: what a process that was killed left. */
static void tidy_asides(const struct token_conf *conf)
{
  struct dirent **entries;
  int count = scandir(conf->tokendir, &entries, is_aside_entry, NULL);
  for (int i = 0; i < count; i++) {
    char dir[PATH_MAX];
    bool fits = (size_t)snprintf(dir, sizeof(dir), "%s/%s", conf->tokendir, entries[i]->d_name) < sizeof(dir);
    if (fits && is_left_behind(dir))
      remove_dir(dir);
    free(entries[i]);
  }
  if (count >= 0)
    free(entries);
}

hf_err token_create_aside(const struct token_conf *conf, struct hf_slice so_pin, const uint8_t label[LABEL_BYTES],
                          const char serial[SERIAL_CHARS + 1], struct token **ret_token, int *ret_lock)
{
  struct header header = { 0 };
  char aside[PATH_MAX], path[PATH_MAX + 32];
  struct token *token = NULL;
  int lock = -1;
  HF_CLEANUP(hf_closep) int all = -1;
  if (conf->tokendir_default)
    HF_TRY(hf_dir_make(conf->tokendir));
  memcpy(header.serial, serial, SERIAL_CHARS);
  /* So that nobody tidies it away before it has its lock. */
  HF_TRY(open_locked(conf->tokendir, O_DIRECTORY, &all));
  tidy_asides(conf);
  HF_TRY(make_aside(conf, so_pin, label, TOKEN_ASIDE, &header, aside));
  lock_path(aside, path);
  hf_err e = open_locked(path, O_CREAT, &lock);
  if (!hf_failed(e))
    e = token_open(conf, aside, &token);
  /* One sync, when it is put in place, in place of one an object. */
  if (!hf_failed(e))
    e = store_defer_sync(token->store);
  if (hf_failed(e)) {
    token_close(token);
    hf_closep(&lock);
    remove_dir(aside);
    return e;
  }
  *ret_token = token;
  *ret_lock = lock;
  return HF_OK;
}

hf_err token_publish(struct token *token)
{
  char dir[PATH_MAX], path[PATH_MAX + 32];
  HF_TRY(store_sync(token->store));
  HF_TRY(put_in_place(token->conf, token->dir, TOKEN_ASIDE, dir));
  lock_path(dir, path);
  unlink(path);
  snprintf(token->dir, sizeof(token->dir), "%s", dir);
  store_moved(token->store, dir);
  return HF_OK;
}

bool token_is_aside(const struct token *token)
{
  return is_aside(token->dir);
}

hf_err token_open(const struct token_conf *conf, const char *dir, struct token **ret_token)
{
  struct token *token = calloc(1, sizeof(*token));
  if (!token)
    return hf_fail(HF_ERR_NO_MEMORY, "token %s", dir);
  pthread_mutex_init(&token->lock, NULL);
  handles_init(&token->handles);
  snprintf(token->dir, sizeof(token->dir), "%s", dir);
  token->conf = conf;
  token->header_changes = UINT64_MAX;
  hf_err e = store_open(&token_store_kind, dir, &token->store);
  if (!hf_failed(e))
    e = token_header(token, &(struct header){ 0 });
  if (!hf_failed(e) && conf->simulation.enabled)
    e = simulated_open(&conf->simulation, dir, conf->umask, &token->simulated);
  if (hf_failed(e)) {
    token_close(token);
    return e;
  }
  *ret_token = token;
  return HF_OK;
}

struct token *token_close(struct token *token)
{
  if (!token)
    return NULL;
  hf_secret_free(token->keys);
  handles_free(&token->handles);
  simulated_close(token->simulated);
  store_close(token->store);
  pthread_mutex_destroy(&token->lock);
  free(token);
  return NULL;
}

const char *token_dir(const struct token *token)
{
  return token->dir;
}

struct simulated *token_simulated(const struct token *token)
{
  return token->simulated;
}

static bool every(const struct entry *entry, const void *arg)
{
  (void)entry;
  (void)arg;
  return true;
}

hf_err token_refresh(struct token *token)
{
  if (token->header_changes != store_changes(token->store)) {
    struct store_txn *txn;
    struct header header;
    HF_TRY(store_read_begin(token->store, &txn));
    uint64_t changes = store_snapshot(txn);
    hf_err e = header_read(txn, &header);
    store_read_end(txn);
    HF_TRY(e);
    if (token->header_changes != UINT64_MAX && memcmp(header.epoch, token->header.epoch, sizeof(header.epoch)) != 0) {
      token_forget_login(token);
      handles_drop_if(&token->handles, every, NULL);
    }
    token->header = header;
    token->header_changes = changes;
  }
  if (token->header.deleted)
    return hf_fail(HF_ERR_TOKEN_NOT_PRESENT, "the token \"%.*s\" was deleted", HEADER_LABEL(&token->header));
  return HF_OK;
}

hf_err token_header(struct token *token, struct header *ret_header)
{
  TOKEN_LOCK(token);
  HF_TRY(token_refresh(token));
  *ret_header = token->header;
  return HF_OK;
}

struct seal token_seal(const struct token *token)
{
  struct seal seal = { .uuid = token->header.uuid };
  if (token->login == LOGIN_USER) {
    seal.key = hf_secret_data(token->keys);
    seal.index_key = seal.key + MASTER_BYTES;
  }
  return seal;
}

enum login token_login_state(struct token *token)
{
  TOKEN_LOCK(token);
  return token->login;
}

struct token_mark token_mark(const struct token *token)
{
  return (struct token_mark){ store_changes(token->store), token->local };
}

static hf_err replace_all(struct store_txn *txn, void *arg)
{
  struct header *header = arg;
  HF_TRY(store_clear(txn, STORE_OBJECTS));
  HF_TRY(store_clear(txn, STORE_INDEX));
  return header_write(txn, header);
}

hf_err token_reinit(struct token *token, struct hf_slice so_pin, const uint8_t label[LABEL_BYTES])
{
  HF_CLEANUP(hf_secret_freep) struct hf_secret *keys = NULL;
  struct header header;
  HF_TRY(token_try_pin(token, WRAP_SO, so_pin, &header, &keys));
  HF_TRY(fresh_header(token->conf, so_pin, label, &header));
  return store_write(token->store, replace_all, &header);
}

static hf_err mark_deleted(struct store_txn *txn, void *arg)
{
  struct header *header = arg;
  HF_TRY(header_read(txn, header));
  header->deleted = true;
  HF_TRY(store_clear(txn, STORE_OBJECTS));
  HF_TRY(store_clear(txn, STORE_INDEX));
  return header_write(txn, header);
}

hf_err token_delete(struct token *token)
{
  struct header header;
  HF_TRY(store_write(token->store, mark_deleted, &header));
  remove_dir(token->dir);
  if (access(token->dir, F_OK) == 0)
    return hf_fail(HF_ERR_PERMISSION, "%s could not be removed whole", token->dir);
  return HF_OK;
}
