/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/sign_service.h"

#include "agent/sign_call.h"

#include <time.h>

enum { TEXT_MAX = 8 * 1024 };

static hf_err ping(struct sign_call *call)
{
  (void)call;
  return HF_OK;
}

/* One row a request. */
static const struct request_row {
  sign_act_fn act;
  enum wire_number response;
  bool signs;
  bool slow; /* a smart card makes an RSA key in minutes: no deadline tells that from a hang */
} requests[WIRE_FRAME_COUNT] = {
  [WIRE_CHOOSE_SCHEME] = { sign_choose_scheme, WIRE_SCHEME, false },
  [WIRE_SIGN] = { sign_sign, WIRE_SIGNATURE, true },
  [WIRE_SIGN_WITH] = { sign_sign, WIRE_SIGNATURE, true },
  [WIRE_GET_PUBLIC_KEY] = { sign_public_key, WIRE_PUBLIC_KEY, false },
  [WIRE_PING] = { ping, WIRE_PONG, false },
  [WIRE_CREATE_KEY] = { sign_create_key, WIRE_CREATED_KEY, false, true },
  [WIRE_GET_TOKENS_URIS] = { sign_tokens_uris, WIRE_TOKENS_URIS, false },
  [WIRE_INIT_TOKEN] = { sign_init_token, WIRE_INITED_TOKEN, false },
  [WIRE_LIST_TOKENS] = { sign_list_tokens, WIRE_TOKENS, false },
  [WIRE_CHANGE_PIN] = { sign_change_pin, WIRE_CHANGED_PIN, false },
  [WIRE_DELETE_KEY] = { sign_delete_key, WIRE_DELETED_KEY, false },
  [WIRE_LIST_KEYS] = { sign_list_keys, WIRE_KEYS, false },
};

/* What clients look for in the text of an error, by its code. */
static const struct text_row {
  enum hf_code code;
  const char *text;
} texts[] = {
  { HF_ERR_TOKEN_NOT_FOUND, SIGN_TEXT_SLOT },   { HF_ERR_TOKEN_AMBIGUOUS, SIGN_TEXT_SLOT },
  { HF_ERR_TOKEN_NOT_PRESENT, SIGN_TEXT_SLOT }, { HF_ERR_DEVICE_REMOVED, SIGN_TEXT_SLOT },
  { HF_ERR_SLOT_ID_INVALID, SIGN_TEXT_SLOT },   { HF_ERR_URI_NO_MATCH, SIGN_TEXT_KEY },
  { HF_ERR_URI_AMBIGUOUS, SIGN_TEXT_KEY },      { HF_ERR_PIN_INCORRECT, SIGN_TEXT_PIN },
};

static const char *text_for(hf_err e)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(texts); i++)
    if (texts[i].code == e.code)
      return texts[i].text;
  return NULL;
}

static hf_err add_error(struct sign_call *call, const char *text, struct hf_buf *out)
{
  struct wire_frame frame = { .number = WIRE_ERROR };
  HF_TRY(sign_keep_text(call, text, strlen(text), &frame.text));
  return wire_frame_encode(&frame, out);
}

static void add_part(struct hf_buf *text, const char *part)
{
  if (part)
    hf_ignore(hf_buf_addf(text, "%s: ", part));
}

/* "PKCS #11 service failed: Failed to find a signing key: Failed to find a key: nothing matches ...: .... Hint." */
static hf_err add_failure(struct sign_call *call, hf_err e, struct hf_buf *out)
{
  char what[HF_CONTEXT_MAX + 256];
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(TEXT_MAX);
  hf_err_format(e, what, sizeof(what));
  HF_TRY(hf_buf_add_str(&text, SIGN_TEXT_SERVICE));
  add_part(&text, call->doing);
  add_part(&text, text_for(e));
  HF_TRY(hf_buf_add_str(&text, what));
  if (hf_err_hint(e)[0])
    HF_TRY(hf_buf_addf(&text, ". %s", hf_err_hint(e)));
  return add_error(call, hf_buf_str(&text), out);
}

