/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/token.h"
#include "cli/util.h"

#include <limits.h>

enum { LABEL_MAX = 32 };

static int init_failed(hf_err e, CK_SLOT_ID slot)
{
  fflush(stdout);
  if (e.code == HF_ERR_SLOT_ID_INVALID)
    fprintf(stderr, "CKR_SLOT_ID_INVALID: Slot %lu does not exist.\n", slot);
  else if (e.code == HF_ERR_PIN_INCORRECT)
    fputs("CKR_PIN_INCORRECT: The given SO PIN does not match the one in the token. Needed when reinitializing the "
          "token.\n",
          stderr);
  else if (e.code == HF_ERR_TOKEN_NOT_PRESENT)
    fputs("CKR_TOKEN_NOT_PRESENT: The token is not present. Please read the HSM manual for further assistance.\n",
          stderr);
  else
    return util_fail_why(e, "Could not initialize the token.");
  return 1;
}

static int set_user_pin(struct util *util, CK_SLOT_ID slot, struct hf_secret *so_pin, struct hf_secret *pin)
{
  HF_CLEANUP(p11_session_closep) struct p11_session *session = NULL;
  hf_err e = p11_session_open(util->module, slot, P11_READ_WRITE, &session);
  if (hf_failed(e))
    return util_fail_why(e, "Could not open a session with the library.");
  e = p11_session_login(session, CKU_SO, so_pin, P11_LOGIN_FORCE);
  if (hf_failed(e))
    return util_fail_why(e, "Could not log in on the token.");
  CK_RV rv = p11_module_functions(util->module)
                 ->C_InitPIN(p11_session_handle(session), hf_secret_data(pin), hf_secret_len(pin));
  if (rv != CKR_OK)
    return util_fail_why(p11_fail(util->module, rv, "slot %lu", slot), "Could not initialize the user PIN.");
  return 0;
}

/* The module is started anew: some give the token its lasting slot only then. */
static int report_slot(struct util *util, const struct p11_token *token, CK_SLOT_ID before)
{
  HF_CLEANUP(hf_freep) struct p11_token *tokens = NULL;
  size_t count = 0;
  util->module = p11_module_unref(util->module);
  hf_err e = p11_module_open(util->module_path, &util->module);
  if (!hf_failed(e))
    e = p11_token_list(util->module, &tokens, &count);
  if (hf_failed(e))
    return util_fail_why(e, "Could not initialize the library.");
  for (size_t i = 0; i < count; i++) {
    if (strcmp(tokens[i].serial, token->serial) != 0)
      continue;
    printf("The token has been initialized %s slot %lu\n", tokens[i].slot == before ? "on" : "and is reassigned to",
           tokens[i].slot);
    return 0;
  }
  return util_fail("Could not get info about the initialized token in slot %lu.", before);
}

static int init_slot(struct util *util, CK_SLOT_ID slot, struct hf_secret *so_pin, struct hf_secret *pin)
{
  struct p11_token token;
  hf_err e = p11_token_setup(util->module, slot, util->values[UTIL_LABEL], so_pin, &token);
  if (hf_failed(e))
    return init_failed(e, slot);
  int status = set_user_pin(util, token.slot, so_pin, pin);
  return status ? status : report_slot(util, &token, slot);
}

int util_init_token(struct util *util)
{
  const char *label = util->values[UTIL_LABEL];
  HF_CLEANUP(hf_secret_freep) struct hf_secret *so_pin = NULL, *pin = NULL;
  CK_SLOT_ID slot;
  int status = util_find_slot(util, true, &slot);
  if (status)
    return status;
  if (!label)
    return util_fail("A label for the token must be supplied. Use --label <text>");
  if (strlen(label) > LABEL_MAX)
    return util_fail("The token label must not have a length greater than 32 chars.");
  if (!util_pin(util->values[UTIL_SO_PIN], "SO PIN", "SO PIN", &so_pin))
    return util_fail("Could not get SO PIN");
  if (!util_pin(util->values[UTIL_PIN], "User PIN", "user PIN", &pin))
    return util_fail("Could not get user PIN");
  return init_slot(util, slot, so_pin, pin);
}

/* The directory's name, which the original tells here, is known only once the token is gone. */
static void say_serial(const struct p11_token *token, const char *why)
{
  printf("Found token (%s) with matching %s.\n", token->serial, why);
}

int util_delete_token(struct util *util)
{
  struct p11_token token;
  size_t count = 0;
  char dir[PATH_MAX] = "";
  if (!util->values[UTIL_SERIAL] && !util->values[UTIL_TOKEN])
    return util_fail("A token must be supplied. Use --serial <serial> or --token <label>");
  if (util_check_lengths(util))
    return 1;
  const struct holdfast_token_ext *ext = p11_module_ext(util->module);
  if (!ext)
    return util_fail("The module %s cannot delete tokens. Use that HSM's own tool; --init-token --token at least "
                     "erases the content.",
                     util->module_path);
  hf_err e = util_match(util, say_serial, &token, &count);
  if (hf_failed(e))
    return util_fail_why(e, "Could not get the slot list.");
  if (count == 0)
    return util_fail("Could not find a token using --serial or --token.");
  if (count > 1)
    return util_fail("Found multiple matching tokens.");
  e = p11_fail(util->module, ext->delete_token(token.slot, dir, sizeof(dir)), "slot %lu", token.slot);
  if (hf_failed(e))
    return util_fail_why(e, "Could not delete the token.");
  printf("The token (%s) has been deleted.\n", dir);
  return 0;
}
