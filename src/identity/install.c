/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/install.h"

#include "base/file.h"
#include "identity/transaction.h"
#include "p11/object.h"

#include <errno.h>
#include <openssl/err.h>
#include <sys/stat.h>

enum { DER_MAX = P11_ATTRIBUTE_MAX };

static hf_err token_exists(const char *uri, bool *ret_exists)
{
  HF_CLEANUP(chain_freep) STACK_OF(X509) *chain = NULL;
  hf_err e = chain_read(uri, &chain);
  *ret_exists = e.code != HF_ERR_URI_NO_MATCH;
  return e.code == HF_ERR_URI_NO_MATCH || e.code == HF_ERR_URI_AMBIGUOUS || e.code == HF_ERR_CERT_FILE ? HF_OK : e;
}

hf_err install_exists(const struct config *config, bool *ret_exists)
{
  struct stat st;
  const char *where = config_get(config, CONFIG_DEVICE_CERT_PATH);
  if (uri_is_pkcs11(where))
    return token_exists(where, ret_exists);
  bool exists = lstat(where, &st) == 0;
  if (!exists && errno != ENOENT && errno != ENOTDIR)
    return hf_fail_errno(errno, "%s", where);
  *ret_exists = exists;
  return HF_OK;
}

hf_err install_file(const struct config *config, const STACK_OF(X509) * chain)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf pem = HF_BUF(CHAIN_FILE_MAX);
  HF_CLEANUP(transaction_freep) struct transaction *transaction = NULL;
  struct journal_paths paths;
  bool changed;
  HF_TRY(journal_paths(config, &paths));
  HF_TRY(chain_pem(chain, &pem));
  HF_TRY(hf_dir_make_above(paths.certificate, 0755));
  HF_TRY(transaction_open(config, &transaction, &changed));
  HF_TRY(transaction_begin(transaction, NULL, NULL));
  hf_err e = transaction_stage(transaction, hf_slice(pem.data, pem.len));
  if (!hf_failed(e))
    return transaction_commit(transaction, NULL);
  struct hf_err_saved saved = hf_err_save(e);
  hf_ignore(transaction_undo(transaction));
  return hf_err_restore(&saved);
}

/* What PKCS #11 wants to know of a certificate (v3.0, section 4.6.3), as DER each. */
struct fields {
  struct hf_buf value, subject, issuer, serial;
};

static void fields_free(struct fields *fields)
{
  hf_buf_free(&fields->value);
  hf_buf_free(&fields->subject);
  hf_buf_free(&fields->issuer);
  hf_buf_free(&fields->serial);
}

static hf_err add_der(int len, unsigned char *der, struct hf_buf *out)
{
  hf_err e = len > 0 ? hf_buf_add(out, der, (size_t)len) : hf_fail(HF_ERR_NO_MEMORY, "the certificate");
  OPENSSL_free(der);
  return e;
}

static hf_err read_fields(const X509 *certificate, struct fields *fields)
{
  unsigned char *der = NULL;
  int len = i2d_X509((X509 *)(uintptr_t)certificate, &der);
  HF_TRY(add_der(len, der, &fields->value));
  der = NULL;
  len = i2d_X509_NAME(X509_get_subject_name(certificate), &der);
  HF_TRY(add_der(len, der, &fields->subject));
  der = NULL;
  len = i2d_X509_NAME(X509_get_issuer_name(certificate), &der);
  HF_TRY(add_der(len, der, &fields->issuer));
  der = NULL;
  len = i2d_ASN1_INTEGER(X509_get0_serialNumber(certificate), &der);
  return add_der(len, der, &fields->serial);
}

static hf_err create(struct p11_session *session, const struct fields *fields, struct hf_slice label,
                     struct hf_slice id, CK_OBJECT_HANDLE *ret_object)
{
  CK_OBJECT_CLASS object_class = CKO_CERTIFICATE;
  CK_CERTIFICATE_TYPE type = CKC_X_509;
  CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
  CK_ATTRIBUTE attrs[] = {
    { CKA_CLASS, &object_class, sizeof(object_class) },
    { CKA_CERTIFICATE_TYPE, &type, sizeof(type) },
    { CKA_TOKEN, &yes, sizeof(yes) },
    { CKA_PRIVATE, &no, sizeof(no) },
    { CKA_ID, (void *)(uintptr_t)id.data, id.len },
    { CKA_LABEL, (void *)(uintptr_t)label.data, label.len },
    { CKA_SUBJECT, fields->subject.data, fields->subject.len },
    { CKA_ISSUER, fields->issuer.data, fields->issuer.len },
    { CKA_SERIAL_NUMBER, fields->serial.data, fields->serial.len },
    { CKA_VALUE, fields->value.data, fields->value.len },
  };
  return p11_object_create(session, attrs, HF_ARRAY_LEN(attrs), ret_object);
}

#define FIELDS ((struct fields){ HF_BUF(DER_MAX), HF_BUF(DER_MAX), HF_BUF(DER_MAX), HF_BUF(DER_MAX) })

hf_err install_object(struct p11_session *session, const X509 *certificate, struct hf_slice label, struct hf_slice id,
                      CK_OBJECT_HANDLE *ret_object)
{
  HF_CLEANUP(fields_free) struct fields fields = FIELDS;
  HF_TRY(read_fields(certificate, &fields));
  return create(session, &fields, label, id, ret_object);
}

