/* SPDX-License-Identifier: Apache-2.0 */
/* Every mechanism that derives keys, against known answers. */
#include "kat_derive.h"
#include "token_rig.h"

#include "base/cleanup.h"
#include "token/mech/mech.h"

enum { BYTES_MAX = 2048, EXTRACT = 1, EXPAND = 2, SALT_KEY = 4, KEYS = 4 };

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

static void assert_bytes(const struct kat *kat, const CK_BYTE *data, CK_ULONG len)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf hex = HF_BUF(2 * BYTES_MAX);
  assert_hf_ok(hf_buf_add_hex(&hex, data, len));
  const char *got = len ? hf_buf_str(&hex) : "";
  if (strcmp(got, kat->out) != 0)
    fail_msg("mechanism 0x%lx, %s: %s where %s is right", kat->type, kat->source, got, kat->out);
}

static struct bytes value_of(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE object)
{
  struct bytes bytes;
  CK_ATTRIBUTE attr = { CKA_VALUE, bytes.data, sizeof(bytes.data) };
  assert_ok(C_GetAttributeValue(h, object, &attr, 1));
  bytes.len = attr.ulValueLen;
  return bytes;
}

static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;

static CK_OBJECT_HANDLE secret_key(CK_SESSION_HANDLE h, CK_KEY_TYPE type, const char *hex)
{
  CK_OBJECT_CLASS class = CKO_SECRET_KEY;
  struct bytes value = from_hex(hex);
  CK_ATTRIBUTE tmpl[] = { { CKA_CLASS, &class, sizeof(class) }, { CKA_KEY_TYPE, &type, sizeof(type) },
                          { CKA_VALUE, value.data, value.len }, { CKA_SENSITIVE, &no, 1 },
                          { CKA_EXTRACTABLE, &yes, 1 },         { CKA_DERIVE, &yes, 1 } };
  CK_OBJECT_HANDLE key;
  assert_ok(C_CreateObject(h, tmpl, 6, &key));
  return key;
}

/* a is its curve. */
static CK_OBJECT_HANDLE curve_key(CK_SESSION_HANDLE h, const struct kat *kat)
{
  CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
  CK_KEY_TYPE type = kat->key_type;
  struct bytes value = from_hex(kat->base), curve = from_hex(kat->a);
  CK_ATTRIBUTE tmpl[] = { { CKA_CLASS, &class, sizeof(class) },
                          { CKA_KEY_TYPE, &type, sizeof(type) },
                          { CKA_EC_PARAMS, curve.data, curve.len },
                          { CKA_VALUE, value.data, value.len },
                          { CKA_DERIVE, &yes, 1 } };
  CK_OBJECT_HANDLE key;
  assert_ok(C_CreateObject(h, tmpl, 5, &key));
  return key;
}

/* a and b are its prime and base. */
static CK_OBJECT_HANDLE dh_key(CK_SESSION_HANDLE h, const struct kat *kat)
{
  CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
  CK_KEY_TYPE type = CKK_DH;
  struct bytes value = from_hex(kat->base), prime = from_hex(kat->a), base = from_hex(kat->b);
  CK_ATTRIBUTE tmpl[] = { { CKA_CLASS, &class, sizeof(class) }, { CKA_KEY_TYPE, &type, sizeof(type) },
                          { CKA_PRIME, prime.data, prime.len }, { CKA_BASE, base.data, base.len },
                          { CKA_VALUE, value.data, value.len }, { CKA_DERIVE, &yes, 1 } };
  CK_OBJECT_HANDLE key;
  assert_ok(C_CreateObject(h, tmpl, 6, &key));
  return key;
}

static CK_OBJECT_HANDLE base_key(CK_SESSION_HANDLE h, const struct kat *kat)
{
  if (kat->key_type == CKK_DH)
    return dh_key(h, kat);
  return kat->key_type == CKK_EC || kat->key_type == CKK_EC_MONTGOMERY ? curve_key(h, kat)
                                                                       : secret_key(h, kat->key_type, kat->base);
}

