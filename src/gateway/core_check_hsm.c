/* SPDX-License-Identifier: Apache-2.0 */
/* The token and its PIN, before any key is asked for. */
#include "gateway/core_check_private.h"
#include "identity/hsm.h"

static hf_err parse(const struct core_checks *checks, struct uri *uri)
{
  return uri_parse(core_check_hsm_uri(checks), uri);
}

hf_err core_check_module(struct core_checks *checks)
{
  char path[PATH_MAX];
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  HF_TRY(parse(checks, &uri));
  HF_TRY(p11_module_of_uri(&uri, checks->module_path, path, sizeof(path)));
  HF_TRY(p11_module_open(path, &checks->module));
  core_check_detail(checks, "%s", path);
  return p11_module_reachable(checks->module);
}

hf_err core_check_token(struct core_checks *checks)
{
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  HF_TRY(parse(checks, &uri));
  HF_TRY(p11_token_find(checks->module, &uri, &checks->token));
  core_check_detail(checks, "'%s', %s", checks->token.label, checks->token.model);
  return HF_OK;
}

hf_err core_check_pin_state(struct core_checks *checks)
{
  CK_FLAGS flags = checks->token.flags;
  const char *label = checks->token.label;
  if (flags & CKF_USER_PIN_LOCKED)
    return hf_fail(HF_ERR_PIN_LOCKED, "token \"%s\"", label);
  if (flags & CKF_USER_PIN_FINAL_TRY)
    return hf_hint(
        hf_fail(HF_ERR_PIN_INCORRECT, "one try is left for the user PIN of token \"%s\"; it was not spent", label),
        "Make sure of the PIN, then log in once by hand: 'holdfast key list --token %s'.", label);
  if ((flags & CKF_LOGIN_REQUIRED) && !(flags & CKF_USER_PIN_INITIALIZED))
    return hf_fail(HF_ERR_USER_PIN_NOT_INITIALIZED, "token \"%s\"", label);
  checks->warned = flags & CKF_USER_PIN_COUNT_LOW;
  return checks->warned
             ? hf_hint(hf_fail(HF_ERR_PIN_INCORRECT, "somebody has tried a wrong PIN of token \"%s\" lately", label),
                       "The right one sets the count back.")
             : HF_OK;
}

hf_err core_check_pin(struct core_checks *checks)
{
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  HF_CLEANUP(hsm_close) struct hsm hsm = { 0 };
  HF_TRY(parse(checks, &uri));
  HF_TRY(hsm_open(checks->config, checks->module_path, &uri, P11_READ_ONLY, &hsm));
  return HF_OK;
}
