/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles, latencies and limits: how they are written, and what follows. */
#include "hf_test.h"

#include "base/cleanup.h"
#include "token/conf.h"
#include "token/conf_lines.h"
#include "token/mech/mech.h"

#include <string.h>

#define MS 1000000ULL

static struct profile profile;
static struct simulation_settings settings;

static hf_err parse(const char *text)
{
  HF_CLEANUP(hf_freep) char *copy = strdup(text);
  return profile_parse("/some/where/mine", copy, mech_type_of_name, &profile);
}

/* A name that is mistyped would be passed over. */
static bool known_mechanism(const char *name, CK_MECHANISM_TYPE *ret_type)
{
  if (!mech_type_of_name(name, ret_type))
    fail_msg("the token has no %s", name);
  return true;
}

static void test_built_in(void **state)
{
  (void)state;
  const struct profile_text *built_in;
  size_t count = 0;
  for (; (built_in = profile_built_in(count)) != NULL; count++) {
    assert_hf_ok(profile_load(built_in->name, known_mechanism, &profile));
    assert_string_equal(built_in->name, profile.name);
    assert_true(profile.manufacturer[0] && profile.model[0] && profile.key_count && profile.latency.count);
    assert_non_null(profile_mechanism(&profile, CKM_ECDSA));
    assert_non_null(profile_mechanism(&profile, CKM_RSA_PKCS));
    assert_non_null(latency_find(&profile.latency, "C_Sign", "P-256"));
  }
  assert_int_equal(4, count);
  assert_hf_err(profile_load("yubikey", mech_type_of_name, &profile), PARSE);
  assert_contains(hf_err_context(), "tpm2, yubikey-piv, smartcard-hsm, optee, or a file's path");
  assert_hf_err(profile_load("/no/such/profile", mech_type_of_name, &profile), NOT_FOUND);
}

static void test_profile(void **state)
{
  (void)state;
  assert_hf_ok(parse("# mine\n"
                     "manufacturer = ACME %23%231\n\nmodel=Mark II\nfirmware = 2.17\nqueue = yes\n"
                     "mechanism = CKM_ECDSA CKM_ECDSA_SHA256 CKM_NO_SUCH 256-384 sign hw\n"
                     "mechanism = CKM_SHA256\n"
                     "key = P-256 RSA generate\nkey = P-384 generate import\n"
                     "objects = private-key certificate\nids = 1-24\nauthenticate = 2\nextractable = no\n"
                     "refuse = import CKR_FUNCTION_NOT_SUPPORTED\nlimits = keys=3, pin=6-8\n"
                     "latency = C_Sign=10ms\nlatency = C_Login=1s-2s\nfaults = C_Sign nth=3 hang\n"));
  assert_string_equal("mine", profile.name);
  assert_string_equal("Mark II", profile.model);
  assert_string_equal("ACME ##1", profile.manufacturer);
  assert_int_equal(17, profile.firmware.minor);
  assert_true(profile.queue && profile.unextractable && profile.has_mechanisms);
  assert_int_equal(3, profile.mechanism_count);
  const struct profile_mechanism *row = profile_mechanism(&profile, CKM_ECDSA_SHA256);
  assert_int_equal(384, row->max);
  assert_int_equal(CKF_SIGN, row->does);
  assert_int_equal(CKF_HW, row->adds);
  assert_null(profile_mechanism(&profile, CKM_RSA_PKCS));
  assert_int_equal(3, profile.key_count);
  assert_false(profile.keys[1].import);
  assert_true(profile.keys[2].import);
  assert_int_equal((1U << CKO_PRIVATE_KEY) | (1U << CKO_CERTIFICATE), profile.objects);
  assert_int_equal(HF_ERR_FUNCTION_NOT_SUPPORTED, profile.refuses[REFUSE_IMPORT]);
  assert_int_equal(HF_ERR_DEVICE_MEMORY, profile.refuses[REFUSE_FULL]);
  assert_int_equal(3, profile.limits.keys);
  assert_int_equal(8, profile.limits.pin_max);
  assert_int_equal(0, profile.limits.sessions);
  assert_int_equal(2, profile.latency.count);
  assert_int_equal(1, profile.plan.count);
}

