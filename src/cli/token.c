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

hf_err cli_module_open(const struct cli_args *args, const struct uri *uri, struct p11_module **ret_module)
{
  char usual[PATH_MAX], path[PATH_MAX];
  HF_TRY(cli_module_path(args, usual, sizeof(usual)));
  if (!uri || cli_has(args, "module"))
    return p11_module_open(usual, ret_module);
  HF_TRY(p11_module_of_uri(uri, usual, path, sizeof(path)));
  return p11_module_open(path, ret_module);
}

/* What two sources say must not differ: --token a and a URI with token=b name nothing. */
static hf_err add_attr(const struct uri *more, enum uri_attr attr, struct uri *uri)
{
  const struct hf_buf *a = &uri->attrs[attr].value, *b = &more->attrs[attr].value;
  if (!more->attrs[attr].present)
    return HF_OK;
  if (uri->attrs[attr].present && !hf_slice_equal(hf_slice(a->data, a->len), hf_slice(b->data, b->len)))
    return hf_hint(hf_fail(HF_ERR_USAGE, "--token and the URI name different tokens"), "Leave one of them out.");
  return uri_set(uri, attr, b->data, b->len);
}

hf_err cli_token_parse(const char *text, struct uri *ret_uri)
{
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  if (uri_is_pkcs11(text))
    HF_TRY(uri_parse(text, &uri));
  else
    HF_TRY(uri_set(&uri, URI_TOKEN, text, strlen(text)));
  *ret_uri = uri;
  uri = (struct uri){ 0 };
  return HF_OK;
}

static hf_err add_token_option(const struct cli_args *args, struct uri *uri)
{
  const char *token = cli_get(args, "token");
  if (!token)
    return HF_OK;
  HF_CLEANUP(uri_free) struct uri named = { 0 };
  HF_TRY(cli_token_parse(token, &named));
  for (enum uri_attr attr = 0; attr < URI_ATTR_COUNT; attr++)
    HF_TRY(add_attr(&named, attr, uri));
  return HF_OK;
}

static bool names_token(const struct uri *uri)
{
  for (size_t i = 0; i <= URI_TOKEN; i++)
    if (uri->attrs[i].present)
      return true;
  return false;
}

/* The configuration's token, and how to get at it; never an object, and nothing that the user has said otherwise. */
static hf_err add_config(const struct cli_args *args, struct uri *uri)
{
  HF_CLEANUP(config_freep) struct config *config = NULL;
  HF_TRY(config_load(cli_get(args, "config"), &config));
  const char *text = config_get(config, CONFIG_DEVICE_CRYPTOKI_URI);
  HF_CLEANUP(uri_free) struct uri configured = { 0 };
  if (!text)
    return HF_OK;
  HF_TRY(uri_parse(text, &configured));
  for (enum uri_attr attr = 0; attr < URI_ATTR_COUNT; attr++)
    if ((attr <= URI_TOKEN || attr > URI_TYPE) && !uri->attrs[attr].present)
      HF_TRY(add_attr(&configured, attr, uri));
  return HF_OK;
}

static hf_err complete(const struct cli_args *args, const char *operand, hf_err (*parse)(const char *, struct uri *),
                       struct uri *ret_uri)
{
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  if (operand)
    HF_TRY(parse(operand, &uri));
  HF_TRY(add_token_option(args, &uri));
  if (!names_token(&uri))
    HF_TRY(add_config(args, &uri));
  *ret_uri = uri;
  uri = (struct uri){ 0 };
  return HF_OK;
}

hf_err cli_uri(const struct cli_args *args, const char *operand, struct uri *ret_uri)
{
  return complete(args, operand, uri_parse, ret_uri);
}

hf_err cli_token_uri(const struct cli_args *args, const char *operand, struct uri *ret_uri)
{
  return complete(args, operand, cli_token_parse, ret_uri);
}

static hf_err print_uri(const struct uri *uri)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(URI_ATTR_COUNT * 3 * URI_MAX);
  HF_TRY(uri_format(uri, &text));
  fprintf(stderr, "  %s\n", hf_buf_str(&text));
  return HF_OK;
}

