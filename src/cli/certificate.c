/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/certificate.h"

#include "cli/json.h"
#include "identity/certificate.h"
#include "identity/certificate_text.h"
#include "identity/key.h"

#include <time.h>

/* What is found out before anything is shown. */
struct facts {
  const char *where;
  const STACK_OF(X509) * chain;
  struct hf_buf subject, issuer, serial, sha256, sha1;
  struct validity validity;
  enum validity_status status;
  bool needs_renewal, self_signed, holds;
  int64_t now;
  char key[IDENTITY_KEY_TEXT_MAX];
  enum { KEY_UNKNOWN, KEY_OURS, KEY_OTHER } owner;
  char problem[HF_CONTEXT_MAX + 256]; /* why the owner is not known */
};

static void facts_free(struct facts *facts)
{
  struct hf_buf *all[] = { &facts->subject, &facts->issuer, &facts->serial, &facts->sha256, &facts->sha1 };
  for (size_t i = 0; i < HF_ARRAY_LEN(all); i++)
    hf_buf_free(all[i]);
}

const char *cli_certificate_where(const struct cli_args *args, const struct config *config)
{
  const char *given = cli_operand(args, 0);
  if (!given)
    return config_get(config, CONFIG_DEVICE_CERT_PATH);
  return strcmp(given, "-") == 0 ? "/dev/stdin" : given;
}

hf_err cli_certificate_read(const char *where, STACK_OF(X509) * *ret_chain)
{
  hf_err e = chain_read(where, ret_chain);
  if (e.code == HF_ERR_NOT_FOUND)
    return hf_hint(e, "Make one with 'holdfast cert create', or set device.cert_path to where it is.");
  if (e.code == HF_ERR_URI_NO_MATCH)
    return hf_hint(e, "See what the token holds: 'p11tool --list-all-certs', or write one with --to-token.");
  return e;
}

/* In the largest unit of which there are two, rounded down: "364 days", "47 hours", "1 second". */
static void format_span(int64_t seconds, char *out, size_t size)
{
  static const struct {
    int64_t seconds;
    const char *unit;
  } units[] = { { 86400, "day" }, { 3600, "hour" }, { 60, "minute" }, { 1, "second" } };
  size_t i = 0;
  while (i + 1 < HF_ARRAY_LEN(units) && seconds < 2 * units[i].seconds)
    i++;
  int64_t count = seconds / units[i].seconds;
  snprintf(out, size, "%lld %s%s", (long long)count, units[i].unit, count == 1 ? "" : "s");
}

void cli_validity_text(const struct validity *validity, enum validity_status status, int64_t now,
                       char out[CLI_STATUS_MAX])
{
  const struct {
    const char *what;
    int64_t seconds;
  } spans[VALIDITY_COUNT] = {
    [VALIDITY_NOT_YET] = { "begins in", validity->from - now },
    [VALIDITY_VALID] = { "expires in", validity->until - now },
    [VALIDITY_EXPIRES_SOON] = { "expires in", validity->until - now },
    [VALIDITY_EXPIRED] = { "expired since", now - validity->until },
  };
  char span[48];
  format_span(spans[status].seconds, span, sizeof(span));
  snprintf(out, CLI_STATUS_MAX, "%s (%s: %s)", validity_status_name(status), spans[status].what, span);
}

static void find_owner(const struct cli_args *args, struct cli_device *device, struct facts *facts)
{
  const X509 *certificate = sk_X509_value(facts->chain, 0);
  hf_err e = device->key ? HF_OK : cli_device_key(args, device);
  if (!hf_failed(e))
    e = certificate_check_pair(certificate, facts->where, device->key);
  facts->owner = !hf_failed(e) ? KEY_OURS : e.code == HF_ERR_KEY_MISMATCH ? KEY_OTHER : KEY_UNKNOWN;
  if (facts->owner == KEY_UNKNOWN)
    hf_err_format(e, facts->problem, sizeof(facts->problem));
}

