/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/key.h"

static hf_err to_json(const struct cli_login *login, const struct p11_object *object, json_t *out)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf uri = HF_BUF(4 * URI_MAX), id = HF_BUF(2 * P11_ATTRIBUTE_MAX);
  HF_CLEANUP(hf_buf_free) struct hf_buf label = HF_BUF(P11_ATTRIBUTE_MAX);
  HF_TRY(hf_buf_add(&label, object->label.data, object->label.len));
  HF_TRY(cli_object_uri(login, object, &uri));
  HF_TRY(hf_buf_add_hex(&id, object->id.data, object->id.len));
  HF_TRY(cli_json_set(out, "class", p11_class_name(object->object_class)));
  HF_TRY(cli_json_set(out, "label", hf_buf_str(&label)));
  HF_TRY(cli_json_set(out, "id", hf_buf_str(&id)));
  HF_TRY(cli_json_set(out, "uri", hf_buf_str(&uri)));
  if (object->key_type != CK_UNAVAILABLE_INFORMATION)
    HF_TRY(cli_json_set(out, "type", p11_key_type_name(object->key_type)));
  if (object->curve)
    HF_TRY(cli_json_set(out, "curve", object->curve));
  if (object->bits)
    HF_TRY(cli_json_set_new(out, "bits", json_integer((json_int_t)object->bits)));
  json_t *flags = json_array();
  HF_TRY(cli_json_set_new(out, "flags", flags));
  for (int i = 0; i < P11_FLAG_COUNT; i++)
    if (object->flags & 1u << i)
      HF_TRY(cli_json_append_new(flags, json_string(p11_flag_name((enum p11_flag_index)i))));
  return HF_OK;
}

static hf_err print_json(const struct cli_login *login, const struct p11_object *objects, size_t count)
{
  HF_CLEANUP(json_decrefp) json_t *list = json_array();
  for (size_t i = 0; i < count; i++) {
    json_t *object = json_object();
    HF_TRY(cli_json_append_new(list, object));
    HF_TRY(to_json(login, &objects[i], object));
  }
  return cli_json_print(list);
}

static void print_type(const struct p11_object *object)
{
  printf("  Type:   %s", p11_class_name(object->object_class));
  if (object->key_type != CK_UNAVAILABLE_INFORMATION)
    printf(", %s", p11_key_type_name(object->key_type));
  if (object->curve)
    printf(" %s", object->curve);
  else if (object->bits)
    printf(" %zu", object->bits);
  putchar('\n');
}

static hf_err print_object(const struct cli_login *login, const struct p11_object *object)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf uri = HF_BUF(4 * URI_MAX), id = HF_BUF(2 * P11_ATTRIBUTE_MAX);
  HF_TRY(cli_object_uri(login, object, &uri));
  HF_TRY(hf_buf_add_hex(&id, object->id.data, object->id.len));
  printf("%s\n", hf_buf_str(&uri));
  print_type(object);
  fputs("  Label:  ", stdout);
  cli_print_text(stdout, (const char *)object->label.data, object->label.len);
  printf("\n  Id:     %s\n  Flags:  ", hf_buf_str(&id));
  const char *separator = "";
  for (int i = 0; i < P11_FLAG_COUNT; i++)
    if (object->flags & 1u << i) {
      printf("%s%s", separator, p11_flag_name((enum p11_flag_index)i));
      separator = ", ";
    }
  putchar('\n');
  return HF_OK;
}

static hf_err list(const struct cli_args *args, const struct cli_login *login, struct p11_object *objects, size_t count)
{
  size_t keys = 0;
  for (size_t i = 0; i < count; i++)
    if (cli_is_key(&objects[i])) {
      struct p11_object key = objects[i];
      objects[i] = objects[keys];
      objects[keys++] = key;
    }
  if (cli_has(args, "json"))
    return print_json(login, objects, keys);
  for (size_t i = 0; i < keys; i++)
    HF_TRY(print_object(login, &objects[i]));
  if (keys == 0)
    puts("No key matches.");
  return HF_OK;
}

static hf_err list_of(const struct cli_args *args, struct uri *uri)
{
  HF_CLEANUP(cli_login_end) struct cli_login login = { 0 };
  HF_TRY(cli_key_select(args, uri));
  HF_TRY(cli_login_to(args, uri, P11_READ_ONLY, NULL, &login));
  struct p11_object *objects = NULL;
  size_t count = 0;
  HF_TRY(p11_object_list(login.session, &login.uri, &objects, &count));
  hf_err e = list(args, &login, objects, count);
  p11_object_list_free(objects, count);
  return e;
}

static hf_err run(const struct cli_args *args)
{
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  HF_TRY(cli_uri(args, cli_operand(args, 0), &uri));
  return list_of(args, &uri);
}

static hf_err run_hsm(const struct cli_args *args)
{
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  HF_TRY(cli_token_uri(args, cli_operand(args, 0), &uri));
  return list_of(args, &uri);
}

static const struct cli_option options[] = {
  CLI_JSON_OPTION, CLI_KEY_SELECT_OPTIONS, CLI_TOKEN_OPTION, CLI_PIN_OPTIONS, CLI_MODULE_OPTIONS, CLI_END,
};

const struct cli_command cli_hsm_list_keys = {
  .name = "hsm list-keys",
  .help = "List the keys in a token, as 'key list' does",
  .operands = "[TOKEN]",
  .operands_max = 1,
  .options = options,
  .example = "holdfast hsm list-keys my-token --label my-key\n",
  .run = run_hsm,
};

const struct cli_command cli_key_list = {
  .name = "key list",
  .help = "List the keys in a token, or those that match a URI",
  .operands = "[URI]",
  .operands_max = 1,
  .options = options,
  .example = "holdfast key list 'pkcs11:token=my-token;type=private' --json\n",
  .run = run,
};
