/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/setup_key.h"

#include <errno.h>
#include <sys/random.h>

enum { ID_LEN = 16, RSA_BITS = 3072 };

static hf_err find_labelled(struct hsm *hsm, const char *label, struct p11_object *ret_key)
{
  HF_CLEANUP(uri_free) struct uri wanted = { 0 };
  HF_TRY(uri_set(&wanted, URI_OBJECT, label, strlen(label)));
  HF_TRY(uri_set(&wanted, URI_TYPE, "private", strlen("private")));
  return p11_object_find(hsm->session, &wanted, ret_key);
}

/* What a token says to a kind of key that it does not make. */
static bool lacks_kind(hf_err e)
{
  return e.code == HF_ERR_MECHANISM_INVALID || e.code == HF_ERR_KEY_SIZE_RANGE || e.code == HF_ERR_CURVE_NOT_SUPPORTED;
}

static hf_err generate(struct hsm *hsm, const char *label, const enum p11_key_kind *kinds, size_t kind_count)
{
  uint8_t id[ID_LEN];
  if (getrandom(id, sizeof(id), 0) != (ssize_t)sizeof(id))
    return hf_fail_errno(errno, "getting random bytes");
  hf_err e = HF_OK;
  for (size_t i = 0; i < kind_count; i++) {
    const struct p11_key_spec spec = { kinds[i], kinds[i] == P11_RSA ? RSA_BITS : 0, label, id, sizeof(id) };
    CK_OBJECT_HANDLE public_key, private_key;
    e = p11_key_generate(hsm->session, &spec, &public_key, &private_key);
    if (!lacks_kind(e))
      break;
  }
  return e;
}

hf_err setup_key(struct hsm *hsm, const char *label, const enum p11_key_kind *kinds, size_t kind_count,
                 struct hf_buf *ret_uri, bool *ret_made)
{
  HF_CLEANUP(p11_object_free) struct p11_object key = { 0 };
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  hf_err e = find_labelled(hsm, label, &key);
  bool made = e.code == HF_ERR_URI_NO_MATCH;
  if (made) {
    HF_TRY(generate(hsm, label, kinds, kind_count));
    e = find_labelled(hsm, label, &key);
  }
  HF_TRY(e);
  HF_TRY(p11_object_uri(&hsm->token, &key, &uri));
  HF_TRY(uri_format(&uri, ret_uri));
  *ret_made = made;
  return HF_OK;
}
