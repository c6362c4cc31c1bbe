/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments that no program should give: each function, by its row in token_calls.h, answers what the standard says, or an error. */
#include "token_rig.h"

#include "token_calls.h"

#include <openssl/err.h>
#include <sys/mman.h>

enum { ROOM = 4096, DIGEST_BYTES = 32 };

static struct {
  CK_SLOT_ID slot;
  CK_SESSION_HANDLE session;
  CK_OBJECT_HANDLE object;
  struct rig_pair key;
} good;

static int set_up(void **state)
{
  rig_up(state);
  good.session = rig_user_session();
  good.slot = rig_first_slot();
  good.object = rig_data(good.session, "an object", true, true);
  good.key = rig_ec(good.session, true);
  return 0;
}

#define HOSTILE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, rig_down)

/* The words of a call with which nothing is wrong. Values lie at odd addresses: nobody promises better. */
static unsigned fill(const struct call *call, uintptr_t words[CALL_WORDS])
{
  static CK_BYTE bytes[ROOM + 1], yes[2] = { 0, CK_TRUE }, class[1 + sizeof(CK_OBJECT_CLASS)];
  static CK_MECHANISM mechanism = { CKM_ECDSA, NULL, 0 };
  static CK_ATTRIBUTE tmpl[2];
  static CK_ULONG numbers[CALL_WORDS];
  unsigned n = 0;
  memset(words, 0, CALL_WORDS * sizeof(words[0]));
  memset(bytes, 0, sizeof(bytes));
  memcpy(class + 1, &(CK_OBJECT_CLASS){ CKO_DATA }, sizeof(CK_OBJECT_CLASS));
  tmpl[0] = (CK_ATTRIBUTE){ CKA_CLASS, class + 1, sizeof(CK_OBJECT_CLASS) };
  tmpl[1] = (CK_ATTRIBUTE){ CKA_PRIVATE, yes + 1, 1 };
  for (const char *arg = call->args; *arg; n += call_words(*arg++)) {
    uintptr_t *word = &words[n];
    const uintptr_t by_letter[128] = {
      ['h'] = good.session,
      ['s'] = good.slot,
      ['o'] = good.object,
      ['k'] = good.key.private,
      ['f'] = CKF_SERIAL_SESSION,
      ['F'] = CKF_DONT_BLOCK,
      ['n'] = 1,
      ['u'] = CKU_USER,
      ['m'] = (uintptr_t)&mechanism,
      ['M'] = (uintptr_t)&mechanism,
      ['t'] = (uintptr_t)tmpl,
      ['T'] = (uintptr_t)tmpl,
      ['g'] = (uintptr_t)tmpl,
      ['i'] = (uintptr_t)(bytes + 1),
      ['p'] = (uintptr_t)USER_PIN,
      ['v'] = (uintptr_t)(bytes + 1),
      ['q'] = (uintptr_t)(bytes + 1),
      ['w'] = (uintptr_t)(bytes + 1),
      ['r'] = (uintptr_t)bytes,
      ['R'] = (uintptr_t)bytes,
      ['a'] = (uintptr_t)bytes,
      ['H'] = (uintptr_t)&numbers[n],
      ['N'] = (uintptr_t)&numbers[n],
      ['I'] = (uintptr_t)bytes,
      ['l'] = (uintptr_t)bytes,
    };
    const uintptr_t lengths[128] = {
      ['t'] = 2, ['T'] = 2, ['g'] = 2, ['i'] = DIGEST_BYTES, ['p'] = 4, ['v'] = 64, ['q'] = 16, ['w'] = 16
    };
    word[0] = by_letter[(unsigned char)*arg];
    numbers[n] = *arg == 'R' ? 64 : ROOM;
    if (*arg == 'r' || *arg == 'R')
      word[1] = (uintptr_t)&numbers[n];
    else if (*arg == 'a')
      memcpy(word + 1, (uintptr_t[]){ 8, (uintptr_t)&numbers[n] }, 2 * sizeof(*word));
    else if (call_words(*arg) == 2)
      word[1] = lengths[(unsigned char)*arg];
  }
  return n;
}

