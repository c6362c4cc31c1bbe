/* SPDX-License-Identifier: Apache-2.0 */
/* What is done with a key: choosing a scheme, signing, its public half. */
#include "agent/sign_call.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <time.h>

enum {
  ALGORITHM_RSA = 1,
  ALGORITHM_ECDSA = 3,
  ALGORITHM_ED25519 = 7,
  CHOSEN_MAX = 64,
  CHOSEN_SECONDS = 60,
  PEM_TEXT_MAX = 32 * 1024
};

/*
 * One row a SigScheme, and then what TLS has besides: a client that offers it may sign with it, without naming it. A key's
 * first one is what it signs with where nothing is said.
 */
static const struct scheme_row {
  uint16_t codepoint; /* TLS SignatureScheme: RFC 8446, section 4.2.3 */
  uint8_t algorithm;  /* TLS SignatureAlgorithm */
  CK_KEY_TYPE type;
  const char *curve;
  struct p11_sign how;
} schemes[] = {
  [WIRE_ECDSA_P256_SHA256] = { 0x0403, ALGORITHM_ECDSA, CKK_EC, "prime256v1", { P11_SIGN_ECDSA, "SHA256", NULL, 0 } },
  [WIRE_ECDSA_P384_SHA384] = { 0x0503, ALGORITHM_ECDSA, CKK_EC, "secp384r1", { P11_SIGN_ECDSA, "SHA384", NULL, 0 } },
  [WIRE_ECDSA_P521_SHA512] = { 0x0603, ALGORITHM_ECDSA, CKK_EC, "secp521r1", { P11_SIGN_ECDSA, "SHA512", NULL, 0 } },
  [WIRE_RSA_PSS_SHA256] = { 0x0804, ALGORITHM_RSA, CKK_RSA, NULL, { P11_SIGN_RSA_PSS, "SHA256", NULL, 32 } },
  [WIRE_RSA_PKCS1_SHA256] = { 0x0401, ALGORITHM_RSA, CKK_RSA, NULL, { P11_SIGN_RSA_PKCS1, "SHA256", NULL, 0 } },
  { 0x0807, ALGORITHM_ED25519, CKK_EC_EDWARDS, "ED25519", { P11_SIGN_EDDSA, NULL, NULL, 0 } },
};

static bool suits(const struct scheme_row *scheme, const struct p11_public *key)
{
  return scheme->type == key->type && (!scheme->curve || (key->curve && strcmp(scheme->curve, key->curve) == 0));
}

/*
 * In TLS 1.2 a SignRequest does not say what was negotiated; but the same process has just asked for a scheme for this key.
 * By process and key, the last ones.
 */
static struct chosen {
  pid_t pid;
  uid_t uid;
  uint64_t key; /* a hash of its URI */
  time_t when;
  const struct scheme_row *scheme;
} chosen[CHOSEN_MAX];
static size_t next_chosen;
static pthread_mutex_t chosen_lock = PTHREAD_MUTEX_INITIALIZER;

static time_t seconds_now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec;
}

static uint64_t hash_key(const struct p11_key *key)
{
  uint64_t hash = 0xcbf29ce484222325;
  for (size_t a = 0; a < URI_PIN_SOURCE; a++) {
    const struct hf_buf *value = &p11_key_uri(key)->attrs[a].value;
    for (size_t i = 0; i < value->len; i++)
      hash = (hash ^ value->data[i]) * 0x100000001b3;
    hash = (hash ^ 0xff) * 0x100000001b3;
  }
  return hash;
}

/* With the lock held. */
static struct chosen *chosen_find(const struct sign_call *call, uint64_t key)
{
  for (size_t i = 0; i < CHOSEN_MAX; i++)
    if (chosen[i].scheme && chosen[i].pid == call->peer->pid && chosen[i].uid == call->peer->uid &&
        chosen[i].key == key)
      return &chosen[i];
  return NULL;
}

static void remember(const struct sign_call *call, const struct p11_key *key, const struct scheme_row *scheme)
{
  uint64_t hash = hash_key(key);
  pthread_mutex_lock(&chosen_lock);
  struct chosen *place = chosen_find(call, hash);
  if (!place) {
    place = &chosen[next_chosen];
    next_chosen = (next_chosen + 1) % CHOSEN_MAX;
  }
  *place = (struct chosen){ call->peer->pid, call->peer->uid, hash, seconds_now(), scheme };
  pthread_mutex_unlock(&chosen_lock);
}

static const struct scheme_row *recall(const struct sign_call *call, const struct p11_key *key)
{
  uint64_t hash = hash_key(key);
  pthread_mutex_lock(&chosen_lock);
  const struct chosen *found = chosen_find(call, hash);
  const struct scheme_row *scheme = found && seconds_now() - found->when <= CHOSEN_SECONDS ? found->scheme : NULL;
  pthread_mutex_unlock(&chosen_lock);
  return scheme;
}

/* RFC 8446, section 4.4.3: 64 blanks stand in front. There an RSA key signs with PSS alone. */
static bool is_tls13(struct hf_slice message)
{
  enum { BLANKS = 64 };
  for (size_t i = 0; i < BLANKS; i++)
    if (i >= message.len || message.data[i] != ' ')
      return false;
  return true;
}

