/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"
#include "cli/commands.h"
#include "cli/configuration.h"
#include "cli/json.h"
#include "cli/key.h"
#include "cli/token_setup.h"

#include <sys/stat.h>

#define DEFAULT_LABEL "holdfast"

enum keeping { KEPT_NOW, KEPT_ALREADY, KEPT_OTHER };

/* What is reported. */
struct result {
  bool made;
  enum keeping keeping;
  struct hf_buf uri, pem, other; /* other: what device.key_uri stays at */
};

static void result_free(struct result *result)
{
  hf_buf_free(&result->uri);
  hf_buf_free(&result->pem);
  hf_buf_free(&result->other);
}

/* Where no token is named and none is there, one is set up: a bare HSM becomes a key in one command. */
static hf_err find_token(const struct cli_args *args, struct uri *uri, struct hf_secret **ret_pin)
{
  HF_CLEANUP(p11_module_unrefp) struct p11_module *module = NULL;
  const char *label = cli_get(args, "token-label");
  bool named =
      uri_get(uri, URI_TOKEN) || uri_get(uri, URI_SERIAL) || uri_get(uri, URI_MODEL) || uri_get(uri, URI_MANUFACTURER);
  struct p11_token token;
  HF_TRY(cli_module_open(args, uri, &module));
  hf_err e = cli_token_find(module, uri, &token);
  if (e.code == HF_ERR_TOKEN_NOT_FOUND && !named)
    e = cli_setup_slot(module, uri, &token);
  else if (e.code == HF_ERR_TOKEN_NOT_FOUND)
    e = hf_hint(e, "List the tokens with 'holdfast hsm list-tokens'; 'holdfast hsm init' makes one.");
  HF_TRY(e);
  if (!(token.flags & CKF_TOKEN_INITIALIZED)) {
    HF_TRY(cli_setup_token(args, module, &token, label ? label : DEFAULT_LABEL, &token, ret_pin));
    fprintf(stderr, "The token \"%s\" was set up in slot %lu.\n", token.label, token.slot);
    uri_unset(uri, URI_SLOT_ID); /* slots move */
  }
  return p11_token_uri(&token, uri);
}

/* The key of this label (and id, if one is given); the handle is 0 where there is none. */
static hf_err find_key(const struct cli_args *args, const struct cli_login *login, const struct p11_key_spec *spec,
                       struct p11_object *ret_key)
{
  HF_CLEANUP(uri_free) struct uri wanted = { 0 };
  if (cli_has(args, "force-new"))
    return HF_OK;
  HF_TRY(uri_set(&wanted, URI_OBJECT, spec->label, strlen(spec->label)));
  HF_TRY(uri_set(&wanted, URI_TYPE, "private", strlen("private")));
  if (cli_has(args, "id"))
    HF_TRY(uri_set(&wanted, URI_ID, spec->id, spec->id_len));
  hf_err e = cli_object_find(login, &wanted, ret_key);
  return e.code == HF_ERR_URI_NO_MATCH ? HF_OK : e;
}

static hf_err check_kind(const struct cli_login *login, const struct p11_object *key, const struct p11_key_spec *spec)
{
  if (p11_object_is_kind(key, spec))
    return HF_OK;
  HF_CLEANUP(hf_buf_free) struct hf_buf uri = HF_BUF(4 * URI_MAX);
  char size[32] = "";
  HF_TRY(cli_object_uri(login, key, &uri));
  if (!key->curve && key->bits)
    snprintf(size, sizeof(size), " %zu", key->bits);
  return hf_hint(hf_fail(HF_ERR_KEY_TYPE_INCONSISTENT, "there is a key of this label, %s%s%s%s: %s",
                         p11_key_type_name(key->key_type), key->curve ? " " : "", key->curve ? key->curve : size, "",
                         hf_buf_str(&uri)),
                 "Choose another --label, ask for that kind, or add --force-new for a second key of this label.");
}

static hf_err generate(const struct cli_args *args, const struct cli_login *login, const struct hf_buf *id,
                       const struct p11_key_spec *spec, struct p11_object *ret_key)
{
  HF_CLEANUP(uri_free) struct uri wanted = { 0 };
  HF_TRY(cli_key_id_check(login->session, id));
  HF_TRY(cli_key_generate_pair(args, login, spec));
  HF_TRY(uri_set(&wanted, URI_ID, id->data, id->len));
  HF_TRY(uri_set(&wanted, URI_TYPE, "private", strlen("private")));
  return cli_object_find(login, &wanted, ret_key);
}

static hf_err describe(const struct cli_login *login, const struct p11_object *key, struct result *result)
{
  HF_CLEANUP(p11_public_free) struct p11_public public;
  p11_public_init(&public);
  HF_TRY(cli_object_uri(login, key, &result->uri));
  HF_TRY(p11_public_find(login->session, key, &public));
  return cli_public_pem(&public, &result->pem);
}

/* Whether device.key_uri leads to another key that is there, as far as can be told here: that choice is not undone. */
static bool is_in_use(const struct cli_login *login, const char *text, const struct p11_object *key)
{
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  struct p11_object *objects = NULL;
  struct p11_token token;
  size_t count = 0, others = 0;
  bool same = false;
  if (hf_failed(uri_parse(text, &uri)) || hf_failed(p11_token_matches(login->module, &login->token, &uri, &same)))
    return false;
  if (!same)
    return !hf_failed(p11_token_find(login->module, &uri, &token));
  if (hf_failed(p11_object_list(login->session, &uri, &objects, &count)))
    return true;
  for (size_t i = 0; i < count; i++)
    others += objects[i].object_class == CKO_PRIVATE_KEY && objects[i].handle != key->handle;
  p11_object_list_free(objects, count);
  return others > 0;
}

