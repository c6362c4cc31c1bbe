/* SPDX-License-Identifier: Apache-2.0 */
/* Every symmetric mechanism against the standards' own examples: in one part and in several, in place, back, and tampered with. */
#include "token_rig.h"

#include "kat_aead.h"
#include "kat_cipher.h"
#include "kat_digest.h"
#include "kat_mac.h"

#include "base/cleanup.h"
#include "token/mech/mech.h"

enum { BYTES_MAX = 1024, UNTOUCHED = 0xee };

static const struct {
  const struct kat *rows;
  size_t count;
} tables[] = {
  { kat_digests, HF_ARRAY_LEN(kat_digests) },
  { kat_macs, HF_ARRAY_LEN(kat_macs) },
  { kat_ciphers, HF_ARRAY_LEN(kat_ciphers) },
  { kat_aeads, HF_ARRAY_LEN(kat_aeads) },
};

static const size_t pieces[] = { 1, 7, 16, 17, 40, BYTES_MAX };

struct bytes {
  CK_BYTE data[BYTES_MAX];
  CK_ULONG len;
};

static struct bytes from_hex(const char *hex)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf decoded = HF_BUF(BYTES_MAX);
  struct bytes bytes = { .len = 0 };
  assert_hf_ok(hf_hex_decode(hex ? hex : "", &decoded));
  if (decoded.len)
    memcpy(bytes.data, decoded.data, decoded.len);
  bytes.len = decoded.len;
  return bytes;
}

static void assert_bytes(const struct kat *kat, const struct bytes *expected, const struct bytes *got)
{
  if (expected->len == got->len && memcmp(expected->data, got->data, got->len) == 0)
    return;
  HF_CLEANUP(hf_buf_free) struct hf_buf hex = HF_BUF(4 * BYTES_MAX), right = HF_BUF(4 * BYTES_MAX);
  assert_hf_ok(hf_buf_add_hex(&hex, got->data, got->len));
  assert_hf_ok(hf_buf_add_hex(&right, expected->data, expected->len));
  fail_msg("mechanism 0x%lx, %s: %s where %s is right", kat->type, kat->source, hf_buf_str(&hex), hf_buf_str(&right));
}

static void assert_rv_of(const struct kat *kat, CK_RV expected, CK_RV rv)
{
  if (rv != expected)
    fail_msg("mechanism 0x%lx, %s: 0x%lx where 0x%lx is right", kat->type, kat->source, rv, expected);
}

/* A mechanism with its parameter. */
struct built {
  CK_MECHANISM m;
  struct bytes iv, aad;
  union {
    CK_AES_CTR_PARAMS ctr;
    CK_GCM_PARAMS gcm;
    struct hf_ck_ccm_params ccm;
    struct hf_ck_chacha20_params chacha;
    struct hf_ck_chacha20_poly1305_params chacha_poly;
    CK_ULONG len;
  } param;
};

static void build_ctr(const struct kat *kat, struct built *b)
{
  b->param.ctr.ulCounterBits = kat->number;
  memcpy(b->param.ctr.cb, b->iv.data, 16);
}

static void build_gcm(const struct kat *kat, struct built *b)
{
  b->param.gcm = (CK_GCM_PARAMS){ b->iv.data, b->iv.len, 8 * b->iv.len, b->aad.data, b->aad.len, 8 * kat->number };
}

static void build_ccm(const struct kat *kat, struct built *b)
{
  b->param.ccm =
      (struct hf_ck_ccm_params){ strlen(kat->in) / 2, b->iv.data, b->iv.len, b->aad.data, b->aad.len, kat->number };
}

static void build_chacha(const struct kat *kat, struct built *b)
{
  b->param.chacha =
      (struct hf_ck_chacha20_params){ b->iv.data, kat->number, b->iv.data + kat->number / 8, 128 - kat->number };
}

static void build_chacha_poly(const struct kat *kat, struct built *b)
{
  (void)kat;
  b->param.chacha_poly = (struct hf_ck_chacha20_poly1305_params){ b->iv.data, b->iv.len, b->aad.data, b->aad.len };
}

static const struct {
  CK_MECHANISM_TYPE type;
  CK_ULONG len;
  void (*build)(const struct kat *kat, struct built *b);
} builders[] = {
  { CKM_AES_CTR, sizeof(CK_AES_CTR_PARAMS), build_ctr },
  { CKM_AES_GCM, sizeof(CK_GCM_PARAMS), build_gcm },
  { CKM_AES_CCM, sizeof(struct hf_ck_ccm_params), build_ccm },
  { CKM_CHACHA20, sizeof(struct hf_ck_chacha20_params), build_chacha },
  { CKM_CHACHA20_POLY1305, sizeof(struct hf_ck_chacha20_poly1305_params), build_chacha_poly },
};

