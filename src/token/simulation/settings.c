/* SPDX-License-Identifier: Apache-2.0 */
#include "token/simulation/settings.h"

#include "base/cleanup.h"
#include "token/conf_lines.h"

#include <ctype.h>
#include <string.h>

enum { FACTOR_MAX = 100 };

struct taker {
  struct simulation_settings *settings;
  profile_mechanism_fn mechanism_of;
};

static hf_err take_enabled(struct taker *t, const char *value)
{
  if (strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
    return word_bad(value, "true or false");
  t->settings->disabled = value[0] == 'f';
  return HF_OK;
}

static hf_err take_profile(struct taker *t, const char *value)
{
  return profile_load(value, t->mechanism_of, &t->settings->profile);
}

/* "off", "profile" or a factor in front of a list stand for the profile's latencies. */
static hf_err take_latency(struct taker *t, const char *value)
{
  char first[32];
  size_t len = strcspn(value, ",");
  snprintf(first, sizeof(first), "%.*s", (int)len, value);
  first[strcspn(first, " \t")] = '\0';
  const char *rest = value + len + (value[len] == ',');
  bool number = isdigit((unsigned char)first[0]) && first[strspn(first, "0123456789.")] == '\0';
  if (number && (t->settings->factor = strtod(first, NULL)) > FACTOR_MAX)
    return word_bad(first, "a factor of at most 100");
  if (!number && strcmp(first, "off") != 0 && strcmp(first, "profile") != 0)
    rest = value;
  else
    t->settings->latency_off = number ? t->settings->factor <= 0 : first[0] == 'o';
  return latency_parse(rest, &t->settings->latency);
}

static hf_err take_limits(struct taker *t, const char *value)
{
  return limits_parse(value, &t->settings->limits);
}

static hf_err take_faults(struct taker *t, const char *value)
{
  return plan_parse(value, &t->settings->plan);
}

static const struct {
  const char *key;
  hf_err (*take)(struct taker *t, const char *value);
} keys[] = {
  { "simulation.enabled", take_enabled }, { "simulation.profile", take_profile },
  { "simulation.latency", take_latency }, { "simulation.limits", take_limits },
  { "simulation.faults", take_faults },
};

hf_err simulation_settings_take(struct simulation_settings *settings, const struct conf_line *line,
                                profile_mechanism_fn mechanism_of, bool *ret_known)
{
  struct taker t = { settings, mechanism_of };
  *ret_known = false;
  for (size_t i = 0; i < HF_ARRAY_LEN(keys); i++) {
    if (strcmp(keys[i].key, line->key) != 0)
      continue;
    hf_err e = keys[i].take(&t, line->value);
    if (hf_failed(e))
      return hf_fail(HF_ERR_CONFIG, "%s, line %u: %s: %s", line->path, line->number, line->key, hf_err_context());
    settings->enabled = true;
    *ret_known = true;
  }
  return HF_OK;
}

/* Each is a row of struct limits: what the configuration does not say is the profile's. */
static void add_limits(const struct limits *profile, struct limits *limits)
{
  const uint32_t *from = (const uint32_t *)profile;
  uint32_t *to = (uint32_t *)limits;
  for (size_t i = 0; i < sizeof(*limits) / sizeof(*to); i++)
    if (to[i] == 0)
      to[i] = from[i];
}

hf_err simulation_settings_finish(struct simulation_settings *settings)
{
  const struct plan *own = &settings->profile.plan;
  settings->enabled = settings->enabled && !settings->disabled;
  add_limits(&settings->profile.limits, &settings->limits);
  if (settings->plan.count + own->count > PLAN_MAX)
    return hf_fail(HF_ERR_CONFIG, "simulation.faults: more than %d faults with the profile's", PLAN_MAX);
  memcpy(&settings->plan.faults[settings->plan.count], own->faults, own->count * sizeof(*own->faults));
  settings->plan.count += own->count;
  return HF_OK;
}

uint64_t simulation_settings_latency(const struct simulation_settings *settings, const char *function, const char *key,
                                     double random)
{
  double factor = 1;
  const struct latency_row *row = latency_find(&settings->latency, function, key);
  if (!row && !settings->latency_off) {
    row = latency_find(&settings->profile.latency, function, key);
    factor = settings->factor > 0 ? settings->factor : 1;
  }
  if (!row)
    return 0;
  return (uint64_t)(factor * ((double)row->min + random * (double)(row->max - row->min)));
}