/* These answer whether or not the module is up, and change nothing; or are not to be called here. */
static bool is_apart(const struct call *call)
{
  static const char *const apart[] = { "C_Initialize", "C_Finalize", "C_GetFunctionList", "C_GetInterfaceList",
                                       "C_GetInterface" };
  for (size_t i = 0; i < sizeof(apart) / sizeof(apart[0]); i++)
    if (strcmp(call->name, apart[i]) == 0)
      return true;
  return false;
}

static void expect(const struct call *call, const char *with, unsigned at, CK_RV expected, CK_RV rv)
{
  if (rv == expected || rv == CKR_FUNCTION_NOT_SUPPORTED)
    return;
  print_error("%s, %s at word %u: 0x%lx where 0x%lx is expected\n", call->name, with, at, rv, expected);
  fail();
}

/* One row a function, in the lists' order. */
static void test_every_function_has_a_row(void **state)
{
  (void)state;
  size_t first = offsetof(struct hf_ck_functions_3_2, base.base.C_Initialize), size;
  for (size_t i = 0; i < CALLS; i++)
    assert_int_equal(first + i * sizeof(void *), calls[i].place);
  assert_int_equal(sizeof(struct hf_ck_functions_3_2), first + CALLS * sizeof(void *));
  assert_non_null(call_list(&size));
}

static void test_before_and_after(void **state)
{
  (void)state;
  uintptr_t words[CALL_WORDS];
  assert_ok(C_Finalize(NULL));
  for (size_t i = 0; i < CALLS; i++) {
    if (is_apart(&calls[i]))
      continue;
    fill(&calls[i], words);
    expect(&calls[i], "not initialised", 0, CKR_CRYPTOKI_NOT_INITIALIZED, call_with(&calls[i], words));
    memset(words, 0, sizeof(words));
    expect(&calls[i], "not initialised, NULLs", 0, CKR_CRYPTOKI_NOT_INITIALIZED, call_with(&calls[i], words));
  }
  assert_rv(CKR_CRYPTOKI_NOT_INITIALIZED, C_Finalize(NULL));
}

static void test_no_such_session(void **state)
{
  (void)state;
  CK_SESSION_HANDLE closed = rig_open_session(good.slot, 0);
  assert_ok(C_CloseSession(closed));
  const CK_SESSION_HANDLE wrong[] = { 0,     closed, ~(CK_SESSION_HANDLE)0, good.session + 1, good.session | 1UL << 31,
                                      0xFFFF };
  uintptr_t words[CALL_WORDS];
  for (size_t i = 0; i < CALLS; i++) {
    for (size_t k = 0; *calls[i].args == 'h' && k < sizeof(wrong) / sizeof(wrong[0]); k++) {
      fill(&calls[i], words);
      words[0] = wrong[k];
      expect(&calls[i], "no such session", (unsigned)k, CKR_SESSION_HANDLE_INVALID, call_with(&calls[i], words));
    }
  }
}

static void test_no_such_slot(void **state)
{
  (void)state;
  uintptr_t words[CALL_WORDS];
  for (size_t i = 0; i < CALLS; i++) {
    if (*calls[i].args != 's')
      continue;
    fill(&calls[i], words);
    words[0] = ~(uintptr_t)0;
    expect(&calls[i], "no such slot", 0, CKR_SLOT_ID_INVALID, call_with(&calls[i], words));
  }
}

/* A NULL where there must be something, whatever else is right or wrong. */
static void test_nulls(void **state)
{
  (void)state;
  uintptr_t words[CALL_WORDS];
  for (size_t i = 0; i < CALLS; i++) {
    unsigned at = 0;
    for (const char *arg = calls[i].args; *arg && !is_apart(&calls[i]); at += call_words(*arg++)) {
      if (!strchr("mtTgipvqwHNIla", *arg) && !strchr("rR", *arg))
        continue;
      unsigned null = strchr("rR", *arg) ? at + 1 : at;
      fill(&calls[i], words);
      words[null] = 0;
      CK_RV rv = call_with(&calls[i], words);
      expect(&calls[i], "NULL", null, CKR_ARGUMENTS_BAD, rv);
      if (*calls[i].args != 'h' || rv == CKR_FUNCTION_NOT_SUPPORTED)
        continue;
      words[0] = 0;
      expect(&calls[i], "NULL, and no session", null, CKR_ARGUMENTS_BAD, call_with(&calls[i], words));
    }
  }
}

