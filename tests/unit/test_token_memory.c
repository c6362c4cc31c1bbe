/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory runs out, at each allocation of ours in turn, and at some of libcrypto's, libc's and LMDB's thousands: the call fails with a code
 * that says so, nothing of ours is leaked, and the next call works. Not under a sanitizer, which has an allocator of its own.
 */
#include "token_rig.h"

#include "holdfast/token-ext.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/wait.h>

CK_RV C_GetInterface(CK_UTF8CHAR *name, CK_VERSION *version, struct hf_ck_interface **interface, CK_FLAGS flags);

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void __libc_free(void *block);

/* Whose allocations are counted down; the one that brings it to 0 fails. Below 0: none does. */
static struct {
  atomic_long left;
  bool ours;
} countdown = { .left = -1 };
static atomic_long live;

extern const char __executable_start, etext;

static bool fails(const void *caller)
{
  bool ours = (const char *)caller >= &__executable_start && (const char *)caller < &etext;
  if (countdown.left < 0 || ours != countdown.ours || atomic_fetch_sub(&countdown.left, 1) != 1)
    return false;
  errno = ENOMEM;
  return true;
}

#define FAILS() fails(__builtin_return_address(0))

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define COUNTED true
#define SEEN_BY_ALL __attribute__((visibility("default")))

SEEN_BY_ALL void *malloc(size_t size)
{
  void *block = FAILS() ? NULL : __libc_malloc(size);
  live += block != NULL;
  return block;
}

SEEN_BY_ALL void *calloc(size_t count, size_t size)
{
  void *block = FAILS() ? NULL : __libc_calloc(count, size);
  live += block != NULL;
  return block;
}

SEEN_BY_ALL void *realloc(void *old, size_t size)
{
  void *block = FAILS() ? NULL : __libc_realloc(old, size);
  live += block != NULL && !old;
  return block;
}

SEEN_BY_ALL void free(void *block)
{
  live -= block != NULL;
  __libc_free(block);
}
#else
#define COUNTED false
#endif

static struct {
  CK_SLOT_ID slot;
  CK_SESSION_HANDLE session;
  struct rig_pair ec, rsa;
  CK_OBJECT_HANDLE data;
} up;

static CK_BYTE p256[] = { 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7 }, p384[] = { 6, 5, 0x2b, 0x81, 4, 0, 0x22 };

/* Entry points */

static CK_RV initialize(void)
{
  return C_Initialize(NULL);
}

static CK_RV list_slots(void)
{
  CK_ULONG count;
  return C_GetSlotList(CK_TRUE, NULL, &count);
}

static CK_RV token_info(void)
{
  CK_TOKEN_INFO info;
  return C_GetTokenInfo(up.slot, &info);
}

static CK_RV open_session(void)
{
  CK_SESSION_HANDLE h;
  return C_OpenSession(up.slot, CKF_SERIAL_SESSION, NULL, NULL, &h);
}

static CK_RV init_another_token(void)
{
  CK_SLOT_ID slots[8];
  CK_ULONG count = 8;
  CK_UTF8CHAR label[32] = "another";
  CK_RV rv = C_GetSlotList(CK_TRUE, slots, &count);
  return rv == CKR_OK ? C_InitToken(slots[count - 1], utf8(SO_PIN), strlen(SO_PIN), label) : rv;
}

static CK_RV login(void)
{
  return rig_login(up.session, CKU_USER, USER_PIN);
}

static CK_RV set_pin(void)
{
  return C_SetPIN(up.session, utf8(USER_PIN), 4, utf8(USER_PIN), 4);
}

static CK_RV find(void)
{
  CK_ATTRIBUTE label = { CKA_LABEL, utf8("data"), 4 };
  CK_OBJECT_HANDLE found;
  CK_ULONG n;
  CK_RV rv = C_FindObjectsInit(up.session, &label, 1);
  if (rv == CKR_OK)
    rv = C_FindObjects(up.session, &found, 1, &n);
  return rv == CKR_OK ? C_FindObjectsFinal(up.session) : rv;
}

static CK_RV create_one(bool token)
{
  CK_OBJECT_CLASS class = CKO_DATA;
  CK_BBOOL is_token = token, yes = CK_TRUE;
  CK_OBJECT_HANDLE object;
  CK_ATTRIBUTE tmpl[] = { { CKA_CLASS, &class, sizeof(class) },
                          { CKA_TOKEN, &is_token, 1 },
                          { CKA_PRIVATE, &yes, 1 },
                          { CKA_VALUE, utf8("value"), 5 } };
  return C_CreateObject(up.session, tmpl, 4, &object);
}

