/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/rotation.h"

#include "base/file.h"
#include "base/process.h"
#include "identity/openssl.h"

#include <errno.h>
#include <limits.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <sys/random.h>

enum {
  GENERATIONS_MAX = 1000,
  GENERATION_DIGITS_MAX = 6,
  GROUP_MAX = 64,
  DELETE_TIMEOUT_S = 60,
  DELETE_OUT_MAX = 4096
};

/* Tokens whose keys have fixed places, a name each: a new key there would take the old one's. */
static const struct fixed_row {
  const char *manufacturer; /* what its name begins with */
} fixed[] = {
  { "Yubico" }, /* ykcs11 */
  { "piv_II" }, /* OpenSC */
};

static const struct kind_row {
  const char *type; /* OpenSSL's */
  int curve;
  enum p11_key_kind kind;
} kinds[] = {
  { "EC", NID_X9_62_prime256v1, P11_EC_P256 },
  { "EC", NID_secp384r1, P11_EC_P384 },
  { "EC", NID_secp521r1, P11_EC_P521 },
  { "ED25519", NID_undef, P11_ED25519 },
  { "RSA", NID_undef, P11_RSA },
};

static int curve_of(EVP_PKEY *key)
{
  char group[GROUP_MAX] = "";
  if (!EVP_PKEY_is_a(key, "EC") || EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) != 1)
    return NID_undef;
  int nid = EC_curve_nist2nid(group);
  return nid != NID_undef ? nid : OBJ_txt2nid(group);
}

static hf_err kind_of(EVP_PKEY *key, struct p11_key_spec *spec)
{
  int curve = curve_of(key);
  ERR_clear_error();
  for (size_t i = 0; i < HF_ARRAY_LEN(kinds); i++)
    if (EVP_PKEY_is_a(key, kinds[i].type) && kinds[i].curve == curve) {
      spec->kind = kinds[i].kind;
      spec->rsa_bits = kinds[i].kind == P11_RSA ? (unsigned)EVP_PKEY_get_bits(key) : 0;
      return HF_OK;
    }
  return hf_hint(hf_fail(HF_ERR_FUNCTION_NOT_SUPPORTED, "a new key of the kind that the device's is"),
                 "Renew with the present key: leave out --rotate-key.");
}

static hf_err check_place(const struct p11_token *token)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(fixed); i++)
    if (strncmp(token->manufacturer, fixed[i].manufacturer, strlen(fixed[i].manufacturer)) == 0)
      return hf_hint(hf_fail(HF_ERR_FUNCTION_NOT_SUPPORTED,
                             "a new key beside the old one in '%s': each key of a PIV card has its own slot",
                             token->label),
                     "Renew with the present key (no --rotate-key), or make a key in another slot and enrol that.");
  return HF_OK;
}

/* A key that could be told from the old one by device.key_uri alone. */
static hf_err check_uri(const struct uri *uri, const char *exact)
{
  if (uri_get(uri, URI_PIN_VALUE))
    return hf_hint(hf_fail(HF_ERR_CONFIG, "device.key_uri holds a PIN, which is not written anew"),
                   "Put the PIN in a file, set device.cryptoki.pin_source, and leave pin-value out of device.key_uri.");
  if (uri_get(uri, URI_ID) || uri_get(uri, URI_OBJECT))
    return HF_OK;
  return hf_hint(
      hf_fail(HF_ERR_CONFIG, "device.key_uri names neither id nor object: it would lead to the new key as well"),
      "Set device.key_uri to %s.", exact);
}

/* "-7" at the end of a label; 1 where there is none. */
static size_t split_generation(const char *label, unsigned long *ret_generation)
{
  const char *dash = strrchr(label, '-');
  size_t digits = dash ? strspn(dash + 1, "0123456789") : 0;
  *ret_generation = 1;
  if (!dash || dash == label || digits == 0 || digits > GENERATION_DIGITS_MAX || dash[1 + digits] || dash[1] == '0')
    return strlen(label);
  *ret_generation = strtoul(dash + 1, NULL, 10);
  return (size_t)(dash - label);
}

hf_err rotation_next_label(const char *label, char out[ROTATION_LABEL_MAX])
{
  unsigned long generation;
  size_t len = split_generation(label, &generation);
  int n = snprintf(out, ROTATION_LABEL_MAX, "%.*s-%lu", (int)len, label, generation + 1);
  return n > 0 && n < ROTATION_LABEL_MAX ? HF_OK : hf_fail(HF_ERR_LIMIT, "the key's label %.32s...", label);
}

