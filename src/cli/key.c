/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/key.h"

#include "cli/pin.h"
#include "identity/openssl.h"
#include "identity/proof.h"

#include <errno.h>
#include <sys/random.h>

enum { RANDOM_ID_LEN = 16, RSA_BITS_MIN = 2048, RSA_BITS_MAX = 4096 };

/* A type's first row is its default; the first of all is the default of all. */
static const struct kind_row {
  const char *type;
  const char *curve; /* NULL: the type has none to choose */
  enum p11_key_kind kind;
} kinds[] = {
  { "ec", "p256", P11_EC_P256 },    { "ec", "p384", P11_EC_P384 }, { "ec", "p521", P11_EC_P521 },
  { "ed25519", NULL, P11_ED25519 }, { "rsa", NULL, P11_RSA },
};

static hf_err find_kind(const char *type, const char *curve, const struct kind_row **ret_row)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(kinds); i++)
    if (strcmp(kinds[i].type, type) == 0 && (!curve || !kinds[i].curve || strcmp(kinds[i].curve, curve) == 0)) {
      *ret_row = &kinds[i];
      return HF_OK;
    }
  return hf_hint(hf_fail(HF_ERR_USAGE, "--type %s%s%s", type, curve ? " --curve " : "", curve ? curve : ""),
                 "Types are ec (with --curve p256, p384 or p521), ed25519, and rsa (with --bits).");
}

static hf_err parse_bits(const char *text, unsigned *ret_bits)
{
  char *end;
  unsigned long bits = strtoul(text, &end, 10);
  if (*end || bits < RSA_BITS_MIN || bits > RSA_BITS_MAX || bits % 8)
    return hf_hint(hf_fail(HF_ERR_USAGE, "--bits %s", text), "RSA keys have 2048 to 4096 bits, a multiple of 8.");
  *ret_bits = (unsigned)bits;
  return HF_OK;
}

hf_err cli_key_kind(const struct cli_args *args, struct p11_key_spec *spec)
{
  const char *type = cli_get(args, "type"), *curve = cli_get(args, "curve"), *bits = cli_get(args, "bits");
  const struct kind_row *row = NULL;
  unsigned rsa_bits = RSA_BITS_MIN;
  /* thin-edge.io's name for it. */
  if (!type || strcmp(type, "ecdsa") == 0)
    type = kinds[0].type;
  HF_TRY(find_kind(type, curve, &row));
  if (curve && !row->curve)
    return hf_hint(hf_fail(HF_ERR_USAGE, "--curve with --type %s", type), "--curve is for EC keys alone.");
  if (bits && row->kind != P11_RSA)
    return hf_hint(hf_fail(HF_ERR_USAGE, "--bits with --type %s", type), "--bits is for RSA keys alone (--type rsa).");
  if (bits)
    HF_TRY(parse_bits(bits, &rsa_bits));
  spec->kind = row->kind;
  spec->rsa_bits = row->kind == P11_RSA ? rsa_bits : 0;
  return HF_OK;
}

/* thin-edge.io takes ids as other tools print them, too: 01:02. */
static hf_err parse_id(const char *text, struct hf_buf *ret_id)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf hex = HF_BUF(4 * URI_MAX);
  for (const char *at = text; *at; at++)
    if (!strchr(": ", *at))
      HF_TRY(hf_buf_add(&hex, at, 1));
  hf_err e = hex.len ? hf_hex_decode(hf_buf_str(&hex), ret_id) : HF_OK;
  if (hf_failed(e) || ret_id->len == 0)
    return hf_hint(hf_fail(HF_ERR_USAGE, "--id %s", text),
                   "Write an even number of hexadecimal digits, like 01 or 0a1b.");
  return HF_OK;
}

hf_err cli_key_id(const struct cli_args *args, struct hf_buf *ret_id)
{
  const char *hex = cli_get(args, "id");
  if (!hex) {
    uint8_t id[RANDOM_ID_LEN];
    if (getrandom(id, sizeof(id), 0) != (ssize_t)sizeof(id))
      return hf_fail_errno(errno, "getting random bytes");
    return hf_buf_add(ret_id, id, sizeof(id));
  }
  return parse_id(hex, ret_id);
}

/* The URI and the option must not name different keys. */
static hf_err select_by(const char *option, enum uri_attr attr, const void *value, size_t len, struct uri *uri)
{
  const struct hf_buf *there = &uri->attrs[attr].value;
  if (uri->attrs[attr].present && !hf_slice_equal(hf_slice(there->data, there->len), hf_slice(value, len)))
    return hf_hint(hf_fail(HF_ERR_USAGE, "--%s and the URI name different keys", option), "Leave one of them out.");
  return uri_set(uri, attr, value, len);
}

hf_err cli_key_select(const struct cli_args *args, struct uri *uri)
{
  const char *label = cli_get(args, "label"), *hex = cli_get(args, "id");
  HF_CLEANUP(hf_buf_free) struct hf_buf id = HF_BUF(URI_MAX / 3);
  if (label)
    HF_TRY(select_by("label", URI_OBJECT, label, strlen(label), uri));
  if (!hex)
    return HF_OK;
  HF_TRY(parse_id(hex, &id));
  return select_by("id", URI_ID, id.data, id.len, uri);
}

