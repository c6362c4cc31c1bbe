/* SPDX-License-Identifier: Apache-2.0 */
/* Symmetric mechanisms: messages of every length there and back, contexts that are kept, parameters and data that are refused. */
#include "token_rig.h"

#include "base/cleanup.h"
#include "token/mech/aead.h"

#include <openssl/err.h>
#include <openssl/evp.h>

enum { ROOM = 4096 };

static CK_BYTE iv[16] = "an IV of sixteen",
               key_bytes[64] = "the first half of a key, of 32..and another, of thirty-two more";

struct bytes {
  CK_BYTE data[ROOM];
  CK_ULONG len;
};

static CK_OBJECT_HANDLE make_key(CK_SESSION_HANDLE h, CK_KEY_TYPE type, CK_ULONG len)
{
  CK_OBJECT_HANDLE key;
  CK_OBJECT_CLASS class = CKO_SECRET_KEY;
  CK_ATTRIBUTE tmpl[] = {
    { CKA_CLASS, &class, sizeof(class) },
    { CKA_KEY_TYPE, &type, sizeof(type) },
    { CKA_VALUE, key_bytes, len },
  };
  assert_ok(C_CreateObject(h, tmpl, 3, &key));
  return key;
}

static CK_RV encrypt(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE key, CK_BYTE *in, CK_ULONG len,
                     struct bytes *out)
{
  CK_RV rv = C_EncryptInit(h, m, key);
  out->len = ROOM;
  return rv ? rv : C_Encrypt(h, in, len, out->data, &out->len);
}

static CK_RV decrypt(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE key, CK_BYTE *in, CK_ULONG len,
                     struct bytes *out)
{
  CK_RV rv = C_DecryptInit(h, m, key);
  out->len = ROOM;
  return rv ? rv : C_Decrypt(h, in, len, out->data, &out->len);
}

/* A good parameter of every mechanism that encrypts. */
static CK_AES_CTR_PARAMS ctr = { 32, "a nonce of 12\0\0\0" };
static CK_GCM_PARAMS gcm = { iv, 12, 96, key_bytes, 20, 128 };
static struct hf_ck_ccm_params ccm = { 0, iv, 12, key_bytes, 20, 16 };
static struct hf_ck_chacha20_params chacha = { key_bytes, 32, iv, 96 };
static struct hf_ck_chacha20_poly1305_params chacha_poly = { iv, 12, key_bytes, 20 };

/* step: lengths that it takes are multiples of this, from least on. */
static const struct {
  CK_MECHANISM m;
  CK_KEY_TYPE key_type;
  CK_ULONG key_len;
  CK_ULONG least, step;
} all[] = {
  { { CKM_AES_ECB, NULL, 0 }, CKK_AES, 16, 0, 16 },
  { { CKM_AES_CBC, iv, 16 }, CKK_AES, 24, 0, 16 },
  { { CKM_AES_CBC_PAD, iv, 16 }, CKK_AES, 32, 0, 1 },
  { { CKM_AES_CTR, &ctr, sizeof(ctr) }, CKK_AES, 16, 0, 1 },
  { { CKM_AES_CTS, iv, 16 }, CKK_AES, 16, 16, 1 },
  { { CKM_AES_OFB, iv, 16 }, CKK_AES, 16, 0, 1 },
  { { CKM_AES_CFB1, iv, 16 }, CKK_AES, 16, 0, 1 },
  { { CKM_AES_CFB8, iv, 16 }, CKK_AES, 16, 0, 1 },
  { { CKM_AES_CFB128, iv, 16 }, CKK_AES, 16, 0, 1 },
  { { CKM_AES_GCM, &gcm, sizeof(gcm) }, CKK_AES, 32, 0, 1 },
  { { CKM_AES_CCM, &ccm, sizeof(ccm) }, CKK_AES, 32, 0, 1 },
  { { CKM_AES_XTS, iv, 16 }, CKK_AES_XTS, 64, 16, 1 },
  { { CKM_AES_KEY_WRAP, NULL, 0 }, CKK_AES, 32, 16, 8 },
  { { CKM_AES_KEY_WRAP, iv, 8 }, CKK_AES, 32, 16, 8 },
  { { CKM_AES_KEY_WRAP_PAD, NULL, 0 }, CKK_AES, 32, 1, 1 },
  { { CKM_AES_KEY_WRAP_KWP, iv, 4 }, CKK_AES, 32, 1, 1 },
  { { CKM_AES_KEY_WRAP_PKCS7, NULL, 0 }, CKK_AES, 32, 8, 1 },
  { { CKM_DES3_ECB, NULL, 0 }, CKK_DES3, 24, 0, 8 },
  { { CKM_DES3_CBC, iv, 8 }, CKK_DES2, 16, 0, 8 },
  { { CKM_DES3_CBC_PAD, iv, 8 }, CKK_DES3, 24, 0, 1 },
  { { CKM_CHACHA20, &chacha, sizeof(chacha) }, CKK_CHACHA20, 32, 0, 1 },
  { { CKM_CHACHA20_POLY1305, &chacha_poly, sizeof(chacha_poly) }, CKK_CHACHA20, 32, 0, 1 },
};

