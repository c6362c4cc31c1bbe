/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/hsm.h"

#include "base/file.h"

#include <limits.h>

hf_err hsm_pin(const struct config *config, const struct uri *uri, struct hf_secret **ret_pin)
{
  const char *value = uri_get(uri, URI_PIN_VALUE), *source = uri_get(uri, URI_PIN_SOURCE);
  if (value)
    return hf_secret_new(value, strlen(value), ret_pin);
  if (source)
    return hf_pin_source_read(source, ret_pin);
  if (!config_get(config, CONFIG_DEVICE_CRYPTOKI_PIN_SOURCE) && !config_get(config, CONFIG_DEVICE_CRYPTOKI_PIN))
    return HF_OK;
  return config_pin(config, ret_pin);
}

static hf_err log_in(const struct config *config, const struct uri *uri, struct hsm *hsm)
{
  HF_CLEANUP(hf_secret_freep) struct hf_secret *pin = NULL;
  if (!(hsm->token.flags & CKF_LOGIN_REQUIRED))
    return HF_OK;
  HF_TRY(hsm_pin(config, uri, &pin));
  return p11_session_login(hsm->session, CKU_USER, pin, P11_LOGIN_CAREFUL);
}

hf_err hsm_open(const struct config *config, const char *module_path, const struct uri *uri, enum p11_mode mode,
                struct hsm *ret_hsm)
{
  HF_CLEANUP(hsm_close) struct hsm hsm = { 0 };
  char path[PATH_MAX];
  HF_TRY(p11_module_of_uri(uri, module_path, path, sizeof(path)));
  HF_TRY(p11_module_open(path, &hsm.module));
  HF_TRY(p11_token_find(hsm.module, uri, &hsm.token));
  HF_TRY(p11_session_open(hsm.module, hsm.token.slot, mode, &hsm.session));
  HF_TRY(log_in(config, uri, &hsm));
  *ret_hsm = hsm;
  hsm = (struct hsm){ 0 };
  return HF_OK;
}

void hsm_close(struct hsm *hsm)
{
  hsm->session = p11_session_close(hsm->session);
  hsm->module = p11_module_unref(hsm->module);
}
