/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/password.h"

#include <argon2.h>
#include <assert.h>
#include <errno.h>
#include <sys/random.h>

enum { MEMORY_KIB = 8192, PASSES = 1, GIVEN_MAX = 256 };

/* No 0, 1, I, O: people copy them by hand. */
static const char letters[] = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
static_assert(sizeof(letters) - 1 == 32, "five bits a letter");

static hf_err random_bytes(void *out, size_t len)
{
  return getrandom(out, len, 0) == (ssize_t)len ? HF_OK : hf_fail_errno(errno, "getting random bytes");
}

static hf_err stretch(const char *text, const struct registry_password *password, uint8_t out[32])
{
  int rc = argon2id_hash_raw(password->passes, password->memory, 1, text, strnlen(text, GIVEN_MAX), password->salt,
                             sizeof(password->salt), out, sizeof(password->hash));
  if (rc == ARGON2_OK)
    return HF_OK;
  return hf_fail(rc == ARGON2_MEMORY_ALLOCATION_ERROR ? HF_ERR_NO_MEMORY : HF_ERR_INTERNAL, "Argon2id: %s",
                 argon2_error_message(rc));
}

hf_err password_make(uint32_t uses, int64_t expires, struct hf_secret **ret_text,
                     struct registry_password *ret_password)
{
  struct registry_password password = { .memory = MEMORY_KIB, .passes = PASSES, .expires = expires, .uses = uses };
  HF_CLEANUP(hf_secret_freep) struct hf_secret *text = NULL;
  HF_TRY(hf_secret_new(NULL, PASSWORD_LEN + 1, &text));
  uint8_t *bytes = hf_secret_data(text);
  HF_TRY(random_bytes(bytes, PASSWORD_LEN));
  for (size_t i = 0; i < PASSWORD_LEN; i++)
    bytes[i] = (uint8_t)letters[bytes[i] % 32];
  HF_TRY(random_bytes(password.salt, sizeof(password.salt)));
  HF_TRY(stretch((const char *)bytes, &password, password.hash));
  *ret_password = password;
  *ret_text = HF_TAKE(text);
  return HF_OK;
}

hf_err password_verify(const char *text, const struct registry_password *password, bool *ret_right)
{
  static const struct registry_password nobody = { .memory = MEMORY_KIB, .passes = PASSES };
  uint8_t hash[sizeof(nobody.hash)];
  HF_TRY(stretch(text, password ? password : &nobody, hash));
  *ret_right = hf_secret_equal(hash, password ? password->hash : nobody.hash, sizeof(hash)) && password;
  hf_wipe(hash, sizeof(hash));
  return HF_OK;
}
