/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/download.h"

#include "identity/est.h"

#include <inttypes.h>
#include <time.h>

enum { ANSWER_MAX = 16 * 1024, PAUSE_FIRST_S = 1, PAUSE_MAX_S = 16, BEGINS_MAX = 3 };

struct run {
  const struct download_options *options;
  struct part *part;
  struct http *http;
  uint64_t size;   /* of the whole, as the server says; 0: not known */
  uint64_t asked;  /* where we asked it to begin */
  bool judged;     /* the head of this answer */
  bool answered;   /* the server has given something of the file, in this run */
  bool again;      /* what failed may go better next time */
  time_t heard_s;  /* when something came last, or it began */
  unsigned begins; /* from the front */
};

static void tell(const struct run *run)
{
  const struct download_options *o = run->options;
  if (o->progress)
    o->progress(part_size(run->part), run->size, o->progress_arg);
}

static bool on_progress(void *arg, uint64_t received, uint64_t expected)
{
  const struct run *run = arg;
  (void)received;
  (void)expected;
  tell(run);
  return !observer_is_cancelled(run->options->observer);
}

static hf_err check_size(const struct run *run, uint64_t size)
{
  const struct download_options *o = run->options;
  if (o->size && size != o->size)
    return hf_fail(HF_ERR_WRONG_FILE, "it has %" PRIu64 " bytes, and should have %" PRIu64, size, o->size);
  if (size > o->max)
    return hf_hint(hf_fail(HF_ERR_LIMIT, "it has more than %" PRIu64 " bytes", o->max), "Allow it by --max-size.");
  return HF_OK;
}

/* A part of the version that is here, from where it ends. */
static bool goes_on(const struct run *run, const struct http_response *response)
{
  bool same = !response->etag[0] || strcmp(response->etag, part_etag(run->part)) == 0;
  return response->status == 206 && run->asked && response->has_range && response->range_start == run->asked && same;
}

/* The answer's head, before anything of its body is taken. */
static hf_err judge(struct run *run, const struct http_response *response)
{
  run->judged = true;
  if (goes_on(run, response)) {
    run->size = response->range_size;
  } else {
    if (response->status == 206) {
      HF_TRY(part_begin(run->part, ""));
      run->again = true;
      return hf_fail(HF_ERR_HTTP, "the server gave another part than the one that was asked for");
    }
    if (run->asked)
      observer_note(run->options->observer, "The server has another version now, or cannot go on: from the start");
    run->size = response->has_length ? response->length : 0;
    run->begins++;
    HF_TRY(part_begin(run->part, response->etag));
  }
  run->answered = true;
  run->heard_s = est_clock_s();
  HF_TRY(run->size ? check_size(run, run->size) : HF_OK);
  return run->size ? part_check_room(run->part, run->size - part_size(run->part)) : HF_OK;
}

static hf_err on_piece(void *arg, const struct http_response *response, struct hf_slice piece)
{
  struct run *run = arg;
  if (!run->judged)
    HF_TRY(judge(run, response));
  uint64_t size = part_size(run->part) + piece.len, most = run->options->size ? run->options->size : run->options->max;
  if (size > most)
    HF_TRY(check_size(run, size));
  HF_TRY(part_add(run->part, piece));
  run->heard_s = est_clock_s();
  tell(run);
  return HF_OK;
}

/* Nothing is left to ask for; or what is here is longer than the file, and so is none of it. */
static hf_err out_of_range(struct run *run, const struct http_response *response)
{
  uint64_t size = part_size(run->part);
  if (size && response->has_range && response->range_size == size) {
    run->size = size;
    return check_size(run, size);
  }
  run->again = run->answered = true;
  HF_TRY(part_begin(run->part, ""));
  return hf_fail(HF_ERR_HTTP, "the server has less of it than is here already");
}

static bool is_passing(unsigned status)
{
  static const unsigned statuses[] = { 408, 429, 500, 502, 503, 504 };
  for (size_t i = 0; i < HF_ARRAY_LEN(statuses); i++)
    if (statuses[i] == status)
      return true;
  return false;
}

static hf_err take_answer(struct run *run, const struct http_request *request, const struct http_response *response)
{
  if (response->status == 416 && run->asked)
    return out_of_range(run, response);
  if (response->status != 200 && response->status != 206) {
    run->again = is_passing(response->status);
    return http_refused(request, response);
  }
  if (!run->judged) /* an empty file */
    HF_TRY(judge(run, response));
  return check_size(run, part_size(run->part));
}

/* Of what http_perform fails with. A server that is being started anew breaks TLS off in many ways. */
static bool may_pass(hf_err e)
{
  static const enum hf_code codes[] = { HF_ERR_HTTP, HF_ERR_UNREACHABLE, HF_ERR_TIMEOUT, HF_ERR_LOST, HF_ERR_TLS };
  for (size_t i = 0; i < HF_ARRAY_LEN(codes); i++)
    if (codes[i] == e.code)
      return true;
  return false;
}

static hf_err ask(struct run *run)
{
  char range[64], if_range[HTTP_ETAG_MAX + 16];
  struct http_request request = { .url = run->options->url, .take = on_piece, .take_arg = run };
  HF_CLEANUP(http_response_free) struct http_response response = { .body = HF_BUF(ANSWER_MAX) };
  run->judged = run->again = false;
  run->asked = part_size(run->part);
  snprintf(range, sizeof(range), "Range: bytes=%" PRIu64 "-", run->asked);
  snprintf(if_range, sizeof(if_range), "If-Range: %s", part_etag(run->part));
  if (run->asked) {
    request.headers[0] = range;
    request.headers[1] = if_range;
  }
  hf_err e = http_perform(run->http, &request, &response);
  if (!hf_failed(e))
    return take_answer(run, &request, &response);
  run->again = run->again || may_pass(e);
  return e;
}

/* The server has been silent or away for too long, or gives another file each time. */
static bool is_over(const struct run *run)
{
  return est_clock_s() - run->heard_s >= (time_t)run->options->stall_timeout_s || run->begins >= BEGINS_MAX;
}

static hf_err wait_after(const struct run *run, hf_err e, unsigned pause_s)
{
  char text[HF_CONTEXT_MAX + 256];
  hf_err_format(e, text, sizeof(text));
  observer_note(run->options->observer, "%s; it is tried again", text);
  return observer_wait(run->options->observer, "Before the next try", pause_s);
}

static hf_err run_all(struct run *run)
{
  for (unsigned pause_s = PAUSE_FIRST_S;; pause_s = 2 * pause_s < PAUSE_MAX_S ? 2 * pause_s : PAUSE_MAX_S) {
    uint64_t before = part_size(run->part);
    hf_err e = ask(run);
    if (!hf_failed(e) || !run->again || !run->answered || is_over(run))
      return e;
    if (part_size(run->part) > before)
      pause_s = PAUSE_FIRST_S;
    HF_TRY(wait_after(run, e, pause_s));
  }
}

hf_err download(const struct download_options *options, struct part *part)
{
  struct run run = { .options = options, .part = part, .heard_s = est_clock_s() };
  struct http_options http_options = *options->http;
  http_options.stall_timeout_s = options->stall_timeout_s;
  if (options->stall_timeout_s < HTTP_CONNECT_TIMEOUT_S)
    http_options.connect_timeout_s = options->stall_timeout_s;
  http_options.progress = on_progress;
  http_options.progress_arg = &run;
  HF_TRY(http_new(&http_options, &run.http));
  hf_err e = run_all(&run);
  http_free(run.http);
  return e;
}