/* In parts of 1, 2, 3 ... bytes. */
static void encrypt_parts(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE key, CK_BYTE *in, CK_ULONG len,
                          struct bytes *out)
{
  CK_ULONG n;
  assert_ok(C_EncryptInit(h, m, key));
  out->len = 0;
  for (CK_ULONG at = 0, part = 1; at < len; at += part++) {
    n = ROOM - out->len;
    assert_ok(C_EncryptUpdate(h, in + at, len - at < part ? len - at : part, out->data + out->len, &n));
    out->len += n;
  }
  n = ROOM - out->len;
  assert_ok(C_EncryptFinal(h, out->data + out->len, &n));
  out->len += n;
}

static void test_every_length(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_BYTE message[200];
  struct bytes whole, parts, back;
  for (size_t i = 0; i < sizeof(message); i++)
    message[i] = (CK_BYTE)(7 * i);
  for (size_t i = 0; i < HF_ARRAY_LEN(all); i++) {
    CK_MECHANISM m = all[i].m;
    CK_OBJECT_HANDLE key = make_key(h, all[i].key_type, all[i].key_len);
    for (CK_ULONG len = 0; len < sizeof(message); len++) {
      bool fits = len >= all[i].least && len % all[i].step == 0;
      ccm.ulDataLen = len;
      assert_rv(fits ? CKR_OK : CKR_DATA_LEN_RANGE, encrypt(h, &m, key, message, len, &whole));
      if (!fits)
        continue;
      encrypt_parts(h, &m, key, message, len, &parts);
      assert_int_equal(whole.len, parts.len);
      assert_memory_equal(whole.data, parts.data, whole.len);
      assert_ok(decrypt(h, &m, key, whole.data, whole.len, &back));
      assert_int_equal(len, back.len);
      assert_memory_equal(message, back.data, len);
    }
  }
}

/* Against libcrypto, with contexts of its own each time. */
static void libcrypto_gcm(const CK_BYTE *nonce, int nonce_len, const CK_BYTE *aad, int aad_len, const CK_BYTE *in,
                          int len, CK_BYTE *out)
{
  EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
  int n;
  assert_int_equal(1, EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, NULL, NULL));
  assert_int_equal(1, EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, nonce_len, NULL));
  assert_int_equal(1, EVP_EncryptInit_ex(ctx, NULL, NULL, key_bytes, nonce));
  assert_int_equal(1, EVP_EncryptUpdate(ctx, NULL, &n, aad, aad_len));
  assert_int_equal(1, EVP_EncryptUpdate(ctx, out, &n, in, len));
  assert_int_equal(1, EVP_EncryptFinal_ex(ctx, out + len, &n));
  assert_int_equal(1, EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, out + len));
  EVP_CIPHER_CTX_free(ctx);
}

