/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A token whose file was damaged, anywhere: what is read of it is right, or an error tells; nothing crashes, before a write or
 * after it, and no key is another one. Each damage is met by a process of its own. HF_DAMAGE=N: N times as many.
 */
#include "token_rig.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum {
  OBJECTS = 150,
  DESTROYED = 4,
  FILE_MAX = 4 << 20,
  PAGE = 4096,
  META_BYTES = 160,
  FLIPS = 400,
  CUTS = 40,
  POINT_MAX = 80
};

/* What a child saw. */
enum { RIGHT, REFUSED, MISSING, WRONG };

/* Added to it as an exit status: a sanitizer ends a process with 1. */
enum { SAID = 50 };

static struct {
  char path[PATH_MAX];
  uint8_t whole[FILE_MAX];
  size_t len;
  CK_BYTE point[POINT_MAX];
  CK_ULONG point_len;
} store;

static CK_BYTE p256[] = { 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7 };

static unsigned more(void)
{
  const char *times = getenv("HF_DAMAGE");
  return times ? (unsigned)strtoul(times, NULL, 10) : 1;
}

static void label_of(unsigned i, char label[16])
{
  snprintf(label, 16, "object %u", i);
}

/* Of some objects the value has pages of its own. */
static CK_ULONG value_of(unsigned i, CK_BYTE value[6000])
{
  CK_ULONG len = i % 10 ? 20 : 6000;
  memset(value, (int)i, len);
  return len;
}

static CK_RV create(CK_SESSION_HANDLE h, unsigned i)
{
  static CK_BYTE value[6000];
  char label[16];
  CK_OBJECT_CLASS class = CKO_DATA;
  CK_BBOOL yes = CK_TRUE, private = i % 2;
  CK_OBJECT_HANDLE object;
  label_of(i, label);
  CK_ATTRIBUTE tmpl[] = { { CKA_CLASS, &class, sizeof(class) },
                          { CKA_TOKEN, &yes, 1 },
                          { CKA_PRIVATE, &private, 1 },
                          { CKA_LABEL, label, strlen(label) },
                          { CKA_VALUE, value, value_of(i, value) } };
  return C_CreateObject(h, tmpl, 5, &object);
}