static hf_err find_scheme(const struct sign_call *call, const struct p11_key *key, const struct scheme_row **ret_scheme)
{
  const struct wire_frame *request = &call->request;
  const struct p11_public *public = p11_key_public(key);
  const struct scheme_row *scheme = NULL;
  if (request->scheme.present)
    scheme = &schemes[request->scheme.value];
  else if (public->type == CKK_RSA && !is_tls13(request->bytes.bytes))
    scheme = recall(call, key);
  for (size_t i = 0; i < HF_ARRAY_LEN(schemes) && !scheme; i++)
    if (suits(&schemes[i], public))
      scheme = &schemes[i];
  if (!scheme)
    return hf_fail(HF_ERR_CURVE_NOT_SUPPORTED, "a %s key of %zu bits", p11_key_type_name(public->type),
                   p11_public_bits(public));
  *ret_scheme = scheme;
  return HF_OK;
}

static hf_err find_key(struct sign_call *call, enum policy_op op, struct p11_key **ret_key)
{
  HF_CLEANUP(p11_key_unrefp) struct p11_key *key = NULL;
  call->doing = op == POLICY_SIGN ? SIGN_TEXT_SIGNING_KEY : NULL;
  HF_TRY(keyring_key(call->agent->keyring, call->uri, call->pin, &key));
  call->doing = NULL;
  HF_TRY(sign_ask(call, op, p11_key_uri(key)));
  *ret_key = HF_TAKE(key);
  return HF_OK;
}

static bool is_offered(const struct wire_frame *request, uint16_t codepoint)
{
  for (size_t i = 0; i < request->offered_count; i++)
    if (request->offered[i] == codepoint)
      return true;
  return false;
}

hf_err sign_choose_scheme(struct sign_call *call)
{
  HF_CLEANUP(p11_key_unrefp) struct p11_key *key = NULL;
  HF_TRY(find_key(call, POLICY_LIST, &key));
  for (size_t i = 0; i < HF_ARRAY_LEN(schemes); i++) {
    const struct scheme_row *scheme = &schemes[i];
    if (!suits(scheme, p11_key_public(key)) || !is_offered(&call->request, scheme->codepoint))
      continue;
    remember(call, key, scheme);
    call->response.scheme = (struct wire_value){ true, scheme->codepoint };
    call->response.algorithm = scheme->algorithm;
    return HF_OK;
  }
  call->doing = SIGN_TEXT_SCHEME;
  return hf_hint(hf_fail(HF_ERR_MECHANISM_INVALID, "none of the %zu that are offered fits a %s key of %zu bits",
                         call->request.offered_count, p11_key_type_name(p11_key_public(key)->type),
                         p11_public_bits(p11_key_public(key))),
                 "Offer one of the key's kind.");
}

static hf_err digest(const char *name, struct hf_slice message, uint8_t *out, size_t *ret_len)
{
  unsigned len = 0;
  if (EVP_Digest(message.data, message.len, out, &len, EVP_get_digestbyname(name), NULL) != 1)
    return hf_fail(HF_ERR_INTERNAL, "%s of %zu bytes", name, message.len);
  *ret_len = len;
  return HF_OK;
}

static hf_err sign_once(struct sign_call *call, struct p11_key *key, struct hf_buf *out)
{
  const struct scheme_row *scheme = NULL;
  uint8_t hash[EVP_MAX_MD_SIZE];
  size_t len = 0;
  HF_TRY(find_scheme(call, key, &scheme));
  if (!scheme->how.hash)
    return p11_key_sign_der(key, &scheme->how, call->request.bytes.bytes.data, call->request.bytes.bytes.len, out);
  HF_TRY(digest(scheme->how.hash, call->request.bytes.bytes, hash, &len));
  return p11_key_sign_der(key, &scheme->how, hash, len, out);
}

hf_err sign_sign(struct sign_call *call)
{
  HF_CLEANUP(p11_key_unrefp) struct p11_key *key = NULL, *newer = NULL;
  HF_CLEANUP(hf_buf_free) struct hf_buf signature = HF_BUF(P11_SIGNATURE_MAX);
  HF_TRY(find_key(call, POLICY_SIGN, &key));
  hf_err e = sign_once(call, key, &signature);
  /* Another program replaced it between the look and the signature. */
  if (e.code == HF_ERR_KEY_HANDLE_INVALID || e.code == HF_ERR_URI_NO_MATCH) {
    keyring_drop(call->agent->keyring, key);
    HF_TRY(find_key(call, POLICY_SIGN, &newer));
    e = sign_once(call, newer, &signature);
  }
  HF_TRY(e);
  return sign_keep(call, signature.data, signature.len, &call->response.bytes);
}

hf_err sign_public_key(struct sign_call *call)
{
  HF_CLEANUP(p11_key_unrefp) struct p11_key *key = NULL, *newer = NULL;
  HF_CLEANUP(hf_buf_free) struct hf_buf pem = HF_BUF(PEM_TEXT_MAX);
  HF_TRY(find_key(call, POLICY_LIST, &key));
  /* A certificate will be issued for it: a quick look is not enough. */
  bool same = false;
  if (hf_failed(p11_key_check(key, &same)) || !same) {
    keyring_drop(call->agent->keyring, key);
    HF_TRY(find_key(call, POLICY_LIST, &newer));
  }
  HF_TRY(sign_pem(p11_key_public(newer ? newer : key), &pem));
  return sign_keep(call, pem.data, pem.len, &call->response.text);
}
