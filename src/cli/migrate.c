/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/migrate.h"

#include "p11/object.h"

enum { LABEL_BYTES = 32, SERIAL_BYTES = 16 };

struct run {
  struct p11_module *module;
  const struct holdfast_token_ext *ext;
  struct softhsm_token *from;
  const struct migrate_how *how;
  struct migrate_result *result;
  struct p11_session *session;
};

void migrate_result_free(struct migrate_result *result)
{
  free(result->left);
  *result = (struct migrate_result){ .objects = 0 };
}

/* Attributes that SoftHSM2 writes whatever the object's maker gave, and what they hold then, if it is not nothing. */
static const struct {
  CK_ATTRIBUTE_TYPE type;
  CK_ULONG preset;
} optional[] = {
  { CKA_PUBLIC_KEY_INFO, 0 },
  { CKA_CHECK_VALUE, 0 },
  { CKA_HASH_OF_SUBJECT_PUBLIC_KEY, 0 },
  { CKA_HASH_OF_ISSUER_PUBLIC_KEY, 0 },
  { CKA_NAME_HASH_ALGORITHM, CKM_SHA_1 },
  { CKA_JAVA_MIDP_SECURITY_DOMAIN, 0 },
  { CKA_WRAP_TEMPLATE, 0 },
  { CKA_UNWRAP_TEMPLATE, 0 },
  { CKA_DERIVE_TEMPLATE, 0 },
  { CKA_ALLOWED_MECHANISMS, 0 },
};

bool migrate_says_nothing(const CK_ATTRIBUTE *attr)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(optional); i++)
    if (optional[i].type == attr->type)
      return attr->ulValueLen == 0 ||
             (attr->ulValueLen == sizeof(CK_ULONG) && memcmp(attr->pValue, &optional[i].preset, sizeof(CK_ULONG)) == 0);
  return false;
}

size_t migrate_template(const struct softhsm_object *object, CK_ATTRIBUTE_TYPE usage,
                        CK_ATTRIBUTE tmpl[SOFTHSM_ATTRS_MAX + 1])
{
  static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
  size_t count = 0;
  for (size_t i = 0; i < object->count; i++) {
    const CK_ATTRIBUTE *attr = &object->attrs[i];
    if (migrate_says_nothing(attr) || (usage && (attr->type == usage || attr->type == CKA_ALLOWED_MECHANISMS)))
      continue;
    tmpl[count] = *attr;
    if (usage && (attr->type == CKA_TOKEN || attr->type == CKA_ALWAYS_AUTHENTICATE))
      tmpl[count].pValue = &no;
    count++;
  }
  if (usage)
    tmpl[count++] = (CK_ATTRIBUTE){ usage, &yes, sizeof(yes) };
  return count;
}

static hf_err check_serial(struct run *run, const char *serial)
{
  HF_CLEANUP(hf_freep) struct p11_token *tokens = NULL;
  size_t count = 0;
  HF_TRY(p11_token_list(run->module, &tokens, &count));
  for (size_t i = 0; i < count; i++)
    if (strcmp(tokens[i].serial, serial) == 0)
      return hf_hint(hf_fail(HF_ERR_EXISTS, "the token \"%s\" has the serial %s", tokens[i].label, serial),
                     "It was migrated before, it seems. --new-serial makes another one all the same.");
  return HF_OK;
}