/* In memory where there is such a place: the disk's own time is of no interest here, and thousands of writes are synced. */
static int group_up(void **state)
{
  (void)state;
  char dir[PATH_MAX];
  snprintf(rig_dir, sizeof(rig_dir), "%s/hf-token-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
  assert_non_null(mkdtemp(rig_dir));
  rig_write_conf("");
  assert_ok(C_Initialize(NULL));
  CK_SESSION_HANDLE h = rig_user_session();
  struct rig_pair pair = rig_ec(h, true);
  CK_ATTRIBUTE point = { CKA_EC_POINT, store.point, sizeof(store.point) };
  assert_ok(C_GetAttributeValue(h, pair.public, &point, 1));
  store.point_len = point.ulValueLen;
  for (unsigned i = 0; i < OBJECTS; i++)
    assert_ok(create(h, i));
  assert_ok(C_Finalize(NULL));
  rig_token_dir(dir, sizeof(dir));
  snprintf(store.path, sizeof(store.path), "%.500s/data.mdb", dir);
  int fd = open(store.path, O_RDONLY);
  ssize_t len = read(fd, store.whole, sizeof(store.whole));
  close(fd);
  assert_true(len > 0 && len < FILE_MAX);
  store.len = (size_t)len;
  return 0;
}

/* The verdict of one more look: the worst of all counts, a refusal before what is missing. */
static void note(int *verdict, int seen)
{
  if (seen > *verdict)
    *verdict = seen;
}

/* rig_find asserts, which a child must not. */
static bool find(CK_SESSION_HANDLE h, CK_ATTRIBUTE *tmpl, CK_OBJECT_HANDLE *ret_object, int *verdict)
{
  CK_ULONG n = 0;
  if (C_FindObjectsInit(h, tmpl, 1) != CKR_OK) {
    note(verdict, REFUSED);
    return false;
  }
  C_FindObjects(h, ret_object, 1, &n);
  C_FindObjectsFinal(h);
  if (n == 0)
    note(verdict, MISSING);
  return n;
}

static bool find_label(CK_SESSION_HANDLE h, unsigned i, CK_OBJECT_HANDLE *ret_object, int *verdict)
{
  char label[16];
  label_of(i, label);
  CK_ATTRIBUTE tmpl = { CKA_LABEL, label, strlen(label) };
  return find(h, &tmpl, ret_object, verdict);
}

static void look_at_object(CK_SESSION_HANDLE h, unsigned i, int *verdict)
{
  static CK_BYTE wanted[6000], value[6000];
  CK_OBJECT_HANDLE object;
  CK_ULONG len = value_of(i, wanted);
  CK_ATTRIBUTE attr = { CKA_VALUE, value, sizeof(value) };
  if (!find_label(h, i, &object, verdict))
    return;
  if (C_GetAttributeValue(h, object, &attr, 1) != CKR_OK)
    note(verdict, REFUSED);
  else if (attr.ulValueLen != len || memcmp(value, wanted, len) != 0)
    note(verdict, WRONG);
}

/* With the public key that was written down before. */
static bool verifies(CK_SESSION_HANDLE h, CK_BYTE *digest, CK_BYTE *signature, CK_ULONG len)
{
  CK_OBJECT_CLASS class = CKO_PUBLIC_KEY;
  CK_KEY_TYPE type = CKK_EC;
  CK_OBJECT_HANDLE key;
  CK_MECHANISM m = { CKM_ECDSA, NULL, 0 };
  CK_ATTRIBUTE tmpl[] = { { CKA_CLASS, &class, sizeof(class) },
                          { CKA_KEY_TYPE, &type, sizeof(type) },
                          { CKA_EC_PARAMS, p256, sizeof(p256) },
                          { CKA_EC_POINT, store.point, store.point_len } };
  return C_CreateObject(h, tmpl, 4, &key) == CKR_OK && C_VerifyInit(h, &m, key) == CKR_OK &&
         C_Verify(h, digest, 32, signature, len) == CKR_OK;
}

static void look_at_key(CK_SESSION_HANDLE h, int *verdict)
{
  CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
  CK_ATTRIBUTE tmpl = { CKA_CLASS, &class, sizeof(class) };
  CK_MECHANISM m = { CKM_ECDSA, NULL, 0 };
  CK_BYTE digest[32] = { 1 }, signature[64];
  CK_ULONG len = sizeof(signature);
  CK_OBJECT_HANDLE key;
  if (!find(h, &tmpl, &key, verdict))
    return;
  if (C_SignInit(h, &m, key) != CKR_OK || C_Sign(h, digest, sizeof(digest), signature, &len) != CKR_OK)
    note(verdict, REFUSED);
  else if (!verifies(h, digest, signature, len))
    note(verdict, WRONG);
}

static void look_at_all(CK_SESSION_HANDLE h, unsigned from, int *verdict)
{
  look_at_key(h, verdict);
  for (unsigned i = from; i < OBJECTS; i++)
    look_at_object(h, i, verdict);
}

static void change(CK_SESSION_HANDLE h, int *verdict)
{
  for (unsigned i = 0; i < DESTROYED; i++) {
    CK_OBJECT_HANDLE object;
    if (find_label(h, i, &object, verdict) && C_DestroyObject(h, object) != CKR_OK)
      note(verdict, REFUSED);
  }
  for (unsigned i = OBJECTS; i < OBJECTS + 10; i++)
    if (create(h, i) != CKR_OK)
      note(verdict, REFUSED);
}

static int meet(void)
{
  int verdict = RIGHT;
  CK_SESSION_HANDLE h;
  CK_SLOT_ID slots[4];
  CK_ULONG count = 4;
  if (C_Initialize(NULL) != CKR_OK || C_GetSlotList(CK_TRUE, slots, &count) != CKR_OK || count != 2)
    return WRONG; /* one damaged token is no reason to refuse all */
  if (C_OpenSession(slots[0], CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &h) != CKR_OK ||
      rig_login(h, CKU_USER, USER_PIN) != CKR_OK)
    return C_Finalize(NULL) == CKR_OK ? REFUSED : WRONG;
  look_at_all(h, 0, &verdict);
  change(h, &verdict);
  look_at_all(h, DESTROYED, &verdict);
  return C_Finalize(NULL) == CKR_OK ? verdict : WRONG;
}

/* An object that is left out must be told of in the log. */
static int meet_and_log(void)
{
  struct stat log;
  int fd = memfd_create("log", 0);
  dup2(fd, STDERR_FILENO);
  setenv("HOLDFAST_LOG", "stderr", 1);
  int verdict = meet();
  return verdict == MISSING && (fstat(fd, &log) != 0 || log.st_size == 0) ? WRONG : verdict;
}

static int meet_in_child(void)
{
  pid_t child = fork();
  if (child == 0)
    _exit(SAID + meet_and_log());
  int status;
  assert_int_equal(child, waitpid(child, &status, 0));
  if (WIFEXITED(status))
    return WEXITSTATUS(status) >= SAID ? WEXITSTATUS(status) - SAID : WRONG;
  return -WTERMSIG(status);
}

static void write_store(const uint8_t *bytes, size_t len)
{
  int fd = open(store.path, O_WRONLY | O_TRUNC);
  assert_true(fd >= 0);
  assert_int_equal(len, write(fd, bytes, len));
  close(fd);
}

static unsigned seen[WRONG + 1];

/* What is told of a damage that should not have been: enough to do it again. */
static void expect_sound(const char *what, size_t at, unsigned with)
{
  int verdict = meet_in_child();
  if (verdict < 0 || verdict >= WRONG) {
    print_error("%s at %zu (page %zu, byte %zu) with 0x%02x: %s %d\n", what, at, at / PAGE, at % PAGE, with,
                verdict < 0 ? "signal" : "wrong answer", verdict < 0 ? -verdict : verdict);
    fail();
  }
  seen[verdict]++;
}

static void flip(size_t at, uint8_t with)
{
  static uint8_t bytes[FILE_MAX];
  memcpy(bytes, store.whole, store.len);
  bytes[at] ^= with;
  write_store(bytes, store.len);
  expect_sound("a flip", at, with);
}

static void tell_seen(void)
{
  print_message("# right %u, refused %u, something missing %u\n", seen[RIGHT], seen[REFUSED], seen[MISSING]);
  memset(seen, 0, sizeof(seen));
}

static void test_whole(void **state)
{
  (void)state;
  write_store(store.whole, store.len);
  assert_int_equal(RIGHT, meet_in_child());
}

/* Every byte that the two pages at the head use, and some of those that they do not. */
static void test_heads(void **state)
{
  (void)state;
  static const uint8_t flips[] = { 0x01, 0x80, 0xff };
  for (size_t page = 0; page < 2; page++)
    for (size_t i = 0; i < PAGE; i += i < META_BYTES ? 1 : 512)
      flip(page * PAGE + i, flips[i % 3]);
  assert_int_equal(0, seen[MISSING]);
  tell_seen();
}

static uint32_t random_number(uint32_t below)
{
  static uint64_t state = 88172645463325252U;
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (uint32_t)(state >> 16) % below;
}

static void test_flips(void **state)
{
  (void)state;
  for (unsigned i = 0; i < FLIPS * more(); i++)
    flip(2 * PAGE + random_number((uint32_t)store.len - 2 * PAGE), (uint8_t)(1U << random_number(8)));
  tell_seen();
}

/* The heads of pages and of their entries, where LMDB finds what to trust. */
static void test_page_heads(void **state)
{
  (void)state;
  for (unsigned i = 0; i < FLIPS / 2 * more(); i++)
    flip((2 + random_number((uint32_t)(store.len / PAGE) - 2)) * PAGE + random_number(64),
         (uint8_t)(1U << random_number(8)));
  tell_seen();
}

static void test_pages_lost(void **state)
{
  (void)state;
  static uint8_t bytes[FILE_MAX];
  for (size_t page = 2; page < store.len / PAGE; page++) {
    memcpy(bytes, store.whole, store.len);
    if (page % 2)
      memset(bytes + page * PAGE, 0, PAGE);
    else
      memcpy(bytes + page * PAGE, store.whole + (page - 1) * PAGE, PAGE);
    write_store(bytes, store.len);
    expect_sound("a page lost", page * PAGE, 0);
  }
  tell_seen();
}

static void test_cuts(void **state)
{
  (void)state;
  for (unsigned i = 0; i < CUTS * more(); i++) {
    size_t len = random_number((uint32_t)store.len);
    write_store(store.whole, len);
    expect_sound("a cut", len, 0);
  }
  tell_seen();
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_whole),      cmocka_unit_test(test_heads),      cmocka_unit_test(test_flips),
    cmocka_unit_test(test_page_heads), cmocka_unit_test(test_pages_lost), cmocka_unit_test(test_cuts),
  };
  return cmocka_run_group_tests(tests, group_up, rig_down);
}
