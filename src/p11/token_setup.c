/* SPDX-License-Identifier: Apache-2.0 */
#include "p11/token.h"

static bool is_known(const struct p11_token *token, const struct p11_token *tokens, size_t count)
{
  for (size_t i = 0; i < count; i++)
    if ((tokens[i].flags & CKF_TOKEN_INITIALIZED) && strcmp(tokens[i].serial, token->serial) == 0)
      return true;
  return false;
}

/* The token that was not there before. */
static hf_err find_new(struct p11_module *module, const char *label, const struct p11_token *before,
                       size_t before_count, struct p11_token *ret_token)
{
  HF_CLEANUP(hf_freep) struct p11_token *tokens = NULL;
  size_t count = 0;
  HF_TRY(p11_token_list(module, &tokens, &count));
  for (size_t i = 0; i < count; i++)
    if ((tokens[i].flags & CKF_TOKEN_INITIALIZED) && strcmp(tokens[i].label, label) == 0 &&
        !is_known(&tokens[i], before, before_count)) {
      *ret_token = tokens[i];
      return HF_OK;
    }
  return hf_fail(HF_ERR_TOKEN_NOT_FOUND, "\"%s\", which was just initialised", label);
}

hf_err p11_token_setup(struct p11_module *module, CK_SLOT_ID slot, const char *label, struct hf_secret *so_pin,
                       struct p11_token *ret_token)
{
  HF_CLEANUP(hf_freep) struct p11_token *before = NULL;
  size_t count = 0;
  struct p11_token token;
  HF_TRY(p11_token_list(module, &before, &count));
  HF_TRY(p11_token_get(module, slot, &token));
  HF_TRY(p11_token_init(module, slot, so_pin, label));
  return token.flags & CKF_TOKEN_INITIALIZED ? p11_token_get(module, slot, ret_token)
                                             : find_new(module, label, before, count, ret_token);
}
