/* SPDX-License-Identifier: Apache-2.0 */
/* What is done with a key: policy is asked when it begins. */
#include "agent/guard_private.h"

#include "p11/curve.h"

/*
 * What using a secret or private key this way counts as; a public key, which the client may list, may be used freely.
 * Encrypting with a secret key shows as much of it as decrypting does, and checking its MAC as much as making one.
 */
static const struct op_row {
  const char *function;
  size_t init; /* the function in the list */
  enum policy_op op;
} rows[GUARD_OPS] = {
  [GUARD_ENCRYPT] = { "C_Encrypt", offsetof(CK_FUNCTION_LIST, C_EncryptInit), POLICY_DECRYPT },
  [GUARD_DECRYPT] = { "C_Decrypt", offsetof(CK_FUNCTION_LIST, C_DecryptInit), POLICY_DECRYPT },
  [GUARD_SIGN] = { "C_Sign", offsetof(CK_FUNCTION_LIST, C_SignInit), POLICY_SIGN },
  [GUARD_SIGN_RECOVER] = { "C_SignRecover", offsetof(CK_FUNCTION_LIST, C_SignRecoverInit), POLICY_SIGN },
  [GUARD_VERIFY] = { "C_Verify", offsetof(CK_FUNCTION_LIST, C_VerifyInit), POLICY_SIGN },
  [GUARD_VERIFY_RECOVER] = { "C_VerifyRecover", offsetof(CK_FUNCTION_LIST, C_VerifyRecoverInit), POLICY_SIGN },
};

/*
 * Parameters that libp11-kit takes apart by itself, or that hold nothing but numbers. Any other would be the client's
 * bytes as they came: pointers into our memory, or handles of keys that the client was never shown.
 */
static const struct param_row {
  CK_MECHANISM_TYPE mechanism;
  CK_ULONG len;
  bool flat;
} params[] = {
  { CKM_RSA_PKCS_PSS, sizeof(CK_RSA_PKCS_PSS_PARAMS), true },
  { CKM_SHA1_RSA_PKCS_PSS, sizeof(CK_RSA_PKCS_PSS_PARAMS), true },
  { CKM_SHA224_RSA_PKCS_PSS, sizeof(CK_RSA_PKCS_PSS_PARAMS), true },
  { CKM_SHA256_RSA_PKCS_PSS, sizeof(CK_RSA_PKCS_PSS_PARAMS), true },
  { CKM_SHA384_RSA_PKCS_PSS, sizeof(CK_RSA_PKCS_PSS_PARAMS), true },
  { CKM_SHA512_RSA_PKCS_PSS, sizeof(CK_RSA_PKCS_PSS_PARAMS), true },
  { CKM_RSA_PKCS_OAEP, sizeof(CK_RSA_PKCS_OAEP_PARAMS), false },
  { CKM_AES_CBC, 16, true },
  { CKM_AES_CBC_PAD, 16, true },
  { CKM_DES3_CBC, 8, true },
  { CKM_DES3_CBC_PAD, 8, true },
};

static const struct param_row *param_of(const CK_MECHANISM *mechanism)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(params); i++)
    if (params[i].mechanism == mechanism->mechanism && params[i].len == mechanism->ulParameterLen)
      return &params[i];
  return NULL;
}

CK_RV guard_check_mechanism(const CK_MECHANISM *mechanism)
{
  if (!mechanism)
    return CKR_ARGUMENTS_BAD;
  return mechanism->ulParameterLen == 0 || param_of(mechanism) ? CKR_OK : CKR_MECHANISM_PARAM_INVALID;
}

static bool is_public(const struct guard_object *object)
{
  return object->object_class != CKO_PRIVATE_KEY && object->object_class != CKO_SECRET_KEY;
}

CK_RV guard_ask_key(const char *function, enum policy_op op, struct guard_session *s, CK_OBJECT_HANDLE key,
                    struct guard_request *request)
{
  struct guard_object *object = guard_object_get(s, key);
  if (!object)
    return CKR_KEY_HANDLE_INVALID;
  return is_public(object) ? CKR_OK : guard_ask_object(function, op, object, request);
}

/* The key's owner authenticates each use, where the key wants it. */
static CK_RV authenticate(struct guard_session *s)
{
  HF_CLEANUP(hf_secret_freep) struct hf_secret *pin = NULL;
  hf_err e = keyring_pin(guard_client()->agent->keyring, NULL, &pin);
  if (!hf_failed(e))
    e = p11_session_login(s->lease.session, CKU_CONTEXT_SPECIFIC, pin, P11_LOGIN_CAREFUL);
  return hf_failed(e) ? guard_fail(e, "authenticating the use of a key") : CKR_OK;
}

