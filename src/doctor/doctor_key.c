/* SPDX-License-Identifier: Apache-2.0 */
/* The device's key, what the token does with it, and how fast. */
#include "doctor/doctor_private.h"

#include "gateway/net.h"
#include "identity/hsm.h"
#include "identity/key.h"
#include "identity/program.h"
#include "identity/proof.h"

#include <time.h>

enum { RSA_BITS_MIN = 2048, RATE_MS = 1000, SAMPLES_MAX = 20000, FEW_SAMPLES = 20, SLOW_MS = 1000 };

hf_err doctor_provider_load(struct doctor *d)
{
  char path[PATH_MAX];
  HF_TRY(program_start(d->config, d->module_path));
  if (!hf_failed(program_provider(path, sizeof(path))))
    doctor_detail(d, "%s", path);
  return HF_OK;
}

hf_err doctor_key_find(struct doctor *d)
{
  HF_CLEANUP(hf_secret_freep) struct hf_secret *pin = NULL;
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(4 * URI_MAX);
  HF_TRY(hsm_pin(d->config, &d->uri, &pin));
  HF_TRY(p11_key_open(d->module, &d->uri, pin, &d->key));
  HF_TRY(uri_format(p11_key_uri(d->key), &text));
  doctor_detail(d, "%s", hf_buf_str(&text));
  return HF_OK;
}

hf_err doctor_key_kind(struct doctor *d)
{
  const struct p11_public *public = p11_key_public(d->key);
  size_t bits = p11_public_bits(public);
  doctor_value(d, "bits", (double)bits);
  if (public->type != CKK_RSA) {
    doctor_detail(d, "%s, %s", p11_key_type_name(public->type), public->curve);
    return HF_OK;
  }
  doctor_detail(d, "RSA, %zu bits", bits);
  if (bits >= RSA_BITS_MIN)
    return HF_OK;
  return hf_hint(hf_fail(HF_ERR_KEY_SIZE_RANGE, "RSA, %zu bits", bits),
                 "Clouds refuse it: make a key of at least %d bits, or P-256.", RSA_BITS_MIN);
}

hf_err doctor_key_openssl(struct doctor *d)
{
  char kind[IDENTITY_KEY_TEXT_MAX];
  HF_TRY(identity_key_load(config_get(d->config, CONFIG_DEVICE_KEY_URI), &d->tls_key));
  identity_key_describe(d->tls_key, kind, sizeof(kind));
  doctor_detail(d, "%s", kind);
  return HF_OK;
}

/* By the certificate's public key, where that is the key's; else by what the token gives as such. */
hf_err doctor_key_signature(struct doctor *d)
{
  bool by_certificate = doctor_passed(d, "cert.key");
  HF_TRY(proof_check(by_certificate ? X509_get0_pubkey(sk_X509_value(d->chain, 0)) : d->tls_key,
                     by_certificate ? d->cert_path : "the token's public key", d->key));
  doctor_detail(d, "%s", by_certificate ? "with the certificate" : "with the token's public key");
  return HF_OK;
}

/* What TLS asks of a token for each type of key. */
static const struct mechanism_row {
  CK_KEY_TYPE type;
  CK_MECHANISM_TYPE mechanism;
  const char *name;
  const char *without; /* NULL: nothing goes without it; else what does not */
} mechanism_rows[] = {
  { CKK_EC, CKM_ECDSA, "CKM_ECDSA", NULL },
  { CKK_EC_EDWARDS, CKM_EDDSA, "CKM_EDDSA", NULL },
  { CKK_RSA, CKM_RSA_PKCS, "CKM_RSA_PKCS", NULL },
  { CKK_RSA, CKM_RSA_PKCS_PSS, "CKM_RSA_PKCS_PSS", "TLS 1.3" },
};

