/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/status.h"

#include "base/json_text.h"
#include "agent/worker.h"

static hf_err add_tokens(struct agent *agent, struct hf_buf *out)
{
  HF_CLEANUP(hf_freep) struct keyring_token *tokens = NULL;
  size_t count = 0;
  hf_err e = keyring_tokens(agent->keyring, &tokens, &count);
  if (hf_failed(e)) {
    char text[HF_CONTEXT_MAX + 256];
    hf_err_format(e, text, sizeof(text));
    return hf_json_add_member(out, "tokens_error", text);
  }
  HF_TRY(hf_buf_add_str(out, ",\"tokens\":["));
  for (size_t i = 0; i < count; i++) {
    const struct p11_token *token = &tokens[i].token;
    HF_TRY(hf_buf_add_str(out, i ? ",{" : "{"));
    HF_TRY(hf_json_add_number(out, "slot", (double)token->slot));
    HF_TRY(hf_json_add_member(out, "label", token->label));
    HF_TRY(hf_json_add_member(out, "model", token->model));
    HF_TRY(hf_json_add_member(out, "manufacturer", token->manufacturer));
    HF_TRY(hf_json_add_member(out, "serial", token->serial));
    HF_TRY(hf_json_add_member(out, "state", tokens[i].state));
    HF_TRY(hf_buf_add_u8(out, '}'));
  }
  return hf_buf_add_u8(out, ']');
}

static hf_err add_sockets(const struct agent *agent, struct hf_buf *out)
{
  HF_TRY(hf_buf_add_str(out, ",\"sockets\":{"));
  for (enum socket_kind i = 0; i < SOCKET_KINDS; i++)
    if (agent->start->fds[i] >= 0)
      HF_TRY(hf_json_add_member(out, socket_kind_name(i), agent->start->paths[i]));
  return hf_buf_add_u8(out, '}');
}

hf_err status_format(struct agent *agent, struct hf_buf *out)
{
  const struct worker_start *start = agent->start;
  HF_TRY(hf_buf_add_u8(out, '{'));
  HF_TRY(hf_json_add_member(out, "version", HF_VERSION));
  HF_TRY(hf_json_add_number(out, "pid", start->supervisor));
  HF_TRY(hf_json_add_number(out, "worker_pid", getpid()));
  HF_TRY(hf_json_add_number(out, "worker_started", metrics_started(agent->metrics)));
  HF_TRY(hf_json_add_number(out, "worker_restarts", (double)start->restarts));
  HF_TRY(hf_json_add_member(out, "worker_last_end", start->last_end[0] ? start->last_end : NULL));
  HF_TRY(hf_json_add_number(out, "worker_resident_bytes", (double)metrics_resident()));
  HF_TRY(hf_json_add_number(out, "connections_open", (double)metrics_open(agent->metrics)));
  HF_TRY(hf_json_add_number(out, "requests", (double)metrics_get(agent->metrics, METRIC_REQUESTS)));
  HF_TRY(hf_json_add_number(out, "requests_denied", (double)metrics_get(agent->metrics, METRIC_REQUESTS_DENIED)));
  HF_TRY(hf_json_add_number(out, "requests_failed", (double)metrics_get(agent->metrics, METRIC_REQUESTS_FAILED)));
  HF_TRY(hf_json_add_number(out, "signatures", (double)metrics_get(agent->metrics, METRIC_SIGNATURES)));
  HF_TRY(hf_json_add_member(out, "module", options_get(agent->options, OPTION_MODULE_PATH)));
  HF_TRY(hf_json_add_member(out, "policy", options_get(agent->options, OPTION_POLICY)));
  HF_TRY(hf_json_add_member(out, "uri", options_get(agent->options, OPTION_URI)));
  HF_TRY(add_sockets(agent, out));
  HF_TRY(add_tokens(agent, out));
  return hf_buf_add_str(out, "}\n");
}
