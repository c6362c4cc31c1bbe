/* SPDX-License-Identifier: Apache-2.0 */
/* The store under damage: a clear error, nothing lost that is whole, never a wrong key. */
#include "token_rig.h"

#include "holdfast/token-ext.h"
#include "token/store/tables.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

CK_RV C_GetInterface(CK_UTF8CHAR *name, CK_VERSION *version, struct hf_ck_interface **interface, CK_FLAGS flags);

static void data_file(char *path, size_t size)
{
  char dir[PATH_MAX];
  rig_token_dir(dir, sizeof(dir));
  snprintf(path, size, "%.500s/data.mdb", dir);
}

static CK_ULONG slot_count(void)
{
  CK_ULONG count;
  assert_ok(C_GetSlotList(CK_TRUE, NULL, &count));
  return count;
}

/* Makes a token with objects, and closes the module. */
static void make_and_close(int objects)
{
  CK_SESSION_HANDLE h = rig_user_session();
  for (int i = 0; i < objects; i++) {
    char label[32];
    snprintf(label, sizeof(label), "object %d", i);
    rig_data(h, label, true, true);
  }
  assert_ok(C_Finalize(NULL));
}

static CK_SESSION_HANDLE reopen(void)
{
  assert_ok(C_Initialize(NULL));
  CK_SESSION_HANDLE h = rig_open_session(rig_first_slot(), CKF_RW_SESSION);
  assert_ok(rig_login(h, CKU_USER, USER_PIN));
  return h;
}

/* A token that cannot be opened keeps its slot, which says why; the module serves the others. */
static void expect_damaged(const char *why)
{
  CK_TOKEN_INFO info;
  CK_SESSION_HANDLE h;
  struct hf_ck_interface *interface;
  char text[1024], hint[256];
  assert_ok(C_Initialize(NULL));
  assert_int_equal(2, slot_count());
  CK_SLOT_ID slot = rig_first_slot();
  assert_rv(CKR_DEVICE_ERROR, C_GetTokenInfo(slot, &info));
  assert_rv(CKR_DEVICE_ERROR, C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &h));
  assert_ok(C_GetInterface(utf8(HOLDFAST_TOKEN_INTERFACE), NULL, &interface, 0));
  assert_rv(CKR_DEVICE_ERROR, C_GetTokenInfo(slot, &info));
  ((struct holdfast_token_ext *)interface->function_list)->last_error(text, sizeof(text), hint, sizeof(hint));
  assert_contains(text, rig_dir);
  assert_contains(text, why);
  assert_contains(hint, "backup");
}

static void test_emptied(void **state)
{
  (void)state;
  char path[PATH_MAX];
  make_and_close(1);
  data_file(path, sizeof(path));
  assert_int_equal(0, truncate(path, 0));
  expect_damaged("cut short");
  struct stat st;
  assert_int_equal(0, stat(path, &st));
  assert_int_equal(0, st.st_size); /* and nothing was made anew in its place */
}

static void test_garbage(void **state)
{
  (void)state;
  char path[PATH_MAX];
  make_and_close(1);
  data_file(path, sizeof(path));
  int fd = open(path, O_WRONLY);
  for (int i = 0; i < 8192; i++)
    assert_int_equal(1, write(fd, &"garbage"[i % 7], 1));
  close(fd);
  expect_damaged("its head");
}

static void test_truncated(void **state)
{
  (void)state;
  char path[PATH_MAX];
  struct stat st;
  make_and_close(200);
  data_file(path, sizeof(path));
  assert_int_equal(0, stat(path, &st));
  for (off_t size = st.st_size - 4096; size >= 8192; size -= 4096) {
    CK_SESSION_HANDLE h;
    CK_SLOT_ID slot;
    CK_OBJECT_HANDLE found[8];
    CK_ULONG n;
    assert_int_equal(0, truncate(path, size));
    assert_ok(C_Initialize(NULL));
    slot = rig_first_slot();
    if (C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &h) == CKR_OK &&
        rig_login(h, CKU_USER, USER_PIN) == CKR_OK && C_FindObjectsInit(h, NULL, 0) == CKR_OK)
      C_FindObjects(h, found, 8, &n);
    assert_ok(C_Finalize(NULL));
  }
}