static void test_kept_context(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_OBJECT_HANDLE key = make_key(h, CKK_AES, 32);
  CK_BYTE nonce[128] = { 0 }, right[100 + 16];
  struct bytes out;
  for (int i = 0; i < 200; i++) {
    CK_GCM_PARAMS params = { nonce, i % 5 ? 12 : 1 + (CK_ULONG)i % 128, 0, key_bytes, (CK_ULONG)i % 64, 128 };
    CK_MECHANISM m = { CKM_AES_GCM, &params, sizeof(params) };
    nonce[0] = (CK_BYTE)i;
    libcrypto_gcm(nonce, (int)params.ulIvLen, key_bytes, (int)params.ulAADLen, key_bytes, 50, right);
    assert_ok(encrypt(h, &m, key, key_bytes, 50, &out));
    assert_int_equal(66, out.len);
    assert_memory_equal(right, out.data, 66);
    if (i % 7 == 0) { /* one that is left halfway */
      assert_ok(C_EncryptInit(h, &m, key));
      out.len = ROOM;
      assert_ok(C_EncryptUpdate(h, key_bytes, 33, out.data, &out.len));
      assert_ok(C_EncryptInit(h, NULL, 0));
    }
  }
}

/* Each with one thing wrong. */
static void test_parameters(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  for (size_t i = 0; i < HF_ARRAY_LEN(all); i++) {
    CK_MECHANISM m = all[i].m;
    CK_OBJECT_HANDLE key = make_key(h, all[i].key_type, all[i].key_len);
    CK_BYTE longer[128] = { 0 };
    if (m.ulParameterLen)
      memcpy(longer, m.pParameter, m.ulParameterLen);
    m.ulParameterLen++;
    m.pParameter = longer;
    assert_rv(CKR_MECHANISM_PARAM_INVALID, C_EncryptInit(h, &m, key));
    m.ulParameterLen = (CK_ULONG)-1;
    assert_rv(CKR_MECHANISM_PARAM_INVALID, C_EncryptInit(h, &m, key));
    m = all[i].m;
    assert_ok(C_EncryptInit(h, &m, key)); /* what is wrong next meets a context that is kept */
    assert_ok(C_EncryptInit(h, NULL, 0));
    if (!m.ulParameterLen)
      continue;
    m.pParameter = NULL;
    assert_rv(CKR_MECHANISM_PARAM_INVALID, C_EncryptInit(h, &m, key));
    m.ulParameterLen = 0;
    bool optional = m.mechanism == CKM_AES_KEY_WRAP || m.mechanism == CKM_AES_KEY_WRAP_KWP;
    assert_rv(optional ? CKR_OK : CKR_MECHANISM_PARAM_INVALID, C_EncryptInit(h, &m, key));
    if (optional)
      assert_ok(C_EncryptInit(h, NULL, 0));
  }
}

#define HUGE ((CK_ULONG)1 << 40)

static void test_inner_parameters(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_OBJECT_HANDLE aes = make_key(h, CKK_AES, 32), key20 = make_key(h, CKK_CHACHA20, 32);
  CK_AES_CTR_PARAMS ctrs[] = { { 0, "" }, { 129, "" }, { HUGE, "" } };
  CK_GCM_PARAMS gcms[] = {
    { NULL, 12, 0, NULL, 0, 128 }, { iv, 0, 0, NULL, 0, 128 },   { iv, 129, 0, NULL, 0, 128 },
    { iv, HUGE, 0, NULL, 0, 128 }, { iv, 12, 0, NULL, 4, 128 },  { iv, 12, 0, iv, HUGE, 128 },
    { iv, 12, 0, NULL, 0, 0 },     { iv, 12, 0, NULL, 0, 136 },  { iv, 12, 0, NULL, 0, 100 },
    { iv, 12, 0, NULL, 0, 16 },    { iv, 12, 0, NULL, 0, HUGE },
  };
  struct hf_ck_ccm_params ccms[] = {
    { 5, NULL, 12, NULL, 0, 16 }, { 5, iv, 6, NULL, 0, 16 },     { 5, iv, 14, NULL, 0, 16 }, { 5, iv, 12, NULL, 1, 16 },
    { 5, iv, 12, iv, HUGE, 16 },  { 5, iv, 12, NULL, 0, 2 },     { 5, iv, 12, NULL, 0, 5 },  { 5, iv, 12, NULL, 0, 18 },
    { HUGE, iv, 12, NULL, 0, 8 }, { 65536, iv, 13, NULL, 0, 8 },
  };
  struct hf_ck_chacha20_params chachas[] = {
    { NULL, 32, iv, 96 }, { iv, 32, NULL, 96 }, { iv, 32, iv, 64 }, { iv, 64, iv, 96 }, { iv, 0, iv, 128 },
  };
  struct hf_ck_chacha20_poly1305_params polys[] = {
    { NULL, 12, NULL, 0 }, { iv, 8, NULL, 0 }, { iv, HUGE, NULL, 0 }, { iv, 12, NULL, 1 }, { iv, 12, iv, HUGE },
  };
  const struct {
    CK_MECHANISM_TYPE type;
    void *params;
    size_t size, count;
  } wrong[] = {
    { CKM_AES_CTR, ctrs, sizeof(*ctrs), HF_ARRAY_LEN(ctrs) },
    { CKM_AES_GCM, gcms, sizeof(*gcms), HF_ARRAY_LEN(gcms) },
    { CKM_AES_CCM, ccms, sizeof(*ccms), HF_ARRAY_LEN(ccms) },
    { CKM_CHACHA20, chachas, sizeof(*chachas), HF_ARRAY_LEN(chachas) },
    { CKM_CHACHA20_POLY1305, polys, sizeof(*polys), HF_ARRAY_LEN(polys) },
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(wrong); i++) {
    CK_OBJECT_HANDLE key = i < 3 ? aes : key20;
    for (size_t k = 0; k < wrong[i].count; k++) {
      CK_BYTE unaligned[128]; /* where a caller may have it */
      memcpy(unaligned + 1, (CK_BYTE *)wrong[i].params + k * wrong[i].size, wrong[i].size);
      CK_MECHANISM m = { wrong[i].type, unaligned + 1, wrong[i].size };
      assert_rv(CKR_MECHANISM_PARAM_INVALID, C_EncryptInit(h, &m, key));
      assert_rv(CKR_MECHANISM_PARAM_INVALID, C_DecryptInit(h, &m, key));
    }
  }
}