/* What a known answer's parameter is made of, for as long as the call runs. */
struct made {
  CK_SESSION_HANDLE session;
  const struct kat *kat;
  struct bytes a, b, c, base;
  CK_MECHANISM mechanism;
  union {
    struct hf_ck_pbkd2_params2 pbkd2;
    CK_ECDH1_DERIVE_PARAMS ecdh;
    CK_KEY_DERIVATION_STRING_DATA string;
    CK_AES_CBC_ENCRYPT_DATA_PARAMS aes_cbc;
    CK_DES_CBC_ENCRYPT_DATA_PARAMS des_cbc;
    struct hf_ck_hkdf_params hkdf;
    struct hf_ck_sp800_108_kdf_params sp800_108;
    struct hf_ck_sp800_108_feedback_kdf_params feedback;
    struct hf_ck_tls12_master_key_derive_params master;
    struct hf_ck_tls12_extended_master_key_derive_params extended;
    struct hf_ck_tls12_key_mat_params key_mat;
    struct hf_ck_tls_kdf_params tls_kdf;
    struct hf_ck_tls_mac_params tls_mac;
    CK_OBJECT_HANDLE handle;
    CK_ULONG number;
  } param;
  struct hf_ck_prf_data_param rows[4];
  struct hf_ck_sp800_108_counter_format counter;
  struct hf_ck_ssl3_key_mat_out out;
  CK_BYTE iv[2][16];
  CK_VERSION version;
};

static void use(struct made *made, void *param, CK_ULONG len)
{
  made->mechanism = (CK_MECHANISM){ made->kat->type, param, len };
}

static void make_none(struct made *made)
{
  use(made, NULL, 0);
}

static void make_string(struct made *made)
{
  made->param.string = (CK_KEY_DERIVATION_STRING_DATA){ made->a.data, made->a.len };
  use(made, &made->param.string, sizeof(made->param.string));
}

static void make_handle(struct made *made)
{
  made->param.handle = secret_key(made->session, CKK_GENERIC_SECRET, made->kat->a);
  use(made, &made->param.handle, sizeof(made->param.handle));
}

static void make_number(struct made *made)
{
  made->param.number = made->kat->n;
  use(made, &made->param.number, sizeof(made->param.number));
}

static void make_aes_cbc(struct made *made)
{
  made->param.aes_cbc = (CK_AES_CBC_ENCRYPT_DATA_PARAMS){ .pData = made->a.data, .length = made->a.len };
  memcpy(made->param.aes_cbc.iv, made->b.data, 16);
  use(made, &made->param.aes_cbc, sizeof(made->param.aes_cbc));
}

static void make_des_cbc(struct made *made)
{
  made->param.des_cbc = (CK_DES_CBC_ENCRYPT_DATA_PARAMS){ .pData = made->a.data, .length = made->a.len };
  memcpy(made->param.des_cbc.iv, made->b.data, 8);
  use(made, &made->param.des_cbc, sizeof(made->param.des_cbc));
}

static void make_hkdf(struct made *made)
{
  CK_ULONG how = made->kat->m;
  made->param.hkdf = (struct hf_ck_hkdf_params){
    .bExtract = (how & EXTRACT) != 0,
    .bExpand = (how & EXPAND) != 0,
    .prfHashMechanism = made->kat->n,
    .ulSaltType = how & SALT_KEY ? CKF_HKDF_SALT_KEY
                  : made->a.len  ? CKF_HKDF_SALT_DATA
                                 : CKF_HKDF_SALT_NULL,
    .pSalt = made->a.data,
    .ulSaltLen = made->a.len,
    .pInfo = made->b.data,
    .ulInfoLen = made->b.len,
  };
  if (how & SALT_KEY)
    made->param.hkdf.hSaltKey = secret_key(made->session, CKK_GENERIC_SECRET, made->kat->a);
  use(made, &made->param.hkdf, sizeof(made->param.hkdf));
}

static CK_ULONG make_rows(struct made *made)
{
  CK_ULONG count = 0;
  bool counts = made->kat->type == CKM_SP800_108_COUNTER_KDF;
  struct hf_ck_prf_data_param counter = { CK_SP800_108_COUNTER, &made->counter, sizeof(made->counter) };
  made->counter = (struct hf_ck_sp800_108_counter_format){ CK_FALSE, made->kat->m };
  if (made->a.len)
    made->rows[count++] = (struct hf_ck_prf_data_param){ CK_SP800_108_BYTE_ARRAY, made->a.data, made->a.len };
  if (counts)
    counter.type = CK_SP800_108_ITERATION_VARIABLE;
  else
    made->rows[count++] = (struct hf_ck_prf_data_param){ CK_SP800_108_ITERATION_VARIABLE, NULL, 0 };
  made->rows[count++] = counter;
  if (made->c.len)
    made->rows[count++] = (struct hf_ck_prf_data_param){ CK_SP800_108_BYTE_ARRAY, made->c.data, made->c.len };
  return count;
}

