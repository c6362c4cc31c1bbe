/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "cli/key.h"
#include "config/config.h"

/* What is to go: at most the private and the public key of one id. */
struct pair {
  struct p11_object *objects;
  size_t count;
};

static void pair_free(struct pair *pair)
{
  p11_object_list_free(pair->objects, pair->count);
}

/*
 * The URI names one object, of whatever class it says; its pair is what has the same id. A private key's URI takes the
 * public key along, as nothing else would ever remove it.
 */
static hf_err find_pair(const struct cli_login *login, struct pair *ret_pair)
{
  HF_CLEANUP(uri_free) struct uri wanted = { 0 }, by_id = { 0 };
  HF_CLEANUP(p11_object_free) struct p11_object found = { 0 };
  HF_TRY(uri_copy(&login->uri, &wanted));
  if (!uri_get(&wanted, URI_TYPE))
    HF_TRY(uri_set(&wanted, URI_TYPE, "private", strlen("private")));
  HF_TRY(cli_object_find(login, &wanted, &found));
  bool alone = found.object_class != CKO_PRIVATE_KEY || found.id.len == 0;
  if (alone)
    HF_TRY(p11_object_uri(&login->token, &found, &by_id));
  else
    HF_TRY(uri_set(&by_id, URI_ID, found.id.data, found.id.len));
  return p11_object_list(login->session, &by_id, &ret_pair->objects, &ret_pair->count);
}

static hf_err check_pair(const struct cli_login *login, const struct pair *pair)
{
  size_t private_keys = 0;
  for (size_t i = 0; i < pair->count; i++)
    private_keys += pair->objects[i].object_class == CKO_PRIVATE_KEY;
  if (private_keys <= 1)
    return HF_OK;
  HF_CLEANUP(hf_buf_free) struct hf_buf uri = HF_BUF(4 * URI_MAX);
  HF_TRY(cli_object_uri(login, &pair->objects[0], &uri));
  return hf_hint(hf_fail(HF_ERR_URI_AMBIGUOUS, "%zu private keys share the id of %s", private_keys, hf_buf_str(&uri)),
                 "Which public key belongs to which cannot be told; delete them one by one with p11tool.");
}

static hf_err delete_pair(const struct cli_login *login, const struct pair *pair)
{
  for (size_t i = 0; i < pair->count; i++) {
    if (!cli_is_key(&pair->objects[i]))
      continue;
    HF_CLEANUP(hf_buf_free) struct hf_buf uri = HF_BUF(4 * URI_MAX);
    HF_TRY(cli_object_uri(login, &pair->objects[i], &uri));
    HF_TRY(p11_object_destroy(login->session, pair->objects[i].handle));
    printf("Deleted %s\n", hf_buf_str(&uri));
  }
  return HF_OK;
}

/* Keys whose end is not what one means by accident. */
static const struct use {
  enum config_key key;
  const char *what;
} uses[] = {
  { CONFIG_DEVICE_KEY_URI, "the device connects with this key (device.key_uri); it was not deleted" },
  { CONFIG_SECRETS_KEY_URI, "secrets are under this key (secrets.key_uri); it was not deleted" },
};

static hf_err check_use(const struct use *use, const struct config *config, const struct cli_login *login,
                        const struct pair *pair)
{
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  HF_CLEANUP(p11_object_free) struct p11_object used = { 0 };
  const char *text = config_get(config, use->key);
  bool same = false;
  if (!text || !uri_is_pkcs11(text))
    return HF_OK;
  HF_TRY(uri_parse(text, &uri));
  HF_TRY(p11_token_matches(login->module, &login->token, &uri, &same));
  if (!same || hf_failed(p11_object_find(login->session, &uri, &used)))
    return HF_OK;
  for (size_t i = 0; i < pair->count; i++)
    if (pair->objects[i].handle == used.handle)
      return hf_hint(hf_fail(HF_ERR_USAGE, "%s", use->what), "Set another one first, or add --force.");
  return HF_OK;
}

static hf_err check_unused(const struct cli_args *args, const struct cli_login *login, const struct pair *pair)
{
  HF_CLEANUP(config_freep) struct config *config = NULL;
  HF_TRY(config_load(cli_get(args, "config"), &config));
  for (size_t i = 0; i < HF_ARRAY_LEN(uses) && !cli_has(args, "force"); i++)
    HF_TRY(check_use(&uses[i], config, login, pair));
  return HF_OK;
}

static hf_err delete (const struct cli_args *args, struct uri *uri)
{
  HF_CLEANUP(cli_login_end) struct cli_login login = { 0 };
  HF_CLEANUP(pair_free) struct pair pair = { 0 };
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(URI_ATTR_COUNT * 3 * URI_MAX);
  HF_TRY(cli_key_select(args, uri));
  if (!uri_get(uri, URI_OBJECT) && !uri_get(uri, URI_ID))
    return hf_hint(hf_fail(HF_ERR_USAGE, "no key is named"), "Name it by --label, --id, or object= or id= in a URI.");
  HF_TRY(uri_format(uri, &text));
  HF_TRY(cli_login_to(args, uri, P11_READ_WRITE, NULL, &login));
  HF_TRY(find_pair(&login, &pair));
  HF_TRY(check_pair(&login, &pair));
  HF_TRY(check_unused(args, &login, &pair));
  if (!cli_has(args, "force"))
    HF_TRY(cli_confirm(args, "The key %s of the token \"%s\" (serial %s) will be deleted.", hf_buf_str(&text),
                       login.token.label, login.token.serial));
  return delete_pair(&login, &pair);
}

static hf_err run(const struct cli_args *args)
{
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  HF_TRY(cli_uri(args, cli_operand(args, 0), &uri));
  return delete (args, &uri);
}

static hf_err run_hsm(const struct cli_args *args)
{
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  HF_TRY(cli_token_uri(args, cli_operand(args, 0), &uri));
  return delete (args, &uri);
}

static const struct cli_option options[] = {
  CLI_KEY_SELECT_OPTIONS,
  CLI_YES_OPTION,
  { "force", NULL, "do not ask, and delete even a key that the configuration names" },
  CLI_TOKEN_OPTION,
  CLI_PIN_OPTIONS,
  CLI_MODULE_OPTIONS,
  CLI_END,
};

static const char details[] =
    "Without type= the URI stands for a private key, and its public key goes too. With another type=, only\n"
    "that object goes. A certificate stays.\n";

const struct cli_command cli_key_delete = {
  .name = "key delete",
  .help = "Delete the one key pair that a URI, a label or an id names, for good",
  .operands = "[URI]",
  .operands_max = 1,
  .options = options,
  .details = details,
  .example = "holdfast key delete 'pkcs11:token=my-token;object=my-key' --yes\n",
  .run = run,
};

const struct cli_command cli_hsm_delete_key = {
  .name = "hsm delete-key",
  .help = "Delete one key pair, as 'key delete' does",
  .operands = "[TOKEN]",
  .operands_max = 1,
  .options = options,
  .details = details,
  .example = "holdfast hsm delete-key my-token --label my-key\n",
  .run = run_hsm,
};