static void test_general_lengths(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_OBJECT_HANDLE key = make_key(h, CKK_GENERIC_SECRET, 32), aes = make_key(h, CKK_AES, 16);
  CK_ULONG len;
  CK_BYTE full[32], out[32];
  CK_MECHANISM m = { CKM_SHA256_HMAC_GENERAL, &len, sizeof(len) }, cmac = { CKM_AES_CMAC_GENERAL, &len, sizeof(len) };
  CK_MECHANISM plain = { CKM_SHA256_HMAC, NULL, 0 };
  assert_ok(C_SignInit(h, &plain, key));
  assert_ok(C_Sign(h, iv, 16, full, &(CK_ULONG){ 32 }));
  for (len = 1; len <= 32; len++) {
    CK_ULONG n = sizeof(out);
    assert_ok(C_SignInit(h, &m, key));
    assert_ok(C_Sign(h, iv, 16, out, &n));
    assert_int_equal(len, n);
    assert_memory_equal(full, out, len);
    assert_ok(C_VerifyInit(h, &m, key));
    assert_ok(C_Verify(h, iv, 16, out, n));
  }
  const CK_ULONG wrong[] = { 0, 33, HUGE };
  for (size_t i = 0; i < HF_ARRAY_LEN(wrong); i++) {
    len = wrong[i];
    assert_rv(CKR_MECHANISM_PARAM_INVALID, C_SignInit(h, &m, key));
  }
  len = 17;
  assert_rv(CKR_MECHANISM_PARAM_INVALID, C_SignInit(h, &cmac, aes));
  m.ulParameterLen = 0;
  assert_rv(CKR_MECHANISM_PARAM_INVALID, C_SignInit(h, &m, key));
}