static hf_err begin(struct run *run)
{
  const struct softhsm_info *info = softhsm_info(run->from);
  CK_UTF8CHAR label[LABEL_BYTES];
  struct hf_secret *so_pin = run->how->so_pin;
  bool keep_serial = !run->how->new_serial && strlen(info->serial) == SERIAL_BYTES;
  struct p11_token token;
  if (keep_serial)
    HF_TRY(check_serial(run, info->serial));
  memset(label, ' ', sizeof(label));
  memcpy(label, info->label, strlen(info->label));
  HF_TRY(p11_fail(run->module,
                  run->ext->restore_begin(label, keep_serial ? (CK_UTF8CHAR *)(uintptr_t)info->serial : NULL,
                                          hf_secret_data(so_pin), hf_secret_len(so_pin), &run->result->slot),
                  "making the token \"%s\"", info->label));
  hf_err e = p11_token_get(run->module, run->result->slot, &token);
  if (!hf_failed(e))
    e = p11_token_set_user_pin(run->module, run->result->slot, so_pin, run->how->pin);
  if (!hf_failed(e))
    e = p11_session_open(run->module, run->result->slot, P11_READ_WRITE, &run->session);
  if (!hf_failed(e))
    e = p11_session_login(run->session, CKU_USER, run->how->pin, P11_LOGIN_FORCE);
  if (!hf_failed(e))
    snprintf(run->result->serial, sizeof(run->result->serial), "%s", token.serial);
  return e;
}

/* Whether it is the object that the token will not have, and not the token that is in trouble. */
static bool is_refusal(hf_err e)
{
  static const enum hf_code codes[] = {
    HF_ERR_ATTRIBUTE_TYPE_INVALID, HF_ERR_ATTRIBUTE_VALUE_INVALID, HF_ERR_ATTRIBUTE_READ_ONLY,
    HF_ERR_TEMPLATE_INCOMPLETE,    HF_ERR_TEMPLATE_INCONSISTENT,   HF_ERR_CURVE_NOT_SUPPORTED,
    HF_ERR_DOMAIN_PARAMS_INVALID,  HF_ERR_KEY_SIZE_RANGE,          HF_ERR_KEY_TYPE_INCONSISTENT,
    HF_ERR_FUNCTION_NOT_SUPPORTED, HF_ERR_MECHANISM_INVALID,       HF_ERR_FUNCTION_FAILED,
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(codes); i++)
    if (e.code == codes[i])
      return true;
  return false;
}

static hf_err leave(struct run *run, size_t number, const struct softhsm_object *object, hf_err why)
{
  struct migrate_result *result = run->result;
  struct migrate_left *more = reallocarray(result->left, result->left_count + 1, sizeof(*more));
  if (!more)
    return hf_fail(HF_ERR_NO_MEMORY, "%zu objects", result->left_count);
  result->left = more;
  struct migrate_left *left = &more[result->left_count++];
  struct hf_slice label = softhsm_object_bytes(object, CKA_LABEL);
  *left = (struct migrate_left){
    .object_class = softhsm_object_ulong(object, CKA_CLASS, CK_UNAVAILABLE_INFORMATION),
    .key_type = softhsm_object_ulong(object, CKA_KEY_TYPE, CK_UNAVAILABLE_INFORMATION),
  };
  snprintf(left->name, sizeof(left->name), "%s", softhsm_name(run->from, number));
  snprintf(left->label, sizeof(left->label), "%.*s", (int)label.len, label.len ? (const char *)label.data : "");
  hf_err_format(why, left->reason, sizeof(left->reason));
  return HF_OK;
}

static hf_err verify(struct run *run, size_t number, const struct softhsm_object *object, CK_OBJECT_HANDLE made)
{
  CK_OBJECT_CLASS class = softhsm_object_ulong(object, CKA_CLASS, CK_UNAVAILABLE_INFORMATION);
  bool tried = false;
  hf_err e = migrate_compare(run->session, object, made);
  if (!hf_failed(e) && (class == CKO_PRIVATE_KEY || class == CKO_SECRET_KEY)) {
    run->result->keys++;
    e = migrate_try(run->session, object, made, &tried);
    run->result->keys_tried += tried;
  }
  if (!hf_failed(e))
    return HF_OK;
  char why[HF_CONTEXT_MAX];
  snprintf(why, sizeof(why), "%s", hf_err_context());
  return hf_fail(e.code, "%s: %s", softhsm_name(run->from, number), why);
}

