/* SPDX-License-Identifier: Apache-2.0 */
/* What runs in an operation that has begun: passed on as it is, by four shapes of arguments. */
#include "agent/guard_private.h"

enum step {
  STEP_UPDATE, /* goes on after success */
  STEP_END,    /* is over, but for a question for the length */
};

struct run {
  const char *function;
  size_t offset;
  unsigned ops;
  enum step step;
};

struct arguments {
  CK_BYTE *in;
  CK_ULONG in_len;
  CK_BYTE *out; /* or, to be checked, the signature */
  CK_ULONG *out_len;
  CK_ULONG check_len;
};

typedef CK_RV (*shape_fn)(const struct run *run, CK_SESSION_HANDLE real, const struct arguments *a);

#define FETCH(type, name) \
  type name;              \
  memcpy(&name, (const char *)F + run->offset, sizeof(name))

static CK_RV shape_transform(const struct run *run, CK_SESSION_HANDLE real, const struct arguments *a)
{
  FETCH(CK_C_Sign, call);
  return call(real, a->in, a->in_len, a->out, a->out_len);
}

static CK_RV shape_finish(const struct run *run, CK_SESSION_HANDLE real, const struct arguments *a)
{
  FETCH(CK_C_SignFinal, call);
  return call(real, a->out, a->out_len);
}

static CK_RV shape_feed(const struct run *run, CK_SESSION_HANDLE real, const struct arguments *a)
{
  FETCH(CK_C_SignUpdate, call);
  return call(real, a->in, a->in_len);
}

static CK_RV shape_check(const struct run *run, CK_SESSION_HANDLE real, const struct arguments *a)
{
  FETCH(CK_C_Verify, call);
  return call(real, a->in, a->in_len, a->out, a->check_len);
}

static bool is_over(const struct run *run, const struct arguments *a, CK_RV rv)
{
  if (rv == CKR_BUFFER_TOO_SMALL)
    return false;
  if (rv == CKR_OK)
    return run->step == STEP_END && !(a->out_len && !a->out);
  return true;
}

static CK_RV run_in(CK_SESSION_HANDLE handle, const struct run *run, shape_fn shape, const struct arguments *a)
{
  struct guard_session *s;
  CK_RV rv = guard_session_get(handle, &s);
  if (rv != CKR_OK)
    return rv;
  if ((s->ops & run->ops) != run->ops)
    return CKR_OPERATION_NOT_INITIALIZED;
  /* A part that has gone in cannot be given to another session. */
  if (run->step == STEP_UPDATE)
    s->start.possible = false;
  CK_ULONG room = a->out_len ? *a->out_len : 0;
  rv = GUARD_CALL(s, run->function, ((a->out_len ? (void)(*a->out_len = room) : (void)0), shape(run, REAL(s), a)));
  if (is_over(run, a, rv))
    guard_op_end(s, run->ops, rv);
  return rv;
}

#define OP(name) (1U << GUARD_##name)