static void test_counter_ends(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_OBJECT_HANDLE key = make_key(h, CKK_AES, 16);
  CK_BYTE zeros[600] = { 0 };
  struct bytes out;
  /* 254 and 255 in the last byte; 2^32 - 2; 2^128 - 2; 1 of two bits: blocks that are left. */
  static const struct {
    CK_ULONG bits, blocks;
    CK_BYTE before, last;
  } rows[] = { { 8, 2, 0, 0xfe }, { 8, 1, 0, 0xff }, { 32, 2, 0xff, 0xfe }, { 128, 2, 0xff, 0xfe }, { 2, 3, 0, 1 } };
  for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
    CK_AES_CTR_PARAMS params = { .ulCounterBits = rows[i].bits };
    CK_MECHANISM m = { CKM_AES_CTR, &params, sizeof(params) };
    CK_ULONG most = 16 * rows[i].blocks;
    memset(params.cb, rows[i].before, 15);
    params.cb[15] = rows[i].last;
    assert_ok(encrypt(h, &m, key, zeros, most, &out));
    assert_rv(CKR_DATA_LEN_RANGE, encrypt(h, &m, key, zeros, most + 1, &out));
    assert_ok(C_EncryptInit(h, &m, key));
    out.len = ROOM;
    assert_ok(C_EncryptUpdate(h, zeros, most, out.data, &out.len));
    out.len = ROOM;
    assert_rv(CKR_DATA_LEN_RANGE, C_EncryptUpdate(h, zeros, 1, out.data, &out.len));
    assert_rv(CKR_OPERATION_NOT_INITIALIZED, C_EncryptFinal(h, out.data, &out.len));
  }
  CK_OBJECT_HANDLE chacha_key = make_key(h, CKK_CHACHA20, 32);
  struct hf_ck_chacha20_params last = { (CK_BYTE *)"\xff\xff\xff\xff", 32, iv, 96 };
  CK_MECHANISM m = { CKM_CHACHA20, &last, sizeof(last) };
  assert_ok(encrypt(h, &m, chacha_key, zeros, 64, &out));
  assert_rv(CKR_DATA_LEN_RANGE, encrypt(h, &m, chacha_key, zeros, 65, &out));
}

static void libcrypto_cbc(const CK_BYTE *in, int len, CK_BYTE *out)
{
  EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
  int n;
  assert_int_equal(1, EVP_EncryptInit_ex(ctx, EVP_aes_128_cbc(), NULL, key_bytes, iv));
  EVP_CIPHER_CTX_set_padding(ctx, 0);
  assert_int_equal(1, EVP_EncryptUpdate(ctx, out, &n, in, len));
  EVP_CIPHER_CTX_free(ctx);
}

/* Every last byte of a message, the bytes before it being what it says, and one of them not. */
static void test_padding(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_OBJECT_HANDLE key = make_key(h, CKK_AES, 16);
  CK_MECHANISM m = { CKM_AES_CBC_PAD, iv, 16 };
  struct bytes out;
  for (int pad = 0; pad < 256; pad++) {
    CK_BYTE plain[48], in[48];
    memset(plain, 0x55, sizeof(plain));
    for (int i = 0; i < (pad && pad <= 16 ? pad : 1); i++)
      plain[47 - i] = (CK_BYTE)pad;
    libcrypto_cbc(plain, 48, in);
    bool good = pad >= 1 && pad <= 16;
    memset(&out, 0xee, sizeof(out));
    assert_rv(good ? CKR_OK : CKR_ENCRYPTED_DATA_INVALID, decrypt(h, &m, key, in, 48, &out));
    if (good)
      assert_int_equal(48 - pad, out.len);
    for (size_t i = good ? 48 - (size_t)pad : 0; i < ROOM; i++)
      assert_true(out.data[i] == 0 || out.data[i] == 0xee);
    if (pad < 2 || pad > 16)
      continue;
    plain[48 - pad] ^= 1;
    libcrypto_cbc(plain, 48, in);
    assert_rv(CKR_ENCRYPTED_DATA_INVALID, decrypt(h, &m, key, in, 48, &out));
  }
  assert_rv(CKR_ENCRYPTED_DATA_LEN_RANGE, decrypt(h, &m, key, iv, 0, &out));
  assert_rv(CKR_ENCRYPTED_DATA_LEN_RANGE, decrypt(h, &m, key, key_bytes, 17, &out));
}

static void test_encrypted_lengths(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  struct bytes out;
  for (size_t i = 0; i < HF_ARRAY_LEN(all); i++) {
    CK_MECHANISM m = all[i].m;
    CK_OBJECT_HANDLE key = make_key(h, all[i].key_type, all[i].key_len);
    bool has_tag = m.mechanism == CKM_AES_GCM || m.mechanism == CKM_AES_CCM || m.mechanism == CKM_CHACHA20_POLY1305;
    bool any = all[i].least == 0 && all[i].step == 1 && m.mechanism != CKM_AES_CBC_PAD &&
               m.mechanism != CKM_DES3_CBC_PAD && !has_tag;
    ccm.ulDataLen = 0;
    assert_rv(any ? CKR_OK : CKR_ENCRYPTED_DATA_LEN_RANGE, decrypt(h, &m, key, key_bytes, 7, &out));
  }
}