static hf_err keep(const struct cli_args *args, const struct cli_login *login, const struct p11_object *key,
                   struct result *result)
{
  HF_CLEANUP(config_freep) struct config *config = NULL;
  HF_TRY(config_open(cli_get(args, "config"), &config));
  const char *before = config_get(config, CONFIG_DEVICE_KEY_URI);
  if (before && strcmp(before, hf_buf_str(&result->uri)) == 0) {
    result->keeping = KEPT_ALREADY;
    return HF_OK;
  }
  if (before && is_in_use(login, before, key)) {
    result->keeping = KEPT_OTHER;
    return uri_redact(before, &result->other);
  }
  HF_TRY(config_set(config, CONFIG_DEVICE_KEY_URI, hf_buf_str(&result->uri)));
  return config_save(config);
}

static hf_err print_json(struct result *result)
{
  HF_CLEANUP(json_decrefp) json_t *json = json_object();
  HF_TRY(cli_json_set(json, "uri", hf_buf_str(&result->uri)));
  HF_TRY(cli_json_set_new(json, "created", json_boolean(result->made)));
  HF_TRY(cli_json_set_new(json, "saved", json_boolean(result->keeping != KEPT_OTHER)));
  HF_TRY(cli_json_set(json, "public_key", hf_buf_str(&result->pem)));
  return cli_json_print(json);
}

static hf_err print_text(struct result *result)
{
  const char *uri = hf_buf_str(&result->uri);
  printf("%s\n  %s\n%s",
         result->made ? "The key pair has been generated:" : "There is such a key already; it is used again:", uri,
         hf_buf_str(&result->pem));
  if (result->keeping != KEPT_OTHER) {
    puts(result->keeping == KEPT_NOW ? "device.key_uri is now this key." : "device.key_uri was this key before.");
    return HF_OK;
  }
  printf("device.key_uri was left at another key that is there:\n  %s\nTo use the new one:\n"
         "  holdfast config set device.key_uri '%s'\n",
         hf_buf_str(&result->other), uri);
  return HF_OK;
}

static hf_err create(const struct cli_args *args, struct uri *uri, struct p11_key_spec *spec, struct hf_buf *id)
{
  HF_CLEANUP(cli_login_end) struct cli_login login = { 0 };
  HF_CLEANUP(hf_secret_freep) struct hf_secret *pin = NULL;
  HF_CLEANUP(p11_object_free) struct p11_object key = { 0 };
  HF_CLEANUP(result_free)
  struct result result = { .uri = HF_BUF(4 * URI_MAX), .pem = HF_BUF(CLI_PEM_MAX), .other = HF_BUF(4 * URI_MAX) };
  HF_TRY(find_token(args, uri, &pin));
  HF_TRY(cli_login_to(args, uri, P11_READ_WRITE, pin, &login));
  HF_TRY(find_key(args, &login, spec, &key));
  result.made = key.handle == CK_INVALID_HANDLE;
  HF_TRY(result.made ? generate(args, &login, id, spec, &key) : check_kind(&login, &key, spec));
  HF_TRY(describe(&login, &key, &result));
  if (cli_has(args, "outfile-pubkey"))
    HF_TRY(hf_file_write(cli_get(args, "outfile-pubkey"), result.pem.data, result.pem.len,
                         S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH));
  HF_TRY(keep(args, &login, &key, &result));
  return cli_has(args, "json") ? print_json(&result) : print_text(&result);
}

static hf_err run(const struct cli_args *args)
{
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  HF_CLEANUP(hf_buf_free) struct hf_buf id = HF_BUF(URI_MAX / 3);
  const char *label = cli_get(args, "label");
  struct p11_key_spec spec = { .label = label ? label : DEFAULT_LABEL };
  HF_TRY(cli_key_kind(args, &spec));
  HF_TRY(cli_key_id(args, &id));
  spec.id = id.data;
  spec.id_len = id.len;
  HF_TRY(cli_token_uri(args, cli_operand(args, 0), &uri));
  return create(args, &uri, &spec, &id);
}

static const struct cli_option options[] = {
  CLI_KEY_KIND_OPTIONS,
  { "label", "TEXT", "the key's label (default: " DEFAULT_LABEL ")" },
  { "id", "HEX", "the key's id, hexadecimal (default: 16 random bytes)" },
  { "force-new", NULL, "make a new key even where there is one of this label" },
  { "outfile-pubkey", "FILE", "write the public key there, too" },
  { "token-label", "TEXT", "the label of a token that has to be set up first (default: " DEFAULT_LABEL ")" },
  CLI_SETUP_OPTIONS,
  CLI_TOKEN_OPTION,
  CLI_PIN_OPTIONS,
  CLI_JSON_OPTION,
  CLI_MODULE_OPTIONS,
  CLI_END,
};

const struct cli_command cli_hsm_create_key = {
  .name = "hsm create-key",
  .help = "Have a key pair in a token, and save its URI as device.key_uri",
  .operands = "[TOKEN]",
  .operands_max = 1,
  .options = options,
  .details =
      "A key of this label and kind that is there already is used again. Where no token is set up yet, one is made\n"
      "first, as by 'hsm init'. device.key_uri is not changed while it names another key that is there.\n",
  .example = "holdfast hsm create-key my-token --type ecdsa --curve p256 --label my-key\n",
  .run = run,
};