#define RUN(name, shape, ops, step, ...)                                                           \
  run_in(handle, &(const struct run){ #name, offsetof(CK_FUNCTION_LIST, name), ops, step }, shape, \
         &(const struct arguments){ __VA_ARGS__ })

#define TRANSFORM(name, ops, step)                                                                            \
  CK_RV guard_##name(CK_SESSION_HANDLE handle, CK_BYTE *in, CK_ULONG in_len, CK_BYTE *out, CK_ULONG *out_len) \
  {                                                                                                           \
    return RUN(name, shape_transform, ops, step, .in = in, .in_len = in_len, .out = out, .out_len = out_len); \
  }
#define FINISH(name, ops)                                                          \
  CK_RV guard_##name(CK_SESSION_HANDLE handle, CK_BYTE *out, CK_ULONG *out_len)    \
  {                                                                                \
    return RUN(name, shape_finish, ops, STEP_END, .out = out, .out_len = out_len); \
  }
#define FEED(name, ops, step)                                                \
  CK_RV guard_##name(CK_SESSION_HANDLE handle, CK_BYTE *in, CK_ULONG in_len) \
  {                                                                          \
    return RUN(name, shape_feed, ops, step, .in = in, .in_len = in_len);     \
  }

TRANSFORM(C_Encrypt, OP(ENCRYPT), STEP_END)
TRANSFORM(C_Decrypt, OP(DECRYPT), STEP_END)
TRANSFORM(C_Digest, OP(DIGEST), STEP_END)
TRANSFORM(C_Sign, OP(SIGN), STEP_END)
TRANSFORM(C_SignRecover, OP(SIGN_RECOVER), STEP_END)
TRANSFORM(C_VerifyRecover, OP(VERIFY_RECOVER), STEP_END)
TRANSFORM(C_EncryptUpdate, OP(ENCRYPT), STEP_UPDATE)
TRANSFORM(C_DecryptUpdate, OP(DECRYPT), STEP_UPDATE)
TRANSFORM(C_DigestEncryptUpdate, OP(DIGEST) | OP(ENCRYPT), STEP_UPDATE)
TRANSFORM(C_DecryptDigestUpdate, OP(DECRYPT) | OP(DIGEST), STEP_UPDATE)
TRANSFORM(C_SignEncryptUpdate, OP(SIGN) | OP(ENCRYPT), STEP_UPDATE)
TRANSFORM(C_DecryptVerifyUpdate, OP(DECRYPT) | OP(VERIFY), STEP_UPDATE)
FINISH(C_EncryptFinal, OP(ENCRYPT))
FINISH(C_DecryptFinal, OP(DECRYPT))
FINISH(C_DigestFinal, OP(DIGEST))
FINISH(C_SignFinal, OP(SIGN))
FEED(C_DigestUpdate, OP(DIGEST), STEP_UPDATE)
FEED(C_SignUpdate, OP(SIGN), STEP_UPDATE)
FEED(C_VerifyUpdate, OP(VERIFY), STEP_UPDATE)
FEED(C_VerifyFinal, OP(VERIFY), STEP_END)

CK_RV guard_C_Verify(CK_SESSION_HANDLE handle, CK_BYTE *in, CK_ULONG in_len, CK_BYTE *signature, CK_ULONG len)
{
  return RUN(C_Verify, shape_check, OP(VERIFY), STEP_END, .in = in, .in_len = in_len, .out = signature,
             .check_len = len);
}

static CK_RV digest_init(struct guard_session *s, CK_MECHANISM *mechanism)
{
  CK_RV rv = F->C_DigestInit(REAL(s), mechanism);
  if (rv == CKR_OK)
    s->ops |= OP(DIGEST);
  return rv;
}

CK_RV guard_C_DigestInit(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism)
{
  struct guard_session *s;
  CK_RV rv = guard_session_get(handle, &s);
  if (rv == CKR_OK)
    rv = s->ops & OP(DIGEST) ? CKR_OPERATION_ACTIVE : guard_check_mechanism(mechanism);
  return rv == CKR_OK ? GUARD_CALL(s, "C_Digest", digest_init(s, mechanism)) : rv;
}

static CK_RV digest_key(struct guard_session *s, CK_OBJECT_HANDLE key)
{
  CK_OBJECT_HANDLE real;
  CK_RV rv = guard_object_real(s, key, CKR_KEY_HANDLE_INVALID, &real);
  return rv == CKR_OK ? F->C_DigestKey(REAL(s), real) : rv;
}

/* A digest of a key's value is a value made out of it. */
CK_RV guard_C_DigestKey(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE key)
{
  struct guard_session *s;
  struct guard_request request = { 0 };
  CK_RV rv = guard_session_get(handle, &s);
  if (rv == CKR_OK)
    rv = s->ops & OP(DIGEST) ? guard_ask_key("C_DigestKey", POLICY_DERIVE, s, key, &request)
                             : CKR_OPERATION_NOT_INITIALIZED;
  if (rv != CKR_OK)
    return rv;
  rv = GUARD_CALL(s, "C_DigestKey", digest_key(s, key));
  guard_answer(&request, rv);
  return rv;
}

CK_RV guard_C_SeedRandom(CK_SESSION_HANDLE handle, CK_BYTE *seed, CK_ULONG len)
{
  struct guard_session *s;
  CK_RV rv = guard_session_get(handle, &s);
  return rv == CKR_OK ? GUARD_CALL(s, "C_SeedRandom", F->C_SeedRandom(REAL(s), seed, len)) : rv;
}

CK_RV guard_C_GenerateRandom(CK_SESSION_HANDLE handle, CK_BYTE *out, CK_ULONG len)
{
  struct guard_session *s;
  CK_RV rv = guard_session_get(handle, &s);
  return rv == CKR_OK ? GUARD_CALL(s, "C_GenerateRandom", F->C_GenerateRandom(REAL(s), out, len)) : rv;
}

/* A saved state is bound to a real session, which is only borrowed. */
CK_RV guard_C_GetOperationState(CK_SESSION_HANDLE handle, CK_BYTE *state, CK_ULONG *len)
{
  (void)handle;
  (void)state;
  (void)len;
  return CKR_FUNCTION_NOT_SUPPORTED;
}

CK_RV guard_C_SetOperationState(CK_SESSION_HANDLE handle, CK_BYTE *state, CK_ULONG len, CK_OBJECT_HANDLE encryption,
                                CK_OBJECT_HANDLE authentication)
{
  (void)handle;
  (void)state;
  (void)len;
  (void)encryption;
  (void)authentication;
  return CKR_FUNCTION_NOT_SUPPORTED;
}

CK_RV guard_C_GetFunctionStatus(CK_SESSION_HANDLE handle)
{
  (void)handle;
  return CKR_FUNCTION_NOT_PARALLEL;
}

CK_RV guard_C_CancelFunction(CK_SESSION_HANDLE handle)
{
  (void)handle;
  return CKR_FUNCTION_NOT_PARALLEL;
}
