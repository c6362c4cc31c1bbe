/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoders (provider-decoder(7)): a PEM file that wraps a URI (see p11/pem.h) is a private key, so that programs which
 * know key files alone use one in a token. In two steps, since OpenSSL's file store takes only DER from PEM, and since
 * its own PEM decoder passes over labels that it does not know.
 */
#include "provider/resolve.h"

#include "p11/pem.h"

#include <openssl/core_names.h>
#include <openssl/core_object.h>
#include <openssl/evp.h>
#include <openssl/params.h>

enum { LINE_MAX_BYTES = 1024, BODY_MAX = 2 * URI_MAX };

#define STRUCTURE "pkcs11-uri"

static const char begin[] = "-----BEGIN ", end[] = "-----END ", our_begin[] = "-----BEGIN " P11_PEM_LABEL "-----";

static void *decoder_new(void *provctx)
{
  return provctx;
}

/* What decoder_new gave is the provider's. */
static void decoder_free(void *decoder)
{
  (void)decoder;
}

static int decoder_does_selection(void *provctx, int selection)
{
  (void)provctx;
  return selection == 0 || (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY);
}

static bool starts_with(const char *line, const char *start)
{
  return strncmp(line, start, strlen(start)) == 0;
}

/*
 * Reads up to the end of the first PEM block and no further: what follows is for the next round. The body is the text
 * of a block of ours; it stays empty for any other.
 */
static hf_err read_block(const struct provider_ctx *ctx, OSSL_CORE_BIO *in, struct hf_buf *body)
{
  char line[LINE_MAX_BYTES];
  bool inside = false, ours = false;
  while (ctx->bio_gets(in, line, sizeof(line)) > 0) {
    if (!inside) {
      inside = starts_with(line, begin);
      ours = starts_with(line, our_begin);
    } else if (starts_with(line, end)) {
      return HF_OK;
    } else if (ours) {
      HF_TRY(hf_buf_add_str(body, line));
    }
  }
  hf_buf_free(body);
  return HF_OK;
}

static hf_err decode_base64(const struct hf_buf *text, struct hf_buf *out)
{
  EVP_ENCODE_CTX *decoding = EVP_ENCODE_CTX_new();
  uint8_t *room;
  hf_err e = decoding ? hf_buf_reserve(out, text->len, &room) : hf_fail(HF_ERR_NO_MEMORY, "decoding PEM");
  if (!hf_failed(e)) {
    int len = 0, last = 0;
    EVP_DecodeInit(decoding);
    if (EVP_DecodeUpdate(decoding, room, &len, text->data, (int)text->len) < 0 ||
        EVP_DecodeFinal(decoding, room + len, &last) < 0)
      e = hf_fail(HF_ERR_PARSE, "the base64 of a \"%s\"", P11_PEM_LABEL);
    else
      hf_buf_commit(out, (size_t)(len + last));
  }
  EVP_ENCODE_CTX_free(decoding);
  return e;
}

/* In both: 1 with nothing handed over lets OpenSSL try other decoders; 0 ends the search, and keeps our error. */
static int fail(struct provider_ctx *ctx, hf_err e)
{
  provider_raise(ctx, e);
  return 0;
}

/* Opens the key already here: OpenSSL's file store would drop an error from the second step. */
static hf_err open_key(struct provider_ctx *ctx, const struct hf_buf *body, struct hf_buf *der)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf uri = HF_BUF(URI_MAX);
  HF_CLEANUP(provider_key_unrefp) struct provider_key *key = NULL;
  HF_TRY(decode_base64(body, der));
  HF_TRY(p11_pem_read_der(hf_slice(der->data, der->len), &uri));
  return provider_load_key(ctx, hf_buf_str(&uri), &key);
}

