/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/trial.h"

#include "gateway/client.h"
#include "gateway/cloud_link.h"
#include "identity/certificate.h"

static bool is_wanted(const struct config *config, const struct cloud *cloud, bool enabled_alone)
{
  return config_is_set(config, cloud->config->url) &&
         (!enabled_alone || config_get_bool(config, cloud->config->bridge_enabled));
}

static bool is_any_enabled(const struct config *config)
{
  for (size_t i = 0; i < CONFIG_CLOUD_COUNT; i++)
    if (is_wanted(config, &clouds[i], true))
      return true;
  return false;
}

static hf_err try_cloud(const struct config *config, const struct cloud *cloud, const struct trial_options *options)
{
  char id[CERTIFICATE_CN_MAX];
  HF_CLEANUP(cloud_link_free) struct cloud_link link = { 0 };
  HF_CLEANUP(client_freep) struct client *client = NULL;
  HF_TRY(certificate_device_id(config, id));
  HF_TRY(cloud_link_options(cloud, config, id, &link));
  observer_step(options->observer, "Connecting to %s with the new certificate", cloud->config->title);
  HF_TRY(client_connect(&link.options, options->timeout_s ? options->timeout_s : TRIAL_TIMEOUT_S, &client));
  client_leave_messages(client);
  return HF_OK;
}

hf_err trial_connect(const struct config *candidate, bool *ret_tried, void *arg)
{
  const struct trial_options *options = arg;
  bool enabled_alone = is_any_enabled(candidate), tried = false;
  for (size_t i = 0; i < CONFIG_CLOUD_COUNT; i++) {
    if (!is_wanted(candidate, &clouds[i], enabled_alone))
      continue;
    HF_TRY(try_cloud(candidate, &clouds[i], options));
    tried = true;
  }
  *ret_tried = tried;
  return HF_OK;
}
