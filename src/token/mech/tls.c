/* SPDX-License-Identifier: Apache-2.0 */
/* TLS: master secrets, exporters, finished messages (PKCS #11 v3.2, section 6.40; RFC 5246, 5705, 7627). */
#include "token/mech/tls.h"

#include "token/crypto.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>

enum { MAC_MIN = 12, MAC_MAX = 64, VERSION = 2, SERVER = 1, CLIENT = 2 };

bool tls_available(const struct mech *mech)
{
  (void)mech;
  return kdf_there("TLS1-PRF");
}

static const char *hash_name(CK_MECHANISM_TYPE hash)
{
  return hash == CKM_TLS_PRF ? "MD5-SHA1" : mech_hash_name(hash);
}

hf_err tls_check_hash(const struct mech *mech, CK_MECHANISM_TYPE hash)
{
  return hash_name(hash) ? HF_OK : hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "%s: hash 0x%lx", mech->name, hash);
}

hf_err tls_prf(const struct mech *mech, CK_MECHANISM_TYPE hash, struct hf_slice secret, const char *label,
               struct hf_slice seed, size_t len, struct hf_buf *out)
{
  OSSL_PARAM rows[] = {
    kdf_text(OSSL_KDF_PARAM_DIGEST, hash_name(hash)),
    kdf_octets(OSSL_KDF_PARAM_SECRET, secret),
    kdf_octets(OSSL_KDF_PARAM_SEED, hf_slice(label, strlen(label))),
    kdf_octets(OSSL_KDF_PARAM_SEED, seed),
    OSSL_PARAM_END,
  };
  return kdf_run(mech, "TLS1-PRF", rows, len, out);
}

hf_err tls_add_randoms(const struct mech *mech, const struct hf_ck_ssl3_random_data *random, bool server_first,
                       struct hf_buf *seed)
{
  if (!random->pClientRandom || random->ulClientRandomLen != TLS_RANDOM || !random->pServerRandom ||
      random->ulServerRandomLen != TLS_RANDOM)
    return kdf_bad_param(mech, "the random data");
  HF_TRY(hf_buf_add(seed, server_first ? random->pServerRandom : random->pClientRandom, TLS_RANDOM));
  return hf_buf_add(seed, server_first ? random->pClientRandom : random->pServerRandom, TLS_RANDOM);
}

/* What the two kinds of master secret say: the seed goes into kdf->other. */
struct master {
  CK_MECHANISM_TYPE hash;
  const char *label;
  CK_VERSION *version; /* where the premaster secret's first bytes go; NULL of one by Diffie-Hellman */
};

static bool extended(const struct mech *mech)
{
  return mech->type == CKM_TLS12_EXTENDED_MASTER_KEY_DERIVE || mech->type == CKM_TLS12_EXTENDED_MASTER_KEY_DERIVE_DH;
}

static hf_err take_master(struct op *op, struct hf_buf *seed, struct master *ret_master)
{
  if (!extended(op->mech)) {
    struct hf_ck_tls12_master_key_derive_params params;
    memcpy(&params, op->param, sizeof(params));
    *ret_master = (struct master){ params.prfHashMechanism, "master secret", params.pVersion };
    return tls_add_randoms(op->mech, &params.RandomInfo, false, seed);
  }
  struct hf_ck_tls12_extended_master_key_derive_params params;
  struct hf_slice hash;
  memcpy(&params, op->param, sizeof(params));
  HF_TRY(kdf_bytes(op->mech, params.pSessionHash, params.ulSessionHashLen, EVP_MAX_MD_SIZE, &hash));
  *ret_master = (struct master){ params.prfHashMechanism, "extended master secret", params.pVersion };
  return hash.len ? hf_buf_add(seed, hash.data, hash.len) : kdf_bad_param(op->mech, "the session hash");
}

static hf_err prepare_master(struct op *op, const struct op_key *key, const CK_MECHANISM *m)
{
  (void)m;
  struct master master;
  bool dh = strcmp(op->mech->alg, "DH") == 0;
  HF_TRY(kdf_keep(op, key,
                  extended(op->mech) ? sizeof(struct hf_ck_tls12_extended_master_key_derive_params)
                                     : sizeof(struct hf_ck_tls12_master_key_derive_params)));
  HF_TRY(take_master(op, &kdf_of(op)->other, &master));
  HF_TRY(tls_check_hash(op->mech, master.hash));
  if (dh != !master.version)
    return kdf_bad_param(op->mech, dh ? "a version" : "no place for the version");
  if (!dh && key->value.len != TLS_MASTER)
    return hf_fail(HF_ERR_KEY_SIZE_RANGE, "%s: a premaster secret of %zu bytes", op->mech->name, key->value.len);
  return HF_OK;
}

static hf_err plan_master(struct op *op, struct derivation *d)
{
  struct master master;
  HF_CLEANUP(hf_buf_free) struct hf_buf seed = HF_BUF(TLS_SEED_MAX);
  HF_TRY(take_master(op, &seed, &master));
  HF_TRY(derivation_object(op, d, d->tmpl, d->count, d->ret_handle));
  struct derived *piece = &d->pieces[0];
  if (piece->len && piece->len != TLS_MASTER)
    return hf_fail(HF_ERR_TEMPLATE_INCONSISTENT, "%s makes %d bytes", op->mech->name, TLS_MASTER);
  piece->len = piece->span = TLS_MASTER;
  return master.version ? derivation_bytes(d, VERSION, master.version) : HF_OK;
}

