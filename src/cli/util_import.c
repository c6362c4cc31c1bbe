/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/key.h"
#include "cli/keyfile.h"
#include "cli/pin.h"
#include "cli/util.h"

static int parse_id(const char *hex, struct hf_buf *id)
{
  const char *wrong = NULL;
  if (!hex[0] || strlen(hex) % 2)
    wrong = "Invalid length on hex string.";
  else if (hex[strspn(hex, "0123456789abcdefABCDEF")])
    wrong = "Invalid character in hex string.";
  else if (!hf_failed(hf_hex_decode(hex, id)))
    return 0;
  util_fail("%s", wrong ? wrong : "The ID is too long.");
  fputs("Please edit --id <hex> to correct error.\n", stderr);
  return 1;
}

static int log_in(struct util *util, CK_SLOT_ID slot, struct p11_session **ret_session)
{
  HF_CLEANUP(p11_session_closep) struct p11_session *session = NULL;
  HF_CLEANUP(hf_secret_freep) struct hf_secret *pin = NULL;
  hf_err e = p11_session_open(util->module, slot, P11_READ_WRITE, &session);
  if (e.code == HF_ERR_SLOT_ID_INVALID)
    return util_fail("The given slot does not exist.");
  if (hf_failed(e))
    return util_fail_why(e, "Could not open a session on the given slot.");
  if (!util_pin(util->values[UTIL_PIN], "User PIN", "user PIN", &pin))
    return util_fail("Could not get user PIN");
  e = p11_session_login(session, CKU_USER, pin, P11_LOGIN_FORCE);
  if (e.code == HF_ERR_PIN_INCORRECT)
    return util_fail("The given user PIN does not match the one in the token.");
  if (hf_failed(e))
    return util_fail_why(e, "Could not log in on the token.");
  *ret_session = HF_TAKE(session);
  return 0;
}

static int check_id(struct p11_session *session, const struct hf_buf *id)
{
  hf_err e = cli_key_id_check(session, id);
  if (e.code == HF_ERR_ID_EXISTS)
    return util_fail("The ID is already assigned to another object. Use --force to override this message.");
  return hf_failed(e) ? util_fail_why(e, "Could not prepare the object search.") : 0;
}

static int import_aes(struct util *util, struct p11_session *session, const struct cli_key_name *name)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf value = HF_BUF(CLI_KEY_FILE_MAX);
  enum cli_key_form unused;
  hf_err e = cli_key_file_read(util->values[UTIL_IMPORT], &value, &unused);
  if (hf_failed(e))
    return util_fail("Could not open the secret key file.");
  e = cli_aes_store(session, &value, name);
  return hf_failed(e)
             ? util_fail_why(e, "Could not save the secret key in the token. Maybe the algorithm is not supported.")
             : 0;
}

/* PKCS #8 alone, as the original: what it refuses, a script may rely on. */
static int read_key(struct util *util, EVP_PKEY **ret_key)
{
  const char *path = util->values[UTIL_IMPORT];
  char *file_pin = util->values[UTIL_FILE_PIN];
  HF_CLEANUP(hf_buf_free) struct hf_buf pem = HF_BUF(CLI_KEY_FILE_MAX);
  HF_CLEANUP(hf_secret_freep) struct hf_secret *passphrase = NULL;
  enum cli_key_form form;
  if (hf_failed(cli_key_file_read(path, &pem, &form)))
    return util_fail("Could open the PKCS#8 file: %s", path);
  if (!file_pin && (form != CLI_KEY_PKCS8 || hf_failed(cli_key_decode(path, &pem, NULL, ret_key))))
    return util_fail("Could not read the PKCS#8 file. Maybe it is encypted (--file-pin <PIN>)");
  if (!file_pin)
    return 0;
  if (form != CLI_KEY_ENCRYPTED)
    return util_fail("Could not read the PKCS#8 file. Maybe the file is not encrypted.");
  if (hf_failed(cli_secret_from_arg(file_pin, &passphrase)) ||
      hf_failed(cli_key_decode(path, &pem, passphrase, ret_key)))
    return util_fail("Could not decrypt the PKCS#8 file. Maybe wrong PIN to file (--file-pin <PIN>)");
  return 0;
}

static int import_pair(struct util *util, struct p11_session *session, const struct cli_key_name *name)
{
  HF_CLEANUP(cli_pkey_freep) EVP_PKEY *key = NULL;
  int status = read_key(util, &key);
  if (status)
    return status;
  hf_err e = cli_key_store(session, key, name, util->values[UTIL_NO_PUBLIC_KEY] ? 0 : CLI_KEY_PUBLIC);
  if (e.code == HF_ERR_KEY_TYPE_INCONSISTENT)
    return util_fail("Cannot handle this algorithm.");
  if (hf_failed(e))
    return util_fail_why(e, "Could not save the private key in the token. Maybe the algorithm is not supported.");
  puts("The key pair has been imported.");
  return 0;
}

int util_import(struct util *util)
{
  HF_CLEANUP(p11_session_closep) struct p11_session *session = NULL;
  HF_CLEANUP(hf_buf_free) struct hf_buf id = HF_BUF(URI_MAX / 3);
  CK_SLOT_ID slot;
  int status = util_find_slot(util, false, &slot);
  if (status)
    return status;
  if (!util->values[UTIL_LABEL])
    return util_fail("A label for the object must be supplied. Use --label <text>");
  if (!util->values[UTIL_ID])
    return util_fail("An ID for the object must be supplied. Use --id <hex>");
  status = parse_id(util->values[UTIL_ID], &id);
  if (!status)
    status = log_in(util, slot, &session);
  if (!status && !util->values[UTIL_FORCE])
    status = check_id(session, &id);
  if (status)
    return status;
  struct cli_key_name name = { util->values[UTIL_LABEL], id.data, id.len };
  return util->values[UTIL_AES] ? import_aes(util, session, &name) : import_pair(util, session, &name);
}