/* So that what comes next is looked at. */
static void start_operations(void)
{
  CK_MECHANISM digest = { CKM_SHA256, NULL, 0 }, ecdsa = { CKM_ECDSA_SHA256, NULL, 0 };
  C_DigestInit(good.session, &digest);
  C_SignInit(good.session, &ecdsa, good.key.private);
  C_VerifyInit(good.session, &ecdsa, good.key.public);
  C_FindObjectsInit(good.session, NULL, 0);
}

static void test_absurd_lengths(void **state)
{
  (void)state;
  const uintptr_t lengths[] = { ~(uintptr_t)0, ~(uintptr_t)0 / 2, ~(uintptr_t)0 / sizeof(CK_ATTRIBUTE),
                                (uintptr_t)1 << 31 };
  uintptr_t words[CALL_WORDS];
  for (size_t i = 0; i < CALLS; i++) {
    unsigned at = 0;
    for (const char *arg = calls[i].args; *arg && !is_apart(&calls[i]); at += call_words(*arg++)) {
      for (size_t k = 0; strchr("tTgipvqw", *arg) && k < sizeof(lengths) / sizeof(lengths[0]); k++) {
        start_operations();
        fill(&calls[i], words);
        words[at + 1] = lengths[k];
        CK_RV rv = call_with(&calls[i], words);
        if (rv != CKR_PIN_LEN_RANGE && rv != CKR_SESSION_EXISTS && rv != CKR_SIGNATURE_LEN_RANGE)
          expect(&calls[i], "an absurd length", at + 1, CKR_ARGUMENTS_BAD, rv);
      }
    }
  }
}

static CK_RV create_with(CK_ATTRIBUTE attr)
{
  CK_OBJECT_CLASS class = CKO_DATA;
  CK_OBJECT_HANDLE object;
  CK_ATTRIBUTE tmpl[] = { { CKA_CLASS, &class, sizeof(class) }, attr };
  return C_CreateObject(good.session, tmpl, 2, &object);
}

static void test_values(void **state)
{
  (void)state;
  CK_BYTE bytes[16] = { 0, 2, CK_TRUE };
  const CK_ATTRIBUTE wrong[] = {
    { CKA_TOKEN, bytes + 1, 1 },
    { CKA_TOKEN, bytes + 2, 0 },
    { CKA_TOKEN, bytes + 2, 4 },
    { CKA_TOKEN, NULL, 1 },
    { CKA_LABEL, NULL, 3 },
    { CKA_LABEL, bytes, ~0UL },
    { CKA_LABEL, bytes, (1UL << 20) + 1 },
    { CKA_PRIVATE, bytes + 2, ~0UL },
  };
  for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
    CK_ATTRIBUTE attr = wrong[i];
    assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, create_with(attr));
    assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, C_FindObjectsInit(good.session, &attr, 1));
    CK_RV rv = C_SetAttributeValue(good.session, good.object, &attr, 1);
    assert_true(rv == CKR_ATTRIBUTE_VALUE_INVALID || rv == CKR_ATTRIBUTE_READ_ONLY);
  }
  CK_ATTRIBUTE class = { CKA_CLASS, bytes, 1 };
  assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, C_CreateObject(good.session, &class, 1, &(CK_OBJECT_HANDLE){ 0 }));
  class = (CK_ATTRIBUTE){ CKA_CLASS, NULL, sizeof(CK_ULONG) };
  assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, C_CreateObject(good.session, &class, 1, &(CK_OBJECT_HANDLE){ 0 }));
}