static const struct {
  const char *text, *named;
} bad[] = {
  { "nonsense", "line 1: \"nonsense\" is not of the form" },
  { "\nunknown = 1", "/some/where/mine, line 2: unknown key unknown" },
  { "model = more than sixteen characters", "model: \"more than sixteen characters\" (expected at most 16" },
  { "firmware = 5", "a version like 5.4" },
  { "firmware = 5.x", "a number" },
  { "queue = maybe", "yes or no" },
  { "mechanism = 256-384 sign", "the name of a mechanism" },
  { "mechanism = CKM_ECDSA juggle", "\"juggle\" (expected names of mechanisms" },
  { "mechanism = CKM_ECDSA 384-256", "a number from 384" },
  { "key = P-257 generate", "\"P-257\" (expected kinds of keys" },
  { "key = P-256", "generate, import or both" },
  { "key = generate", "kinds of keys" },
  { "key = RSA-17 generate", "\"RSA-17\"" },
  { "objects = spoon", "\"spoon\" (expected data" },
  { "ids = 0-3", "places from 1" },
  { "ids = 1-300", "a number" },
  { "authenticate = 0", "a number from 1" },
  { "refuse = spoon CKR_DEVICE_ERROR", "key, import, object" },
  { "refuse = key", "the name of a CK_RV" },
  { "refuse = key CKR_SPOON", "\"CKR_SPOON\"" },
  { "limits = sessions=0", "a number from 1" },
  { "limits = spoons=3", "\"spoons\"" },
  { "limits = pin=8-6", "a number from 8" },
  { "limits = tries=1", "a number from 2" },
  { "latency = C_Sign", "FUNCTION=TIME" },
  { "latency = C_Sgin=1ms", "a function of PKCS #11, or *" },
  { "latency = C_Sign/P-257=1ms", "a kind of key" },
  { "latency = C_Sign=2ms-1ms", "the shorter time first" },
  { "latency = C_Sign=fast", "a time like" },
  { "faults = C_Sign", "what happens" },
};

static void test_bad_profile(void **state)
{
  (void)state;
  for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++) {
    assert_hf_err(parse(bad[i].text), CONFIG);
    assert_contains(hf_err_context(), bad[i].named);
  }
}

static void assert_latency(uint64_t expected_ms, const char *function, const char *key)
{
  assert_int_equal(expected_ms * MS, simulation_settings_latency(&settings, function, key, 0));
}

/* As the configuration's lines have it. */
static hf_err take(const char *key, const char *value)
{
  char text[256];
  struct conf_line line = { .path = "token.conf", .number = 7, .key = key, .value = text };
  bool known;
  snprintf(text, sizeof(text), "%s", value);
  hf_err e = simulation_settings_take(&settings, &line, mech_type_of_name, &known);
  assert_true(hf_failed(e) || known);
  return e;
}

static void test_latency(void **state)
{
  (void)state;
  memset(&settings, 0, sizeof(settings));
  assert_hf_ok(
      latency_parse("C_Sign=40ms, C_Sign/RSA=100ms-200ms, C_Sign/RSA-4096=900ms,*=2ms", &settings.profile.latency));
  assert_latency(40, "C_Sign", "P-256");
  assert_latency(100, "C_Sign", "RSA-2048");
  assert_latency(900, "C_Sign", "RSA-4096");
  assert_int_equal(150 * MS, simulation_settings_latency(&settings, "C_Sign", "RSA-2048", 0.5));
  assert_latency(2, "C_Login", "");
  assert_latency(0, "C_SignInit", "P-256");
  assert_hf_ok(take("simulation.latency", "0.5, C_Login=7ms"));
  assert_latency(20, "C_Sign", "P-256");
  assert_latency(7, "C_Login", "");
  assert_hf_ok(take("simulation.latency", "off"));
  assert_latency(0, "C_Sign", "P-256");
  assert_latency(7, "C_Login", "");
  assert_hf_ok(take("simulation.latency", "profile"));
  assert_hf_ok(take("simulation.latency", "C_Sign=20ms"));
  assert_latency(20, "C_Sign", "RSA-4096");
  assert_hf_err(take("simulation.latency", "1000"), CONFIG);
  assert_contains(hf_err_context(), "token.conf, line 7: simulation.latency");
}

static void test_settings(void **state)
{
  (void)state;
  memset(&settings, 0, sizeof(settings));
  assert_hf_ok(simulation_settings_finish(&settings));
  assert_false(settings.enabled);
  assert_hf_ok(take("simulation.profile", "yubikey-piv"));
  assert_hf_ok(take("simulation.limits", "keys=2"));
  assert_hf_ok(take("simulation.faults", "C_Sign nth=7 hang"));
  assert_hf_ok(simulation_settings_finish(&settings));
  assert_true(settings.enabled);
  assert_int_equal(2, settings.limits.keys);
  assert_int_equal(16, settings.limits.sessions);
  assert_int_equal(1, settings.plan.count);
  assert_hf_ok(take("simulation.enabled", "false"));
  assert_hf_ok(simulation_settings_finish(&settings));
  assert_false(settings.enabled);
  assert_hf_err(take("simulation.enabled", "maybe"), CONFIG);
  assert_hf_err(take("simulation.profile", "nitrokey"), CONFIG);
  assert_contains(hf_err_context(), "token.conf, line 7: simulation.profile: \"nitrokey\" (expected tpm2, ");
  assert_hf_err(take("simulation.faults", "C_Sign nth=x hang"), CONFIG);
  assert_contains(hf_err_context(), "line 7: simulation.faults: \"x\" (expected a number from 1");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_built_in), cmocka_unit_test(test_profile),  cmocka_unit_test(test_bad_profile),
    cmocka_unit_test(test_latency),  cmocka_unit_test(test_settings),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
