/* SPDX-License-Identifier: Apache-2.0 */
#include "secrets/secrets.h"

#include "secrets/keeper.h"

hf_err secrets_dir(const struct config *config, char *out, size_t size)
{
  char data[PATH_MAX];
  HF_TRY(config_data_path(config, data, sizeof(data)));
  return (size_t)snprintf(out, size, "%s/secrets", data) < size ? HF_OK : hf_fail(HF_ERR_LIMIT, "the path %s", data);
}

hf_err secrets_open(const struct config *config, const char *module_path, bool create, struct secrets **ret_secrets)
{
  char dir[PATH_MAX];
  HF_CLEANUP(secrets_closep) struct secrets *secrets = calloc(1, sizeof(*secrets));
  if (!secrets)
    return hf_fail(HF_ERR_NO_MEMORY, "the secrets");
  pthread_mutex_init(&secrets->lock, NULL);
  secrets->config = config;
  snprintf(secrets->module_path, sizeof(secrets->module_path), "%s", module_path);
  HF_TRY(secrets_dir(config, dir, sizeof(dir)));
  HF_TRY(vault_open(dir, create, &secrets->vault));
  *ret_secrets = HF_TAKE(secrets);
  return HF_OK;
}

struct secrets *secrets_close(struct secrets *secrets)
{
  if (!secrets)
    return NULL;
  p11_key_unref(secrets->key);
  vault_close(secrets->vault);
  pthread_mutex_destroy(&secrets->lock);
  free(secrets);
  return NULL;
}

static hf_err no_key_file(const char *path)
{
  return hf_hint(hf_fail(HF_ERR_CONFIG, "secrets.key_uri is a key file, %s", path),
                 "Import it with 'holdfast key import %.80s --label secrets', and set secrets.key_uri to its URI.",
                 path);
}

hf_err secrets_key_uri(const struct config *config, const char **ret_uri)
{
  const char *uri = config_get(config, CONFIG_SECRETS_KEY_URI);
  if (!uri)
    uri = config_get(config, CONFIG_DEVICE_KEY_URI);
  if (!uri)
    return hf_hint(
        hf_fail(HF_ERR_CONFIG, "neither secrets.key_uri nor device.key_uri is set in %s", config_path(config)),
        "Make a key: 'holdfast key generate --type rsa --label secrets'; then set secrets.key_uri.");
  if (!uri_is_pkcs11(uri))
    return no_key_file(uri);
  *ret_uri = uri;
  return HF_OK;
}

/* What is under the device's own key would go with it. */
static hf_err check_stays(const struct config *config)
{
  if (config_get(config, CONFIG_SECRETS_KEY_URI) || !config_get_bool(config, CONFIG_CERTIFICATE_RENEWAL_ROTATE_KEY))
    return HF_OK;
  return hf_hint(hf_fail(HF_ERR_CONFIG, "renewal replaces the device's key (certificate.renewal.rotate_key)"),
                 "Give secrets a key of their own: 'holdfast key generate --type rsa --label secrets'; then set "
                 "secrets.key_uri.");
}

/* What there is */

static void copy_info(const struct head_record *head, struct secrets_info *ret_info)
{
  struct secrets_info info = { .created = head->created, .changed = head->changed, .stage_count = head->stage_count };
  memcpy(info.name, head->name, sizeof(info.name));
  for (size_t i = 0; i < head->stage_count; i++) {
    memcpy(info.stages[i].label, head->stages[i].label, sizeof(info.stages[i].label));
    memcpy(info.stages[i].version, head->stages[i].version, SECRETS_ID_BYTES);
  }
  *ret_info = info;
}

struct walk {
  hf_err (*each)(const struct secrets_info *info, void *arg);
  void *arg;
};

static hf_err walk_head(const struct head_record *head, void *arg)
{
  const struct walk *walk = arg;
  struct secrets_info info;
  copy_info(head, &info);
  return walk->each(&info, walk->arg);
}

hf_err secrets_each(struct secrets *secrets, hf_err (*each)(const struct secrets_info *info, void *arg), void *arg)
{
  struct walk walk = { each, arg };
  return vault_each(secrets->vault, walk_head, &walk);
}

hf_err secrets_info(struct secrets *secrets, const char *name, struct secrets_info *ret_info)
{
  struct head_record head;
  HF_TRY(secrets_name_check(name));
  HF_TRY(vault_head(secrets->vault, name, &head));
  copy_info(&head, ret_info);
  return HF_OK;
}

/* Putting */

/* RFC 4122, section 4.4. */
static hf_err new_id(uint8_t id[SECRETS_ID_BYTES])
{
  HF_TRY(seal_random(id, SECRETS_ID_BYTES));
  id[6] = (uint8_t)((id[6] & 0x0F) | 0x40);
  id[8] = (uint8_t)((id[8] & 0x3F) | 0x80);
  return HF_OK;
}