static double now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void account(const struct sign_call *call, const char *request, hf_err result, double started)
{
  struct metrics *metrics = call->agent->metrics;
  HF_CLEANUP(hf_buf_free) struct hf_buf key = HF_BUF(TEXT_MAX * 2);
  hf_ignore(hf_buf_add(&key, call->key.data, call->key.len));
  if (key.len == 0 && call->uri)
    hf_ignore(uri_redact(call->uri, &key));
  metrics_add(metrics, METRIC_REQUESTS, 1);
  if (call->asked && call->answer.verdict == VERDICT_DENY)
    metrics_add(metrics, METRIC_REQUESTS_DENIED, 1);
  else if (hf_failed(result))
    metrics_add(metrics, METRIC_REQUESTS_FAILED, 1);
  else if (requests[call->request.number].signs)
    metrics_add(metrics, METRIC_SIGNATURES, 1);
  audit_write(&(struct audit_event){
      .peer = call->peer,
      .socket = "signing",
      .request = request,
      .op = call->asked ? policy_op_name(call->op) : NULL,
      .key = key.len ? hf_buf_str(&key) : NULL,
      .answer = call->asked ? &call->answer : NULL,
      .result = result,
      .seconds = now() - started,
  });
}

/* The URI as a string, and its pin-value where the request has no PIN of its own. */
static hf_err prepare(struct sign_call *call)
{
  const struct wire_text *uri = &call->request.uri;
  HF_TRY(sign_secret(&call->request.pin, &call->pin));
  if (!uri->present || uri->bytes.len == 0)
    return HF_OK;
  if (memchr(uri->bytes.data, '\0', uri->bytes.len))
    return hf_fail(HF_ERR_URI_INVALID, "it holds a NUL");
  HF_TRY(hf_buf_add(&call->uri_text, uri->bytes.data, uri->bytes.len));
  call->uri = hf_buf_str(&call->uri_text);
  if (!call->uri)
    return hf_fail(HF_ERR_NO_MEMORY, "a request");
  if (call->pin || !strstr(call->uri, "pin-value="))
    return HF_OK;
  HF_CLEANUP(uri_free) struct uri parsed = { 0 };
  HF_TRY(uri_parse(call->uri, &parsed));
  const struct hf_buf *pin = &parsed.attrs[URI_PIN_VALUE].value;
  return sign_secret(&(struct wire_text){ parsed.attrs[URI_PIN_VALUE].present, hf_slice(pin->data, pin->len) },
                     &call->pin);
}

static hf_err act(struct sign_call *call)
{
  const struct request_row *row = &requests[call->request.number];
  call->response.number = row->response;
  HF_TRY(prepare(call));
  if (row->slow)
    return row->act(call);
  HF_CLEANUP(deadline_endp) struct deadline deadline = deadline_begin(wire_frame_name(call->request.number));
  return row->act(call);
}

static void call_end(struct sign_call *call)
{
  wire_frame_free(&call->request);
  wire_frame_free(&call->response);
  sign_kept_free(call->kept);
  hf_secret_free(call->pin);
  hf_buf_free(&call->uri_text);
  hf_buf_free(&call->key);
}

static struct sign_call call_begin(struct agent *agent, const struct peer *peer)
{
  return (struct sign_call){
    .agent = agent,
    .peer = peer,
    .uri_text = HF_BUF(URI_MAX),
    .key = HF_BUF(URI_ATTR_COUNT * 3 * URI_MAX),
  };
}

static hf_err add_unread(struct sign_call *call, hf_err why, struct hf_buf *out)
{
  char what[HF_CONTEXT_MAX + 256], text[HF_CONTEXT_MAX + 512];
  hf_err_format(why, what, sizeof(what));
  snprintf(text, sizeof(text), "read: %s: %s", SIGN_TEXT_FRAME, what);
  return add_error(call, text, out);
}

hf_err sign_service_unread(struct agent *agent, const struct peer *peer, hf_err why, struct hf_buf *out)
{
  HF_CLEANUP(call_end) struct sign_call call = call_begin(agent, peer);
  HF_TRY(add_unread(&call, why, out));
  account(&call, "unreadable", why, now());
  return HF_OK;
}

hf_err sign_service_answer(struct agent *agent, const struct peer *peer, struct hf_slice request, struct hf_buf *out)
{
  double started = now();
  HF_CLEANUP(call_end) struct sign_call call = call_begin(agent, peer);
  hf_err e = wire_frame_decode(request, WIRE_DIRECTION_REQUEST, &call.request);
  if (e.code == HF_ERR_ARGUMENT) {
    HF_TRY(add_error(&call, SIGN_TEXT_DIRECTION, out));
    account(&call, SIGN_TEXT_DIRECTION, e, started);
    return HF_OK;
  }
  if (hf_failed(e))
    return sign_service_unread(agent, peer, e, out);
  e = act(&call);
  if (!hf_failed(e))
    e = wire_frame_encode(&call.response, out);
  if (hf_failed(e)) {
    hf_buf_free(out);
    HF_TRY(add_failure(&call, e, out));
  }
  account(&call, wire_frame_name(call.request.number), e, started);
  return HF_OK;
}
