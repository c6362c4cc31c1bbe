/* SPDX-License-Identifier: Apache-2.0 */
#include "token/simulation/words.h"

#include "base/cleanup.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define NS_PER_S 1000000000ULL

enum { HOURS_MAX = 24, RSA_BITS_MIN = 1024, RSA_BITS_MAX = 16384 };

hf_err word_bad(const char *word, const char *expected)
{
  return hf_fail(HF_ERR_PARSE, "\"%s\" (expected %s)", word, expected);
}

static const struct {
  const char *name;
  uint64_t ns;
} units[] = {
  { "us", 1000 }, { "ms", 1000000 }, { "s", NS_PER_S }, { "m", 60 * NS_PER_S }, { "h", 3600 * NS_PER_S },
};

static hf_err bad_duration(const char *word)
{
  return word_bad(word, "a time like 200us, 20ms, 1.5s, 2m or 1h; at most 24h");
}

hf_err word_duration(const char *word, uint64_t *ret_ns)
{
  char *unit;
  size_t digits = strspn(word, "0123456789.");
  if (digits == 0 || digits > 12 || !isdigit((unsigned char)word[0]))
    return bad_duration(word);
  double number = strtod(word, &unit);
  if (unit != word + digits)
    return bad_duration(word);
  for (size_t i = 0; i < HF_ARRAY_LEN(units); i++) {
    if (strcmp(units[i].name, unit) != 0)
      continue;
    double ns = number * (double)units[i].ns;
    if (ns > (double)(HOURS_MAX * 3600 * NS_PER_S))
      return bad_duration(word);
    *ret_ns = (uint64_t)(ns + 0.5);
    return HF_OK;
  }
  return bad_duration(word);
}

/* Cuts word at its first dash into out ("" where there is no room for it); what is behind it, or NULL. */
static const char *split_range(const char *word, char *out, size_t size)
{
  size_t len = strcspn(word, "-");
  out[0] = '\0';
  if (len < size) {
    memcpy(out, word, len);
    out[len] = '\0';
  }
  return word[len] ? word + len + 1 : NULL;
}

hf_err word_duration_range(const char *word, uint64_t *ret_min, uint64_t *ret_max)
{
  char first[32];
  uint64_t min, max;
  const char *second = split_range(word, first, sizeof(first));
  HF_TRY(word_duration(first, &min));
  max = min;
  if (second)
    HF_TRY(word_duration(second, &max));
  if (max < min)
    return word_bad(word, "the shorter time first");
  *ret_min = min;
  *ret_max = max;
  return HF_OK;
}

hf_err word_number(const char *word, uint64_t min, uint64_t max, uint64_t *ret_number)
{
  char expected[64];
  size_t digits = strspn(word, "0123456789");
  bool fits = digits > 0 && digits < 19 && word[digits] == '\0';
  unsigned long long number = fits ? strtoull(word, NULL, 10) : 0;
  if (!fits || number < min || number > max) {
    snprintf(expected, sizeof(expected), "a number from %llu to %llu", (unsigned long long)min,
             (unsigned long long)max);
    return word_bad(word, expected);
  }
  *ret_number = number;
  return HF_OK;
}

hf_err word_number_range(const char *word, uint64_t max, uint64_t *ret_from, uint64_t *ret_to)
{
  char first[32];
  uint64_t from, to;
  const char *second = split_range(word, first, sizeof(first));
  HF_TRY(word_number(first, 0, max, &from));
  to = from;
  if (second)
    HF_TRY(word_number(second, from, max, &to));
  *ret_from = from;
  *ret_to = to;
  return HF_OK;
}

#define NAME(function) #function,

static const char *const functions_2_40[] = { HF_CK_FUNCTIONS_2_40(NAME) };

static const char *const functions_3[] = {
  "C_LoginUser",
  "C_SessionCancel",
  "C_MessageEncryptInit",
  "C_EncryptMessage",
  "C_EncryptMessageNext",
  "C_MessageEncryptFinal",
  "C_MessageDecryptInit",
  "C_DecryptMessage",
  "C_DecryptMessageNext",
  "C_MessageDecryptFinal",
  "C_MessageSignInit",
  "C_SignMessage",
  "C_SignMessageNext",
  "C_MessageSignFinal",
  "C_MessageVerifyInit",
  "C_VerifyMessage",
  "C_VerifyMessageNext",
  "C_MessageVerifyFinal",
  "C_EncryptMessageBegin",
  "C_DecryptMessageBegin",
  "C_SignMessageBegin",
  "C_VerifyMessageBegin",
  "C_EncapsulateKey",
  "C_DecapsulateKey",
  "C_VerifySignature",
  "C_VerifySignatureInit",
  "C_VerifySignatureFinal",
  "C_VerifySignatureUpdate",
  "C_WrapKeyAuthenticated",
  "C_UnwrapKeyAuthenticated",
};