/* An error's line has room for a few candidates; where there are more, all are listed before it. */
static bool was_cut(void)
{
  static const char mark[] = ", ...";
  const char *context = hf_err_context();
  size_t len = strlen(context);
  return len >= sizeof(mark) && strcmp(context + len - (sizeof(mark) - 1), mark) == 0;
}

static hf_err list_tokens(struct p11_module *module, const struct uri *uri)
{
  HF_CLEANUP(hf_freep) struct p11_token *tokens = NULL;
  size_t count = 0;
  HF_TRY(p11_token_list(module, &tokens, &count));
  for (size_t i = 0; i < count; i++) {
    HF_CLEANUP(uri_free) struct uri one = { 0 };
    bool match = false;
    HF_TRY(p11_token_matches(module, &tokens[i], uri, &match));
    if (!match || !(tokens[i].flags & CKF_TOKEN_INITIALIZED))
      continue;
    HF_TRY(p11_token_uri_among(tokens, count, i, &one));
    HF_TRY(print_uri(&one));
  }
  return HF_OK;
}

hf_err cli_token_find(struct p11_module *module, const struct uri *uri, struct p11_token *ret_token)
{
  hf_err e = p11_token_find(module, uri, ret_token);
  if (e.code != HF_ERR_TOKEN_AMBIGUOUS || !was_cut())
    return e;
  HF_TRY(list_tokens(module, uri));
  return p11_token_find(module, uri, ret_token);
}

static hf_err list_objects(const struct cli_login *login, const struct uri *uri)
{
  struct p11_object *objects = NULL;
  size_t count = 0;
  HF_TRY(p11_object_list(login->session, uri, &objects, &count));
  hf_err e = HF_OK;
  for (size_t i = 0; i < count && !hf_failed(e); i++) {
    HF_CLEANUP(uri_free) struct uri one = { 0 };
    e = p11_object_uri(&login->token, &objects[i], &one);
    if (!hf_failed(e))
      e = print_uri(&one);
  }
  p11_object_list_free(objects, count);
  return e;
}

hf_err cli_object_find(const struct cli_login *login, const struct uri *uri, struct p11_object *ret_object)
{
  hf_err e = p11_object_find(login->session, uri, ret_object);
  if (e.code != HF_ERR_URI_AMBIGUOUS || !was_cut())
    return e;
  HF_TRY(list_objects(login, uri));
  return p11_object_find(login->session, uri, ret_object);
}

static hf_err log_in(const struct cli_args *args, enum p11_mode mode, struct hf_secret *pin, struct cli_login *login)
{
  HF_TRY(p11_session_open(login->module, login->token.slot, mode, &login->session));
  HF_CLEANUP(hf_secret_freep) struct hf_secret *found = NULL;
  if (!(login->token.flags & CKF_LOGIN_REQUIRED))
    return HF_OK;
  if (!pin && !(login->token.flags & CKF_PROTECTED_AUTHENTICATION_PATH))
    HF_TRY(cli_pin(args, &login->uri, &found));
  return p11_session_login(login->session, CKU_USER, pin ? pin : found, P11_LOGIN_CAREFUL);
}

hf_err cli_login(const struct cli_args *args, const char *operand, enum p11_mode mode, struct cli_login *ret_login)
{
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  HF_TRY(cli_uri(args, operand, &uri));
  return cli_login_to(args, &uri, mode, NULL, ret_login);
}

hf_err cli_login_to(const struct cli_args *args, const struct uri *uri, enum p11_mode mode, struct hf_secret *pin,
                    struct cli_login *ret_login)
{
  HF_CLEANUP(cli_login_end) struct cli_login login = { 0 };
  HF_TRY(uri_copy(uri, &login.uri));
  HF_TRY(cli_module_open(args, &login.uri, &login.module));
  HF_TRY(cli_token_find(login.module, &login.uri, &login.token));
  HF_TRY(log_in(args, mode, pin, &login));
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
