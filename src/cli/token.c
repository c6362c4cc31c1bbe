/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/token.h"

#include "cli/pin.h"
#include "config/config.h"
#include "identity/program.h"

#include <limits.h>

hf_err cli_module_path(const struct cli_args *args, char *out, size_t size)
{
  HF_CLEANUP(config_freep) struct config *config = NULL;
  const char *given = cli_get(args, "module");
  if (!given)
    given = getenv("HOLDFAST_MODULE");
  if (!given)
    HF_TRY(config_load(cli_get(args, "config"), &config));
  return program_module(config, given, out, size);
}

hf_err cli_module_open(const struct cli_args *args, struct p11_module **ret_module)
{
  char path[PATH_MAX];
  HF_TRY(cli_module_path(args, path, sizeof(path)));
  return p11_module_open(path, ret_module);
}

/* What two sources say must not differ: --token a and a URI with token=b name nothing. */
static hf_err add_attrs(const struct uri *more, struct uri *uri)
{
  for (size_t i = 0; i < URI_ATTR_COUNT; i++) {
    const struct hf_buf *a = &uri->attrs[i].value, *b = &more->attrs[i].value;
    if (!more->attrs[i].present)
      continue;
    if (uri->attrs[i].present && !hf_slice_equal(hf_slice(a->data, a->len), hf_slice(b->data, b->len)))
      return hf_hint(hf_fail(HF_ERR_USAGE, "--token and the URI name different tokens"), "Leave one of them out.");
    HF_TRY(uri_set(uri, (enum uri_attr)i, b->data, b->len));
  }
  return HF_OK;
}

static hf_err add_token_option(const struct cli_args *args, struct uri *uri)
{
  const char *token = cli_get(args, "token");
  if (!token)
    return HF_OK;
  HF_CLEANUP(uri_free) struct uri named = { 0 };
  if (uri_is_pkcs11(token))
    HF_TRY(uri_parse(token, &named));
  else
    HF_TRY(uri_set(&named, URI_TOKEN, token, strlen(token)));
  return add_attrs(&named, uri);
}

static bool names_token(const struct uri *uri)
{
  for (size_t i = 0; i <= URI_TOKEN; i++)
    if (uri->attrs[i].present)
      return true;
  return false;
}

static hf_err add_config(const struct cli_args *args, struct uri *uri)
{
  HF_CLEANUP(config_freep) struct config *config = NULL;
  HF_TRY(config_load(cli_get(args, "config"), &config));
  const char *text = config_get(config, CONFIG_DEVICE_CRYPTOKI_URI);
  HF_CLEANUP(uri_free) struct uri configured = { 0 };
  if (!text)
    return HF_OK;
  HF_TRY(uri_parse(text, &configured));
  return add_attrs(&configured, uri);
}

hf_err cli_token_find(const struct cli_args *args, struct p11_module *module, const char *operand, struct uri *ret_uri,
                      struct p11_token *ret_token)
{
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  if (operand)
    HF_TRY(uri_parse(operand, &uri));
  HF_TRY(add_token_option(args, &uri));
  if (!names_token(&uri))
    HF_TRY(add_config(args, &uri));
  HF_TRY(p11_token_find(module, &uri, ret_token));
  *ret_uri = uri;
  uri = (struct uri){ 0 };
  return HF_OK;
}

static hf_err log_in(const struct cli_args *args, enum p11_mode mode, struct cli_login *login)
{
  HF_TRY(p11_session_open(login->module, login->token.slot, mode, &login->session));
  HF_CLEANUP(hf_secret_freep) struct hf_secret *pin = NULL;
  if (!(login->token.flags & CKF_LOGIN_REQUIRED))
    return HF_OK;
  if (!(login->token.flags & CKF_PROTECTED_AUTHENTICATION_PATH))
    HF_TRY(cli_pin(args, &login->uri, &pin));
  return p11_session_login(login->session, CKU_USER, pin, P11_LOGIN_CAREFUL);
}

hf_err cli_login(const struct cli_args *args, const char *operand, enum p11_mode mode, struct cli_login *ret_login)
{
  HF_CLEANUP(cli_login_end) struct cli_login login = { 0 };
  HF_TRY(cli_module_open(args, &login.module));
  HF_TRY(cli_token_find(args, login.module, operand, &login.uri, &login.token));
  HF_TRY(log_in(args, mode, &login));
  *ret_login = login;
  login = (struct cli_login){ 0 };
  return HF_OK;
}

void cli_login_end(struct cli_login *login)
{
  login->session = p11_session_close(login->session);
  login->module = p11_module_unref(login->module);
  uri_free(&login->uri);
}
