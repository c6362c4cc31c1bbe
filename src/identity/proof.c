/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/proof.h"

#include "identity/openssl.h"

#include <openssl/err.h>
#include <openssl/rand.h>

enum { MESSAGE_LEN = 32 };

/* By type of key, how it shows that it is the certificate's: the token signs what TLS would have it sign. */
static const struct proof_row {
  CK_KEY_TYPE type;
  const char *name; /* OpenSSL's */
  struct p11_sign how;
} proofs[] = {
  { CKK_RSA, "RSA", { P11_SIGN_RSA_PKCS1, "SHA256", NULL, 0 } },
  { CKK_EC, "EC", { P11_SIGN_ECDSA, "SHA256", NULL, 0 } },
  { CKK_EC_EDWARDS, "ED25519", { P11_SIGN_EDDSA, NULL, NULL, 0 } },
};

static hf_err sign(struct p11_key *key, const struct p11_sign *how, const uint8_t message[MESSAGE_LEN],
                   struct hf_buf *out)
{
  if (!how->hash)
    return p11_key_sign_der(key, how, message, MESSAGE_LEN, out);
  uint8_t digest[EVP_MAX_MD_SIZE];
  unsigned len;
  if (EVP_Digest(message, MESSAGE_LEN, digest, &len, EVP_get_digestbyname(how->hash), NULL) != 1)
    return hf_fail(HF_ERR_INTERNAL, "%s", how->hash);
  return p11_key_sign_der(key, how, digest, len, out);
}

static bool verifies(EVP_PKEY *public_key, const char *hash, const struct hf_buf *signature,
                     const uint8_t message[MESSAGE_LEN])
{
  HF_CLEANUP(openssl_md_ctx_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
  bool good = ctx && EVP_DigestVerifyInit_ex(ctx, NULL, hash, NULL, NULL, public_key, NULL) == 1 &&
              EVP_DigestVerify(ctx, signature->data, signature->len, message, MESSAGE_LEN) == 1;
  ERR_clear_error();
  return good;
}

static hf_err find_proof(const struct p11_key *key, const struct proof_row **ret_proof)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(proofs); i++)
    if (proofs[i].type == p11_key_public(key)->type) {
      *ret_proof = &proofs[i];
      return HF_OK;
    }
  return hf_fail(HF_ERR_KEY_TYPE_INCONSISTENT, "the device's key");
}

static hf_err sign_random(struct p11_key *key, const struct proof_row *proof, uint8_t message[MESSAGE_LEN],
                          struct hf_buf *out)
{
  if (RAND_bytes(message, MESSAGE_LEN) != 1)
    return hf_fail(HF_ERR_INTERNAL, "no random bytes");
  return sign(key, &proof->how, message, out);
}

hf_err proof_check(EVP_PKEY *public_key, const char *of, struct p11_key *key)
{
  const struct proof_row *proof = NULL;
  uint8_t message[MESSAGE_LEN];
  HF_CLEANUP(hf_buf_free) struct hf_buf signature = HF_BUF(P11_SIGNATURE_MAX);
  HF_TRY(find_proof(key, &proof));
  if (!EVP_PKEY_is_a(public_key, proof->name))
    return hf_fail(HF_ERR_KEY_MISMATCH, "the key is an %s key, that of %s is not", proof->name, of);
  HF_TRY(sign_random(key, proof, message, &signature));
  if (!verifies(public_key, proof->how.hash, &signature, message))
    return hf_fail(HF_ERR_KEY_MISMATCH, "%s does not verify what the key signs", of);
  return HF_OK;
}

hf_err proof_sign(struct p11_key *key, struct hf_buf *out)
{
  const struct proof_row *proof = NULL;
  uint8_t message[MESSAGE_LEN];
  HF_TRY(find_proof(key, &proof));
  return sign_random(key, proof, message, out);
}
