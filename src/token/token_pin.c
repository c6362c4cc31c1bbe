/* SPDX-License-Identifier: Apache-2.0 */
/* PINs: each wraps the token's master key. */
#include "token/token_private.h"

hf_err token_pin_length(const struct token_conf *conf, unsigned which, struct hf_slice pin)
{
  const struct limits *limits = &conf->simulation.limits;
  bool limited = conf->simulation.enabled && limits->pin_max && which == WRAP_USER;
  if (pin.len < PIN_MIN || pin.len > PIN_MAX || (limited && (pin.len < limits->pin_min || pin.len > limits->pin_max)))
    return hf_fail(HF_ERR_PIN_LEN_RANGE, "a PIN of %zu bytes", pin.len);
  return HF_OK;
}

/* A master key and the index key that follows from it. */
static hf_err keys_of_master(const uint8_t *master, struct hf_secret **ret_keys)
{
  HF_CLEANUP(hf_secret_freep) struct hf_secret *keys = NULL;
  HF_TRY(hf_secret_new(NULL, MASTER_BYTES + CRYPTO_KEY_BYTES, &keys));
  memcpy(hf_secret_data(keys), master, MASTER_BYTES);
  HF_TRY(crypto_mac(master, hf_slice("index", 5), hf_secret_data(keys) + MASTER_BYTES));
  *ret_keys = HF_TAKE(keys);
  return HF_OK;
}

hf_err token_new_keys(struct hf_secret **ret_keys)
{
  uint8_t master[MASTER_BYTES];
  hf_err e = crypto_random(master, sizeof(master));
  if (!hf_failed(e))
    e = keys_of_master(master, ret_keys);
  hf_wipe(master, sizeof(master));
  return e;
}

static hf_err wrap_aad(const uint8_t *uuid, unsigned which, struct hf_buf *out)
{
  HF_TRY(hf_buf_add(out, uuid, TOKEN_UUID_BYTES));
  return hf_buf_add_u8(out, (uint8_t)which);
}

hf_err token_wrap(const struct token_conf *conf, const uint8_t *uuid, unsigned which, struct hf_slice pin,
                  struct hf_secret *keys, struct wrap *ret_wrap)
{
  struct wrap wrap = { .set = true, .cost = { conf->kdf_memory, conf->kdf_passes } };
  HF_TRY(token_pin_length(conf, which, pin));
  HF_TRY(crypto_random(wrap.salt, sizeof(wrap.salt)));
  HF_CLEANUP(hf_secret_freep) struct hf_secret *kek = NULL;
  HF_TRY(crypto_stretch(pin, wrap.salt, wrap.cost, &kek));
  HF_CLEANUP(hf_buf_free) struct hf_buf aad = HF_BUF(TOKEN_UUID_BYTES + 1);
  HF_CLEANUP(hf_buf_free) struct hf_buf sealed = HF_BUF(sizeof(wrap.sealed));
  HF_TRY(wrap_aad(uuid, which, &aad));
  HF_TRY(crypto_seal(hf_secret_data(kek), hf_slice(aad.data, aad.len), hf_slice(hf_secret_data(keys), MASTER_BYTES),
                     &sealed));
  memcpy(wrap.sealed, sealed.data, sizeof(wrap.sealed));
  *ret_wrap = wrap;
  return HF_OK;
}

hf_err token_unwrap(const struct header *header, unsigned which, struct hf_slice pin, struct hf_secret **ret_keys)
{
  const struct wrap *wrap = &header->wraps[which];
  HF_CLEANUP(hf_secret_freep) struct hf_secret *kek = NULL;
  HF_TRY(crypto_stretch(pin, wrap->salt, wrap->cost, &kek));
  HF_CLEANUP(hf_buf_free) struct hf_buf aad = HF_BUF(TOKEN_UUID_BYTES + 1);
  HF_CLEANUP(hf_buf_free) struct hf_buf master = HF_BUF(MASTER_BYTES);
  HF_TRY(wrap_aad(header->uuid, which, &aad));
  hf_err e = crypto_open(hf_secret_data(kek), hf_slice(aad.data, aad.len), hf_slice(wrap->sealed, sizeof(wrap->sealed)),
                         &master);
  if (e.code == HF_ERR_TOKEN_STORE)
    return token_wrong_pin(header, which);
  HF_TRY(e);
  return keys_of_master(master.data, ret_keys);
}

