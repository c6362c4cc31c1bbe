/* SPDX-License-Identifier: Apache-2.0 */
/* What the arguments of fuzz_token.c's calls are taken from: the input, byte by byte, and what the program has at hand. */
#ifndef HF_TESTS_FUZZ_TOKEN_INPUT_H
#define HF_TESTS_FUZZ_TOKEN_INPUT_H

#include "../unit/token_calls.h"

#include "base/buf.h"

#include <limits.h>

enum {
  SESSIONS = 4,
  OBJECTS = 16,
  CALLS_MAX = 60,
  TEMPLATES = 2,
  ATTRIBUTES = 10,
  PAGE = 4096,
  ROOM = 8 * PAGE,
  LAST_MAX = 1024
};

#define SO_PIN "12345678"
#define USER_PIN "1234"

static struct {
  char dir[PATH_MAX];
  CK_SLOT_ID slot;
  CK_MECHANISM_TYPE mechanisms[512];
  CK_ULONG mechanism_count;
  uintptr_t low; /* see low_word */
  CK_BYTE *room; /* ROOM bytes, behind which there is no memory */
} rig;

/* What one program has at hand. */
static struct {
  struct hf_slice in;
  CK_SESSION_HANDLE sessions[SESSIONS];
  CK_OBJECT_HANDLE objects[OBJECTS];
  unsigned session_count, object_count;
  CK_BYTE last[LAST_MAX]; /* of what came out */
  CK_ULONG last_len;
} run;

/* Taking from the input */

static uint8_t take(void)
{
  uint8_t byte = 0;
  if (hf_failed(hf_take_u8(&run.in, &byte)))
    return 0;
  return byte;
}

static struct hf_slice take_bytes(size_t most)
{
  size_t len = take() % (most + 1);
  const uint8_t *data = NULL;
  if (len > run.in.len)
    len = run.in.len;
  if (hf_failed(hf_take(&run.in, len, &data)))
    return hf_slice(NULL, 0);
  return hf_slice(data, len);
}

#define PICK(table) (table)[take() % (sizeof(table) / sizeof((table)[0]))]

static CK_ULONG take_number(void)
{
  static const CK_ULONG numbers[] = { 0,
                                      1,
                                      2,
                                      3,
                                      4,
                                      7,
                                      8,
                                      12,
                                      13,
                                      16,
                                      20,
                                      24,
                                      28,
                                      32,
                                      48,
                                      64,
                                      66,
                                      96,
                                      100,
                                      128,
                                      192,
                                      256,
                                      384,
                                      521,
                                      1024,
                                      2048,
                                      4096,
                                      CKM_SHA_1,
                                      CKM_SHA256,
                                      CKM_SHA384,
                                      CKG_MGF1_SHA1,
                                      CKG_MGF1_SHA256,
                                      CKO_PUBLIC_KEY,
                                      CKO_PRIVATE_KEY,
                                      CKO_SECRET_KEY,
                                      CKK_EC,
                                      CKK_AES,
                                      CKK_GENERIC_SECRET,
                                      CKD_NULL,
                                      CKD_SHA256_KDF,
                                      CKZ_DATA_SPECIFIED,
                                      ~0UL,
                                      ~0UL / 2,
                                      1UL << 31 };
  uint8_t byte = take();
  return byte < sizeof(numbers) / sizeof(numbers[0]) ? numbers[byte] : byte;
}

static bool rarely(void)
{
  return take() >= 0xF0;
}
/* Values */

static const CK_BYTE p256[] = { 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7 }, ed25519[] = { 6, 3, 0x2b, 0x65, 0x70 };

/* Boolean attributes have 1 byte, numbers a word; what else there is takes bytes. */
static const CK_ATTRIBUTE_TYPE types[] = {
  CKA_CLASS,
  CKA_TOKEN,
  CKA_PRIVATE,
  CKA_LABEL,
  CKA_VALUE,
  CKA_CERTIFICATE_TYPE,
  CKA_SUBJECT,
  CKA_KEY_TYPE,
  CKA_ID,
  CKA_SENSITIVE,
  CKA_ENCRYPT,
  CKA_DECRYPT,
  CKA_WRAP,
  CKA_UNWRAP,
  CKA_SIGN,
  CKA_VERIFY,
  CKA_DERIVE,
  CKA_MODULUS,
  CKA_MODULUS_BITS,
  CKA_PUBLIC_EXPONENT,
  CKA_VALUE_LEN,
  CKA_EXTRACTABLE,
  CKA_MODIFIABLE,
  CKA_EC_PARAMS,
  CKA_EC_POINT,
  CKA_ALWAYS_AUTHENTICATE,
  CKA_ALLOWED_MECHANISMS,
  CKA_COPYABLE,
  CKA_DESTROYABLE,
  CKA_START_DATE,
  CKA_WRAP_TEMPLATE,
  CKA_UNWRAP_TEMPLATE,
  CKA_TRUSTED,
  CKA_UNIQUE_ID,
  CKA_PRIME,
  CKA_BASE,
  CKA_CHECK_VALUE,
  CKA_SIGN_RECOVER,
  CKA_VERIFY_RECOVER,
  CKA_PRIVATE_EXPONENT,
  CKA_PRIME_1,
};