static hf_err seal_version(const struct secrets_new *new, const uint8_t *id, const struct vault_key *key,
                           struct hf_buf *sealed, struct hf_buf *wrapped)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf context = HF_BUF(KEEPER_CONTEXT_MAX);
  HF_CLEANUP(hf_secret_freep) struct hf_secret *data_key = NULL;
  HF_TRY(hf_secret_new(NULL, SEAL_KEY_BYTES, &data_key));
  HF_TRY(seal_random(hf_secret_data(data_key), SEAL_KEY_BYTES));
  HF_TRY(keeper_context(new->name, id, &context));
  struct hf_slice aad = hf_slice(context.data, context.len);
  HF_TRY(seal_close(hf_secret_data(data_key), NULL, aad, new->value, sealed));
  return wrap_close(key->record.spki, key->record.method, aad, hf_secret_data(data_key), wrapped);
}

static hf_err check_new(const struct secrets *secrets, const struct secrets_new *new)
{
  HF_TRY(secrets_name_check(new->name));
  HF_TRY(secrets_value_check(new->value.len));
  for (size_t i = 0; i < new->stage_count; i++) {
    HF_TRY(secrets_stage_check(new->stages[i]));
    if (strcmp(new->stages[i], SECRETS_PREVIOUS) == 0)
      return hf_hint(hf_fail(HF_ERR_USAGE, "the label " SECRETS_PREVIOUS),
                     "It moves by itself, when " SECRETS_CURRENT " does.");
  }
  return check_stays(secrets->config);
}

hf_err secrets_put(struct secrets *secrets, const struct secrets_new *new, struct secrets_made *ret_made)
{
  static const char *const current[] = { SECRETS_CURRENT };
  struct secrets_made made;
  const char *uri;
  HF_CLEANUP(vault_key_free) struct vault_key key = { 0 };
  HF_CLEANUP(hf_buf_free) struct hf_buf sealed = HF_BUF(SECRETS_VALUE_MAX + SEAL_OVERHEAD), wrapped = HF_BUF(WRAP_MAX);
  HF_TRY(check_new(secrets, new));
  HF_TRY(secrets_key_uri(secrets->config, &uri));
  HF_TRY(keeper_current(secrets, uri, &key, &made.unchecked));
  HF_TRY(new_id(made.version));
  HF_TRY(seal_version(new, made.version, &key, &sealed, &wrapped));
  const struct version_record version = { .created = (int64_t)time(NULL),
                                          .sealed = hf_slice(sealed.data, sealed.len),
                                          .wraps = { { key.id, hf_slice(wrapped.data, wrapped.len) } },
                                          .wrap_count = 1 };
  const struct vault_put put = { .name = new->name,
                                 .id = made.version,
                                 .version = &version,
                                 .stages = new->stages ? new->stages : current,
                                 .stage_count = new->stages ? new->stage_count : 1 };
  HF_TRY(vault_put(secrets->vault, &put));
  made.method = key.record.method;
  *ret_made = made;
  return HF_OK;
}

/* Getting */

static hf_err find_version(const struct secrets_info *info, const char *stage, uint8_t ret_id[SECRETS_ID_BYTES])
{
  for (size_t i = 0; i < info->stage_count; i++)
    if (strcmp(info->stages[i].label, stage) == 0) {
      memcpy(ret_id, info->stages[i].version, SECRETS_ID_BYTES);
      return HF_OK;
    }
  return hf_hint(hf_fail(HF_ERR_NOT_FOUND, "no version of the secret '%s' has the label %s", info->name, stage),
                 "'holdfast secret list' shows which labels there are.");
}

static hf_err open_value(struct secrets *secrets, const char *name, const uint8_t *id,
                         const struct version_record *version, struct hf_secret **ret_value)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf context = HF_BUF(KEEPER_CONTEXT_MAX);
  HF_CLEANUP(hf_secret_freep) struct hf_secret *data_key = NULL;
  HF_TRY(keeper_context(name, id, &context));
  struct hf_slice aad = hf_slice(context.data, context.len);
  HF_TRY(keeper_unwrap(secrets, aad, version, &data_key));
  return seal_open(hf_secret_data(data_key), aad, version->sealed, ret_value);
}

void secrets_value_free(struct secrets_value *value)
{
  value->value = hf_secret_free(value->value);
}

hf_err secrets_get(struct secrets *secrets, const char *name, const char *stage, const uint8_t *id,
                   struct secrets_value *ret_value)
{
  struct secrets_value value = { 0 };
  HF_CLEANUP(vault_version_free) struct vault_version version = { 0 };
  HF_TRY(secrets_info(secrets, name, &value.info));
  if (id)
    memcpy(value.version, id, SECRETS_ID_BYTES);
  else
    HF_TRY(find_version(&value.info, stage ? stage : SECRETS_CURRENT, value.version));
  HF_TRY(vault_version(secrets->vault, name, value.version, &version));
  value.created = version.record.created;
  HF_TRY(open_value(secrets, name, value.version, &version.record, &value.value));
  *ret_value = value;
  return HF_OK;
}

hf_err secrets_delete(struct secrets *secrets, const char *name)
{
  HF_TRY(secrets_name_check(name));
  return vault_delete(secrets->vault, name);
}
