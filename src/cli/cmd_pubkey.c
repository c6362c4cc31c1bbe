/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "cli/key.h"
#include "p11/public.h"

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>

enum { PEM_MAX = 64 * 1024 };

/* What OpenSSL needs to make an EVP_PKEY; all freed together. */
struct build {
  OSSL_PARAM_BLD *params;
  BIGNUM *modulus, *exponent;
  OSSL_PARAM *list;
  EVP_PKEY_CTX *ctx;
  EVP_PKEY *key;
  BIO *pem;
};

static void build_free(struct build *build)
{
  BIO_free(build->pem);
  EVP_PKEY_free(build->key);
  EVP_PKEY_CTX_free(build->ctx);
  OSSL_PARAM_free(build->list);
  OSSL_PARAM_BLD_free(build->params);
  BN_free(build->modulus);
  BN_free(build->exponent);
}

static bool push(struct build *build, const struct p11_public *key)
{
  if (key->type != CKK_RSA)
    return OSSL_PARAM_BLD_push_utf8_string(build->params, OSSL_PKEY_PARAM_GROUP_NAME, key->curve, 0) &&
           OSSL_PARAM_BLD_push_octet_string(build->params, OSSL_PKEY_PARAM_PUB_KEY, key->point.data, key->point.len);
  build->modulus = BN_bin2bn(key->modulus.data, (int)key->modulus.len, NULL);
  build->exponent = BN_bin2bn(key->exponent.data, (int)key->exponent.len, NULL);
  return build->modulus && build->exponent &&
         OSSL_PARAM_BLD_push_BN(build->params, OSSL_PKEY_PARAM_RSA_N, build->modulus) &&
         OSSL_PARAM_BLD_push_BN(build->params, OSSL_PKEY_PARAM_RSA_E, build->exponent);
}

static bool to_pem(struct build *build, const struct p11_public *key)
{
  build->params = OSSL_PARAM_BLD_new();
  build->list = build->params && push(build, key) ? OSSL_PARAM_BLD_to_param(build->params) : NULL;
  build->ctx = EVP_PKEY_CTX_new_from_name(NULL, key->type == CKK_RSA ? "RSA" : "EC", NULL);
  build->pem = BIO_new(BIO_s_mem());
  return build->list && build->ctx && build->pem && EVP_PKEY_fromdata_init(build->ctx) == 1 &&
         EVP_PKEY_fromdata(build->ctx, &build->key, EVP_PKEY_PUBLIC_KEY, build->list) == 1 &&
         PEM_write_bio_PUBKEY(build->pem, build->key) == 1;
}

static hf_err format_pem(const struct p11_public *key, struct hf_buf *out)
{
  HF_CLEANUP(build_free) struct build build = { 0 };
  if (!to_pem(&build, key))
    return hf_fail(HF_ERR_INTERNAL, "OpenSSL does not take the %s key", p11_key_type_name(key->type));
  char *text = NULL;
  long len = BIO_get_mem_data(build.pem, &text);
  return hf_buf_add(out, text, (size_t)len);
}

/* Without type= the private key is meant; a public key or certificate serves as well. */
static hf_err find_public(const struct cli_login *login, struct p11_public *key)
{
  HF_CLEANUP(uri_free) struct uri wanted = { 0 };
  HF_CLEANUP(p11_object_free) struct p11_object object = { 0 };
  HF_TRY(uri_copy(&login->uri, &wanted));
  if (!uri_get(&wanted, URI_TYPE))
    HF_TRY(uri_set(&wanted, URI_TYPE, "private", strlen("private")));
  HF_TRY(p11_object_find(login->session, &wanted, &object));
  return object.object_class == CKO_PRIVATE_KEY ? p11_public_find(login->session, &object, key)
                                                : p11_public_read(login->session, &object, key);
}

static hf_err run(const struct cli_args *args)
{
  HF_CLEANUP(cli_login_end) struct cli_login login = { 0 };
  HF_CLEANUP(p11_public_free) struct p11_public key;
  HF_CLEANUP(hf_buf_free) struct hf_buf pem = HF_BUF(PEM_MAX);
  p11_public_init(&key);
  HF_TRY(cli_login(args, args->operands[0], P11_READ_ONLY, &login));
  HF_TRY(find_public(&login, &key));
  HF_TRY(format_pem(&key, &pem));
  return cli_output(args, hf_slice(pem.data, pem.len));
}

static const struct cli_option options[] = {
  { "out", "FILE", "write it there (default: standard output)" },
  CLI_TOKEN_OPTION,
  CLI_PIN_OPTIONS,
  CLI_MODULE_OPTIONS,
  CLI_END,
};

const struct cli_command cli_pubkey = {
  .name = "pubkey",
  .help = "Print the public half of a key as PEM",
  .operands = "URI",
  .operands_min = 1,
  .operands_max = 1,
  .options = options,
  .details = "The PEM is a SubjectPublicKeyInfo, as openssl and everyone else reads it.\n",
  .example = "holdfast pubkey 'pkcs11:token=my-token;object=my-key' --out device.pub\n",
  .run = run,
};