static void test_held_back_is_bounded(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_OBJECT_HANDLE key = make_key(h, CKK_AES, 32);
  CK_MECHANISM m = { CKM_AES_GCM, &gcm, sizeof(gcm) };
  CK_ULONG part = 8 << 20, n;
  HF_CLEANUP(hf_freep) CK_BYTE *zeros = calloc(1, part);
  CK_BYTE out[1];
  assert_ok(C_DecryptInit(h, &m, key));
  for (int i = 0; i < 8; i++)
    assert_ok(C_DecryptUpdate(h, zeros, part, out, &(CK_ULONG){ 0 }));
  n = 1;
  assert_rv(CKR_ENCRYPTED_DATA_LEN_RANGE, C_DecryptUpdate(h, zeros, 1, out, &n));
  assert_rv(CKR_OPERATION_NOT_INITIALIZED, C_DecryptFinal(h, out, &n));
}

static void test_after_the_end(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_OBJECT_HANDLE key = make_key(h, CKK_AES, 32);
  CK_MECHANISM m = { CKM_AES_GCM, &gcm, sizeof(gcm) };
  struct bytes out = { .len = 3 };
  assert_ok(C_EncryptInit(h, &m, key));
  assert_rv(CKR_BUFFER_TOO_SMALL, C_EncryptFinal(h, out.data, &out.len));
  out.len = ROOM;
  assert_rv(CKR_OPERATION_ACTIVE, C_EncryptUpdate(h, iv, 16, out.data, &out.len));
  assert_rv(CKR_OPERATION_NOT_INITIALIZED, C_EncryptFinal(h, out.data, &out.len));
}

static void test_keys(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_OBJECT_HANDLE aes = make_key(h, CKK_AES, 16), des = make_key(h, CKK_DES3, 24);
  CK_OBJECT_HANDLE generic = make_key(h, CKK_GENERIC_SECRET, 16), sha256 = make_key(h, CKK_SHA256_HMAC, 32);
  CK_MECHANISM ecb = { CKM_AES_ECB, NULL, 0 }, des_ecb = { CKM_DES3_ECB, NULL, 0 };
  CK_MECHANISM hmac = { CKM_SHA256_HMAC, NULL, 0 }, sha1 = { CKM_SHA_1_HMAC, NULL, 0 },
               cmac = { CKM_AES_CMAC, NULL, 0 };
  CK_BBOOL no = CK_FALSE;
  CK_ATTRIBUTE not_encrypt = { CKA_ENCRYPT, &no, 1 }, not_sign = { CKA_SIGN, &no, 1 };
  CK_MECHANISM_INFO info;
  assert_rv(CKR_KEY_TYPE_INCONSISTENT, C_EncryptInit(h, &ecb, des));
  assert_rv(CKR_KEY_TYPE_INCONSISTENT, C_EncryptInit(h, &des_ecb, aes));
  assert_rv(CKR_KEY_TYPE_INCONSISTENT, C_EncryptInit(h, &ecb, generic));
  assert_rv(CKR_KEY_TYPE_INCONSISTENT, C_SignInit(h, &hmac, aes));
  assert_rv(CKR_KEY_TYPE_INCONSISTENT, C_SignInit(h, &sha1, sha256));
  assert_rv(CKR_MECHANISM_INVALID, C_SignInit(h, &ecb, aes));
  assert_rv(CKR_MECHANISM_INVALID, C_EncryptInit(h, &cmac, aes));
  assert_ok(C_SignInit(h, &hmac, sha256));
  assert_ok(C_SignInit(h, NULL, 0));
  assert_ok(C_SetAttributeValue(h, aes, &not_encrypt, 1));
  assert_ok(C_SetAttributeValue(h, generic, &not_sign, 1));
  assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED, C_EncryptInit(h, &ecb, aes));
  assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED, C_SignInit(h, &hmac, generic));
  assert_ok(C_GetMechanismInfo(rig_first_slot(), CKM_AES_GCM, &info));
  assert_int_equal(16, info.ulMinKeySize);
  assert_int_equal(32, info.ulMaxKeySize);
  assert_int_equal(CKF_ENCRYPT | CKF_DECRYPT | CKF_WRAP | CKF_UNWRAP, info.flags & 0x60300);
}