static bool is_general(CK_MECHANISM_TYPE type)
{
  const char *name = mech_find(type)->name;
  return strlen(name) > 8 && strcmp(name + strlen(name) - 8, "_GENERAL") == 0;
}

static void build(const struct kat *kat, struct built *b)
{
  *b = (struct built){ .m = { kat->type, NULL, 0 }, .iv = from_hex(kat->iv), .aad = from_hex(kat->aad) };
  for (size_t i = 0; i < HF_ARRAY_LEN(builders); i++) {
    if (builders[i].type == kat->type) {
      builders[i].build(kat, b);
      b->m = (CK_MECHANISM){ kat->type, &b->param, builders[i].len };
      return;
    }
  }
  if (is_general(kat->type)) {
    b->param.len = strlen(kat->out) / 2;
    b->m = (CK_MECHANISM){ kat->type, &b->param, sizeof(CK_ULONG) };
  } else if (kat->iv) {
    b->m = (CK_MECHANISM){ kat->type, b->iv.data, b->iv.len };
  }
}

static CK_OBJECT_HANDLE import(CK_SESSION_HANDLE h, const struct kat *kat)
{
  CK_OBJECT_HANDLE key;
  CK_OBJECT_CLASS class = CKO_SECRET_KEY;
  CK_KEY_TYPE type = kat->key_type;
  struct bytes value = from_hex(kat->key);
  CK_ATTRIBUTE tmpl[] = {
    { CKA_CLASS, &class, sizeof(class) },
    { CKA_KEY_TYPE, &type, sizeof(type) },
    { CKA_VALUE, value.data, value.len },
  };
  assert_rv_of(kat, CKR_OK, C_CreateObject(h, tmpl, 3, &key));
  return key;
}

static size_t piece_at(const struct bytes *in, size_t at, size_t piece)
{
  return in->len - at < piece ? in->len - at : piece;
}

static void check_digest(CK_SESSION_HANDLE h, const struct kat *kat)
{
  struct bytes in = from_hex(kat->in), out = from_hex(kat->out), got = { .len = BYTES_MAX };
  CK_MECHANISM m = { kat->type, NULL, 0 };
  assert_ok(C_DigestInit(h, &m));
  assert_ok(C_Digest(h, in.data, in.len, got.data, &got.len));
  assert_bytes(kat, &out, &got);
  for (size_t i = 0; i < HF_ARRAY_LEN(pieces); i++) {
    assert_ok(C_DigestInit(h, &m));
    for (size_t at = 0; at < in.len; at += pieces[i])
      assert_ok(C_DigestUpdate(h, in.data + at, piece_at(&in, at, pieces[i])));
    got.len = out.len - 1;
    assert_rv(CKR_BUFFER_TOO_SMALL, C_DigestFinal(h, got.data, &got.len));
    assert_int_equal(out.len, got.len);
    assert_ok(C_DigestFinal(h, got.data, &got.len));
    assert_bytes(kat, &out, &got);
  }
}

static void check_mac_parts(CK_SESSION_HANDLE h, const struct kat *kat, struct built *b, CK_OBJECT_HANDLE key)
{
  struct bytes in = from_hex(kat->in), out = from_hex(kat->out), got;
  for (size_t i = 0; i < HF_ARRAY_LEN(pieces); i++) {
    assert_rv_of(kat, CKR_OK, C_SignInit(h, &b->m, key));
    assert_rv_of(kat, CKR_OK, C_VerifyInit(h, &b->m, key));
    for (size_t at = 0; at < in.len; at += pieces[i]) {
      assert_ok(C_SignUpdate(h, in.data + at, piece_at(&in, at, pieces[i])));
      assert_ok(C_VerifyUpdate(h, in.data + at, piece_at(&in, at, pieces[i])));
    }
    assert_ok(C_SignFinal(h, NULL, &got.len));
    assert_int_equal(out.len, got.len);
    got.len = out.len - 1;
    assert_rv(CKR_BUFFER_TOO_SMALL, C_SignFinal(h, got.data, &got.len));
    assert_ok(C_SignFinal(h, got.data, &got.len));
    assert_bytes(kat, &out, &got);
    assert_rv_of(kat, CKR_OK, C_VerifyFinal(h, out.data, out.len));
  }
}

