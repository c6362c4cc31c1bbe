/* SPDX-License-Identifier: Apache-2.0 */
#include "p11/token.h"

#include "p11/candidates.h"
#include "p11/session.h"

enum { SLOTS_MAX = 4096, LIST_TRIES = 8, LABEL_MAX = 32 };

size_t p11_text_len(const unsigned char *field, size_t size)
{
  while (size > 0 && (field[size - 1] == ' ' || field[size - 1] == '\0'))
    size--;
  return size;
}

static void trim(const unsigned char *field, size_t size, char *ret_text)
{
  size_t len = p11_text_len(field, size);
  memcpy(ret_text, field, len);
  ret_text[len] = '\0';
}

#define TRIM(field, out)                                                        \
  do {                                                                          \
    _Static_assert(sizeof(out) == sizeof(field) + 1, "the text needs its NUL"); \
    trim(field, sizeof(field), out);                                            \
  } while (0)

hf_err p11_token_get(struct p11_module *module, CK_SLOT_ID slot, struct p11_token *ret_token)
{
  CK_FUNCTION_LIST *f = p11_module_functions(module);
  CK_TOKEN_INFO token_info;
  CK_SLOT_INFO slot_info;
  HF_TRY(p11_fail(module, f->C_GetSlotInfo(slot, &slot_info), "slot %lu", slot));
  HF_TRY(p11_fail(module, f->C_GetTokenInfo(slot, &token_info), "the token in slot %lu", slot));
  struct p11_token token = {
    .slot = slot,
    .flags = token_info.flags,
    .pin_min = token_info.ulMinPinLen,
    .pin_max = token_info.ulMaxPinLen,
    .sessions_max = token_info.ulMaxSessionCount,
    .hardware = token_info.hardwareVersion,
    .firmware = token_info.firmwareVersion,
  };
  TRIM(token_info.label, token.label);
  TRIM(token_info.manufacturerID, token.manufacturer);
  TRIM(token_info.model, token.model);
  TRIM(token_info.serialNumber, token.serial);
  TRIM(slot_info.slotDescription, token.slot_description);
  TRIM(slot_info.manufacturerID, token.slot_manufacturer);
  *ret_token = token;
  return HF_OK;
}

/*
 * The list may grow between its two calls. Room for none is not asked to be filled: p11-kit's client answers for ever that
 * it is too small.
 */
static hf_err slot_list(struct p11_module *module, CK_SLOT_ID **ret_slots, CK_ULONG *ret_count)
{
  CK_FUNCTION_LIST *f = p11_module_functions(module);
  CK_RV rv = CKR_OK;
  for (int i = 0; i < LIST_TRIES; i++) {
    CK_ULONG count = 0;
    HF_TRY(
        p11_fail(module, f->C_GetSlotList(CK_TRUE, NULL, &count), "listing the slots of %s", p11_module_path(module)));
    if (count > SLOTS_MAX)
      return hf_fail(HF_ERR_LIMIT, "%lu slots in %s", count, p11_module_path(module));
    HF_CLEANUP(hf_freep) CK_SLOT_ID *slots = calloc(count + 1, sizeof(*slots));
    if (!slots)
      return hf_fail(HF_ERR_NO_MEMORY, "listing the slots of %s", p11_module_path(module));
    rv = count > 0 ? f->C_GetSlotList(CK_TRUE, slots, &count) : CKR_OK;
    if (rv == CKR_BUFFER_TOO_SMALL)
      continue;
    HF_TRY(p11_fail(module, rv, "listing the slots of %s", p11_module_path(module)));
    *ret_slots = HF_TAKE(slots);
    *ret_count = count;
    return HF_OK;
  }
  return p11_fail(module, rv, "listing the slots of %s", p11_module_path(module));
}

static bool was_removed(hf_err e)
{
  return e.code == HF_ERR_TOKEN_NOT_PRESENT || e.code == HF_ERR_TOKEN_NOT_RECOGNIZED || e.code == HF_ERR_DEVICE_REMOVED;
}

hf_err p11_token_list(struct p11_module *module, struct p11_token **ret_tokens, size_t *ret_count)
{
  HF_TRY(p11_module_ready(module));
  HF_CLEANUP(hf_freep) CK_SLOT_ID *slots = NULL;
  CK_ULONG slot_count = 0;
  HF_TRY(slot_list(module, &slots, &slot_count));
  HF_CLEANUP(hf_freep) struct p11_token *tokens = calloc(slot_count + 1, sizeof(*tokens));
  if (!tokens)
    return hf_fail(HF_ERR_NO_MEMORY, "listing the tokens of %s", p11_module_path(module));
  size_t count = 0;
  for (CK_ULONG i = 0; i < slot_count; i++)
    count += !hf_failed(p11_token_get(module, slots[i], &tokens[count]));
  *ret_tokens = HF_TAKE(tokens);
  *ret_count = count;
  return HF_OK;
}