static void make_sp800_108(struct made *made)
{
  made->param.sp800_108 = (struct hf_ck_sp800_108_kdf_params){ .prfType = made->kat->n,
                                                               .ulNumberOfDataParams = make_rows(made),
                                                               .pDataParams = made->rows };
  use(made, &made->param.sp800_108, sizeof(made->param.sp800_108));
}

static void make_feedback(struct made *made)
{
  made->param.feedback = (struct hf_ck_sp800_108_feedback_kdf_params){
    .prfType = made->kat->n,
    .ulNumberOfDataParams = make_rows(made),
    .pDataParams = made->rows,
    .pIV = made->b.data,
    .ulIVLen = made->b.len,
  };
  use(made, &made->param.feedback, sizeof(made->param.feedback));
}

static struct hf_ck_ssl3_random_data randoms(struct made *made)
{
  return (struct hf_ck_ssl3_random_data){ made->a.data, made->a.len, made->b.data, made->b.len };
}

static bool by_dh(const struct kat *kat)
{
  return kat->type == CKM_TLS12_MASTER_KEY_DERIVE_DH || kat->type == CKM_TLS12_EXTENDED_MASTER_KEY_DERIVE_DH;
}

static void make_master(struct made *made)
{
  made->param.master =
      (struct hf_ck_tls12_master_key_derive_params){ randoms(made), by_dh(made->kat) ? NULL : &made->version,
                                                     made->kat->n };
  use(made, &made->param.master, sizeof(made->param.master));
}

static void make_extended(struct made *made)
{
  made->param.extended =
      (struct hf_ck_tls12_extended_master_key_derive_params){ made->kat->n, made->a.data, made->a.len,
                                                              by_dh(made->kat) ? NULL : &made->version };
  use(made, &made->param.extended, sizeof(made->param.extended));
}

/* A key block of 128 bytes: two MAC keys of 32, two keys of 16, two IVs of 16. */
static void make_key_mat(struct made *made)
{
  made->out = (struct hf_ck_ssl3_key_mat_out){ .pIVClient = made->iv[0], .pIVServer = made->iv[1] };
  made->param.key_mat =
      (struct hf_ck_tls12_key_mat_params){ 256, 128, 128, CK_FALSE, randoms(made), &made->out, made->kat->n };
  use(made, &made->param.key_mat, sizeof(made->param.key_mat));
}

static void make_tls_kdf(struct made *made)
{
  made->param.tls_kdf =
      (struct hf_ck_tls_kdf_params){ made->kat->n, made->c.data, made->c.len, randoms(made), NULL, 0 };
  use(made, &made->param.tls_kdf, sizeof(made->param.tls_kdf));
}

static void make_tls_mac(struct made *made)
{
  made->param.tls_mac = (struct hf_ck_tls_mac_params){ made->kat->n, 12, made->kat->m };
  use(made, &made->param.tls_mac, sizeof(made->param.tls_mac));
}

/* c is the other side's value. */
static void make_dh(struct made *made)
{
  use(made, made->c.data, made->c.len);
}

static void make_ecdh(struct made *made)
{
  made->param.ecdh = (CK_ECDH1_DERIVE_PARAMS){ made->kat->n, made->c.len, made->c.len ? made->c.data : NULL,
                                               made->b.len, made->b.data };
  use(made, &made->param.ecdh, sizeof(made->param.ecdh));
}

static void make_pbkd2(struct made *made)
{
  made->base = from_hex(made->kat->base);
  made->param.pbkd2 = (struct hf_ck_pbkd2_params2){
    .saltSource = CKZ_SALT_SPECIFIED,
    .pSaltSourceData = made->a.data,
    .ulSaltSourceDataLen = made->a.len,
    .iterations = made->kat->m,
    .prf = made->kat->n,
    .pPassword = made->base.data,
    .ulPasswordLen = made->base.len,
  };
  use(made, &made->param.pbkd2, sizeof(made->param.pbkd2));
}