/* An array of attributes, into room; how many bytes. */
static CK_ULONG take_array(uint8_t how, CK_BYTE room[64])
{
  static CK_BYTE value[64] = { CK_TRUE };
  for (uint8_t i = 0; i < how % 3; i++) {
    CK_ATTRIBUTE inner = { PICK(types), value, take() % sizeof(value) };
    memcpy(room + i * sizeof(inner), &inner, sizeof(inner));
  }
  return how % 3 * sizeof(CK_ATTRIBUTE) + (how >= 0xF0);
}

static bool is_array(CK_ATTRIBUTE_TYPE type)
{
  return type == CKA_WRAP_TEMPLATE || type == CKA_UNWRAP_TEMPLATE;
}

static CK_ATTRIBUTE take_attribute(CK_BYTE room[64])
{
  CK_ATTRIBUTE attr = { PICK(types), room, 0 };
  uint8_t how = take();
  memset(room, 0, 64);
  if (is_array(attr.type)) {
    attr.ulValueLen = take_array(how, room);
  } else if (how < 0x60) {
    room[0] = how & 1;
    attr.ulValueLen = 1;
  } else if (how < 0xA0) {
    CK_ULONG number = take_number();
    memcpy(room, &number, sizeof(number));
    attr.ulValueLen = sizeof(number);
  } else if (how < 0xB0) {
    attr.pValue = (void *)(uintptr_t)(how & 1 ? p256 : ed25519);
    attr.ulValueLen = how & 1 ? sizeof(p256) : sizeof(ed25519);
  } else if (how < 0xC0) {
    attr.pValue = run.last;
    attr.ulValueLen = run.last_len;
  } else if (how < 0xF0) {
    struct hf_slice bytes = take_bytes(64);
    if (bytes.len)
      memcpy(room, bytes.data, bytes.len);
    attr.ulValueLen = bytes.len;
  } else {
    attr.pValue = how & 1 ? NULL : room;
    attr.ulValueLen = how & 2 ? 63 : ~0UL;
  }
  return attr;
}

/* So that keys come to be at all. */
static CK_ULONG common_template(uint8_t which, CK_ATTRIBUTE tmpl[ATTRIBUTES])
{
  static CK_OBJECT_CLASS secret = CKO_SECRET_KEY, data = CKO_DATA;
  static CK_KEY_TYPE key_types[] = { CKK_AES, CKK_GENERIC_SECRET };
  static CK_BYTE value[32] = "0123456789abcdef0123456789abcde";
  static CK_BBOOL yes = CK_TRUE;
  static CK_ULONG bits = 2048, value_lens[] = { 16, 32 };
  CK_ATTRIBUTE ec[] = { { CKA_EC_PARAMS, (void *)(uintptr_t)p256, sizeof(p256) } };
  CK_ATTRIBUTE ed[] = { { CKA_EC_PARAMS, (void *)(uintptr_t)ed25519, sizeof(ed25519) } };
  CK_ATTRIBUTE rsa[] = { { CKA_MODULUS_BITS, &bits, sizeof(bits) } };
  CK_ATTRIBUTE a_data[] = { { CKA_CLASS, &data, sizeof(data) }, { CKA_VALUE, value, 5 } };
  CK_ATTRIBUTE key[] = { { CKA_CLASS, &secret, sizeof(secret) },
                         { CKA_KEY_TYPE, &key_types[which >> 7], sizeof(CK_KEY_TYPE) },
                         { CKA_VALUE, value, which & 0x40 ? 16 : 32 },
                         { CKA_EXTRACTABLE, &yes, 1 },
                         { CKA_SIGN, &yes, 1 },
                         { CKA_DERIVE, &yes, 1 },
                         { CKA_ENCRYPT, &yes, 1 },
                         { CKA_DECRYPT, &yes, 1 } };
  CK_ATTRIBUTE made[] = { { CKA_CLASS, &secret, sizeof(secret) },
                          { CKA_KEY_TYPE, &key_types[which >> 7], sizeof(CK_KEY_TYPE) },
                          { CKA_VALUE_LEN, &value_lens[which >> 6 & 1], sizeof(CK_ULONG) },
                          { CKA_EXTRACTABLE, &yes, 1 } };
  const struct {
    const CK_ATTRIBUTE *attrs;
    size_t size;
  } all[] = { { NULL, 0 },
              { ec, sizeof(ec) },
              { ed, sizeof(ed) },
              { a_data, sizeof(a_data) },
              { key, sizeof(key) },
              { made, sizeof(made) },
              { which & 0x80 ? rsa : NULL, which & 0x80 ? sizeof(rsa) : 0 } };
  size_t i = (which & 0x3f) % (sizeof(all) / sizeof(all[0]));
  if (all[i].size)
    memcpy(tmpl, all[i].attrs, all[i].size);
  return all[i].size / sizeof(CK_ATTRIBUTE);
}