static hf_err derive_master(struct op *op, size_t len, struct hf_buf *out)
{
  struct kdf *kdf = kdf_of(op);
  struct master master;
  HF_CLEANUP(hf_buf_free) struct hf_buf seed = HF_BUF(TLS_SEED_MAX);
  HF_TRY(take_master(op, &seed, &master));
  HF_TRY(tls_prf(op->mech, master.hash, hf_slice(kdf->base.data, kdf->base.len), master.label,
                 hf_slice(seed.data, seed.len), TLS_MASTER, out));
  return hf_buf_add(out, kdf->base.data, len - TLS_MASTER);
}

static hf_err prepare_export(struct op *op, const struct op_key *key, const CK_MECHANISM *m)
{
  (void)m;
  struct hf_ck_tls_kdf_params params;
  struct hf_slice bytes;
  struct hf_buf *seed;
  HF_TRY(kdf_keep(op, key, sizeof(params)));
  memcpy(&params, op->param, sizeof(params));
  seed = &kdf_of(op)->other;
  HF_TRY(tls_check_hash(op->mech, params.prfMechanism));
  HF_TRY(kdf_bytes(op->mech, params.pLabel, params.ulLabelLength, TLS_LABEL_MAX, &bytes));
  if (bytes.len == 0)
    return kdf_bad_param(op->mech, "it lacks a label");
  HF_TRY(hf_buf_add(seed, bytes.data, bytes.len));
  HF_TRY(tls_add_randoms(op->mech, &params.RandomInfo, false, seed));
  HF_TRY(kdf_bytes(op->mech, params.pContextData, params.ulContextDataLength,
                   TLS_SEED_MAX - 2 * TLS_RANDOM - sizeof(uint16_t), &bytes));
  if (!params.pContextData)
    return HF_OK;
  HF_TRY(hf_buf_add_u16(seed, (uint16_t)bytes.len));
  return hf_buf_add(seed, bytes.data, bytes.len);
}

static hf_err derive_export(struct op *op, size_t len, struct hf_buf *out)
{
  struct kdf *kdf = kdf_of(op);
  struct hf_ck_tls_kdf_params params;
  memcpy(&params, op->param, sizeof(params));
  HF_TRY(kdf_need_len(op, len));
  return tls_prf(op->mech, params.prfMechanism, hf_slice(kdf->base.data, kdf->base.len), "",
                 hf_slice(kdf->other.data, kdf->other.len), len, out);
}

/* A finished message's MAC, of the hash of the handshake's messages. */
static hf_err prepare_mac(struct op *op, const struct op_key *key, const CK_MECHANISM *m)
{
  (void)m;
  struct hf_ck_tls_mac_params params;
  HF_TRY(kdf_keep(op, key, sizeof(params)));
  memcpy(&params, op->param, sizeof(params));
  HF_TRY(tls_check_hash(op->mech, params.prfHashMechanism));
  if (params.ulServerOrClient != SERVER && params.ulServerOrClient != CLIENT)
    return kdf_bad_param(op->mech, "whose message it is");
  if (params.ulMacLength < MAC_MIN ||
      params.ulMacLength > (params.prfHashMechanism == CKM_TLS_PRF ? (CK_ULONG)MAC_MIN : (CK_ULONG)MAC_MAX))
    return kdf_bad_param(op->mech, "the MAC's length");
  op->out_len = params.ulMacLength;
  return HF_OK;
}

static hf_err make_mac(struct op *op, struct hf_slice input, struct hf_buf *mac)
{
  struct kdf *kdf = kdf_of(op);
  struct hf_ck_tls_mac_params params;
  memcpy(&params, op->param, sizeof(params));
  if (input.len == 0 || input.len > TLS_SEED_MAX)
    return hf_fail(HF_ERR_DATA_LEN_RANGE, "%s: %zu bytes", op->mech->name, input.len);
  return tls_prf(op->mech, params.prfHashMechanism, hf_slice(kdf->base.data, kdf->base.len),
                 params.ulServerOrClient == SERVER ? "server finished" : "client finished", input, op->out_len, mac);
}

static hf_err sign(struct op *op, struct hf_slice input, uint8_t *ret_signature)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf mac = HF_BUF(MAC_MAX);
  HF_TRY(make_mac(op, input, &mac));
  memcpy(ret_signature, mac.data, mac.len);
  return HF_OK;
}

static hf_err verify(struct op *op, struct hf_slice input, struct hf_slice signature)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf mac = HF_BUF(MAC_MAX);
  HF_TRY(make_mac(op, input, &mac));
  return CRYPTO_memcmp(mac.data, signature.data, mac.len) == 0
             ? HF_OK
             : hf_fail(HF_ERR_SIGNATURE_INVALID, "%s", op->mech->name);
}

const struct mech_ops mech_tls_master = {
  .available = tls_available, .prepare = prepare_master, .plan = plan_master, .derive = derive_master
};
const struct mech_ops mech_tls_export = { .available = tls_available,
                                          .prepare = prepare_export,
                                          .derive = derive_export };
const struct mech_ops mech_tls_mac = {
  .available = tls_available, .prepare = prepare_mac, .sign = sign, .verify = verify
};
