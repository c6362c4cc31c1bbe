/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/est_answer.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdarg.h>

enum { NAME_MAX_BYTES = 64 };

static void any_freep(ASN1_SEQUENCE_ANY **list)
{
  sk_ASN1_TYPE_pop_free(*list, ASN1_TYPE_free);
}

static void attribute_freep(X509_ATTRIBUTE **attribute)
{
  X509_ATTRIBUTE_free(*attribute);
}

static void extensions_freep(X509_EXTENSIONS **extensions)
{
  sk_X509_EXTENSION_pop_free(*extensions, X509_EXTENSION_free);
}

static void add_extension(struct est_attributes *out, int nid)
{
  if (nid != NID_undef && out->extension_count < EST_EXTENSIONS_MAX)
    out->extensions[out->extension_count++] = nid;
}

/* Its only value, of this type; NULL where it has none. */
static const void *value_of(X509_ATTRIBUTE *attribute, int type)
{
  return X509_ATTRIBUTE_get0_data(attribute, 0, type, NULL);
}

static void take_curve(X509_ATTRIBUTE *attribute, struct est_attributes *out)
{
  const ASN1_OBJECT *curve = value_of(attribute, V_ASN1_OBJECT);
  out->key_type = NID_X9_62_id_ecPublicKey;
  out->curve = curve ? OBJ_obj2nid(curve) : NID_undef;
}

static void take_rsa(X509_ATTRIBUTE *attribute, struct est_attributes *out)
{
  const ASN1_INTEGER *bits = value_of(attribute, V_ASN1_INTEGER);
  int64_t number = 0;
  out->key_type = NID_rsaEncryption;
  if (bits && ASN1_INTEGER_get_int64(&number, bits) == 1 && number > 0 && number <= INT16_MAX)
    out->rsa_bits = (int)number;
}

static void take_extensions(X509_ATTRIBUTE *attribute, struct est_attributes *out)
{
  const ASN1_STRING *value = value_of(attribute, V_ASN1_SEQUENCE);
  if (!value)
    return;
  const unsigned char *at = ASN1_STRING_get0_data(value);
  HF_CLEANUP(extensions_freep) X509_EXTENSIONS *list = d2i_X509_EXTENSIONS(NULL, &at, ASN1_STRING_length(value));
  for (int i = 0; i < sk_X509_EXTENSION_num(list); i++)
    add_extension(out, OBJ_obj2nid(X509_EXTENSION_get_object(sk_X509_EXTENSION_value(list, i))));
}

static const struct attribute_row {
  int nid;
  void (*take)(X509_ATTRIBUTE *attribute, struct est_attributes *out);
} rows[] = {
  { NID_X9_62_id_ecPublicKey, take_curve },
  { NID_rsaEncryption, take_rsa },
  { NID_ext_req, take_extensions },
};

static void take_attribute(const ASN1_STRING *der, struct est_attributes *out)
{
  const unsigned char *at = ASN1_STRING_get0_data(der);
  HF_CLEANUP(attribute_freep) X509_ATTRIBUTE *attribute = d2i_X509_ATTRIBUTE(NULL, &at, ASN1_STRING_length(der));
  int nid = attribute ? OBJ_obj2nid(X509_ATTRIBUTE_get0_object(attribute)) : NID_undef;
  for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++)
    if (rows[i].nid == nid && X509_ATTRIBUTE_count(attribute) == 1)
      rows[i].take(attribute, out);
}

/* An OID alone: an attribute, an extension or an algorithm that the request should have. */
static void take_oid(int nid, struct est_attributes *out)
{
  if (nid == NID_pkcs9_challengePassword)
    out->challenge_password = true;
  else if (nid == NID_rsaEncryption || nid == NID_ED25519 || nid == NID_X9_62_id_ecPublicKey)
    out->key_type = nid;
  else if (X509V3_EXT_get_nid(nid))
    add_extension(out, nid);
}

hf_err est_attributes_parse(struct hf_slice body, struct est_attributes *ret_attributes)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf der = HF_BUF(EST_ANSWER_MAX);
  struct est_attributes attributes = { 0 };
  if (body.len > 0)
    HF_TRY(est_base64_decode(body, &der));
  const unsigned char *at = der.data;
  HF_CLEANUP(any_freep) ASN1_SEQUENCE_ANY *list = der.len ? d2i_ASN1_SEQUENCE_ANY(NULL, &at, (long)der.len) : NULL;
  if (der.len && !list) {
    ERR_clear_error();
    return hf_fail(HF_ERR_PARSE, "it is not a list of attributes (CsrAttrs)");
  }
  for (int i = 0; i < sk_ASN1_TYPE_num(list); i++) {
    const ASN1_TYPE *one = sk_ASN1_TYPE_value(list, i);
    if (one->type == V_ASN1_OBJECT)
      take_oid(OBJ_obj2nid(one->value.object), &attributes);
    else if (one->type == V_ASN1_SEQUENCE)
      take_attribute(one->value.sequence, &attributes);
  }
  ERR_clear_error();
  *ret_attributes = attributes;
  return HF_OK;
}

static void say(char *out, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static void say(char *out, size_t size, const char *fmt, ...)
{
  char text[NAME_MAX_BYTES * 2];
  va_list args;
  va_start(args, fmt);
  vsnprintf(text, sizeof(text), fmt, args);
  va_end(args);
  size_t used = strlen(out);
  snprintf(out + used, size - used, "%s%s", used ? ", " : "", text);
}

static const char *key_name(int key_type)
{
  return key_type == NID_rsaEncryption ? "RSA" : key_type == NID_ED25519 ? "ED25519" : "EC";
}

static void say_key(const struct est_attributes *attributes, EVP_PKEY *key, char *out, size_t size)
{
  char group[NAME_MAX_BYTES] = "";
  const char *name = key_name(attributes->key_type);
  bool is_type = EVP_PKEY_is_a(key, name);
  if (attributes->curve != NID_undef) {
    bool is_curve = is_type && EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) == 1 &&
                    OBJ_txt2nid(group) == attributes->curve;
    if (!is_curve)
      say(out, size, "an EC key on %s", OBJ_nid2sn(attributes->curve));
  } else if (!is_type) {
    say(out, size, "an %s key", name);
  } else if (attributes->rsa_bits && EVP_PKEY_get_bits(key) != attributes->rsa_bits) {
    say(out, size, "an RSA key of %d bits", attributes->rsa_bits);
  }
}

void est_attributes_missing(const struct est_attributes *attributes, EVP_PKEY *key, const int *extensions, size_t count,
                            char *out, size_t size)
{
  out[0] = '\0';
  if (attributes->key_type != NID_undef)
    say_key(attributes, key, out, size);
  for (size_t i = 0; i < attributes->extension_count; i++) {
    bool has = false;
    for (size_t j = 0; j < count; j++)
      has = has || extensions[j] == attributes->extensions[i];
    if (!has)
      say(out, size, "the extension %s", OBJ_nid2sn(attributes->extensions[i]));
  }
  if (attributes->challenge_password)
    say(out, size, "a challengePassword (channel binding)");
  ERR_clear_error();
}
