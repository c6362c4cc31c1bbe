/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration, and where it says that the PIN is. */
#include "doctor/doctor_private.h"

#include "base/file.h"
#include "identity/hsm.h"

#include <errno.h>
#include <sys/stat.h>

static hf_err parse_uri(struct doctor *d)
{
  const char *key = config_get(d->config, CONFIG_DEVICE_KEY_URI),
             *token = config_get(d->config, CONFIG_DEVICE_CRYPTOKI_URI);
  d->has_key_uri = key != NULL;
  return key || token ? uri_parse(key ? key : token, &d->uri) : HF_OK;
}

hf_err doctor_config_file(struct doctor *d)
{
  HF_CLEANUP(config_freep) struct config *config = NULL;
  HF_TRY(config_load(d->options->config_path, &config));
  d->config = HF_TAKE(config);
  d->cert_path = config_get(d->config, CONFIG_DEVICE_CERT_PATH);
  const char *path = config_path(d->config);
  doctor_detail(d, "%s", path);
  if (access(path, F_OK) != 0)
    doctor_warn(d, hf_hint(hf_fail(HF_ERR_NOT_FOUND, "%s; all is at its default", path),
                           "'holdfast config set KEY VALUE' makes it."));
  HF_TRY(config_usable(d->config)); /* a Greengrass core's file is read as far as it goes */
  return parse_uri(d);
}

/* Who may change it chooses the module that is loaded. */
static hf_err check_writers(const char *path)
{
  struct stat st;
  if (stat(path, &st) != 0)
    return errno == ENOENT ? HF_OK : hf_fail_errno(errno, "%s", path);
  if (st.st_mode & S_IWOTH)
    return hf_hint(hf_fail(HF_ERR_PERMISSION, "%s can be changed by everyone", path), "'chmod 600 %s'.", path);
  if (st.st_uid != 0 && st.st_uid != geteuid())
    return hf_hint(hf_fail(HF_ERR_PERMISSION, "%s is another user's (%u)", path, (unsigned)st.st_uid),
                   "Have it owned by root, or by who runs the gateway.");
  return HF_OK;
}

hf_err doctor_config_permissions(struct doctor *d)
{
  HF_TRY(check_writers(config_path(d->config)));
  if (config_warning(d->config))
    doctor_warn(d, hf_hint(hf_fail(HF_ERR_PERMISSION, "%s", config_warning(d->config)),
                           "Only root and who runs the gateway need it; a PIN is better off in a file of its own."));
  return HF_OK;
}

hf_err doctor_config_device(struct doctor *d)
{
  const char *uri;
  HF_TRY(cloud_check_device(d->config));
  HF_TRY(config_require(d->config, CONFIG_DEVICE_KEY_URI, &uri));
  HF_CLEANUP(hf_buf_free) struct hf_buf shown = HF_BUF(2 * URI_MAX);
  HF_TRY(uri_redact(uri, &shown));
  doctor_detail(d, "%s, %s", config_get(d->config, CONFIG_DEVICE_CRYPTOKI_MODE), hf_buf_str(&shown));
  if (uri_get(&d->uri, URI_PIN_VALUE))
    doctor_warn(d, hf_hint(hf_fail(HF_ERR_CONFIG, "device.key_uri holds the PIN"),
                           "Take pin-value out of it, and set device.cryptoki.pin_source."));
  return HF_OK;
}

bool doctor_has_pin_source(const struct doctor *d)
{
  return !doctor_uses_agent(d) && (uri_get(&d->uri, URI_PIN_SOURCE) || uri_get(&d->uri, URI_PIN_VALUE) ||
                                   config_get(d->config, CONFIG_DEVICE_CRYPTOKI_PIN_SOURCE) ||
                                   config_get(d->config, CONFIG_DEVICE_CRYPTOKI_PIN));
}

static void check_pin_file(struct doctor *d, const char *source)
{
  char path[PATH_MAX];
  struct stat st;
  if (hf_failed(hf_pin_source_path(source, path, sizeof(path))) || stat(path, &st) != 0)
    return;
  if (st.st_mode & (S_IRWXG | S_IRWXO))
    doctor_warn(d, hf_hint(hf_fail(HF_ERR_PERMISSION, "%s has mode %04o: others than its owner may use it", path,
                                   (unsigned)st.st_mode & 07777),
                           "'chmod 600 %s'.", path));
  else if (st.st_uid != 0 && st.st_uid != geteuid())
    doctor_warn(d, hf_hint(hf_fail(HF_ERR_PERMISSION, "%s is another user's (%u)", path, (unsigned)st.st_uid),
                           "Have it owned by root, or by who runs the gateway."));
}

/* As hsm_pin finds it. */
hf_err doctor_pin_source(struct doctor *d)
{
  HF_CLEANUP(hf_secret_freep) struct hf_secret *pin = NULL;
  const char *source = uri_get(&d->uri, URI_PIN_SOURCE);
  if (!source)
    source = config_get(d->config, CONFIG_DEVICE_CRYPTOKI_PIN_SOURCE);
  bool plain = uri_get(&d->uri, URI_PIN_VALUE) || !source;
  doctor_detail(d, "%s", plain ? "in the configuration itself" : source);
  HF_TRY(hsm_pin(d->config, &d->uri, &pin));
  if (!plain)
    check_pin_file(d, source);
  return HF_OK;
}
