/* SPDX-License-Identifier: Apache-2.0 */
/* Policy, the audit's lines and the counters. */
#include "agent/guard_private.h"

#include <time.h>

double guard_clock(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void count(enum metric metric)
{
  metrics_add(guard_client()->agent->metrics, metric, 1);
}

static void write_line(const struct guard_request *request, hf_err result)
{
  struct guard_client *client = guard_client();
  audit_write(&(struct audit_event){
      .peer = client->peer,
      .socket = "pkcs11",
      .request = request->function,
      .op = policy_op_name(request->op),
      .key = request->key,
      .answer = &request->answer,
      .result = result,
      .seconds = guard_clock() - request->started,
  });
}

CK_RV guard_ask(const char *function, enum policy_op op, const struct uri *uri, const char *text,
                struct guard_request *ret_request)
{
  struct guard_client *client = guard_client();
  struct guard_request *request = ret_request;
  *request = (struct guard_request){ .function = function, .op = op, .key = text, .started = guard_clock() };
  policy_ask(client->agent->policy, client->peer, op, uri, &request->answer);
  count(METRIC_REQUESTS);
  if (request->answer.verdict == VERDICT_ALLOW)
    return CKR_OK;
  count(METRIC_REQUESTS_DENIED);
  write_line(request, hf_fail(HF_ERR_PERMISSION, "%s", function));
  request->function = NULL;
  return CKR_FUNCTION_REJECTED;
}

CK_RV guard_ask_token(const char *function, enum policy_op op, struct guard_token *token,
                      struct guard_request *ret_request)
{
  return guard_ask(function, op, &token->uri, token->text, ret_request);
}

CK_RV guard_ask_object(const char *function, enum policy_op op, struct guard_object *object,
                       struct guard_request *ret_request)
{
  if (!object->is_token && !object->copied)
    return CKR_OK;
  const struct uri *uri = guard_object_uri(object);
  return uri ? guard_ask(function, op, uri, object->text, ret_request) : CKR_HOST_MEMORY;
}

void guard_answer(struct guard_request *request, CK_RV rv)
{
  if (!request->function)
    return;
  if (rv != CKR_OK)
    count(METRIC_REQUESTS_FAILED);
  else if (request->op == POLICY_SIGN)
    count(METRIC_SIGNATURES);
  write_line(request, hf_fail_rv(rv, "%s", request->function));
  request->function = NULL;
}

void guard_audit_list(const char *function, struct guard_token *token, double started, CK_RV rv)
{
  struct guard_client *client = guard_client();
  count(METRIC_REQUESTS);
  if (rv != CKR_OK)
    count(METRIC_REQUESTS_FAILED);
  audit_write(&(struct audit_event){
      .peer = client->peer,
      .socket = "pkcs11",
      .request = function,
      .op = policy_op_name(POLICY_LIST),
      .key = token->text,
      .result = hf_fail_rv(rv, "%s", function),
      .seconds = guard_clock() - started,
  });
}
