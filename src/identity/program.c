/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/program.h"

#include "base/file.h"
#include "identity/openssl.h"

#include <errno.h>
#include <limits.h>
#include <openssl/provider.h>

static hf_err find_beside(const char *const *places, size_t count, char *out, size_t size)
{
  hf_err e = hf_file_beside_program(places, count, out, size);
  return hf_failed(e) ? hf_fail(HF_ERR_MODULE_LOAD, "%s", hf_err_context()) : e;
}

hf_err program_own_module(char *out, size_t size)
{
  static const char *const places[] = {
    "../" HF_LIBDIR "/pkcs11/libholdfast-token.so",
    "../lib/pkcs11/libholdfast-token.so",
    "../token/libholdfast-token.so",
  };
  hf_err e = find_beside(places, HF_ARRAY_LEN(places), out, size);
  return hf_failed(e) ? hf_hint(e, "Install it, or name a module by --module.") : e;
}

hf_err program_provider(char *out, size_t size)
{
  static const char *const places[] = {
    "../" HF_LIBDIR "/ossl-modules/holdfast.so",
    "../lib/ossl-modules/holdfast.so",
    "../provider/holdfast.so",
  };
  hf_err e = find_beside(places, HF_ARRAY_LEN(places), out, size);
  return hf_failed(e) ? hf_hint(e, "Install Holdfast's OpenSSL provider.") : e;
}

hf_err program_admission(char *out, size_t size)
{
  static const char *const places[] = {
    "../" HF_LIBDIR "/holdfast/holdfast-admission.so",
    "../lib/holdfast/holdfast-admission.so",
    "../admission/holdfast-admission.so",
  };
  hf_err e = hf_file_beside_program(places, HF_ARRAY_LEN(places), out, size);
  return hf_failed(e) ? hf_hint(e, "Install Holdfast's module for mosquitto.") : e;
}

hf_err program_module(const struct config *config, const char *given, char *out, size_t size)
{
  if (given)
    return (size_t)snprintf(out, size, "%s", given) < size ? HF_OK
                                                           : hf_fail(HF_ERR_LIMIT, "the module's path %.64s...", given);
  HF_TRY(config_module(config, out, size));
  return out[0] ? HF_OK : program_own_module(out, size);
}

static hf_err load_provider(void)
{
  char path[PATH_MAX];
  if (OSSL_PROVIDER_available(NULL, "holdfast"))
    return HF_OK;
  HF_TRY(program_provider(path, sizeof(path)));
  /* "default" first: OpenSSL makes new software keys, such as those of a handshake, with the first that knows the type. */
  if (OSSL_PROVIDER_load(NULL, "default") && OSSL_PROVIDER_load(NULL, path))
    return HF_OK;
  return openssl_fail(HF_ERR_TLS, "the OpenSSL provider ", path);
}

hf_err program_start(const struct config *config, const char *module_path)
{
  if (setenv("HOLDFAST_CONFIG", config_path(config), 1) != 0 || setenv("HOLDFAST_MODULE", module_path, 1) != 0)
    return hf_fail(HF_ERR_NO_MEMORY, "the environment");
  return load_provider();
}