/*
 * p11-kit's RPC of 0.24 and 0.25 does not carry the mechanisms of Edwards curves. Those of the other curves stand for them,
 * where key or curve leave them no other meaning.
 */
static CK_MECHANISM eddsa = { CKM_EDDSA, NULL, 0 }, edwards_key_pair_gen = { CKM_EC_EDWARDS_KEY_PAIR_GEN, NULL, 0 };

static CK_MECHANISM *meant_for_key(CK_MECHANISM *mechanism, const struct guard_object *key)
{
  return mechanism->mechanism == CKM_ECDSA && key->key_type == CKK_EC_EDWARDS ? &eddsa : mechanism;
}

static CK_MECHANISM *meant_for_pair(CK_MECHANISM *mechanism, const CK_ATTRIBUTE *attrs, CK_ULONG count)
{
  for (CK_ULONG i = 0; mechanism->mechanism == CKM_EC_KEY_PAIR_GEN && i < count; i++) {
    const struct p11_curve *curve =
        attrs[i].type == CKA_EC_PARAMS ? p11_curve_by_params(hf_slice(attrs[i].pValue, attrs[i].ulValueLen)) : NULL;
    if (curve && curve->type == CKK_EC_EDWARDS)
      return &edwards_key_pair_gen;
  }
  return mechanism;
}

/* Within a call. */
static CK_RV begin(struct guard_session *s, enum guard_op op, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
  CK_OBJECT_HANDLE real;
  CK_RV rv = guard_object_real(s, key, CKR_KEY_HANDLE_INVALID, &real);
  if (rv != CKR_OK)
    return rv;
  CK_C_SignInit init;
  memcpy(&init, (const char *)F + rows[op].init, sizeof(init));
  rv = init(REAL(s), meant_for_key(mechanism, guard_object_get(s, key)), real);
  if (rv != CKR_OK)
    return rv;
  s->ops |= 1U << op;
  return guard_object_get(s, key)->always_authenticate ? authenticate(s) : CKR_OK;
}

CK_RV guard_op_restart(struct guard_session *s)
{
  struct guard_start *start = &s->start;
  CK_MECHANISM mechanism = { start->mechanism, start->param_len ? start->param : NULL, start->param_len };
  s->ops = 0;
  return begin(s, start->op, &mechanism, start->key);
}

/* A parameter that points elsewhere is not kept: what it points at goes with the call. */
static void remember(struct guard_session *s, enum guard_op op, const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
  const struct param_row *param = param_of(mechanism);
  if (mechanism->ulParameterLen > GUARD_PARAM_MAX || (mechanism->ulParameterLen && !(param && param->flat)))
    return;
  s->start = (struct guard_start){ true, op, mechanism->mechanism, mechanism->ulParameterLen, { 0 }, key };
  if (mechanism->ulParameterLen)
    memcpy(s->start.param, mechanism->pParameter, mechanism->ulParameterLen);
}

static CK_RV op_init(CK_SESSION_HANDLE handle, enum guard_op op, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
  struct guard_session *s;
  struct guard_request request = { 0 };
  CK_RV rv = guard_session_get(handle, &s);
  if (rv == CKR_OK)
    rv = s->ops & 1U << op ? CKR_OPERATION_ACTIVE : guard_check_mechanism(mechanism);
  if (rv == CKR_OK)
    rv = guard_ask_key(rows[op].function, rows[op].op, s, key, &request);
  if (rv != CKR_OK)
    return rv;
  s->start.possible = false;
  rv = GUARD_CALL(s, rows[op].function, begin(s, op, mechanism, key));
  if (rv != CKR_OK) {
    guard_answer(&request, rv);
    return rv;
  }
  remember(s, op, mechanism, key);
  if (request.function) {
    guard_answer(&s->request, CKR_FUNCTION_CANCELED);
    s->request = request;
  }
  return CKR_OK;
}

#define OP_INIT(name, op)                                                                     \
  CK_RV guard_##name(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key) \
  {                                                                                           \
    return op_init(handle, op, mechanism, key);                                               \
  }