static CK_RV create(void)
{
  return create_one(true);
}

static CK_RV create_in_session(void)
{
  return create_one(false);
}

static CK_RV copy(void)
{
  CK_OBJECT_HANDLE object;
  return C_CopyObject(up.session, up.data, NULL, 0, &object);
}

static CK_RV get_attributes(void)
{
  CK_BYTE room[64];
  CK_ATTRIBUTE value = { CKA_VALUE, room, sizeof(room) };
  return C_GetAttributeValue(up.session, up.data, &value, 1);
}

static CK_RV set_attributes(void)
{
  CK_ATTRIBUTE label = { CKA_LABEL, utf8("data"), 4 };
  return C_SetAttributeValue(up.session, up.data, &label, 1);
}

static CK_RV destroy(void)
{
  return C_DestroyObject(up.session, up.data);
}

static CK_RV generate(void)
{
  CK_MECHANISM m = { CKM_EC_KEY_PAIR_GEN, NULL, 0 };
  CK_BBOOL yes = CK_TRUE;
  CK_ATTRIBUTE public[] = { { CKA_EC_PARAMS, p384, sizeof(p384) }, { CKA_TOKEN, &yes, 1 } };
  CK_ATTRIBUTE private = { CKA_TOKEN, &yes, 1 };
  struct rig_pair pair;
  return C_GenerateKeyPair(up.session, &m, public, 2, &private, 1, &pair.public, &pair.private);
}

static CK_RV sign_with(CK_MECHANISM_TYPE type, struct rig_pair pair)
{
  CK_MECHANISM m = { type, NULL, 0 };
  CK_BYTE in[32] = { 0 }, signature[512];
  CK_ULONG len = sizeof(signature);
  CK_RV rv = C_SignInit(up.session, &m, pair.private);
  if (rv == CKR_OK)
    rv = C_Sign(up.session, in, sizeof(in), signature, &len);
  if (rv == CKR_OK)
    rv = C_VerifyInit(up.session, &m, pair.public);
  return rv == CKR_OK ? C_Verify(up.session, in, sizeof(in), signature, len) : rv;
}

static CK_RV sign_ec(void)
{
  return sign_with(CKM_ECDSA_SHA256, up.ec);
}

static CK_RV sign_rsa(void)
{
  return sign_with(CKM_SHA256_RSA_PKCS, up.rsa);
}

static CK_RV digest_parts(void)
{
  CK_MECHANISM m = { CKM_SHA256, NULL, 0 };
  CK_BYTE in[32] = { 0 }, out[32];
  CK_ULONG len = sizeof(out);
  CK_RV rv = C_DigestInit(up.session, &m);
  if (rv == CKR_OK)
    rv = C_DigestUpdate(up.session, in, sizeof(in));
  return rv == CKR_OK ? C_DigestFinal(up.session, out, &len) : rv;
}

static CK_RV encrypt_rsa(void)
{
  CK_MECHANISM m = { CKM_RSA_PKCS, NULL, 0 };
  CK_BYTE in[16] = { 0 }, cipher[512], out[512];
  CK_ULONG len = sizeof(cipher), plain = sizeof(out);
  CK_RV rv = C_EncryptInit(up.session, &m, up.rsa.public);
  if (rv == CKR_OK)
    rv = C_Encrypt(up.session, in, sizeof(in), cipher, &len);
  if (rv == CKR_OK)
    rv = C_DecryptInit(up.session, &m, up.rsa.private);
  return rv == CKR_OK ? C_Decrypt(up.session, cipher, len, out, &plain) : rv;
}

static CK_RV derive(void)
{
  CK_BYTE point[80];
  CK_ATTRIBUTE attr = { CKA_EC_POINT, point, sizeof(point) };
  CK_OBJECT_CLASS class = CKO_SECRET_KEY;
  CK_KEY_TYPE type = CKK_GENERIC_SECRET;
  CK_ATTRIBUTE tmpl[] = { { CKA_CLASS, &class, sizeof(class) }, { CKA_KEY_TYPE, &type, sizeof(type) } };
  CK_OBJECT_HANDLE key;
  CK_RV rv = C_GetAttributeValue(up.session, up.ec.public, &attr, 1);
  CK_ECDH1_DERIVE_PARAMS params = { CKD_NULL, 0, NULL, attr.ulValueLen, point };
  CK_MECHANISM m = { CKM_ECDH1_DERIVE, &params, sizeof(params) };
  return rv == CKR_OK ? C_DeriveKey(up.session, &m, up.ec.private, tmpl, 2, &key) : rv;
}

