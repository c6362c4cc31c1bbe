/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/discovery.h"

#include "identity/certificate.h"

#include <event2/http.h>
#include <jansson.h>

static const char place[] = "/greengrass/discover/thing/";

static int refuse(int status, const char *why, struct hf_buf *out)
{
  HF_CLEANUP(json_decrefp) json_t *json = json_pack("{s:s}", "message", why);
  char *text = json ? json_dumps(json, 0) : NULL;
  hf_err e = text ? hf_buf_addf(out, "%s\n", text) : hf_fail(HF_ERR_NO_MEMORY, "an answer");
  free(text);
  return hf_failed(e) ? 500 : status;
}

static json_t *connectivity(const struct discovery *d)
{
  json_t *list = json_array();
  for (size_t i = 0; d->hosts[i]; i++) {
    char id[16];
    snprintf(id, sizeof(id), "%zu", i + 1);
    json_array_append_new(list, json_pack("{s:s, s:s, s:i, s:s}", "Id", id, "HostAddress", d->hosts[i], "PortNumber",
                                          (int)d->port, "Metadata", ""));
  }
  return list;
}

/* One text each. */
static json_t *authorities(const struct discovery *d)
{
  json_t *list = json_array();
  for (int i = 0; i < sk_X509_num(d->roots); i++) {
    HF_CLEANUP(hf_buf_free) struct hf_buf pem = HF_BUF(CHAIN_FILE_MAX);
    HF_CLEANUP(chain_freep) STACK_OF(X509) *one = sk_X509_new_null();
    X509 *certificate = sk_X509_value(d->roots, i);
    if (!one || sk_X509_push(one, certificate) <= 0)
      continue;
    X509_up_ref(certificate);
    if (!hf_failed(chain_pem(one, &pem)))
      json_array_append_new(list, json_string(hf_buf_str(&pem)));
  }
  return list;
}

static int tell(const struct discovery *d, struct hf_buf *out)
{
  HF_CLEANUP(json_decrefp)
  json_t *json = json_pack("{s:[{s:s, s:[{s:s, s:o}], s:o}]}", "GGGroups", "GGGroupId", group_name(d->group), "Cores",
                           "thingArn", d->core, "Connectivity", connectivity(d), "CAs", authorities(d));
  char *text = json ? json_dumps(json, 0) : NULL;
  hf_err e = text ? hf_buf_addf(out, "%s\n", text) : hf_fail(HF_ERR_NO_MEMORY, "an answer");
  free(text);
  return hf_failed(e) ? 500 : 200;
}

/* False where it is none, or has a NUL in it. */
static bool read_thing(const char *path, char out[GROUP_NAME_MAX + 1])
{
  size_t len = 0;
  char *name = evhttp_uridecode(path + sizeof(place) - 1, 0, &len);
  bool good = name && len > 0 && len <= GROUP_NAME_MAX && strlen(name) == len;
  if (good)
    memcpy(out, name, len + 1);
  free(name);
  return good;
}

static bool is_own(const struct discovery *d, const char *thing, const X509 *client)
{
  uint8_t digest[EVP_MAX_MD_SIZE];
  char cn[CERTIFICATE_CN_MAX];
  unsigned len = 0;
  HF_CLEANUP(hf_buf_free) struct hf_buf fingerprint = HF_BUF(2 * EVP_MAX_MD_SIZE);
  certificate_cn(client, cn);
  return X509_digest(client, EVP_sha256(), digest, &len) == 1 &&
         !hf_failed(hf_buf_add_hex(&fingerprint, digest, len)) &&
         group_admits(d->group, thing, cn, hf_buf_str(&fingerprint));
}

int discovery_answer(const struct discovery *d, const char *path, const X509 *client, struct hf_buf *out)
{
  char thing[GROUP_NAME_MAX + 1];
  if (strncmp(path, place, sizeof(place) - 1) != 0)
    return refuse(404, "Nothing is here. There is /greengrass/discover/thing/NAME.", out);
  if (!read_thing(path, thing))
    return refuse(400, "The thing's name cannot be read.", out);
  if (!client || !is_own(d, thing, client))
    return refuse(403, "A thing of the group may ask for itself, with its own certificate.", out);
  return tell(d, out);
}