OP_INIT(C_EncryptInit, GUARD_ENCRYPT)
OP_INIT(C_DecryptInit, GUARD_DECRYPT)
OP_INIT(C_SignInit, GUARD_SIGN)
OP_INIT(C_SignRecoverInit, GUARD_SIGN_RECOVER)
OP_INIT(C_VerifyInit, GUARD_VERIFY)
OP_INIT(C_VerifyRecoverInit, GUARD_VERIFY_RECOVER)

static CK_RV generate_one(struct guard_session *s, CK_MECHANISM *mechanism, CK_ATTRIBUTE *attrs, CK_ULONG count,
                          CK_OBJECT_HANDLE *key)
{
  CK_OBJECT_HANDLE real;
  CK_RV rv = F->C_GenerateKey(REAL(s), mechanism, attrs, count, &real);
  return rv == CKR_OK ? guard_object_made(s, real, key) : rv;
}

CK_RV guard_C_GenerateKey(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_ATTRIBUTE *attrs, CK_ULONG count,
                          CK_OBJECT_HANDLE *key)
{
  struct guard_session *s;
  struct guard_request request = { 0 };
  CK_RV rv = guard_session_get(handle, &s);
  if (rv == CKR_OK)
    rv = guard_check_mechanism(mechanism);
  if (rv == CKR_OK)
    rv = guard_check_template(attrs, count);
  if (rv == CKR_OK)
    rv = guard_ask_create("C_GenerateKey", s, attrs, count, &request);
  if (rv != CKR_OK)
    return rv;
  rv = GUARD_CALL(s, "C_GenerateKey", generate_one(s, mechanism, attrs, count, key));
  guard_answer(&request, rv);
  return rv;
}

/* The two halves' templates and handles. */
struct half {
  CK_ATTRIBUTE *attrs;
  CK_ULONG count;
  CK_OBJECT_HANDLE *handle;
};

static CK_RV generate_two(struct guard_session *s, CK_MECHANISM *mechanism, const struct half *public_half,
                          const struct half *private_half)
{
  CK_OBJECT_HANDLE public_key, private_key;
  mechanism = meant_for_pair(mechanism, public_half->attrs, public_half->count);
  CK_RV rv = F->C_GenerateKeyPair(REAL(s), mechanism, public_half->attrs, public_half->count, private_half->attrs,
                                  private_half->count, &public_key, &private_key);
  if (rv == CKR_OK)
    rv = guard_object_made(s, public_key, public_half->handle);
  return rv == CKR_OK ? guard_object_made(s, private_key, private_half->handle) : rv;
}

CK_RV guard_C_GenerateKeyPair(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_ATTRIBUTE *public_attrs,
                              CK_ULONG public_count, CK_ATTRIBUTE *private_attrs, CK_ULONG private_count,
                              CK_OBJECT_HANDLE *public_key, CK_OBJECT_HANDLE *private_key)
{
  struct guard_session *s;
  struct guard_request request = { 0 };
  CK_RV rv = guard_session_get(handle, &s);
  if (rv == CKR_OK)
    rv = guard_check_mechanism(mechanism);
  if (rv == CKR_OK)
    rv = guard_check_template(public_attrs, public_count);
  if (rv == CKR_OK)
    rv = guard_check_template(private_attrs, private_count);
  if (rv == CKR_OK)
    rv = guard_ask_create("C_GenerateKeyPair", s, private_attrs, private_count, &request);
  if (rv == CKR_OK && !request.function)
    rv = guard_ask_create("C_GenerateKeyPair", s, public_attrs, public_count, &request);
  if (rv != CKR_OK)
    return rv;
  struct half public_half = { public_attrs, public_count, public_key };
  struct half private_half = { private_attrs, private_count, private_key };
  rv = GUARD_CALL(s, "C_GenerateKeyPair", generate_two(s, mechanism, &public_half, &private_half));
  guard_answer(&request, rv);
  return rv;
}

static CK_RV wrap(struct guard_session *s, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE wrapping, CK_OBJECT_HANDLE key,
                  CK_BYTE *out, CK_ULONG *len)
{
  CK_OBJECT_HANDLE real_wrapping, real_key;
  CK_RV rv = guard_object_real(s, wrapping, CKR_WRAPPING_KEY_HANDLE_INVALID, &real_wrapping);
  if (rv == CKR_OK)
    rv = guard_object_real(s, key, CKR_KEY_HANDLE_INVALID, &real_key);
  return rv == CKR_OK ? F->C_WrapKey(REAL(s), mechanism, real_wrapping, real_key, out, len) : rv;
}