hf_err p11_trouble_list(struct p11_module *module, struct p11_trouble **ret_troubles, size_t *ret_count)
{
  HF_TRY(p11_module_ready(module));
  HF_CLEANUP(hf_freep) CK_SLOT_ID *slots = NULL;
  CK_ULONG slot_count = 0;
  HF_TRY(slot_list(module, &slots, &slot_count));
  HF_CLEANUP(hf_freep) struct p11_trouble *troubles = calloc(slot_count + 1, sizeof(*troubles));
  if (!troubles)
    return hf_fail(HF_ERR_NO_MEMORY, "listing the tokens of %s", p11_module_path(module));
  size_t count = 0;
  for (CK_ULONG i = 0; i < slot_count; i++) {
    struct p11_token token;
    hf_err e = p11_token_get(module, slots[i], &token);
    if (!hf_failed(e) || was_removed(e))
      continue;
    struct p11_trouble *trouble = &troubles[count++];
    trouble->slot = slots[i];
    trouble->error = e;
    snprintf(trouble->text, sizeof(trouble->text), "%s", hf_err_context());
    snprintf(trouble->hint, sizeof(trouble->hint), "%s", hf_err_hint(e));
  }
  *ret_troubles = HF_TAKE(troubles);
  *ret_count = count;
  return HF_OK;
}

static bool attr_allows(const struct uri *uri, enum uri_attr attr, const char *text)
{
  const struct hf_buf *wanted = &uri->attrs[attr].value;
  return !uri->attrs[attr].present || hf_slice_equal(hf_slice(wanted->data, wanted->len), hf_slice(text, strlen(text)));
}

static bool slot_allows(const struct uri *uri, CK_SLOT_ID slot)
{
  char text[32];
  snprintf(text, sizeof(text), "%lu", slot);
  return attr_allows(uri, URI_SLOT_ID, text);
}

static hf_err library_allows(struct p11_module *module, const struct uri *uri, bool *ret_allows)
{
  *ret_allows = true;
  if (!uri->attrs[URI_LIBRARY_DESCRIPTION].present && !uri->attrs[URI_LIBRARY_MANUFACTURER].present &&
      !uri->attrs[URI_LIBRARY_VERSION].present)
    return HF_OK;
  CK_INFO info;
  HF_TRY(p11_module_info(module, &info));
  char description[sizeof(info.libraryDescription) + 1], manufacturer[sizeof(info.manufacturerID) + 1];
  TRIM(info.libraryDescription, description);
  TRIM(info.manufacturerID, manufacturer);
  char major[8], version[16];
  snprintf(major, sizeof(major), "%d", info.libraryVersion.major);
  snprintf(version, sizeof(version), "%d.%d", info.libraryVersion.major, info.libraryVersion.minor);
  *ret_allows = attr_allows(uri, URI_LIBRARY_DESCRIPTION, description) &&
                attr_allows(uri, URI_LIBRARY_MANUFACTURER, manufacturer) &&
                (attr_allows(uri, URI_LIBRARY_VERSION, version) ||
                 (info.libraryVersion.minor == 0 && attr_allows(uri, URI_LIBRARY_VERSION, major)));
  return HF_OK;
}

hf_err p11_token_matches(struct p11_module *module, const struct p11_token *token, const struct uri *uri,
                         bool *ret_matches)
{
  bool library;
  HF_TRY(library_allows(module, uri, &library));
  *ret_matches = library && attr_allows(uri, URI_TOKEN, token->label) &&
                 attr_allows(uri, URI_MANUFACTURER, token->manufacturer) && attr_allows(uri, URI_MODEL, token->model) &&
                 attr_allows(uri, URI_SERIAL, token->serial) && slot_allows(uri, token->slot) &&
                 attr_allows(uri, URI_SLOT_DESCRIPTION, token->slot_description) &&
                 attr_allows(uri, URI_SLOT_MANUFACTURER, token->slot_manufacturer);
  return HF_OK;
}

hf_err p11_token_uri(const struct p11_token *token, struct uri *uri)
{
  const struct {
    enum uri_attr attr;
    const char *value;
  } rows[] = {
    { URI_MODEL, token->model },
    { URI_MANUFACTURER, token->manufacturer },
    { URI_SERIAL, token->serial },
    { URI_TOKEN, token->label },
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++)
    if (rows[i].value[0])
      HF_TRY(uri_set(uri, rows[i].attr, rows[i].value, strlen(rows[i].value)));
  return HF_OK;
}

static bool looks_like(const struct p11_token *a, const struct p11_token *b)
{
  return strcmp(a->serial, b->serial) == 0 && strcmp(a->label, b->label) == 0 && strcmp(a->model, b->model) == 0 &&
         strcmp(a->manufacturer, b->manufacturer) == 0;
}

