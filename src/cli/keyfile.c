/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/keyfile.h"

#include "base/file.h"

#include <openssl/pem.h>

static enum cli_key_form form_of(const char *pem)
{
  static const char begin[] = "-----BEGIN ", end[] = "PRIVATE KEY-----";
  for (const char *p = pem; (p = strstr(p, begin)); p++) {
    const char *name = p + sizeof(begin) - 1;
    const char *found = strstr(name, end);
    const char *line = name + strcspn(name, "\r\n");
    if (!found || found > line)
      continue;
    if (found == name)
      return CLI_KEY_PKCS8;
    return strncmp(name, "ENCRYPTED ", 10) == 0 ? CLI_KEY_ENCRYPTED : CLI_KEY_TRADITIONAL;
  }
  return CLI_KEY_NONE;
}

hf_err cli_key_file_read(const char *path, struct hf_buf *out, enum cli_key_form *ret_form)
{
  HF_TRY(hf_file_read(strcmp(path, "-") == 0 ? "/dev/stdin" : path, out));
  const char *text = hf_buf_str(out);
  if (!text)
    return hf_fail(HF_ERR_NO_MEMORY, "reading %s", path);
  *ret_form = form_of(text);
  return HF_OK;
}

struct passphrase {
  struct hf_secret *secret;
  bool asked;
};

static int give_passphrase(char *out, int size, int writing, void *arg)
{
  struct passphrase *passphrase = arg;
  (void)writing;
  passphrase->asked = true;
  if (!passphrase->secret || hf_secret_len(passphrase->secret) > (size_t)size)
    return -1;
  memcpy(out, hf_secret_data(passphrase->secret), hf_secret_len(passphrase->secret));
  return (int)hf_secret_len(passphrase->secret);
}

OSSL_LIB_CTX *cli_own_context(void)
{
  static OSSL_LIB_CTX *context;
  if (!context)
    context = OSSL_LIB_CTX_new();
  return context;
}

static EVP_PKEY *decode(const struct hf_buf *pem, struct passphrase *passphrase)
{
  OSSL_LIB_CTX *context = cli_own_context();
  BIO *in = BIO_new_mem_buf(pem->data, (int)pem->len);
  EVP_PKEY *key =
      context && in ? PEM_read_bio_PrivateKey_ex(in, NULL, give_passphrase, passphrase, context, NULL) : NULL;
  BIO_free(in);
  return key;
}

hf_err cli_key_decode(const char *path, struct hf_buf *pem, struct hf_secret *passphrase, EVP_PKEY **ret_key)
{
  struct passphrase given = { .secret = passphrase };
  EVP_PKEY *key = decode(pem, &given);
  if (key) {
    *ret_key = key;
    return HF_OK;
  }
  if (given.asked && !passphrase)
    return hf_hint(hf_fail(HF_ERR_KEY_FILE, "%s is encrypted", path), "Give its passphrase by --file-pin-source.");
  if (given.asked)
    return hf_hint(hf_fail(HF_ERR_KEY_FILE, "%s could not be decrypted", path),
                   "Check the passphrase of --file-pin-source.");
  return hf_fail(HF_ERR_KEY_FILE, "%s", path);
}