/* Sizes are in bits or bytes, as the module likes it; only RSA's are always in bits. */
static hf_err check_mechanism(const struct doctor *d, const struct mechanism_row *row)
{
  CK_MECHANISM_INFO info;
  CK_RV rv = p11_module_functions(d->module)->C_GetMechanismInfo(d->token.slot, row->mechanism, &info);
  size_t bits = p11_public_bits(p11_key_public(d->key));
  HF_TRY(p11_fail(d->module, rv, "%s", row->name));
  if (!(info.flags & CKF_SIGN))
    return hf_hint(hf_fail(HF_ERR_MECHANISM_INVALID, "%s does not sign", row->name), "Use a token that signs by it.");
  if (row->type == CKK_RSA && info.ulMaxKeySize && (bits < info.ulMinKeySize || bits > info.ulMaxKeySize))
    return hf_fail(HF_ERR_KEY_SIZE_RANGE, "%s takes %lu to %lu bits, and the key has %zu", row->name, info.ulMinKeySize,
                   info.ulMaxKeySize, bits);
  return HF_OK;
}

/* p11-kit's RPC does not carry those of Edwards curves: see p11/server.h. */
static bool is_carried(const struct doctor *d, CK_KEY_TYPE type)
{
  return type != CKK_EC_EDWARDS || !doctor_uses_agent(d);
}

hf_err doctor_token_mechanisms(struct doctor *d)
{
  char names[DOCTOR_TEXT_MAX / 2] = "";
  CK_KEY_TYPE type = p11_key_public(d->key)->type;
  for (size_t i = 0; i < HF_ARRAY_LEN(mechanism_rows) && is_carried(d, type); i++) {
    const struct mechanism_row *row = &mechanism_rows[i];
    if (row->type != type)
      continue;
    hf_err e = check_mechanism(d, row);
    if (hf_failed(e) && !row->without)
      return e;
    if (hf_failed(e))
      doctor_warn(d, hf_hint(e, "Without it %s is not possible with this key; an EC key would do.", row->without));
    else
      snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s", names[0] ? ", " : "", row->name);
  }
  doctor_detail(d, "%s", names[0] ? names : "as the agent carries it");
  return HF_OK;
}

static double now_ms(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int by_size(const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* For a second, or at least once. */
static hf_err sample(struct p11_key *key, double *samples, size_t most, size_t *ret_count, double *ret_ms)
{
  double begin = now_ms(), last = begin;
  size_t count = 0;
  do {
    HF_CLEANUP(hf_buf_free) struct hf_buf signature = HF_BUF(P11_SIGNATURE_MAX);
    HF_TRY(proof_sign(key, &signature));
    double now = now_ms();
    samples[count++] = now - last;
    last = now;
  } while (last - begin < RATE_MS && count < most);
  *ret_count = count;
  *ret_ms = last - begin;
  return HF_OK;
}

hf_err doctor_token_rate(struct doctor *d)
{
  HF_CLEANUP(hf_freep) double *samples = calloc(SAMPLES_MAX, sizeof(*samples));
  size_t count = 0;
  double ms = 0;
  if (!samples)
    return hf_fail(HF_ERR_NO_MEMORY, "the samples");
  /* The agent's policy may allow so many an hour, which the gateway needs. */
  bool few = d->options->quick || doctor_uses_agent(d);
  HF_TRY(sample(d->key, samples, few ? FEW_SAMPLES : SAMPLES_MAX, &count, &ms));
  qsort(samples, count, sizeof(*samples), by_size);
  double p50 = samples[count / 2], p95 = samples[count * 95 / 100], rate = (double)count * 1e3 / ms;
  doctor_value(d, "signatures_per_s", rate);
  doctor_value(d, "p50_ms", p50);
  doctor_value(d, "p95_ms", p95);
  doctor_detail(d, "%.*f a second, by one thread; half of them within %.2f ms, 95 %% within %.2f ms", rate < 10 ? 1 : 0,
                rate, p50, p95);
  if (p50 >= SLOW_MS)
    doctor_warn(d, hf_hint(hf_fail(HF_ERR_TIMEOUT, "a signature takes %.1f s", p50 / 1e3),
                           "Each TLS connection takes one: give 'holdfast connect' a longer --timeout, and local "
                           "clients patience."));
  return HF_OK;
}