static hf_err is_taken(struct p11_session *session, const char *label, bool *ret_taken)
{
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  struct p11_object *objects;
  size_t count;
  HF_TRY(uri_set(&uri, URI_OBJECT, label, strlen(label)));
  HF_TRY(p11_object_list(session, &uri, &objects, &count));
  p11_object_list_free(objects, count);
  *ret_taken = count > 0;
  return HF_OK;
}

static hf_err choose_names(struct p11_object *old, struct rotation *r)
{
  const char *label = hf_buf_str(&old->label);
  bool taken = true;
  if (!label)
    return hf_fail(HF_ERR_NO_MEMORY, "the key's label");
  if (getrandom(r->id, sizeof(r->id), 0) != (ssize_t)sizeof(r->id))
    return hf_fail_errno(errno, "getting random bytes");
  for (int i = 0; i < GENERATIONS_MAX && label[0] && taken; i++) {
    char next[ROTATION_LABEL_MAX];
    HF_TRY(rotation_next_label(i == 0 ? label : r->label, next));
    memcpy(r->label, next, sizeof(next));
    HF_TRY(is_taken(r->hsm.session, r->label, &taken));
  }
  return label[0] && taken ? hf_fail(HF_ERR_LIMIT, "labels like '%s'", r->label) : HF_OK;
}

static hf_err format(const struct uri *uri, char **ret_text)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(URI_MAX);
  HF_TRY(uri_format(uri, &text));
  const char *s = hf_buf_str(&text);
  *ret_text = s ? strdup(s) : NULL;
  return *ret_text ? HF_OK : hf_fail(HF_ERR_NO_MEMORY, "a key's URI");
}

static hf_err name_new(const struct uri *old, struct rotation *r)
{
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  HF_TRY(uri_copy(old, &uri));
  HF_TRY(uri_set(&uri, URI_TYPE, "private", strlen("private")));
  HF_TRY(uri_set(&uri, URI_ID, r->id, sizeof(r->id)));
  uri_unset(&uri, URI_OBJECT);
  if (r->label[0])
    HF_TRY(uri_set(&uri, URI_OBJECT, r->label, strlen(r->label)));
  return format(&uri, &r->new_uri);
}

static hf_err plan(const struct config *config, const char *module_path, const struct uri *uri, struct rotation *r)
{
  HF_CLEANUP(uri_free) struct uri exact = { 0 }, wanted = { 0 };
  HF_CLEANUP(p11_object_free) struct p11_object old = { 0 };
  HF_TRY(hsm_open(config, module_path, uri, P11_READ_WRITE, &r->hsm));
  HF_TRY(check_place(&r->hsm.token));
  HF_TRY(uri_copy(uri, &wanted));
  HF_TRY(uri_set(&wanted, URI_TYPE, "private", strlen("private")));
  HF_TRY(p11_object_find(r->hsm.session, &wanted, &old));
  HF_TRY(p11_object_uri(&r->hsm.token, &old, &exact));
  HF_TRY(format(&exact, &r->old_uri));
  HF_TRY(check_uri(uri, r->old_uri));
  HF_TRY(choose_names(&old, r));
  return name_new(uri, r);
}

hf_err rotation_plan(const struct config *config, const char *module_path, const char *key_uri, EVP_PKEY *key,
                     struct rotation *ret_rotation)
{
  HF_CLEANUP(rotation_free) struct rotation r = { 0 };
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  HF_TRY(uri_parse(key_uri, &uri));
  HF_TRY(kind_of(key, &r.spec));
  HF_TRY(plan(config, module_path, &uri, &r));
  *ret_rotation = r;
  r = (struct rotation){ 0 };
  return HF_OK;
}

hf_err rotation_make(struct rotation *r)
{
  CK_OBJECT_HANDLE public_key, private_key;
  r->spec.label = r->label[0] ? r->label : NULL;
  r->spec.id = r->id;
  r->spec.id_len = sizeof(r->id);
  return p11_key_generate(r->hsm.session, &r->spec, &public_key, &private_key);
}

void rotation_free(struct rotation *r)
{
  hsm_close(&r->hsm);
  free(r->new_uri);
  free(r->old_uri);
  r->new_uri = r->old_uri = NULL;
}