/* Every attribute there could be, into room that is too small by one: nothing is written, and each is answered. */
static void test_attributes(void **state)
{
  (void)state;
  for (CK_ATTRIBUTE_TYPE type = 0; type < 0x700; type++) {
    CK_BYTE room[512];
    CK_ATTRIBUTE attr = { type, NULL, 0 };
    CK_RV rv = C_GetAttributeValue(good.session, good.key.private, &attr, 1);
    if (rv != CKR_OK) {
      assert_int_equal(CK_UNAVAILABLE_INFORMATION, attr.ulValueLen);
      continue;
    }
    memset(room, 0xA5, sizeof(room));
    if (attr.ulValueLen == 0)
      continue;
    attr = (CK_ATTRIBUTE){ type, room, attr.ulValueLen - 1 };
    assert_rv(CKR_BUFFER_TOO_SMALL, C_GetAttributeValue(good.session, good.key.private, &attr, 1));
    assert_int_equal(CK_UNAVAILABLE_INFORMATION, attr.ulValueLen);
    for (size_t i = 0; i < sizeof(room); i++)
      assert_int_equal(0xA5, room[i]);
  }
}

/* Handles of objects that are gone, of another session's, of private ones after the logout. */
static void test_handles(void **state)
{
  (void)state;
  CK_MECHANISM ecdsa = { CKM_ECDSA, NULL, 0 };
  CK_ULONG size, len = 64;
  CK_BYTE digest[DIGEST_BYTES] = { 0 }, signature[64];
  CK_SESSION_HANDLE other = rig_open_session(good.slot, CKF_RW_SESSION);
  CK_OBJECT_HANDLE of_other = rig_data(other, "session object", false, true);
  assert_ok(C_GetObjectSize(good.session, of_other, &size));
  assert_ok(C_CloseSession(other));
  assert_rv(CKR_OBJECT_HANDLE_INVALID, C_GetObjectSize(good.session, of_other, &size));
  const CK_OBJECT_HANDLE wrong[] = { 0, ~0UL, good.object + 1000, good.object ^ 1UL << 40, 0xFFFFFFFF };
  for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
    assert_rv(CKR_OBJECT_HANDLE_INVALID, C_GetObjectSize(good.session, wrong[i], &size));
    assert_rv(CKR_OBJECT_HANDLE_INVALID, C_DestroyObject(good.session, wrong[i]));
    assert_rv(CKR_KEY_HANDLE_INVALID, C_SignInit(good.session, &ecdsa, wrong[i]));
  }
  assert_rv(CKR_KEY_TYPE_INCONSISTENT, C_SignInit(good.session, &ecdsa, good.object));
  assert_ok(C_SignInit(good.session, &ecdsa, good.key.private));
  assert_ok(C_FindObjectsInit(good.session, NULL, 0));
  assert_ok(C_Logout(good.session));
  assert_rv(CKR_OPERATION_NOT_INITIALIZED, C_Sign(good.session, digest, sizeof(digest), signature, &len));
  assert_rv(CKR_OPERATION_NOT_INITIALIZED, C_FindObjects(good.session, &of_other, 1, &size));
  assert_rv(CKR_KEY_HANDLE_INVALID, C_SignInit(good.session, &ecdsa, good.key.private));
  assert_rv(CKR_OBJECT_HANDLE_INVALID, C_GetObjectSize(good.session, good.object, &size));
  assert_ok(rig_login(good.session, CKU_USER, USER_PIN));
  assert_rv(CKR_KEY_HANDLE_INVALID, C_SignInit(good.session, &ecdsa, good.key.private));
}