hf_err p11_token_uri_among(const struct p11_token *tokens, size_t count, size_t i, struct uri *uri)
{
  char slot[32];
  bool twin = false;
  for (size_t k = 0; k < count; k++)
    twin = twin || (k != i && looks_like(&tokens[k], &tokens[i]));
  HF_TRY(p11_token_uri(&tokens[i], uri));
  return twin ? uri_set(uri, URI_SLOT_ID, slot, (size_t)snprintf(slot, sizeof(slot), "%lu", tokens[i].slot)) : HF_OK;
}

static hf_err ambiguous(const struct p11_token *tokens, size_t count)
{
  HF_CLEANUP(p11_candidates_free) struct p11_candidates candidates = P11_CANDIDATES;
  for (size_t i = 0; i < count; i++) {
    HF_CLEANUP(uri_free) struct uri uri = { 0 };
    HF_TRY(p11_token_uri_among(tokens, count, i, &uri));
    HF_TRY(p11_candidates_add(&candidates, &uri));
  }
  return p11_candidates_fail(&candidates, HF_ERR_TOKEN_AMBIGUOUS, "tokens");
}

static hf_err none(struct p11_module *module, const struct uri *uri)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(URI_MAX * 4);
  HF_CLEANUP(hf_freep) struct p11_trouble *troubles = NULL;
  size_t count = 0;
  HF_TRY(p11_trouble_list(module, &troubles, &count));
  if (count)
    return hf_hint(hf_fail(troubles[0].error.code, "%s", troubles[0].text), "%s", troubles[0].hint);
  HF_TRY(uri_format(uri, &text));
  return hf_fail(HF_ERR_TOKEN_NOT_FOUND, "%s in %s", hf_buf_str(&text), p11_module_path(module));
}

hf_err p11_token_find(struct p11_module *module, const struct uri *uri, struct p11_token *ret_token)
{
  HF_CLEANUP(hf_freep) struct p11_token *tokens = NULL;
  size_t count = 0, matches = 0;
  HF_TRY(p11_token_list(module, &tokens, &count));
  for (size_t i = 0; i < count; i++) {
    bool match;
    HF_TRY(p11_token_matches(module, &tokens[i], uri, &match));
    if (match && ((tokens[i].flags & CKF_TOKEN_INITIALIZED) || uri->attrs[URI_SLOT_ID].present))
      tokens[matches++] = tokens[i];
  }
  if (matches == 0)
    return none(module, uri);
  if (matches > 1)
    return ambiguous(tokens, matches);
  *ret_token = tokens[0];
  return HF_OK;
}

static CK_UTF8CHAR *pin_data(struct hf_secret *pin)
{
  return pin ? hf_secret_data(pin) : NULL;
}

static CK_ULONG pin_len(struct hf_secret *pin)
{
  return pin ? hf_secret_len(pin) : 0;
}

hf_err p11_token_init(struct p11_module *module, CK_SLOT_ID slot, struct hf_secret *so_pin, const char *label)
{
  size_t len = strlen(label);
  if (len > LABEL_MAX)
    return hf_fail(HF_ERR_LIMIT, "the label \"%s\" is longer than %d bytes", label, LABEL_MAX);
  CK_UTF8CHAR padded[LABEL_MAX];
  memset(padded, ' ', sizeof(padded));
  memcpy(padded, label, len);
  CK_RV rv = p11_module_functions(module)->C_InitToken(slot, pin_data(so_pin), pin_len(so_pin), padded);
  return p11_fail(module, rv, "initialising the token \"%s\" in slot %lu", label, slot);
}

hf_err p11_token_set_user_pin(struct p11_module *module, CK_SLOT_ID slot, struct hf_secret *so_pin,
                              struct hf_secret *pin)
{
  HF_CLEANUP(p11_session_closep) struct p11_session *session = NULL;
  HF_TRY(p11_session_open(module, slot, P11_READ_WRITE, &session));
  HF_TRY(p11_session_login(session, CKU_SO, so_pin, P11_LOGIN_CAREFUL));
  CK_RV rv = p11_module_functions(module)->C_InitPIN(p11_session_handle(session), pin_data(pin), pin_len(pin));
  hf_err e = p11_fail(module, rv, "setting the user PIN of the token in slot %lu", slot);
  if (hf_failed(e))
    return e;
  return p11_session_logout(session);
}

hf_err p11_token_change_pin(struct p11_module *module, CK_SLOT_ID slot, CK_USER_TYPE user, struct hf_secret *old_pin,
                            struct hf_secret *new_pin)
{
  HF_CLEANUP(p11_session_closep) struct p11_session *session = NULL;
  HF_TRY(p11_session_open(module, slot, P11_READ_WRITE, &session));
  HF_TRY(p11_session_login(session, user, old_pin, P11_LOGIN_CAREFUL));
  CK_RV rv = p11_module_functions(module)->C_SetPIN(p11_session_handle(session), pin_data(old_pin), pin_len(old_pin),
                                                    pin_data(new_pin), pin_len(new_pin));
  return p11_fail(module, rv, "changing the PIN of the token in slot %lu", slot);
}