static void check_mac(CK_SESSION_HANDLE h, const struct kat *kat)
{
  struct bytes in = from_hex(kat->in), out = from_hex(kat->out), got = { .len = BYTES_MAX };
  CK_OBJECT_HANDLE key = import(h, kat);
  struct built b;
  build(kat, &b);
  assert_rv_of(kat, CKR_OK, C_SignInit(h, &b.m, key));
  assert_rv_of(kat, CKR_OK, C_Sign(h, in.data, in.len, got.data, &got.len));
  assert_bytes(kat, &out, &got);
  check_mac_parts(h, kat, &b, key);
  assert_ok(C_VerifyInit(h, &b.m, key));
  assert_rv_of(kat, CKR_OK, C_Verify(h, in.data, in.len, out.data, out.len));
  assert_ok(C_VerifyInit(h, &b.m, key));
  assert_rv_of(kat, CKR_SIGNATURE_LEN_RANGE, C_Verify(h, in.data, in.len, out.data, out.len - 1));
  for (size_t i = 0; i < out.len; i += 3) {
    assert_ok(C_VerifyInit(h, &b.m, key));
    out.data[i] ^= 0x40;
    assert_rv_of(kat, CKR_SIGNATURE_INVALID, C_Verify(h, in.data, in.len, out.data, out.len));
    out.data[i] ^= 0x40;
  }
}

/* The calls of one direction. */
struct direction {
  CK_RV (*init)(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE key);
  CK_RV (*all)(CK_SESSION_HANDLE h, CK_BYTE *in, CK_ULONG in_len, CK_BYTE *out, CK_ULONG *out_len);
  CK_RV (*update)(CK_SESSION_HANDLE h, CK_BYTE *in, CK_ULONG in_len, CK_BYTE *out, CK_ULONG *out_len);
  CK_RV (*final)(CK_SESSION_HANDLE h, CK_BYTE *out, CK_ULONG *out_len);
};

static const struct direction encrypting = { C_EncryptInit, C_Encrypt, C_EncryptUpdate, C_EncryptFinal };
static const struct direction decrypting = { C_DecryptInit, C_Decrypt, C_DecryptUpdate, C_DecryptFinal };

static void check_all(CK_SESSION_HANDLE h, const struct kat *kat, const struct direction *d, struct built *b,
                      CK_OBJECT_HANDLE key, struct bytes *in, const struct bytes *out)
{
  struct bytes got = *in;
  CK_ULONG asked = 0;
  assert_rv_of(kat, CKR_OK, d->init(h, &b->m, key));
  assert_rv_of(kat, CKR_OK, d->all(h, in->data, in->len, NULL, &asked));
  assert_true(asked >= out->len);
  if (out->len) {
    got.len = out->len - 1;
    assert_rv_of(kat, CKR_BUFFER_TOO_SMALL, d->all(h, in->data, in->len, got.data, &got.len));
    assert_int_equal(out->len, got.len);
  }
  got.len = out->len; /* no more than it takes */
  assert_rv_of(kat, CKR_OK, d->all(h, in->data, in->len, got.data, &got.len));
  assert_bytes(kat, out, &got);
  assert_rv(CKR_OPERATION_NOT_INITIALIZED, d->all(h, in->data, in->len, got.data, &got.len));
  got = *in;
  got.len = BYTES_MAX;
  assert_rv_of(kat, CKR_OK, d->init(h, &b->m, key));
  assert_rv_of(kat, CKR_OK, d->all(h, got.data, in->len, got.data, &got.len)); /* in place */
  assert_bytes(kat, out, &got);
}

/* In place: a part is written over parts that were read. */
static void check_parts(CK_SESSION_HANDLE h, const struct kat *kat, const struct direction *d, struct bytes *in,
                        const struct bytes *out, size_t piece, bool in_place)
{
  struct bytes got = { .len = 0 }, *from = in_place ? &got : in;
  CK_ULONG n, asked;
  if (in_place)
    memcpy(got.data, in->data, in->len);
  for (size_t at = 0; at < in->len; at += piece, got.len += n) {
    size_t len = piece_at(in, at, piece);
    assert_rv_of(kat, CKR_OK, d->update(h, from->data + at, len, NULL, &asked));
    n = asked - 1;
    if (asked)
      assert_rv_of(kat, CKR_BUFFER_TOO_SMALL, d->update(h, from->data + at, len, got.data + got.len, &n));
    n = asked;
    assert_rv_of(kat, CKR_OK, d->update(h, from->data + at, len, got.data + got.len, &n));
    assert_int_equal(asked, n);
  }
  assert_rv_of(kat, CKR_OK, d->final(h, NULL, &n));
  assert_true(n >= out->len - got.len);
  n = out->len - got.len;
  if (n) {
    n--;
    assert_rv_of(kat, CKR_BUFFER_TOO_SMALL, d->final(h, got.data + got.len, &n));
    assert_int_equal(out->len - got.len, n);
  }
  assert_rv_of(kat, CKR_OK, d->final(h, got.data + got.len, &n));
  got.len += n;
  assert_bytes(kat, out, &got);
}

