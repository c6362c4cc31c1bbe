/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/util.h"

#include <errno.h>

static bool text_equals(const char *wanted, const char *text)
{
  return !wanted || strcmp(wanted, text) == 0;
}

hf_err util_match(const struct util *util, void (*say)(const struct p11_token *token, const char *why),
                  struct p11_token *ret_token, size_t *ret_count)
{
  const char *serial = util->values[UTIL_SERIAL], *label = util->values[UTIL_TOKEN];
  const char *why = serial && label ? "serial and token label" : serial ? "serial" : "token label";
  HF_CLEANUP(hf_freep) struct p11_token *tokens = NULL;
  size_t count = 0, found = 0;
  HF_TRY(p11_token_list(util->module, &tokens, &count));
  for (size_t i = 0; i < count; i++) {
    if (!(tokens[i].flags & CKF_TOKEN_INITIALIZED) || !text_equals(serial, tokens[i].serial) ||
        !text_equals(label, tokens[i].label))
      continue;
    say(&tokens[i], why);
    *ret_token = tokens[i];
    found++;
  }
  *ret_count = found;
  return HF_OK;
}

static void say_slot(const struct p11_token *token, const char *why)
{
  printf("Found slot %lu with matching %s.\n", token->slot, why);
}

static int parse_slot(const char *text, CK_SLOT_ID *ret_slot)
{
  char *end;
  errno = 0;
  long slot = strtol(text, &end, 10);
  if (slot < 0)
    return util_fail("The slot number is negative.");
  if (errno || *end || end == text)
    return util_fail("The slot number is not a number: %s", text);
  *ret_slot = (CK_SLOT_ID)slot;
  return 0;
}

static hf_err find_free(const struct util *util, CK_SLOT_ID *ret_slot, size_t *ret_count)
{
  HF_CLEANUP(hf_freep) struct p11_token *tokens = NULL;
  size_t count = 0;
  HF_TRY(p11_token_list(util->module, &tokens, &count));
  *ret_count = 0;
  for (size_t i = 0; i < count && *ret_count == 0; i++)
    if (!(tokens[i].flags & CKF_TOKEN_INITIALIZED)) {
      printf("Slot %lu has a free/uninitialized token.\n", tokens[i].slot);
      *ret_slot = tokens[i].slot;
      *ret_count = 1;
    }
  return HF_OK;
}

int util_check_lengths(const struct util *util)
{
  const char *serial = util->values[UTIL_SERIAL], *label = util->values[UTIL_TOKEN];
  if (serial && strlen(serial) > 16)
    return util_fail("--serial is too long.");
  return label && strlen(label) > 32 ? util_fail("--token is too long.") : 0;
}

int util_find_slot(const struct util *util, bool free_allowed, CK_SLOT_ID *ret_slot)
{
  const char *serial = util->values[UTIL_SERIAL], *label = util->values[UTIL_TOKEN];
  bool free_token = free_allowed && util->values[UTIL_FREE];
  if (util->values[UTIL_SLOT])
    return parse_slot(util->values[UTIL_SLOT], ret_slot);
  if (!free_token && !serial && !label)
    return util_fail(
        free_allowed
            ? "A slot/token must be supplied. Use --slot <number>, --serial <serial>, --token <label>, or --free"
            : "A slot/token must be supplied. Use --slot <number>, --serial <serial>, or --token <label>");
  if (util_check_lengths(util))
    return 1;
  struct p11_token token = { .slot = 0 };
  size_t count = 0;
  hf_err e = free_token ? find_free(util, &token.slot, &count) : util_match(util, say_slot, &token, &count);
  if (hf_failed(e))
    return util_fail_why(e, "Could not get the slot list.");
  if (count == 0)
    return util_fail(free_allowed ? "Could not find a slot/token using --serial, --token, or --free."
                                  : "Could not find a slot/token using --serial, or --token");
  if (count > 1)
    return util_fail("Found multiple matching slots/tokens.");
  *ret_slot = token.slot;
  return 0;
}

static void print_field(const char *name, const CK_UTF8CHAR *text, size_t len)
{
  printf("        %-18s", name);
  cli_print_text(stdout, (const char *)text, strnlen((const char *)text, len));
  putchar('\n');
}

static void print_version(const char *name, CK_VERSION version)
{
  printf("        %-18s%i.%i\n", name, version.major, version.minor);
}

static void print_flag(const char *name, CK_FLAGS set)
{
  printf("        %-18s%s\n", name, set ? "yes" : "no");
}

static void print_token(const CK_TOKEN_INFO *info)
{
  puts("    Token info:");
  print_field("Manufacturer ID:", info->manufacturerID, sizeof(info->manufacturerID));
  print_field("Model:", info->model, sizeof(info->model));
  print_version("Hardware version:", info->hardwareVersion);
  print_version("Firmware version:", info->firmwareVersion);
  print_field("Serial number:", info->serialNumber, sizeof(info->serialNumber));
  print_flag("Initialized:", info->flags & CKF_TOKEN_INITIALIZED);
  print_flag("User PIN init.:", info->flags & CKF_USER_PIN_INITIALIZED);
  print_field("Label:", info->label, sizeof(info->label));
}

static void print_slot(struct util *util, CK_SLOT_ID slot)
{
  CK_FUNCTION_LIST *f = p11_module_functions(util->module);
  CK_SLOT_INFO info;
  CK_TOKEN_INFO token;
  if (f->C_GetSlotInfo(slot, &info) != CKR_OK) {
    util_fail("Could not get info about slot %lu.", slot);
    return;
  }
  printf("Slot %lu\n    Slot info:\n", slot);
  print_field("Description:", info.slotDescription, sizeof(info.slotDescription));
  print_field("Manufacturer ID:", info.manufacturerID, sizeof(info.manufacturerID));
  print_version("Hardware version:", info.hardwareVersion);
  print_version("Firmware version:", info.firmwareVersion);
  print_flag("Token present:", info.flags & CKF_TOKEN_PRESENT);
  if (!(info.flags & CKF_TOKEN_PRESENT))
    return;
  CK_RV rv = f->C_GetTokenInfo(slot, &token);
  if (rv == CKR_OK)
    print_token(&token);
  else
    util_fail_why(p11_fail(util->module, rv, "slot %lu", slot), "Could not get info about the token in slot %lu.",
                  slot);
}

int util_show_slots(struct util *util)
{
  enum { SLOTS_MAX = 4096 };
  CK_FUNCTION_LIST *f = p11_module_functions(util->module);
  CK_ULONG count = SLOTS_MAX;
  HF_CLEANUP(hf_freep) CK_SLOT_ID *slots = calloc(SLOTS_MAX, sizeof(*slots));
  if (!slots)
    return util_fail("Could not allocate memory.");
  /* The size query is what lets a module look for new tokens. */
  CK_ULONG unused;
  CK_RV rv = f->C_GetSlotList(CK_FALSE, NULL, &unused);
  if (rv == CKR_OK)
    rv = f->C_GetSlotList(CK_FALSE, slots, &count);
  if (rv != CKR_OK)
    return util_fail_why(p11_fail(util->module, rv, "%s", util->module_path), "Could not get the slot list.");
  puts("Available slots:");
  for (CK_ULONG i = 0; i < count; i++)
    print_slot(util, slots[i]);
  return 0;
}
