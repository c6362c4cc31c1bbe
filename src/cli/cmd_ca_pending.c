/* SPDX-License-Identifier: Apache-2.0 */
/* holdfast ca pending, holdfast ca approve */
#include "cli/authority.h"
#include "cli/commands.h"
#include "cli/configuration.h"
#include "identity/request.h"

#include <openssl/sha.h>

enum { SUBJECT_MAX = 256, DIGEST_MAX = 2 * SHA256_DIGEST_LENGTH + 1 };

/* What a person decides by: the subject, and the key's digest, which the device's side can tell, too. */
struct waiting {
  char subject[SUBJECT_MAX], key[DIGEST_MAX], received[CLI_TIME_MAX];
  const char *decision;
};

static hf_err digest_key(X509_REQ *request, char out[DIGEST_MAX])
{
  uint8_t *der = NULL, sum[SHA256_DIGEST_LENGTH];
  int len = i2d_X509_PUBKEY(X509_REQ_get_X509_PUBKEY(request), &der);
  if (len <= 0)
    return openssl_fail(HF_ERR_CERT_REQUEST, "its public key", "");
  SHA256(der, (size_t)len, sum);
  OPENSSL_free(der);
  for (size_t i = 0; i < sizeof(sum); i++)
    snprintf(out + 2 * i, 3, "%02x", sum[i]);
  return HF_OK;
}

static hf_err describe(const struct registry_request *request, struct waiting *waiting)
{
  static const char *const decisions[] = {
    [REGISTRY_WAITING] = "waiting", [REGISTRY_APPROVED] = "approved", [REGISTRY_REFUSED] = "refused"
  };
  HF_CLEANUP(openssl_req_freep) X509_REQ *parsed = NULL;
  HF_TRY(request_parse(request->der, "a request that waits", &parsed));
  if (!X509_NAME_oneline(X509_REQ_get_subject_name(parsed), waiting->subject, SUBJECT_MAX))
    return openssl_fail(HF_ERR_NO_MEMORY, "a subject", "");
  HF_TRY(digest_key(parsed, waiting->key));
  cli_ca_time(request->received, waiting->received);
  waiting->decision = decisions[request->decision];
  return HF_OK;
}

static hf_err to_json(const struct registry_request *request, const struct waiting *waiting, json_t *out)
{
  HF_TRY(cli_json_set_new(out, "id", json_integer((json_int_t)request->id)));
  HF_TRY(cli_json_set(out, "device", request->device));
  HF_TRY(cli_json_set(out, "state", waiting->decision));
  HF_TRY(cli_json_set(out, "subject", waiting->subject));
  HF_TRY(cli_json_set(out, "key_sha256", waiting->key));
  HF_TRY(cli_json_set(out, "from", request->from));
  return cli_json_set(out, "received", waiting->received);
}

static hf_err add_json(const struct registry_request *request, void *arg)
{
  struct waiting waiting;
  json_t *object = json_object();
  HF_TRY(cli_json_append_new(arg, object));
  HF_TRY(describe(request, &waiting));
  return to_json(request, &waiting, object);
}

static hf_err print_one(const struct registry_request *request, void *arg)
{
  struct waiting waiting;
  HF_TRY(describe(request, &waiting));
  printf("%llu  %s  ", (unsigned long long)request->id, waiting.decision);
  cli_print_text(stdout, request->device, strlen(request->device));
  printf("\n  Subject:   ");
  cli_print_text(stdout, waiting.subject, strlen(waiting.subject));
  printf("\n  Key:       SHA-256 %s\n  Received:  %s, from %s\n", waiting.key, waiting.received, request->from);
  ++*(size_t *)arg;
  return HF_OK;
}

static hf_err run_pending(const struct cli_args *args)
{
  HF_CLEANUP(cli_ca_close) struct cli_ca ca = { 0 };
  HF_TRY(cli_ca_open(args, CLI_CA_REGISTRY, &ca));
  if (cli_has(args, "json")) {
    HF_CLEANUP(json_decrefp) json_t *list = json_array();
    HF_TRY(registry_request_each(ca.registry, add_json, list));
    return cli_json_print(list);
  }
  size_t count = 0;
  HF_TRY(registry_request_each(ca.registry, print_one, &count));
  if (count == 0)
    puts("No request waits.");
  return HF_OK;
}

static hf_err run_approve(const struct cli_args *args)
{
  HF_CLEANUP(cli_ca_close) struct cli_ca ca = { 0 };
  const char *text = cli_operand(args, 0);
  char *end;
  unsigned long long id = strtoull(text, &end, 10);
  bool refuse = cli_has(args, "refuse");
  if (text[0] < '0' || text[0] > '9' || *end)
    return hf_hint(hf_fail(HF_ERR_USAGE, "the request '%s'", text), "'holdfast ca pending' shows their numbers.");
  HF_TRY(cli_ca_open(args, CLI_CA_REGISTRY, &ca));
  HF_TRY(registry_request_decide(ca.registry, id, refuse ? REGISTRY_REFUSED : REGISTRY_APPROVED));
  printf("The request %llu is %s; the device learns it when it asks again.\n", id, refuse ? "refused" : "approved");
  return HF_OK;
}

static const struct cli_option pending_options[] = { CLI_JSON_OPTION, CLI_CONFIG_OPTION, CLI_END };
static const struct cli_option approve_options[] = {
  { "refuse", NULL, "refuse it instead" },
  CLI_CONFIG_OPTION,
  CLI_END,
};

const struct cli_command cli_ca_pending = {
  .name = "ca pending",
  .help = "List the requests that wait to be approved (ca.approval manual)",
  .options = pending_options,
  .example = "holdfast ca pending --json\n",
  .run = run_pending,
};

const struct cli_command cli_ca_approve = {
  .name = "ca approve",
  .help = "Approve a device's request, or refuse it",
  .operands = "ID",
  .operands_min = 1,
  .operands_max = 1,
  .options = approve_options,
  .details = "Compare the key's digest with what the device's side tells before you approve.\n",
  .example = "holdfast ca approve 7\n",
  .run = run_approve,
};
