/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The profiles that hold for the token (PKCS #11 v3.2, section 4.13; PKCS #11 Profiles v3.2), objects that are in no store. Like mechanism
 * objects they are found by those that ask for their class alone: a program that lists all objects may not know what they are.
 */
#include "token/token_private.h"

#include "token/mech/mech.h"

#define NO_MECHANISM CK_UNAVAILABLE_INFORMATION

/* A public-certificates token is what is on it, not what it can do; a complete provider has mechanisms that nobody has. */
static const struct {
  CK_ULONG id;
  CK_MECHANISM_TYPE needs;
  const char *label;
} profiles[TOKEN_PROFILES] = {
  { CKP_BASELINE_PROVIDER, NO_MECHANISM, "PKCS #11 v3.2 Baseline Provider" },
  { CKP_EXTENDED_PROVIDER, NO_MECHANISM, "PKCS #11 v3.2 Extended Provider" },
  { CKP_AUTHENTICATION_TOKEN, NO_MECHANISM, "PKCS #11 v3.2 Authentication Token" },
  { CKP_HKDF_TLS_TOKEN, CKM_HKDF_DATA, "PKCS #11 v3.2 HKDF TLS Token" },
};

static hf_err set_text(struct attrs *open, CK_ATTRIBUTE_TYPE type, const char *text)
{
  return attrs_set(open, type, hf_slice(text, strlen(text)));
}

static hf_err describe(size_t i, struct attrs *open)
{
  static const CK_ATTRIBUTE_TYPE fixed[] = { CKA_PRIVATE, CKA_MODIFIABLE, CKA_COPYABLE, CKA_DESTROYABLE };
  char unique[32];
  snprintf(unique, sizeof(unique), "profile-%lu", profiles[i].id);
  HF_TRY(attrs_set_ulong(open, CKA_CLASS, CKO_PROFILE));
  HF_TRY(attrs_set_ulong(open, CKA_PROFILE_ID, profiles[i].id));
  HF_TRY(attrs_set_bool(open, CKA_TOKEN, true));
  for (size_t k = 0; k < HF_ARRAY_LEN(fixed); k++)
    HF_TRY(attrs_set_bool(open, fixed[k], false));
  HF_TRY(set_text(open, CKA_LABEL, profiles[i].label));
  return set_text(open, CKA_UNIQUE_ID, unique);
}

static hf_err make_entry(struct token *token, size_t i, struct entry **ret_entry)
{
  struct seal seal = token_seal(token);
  HF_CLEANUP(attr_halves_free) struct attr_halves halves = ATTR_HALVES_EMPTY;
  HF_CLEANUP(object_unrefp) struct object *object = NULL;
  HF_CLEANUP(hf_buf_free) struct hf_buf bytes = HF_BUF(RECORD_MAX);
  HF_TRY(describe(i, &halves.open));
  HF_TRY(record_build(&seal, i, 0, &halves, &bytes));
  HF_TRY(object_new(&seal, i, hf_slice(bytes.data, bytes.len), &object));
  HF_TRY(handles_add_session(&token->handles, object, ENTRY_BUILT_IN, ret_entry));
  (void)HF_TAKE(object);
  return HF_OK;
}

hf_err token_profile(struct token *token, size_t i, struct entry **ret_entry)
{
  *ret_entry = NULL;
  if (profiles[i].needs != NO_MECHANISM && !mech_find(profiles[i].needs))
    return HF_OK;
  /* After C_InitToken by another process the handles are new ones. */
  struct entry *entry = handles_get(&token->handles, token->profiles[i]);
  if (!entry)
    HF_TRY(make_entry(token, i, &entry));
  token->profiles[i] = entry->handle;
  *ret_entry = entry;
  return HF_OK;
}