static const struct {
  CK_MECHANISM_TYPE type;
  void (*make)(struct made *made);
} makers[] = {
  { CKM_PKCS5_PBKD2, make_pbkd2 },
  { CKM_CONCATENATE_BASE_AND_KEY, make_handle },
  { CKM_CONCATENATE_BASE_AND_DATA, make_string },
  { CKM_CONCATENATE_DATA_AND_BASE, make_string },
  { CKM_XOR_BASE_AND_DATA, make_string },
  { CKM_EXTRACT_KEY_FROM_KEY, make_number },
  { CKM_DH_PKCS_DERIVE, make_dh },
  { CKM_ECDH1_DERIVE, make_ecdh },
  { CKM_ECDH1_COFACTOR_DERIVE, make_ecdh },
  { CKM_AES_ECB_ENCRYPT_DATA, make_string },
  { CKM_AES_CBC_ENCRYPT_DATA, make_aes_cbc },
  { CKM_DES3_ECB_ENCRYPT_DATA, make_string },
  { CKM_DES3_CBC_ENCRYPT_DATA, make_des_cbc },
  { CKM_HKDF_DERIVE, make_hkdf },
  { CKM_HKDF_DATA, make_hkdf },
  { CKM_SP800_108_COUNTER_KDF, make_sp800_108 },
  { CKM_SP800_108_FEEDBACK_KDF, make_feedback },
  { CKM_SP800_108_DOUBLE_PIPELINE_KDF, make_sp800_108 },
  { CKM_TLS12_MASTER_KEY_DERIVE, make_master },
  { CKM_TLS12_MASTER_KEY_DERIVE_DH, make_master },
  { CKM_TLS12_EXTENDED_MASTER_KEY_DERIVE, make_extended },
  { CKM_TLS12_EXTENDED_MASTER_KEY_DERIVE_DH, make_extended },
  { CKM_TLS12_KEY_AND_MAC_DERIVE, make_key_mat },
  { CKM_TLS12_KEY_SAFE_DERIVE, make_key_mat },
  { CKM_TLS_KDF, make_tls_kdf },
  { CKM_TLS12_KDF, make_tls_kdf },
  { CKM_TLS_MAC, make_tls_mac },
  { CKM_TLS12_MAC, make_tls_mac },
};

static void make(CK_SESSION_HANDLE h, const struct kat *kat, struct made *made)
{
  *made = (struct made){ .session = h, .kat = kat };
  made->a = from_hex(kat->a);
  made->b = from_hex(kat->b);
  made->c = from_hex(kat->c);
  for (size_t i = 0; i < HF_ARRAY_LEN(makers); i++) {
    if (makers[i].type == kat->type) {
      makers[i].make(made);
      return;
    }
  }
  make_none(made);
}

static bool has_fixed_length(CK_KEY_TYPE type)
{
  return type == CKK_DES3 || type == CKK_CHACHA20;
}

static CK_RV derive(struct made *made, CK_OBJECT_HANDLE base, CK_OBJECT_HANDLE *key)
{
  bool data = mech_find(made->kat->type)->makes_data;
  CK_OBJECT_CLASS class = data ? CKO_DATA : CKO_SECRET_KEY;
  CK_KEY_TYPE type = made->kat->makes;
  CK_ULONG len = strlen(made->kat->out) / 2, count = 0;
  CK_ATTRIBUTE tmpl[5] = { { CKA_CLASS, &class, sizeof(class) } };
  count = 1;
  if (!data) {
    tmpl[count++] = (CK_ATTRIBUTE){ CKA_KEY_TYPE, &type, sizeof(type) };
    tmpl[count++] = (CK_ATTRIBUTE){ CKA_SENSITIVE, &no, 1 };
    tmpl[count++] = (CK_ATTRIBUTE){ CKA_EXTRACTABLE, &yes, 1 };
  }
  if (!has_fixed_length(type))
    tmpl[count++] = (CK_ATTRIBUTE){ CKA_VALUE_LEN, &len, sizeof(len) };
  return mech_find(made->kat->type)->info.flags & CKF_GENERATE
             ? C_GenerateKey(made->session, &made->mechanism, tmpl, count, key)
             : C_DeriveKey(made->session, &made->mechanism, base, tmpl, count, key);
}

/* All four keys and the IVs, side by side. */
static void check_key_block(struct made *made, CK_OBJECT_HANDLE base)
{
  CK_OBJECT_CLASS class = CKO_SECRET_KEY;
  CK_KEY_TYPE type = made->kat->makes;
  CK_ATTRIBUTE tmpl[] = { { CKA_CLASS, &class, sizeof(class) }, { CKA_KEY_TYPE, &type, sizeof(type) } };
  assert_ok(C_DeriveKey(made->session, &made->mechanism, base, tmpl, 2, NULL));
  CK_OBJECT_HANDLE keys[KEYS] = { made->out.hClientMacSecret, made->out.hServerMacSecret, made->out.hClientKey,
                                  made->out.hServerKey };
  CK_BYTE block[128];
  CK_ULONG len = 0;
  for (size_t i = 0; i < KEYS; i++) {
    struct bytes value = value_of(made->session, keys[i]);
    memcpy(block + len, value.data, value.len);
    len += value.len;
  }
  if (made->kat->type == CKM_TLS12_KEY_AND_MAC_DERIVE) {
    memcpy(block + len, made->iv, sizeof(made->iv));
    len += sizeof(made->iv);
  }
  assert_bytes(made->kat, block, len);
}