static hf_err find_facts(const struct cli_args *args, struct cli_device *device, struct facts *facts)
{
  X509 *certificate = sk_X509_value(facts->chain, 0);
  uint64_t minimum_s = config_get_number(device->config, CONFIG_CERTIFICATE_VALIDITY_MINIMUM_DURATION);
  EVP_PKEY *key = X509_get0_pubkey(certificate);
  facts->now = time(NULL);
  HF_TRY(certificate_name_text(X509_get_subject_name(certificate), &facts->subject));
  HF_TRY(certificate_name_text(X509_get_issuer_name(certificate), &facts->issuer));
  HF_TRY(certificate_serial_text(certificate, &facts->serial));
  HF_TRY(certificate_thumbprint_text(certificate, EVP_sha256(), &facts->sha256));
  HF_TRY(certificate_thumbprint_text(certificate, EVP_sha1(), &facts->sha1));
  HF_TRY(validity_of(certificate, &facts->validity));
  facts->status = validity_at(&facts->validity, minimum_s, facts->now);
  facts->needs_renewal = validity_needs_renewal(&facts->validity, minimum_s, facts->now);
  facts->self_signed = X509_self_signed(certificate, 1) == 1;
  facts->holds = !hf_failed(chain_check(facts->chain, facts->where));
  snprintf(facts->key, sizeof(facts->key), "of an unknown kind");
  if (key)
    identity_key_describe(key, facts->key, sizeof(facts->key));
  find_owner(args, device, facts);
  return HF_OK;
}

/* Text. */

static void print_field(const char *name, const char *value)
{
  cli_print_line(name, 21, value);
}

static void print_times(const X509 *certificate)
{
  char text[CERTIFICATE_TIME_MAX];
  certificate_time(X509_get0_notBefore(certificate), text);
  print_field("Valid from:", text);
  certificate_time(X509_get0_notAfter(certificate), text);
  print_field("Valid up to:", text);
}

static void print_key(const struct facts *facts)
{
  static const char *const owners[] = {
    [KEY_UNKNOWN] = "whether it is in the HSM is not known: ",
    [KEY_OURS] = "it is the device's key in the HSM",
    [KEY_OTHER] = "it is NOT the device's key in the HSM",
  };
  printf("%-21s%s; %s", "Key:", facts->key, owners[facts->owner]);
  cli_print_text(stdout, facts->problem, strlen(facts->problem));
  putchar('\n');
}

/* The alternative names, each to fn. */
static hf_err each_alt_name(const X509 *certificate, hf_err (*fn)(const char *text, void *arg), void *arg)
{
  HF_CLEANUP(profile_alt_names_freep)
  GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
  for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
    HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(CERTIFICATE_TEXT_MAX);
    HF_TRY(certificate_alt_name_text(sk_GENERAL_NAME_value(names, i), &text));
    if (text.len)
      HF_TRY(fn(hf_buf_str(&text), arg));
  }
  return HF_OK;
}

static hf_err print_alt_name(const char *text, void *arg)
{
  const char **name = arg;
  print_field(*name, text);
  *name = "";
  return HF_OK;
}

static hf_err print_chain(const struct facts *facts)
{
  const char *name = "Chain:";
  for (int i = 1; i < sk_X509_num(facts->chain); i++) {
    HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(CERTIFICATE_TEXT_MAX);
    char until[CERTIFICATE_TIME_MAX];
    certificate_time(X509_get0_notAfter(sk_X509_value(facts->chain, i)), until);
    HF_TRY(certificate_name_text(X509_get_subject_name(sk_X509_value(facts->chain, i)), &text));
    HF_TRY(hf_buf_addf(&text, ", up to %s", until));
    print_field(name, hf_buf_str(&text));
    name = "";
  }
  if (!facts->holds)
    print_field(name, "it does NOT hold: a certificate is not issued by the one after it");
  return HF_OK;
}

static hf_err print_text(struct facts *facts)
{
  const X509 *certificate = sk_X509_value(facts->chain, 0);
  const char *alt_names = "Alternative names:";
  char status[CLI_STATUS_MAX];
  cli_validity_text(&facts->validity, facts->status, facts->now, status);
  print_field("Device certificate:", facts->where);
  print_field("Subject:", facts->subject.len ? hf_buf_str(&facts->subject) : "(empty)");
  if (facts->self_signed)
    HF_TRY(hf_buf_add_str(&facts->issuer, " (self-signed)"));
  print_field("Issuer:", hf_buf_str(&facts->issuer));
  print_field("Status:", status);
  print_times(certificate);
  print_field("Serial number:", hf_buf_str(&facts->serial));
  print_field("Thumbprint, SHA-256:", hf_buf_str(&facts->sha256));
  print_field("Thumbprint, SHA-1:", hf_buf_str(&facts->sha1));
  print_key(facts);
  HF_TRY(each_alt_name(certificate, print_alt_name, &alt_names));
  return print_chain(facts);
}

/* JSON. */