static hf_err prove(const struct cli_login *login, const struct p11_key_spec *spec)
{
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  HF_CLEANUP(hf_buf_free) struct hf_buf spki = HF_BUF(P11_ATTRIBUTE_MAX);
  HF_CLEANUP(p11_key_unrefp) struct p11_key *key = NULL;
  HF_TRY(p11_token_uri(&login->token, &uri));
  HF_TRY(uri_set(&uri, URI_ID, spec->id, spec->id_len));
  HF_TRY(p11_key_open(login->module, &uri, NULL, &key));
  HF_TRY(p11_public_to_spki(p11_key_public(key), &spki));
  const uint8_t *der = spki.data;
  HF_CLEANUP(openssl_pkey_freep) EVP_PKEY *public_key = d2i_PUBKEY(NULL, &der, (long)spki.len);
  if (!public_key)
    return openssl_fail(HF_ERR_MODULE_ANSWER, "the new public key", "");
  return proof_check(public_key, "the new public key", key);
}

/* Some tokens make keys that they cannot use (tpm2-pkcs11 with P-521): such a one does not stay. */
static hf_err keep_if_it_signs(const struct cli_login *login, const struct p11_key_spec *spec,
                               const CK_OBJECT_HANDLE made[2])
{
  char why[HF_CONTEXT_MAX];
  hf_err e = prove(login, spec);
  /* Who may make keys through the agent need not be one who may sign; and the PIN that a key wants for each use is not here. */
  if (!hf_failed(e) || e.code == HF_ERR_FUNCTION_REJECTED || e.code == HF_ERR_PIN_MISSING)
    return HF_OK;
  hf_err_format(e, why, sizeof(why));
  for (int i = 0; i < 2; i++)
    hf_ignore(p11_object_destroy(login->session, made[i]));
  return hf_hint(hf_fail(HF_ERR_FUNCTION_FAILED, "the new key does not sign, and was deleted: %.900s", why),
                 "Choose another --type or --curve.");
}

hf_err cli_key_generate_pair(const struct cli_args *args, const struct cli_login *login,
                             const struct p11_key_spec *spec)
{
  CK_OBJECT_HANDLE public_key, private_key;
  hf_err e = p11_key_generate(login->session, spec, &public_key, &private_key);
  if (!hf_failed(e))
    return keep_if_it_signs(login, spec, (CK_OBJECT_HANDLE[2]){ public_key, private_key });
  if (e.code != HF_ERR_USER_TYPE_INVALID || !(cli_has(args, "so-pin") || cli_has(args, "so-pin-source")))
    return e;
  HF_CLEANUP(hf_secret_freep) struct hf_secret *so_pin = NULL;
  HF_TRY(cli_pin_option(args, "so-pin", "SO PIN", false, &so_pin));
  HF_TRY(p11_session_logout(login->session));
  HF_TRY(p11_session_login(login->session, CKU_SO, so_pin, P11_LOGIN_CAREFUL));
  return p11_key_generate(login->session, spec, &public_key, &private_key);
}

bool cli_is_key(const struct p11_object *object)
{
  return object->object_class == CKO_PRIVATE_KEY || object->object_class == CKO_PUBLIC_KEY ||
         object->object_class == CKO_SECRET_KEY;
}

hf_err cli_key_id_check(struct p11_session *session, const struct hf_buf *id)
{
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  HF_TRY(uri_set(&uri, URI_ID, id->data, id->len));
  struct p11_object *objects = NULL;
  size_t count = 0;
  HF_TRY(p11_object_list(session, &uri, &objects, &count));
  bool taken = false;
  for (size_t i = 0; i < count; i++)
    taken = taken || cli_is_key(&objects[i]);
  p11_object_list_free(objects, count);
  if (!taken)
    return HF_OK;
  HF_CLEANUP(hf_buf_free) struct hf_buf hex = HF_BUF(2 * URI_MAX);
  HF_TRY(hf_buf_add_hex(&hex, id->data, id->len));
  return hf_hint(hf_fail(HF_ERR_ID_EXISTS, "%s", hf_buf_str(&hex)),
                 "Choose another --id, or delete the old key with 'holdfast key delete'.");
}

hf_err cli_object_uri(const struct cli_login *login, const struct p11_object *object, struct hf_buf *out)
{
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  HF_TRY(p11_object_uri(&login->token, object, &uri));
  return uri_format(&uri, out);
}

hf_err cli_key_report(const struct cli_login *login, const struct hf_buf *id, const char *done)
{
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(4 * URI_MAX);
  HF_TRY(uri_set(&uri, URI_ID, id->data, id->len));
  HF_TRY(uri_set(&uri, URI_TYPE, "private", strlen("private")));
  HF_CLEANUP(p11_object_free) struct p11_object object = { 0 };
  HF_TRY(cli_object_find(login, &uri, &object));
  HF_TRY(cli_object_uri(login, &object, &text));
  printf("%s\n  %s\n", done, hf_buf_str(&text));
  return HF_OK;
}