static CK_RV random_bytes(void)
{
  CK_BYTE out[32];
  return C_GenerateRandom(up.session, out, sizeof(out));
}

static CK_RV logout(void)
{
  return C_Logout(up.session);
}

static const struct entry_point {
  const char *name;
  CK_RV (*call)(void);
  enum { DOWN, UP, LOGGED_IN, WITH_OBJECTS } begins;
} entry_points[] = {
  { "C_Initialize", initialize, DOWN },
  { "C_GetSlotList", list_slots, UP },
  { "C_GetTokenInfo", token_info, UP },
  { "C_OpenSession", open_session, UP },
  { "C_InitToken", init_another_token, UP },
  { "C_Login", login, UP },
  { "C_SetPIN", set_pin, LOGGED_IN },
  { "C_CreateObject", create, LOGGED_IN },
  { "C_CreateObject, session", create_in_session, LOGGED_IN },
  { "C_GenerateKeyPair", generate, LOGGED_IN },
  { "C_FindObjects", find, WITH_OBJECTS },
  { "C_GetAttributeValue", get_attributes, WITH_OBJECTS },
  { "C_SetAttributeValue", set_attributes, WITH_OBJECTS },
  { "C_CopyObject", copy, WITH_OBJECTS },
  { "C_DestroyObject", destroy, WITH_OBJECTS },
  { "C_Sign, EC", sign_ec, WITH_OBJECTS },
  { "C_Sign, RSA", sign_rsa, WITH_OBJECTS },
  { "C_Digest", digest_parts, UP },
  { "C_Encrypt", encrypt_rsa, WITH_OBJECTS },
  { "C_DeriveKey", derive, WITH_OBJECTS },
  { "C_GenerateRandom", random_bytes, UP },
  { "C_Logout", logout, WITH_OBJECTS },
};

enum { POINTS = sizeof(entry_points) / sizeof(entry_points[0]) };

/* libcrypto does not always say that it was for want of memory that a key, a signature or a secret was none to it. */
static bool is_clean_failure(bool ours, CK_RV rv)
{
  static const CK_RV clean[] = { CKR_HOST_MEMORY, CKR_DEVICE_MEMORY, CKR_FUNCTION_FAILED };
  static const CK_RV refusals[] = { CKR_ATTRIBUTE_VALUE_INVALID, CKR_ENCRYPTED_DATA_INVALID, CKR_SIGNATURE_INVALID,
                                    CKR_MECHANISM_PARAM_INVALID };
  for (size_t i = 0; i < sizeof(clean) / sizeof(clean[0]); i++)
    if (rv == clean[i])
      return true;
  for (size_t i = 0; !ours && i < sizeof(refusals) / sizeof(refusals[0]); i++)
    if (rv == refusals[i])
      return true;
  return false;
}

static CK_OBJECT_HANDLE find_one(CK_OBJECT_CLASS class, CK_ATTRIBUTE_TYPE type, void *value, CK_ULONG len)
{
  CK_ATTRIBUTE tmpl[] = { { CKA_CLASS, &class, sizeof(class) }, { type, value, len } };
  CK_OBJECT_HANDLE object = 0;
  assert_true(rig_find(up.session, tmpl, 2, &object) > 0);
  return object;
}

/* The rig's token; those that a call made go. */
static CK_SLOT_ID own_slot(void)
{
  CK_SLOT_ID slots[8], own = 0;
  CK_ULONG count = 8;
  struct hf_ck_interface *interface;
  assert_ok(C_GetInterface(utf8(HOLDFAST_TOKEN_INTERFACE), NULL, &interface, 0));
  assert_ok(C_GetSlotList(CK_TRUE, slots, &count));
  for (CK_ULONG i = 0; i < count; i++) {
    CK_TOKEN_INFO info;
    assert_ok(C_GetTokenInfo(slots[i], &info));
    if (memcmp(info.label, "rig ", 4) == 0)
      own = slots[i];
    else if (info.flags & CKF_TOKEN_INITIALIZED)
      assert_ok(((const struct holdfast_token_ext *)interface->function_list)->delete_token(slots[i], NULL, 0));
  }
  return own;
}

