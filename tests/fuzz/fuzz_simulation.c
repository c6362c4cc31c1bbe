/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles, plans, latencies and limits: what is read is of the form, and reads the same once more. The input is taken as each of them. */
#include "token/mech/mech.h"
#include "token/simulation/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_plan(const char *text)
{
  static struct plan plan;
  plan.count = 0;
  if (hf_failed(plan_parse(text, &plan)))
    return;
  for (size_t i = 0; i < plan.count; i++) {
    struct fault again;
    struct fault_state state = { 0 };
    uint64_t until;
    const struct fault *fault = &plan.faults[i];
    if (fault->kind == FAULT_NONE || hf_failed(fault_parse(fault->text, &again)) || again.kind != fault->kind ||
        again.nth != fault->nth || again.lasting != fault->lasting)
      abort();
    for (uint64_t now = 1; now < 4; now++)
      if (fault_strikes(fault, &state, 1, now << 40, &until) && until && !fault->lasting)
        abort();
  }
}

static void check_latency(const char *text)
{
  static struct simulation_settings settings;
  settings.latency.count = 0;
  if (hf_failed(latency_parse(text, &settings.latency)))
    return;
  for (size_t i = 0; i < settings.latency.count; i++) {
    const struct latency_row *row = &settings.latency.rows[i];
    if (row->max < row->min || simulation_settings_latency(&settings, row->function, row->key, 0.5) > 86400000000000ULL)
      abort();
  }
}

static void check_limits(const char *text)
{
  struct limits limits = { 0 };
  if (!hf_failed(limits_parse(text, &limits)) && limits.pin_max < limits.pin_min)
    abort();
}

static void check_profile(char *text)
{
  static struct profile profile;
  if (hf_failed(profile_parse("fuzz", text, mech_type_of_name, &profile)))
    return;
  for (size_t i = 0; i < profile.mechanism_count; i++)
    if (profile.mechanisms[i].max < profile.mechanisms[i].min)
      abort();
  for (size_t i = 0; i < profile.key_count; i++)
    if (!word_is_key(profile.keys[i].name) || !(profile.keys[i].generate || profile.keys[i].import))
      abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(1 << 16);
  if (hf_failed(hf_buf_add(&text, data, size)) || hf_failed(hf_buf_add_u8(&text, '\0')))
    return 0;
  check_plan((const char *)text.data);
  check_latency((const char *)text.data);
  check_limits((const char *)text.data);
  check_profile((char *)text.data);
  return 0;
}