/* Room that ends where memory does. */
static CK_BYTE *room_at_the_edge(size_t size)
{
  static CK_BYTE *pages;
  if (!pages) {
    pages = mmap(NULL, 2 * ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(MAP_FAILED, pages);
    assert_int_equal(0, mprotect(pages + ROOM, ROOM, PROT_NONE));
  }
  memset(pages, 0xA5, ROOM);
  return pages + ROOM - size;
}

static void expect_untouched(const CK_BYTE *room, size_t size)
{
  for (size_t i = 0; i < size; i++)
    assert_int_equal(0xA5, room[i]);
}

/* BUFFER_TOO_SMALL keeps the operation and writes nothing; nothing is written beyond the end. */
static void test_room(void **state)
{
  (void)state;
  CK_MECHANISM digest = { CKM_SHA256, NULL, 0 }, ecdsa = { CKM_ECDSA, NULL, 0 };
  CK_BYTE in[DIGEST_BYTES] = { 0 };
  CK_ULONG len;
  assert_ok(C_DigestInit(good.session, &digest));
  assert_ok(C_SignInit(good.session, &ecdsa, good.key.private));
  for (CK_ULONG size = 0; size < DIGEST_BYTES; size++) {
    CK_BYTE *room = room_at_the_edge(size);
    len = size;
    assert_rv(CKR_BUFFER_TOO_SMALL, C_Digest(good.session, in, sizeof(in), room, &len));
    assert_int_equal(DIGEST_BYTES, len);
    len = size;
    assert_rv(CKR_BUFFER_TOO_SMALL, C_Sign(good.session, in, sizeof(in), room, &len));
    assert_int_equal(64, len);
    expect_untouched(room, size);
  }
  len = DIGEST_BYTES;
  assert_ok(C_Digest(good.session, in, sizeof(in), room_at_the_edge(DIGEST_BYTES), &len));
  len = 64;
  assert_ok(C_Sign(good.session, in, sizeof(in), room_at_the_edge(64), &len));
  assert_ok(C_GenerateRandom(good.session, room_at_the_edge(33), 33));
}

/*
 * Parameters of every mechanism, of any length: zeros, and words that are a good pointer and a good length at once, for memory lies
 * where small numbers point, and so much of it.
 */
static uintptr_t low_memory(void)
{
  enum { AT = 0x20000, SIZE = 0x200000 };
  void *at = mmap((void *)AT, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  return at == MAP_FAILED ? 0 : AT;
}

static void try_parameter(CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
  CK_BYTE in[16] = { 0 }, out[1024];
  CK_ULONG len = sizeof(out);
  CK_OBJECT_HANDLE handle;
  CK_OBJECT_CLASS class = CKO_SECRET_KEY;
  CK_KEY_TYPE type = CKK_GENERIC_SECRET;
  CK_ATTRIBUTE secret[] = { { CKA_CLASS, &class, sizeof(class) }, { CKA_KEY_TYPE, &type, sizeof(type) } };
  if (C_SignInit(good.session, m, key) == CKR_OK)
    C_Sign(good.session, in, sizeof(in), out, &len);
  if (C_VerifyInit(good.session, m, key) == CKR_OK)
    C_Verify(good.session, in, sizeof(in), out, 64);
  len = sizeof(out);
  if (C_EncryptInit(good.session, m, key) == CKR_OK)
    C_Encrypt(good.session, in, sizeof(in), out, &len);
  len = sizeof(out);
  if (C_DecryptInit(good.session, m, key) == CKR_OK)
    C_Decrypt(good.session, in, sizeof(in), out, &len);
  len = sizeof(out);
  if (C_DigestInit(good.session, m) == CKR_OK)
    C_Digest(good.session, in, sizeof(in), out, &len);
  C_DeriveKey(good.session, m, key, secret, 2, &handle);
  len = sizeof(out);
  C_WrapKey(good.session, m, key, key, out, &len);
  C_UnwrapKey(good.session, m, key, in, sizeof(in), secret, 2, &handle);
  C_GenerateKey(good.session, m, secret, 2, &handle);
}

static CK_ULONG some_keys(CK_OBJECT_HANDLE keys[8])
{
  CK_BYTE value[32] = { 1 };
  CK_BBOOL yes = CK_TRUE;
  CK_OBJECT_CLASS class = CKO_SECRET_KEY;
  CK_KEY_TYPE types[] = { CKK_AES, CKK_GENERIC_SECRET };
  CK_ULONG n = 0;
  for (size_t i = 0; i < 2; i++) {
    CK_ATTRIBUTE tmpl[] = { { CKA_CLASS, &class, sizeof(class) },
                            { CKA_KEY_TYPE, &types[i], sizeof(types[i]) },
                            { CKA_VALUE, value, sizeof(value) },
                            { CKA_DERIVE, &yes, 1 },
                            { CKA_SIGN, &yes, 1 },
                            { CKA_EXTRACTABLE, &yes, 1 } };
    n += C_CreateObject(good.session, tmpl, 6, &keys[n]) == CKR_OK;
  }
  keys[n++] = good.key.private;
  keys[n++] = good.key.public;
  struct rig_pair rsa = rig_rsa(good.session, false);
  keys[n++] = rsa.private;
  keys[n++] = rsa.public;
  return n;
}

static void test_parameters(void **state)
{
  (void)state;
  static CK_MECHANISM_TYPE types[512];
  CK_ULONG count = 512, lengths[] = { 0, 1, 8, 12, 16, 24, 32, 40, 48, 56, 64, 72, 100, ~0UL };
  CK_OBJECT_HANDLE keys[8];
  uintptr_t low = low_memory(), words[16];
  CK_ULONG key_count = some_keys(keys);
  assert_ok(C_GetMechanismList(good.slot, types, &count));
  for (CK_ULONG i = 0; i < count * key_count; i++) {
    for (size_t k = 0; k < sizeof(lengths) / sizeof(lengths[0]); k++) {
      CK_MECHANISM m = { types[i / key_count], NULL, lengths[k] };
      try_parameter(&m, keys[i % key_count]);
      memset(words, 0, sizeof(words));
      m.pParameter = lengths[k] > sizeof(words) ? NULL : words;
      try_parameter(&m, keys[i % key_count]);
      for (size_t w = 0; w < 16; w++)
        words[w] = low ? low + 0x100 * (k + w) : 0;
      try_parameter(&m, keys[i % key_count]);
    }
  }
  /* Whatever that was, the session and the key are as good as before. */
  CK_MECHANISM ecdsa = { CKM_ECDSA, NULL, 0 };
  CK_SESSION_HANDLE h = rig_open_session(good.slot, 0);
  assert_ok(C_SignInit(h, &ecdsa, good.key.private));
}

/* OpenSSL's errors are the program's own: none is added, none is taken. */
static void test_error_queue(void **state)
{
  (void)state;
  CK_MECHANISM ecdsa = { CKM_ECDSA, NULL, 0 };
  CK_BYTE digest[DIGEST_BYTES] = { 0 }, signature[64] = { 0 };
  ERR_clear_error();
  for (int round = 0; round < 2; round++) {
    unsigned long own = ERR_peek_last_error();
    assert_ok(C_VerifyInit(good.session, &ecdsa, good.key.public));
    assert_rv(CKR_SIGNATURE_INVALID, C_Verify(good.session, digest, sizeof(digest), signature, sizeof(signature)));
    assert_ok(C_Finalize(NULL));
    assert_ok(C_Initialize(NULL));
    assert_int_equal(own, ERR_peek_last_error());
    good.session = rig_open_session(rig_first_slot(), CKF_RW_SESSION);
    assert_ok(rig_login(good.session, CKU_USER, USER_PIN));
    CK_OBJECT_CLASS class = CKO_PUBLIC_KEY;
    CK_ATTRIBUTE tmpl = { CKA_CLASS, &class, sizeof(class) };
    assert_int_equal(1, rig_find(good.session, &tmpl, 1, &good.key.public));
    ERR_raise(ERR_LIB_USER, 1);
  }
  ERR_clear_error();
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    HOSTILE_TEST(test_every_function_has_a_row),
    HOSTILE_TEST(test_before_and_after),
    HOSTILE_TEST(test_no_such_session),
    HOSTILE_TEST(test_no_such_slot),
    HOSTILE_TEST(test_nulls),
    HOSTILE_TEST(test_absurd_lengths),
    HOSTILE_TEST(test_values),
    HOSTILE_TEST(test_attributes),
    HOSTILE_TEST(test_handles),
    HOSTILE_TEST(test_room),
    HOSTILE_TEST(test_parameters),
    HOSTILE_TEST(test_error_queue),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
