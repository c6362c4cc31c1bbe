/* SPDX-License-Identifier: Apache-2.0 */
/* Every symmetric mechanism against the standards' own examples: in one part and in several, in place, back, and tampered with. */
#include "token_rig.h"

#include "kat_symmetric.h"

#include "base/cleanup.h"
#include "token/mech/mech.h"

enum { BYTES_MAX = 1024 };

static const size_t pieces[] = { 1, 7, 16, 17, BYTES_MAX };

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
  HF_CLEANUP(hf_buf_free) struct hf_buf hex = HF_BUF(2 * BYTES_MAX);
  assert_hf_ok(hf_buf_add_hex(&hex, got->data, got->len));
  fail_msg("mechanism 0x%lx, %s: %s where %s is right", kat->type, kat->source, hf_buf_str(&hex), kat->out);
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
      assert_ok(C_DigestUpdate(h, in.data + at, in.len - at < pieces[i] ? in.len - at : pieces[i]));
    got.len = out.len - 1;
    assert_rv(CKR_BUFFER_TOO_SMALL, C_DigestFinal(h, got.data, &got.len));
    assert_int_equal(out.len, got.len);
    assert_ok(C_DigestFinal(h, got.data, &got.len));
    assert_bytes(kat, &out, &got);
  }
}

static void test_digests(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  for (size_t i = 0; i < HF_ARRAY_LEN(kats); i++)
    if (mech_find(kats[i].type)->info.flags & CKF_DIGEST)
      check_digest(h, &kats[i]);
}

static bool has_vector(CK_MECHANISM_TYPE type)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(kats); i++)
    if (kats[i].type == type)
      return true;
  return false;
}

static void test_all_have_a_vector(void **state)
{
  (void)state;
  size_t missing = 0;
  for (size_t i = 0; mech_at(i); i++) {
    const struct mech *mech = mech_at(i);
    if (mech->info.flags & CKF_DIGEST && !has_vector(mech->type)) {
      print_error("%s has no vector\n", mech->name);
      missing++;
    }
  }
  assert_int_equal(0, missing);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    RIG_TEST(test_digests),
    RIG_TEST(test_all_have_a_vector),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