static hf_err check_kept(struct p11_session *session, const struct p11_object *victim, const char *keep_uri)
{
  HF_CLEANUP(uri_free) struct uri keep = { 0 };
  struct p11_object *kept;
  size_t count;
  bool same = false;
  HF_TRY(uri_parse(keep_uri, &keep));
  HF_TRY(uri_set(&keep, URI_TYPE, "private", strlen("private")));
  HF_TRY(p11_object_list(session, &keep, &kept, &count));
  for (size_t i = 0; i < count; i++)
    same = same || kept[i].handle == victim->handle;
  p11_object_list_free(kept, count);
  return same ? hf_fail(HF_ERR_CONFIG, "device.key_uri leads to a key that was to be deleted") : HF_OK;
}

/* The private key last: as long as it is there, what was cut is found again. */
static hf_err destroy(struct p11_session *session, const struct p11_object *private_key)
{
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  struct p11_object *publics = NULL;
  size_t count = 0;
  hf_err e = HF_OK;
  if (private_key->label.len + private_key->id.len == 0)
    return p11_object_destroy(session, private_key->handle);
  HF_TRY(uri_set(&uri, URI_TYPE, "public", strlen("public")));
  HF_TRY(uri_set(&uri, URI_OBJECT, private_key->label.data, private_key->label.len));
  HF_TRY(uri_set(&uri, URI_ID, private_key->id.data, private_key->id.len));
  HF_TRY(p11_object_list(session, &uri, &publics, &count));
  for (size_t i = 0; i < count && !hf_failed(e); i++)
    e = p11_object_destroy(session, publics[i].handle);
  p11_object_list_free(publics, count);
  return hf_failed(e) ? e : p11_object_destroy(session, private_key->handle);
}

/*
 * By 'holdfast key delete', in a process of its own: whose module shall not make a key after it destroyed one. This process's
 * module goes on showing it, so that it may be gone already.
 */
static hf_err destroy_elsewhere(const struct config *config, const char *module_path, const char *uri)
{
  static const char *const places[] = { "holdfast", "../bin/holdfast", "../cli/holdfast" };
  char program[PATH_MAX];
  const char *const argv[] = { program,    "key",       "delete", uri, "--yes", "--config", config_path(config),
                               "--module", module_path, NULL };
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(DELETE_OUT_MAX);
  int status = 0;
  HF_TRY(hf_file_beside_program(places, HF_ARRAY_LEN(places), program, sizeof(program)));
  HF_TRY(hf_process_run(argv, DELETE_TIMEOUT_S, &out, &status));
  const char *said = hf_buf_str(&out);
  if (status == 0 || status == hf_err_status((hf_err){ HF_ERR_URI_NO_MATCH }))
    return HF_OK;
  return hf_fail(HF_ERR_FUNCTION_FAILED, "'holdfast key delete': %.*s", said ? (int)strcspn(said, "\n") : 0,
                 said ? said : "");
}

static hf_err delete_one(const struct config *config, const char *module_path, const struct hsm *hsm,
                         const struct uri *uri, const char *keep_uri)
{
  HF_CLEANUP(p11_object_free) struct p11_object key = { 0 };
  HF_CLEANUP(hf_freep) char *text = NULL;
  hf_err e = p11_object_find(hsm->session, uri, &key);
  if (e.code == HF_ERR_URI_NO_MATCH)
    return HF_OK;
  HF_TRY(e);
  HF_TRY(check_kept(hsm->session, &key, keep_uri));
  if (!p11_module_reuses_handles(hsm->module))
    return destroy(hsm->session, &key);
  HF_TRY(format(uri, &text));
  return destroy_elsewhere(config, module_path, text);
}

hf_err rotation_delete(const struct config *config, const char *module_path, const char *uri, const char *keep_uri)
{
  HF_CLEANUP(uri_free) struct uri wanted = { 0 };
  HF_CLEANUP(hsm_close) struct hsm hsm = { 0 };
  HF_TRY(uri_parse(uri, &wanted));
  HF_TRY(uri_set(&wanted, URI_TYPE, "private", strlen("private")));
  HF_TRY(hsm_open(config, module_path, &wanted, P11_READ_WRITE, &hsm));
  return delete_one(config, module_path, &hsm, &wanted, keep_uri);
}