static hf_err may_login(struct token *token, enum login who)
{
  TOKEN_LOCK(token);
  HF_TRY(token_refresh(token));
  if (token->login == who)
    return hf_fail(HF_ERR_USER_ALREADY_LOGGED_IN, "token \"%.*s\"", HEADER_LABEL(&token->header));
  if (token->login != LOGIN_NONE)
    return hf_fail(HF_ERR_USER_ANOTHER_ALREADY_LOGGED_IN, "token \"%.*s\"", HEADER_LABEL(&token->header));
  return HF_OK;
}

hf_err token_login(struct token *token, enum login who, struct hf_slice pin)
{
  HF_CLEANUP(hf_secret_freep) struct hf_secret *keys = NULL;
  struct header header;
  HF_TRY(may_login(token, who));
  HF_TRY(token_try_pin(token, who == LOGIN_SO ? WRAP_SO : WRAP_USER, pin, &header, &keys));
  TOKEN_LOCK(token);
  HF_TRY(token_refresh(token));
  HF_TRY(token_same_epoch(&token->header, &header));
  if (token->login != LOGIN_NONE)
    return hf_fail(HF_ERR_USER_ALREADY_LOGGED_IN, "another thread was first");
  token->login = who;
  token->keys = HF_TAKE(keys);
  token->local++;
  return HF_OK;
}

hf_err token_check_pin(struct token *token, struct hf_slice pin)
{
  HF_CLEANUP(hf_secret_freep) struct hf_secret *keys = NULL;
  return token_try_pin(token, WRAP_USER, pin, &(struct header){ 0 }, &keys);
}

static bool is_private(const struct entry *entry, const void *arg)
{
  (void)arg;
  return entry->private;
}

void token_forget_login(struct token *token)
{
  token->login = LOGIN_NONE;
  token->keys = hf_secret_free(token->keys);
  token->local++;
  handles_drop_if(&token->handles, is_private, NULL);
}

hf_err token_logout(struct token *token)
{
  TOKEN_LOCK(token);
  if (token->login == LOGIN_NONE)
    return hf_fail(HF_ERR_USER_NOT_LOGGED_IN, "nobody is logged in");
  token_forget_login(token);
  return HF_OK;
}

struct new_wrap {
  unsigned which;
  struct wrap wrap;
  const struct header *header; /* as of when the keys were right */
};

static hf_err store_wrap(struct store_txn *txn, void *arg)
{
  const struct new_wrap *new = arg;
  struct header header;
  HF_TRY(header_read(txn, &header));
  HF_TRY(token_same_epoch(&header, new->header));
  header.wraps[new->which] = new->wrap;
  return header_write(txn, &header);
}

static hf_err change_wrap(struct token *token, const struct header *header, unsigned which, struct hf_slice pin,
                          struct hf_secret *keys)
{
  struct new_wrap new = { .which = which, .header = header };
  HF_TRY(token_wrap(token->conf, header->uuid, which, pin, keys, &new.wrap));
  return store_write(token->store, store_wrap, &new);
}

hf_err token_init_pin(struct token *token, struct hf_slice pin)
{
  HF_CLEANUP(hf_secret_freep) struct hf_secret *keys = NULL;
  struct header header;
  HF_TRY(token_pin_length(token->conf, WRAP_USER, pin));
  {
    TOKEN_LOCK(token);
    HF_TRY(token_refresh(token));
    if (token->login != LOGIN_SO)
      return hf_fail(HF_ERR_USER_NOT_LOGGED_IN, "the security officer is not logged in");
    HF_TRY(hf_secret_new(hf_secret_data(token->keys), hf_secret_len(token->keys), &keys));
    header = token->header;
  }
  return change_wrap(token, &header, WRAP_USER, pin, keys);
}

hf_err token_set_pin(struct token *token, enum login who, struct hf_slice old_pin, struct hf_slice new_pin)
{
  HF_CLEANUP(hf_secret_freep) struct hf_secret *keys = NULL;
  unsigned which = who == LOGIN_SO ? WRAP_SO : WRAP_USER;
  struct header header;
  HF_TRY(token_pin_length(token->conf, which, new_pin));
  HF_TRY(token_try_pin(token, which, old_pin, &header, &keys));
  return change_wrap(token, &header, which, new_pin, keys);
}