static void prepare(const struct entry_point *point)
{
  CK_KEY_TYPE rsa = CKK_RSA;
  if (point->begins == DOWN)
    return;
  assert_ok(C_Initialize(NULL));
  up.slot = own_slot();
  up.session = rig_open_session(up.slot, CKF_RW_SESSION);
  if (point->begins == UP)
    return;
  assert_ok(rig_login(up.session, CKU_USER, USER_PIN));
  if (point->begins == LOGGED_IN)
    return;
  if (!rig_find_label(up.session, "data", &up.data))
    up.data = rig_data(up.session, "data", true, true);
  up.ec = (struct rig_pair){ find_one(CKO_PUBLIC_KEY, CKA_EC_PARAMS, p256, sizeof(p256)),
                             find_one(CKO_PRIVATE_KEY, CKA_EC_PARAMS, p256, sizeof(p256)) };
  up.rsa = (struct rig_pair){ find_one(CKO_PUBLIC_KEY, CKA_KEY_TYPE, &rsa, sizeof(rsa)),
                              find_one(CKO_PRIVATE_KEY, CKA_KEY_TYPE, &rsa, sizeof(rsa)) };
}

static int group_up(void **state)
{
  setenv("HOLDFAST_LOG", "stderr", 1);
  rig_up(state);
  CK_SESSION_HANDLE h = rig_user_session();
  CK_BBOOL yes = CK_TRUE;
  CK_ATTRIBUTE derives = { CKA_DERIVE, &yes, 1 };
  rig_rsa(h, true);
  assert_ok(C_SetAttributeValue(h, rig_ec(h, true).private, &derives, 1));
  return C_Finalize(NULL) == CKR_OK ? 0 : 1;
}

static void tell(const struct entry_point *point, bool ours, long number, const char *what, CK_RV rv)
{
  print_error("%s, allocation %ld of %s%s: 0x%lx\n", point->name, number, ours ? "ours" : "libraries", what, rv);
  print_error("%s\n", hf_err_context());
}

static bool fail_once(const struct entry_point *point, bool ours, long number)
{
  prepare(point);
  countdown.ours = ours;
  countdown.left = number;
  CK_RV rv = point->call();
  bool reached = countdown.left <= 0;
  countdown.left = -1;
  CK_RV again = rv == CKR_OK ? CKR_OK : point->call();
  bool clean = rv == CKR_OK || (reached && is_clean_failure(ours, rv));
  if (!clean)
    tell(point, ours, number, "", rv);
  if (again != CKR_OK)
    tell(point, ours, number, ", called again", again);
  if (!clean || again != CKR_OK || C_Finalize(NULL) != CKR_OK)
    _exit(1);
  return reached;
}

/*
 * Fails the allocation with that number; false where the call has not so many. C_Initialize loads libcrypto once a process, so it is called
 * in one of its own; then there is nothing to be leaked in this.
 */
static bool fail_at(const struct entry_point *point, bool ours, long number)
{
  enum { REACHED = 11, NOT_SO_MANY = 12 };
  if (point->begins != DOWN)
    return fail_once(point, ours, number);
  pid_t child = fork();
  if (child == 0)
    _exit(fail_once(point, ours, number) ? REACHED : NOT_SO_MANY);
  int status;
  assert_int_equal(child, waitpid(child, &status, 0));
  assert_true(WIFEXITED(status) && (WEXITSTATUS(status) == REACHED || WEXITSTATUS(status) == NOT_SO_MANY));
  return WEXITSTATUS(status) == REACHED;
}

static void test_ours(void **state)
{
  (void)state;
  skip_where(!COUNTED, "the sanitizer has an allocator of its own");
  for (size_t i = 0; i < POINTS; i++) {
    const struct entry_point *point = &entry_points[i];
    /* What libcrypto keeps for good it has after two rounds. */
    fail_at(point, true, LONG_MAX);
    fail_at(point, true, LONG_MAX);
    long usual = live;
    for (long number = 1; fail_at(point, true, number); number++) {
      if (live != usual)
        tell(point, true, number, ", blocks leaked", (CK_RV)(live - usual));
      assert_int_equal(usual, live);
    }
  }
}

static void test_libraries(void **state)
{
  (void)state;
  skip_where(!COUNTED, "the sanitizer has an allocator of its own");
  for (size_t i = 0; i < POINTS; i++)
    for (long number = 1; fail_at(&entry_points[i], false, number); number += 1 + number / 5)
      continue;
}

int main(void)
{
  const struct CMUnitTest tests[] = { cmocka_unit_test(test_ours), cmocka_unit_test(test_libraries) };
  return cmocka_run_group_tests(tests, group_up, rig_down);
}