static hf_err take_object(struct run *run, size_t number, const struct softhsm_object *object)
{
  CK_ATTRIBUTE tmpl[SOFTHSM_ATTRS_MAX + 1];
  CK_OBJECT_HANDLE made;
  size_t count = migrate_template(object, 0, tmpl);
  hf_err e = p11_fail(run->module, run->ext->restore_object(p11_session_handle(run->session), tmpl, count, &made), "%s",
                      softhsm_name(run->from, number));
  if (is_refusal(e))
    return leave(run, number, object, e);
  HF_TRY(e);
  run->result->taken++;
  return verify(run, number, object, made);
}

static hf_err take(struct run *run, size_t number)
{
  HF_CLEANUP(softhsm_object_free) struct softhsm_object object = { .count = 0 };
  bool whole = false;
  hf_err e = softhsm_read(run->from, number, &whole, &object);
  if (e.code == HF_ERR_TOKEN_STORE)
    return hf_hint(e, "Restore it from a backup; or take it out of a copy of the directory, and migrate that one.");
  HF_TRY(e);
  if (whole)
    return take_object(run, number, &object);
  run->result->interrupted++;
  if (!run->how->strict)
    return HF_OK;
  return hf_hint(
      hf_fail(HF_ERR_TOKEN_STORE, "%s is empty", softhsm_name(run->from, number)),
      "SoftHSM2 was interrupted when it wrote it, and does not show it either. Leave out --strict to go on.");
}

/* As the token lists them: nothing else is in it, and nothing was lost on the way. */
static hf_err check_count(struct run *run)
{
  struct p11_object *objects = NULL;
  size_t count = 0;
  HF_TRY(p11_object_list(run->session, NULL, &objects, &count));
  p11_object_list_free(objects, count);
  if (count == run->result->taken)
    return HF_OK;
  return hf_fail(HF_ERR_MODULE_ANSWER, "the new token lists %zu objects where %zu were made", count,
                 run->result->taken);
}

static hf_err take_all(struct run *run)
{
  size_t count = softhsm_count(run->from);
  run->result->objects = count;
  for (size_t i = 0; i < count; i++) {
    HF_TRY(take(run, i));
    run->how->progress(softhsm_info(run->from)->label, i + 1, count);
  }
  HF_TRY(check_count(run));
  if (run->result->left_count == 0 || run->how->skip_unsupported)
    return HF_OK;
  return hf_hint(hf_fail(HF_ERR_FUNCTION_NOT_SUPPORTED, "%zu of %zu objects of the token \"%s\" cannot be taken",
                         run->result->left_count, count, softhsm_info(run->from)->label),
                 "--skip-unsupported takes the others. The old token keeps them all.");
}

/* The first failure is the one to tell. */
static hf_err finish(struct run *run, hf_err e)
{
  struct hf_err_saved saved = hf_err_save(e);
  bool keep = !hf_failed(e) && !run->how->dry_run;
  run->session = p11_session_close(run->session);
  hf_err ended =
      p11_fail(run->module, run->ext->restore_end(run->result->slot, keep), "putting the new token in place");
  return hf_failed(e) ? hf_err_restore(&saved) : ended;
}

hf_err migrate_token(struct p11_module *module, struct softhsm_token *from, const struct migrate_how *how,
                     struct migrate_result *result)
{
  struct run run = { .module = module, .ext = p11_module_ext(module), .from = from, .how = how, .result = result };
  HF_TRY(softhsm_login(from, hf_slice(hf_secret_data(how->pin), hf_secret_len(how->pin))));
  if (!how->so_pin_is_new)
    HF_TRY(softhsm_check_so_pin(from, hf_slice(hf_secret_data(how->so_pin), hf_secret_len(how->so_pin))));
  result->slot = CK_UNAVAILABLE_INFORMATION;
  hf_err e = begin(&run);
  if (result->slot == CK_UNAVAILABLE_INFORMATION)
    return e;
  return finish(&run, hf_failed(e) ? e : take_all(&run));
}
