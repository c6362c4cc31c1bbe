/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"
#include "cli/keyfile.h"
#include "cli/pin.h"
#include "cli/util.h"
#include "identity/chain.h"
#include "identity/install.h"
#include "p11/object.h"

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

/* That no object of this class has the id. */
static int check_id(struct p11_session *session, const char *class, const struct hf_buf *id)
{
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  struct p11_object *objects = NULL;
  size_t count = 0;
  hf_err e = uri_set(&uri, URI_ID, id->data, id->len);
  if (!hf_failed(e))
    e = uri_set(&uri, URI_TYPE, class, strlen(class));
  if (!hf_failed(e))
    e = p11_object_list(session, &uri, &objects, &count);
  p11_object_list_free(objects, count);
  if (hf_failed(e))
    return util_fail_why(e, "Could not prepare the object search.");
  return count ? util_fail("The ID is already assigned to another object. Use --force to override this message.") : 0;
}

static int import_aes(struct util *util, struct p11_session *session, const struct cli_key_name *name)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf value = HF_BUF(CLI_KEY_FILE_MAX);
  enum cli_key_form unused;
  hf_err e = cli_key_file_read(util->values[UTIL_IMPORT], &value, &unused);
  if (hf_failed(e))
    return util_fail("Could not open the secret key file.");
  if (value.len == 0)
    return util_fail("Could not read the secret key file.");
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

static int import_certificate(struct util *util, struct p11_session *session, const struct cli_key_name *name)
{
  const char *path = util->values[UTIL_IMPORT];
  HF_CLEANUP(hf_buf_free) struct hf_buf pem = HF_BUF(CLI_KEY_FILE_MAX);
  HF_CLEANUP(chain_freep) STACK_OF(X509) *chain = NULL;
  CK_OBJECT_HANDLE made;
  if (hf_failed(hf_file_read(path, &pem)))
    return util_fail("Could not open the certificate file: %s", path);
  if (hf_failed(chain_parse(hf_slice(pem.data, pem.len), path, &chain)))
    return util_fail("Could not read the certificate file: %s", path);
  hf_err e = install_object(session, sk_X509_value(chain, 0), hf_slice(name->label, strlen(name->label)),
                            hf_slice(name->id, name->id_len), &made);
  if (hf_failed(e))
    return util_fail_why(e, "Could not save the certificate in the token.");
  printf("The certificate with label=%s has been imported.\n", name->label);
  return 0;
}

static const struct import_row {
  const char *type;
  const char *class; /* whose id must be free; NULL: none */
  int (*import)(struct util *util, struct p11_session *session, const struct cli_key_name *name);
} imports[] = {
  { "keypair", "private", import_pair },
  { "aes", NULL, import_aes },
  { "cert", "cert", import_certificate },
};

static const struct import_row *find_import(const struct util *util)
{
  const char *type = util->values[UTIL_IMPORT_TYPE];
  if (!type)
    type = util->values[UTIL_AES] ? "aes" : imports[0].type;
  for (size_t i = 0; i < HF_ARRAY_LEN(imports); i++)
    if (strcmp(imports[i].type, type) == 0)
      return &imports[i];
  util_fail("Invalid import type '%s'", type);
  return NULL;
}

int util_import(struct util *util)
{
  HF_CLEANUP(p11_session_closep) struct p11_session *session = NULL;
  HF_CLEANUP(hf_buf_free) struct hf_buf id = HF_BUF(URI_MAX / 3);
  CK_SLOT_ID slot;
  const struct import_row *row = find_import(util);
  int status = row ? util_find_slot(util, false, &slot) : 1;
  if (status)
    return status;
  if (!util->values[UTIL_LABEL])
    return util_fail("A label for the object must be supplied. Use --label <text>");
  if (!util->values[UTIL_ID])
    return util_fail("An ID for the object must be supplied. Use --id <hex>");
  status = parse_id(util->values[UTIL_ID], &id);
  if (!status)
    status = log_in(util, slot, &session);
  if (!status && row->class && !util->values[UTIL_FORCE])
    status = check_id(session, row->class, &id);
  if (status)
    return status;
  return row->import(util, session, &(struct cli_key_name){ util->values[UTIL_LABEL], id.data, id.len });
}
