/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/bridge_session.h"

#include "base/file.h"
#include "gateway/flight.h"

#include <sys/random.h>

/* The file: a line "holdfast-bridge-session 1", a line with the salt, then "local FILTER" and "cloud FILTER" lines. */
#define HEADER "holdfast-bridge-session 1\n"

enum { FILE_MAX = 2 * BRIDGE_FILTERS_MAX };

static const char *const side_names[BRIDGE_SIDES] = { "local", "cloud" };

bool bridge_filters_next(struct hf_slice *filters, struct hf_slice *ret_filter)
{
  if (filters->len == 0)
    return false;
  size_t len = strnlen((const char *)filters->data, filters->len);
  *ret_filter = hf_slice(filters->data, len);
  size_t step = len < filters->len ? len + 1 : len;
  *filters = hf_slice(filters->data + step, filters->len - step);
  return true;
}

bool bridge_filters_have(struct hf_slice filters, struct hf_slice filter)
{
  struct hf_slice one;
  while (bridge_filters_next(&filters, &one))
    if (hf_slice_equal(one, filter))
      return true;
  return false;
}

hf_err bridge_filters_add(struct hf_buf *filters, struct hf_slice filter)
{
  HF_TRY(hf_buf_add(filters, filter.data, filter.len));
  return hf_buf_add_u8(filters, 0);
}

/* A line without its end; false where there is none. */
static bool next_line(struct hf_slice *rest, struct hf_slice *ret_line)
{
  const uint8_t *end = rest->len ? memchr(rest->data, '\n', rest->len) : NULL;
  if (!end)
    return false;
  size_t len = (size_t)(end - rest->data);
  *ret_line = hf_slice(rest->data, len);
  *rest = hf_slice(end + 1, rest->len - len - 1);
  return true;
}

static bool take_filter(struct bridge_session *session, struct hf_slice line)
{
  for (size_t i = 0; i < BRIDGE_SIDES; i++) {
    size_t len = strlen(side_names[i]);
    if (line.len > len && memcmp(line.data, side_names[i], len) == 0 && line.data[len] == ' ')
      return !hf_failed(bridge_filters_add(&session->filters[i], hf_slice(line.data + len + 1, line.len - len - 1)));
  }
  return false;
}

static bool parse(struct hf_slice text, struct bridge_session *session)
{
  struct hf_slice line;
  size_t header = sizeof(HEADER) - 1;
  if (text.len < header || memcmp(text.data, HEADER, header) != 0)
    return false;
  text = hf_slice(text.data + header, text.len - header);
  unsigned salt = 0;
  char number[8] = "";
  if (!next_line(&text, &line) || line.len >= sizeof(number))
    return false;
  memcpy(number, line.data, line.len);
  if (sscanf(number, "%u", &salt) != 1 || salt >= FLIGHT_IDS)
    return false;
  session->salt = (uint16_t)salt;
  while (next_line(&text, &line))
    if (!take_filter(session, line))
      return false;
  return text.len == 0;
}

static hf_err save(const struct bridge_session *session)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(FILE_MAX);
  HF_TRY(hf_buf_addf(&text, HEADER "%u\n", session->salt));
  for (size_t i = 0; i < BRIDGE_SIDES; i++) {
    struct hf_slice rest = hf_slice(session->filters[i].data, session->filters[i].len), filter;
    while (bridge_filters_next(&rest, &filter))
      HF_TRY(hf_buf_addf(&text, "%s %.*s\n", side_names[i], (int)filter.len, (const char *)filter.data));
  }
  return hf_file_write(session->path, text.data, text.len, 0600);
}

static hf_err make(struct bridge_session *session)
{
  if (getrandom(&session->salt, sizeof(session->salt), 0) != sizeof(session->salt))
    return hf_fail(HF_ERR_IO, "random numbers");
  session->salt = (uint16_t)(session->salt % FLIGHT_IDS);
  return save(session);
}

static hf_err load(struct bridge_session *session)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(FILE_MAX);
  hf_err e = hf_file_read(session->path, &text);
  if (e.code == HF_ERR_NOT_FOUND)
    return make(session);
  HF_TRY(e);
  if (parse(hf_slice(text.data, text.len), session))
    return HF_OK;
  return hf_hint(hf_fail(HF_ERR_CONFIG, "%s is damaged", session->path), "Remove it: the bridge then subscribes anew.");
}

hf_err bridge_session_open(const char *dir, struct bridge_session *ret_session)
{
  HF_CLEANUP(bridge_session_free) struct bridge_session session = { 0 };
  for (size_t i = 0; i < BRIDGE_SIDES; i++)
    session.filters[i] = HF_BUF(BRIDGE_FILTERS_MAX);
  if ((size_t)snprintf(session.path, sizeof(session.path), "%s/session", dir) >= sizeof(session.path))
    return hf_fail(HF_ERR_LIMIT, "the path %s", dir);
  HF_TRY(load(&session));
  *ret_session = session;
  session = (struct bridge_session){ 0 };
  return HF_OK;
}

void bridge_session_free(struct bridge_session *session)
{
  for (size_t i = 0; i < BRIDGE_SIDES; i++)
    hf_buf_free(&session->filters[i]);
}

hf_err bridge_session_subscribed(struct bridge_session *session, enum bridge_side side, struct hf_slice filters)
{
  struct hf_buf *noted = &session->filters[side];
  if (hf_slice_equal(hf_slice(noted->data, noted->len), filters))
    return HF_OK;
  hf_buf_drop(noted, noted->len);
  HF_TRY(hf_buf_add(noted, filters.data, filters.len));
  return save(session);
}
