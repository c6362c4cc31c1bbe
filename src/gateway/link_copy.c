/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/link_copy.h"

#include "base/secret.h"

struct copy {
  struct link_options options; /* first: what callers hold */
  struct proxy proxy;
  struct mqtt_will will;
};

/* The texts, each at its place in struct copy. A will's topic and payload are slices, and no texts. */
static const size_t texts[] = {
  offsetof(struct copy, options.client_id),
  offsetof(struct copy, options.user),
  offsetof(struct copy, options.password),
  offsetof(struct copy, options.dial.url_key),
  offsetof(struct copy, options.dial.root_key),
  offsetof(struct copy, options.dial.identity.cert_path),
  offsetof(struct copy, options.dial.identity.root_path),
  offsetof(struct copy, options.dial.key_uri),
  offsetof(struct copy, options.dial.alpn),
  offsetof(struct copy, proxy.user),
  offsetof(struct copy, proxy.password),
};

static const size_t slices[] = { offsetof(struct copy, will.topic), offsetof(struct copy, will.payload) };

/* Places are aligned by offsetof; the detour over void tells the compiler so. */
static const char **text_at(struct copy *copy, size_t i)
{
  void *place = (uint8_t *)copy + texts[i];
  return place;
}

static struct hf_slice *slice_at(struct copy *copy, size_t i)
{
  void *place = (uint8_t *)copy + slices[i];
  return place;
}

static void *duplicate(const void *data, size_t len)
{
  void *copy = malloc(len + 1);
  if (copy && len)
    memcpy(copy, data, len);
  return copy;
}

/* Replaces what is borrowed, one by one, by what is owned; what could not be copied is NULL. */
static bool own(struct copy *copy)
{
  bool good = true;
  for (size_t i = 0; i < HF_ARRAY_LEN(texts); i++) {
    const char **text = text_at(copy, i);
    const char *borrowed = *text;
    *text = borrowed ? duplicate(borrowed, strlen(borrowed) + 1) : NULL;
    good = good && (*text || !borrowed);
  }
  for (size_t i = 0; i < HF_ARRAY_LEN(slices); i++) {
    struct hf_slice *slice = slice_at(copy, i);
    slice->data = duplicate(slice->data, slice->len);
    good = good && slice->data;
  }
  return good && (!copy->options.dial.identity.key || EVP_PKEY_up_ref(copy->options.dial.identity.key));
}

static struct copy borrow(const struct link_options *options)
{
  struct copy copy = { .options = *options };
  if (options->dial.proxy)
    copy.proxy = *options->dial.proxy;
  if (options->will)
    copy.will = *options->will;
  copy.will.properties = hf_slice(NULL, 0);
  return copy;
}

hf_err link_copy_new(const struct link_options *options, struct link_options **ret_copy)
{
  struct copy *copy = malloc(sizeof(*copy));
  if (!copy)
    return hf_fail(HF_ERR_NO_MEMORY, "a connection's options");
  *copy = borrow(options);
  bool good = own(copy);
  copy->options.dial.proxy = options->dial.proxy ? &copy->proxy : NULL;
  copy->options.will = options->will ? &copy->will : NULL;
  *ret_copy = good ? &copy->options : link_copy_free(&copy->options);
  return good ? HF_OK : hf_fail(HF_ERR_NO_MEMORY, "a connection's options");
}

static void free_text(const char *text)
{
  char *owned = (char *)(uintptr_t)text;
  if (owned)
    hf_wipe(owned, strlen(owned));
  free(owned);
}

struct link_options *link_copy_free(struct link_options *options)
{
  if (!options)
    return NULL;
  struct copy *copy = (void *)options;
  for (size_t i = 0; i < HF_ARRAY_LEN(texts); i++)
    free_text(*text_at(copy, i));
  for (size_t i = 0; i < HF_ARRAY_LEN(slices); i++)
    free((void *)(uintptr_t)slice_at(copy, i)->data);
  EVP_PKEY_free(copy->options.dial.identity.key);
  free(copy);
  return NULL;
}

static bool same_text(const char *a, const char *b)
{
  return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_address(const struct config_address *a, const struct config_address *b)
{
  return strcmp(a->host, b->host) == 0 && strcmp(a->port, b->port) == 0;
}

bool link_options_same(const struct link_options *a, const struct link_options *b)
{
  struct copy one = borrow(a), other = borrow(b);
  for (size_t i = 0; i < HF_ARRAY_LEN(texts); i++)
    if (!same_text(*text_at(&one, i), *text_at(&other, i)))
      return false;
  for (size_t i = 0; i < HF_ARRAY_LEN(slices); i++)
    if (!hf_slice_equal(*slice_at(&one, i), *slice_at(&other, i)))
      return false;
  return same_address(&a->dial.address, &b->dial.address) && same_address(&one.proxy.address, &other.proxy.address) &&
         !a->dial.proxy == !b->dial.proxy && !a->will == !b->will && a->dial.tls == b->dial.tls &&
         a->dial.identity.key == b->dial.identity.key && a->version == b->version && a->keepalive_s == b->keepalive_s &&
         a->receive_maximum == b->receive_maximum && a->clean == b->clean;
}