/* What libcrypto queued for the program stays, and nothing of ours is added: here it refuses a key whose halves are the same. */
static void test_error_queue(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_OBJECT_HANDLE key;
  CK_OBJECT_CLASS class = CKO_SECRET_KEY;
  CK_KEY_TYPE type = CKK_AES_XTS;
  CK_BYTE same[32] = { 0 };
  CK_ATTRIBUTE tmpl[] = {
    { CKA_CLASS, &class, sizeof(class) },
    { CKA_KEY_TYPE, &type, sizeof(type) },
    { CKA_VALUE, same, sizeof(same) },
  };
  CK_MECHANISM m = { CKM_AES_XTS, iv, 16 };
  assert_ok(C_CreateObject(h, tmpl, 3, &key));
  ERR_clear_error();
  ERR_raise(ERR_LIB_USER, 4711);
  unsigned long before = ERR_peek_error();
  assert_rv(CKR_FUNCTION_FAILED, C_EncryptInit(h, &m, key));
  assert_int_equal(before, ERR_get_error());
  assert_int_equal(0, ERR_get_error());
}

/* How often a generator's IV differs from the caller's, and from the one before. */
static struct op *op_of_gcm(struct aead_state *s)
{
  static struct op op;
  op = (struct op){ .kind = OP_ENCRYPT, .mech = mech_find(CKM_AES_GCM), .state = s };
  return &op;
}

static void test_iv_generators(void **state)
{
  (void)state;
  rig_user_session();
  struct aead_state s = { .iv_len = 0 };
  struct op *op = op_of_gcm(&s);
  CK_BYTE mine[12] = "abcdefghijkl", previous[12];
  struct aead_iv how = { mine, 12, 32, CKG_NO_GENERATE };
  assert_hf_ok(aead_make_iv(op, &how));
  assert_memory_equal("abcdefghijkl", mine, 12);
  for (how.generator = CKG_GENERATE; how.generator <= CKG_GENERATE_COUNTER_XOR; how.generator++) {
    s.counter = 0;
    memcpy(mine, "abcdefghijkl", 12);
    memset(previous, 0, 12);
    for (int i = 0; i < 300; i++) {
      assert_hf_ok(aead_make_iv(op, &how));
      assert_memory_equal("abcd", mine, 4);
      assert_memory_not_equal(previous, mine, 12);
      memcpy(previous, mine, 12);
    }
    if (how.generator == CKG_GENERATE_COUNTER)
      assert_memory_equal("abcd\0\0\0\0\0\0\x01\x2b", mine, 12);
    if (how.generator == CKG_GENERATE_COUNTER_XOR)
      assert_memory_equal("abcdefghij\x6a\x47", mine, 12);
  }
  struct aead_iv few = { mine, 12, 88, CKG_GENERATE_COUNTER };
  s.counter = 0;
  for (int i = 0; i < 256; i++)
    assert_hf_ok(aead_make_iv(op, &few));
  assert_hf_err(aead_make_iv(op, &few), FUNCTION_FAILED);
  const struct aead_iv wrong[] = {
    { NULL, 12, 0, CKG_GENERATE },
    { mine, 0, 0, CKG_GENERATE },
    { mine, 129, 0, CKG_GENERATE },
    { mine, 12, 97, CKG_GENERATE },
    { mine, 12, 0, 5 },
    { mine, 12, 33, CKG_GENERATE_RANDOM },
    { mine, 12, (CK_ULONG)-1, CKG_GENERATE_COUNTER },
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(wrong); i++)
    assert_hf_err(aead_make_iv(op, &wrong[i]), MECHANISM_PARAM_INVALID);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    RIG_TEST(test_every_length),
    RIG_TEST(test_kept_context),
    RIG_TEST(test_parameters),
    RIG_TEST(test_inner_parameters),
    RIG_TEST(test_general_lengths),
    RIG_TEST(test_counter_ends),
    RIG_TEST(test_padding),
    RIG_TEST(test_encrypted_lengths),
    RIG_TEST(test_held_back_is_bounded),
    RIG_TEST(test_after_the_end),
    RIG_TEST(test_keys),
    RIG_TEST(test_error_queue),
    RIG_TEST(test_iv_generators),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
