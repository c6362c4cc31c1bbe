/* SPDX-License-Identifier: Apache-2.0 */
#include "secrets/keeper.h"

static hf_err move_one(struct secrets *secrets, const struct vault_place *place, const struct vault_key *key)
{
  HF_CLEANUP(vault_version_free) struct vault_version version = { 0 };
  HF_CLEANUP(hf_buf_free) struct hf_buf context = HF_BUF(KEEPER_CONTEXT_MAX), wrapped = HF_BUF(WRAP_MAX);
  HF_CLEANUP(hf_secret_freep) struct hf_secret *data_key = NULL;
  hf_err e = vault_version(secrets->vault, place->name, place->id, &version);
  if (e.code == HF_ERR_NOT_FOUND) /* deleted meanwhile */
    return HF_OK;
  HF_TRY(e);
  HF_TRY(keeper_context(place->name, place->id, &context));
  struct hf_slice aad = hf_slice(context.data, context.len);
  HF_TRY(keeper_unwrap(secrets, aad, &version.record, &data_key));
  HF_TRY(wrap_close(key->record.spki, key->record.method, aad, hf_secret_data(data_key), &wrapped));
  const struct wrap_record wrap = { key->id, hf_slice(wrapped.data, wrapped.len) };
  return vault_wrap_add(secrets->vault, place, &wrap);
}

static hf_err move_all(struct secrets *secrets, const struct secrets_move *move, const struct vault_key *key,
                       uint64_t *moved)
{
  for (;;) {
    struct vault_place place;
    uint64_t left;
    bool found;
    HF_TRY(vault_unmoved(secrets->vault, key->id, &found, &place, &left));
    if (!found)
      return HF_OK;
    HF_TRY(move_one(secrets, &place, key));
    ++*moved;
    if (move->progress)
      move->progress(*moved, *moved + left - 1, move->arg);
  }
}

hf_err secrets_rewrap(struct secrets *secrets, const struct secrets_move *move, uint64_t *ret_moved)
{
  HF_CLEANUP(vault_key_free) struct vault_key key = { 0 };
  struct hf_err_saved unchecked;
  uint64_t moved = 0;
  bool done = false;
  HF_TRY(keeper_current(secrets, move->key_uri, &key, &unchecked));
  HF_TRY(hf_err_restore(&unchecked)); /* a key that nobody can reach now is none to move to */
  HF_TRY(move_all(secrets, move, &key, &moved));
  HF_TRY(move->adopt(move->arg));
  while (!done) {
    HF_TRY(move_all(secrets, move, &key, &moved)); /* what was put meanwhile */
    HF_TRY(vault_keep_only(secrets->vault, key.id, &done));
  }
  *ret_moved = moved;
  return HF_OK;
}