static void check_mac(struct made *made, CK_OBJECT_HANDLE key)
{
  CK_BYTE mac[64];
  CK_ULONG len = sizeof(mac);
  assert_ok(C_SignInit(made->session, &made->mechanism, key));
  assert_ok(C_Sign(made->session, made->a.data, made->a.len, mac, &len));
  assert_bytes(made->kat, mac, len);
  assert_ok(C_VerifyInit(made->session, &made->mechanism, key));
  assert_ok(C_Verify(made->session, made->a.data, made->a.len, mac, len));
  mac[len - 1] ^= 1;
  assert_ok(C_VerifyInit(made->session, &made->mechanism, key));
  assert_rv(CKR_SIGNATURE_INVALID, C_Verify(made->session, made->a.data, made->a.len, mac, len));
}

static void check(CK_SESSION_HANDLE h, const struct kat *kat)
{
  struct made made;
  CK_OBJECT_HANDLE base = base_key(h, kat), key;
  make(h, kat, &made);
  if (mech_find(kat->type)->info.flags & CKF_SIGN) {
    check_mac(&made, base);
  } else if (kat->type == CKM_TLS12_KEY_AND_MAC_DERIVE || kat->type == CKM_TLS12_KEY_SAFE_DERIVE) {
    check_key_block(&made, base);
  } else {
    CK_RV rv = derive(&made, base, &key);
    if (rv != CKR_OK)
      fail_msg("mechanism 0x%lx, %s: 0x%lx", kat->type, kat->source, rv);
    struct bytes value = value_of(h, key);
    assert_bytes(kat, value.data, value.len);
  }
}

static void test_known_answers(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  for (size_t i = 0; i < HF_ARRAY_LEN(kats); i++)
    if (mech_find(kats[i].type))
      check(h, &kats[i]);
}

static CK_RV begin(struct made *made, CK_OBJECT_HANDLE base)
{
  CK_OBJECT_HANDLE key;
  return mech_find(made->kat->type)->info.flags & CKF_SIGN ? C_SignInit(made->session, &made->mechanism, base)
                                                           : derive(made, base, &key);
}

/* A structure that is shorter or longer than the mechanism's, is nowhere, or is nothing but zeros. */
static void test_wrong_parameters(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  for (size_t i = 0; i < HF_ARRAY_LEN(kats); i++) {
    const struct kat *kat = &kats[i];
    struct made made;
    if (!mech_find(kat->type) || kat->type == CKM_DH_PKCS_DERIVE)
      continue;
    CK_OBJECT_HANDLE base = base_key(h, kat);
    make(h, kat, &made);
    CK_MECHANISM good = made.mechanism;
    made.mechanism.ulParameterLen = good.ulParameterLen + 1;
    made.mechanism.pParameter = good.ulParameterLen ? good.pParameter : &made.param;
    assert_rv(CKR_MECHANISM_PARAM_INVALID, begin(&made, base));
    if (good.ulParameterLen == 0)
      continue;
    made.mechanism.ulParameterLen = good.ulParameterLen - 1;
    assert_rv(CKR_MECHANISM_PARAM_INVALID, begin(&made, base));
    made.mechanism = (CK_MECHANISM){ kat->type, NULL, good.ulParameterLen };
    assert_rv(CKR_MECHANISM_PARAM_INVALID, begin(&made, base));
    made.mechanism = good;
    memset(good.pParameter, 0, good.ulParameterLen);
    CK_RV rv = begin(&made, base); /* nothing may be a parameter: the first bit, no data to append */
    assert_true(rv != CKR_FUNCTION_FAILED && rv != CKR_GENERAL_ERROR && rv != CKR_HOST_MEMORY);
  }
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
    bool ours = mech->info.flags & CKF_DERIVE || mech->type == CKM_PKCS5_PBKD2 || mech->type == CKM_TLS_MAC ||
                mech->type == CKM_TLS12_MAC;
    if (ours && !has_vector(mech->type)) {
      print_error("%s has no vector\n", mech->name);
      missing++;
    }
  }
  assert_int_equal(0, missing);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    RIG_TEST(test_known_answers),
    RIG_TEST(test_wrong_parameters),
    RIG_TEST(test_all_have_a_vector),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