/* What a module does in the host: a device hears of it only with the call that needs it, if at all. */
static const char *const locals[] = {
  "C_GetSlotInfo",
  "C_GetMechanismList",
  "C_GetMechanismInfo",
  "C_CloseSession",
  "C_CloseAllSessions",
  "C_GetSessionInfo",
  "C_SessionCancel",
  "C_GetOperationState",
  "C_SetOperationState",
  "C_GetFunctionStatus",
  "C_CancelFunction",
  "C_FindObjectsInit",
  "C_FindObjects",
  "C_FindObjectsFinal",
  "C_GetAttributeValue",
  "C_GetObjectSize",
  "C_EncryptInit",
  "C_DecryptInit",
  "C_SignInit",
  "C_VerifyInit",
  "C_SignRecoverInit",
  "C_VerifyRecoverInit",
  "C_DigestInit",
  "C_Digest",
  "C_DigestFinal",
  "C_DigestUpdate",
  "C_DigestKey",
  "C_SignUpdate",
  "C_VerifyUpdate",
  "C_EncryptUpdate",
  "C_DecryptUpdate",
  "C_MessageEncryptInit",
  "C_MessageDecryptInit",
  "C_MessageSignInit",
  "C_MessageVerifyInit",
  "C_SignMessageBegin",
  "C_VerifyMessageBegin",
  "C_EncryptMessageBegin",
  "C_DecryptMessageBegin",
  "C_MessageSignFinal",
  "C_MessageVerifyFinal",
  "C_MessageEncryptFinal",
  "C_MessageDecryptFinal",
  "C_VerifySignatureInit",
  "C_VerifySignatureUpdate",
};

static bool is_among(const char *word, const char *const *list, size_t count)
{
  for (size_t i = 0; i < count; i++)
    if (strcmp(list[i], word) == 0)
      return true;
  return false;
}

bool word_is_function(const char *word)
{
  return is_among(word, functions_2_40, HF_ARRAY_LEN(functions_2_40)) ||
         is_among(word, functions_3, HF_ARRAY_LEN(functions_3));
}

bool word_is_local(const char *function)
{
  return is_among(function, locals, HF_ARRAY_LEN(locals));
}

const char *word_whole_function(const char *function)
{
  static const char *const wholes[][2] = {
    { "C_SignFinal", "C_Sign" },
    { "C_SignMessage", "C_Sign" },
    { "C_SignMessageNext", "C_Sign" },
    { "C_VerifyFinal", "C_Verify" },
    { "C_VerifyMessage", "C_Verify" },
    { "C_VerifyMessageNext", "C_Verify" },
    { "C_VerifySignature", "C_Verify" },
    { "C_VerifySignatureFinal", "C_Verify" },
    { "C_EncryptFinal", "C_Encrypt" },
    { "C_EncryptMessage", "C_Encrypt" },
    { "C_EncryptMessageNext", "C_Encrypt" },
    { "C_DecryptFinal", "C_Decrypt" },
    { "C_DecryptMessage", "C_Decrypt" },
    { "C_DecryptMessageNext", "C_Decrypt" },
    { "C_DigestFinal", "C_Digest" },
    { "C_LoginUser", "C_Login" },
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(wholes); i++)
    if (strcmp(wholes[i][0], function) == 0)
      return wholes[i][1];
  return function;
}

static const struct {
  const char *word;
  const char *curve;
} curves[] = {
  { "P-224", "secp224r1" }, { "P-256", "prime256v1" }, { "P-384", "secp384r1" },
  { "P-521", "secp521r1" }, { "Ed25519", "ED25519" },  { "Ed448", "ED448" },
  { "X25519", "X25519" },   { "X448", "X448" },        { "secp256k1", "secp256k1" },
};

const char *word_of_curve(const char *curve)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(curves); i++)
    if (strcasecmp(curves[i].curve, curve) == 0)
      return curves[i].word;
  return curve;
}

bool word_is_key(const char *word)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(curves); i++)
    if (strcmp(curves[i].word, word) == 0)
      return true;
  uint64_t bits;
  return strcmp(word, "RSA") == 0 ||
         (strncmp(word, "RSA-", 4) == 0 && !hf_failed(word_number(word + 4, RSA_BITS_MIN, RSA_BITS_MAX, &bits)));
}

bool word_matches_key(const char *word, const char *key)
{
  size_t len = strlen(word);
  return strcmp(word, key) == 0 || (strncmp(word, key, len) == 0 && key[len] == '-' && strcmp(word, "RSA") == 0);
}

hf_err word_error(const char *word, enum hf_code *ret_code)
{
  enum hf_code code;
  char name[64];
  size_t len = 0;
  if (strncmp(word, "CKR_", 4) == 0)
    for (const char *from = word + 4; *from && len < sizeof(name) - 1; from++)
      name[len++] = *from == '_' ? '-' : (char)tolower((unsigned char)*from);
  name[len] = '\0';
  if (!hf_code_find(name, &code) || code == HF_ERR_OK)
    return word_bad(word, "the name of a CK_RV, like CKR_DEVICE_ERROR");
  const char *rv = hf_rv_name(hf_err_rv((hf_err){ code }));
  if (!rv || strcmp(rv, word) != 0)
    return word_bad(word, "the name of a CK_RV, like CKR_DEVICE_ERROR");
  *ret_code = code;
  return HF_OK;
}