/* The wrapped key leaves the token: that counts as decrypt, of it as of a secret key that wraps it. */
CK_RV guard_C_WrapKey(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE wrapping,
                      CK_OBJECT_HANDLE key, CK_BYTE *out, CK_ULONG *len)
{
  struct guard_session *s;
  struct guard_request request = { 0 }, wrapping_request = { 0 };
  CK_RV rv = guard_session_get(handle, &s);
  if (rv == CKR_OK)
    rv = guard_check_mechanism(mechanism);
  if (rv == CKR_OK)
    rv = guard_ask_key("C_WrapKey", POLICY_DECRYPT, s, wrapping, &wrapping_request);
  if (rv == CKR_OK)
    rv = guard_ask_key("C_WrapKey", POLICY_DECRYPT, s, key, &request);
  if (rv == CKR_OK)
    rv = GUARD_CALL(s, "C_WrapKey", wrap(s, mechanism, wrapping, key, out, len));
  guard_answer(&wrapping_request, rv);
  guard_answer(&request, rv);
  return rv;
}

static CK_RV unwrap(struct guard_session *s, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE unwrapping, CK_BYTE *wrapped,
                    CK_ULONG wrapped_len, const struct half *made)
{
  CK_OBJECT_HANDLE real, key;
  CK_RV rv = guard_object_real(s, unwrapping, CKR_UNWRAPPING_KEY_HANDLE_INVALID, &real);
  if (rv == CKR_OK)
    rv = F->C_UnwrapKey(REAL(s), mechanism, real, wrapped, wrapped_len, made->attrs, made->count, &key);
  return rv == CKR_OK ? guard_object_made(s, key, made->handle) : rv;
}

static CK_RV derive(struct guard_session *s, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE base, const struct half *made)
{
  CK_OBJECT_HANDLE real, key;
  CK_RV rv = guard_object_real(s, base, CKR_KEY_HANDLE_INVALID, &real);
  if (rv == CKR_OK)
    rv = F->C_DeriveKey(REAL(s), mechanism, real, made->attrs, made->count, &key);
  return rv == CKR_OK ? guard_object_made(s, key, made->handle) : rv;
}

/* A key made out of another one: that one's use, and, where the new one stays in the token, its creation. */
static CK_RV ask_made(const char *function, enum policy_op op, struct guard_session *s, CK_MECHANISM *mechanism,
                      CK_OBJECT_HANDLE from, const struct half *made, struct guard_request requests[2])
{
  CK_RV rv = guard_check_mechanism(mechanism);
  if (rv == CKR_OK)
    rv = guard_check_template(made->attrs, made->count);
  if (rv == CKR_OK)
    rv = guard_ask_key(function, op, s, from, &requests[0]);
  return rv == CKR_OK ? guard_ask_create(function, s, made->attrs, made->count, &requests[1]) : rv;
}

static CK_RV answer_made(struct guard_request requests[2], CK_RV rv)
{
  guard_answer(&requests[0], rv);
  guard_answer(&requests[1], rv);
  return rv;
}

CK_RV guard_C_UnwrapKey(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE unwrapping,
                        CK_BYTE *wrapped, CK_ULONG wrapped_len, CK_ATTRIBUTE *attrs, CK_ULONG count,
                        CK_OBJECT_HANDLE *key)
{
  struct guard_session *s;
  struct guard_request requests[2] = { 0 };
  struct half made = { attrs, count, key };
  CK_RV rv = guard_session_get(handle, &s);
  if (rv == CKR_OK)
    rv = ask_made("C_UnwrapKey", POLICY_DECRYPT, s, mechanism, unwrapping, &made, requests);
  if (rv == CKR_OK)
    rv = GUARD_CALL(s, "C_UnwrapKey", unwrap(s, mechanism, unwrapping, wrapped, wrapped_len, &made));
  return answer_made(requests, rv);
}

CK_RV guard_C_DeriveKey(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE base, CK_ATTRIBUTE *attrs,
                        CK_ULONG count, CK_OBJECT_HANDLE *key)
{
  struct guard_session *s;
  struct guard_request requests[2] = { 0 };
  struct half made = { attrs, count, key };
  CK_RV rv = guard_session_get(handle, &s);
  if (rv == CKR_OK)
    rv = ask_made("C_DeriveKey", POLICY_DERIVE, s, mechanism, base, &made, requests);
  if (rv == CKR_OK)
    rv = GUARD_CALL(s, "C_DeriveKey", derive(s, mechanism, base, &made));
  return answer_made(requests, rv);
}
