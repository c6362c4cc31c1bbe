/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "cli/key.h"

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
  HF_TRY(p11_object_find(login->session, &wanted, &found));
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

static hf_err run(const struct cli_args *args)
{
  HF_CLEANUP(cli_login_end) struct cli_login login = { 0 };
  HF_CLEANUP(pair_free) struct pair pair = { 0 };
  HF_TRY(cli_login(args, args->operands[0], P11_READ_WRITE, &login));
  HF_TRY(find_pair(&login, &pair));
  HF_TRY(check_pair(&login, &pair));
  HF_TRY(cli_confirm(args, "The key %s of the token \"%s\" will be deleted.", args->operands[0], login.token.label));
  return delete_pair(&login, &pair);
}

static const struct cli_option options[] = {
  CLI_YES_OPTION, CLI_TOKEN_OPTION, CLI_PIN_OPTIONS, CLI_MODULE_OPTIONS, CLI_END,
};

const struct cli_command cli_key_delete = {
  .name = "key delete",
  .help = "Delete the one key pair that a URI names, for good",
  .operands = "URI",
  .operands_min = 1,
  .operands_max = 1,
  .options = options,
  .details = "Without type= the URI stands for a private key, and its public key goes too. With another type=, only\n"
             "that object goes. A certificate stays.\n",
  .example = "holdfast key delete 'pkcs11:token=my-token;object=my-key' --yes\n",
  .run = run,
};