static int pem_decode(void *decoder, OSSL_CORE_BIO *in, int selection, OSSL_CALLBACK *callback, void *arg,
                      OSSL_PASSPHRASE_CALLBACK *ask, void *ask_arg)
{
  (void)selection;
  (void)ask;
  (void)ask_arg;
  struct provider_ctx *ctx = decoder;
  HF_CLEANUP(hf_buf_free) struct hf_buf body = HF_BUF(BODY_MAX);
  HF_CLEANUP(hf_buf_free) struct hf_buf der = HF_BUF(BODY_MAX);
  hf_err e = read_block(ctx, in, &body);
  if (!hf_failed(e) && body.len == 0)
    return 1;
  if (!hf_failed(e))
    e = open_key(ctx, &body, &der);
  if (hf_failed(e))
    return fail(ctx, e);
  int type = OSSL_OBJECT_PKEY;
  char structure[] = STRUCTURE;
  OSSL_PARAM params[] = {
    OSSL_PARAM_int(OSSL_OBJECT_PARAM_TYPE, &type),
    OSSL_PARAM_utf8_string(OSSL_OBJECT_PARAM_DATA_STRUCTURE, structure, sizeof(structure) - 1),
    OSSL_PARAM_octet_string(OSSL_OBJECT_PARAM_DATA, der.data, der.len),
    OSSL_PARAM_END,
  };
  return callback(params, arg);
}

/* Any DER comes here, of any length: what does not read as ours is not ours. */
static bool read_uri(const struct provider_ctx *ctx, OSSL_CORE_BIO *in, struct hf_buf *uri)
{
  uint8_t der[BODY_MAX];
  size_t len = 0, more;
  while (len < sizeof(der) && ctx->bio_read_ex(in, der + len, sizeof(der) - len, &more) == 1 && more > 0)
    len += more;
  return !hf_failed(p11_pem_read_der(hf_slice(der, len), uri));
}

static int der_decode(void *decoder, OSSL_CORE_BIO *in, int selection, OSSL_CALLBACK *callback, void *arg,
                      OSSL_PASSPHRASE_CALLBACK *ask, void *ask_arg)
{
  (void)selection;
  (void)ask;
  (void)ask_arg;
  struct provider_ctx *ctx = decoder;
  HF_CLEANUP(hf_buf_free) struct hf_buf uri = HF_BUF(URI_MAX);
  HF_CLEANUP(provider_key_unrefp) struct provider_key *key = NULL;
  if (!read_uri(ctx, in, &uri))
    return 1;
  hf_err e = provider_load_key(ctx, hf_buf_str(&uri), &key);
  if (hf_failed(e))
    return fail(ctx, e);
  return provider_key_hand_over(&key, callback, arg);
}

#define DECODER(name)                                                            \
  static const OSSL_DISPATCH name##_functions[] = {                              \
    PROVIDER_FUNCTION(OSSL_FUNC_DECODER_NEWCTX, decoder_new),                    \
    PROVIDER_FUNCTION(OSSL_FUNC_DECODER_FREECTX, decoder_free),                  \
    PROVIDER_FUNCTION(OSSL_FUNC_DECODER_DOES_SELECTION, decoder_does_selection), \
    PROVIDER_FUNCTION(OSSL_FUNC_DECODER_DECODE, name##_decode),                  \
    PROVIDER_END,                                                                \
  }

DECODER(pem);
DECODER(der);

#define PEM_INPUT "provider=holdfast,input=pem"
#define DER_INPUT "provider=holdfast,input=der,structure=" STRUCTURE

/*
 * A decoder of keys goes by the name of their type; which one the URI leads to shows only then, and each takes all.
 */
const OSSL_ALGORITHM provider_decoders[] = {
  { "DER", PEM_INPUT, pem_functions, "PEM that wraps a PKCS #11 URI" },
  { "EC", DER_INPUT, der_functions, "DER that wraps a PKCS #11 URI" },
  { "ED25519", DER_INPUT, der_functions, "DER that wraps a PKCS #11 URI" },
  { "RSA", DER_INPUT, der_functions, "DER that wraps a PKCS #11 URI" },
  { NULL, NULL, NULL, NULL },
};
