/* SPDX-License-Identifier: Apache-2.0 */
#include "token/crypto.h"
#include "token/mech/op_more.h"
#include "token/session.h"

enum { NAME_BYTES = 32 };

struct saved {
  uint8_t name[NAME_BYTES];
  const struct mech *mech; /* NULL: free */
  EVP_MD_CTX *md_ctx;      /* NULL: nothing was hashed yet */
};

static struct {
  pthread_mutex_t lock;
  struct saved saved[OP_STATES_MAX];
  size_t next; /* the oldest */
} states;

static void saved_free(struct saved *saved)
{
  EVP_MD_CTX_free(saved->md_ctx);
  *saved = (struct saved){ 0 };
}

void op_states_start(void)
{
  memset(&states, 0, sizeof(states));
  pthread_mutex_init(&states.lock, NULL);
}

void op_states_stop(void)
{
  for (size_t i = 0; i < OP_STATES_MAX && !crypto_gone(); i++)
    saved_free(&states.saved[i]);
  pthread_mutex_destroy(&states.lock);
}

static hf_err copy_ctx(const EVP_MD_CTX *from, EVP_MD_CTX **ret_copy)
{
  EVP_MD_CTX *copy = EVP_MD_CTX_new();
  if (!copy || EVP_MD_CTX_copy_ex(copy, from) != 1) {
    EVP_MD_CTX_free(copy);
    return crypto_fail(HF_ERR_FUNCTION_FAILED, "a digest's state");
  }
  *ret_copy = copy;
  return HF_OK;
}

static hf_err may_save(const struct session *session)
{
  HF_TRY(op_need_active(session, OP_DIGEST));
  for (size_t i = 0; i < OP_KINDS; i++)
    if (i != OP_DIGEST && session->ops[i].active)
      return hf_fail(HF_ERR_STATE_UNSAVEABLE, "another operation than a digest is active");
  return HF_OK;
}

hf_err op_state_save(struct session *session, void *out, CK_ULONG *out_len)
{
  const struct op *op = &session->ops[OP_DIGEST];
  struct saved saved = { 0 };
  CK_ULONG room = *out_len;
  HF_TRY(may_save(session));
  *out_len = NAME_BYTES;
  if (!out)
    return HF_OK;
  if (room < NAME_BYTES)
    return hf_fail(HF_ERR_BUFFER_TOO_SMALL, "%lu bytes where %d are needed", room, NAME_BYTES);
  HF_TRY(crypto_random(saved.name, NAME_BYTES));
  if (op->updated)
    HF_TRY(copy_ctx(op->md_ctx, &saved.md_ctx));
  saved.mech = op->mech;
  pthread_mutex_lock(&states.lock);
  saved_free(&states.saved[states.next]);
  states.saved[states.next] = saved;
  states.next = (states.next + 1) % OP_STATES_MAX;
  pthread_mutex_unlock(&states.lock);
  memcpy(out, saved.name, NAME_BYTES);
  return HF_OK;
}

/* With the lock held. */
static hf_err find_saved(struct hf_slice name, const struct mech **ret_mech, EVP_MD_CTX **ret_ctx)
{
  for (size_t i = 0; i < OP_STATES_MAX && name.len == NAME_BYTES; i++) {
    const struct saved *saved = &states.saved[i];
    if (!saved->mech || memcmp(saved->name, name.data, NAME_BYTES) != 0)
      continue;
    if (saved->md_ctx)
      HF_TRY(copy_ctx(saved->md_ctx, ret_ctx));
    *ret_mech = saved->mech;
    return HF_OK;
  }
  return hf_fail(HF_ERR_SAVED_STATE_INVALID, "no state of this process has that name");
}

hf_err op_state_restore(struct session *session, struct hf_slice state, CK_OBJECT_HANDLE cipher_key,
                        CK_OBJECT_HANDLE sign_key)
{
  struct op *op = &session->ops[OP_DIGEST];
  const struct mech *mech = NULL;
  EVP_MD_CTX *ctx = NULL;
  pthread_mutex_lock(&states.lock);
  hf_err e = find_saved(state, &mech, &ctx);
  pthread_mutex_unlock(&states.lock);
  HF_TRY(e);
  if (cipher_key || sign_key) {
    EVP_MD_CTX_free(ctx);
    return hf_fail(HF_ERR_KEY_NOT_NEEDED, "a digest has no key");
  }
  for (size_t i = 0; i < OP_KINDS; i++)
    session->ops[i].active = false;
  e = op_begin(session, OP_DIGEST, &(CK_MECHANISM){ .mechanism = mech->type }, 0);
  if (hf_failed(e)) {
    EVP_MD_CTX_free(ctx);
    return e;
  }
  if (ctx) {
    EVP_MD_CTX_free(op->md_ctx);
    op->md_ctx = ctx;
    op->updated = true;
  }
  return HF_OK;
}
