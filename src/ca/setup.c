/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/setup.h"

#include "identity/chain.h"
#include "identity/request.h"

#include <limits.h>
#include <openssl/err.h>

hf_err setup_check(const struct config *config)
{
  char path[PATH_MAX];
  HF_TRY(authority_cert_path(config, path, sizeof(path)));
  if (access(path, F_OK) != 0)
    return HF_OK;
  return hf_hint(hf_fail(HF_ERR_ID_EXISTS, "there is an authority already: %s", path),
                 "Set ca.path, or ca.cert_path, to another place for another one.");
}

/* The file last: with it, the authority is there. What was cut short before leaves a certificate of no use in the registry. */
static hf_err keep(const struct config *config, struct registry *registry, const STACK_OF(X509) * chain)
{
  char path[PATH_MAX];
  HF_TRY(authority_cert_path(config, path, sizeof(path)));
  hf_err e = authority_record(registry, sk_X509_value(chain, 0), REGISTRY_AUTHORITY);
  if (hf_failed(e) && e.code != HF_ERR_ID_EXISTS)
    return e;
  return chain_write(path, chain);
}

hf_err setup_self_signed(const struct config *config, struct registry *registry, EVP_PKEY *key, const char *name)
{
  const struct profile_names names = { .common_name = name };
  const struct issue_options options = { .purpose = PROFILE_CA,
                                         .names = &names,
                                         .lifetime_s = config_get_number(config, CONFIG_CA_VALIDITY_AUTHORITY),
                                         .path_length = 0 };
  HF_CLEANUP(openssl_x509_freep) X509 *certificate = NULL;
  HF_TRY(issue_self_signed(&options, key, &certificate));
  HF_CLEANUP(chain_freep) STACK_OF(X509) *chain = sk_X509_new_null();
  if (!chain || sk_X509_push(chain, certificate) <= 0)
    return hf_fail(HF_ERR_NO_MEMORY, "the authority's certificate");
  (void)HF_TAKE(certificate);
  return keep(config, registry, chain);
}

hf_err setup_request(EVP_PKEY *key, const char *name, struct hf_buf *out)
{
  const struct profile_names names = { .common_name = name };
  HF_CLEANUP(openssl_req_freep) X509_REQ *request = NULL;
  HF_TRY(request_create(key, &names, PROFILE_CA, &request));
  return request_pem(request, out);
}

hf_err setup_import(const struct config *config, struct registry *registry, EVP_PKEY *key, const char *file)
{
  HF_CLEANUP(chain_freep) STACK_OF(X509) *chain = NULL;
  HF_TRY(chain_read(file, &chain));
  HF_TRY(chain_check(chain, file));
  X509 *own = sk_X509_value(chain, 0);
  if (X509_check_ca(own) != 1)
    return hf_hint(hf_fail(HF_ERR_CERT_INVALID, "%s is not the certificate of an authority (CA:TRUE)", file),
                   "Have the root issue it with basicConstraints CA:TRUE.");
  bool fits = X509_check_private_key(own, key) == 1;
  ERR_clear_error();
  return fits ? keep(config, registry, chain) : hf_fail(HF_ERR_KEY_MISMATCH, "%s and the authority's key", file);
}