static hf_err count_row(struct hf_slice key, struct hf_slice value, void *arg)
{
  (void)key;
  (void)value;
  ++*(size_t *)arg;
  return HF_OK;
}

struct damage {
  uint8_t key[8];
  uint8_t value[4096];
  size_t len;
};

static hf_err take_first(struct hf_slice key, struct hf_slice value, void *arg)
{
  struct damage *damage = arg;
  if (damage->len == 0) {
    memcpy(damage->key, key.data, sizeof(damage->key));
    memcpy(damage->value, value.data, value.len);
    damage->len = value.len;
  }
  return HF_OK;
}

static hf_err put_damaged(struct store_txn *txn, void *arg)
{
  struct damage *damage = arg;
  HF_TRY(store_scan(txn, STORE_OBJECTS, hf_slice(NULL, 0), take_first, damage));
  damage->value[damage->len / 2] ^= 0x10;
  return store_put(txn, STORE_OBJECTS, hf_slice(damage->key, sizeof(damage->key)),
                   hf_slice(damage->value, damage->len));
}

/* One flipped bit in an object: that object is not served, the others are. */
static void test_flipped_bit(void **state)
{
  (void)state;
  char dir[PATH_MAX];
  struct store *store;
  struct damage damage = { .len = 0 };
  make_and_close(3);
  rig_token_dir(dir, sizeof(dir));
  assert_hf_ok(store_open(&token_store_kind, dir, &store));
  assert_hf_ok(store_write(store, put_damaged, &damage));
  store_close(store);
  CK_SESSION_HANDLE h = reopen();
  assert_int_equal(0, rig_find_label(h, "object 0", NULL));
  assert_int_equal(1, rig_find_label(h, "object 1", NULL));
  assert_int_equal(2, rig_find(h, NULL, 0, NULL));
}

/* Reading changes nothing, and is not taken for a change. */
static void test_reading(void **state)
{
  (void)state;
  char dir[PATH_MAX];
  struct store *store;
  struct store_txn *txn;
  size_t count = 0;
  make_and_close(5);
  rig_token_dir(dir, sizeof(dir));
  assert_hf_ok(store_open(&token_store_kind, dir, &store));
  uint64_t before = store_changes(store);
  assert_hf_ok(store_read_begin(store, &txn));
  assert_hf_ok(store_scan(txn, STORE_OBJECTS, hf_slice(NULL, 0), count_row, &count));
  store_read_end(txn);
  assert_int_equal(5, count);
  assert_int_equal(before, store_changes(store));
  store_close(store);
}

/* Nothing of a private object's attributes or of a PIN lies in the file in the clear. */
static void test_sealed_at_rest(void **state)
{
  (void)state;
  static char bytes[1 << 20];
  char path[PATH_MAX];
  CK_SESSION_HANDLE h = rig_user_session();
  rig_data(h, "the private label", true, true);
  rig_data(h, "the public label", true, false);
  assert_ok(C_Finalize(NULL));
  data_file(path, sizeof(path));
  int fd = open(path, O_RDONLY);
  ssize_t len = read(fd, bytes, sizeof(bytes));
  close(fd);
  assert_true(len > 0);
  assert_non_null(memmem(bytes, (size_t)len, "the public label", 16));
  assert_null(memmem(bytes, (size_t)len, "the private label", 17));
  assert_null(memmem(bytes, (size_t)len, SO_PIN, strlen(SO_PIN)));
}