static hf_err is_value(struct p11_session *session, CK_OBJECT_HANDLE object, const struct hf_buf *value, bool *ret_is)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf found = HF_BUF(DER_MAX);
  HF_TRY(p11_object_get(session, object, CKA_VALUE, &found));
  *ret_is = hf_slice_equal(hf_slice(found.data, found.len), hf_slice(value->data, value->len));
  return HF_OK;
}

/* All certificates of this id but the new one; a token that keeps one a key (PIV) has replaced it by itself. */
static hf_err remove_others(struct p11_session *session, const struct p11_object *objects, size_t count,
                            const struct hf_buf *value)
{
  bool kept = false;
  for (size_t i = 0; i < count; i++) {
    bool same = false;
    HF_TRY(is_value(session, objects[i].handle, value, &same));
    if (!same || kept)
      HF_TRY(p11_object_destroy(session, objects[i].handle));
    kept = kept || same;
  }
  return kept ? HF_OK : hf_fail(HF_ERR_DEVICE_ERROR, "the token does not show the certificate that it took");
}

static hf_err clean_up(struct p11_session *session, const struct p11_object *key, const struct hf_buf *value)
{
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  struct p11_object *objects = NULL;
  size_t count = 0;
  HF_TRY(uri_set(&uri, URI_TYPE, "cert", strlen("cert")));
  HF_TRY(key->id.len ? uri_set(&uri, URI_ID, key->id.data, key->id.len)
                     : uri_set(&uri, URI_OBJECT, key->label.data, key->label.len));
  HF_TRY(p11_object_list(session, &uri, &objects, &count));
  hf_err e = remove_others(session, objects, count, value);
  p11_object_list_free(objects, count);
  return e;
}

/* One who may make, but not remove: what was made goes again, if it can, so that there is no choice of two. */
static hf_err take_back(struct p11_session *session, CK_OBJECT_HANDLE made, hf_err e)
{
  char context[HF_CONTEXT_MAX];
  snprintf(context, sizeof(context), "%s", hf_err_context());
  bool gone = !hf_failed(p11_object_destroy(session, made));
  e = hf_fail(e.code, "removing the certificate that was there before: %s", context);
  return gone ? e
              : hf_hint(e, "Both are in the token now. Have their removal allowed (to the key agent's policy, that is "
                           "delete), and do it again.");
}

static hf_err uri_of(const struct hsm *hsm, const struct p11_object *key, struct hf_buf *out)
{
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  HF_TRY(p11_object_uri(&hsm->token, key, &uri));
  HF_TRY(uri_set(&uri, URI_TYPE, "cert", strlen("cert")));
  return uri_format(&uri, out);
}

hf_err install_in_token(const struct config *config, const char *module_path, const char *key_uri,
                        const STACK_OF(X509) * chain, struct hf_buf *ret_uri)
{
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  HF_CLEANUP(hsm_close) struct hsm hsm = { 0 };
  HF_CLEANUP(p11_object_free) struct p11_object key = { 0 };
  HF_CLEANUP(fields_free) struct fields fields = FIELDS;
  CK_OBJECT_HANDLE made;
  HF_TRY(read_fields(sk_X509_value(chain, 0), &fields));
  HF_TRY(uri_parse(key_uri, &uri));
  HF_TRY(uri_set(&uri, URI_TYPE, "private", strlen("private")));
  HF_TRY(hsm_open(config, module_path, &uri, P11_READ_WRITE, &hsm));
  HF_TRY(p11_object_find(hsm.session, &uri, &key));
  HF_TRY(
      create(hsm.session, &fields, hf_slice(key.label.data, key.label.len), hf_slice(key.id.data, key.id.len), &made));
  hf_err e = clean_up(hsm.session, &key, &fields.value);
  if (hf_failed(e))
    return take_back(hsm.session, made, e);
  return uri_of(&hsm, &key, ret_uri);
}

static hf_err remove_object(const struct config *config, const char *module_path, const char *where, bool *ret_removed)
{
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  HF_CLEANUP(hsm_close) struct hsm hsm = { 0 };
  HF_CLEANUP(p11_object_free) struct p11_object object = { 0 };
  HF_TRY(uri_parse(where, &uri));
  HF_TRY(uri_set(&uri, URI_TYPE, "cert", strlen("cert")));
  HF_TRY(hsm_open(config, module_path, &uri, P11_READ_WRITE, &hsm));
  hf_err e = p11_object_find(hsm.session, &uri, &object);
  *ret_removed = !hf_failed(e);
  if (e.code == HF_ERR_URI_NO_MATCH)
    return HF_OK;
  HF_TRY(e);
  return p11_object_destroy(hsm.session, object.handle);
}

static hf_err remove_file(const struct config *config, const char *path, bool *ret_removed)
{
  HF_CLEANUP(transaction_freep) struct transaction *transaction = NULL;
  bool changed, exists = false;
  HF_TRY(install_exists(config, &exists));
  if (exists) {
    HF_TRY(transaction_open(config, &transaction, &changed));
    HF_TRY(hf_file_remove(path));
  }
  *ret_removed = exists;
  return HF_OK;
}

hf_err install_remove(const struct config *config, const char *module_path, bool *ret_removed)
{
  const char *where = config_get(config, CONFIG_DEVICE_CERT_PATH);
  return uri_is_pkcs11(where) ? remove_object(config, module_path, where, ret_removed)
                              : remove_file(config, where, ret_removed);
}