static CK_ATTRIBUTE *take_template(unsigned which, CK_ULONG *ret_count)
{
  static CK_ATTRIBUTE tmpl[TEMPLATES][ATTRIBUTES];
  static CK_BYTE rooms[TEMPLATES][ATTRIBUTES][64];
  CK_ULONG count = common_template(take(), tmpl[which]);
  for (CK_ULONG more = take() % 4; more > 0 && count < ATTRIBUTES; more--, count++)
    tmpl[which][count] = take_attribute(rooms[which][count]);
  *ret_count = count;
  return tmpl[which];
}

/* Honest about the room that there is. */
static CK_ATTRIBUTE *take_rooms(CK_ULONG *ret_count)
{
  static CK_ATTRIBUTE tmpl[ATTRIBUTES];
  static CK_BYTE rooms[ATTRIBUTES][512];
  CK_ULONG count = 1 + take() % ATTRIBUTES;
  for (CK_ULONG i = 0; i < count; i++) {
    uint8_t how = take();
    tmpl[i] = (CK_ATTRIBUTE){ PICK(types), how & 1 ? NULL : rooms[i], how & 2 ? sizeof(rooms[i]) : how >> 2 };
    /* An array's elements say where their values go: nowhere. */
    if (is_array(tmpl[i].type))
      memset(rooms[i], 0, sizeof(rooms[i]));
  }
  *ret_count = count;
  return tmpl;
}

/* Words that are a good pointer, a good length and a good number at once; or bytes; or a number. */
static CK_MECHANISM *take_mechanism(void)
{
  static CK_MECHANISM m;
  static uintptr_t words[16];
  uint8_t how = take();
  m = (CK_MECHANISM){ rig.mechanisms[(take() + (how & 1 ? 256U : 0)) % rig.mechanism_count], words, 0 };
  memset(words, 0, sizeof(words));
  if (how < 0x60) {
    m.pParameter = NULL;
  } else if (how < 0xA0) {
    m.ulParameterLen = sizeof(uintptr_t) * (1 + take() % 12);
    for (size_t i = 0; i < 12; i++) {
      uint8_t word = take();
      words[i] = word & 1 && rig.low ? rig.low + (uintptr_t)word * 16 : 0;
    }
  } else if (how < 0xE0) {
    struct hf_slice bytes = take_bytes(sizeof(words));
    /* Fewer than three words hold a number, an IV or a counter block: no parameter of that size has a pointer and a length. */
    m.ulParameterLen = bytes.len < 2 * sizeof(uintptr_t) + 1 ? bytes.len : 2 * sizeof(uintptr_t);
    if (m.ulParameterLen && how < 0xD0)
      memcpy(words, bytes.data, sizeof(uintptr_t) < m.ulParameterLen ? sizeof(uintptr_t) : m.ulParameterLen);
  } else {
    m.pParameter = NULL;
    m.ulParameterLen = take_number();
  }
  return rarely() ? NULL : &m;
}

static struct hf_slice take_data(void)
{
  static const CK_BYTE zeros[4096];
  uint8_t how = take();
  if (how < 0x40)
    return hf_slice(run.last, run.last_len);
  if (how < 0x80)
    return hf_slice(zeros, how & 1 ? 32 : take_number() % sizeof(zeros));
  if (how < 0xF0)
    return take_bytes(255);
  return hf_slice(how & 1 ? NULL : zeros, how & 2 ? ~0UL : 0);
}

static struct hf_slice take_pin(void)
{
  static CK_BYTE lengthy[300];
  const struct hf_slice pins[] = { { (const uint8_t *)USER_PIN, 4 },
                                   { (const uint8_t *)SO_PIN, 8 },
                                   { (const uint8_t *)"wrong pin", 9 },
                                   { (const uint8_t *)"", 0 },
                                   { lengthy, 255 },
                                   { lengthy, 256 },
                                   { NULL, 0 } };
  return PICK(pins);
}

#endif