static hf_err set_time(json_t *object, const char *name, int64_t when)
{
  char text[CERTIFICATE_TIME_MAX];
  time_t seconds = (time_t)when;
  struct tm tm;
  if (!gmtime_r(&seconds, &tm) || !strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm))
    return hf_fail(HF_ERR_CERT_INVALID, "the times of its validity");
  return cli_json_set(object, name, text);
}

static hf_err append_alt_name(const char *text, void *array)
{
  return cli_json_append_new(array, json_string(text));
}

static hf_err set_chain(json_t *object, const struct facts *facts)
{
  json_t *chain = json_array();
  HF_TRY(cli_json_set_new(object, "chain", chain));
  for (int i = 1; i < sk_X509_num(facts->chain); i++) {
    HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(CERTIFICATE_TEXT_MAX);
    json_t *one = json_object();
    struct validity validity;
    HF_TRY(cli_json_append_new(chain, one));
    HF_TRY(certificate_name_text(X509_get_subject_name(sk_X509_value(facts->chain, i)), &text));
    HF_TRY(cli_json_set(one, "subject", hf_buf_str(&text)));
    HF_TRY(validity_of(sk_X509_value(facts->chain, i), &validity));
    HF_TRY(set_time(one, "valid_to", validity.until));
  }
  return cli_json_set_new(object, "chain_holds", json_boolean(facts->holds));
}

static hf_err set_key(json_t *object, const struct facts *facts)
{
  json_t *owner = facts->owner == KEY_UNKNOWN ? json_null() : json_boolean(facts->owner == KEY_OURS);
  HF_TRY(cli_json_set(object, "key", facts->key));
  HF_TRY(cli_json_set_new(object, "key_in_hsm", owner));
  return facts->owner == KEY_UNKNOWN ? cli_json_set(object, "key_problem", facts->problem) : HF_OK;
}

static hf_err set_texts(json_t *object, struct facts *facts)
{
  char cn[CERTIFICATE_CN_MAX];
  certificate_cn(sk_X509_value(facts->chain, 0), cn);
  const struct {
    const char *name, *value;
  } texts[] = {
    { "certificate", facts->where },
    { "subject", hf_buf_str(&facts->subject) },
    { "common_name", cn },
    { "issuer", hf_buf_str(&facts->issuer) },
    { "status", validity_status_name(facts->status) },
    { "serial", hf_buf_str(&facts->serial) },
    { "sha256", hf_buf_str(&facts->sha256) },
    { "sha1", hf_buf_str(&facts->sha1) },
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(texts); i++)
    HF_TRY(cli_json_set(object, texts[i].name, texts[i].value));
  return HF_OK;
}

static hf_err print_json(struct facts *facts)
{
  HF_CLEANUP(json_decrefp) json_t *object = json_object();
  json_t *alt_names = json_array();
  HF_TRY(set_texts(object, facts));
  HF_TRY(cli_json_set_new(object, "self_signed", json_boolean(facts->self_signed)));
  HF_TRY(set_time(object, "valid_from", facts->validity.from));
  HF_TRY(set_time(object, "valid_to", facts->validity.until));
  HF_TRY(cli_json_set_new(object, "seconds_left", json_integer(facts->validity.until - facts->now)));
  HF_TRY(cli_json_set_new(object, "needs_renewal", json_boolean(facts->needs_renewal)));
  HF_TRY(set_key(object, facts));
  HF_TRY(cli_json_set_new(object, "alternative_names", alt_names));
  HF_TRY(each_alt_name(sk_X509_value(facts->chain, 0), append_alt_name, alt_names));
  HF_TRY(set_chain(object, facts));
  return cli_json_print(object);
}

hf_err cli_certificate_show(const struct cli_args *args, struct cli_device *device, const char *where,
                            const STACK_OF(X509) * chain)
{
  HF_CLEANUP(facts_free)
  struct facts facts = { .where = where,
                         .chain = chain,
                         .subject = HF_BUF(CERTIFICATE_TEXT_MAX),
                         .issuer = HF_BUF(CERTIFICATE_TEXT_MAX),
                         .serial = HF_BUF(CERTIFICATE_TEXT_MAX),
                         .sha256 = HF_BUF(CERTIFICATE_TEXT_MAX),
                         .sha1 = HF_BUF(CERTIFICATE_TEXT_MAX) };
  HF_TRY(find_facts(args, device, &facts));
  return cli_has(args, "json") ? print_json(&facts) : print_text(&facts);
}