/* A small file system of the test's own on rig_dir; without the right to mount one the test is skipped. */
static int small_disk_up(void **state)
{
  snprintf(rig_dir, sizeof(rig_dir), "/tmp/hf-token-XXXXXX");
  assert_non_null(mkdtemp(rig_dir));
  *state = mount("tmpfs", rig_dir, "tmpfs", 0, "size=512k") == 0 ? rig_dir : NULL;
  rig_write_conf("");
  assert_ok(C_Initialize(NULL));
  return 0;
}

static int small_disk_down(void **state)
{
  C_Finalize(NULL);
  if (*state)
    umount2(rig_dir, MNT_DETACH);
  return rig_down(state);
}

/* The call fails, what was there stays, and with room again it goes on. */
static void test_disk_full(void **state)
{
  skip_where(!*state, "may not mount");
  CK_SESSION_HANDLE h = rig_user_session();
  CK_OBJECT_HANDLE object;
  CK_OBJECT_CLASS class = CKO_DATA;
  CK_BBOOL yes = CK_TRUE;
  static CK_BYTE big[50 * 1024];
  CK_ATTRIBUTE tmpl[] = { { CKA_CLASS, &class, sizeof(class) },
                          { CKA_TOKEN, &yes, 1 },
                          { CKA_VALUE, big, sizeof(big) } };
  CK_ULONG created = 1;
  CK_RV rv;
  rig_data(h, "kept", true, true);
  while ((rv = C_CreateObject(h, tmpl, 3, &object)) == CKR_OK && created < 64)
    created++;
  assert_rv(CKR_DEVICE_MEMORY, rv);
  assert_int_equal(1, rig_find_label(h, "kept", NULL));
  assert_int_equal(created, rig_find(h, NULL, 0, NULL));
  assert_int_equal(0, mount(NULL, rig_dir, NULL, MS_REMOUNT, "size=2m"));
  assert_ok(C_CreateObject(h, tmpl, 3, &object));
  assert_int_equal(created + 1, rig_find(h, NULL, 0, NULL));
}

static void copy_file(const char *from, const char *to)
{
  static char bytes[1 << 20];
  int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  ssize_t len = read(in, bytes, sizeof(bytes));
  assert_int_equal(len, write(out, bytes, (size_t)len));
  close(in);
  close(out);
}

/* Restored from a backup, it is there again at the next call. */
static void test_mended(void **state)
{
  (void)state;
  char path[PATH_MAX], backup[PATH_MAX];
  CK_TOKEN_INFO info;
  make_and_close(1);
  data_file(path, sizeof(path));
  snprintf(backup, sizeof(backup), "%.200s/backup", rig_dir);
  copy_file(path, backup);
  assert_int_equal(0, truncate(path, 0));
  assert_ok(C_Initialize(NULL));
  CK_SLOT_ID slot = rig_first_slot();
  assert_rv(CKR_DEVICE_ERROR, C_GetTokenInfo(slot, &info));
  copy_file(backup, path);
  assert_ok(C_GetTokenInfo(slot, &info));
  CK_SESSION_HANDLE h = rig_open_session(slot, 0);
  assert_ok(rig_login(h, CKU_USER, USER_PIN));
  assert_int_equal(1, rig_find_label(h, "object 0", NULL));
}

/* What was open in one process is found by another that comes later, whole. */
static void test_reopen(void **state)
{
  (void)state;
  make_and_close(50);
  CK_SESSION_HANDLE h = reopen();
  assert_int_equal(1, rig_find_label(h, "object 49", NULL));
  assert_int_equal(50, rig_find(h, NULL, 0, NULL));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    RIG_TEST(test_emptied),
    RIG_TEST(test_garbage),
    RIG_TEST(test_truncated),
    RIG_TEST(test_flipped_bit),
    RIG_TEST(test_reading),
    RIG_TEST(test_sealed_at_rest),
    RIG_TEST(test_reopen),
    RIG_TEST(test_mended),
    cmocka_unit_test_setup_teardown(test_disk_full, small_disk_up, small_disk_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