static void check_direction(CK_SESSION_HANDLE h, const struct kat *kat, const struct direction *d, CK_OBJECT_HANDLE key,
                            struct bytes *in, const struct bytes *out)
{
  struct built b;
  build(kat, &b);
  check_all(h, kat, d, &b, key, in, out);
  for (size_t i = 0; i < 2 * HF_ARRAY_LEN(pieces); i++) {
    assert_rv_of(kat, CKR_OK, d->init(h, &b.m, key));
    check_parts(h, kat, d, in, out, pieces[i / 2], i % 2);
  }
}

static void assert_nothing_left(const struct kat *kat, const struct bytes *out)
{
  for (size_t i = 0; i < BYTES_MAX; i++)
    if (out->data[i] != UNTOUCHED && out->data[i] != 0)
      fail_msg("mechanism 0x%lx, %s: byte %zu is left of what was tampered with", kat->type, kat->source, i);
}

/* Of those that notice. */
static void check_tampered(CK_SESSION_HANDLE h, const struct kat *kat, CK_OBJECT_HANDLE key, struct bytes *out)
{
  struct built b;
  struct bytes got;
  build(kat, &b);
  for (size_t i = 0; i < out->len; i += 5) {
    out->data[i] ^= 0x10;
    memset(&got, UNTOUCHED, sizeof(got));
    got.len = BYTES_MAX;
    assert_ok(C_DecryptInit(h, &b.m, key));
    assert_rv_of(kat, CKR_ENCRYPTED_DATA_INVALID, C_Decrypt(h, out->data, out->len, got.data, &got.len));
    assert_nothing_left(kat, &got);
    got.len = BYTES_MAX;
    assert_ok(C_DecryptInit(h, &b.m, key));
    assert_ok(C_DecryptUpdate(h, out->data, out->len, got.data, &got.len));
    assert_int_equal(0, got.len);
    got.len = BYTES_MAX;
    assert_rv_of(kat, CKR_ENCRYPTED_DATA_INVALID, C_DecryptFinal(h, got.data, &got.len));
    assert_nothing_left(kat, &got);
    assert_rv(CKR_OPERATION_NOT_INITIALIZED, C_DecryptFinal(h, got.data, &got.len));
    out->data[i] ^= 0x10;
  }
}

static bool notices(CK_MECHANISM_TYPE type)
{
  const char *name = mech_find(type)->name;
  return strstr(name, "WRAP") || strstr(name, "GCM") || strstr(name, "CCM") || strstr(name, "POLY1305");
}

static void check_cipher(CK_SESSION_HANDLE h, const struct kat *kat)
{
  struct bytes in = from_hex(kat->in), out = from_hex(kat->out);
  CK_OBJECT_HANDLE key = import(h, kat);
  check_direction(h, kat, &encrypting, key, &in, &out);
  check_direction(h, kat, &decrypting, key, &out, &in);
  if (notices(kat->type))
    check_tampered(h, kat, key, &out);
}

/* All rows whose mechanism does this. */
static void check_those(CK_FLAGS flag, void (*check)(CK_SESSION_HANDLE h, const struct kat *kat))
{
  CK_SESSION_HANDLE h = rig_user_session();
  for (size_t i = 0; i < HF_ARRAY_LEN(tables); i++) {
    for (size_t k = 0; k < tables[i].count; k++) {
      const struct mech *mech = mech_find(tables[i].rows[k].type);
      if (!mech)
        print_message("# 0x%lx is not in this libcrypto\n", tables[i].rows[k].type);
      else if (mech->info.flags & flag)
        check(h, &tables[i].rows[k]);
    }
  }
}

static void test_digests(void **state)
{
  (void)state;
  check_those(CKF_DIGEST, check_digest);
}

static void test_macs(void **state)
{
  (void)state;
  check_those(CKF_SIGN, check_mac);
}

static void test_ciphers(void **state)
{
  (void)state;
  check_those(CKF_ENCRYPT, check_cipher);
}

static bool has_vector(CK_MECHANISM_TYPE type)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(tables); i++)
    for (size_t k = 0; k < tables[i].count; k++)
      if (tables[i].rows[k].type == type)
        return true;
  return false;
}

static void test_all_have_a_vector(void **state)
{
  (void)state;
  const struct mech_table *const ours[] = { &mech_table_digest, &mech_table_cipher, &mech_table_mac };
  size_t missing = 0;
  for (size_t i = 0; i < HF_ARRAY_LEN(ours); i++) {
    for (size_t k = 0; k < ours[i]->count; k++) {
      const struct mech *mech = &ours[i]->rows[k];
      assert_int_equal(0, strncmp(mech->name, "CKM_", 4));
      if (!has_vector(mech->type)) {
        print_error("%s has no vector\n", mech->name);
        missing++;
      }
    }
  }
  assert_int_equal(0, missing);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    RIG_TEST(test_digests),
    RIG_TEST(test_macs),
    RIG_TEST(test_ciphers),
    RIG_TEST(test_all_have_a_vector),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
