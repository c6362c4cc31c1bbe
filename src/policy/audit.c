/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/audit.h"

#include "base/json_text.h"
#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

enum { LINE_MAX_BYTES = 32 * 1024, JOURNAL_WAIT_MS = 200 };

static const char *writer = "holdfast";
static enum audit_target target = AUDIT_OFF;
static int out_fd = -1;
static atomic_ulong lost;

hf_err audit_target_parse(const char *name, enum audit_target *ret_target)
{
  static const char *const names[] = {
    [AUDIT_AUTO] = "auto", [AUDIT_JOURNAL] = "journal", [AUDIT_JSON] = "json", [AUDIT_OFF] = "off"
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(names); i++)
    if (strcmp(names[i], name) == 0) {
      *ret_target = (enum audit_target)i;
      return HF_OK;
    }
  return hf_hint(hf_fail(HF_ERR_USAGE, "there is no audit target '%s'", name), "It is auto, journal, json or off.");
}

/* See sd-daemon's JOURNAL_STREAM: device and inode of the stream that standard error was connected to. */
static bool stderr_is_journal(void)
{
  const char *stream = getenv("JOURNAL_STREAM");
  struct stat status;
  if (!stream || fstat(STDERR_FILENO, &status) != 0)
    return false;
  char ours[64];
  snprintf(ours, sizeof(ours), "%llu:%llu", (unsigned long long)status.st_dev, (unsigned long long)status.st_ino);
  return strcmp(ours, stream) == 0;
}

static hf_err open_journal(int *ret_fd)
{
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return hf_fail_errno(errno, "a socket for the journal");
  struct sockaddr_un to = { .sun_family = AF_UNIX, .sun_path = JOURNAL_SOCKET };
  struct timeval wait = { .tv_usec = JOURNAL_WAIT_MS * 1000 };
  if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) == 0 &&
      connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0) {
    *ret_fd = fd;
    return HF_OK;
  }
  hf_err e = hf_fail_errno(errno, "the journal's socket %s", JOURNAL_SOCKET);
  close(fd);
  return hf_hint(e, "Give --audit json to write the audit lines to standard error.");
}

hf_err audit_open(const char *program, enum audit_target wanted, int fd)
{
  writer = program;
  if (wanted == AUDIT_AUTO)
    wanted = stderr_is_journal() ? AUDIT_JOURNAL : AUDIT_JSON;
  if (wanted == AUDIT_JOURNAL)
    HF_TRY(open_journal(&fd));
  out_fd = fd;
  target = wanted;
  return HF_OK;
}

unsigned long audit_lost(void)
{
  return atomic_load(&lost);
}

/* What both forms say. A member of NULL is left out. */
struct member {
  const char *json, *journal;
  const char *text;
};

enum { MEMBERS_MAX = 16 };

static size_t members(const struct audit_event *event, struct member *out)
{
  const struct policy_answer *answer = event->answer;
  const char *verdict = NULL;
  if (answer)
    verdict = answer->verdict == VERDICT_ALLOW ? "allow" : answer->rate_limited ? "deny (rate)" : "deny";
  const struct member all[] = {
    { "socket", "HOLDFAST_SOCKET", event->socket },
    { "request", "HOLDFAST_REQUEST", event->request },
    { "op", "HOLDFAST_OP", event->op },
    { "key", "HOLDFAST_KEY", event->key },
    { "secret", "HOLDFAST_SECRET", event->secret },
    { "version", "HOLDFAST_VERSION", event->version },
    { "verdict", "HOLDFAST_VERDICT", verdict },
    { "rule", "HOLDFAST_RULE", answer ? answer->rule : NULL },
    { "to_allow", "HOLDFAST_TO_ALLOW", answer && answer->to_allow[0] ? answer->to_allow : NULL },
    { "result", "HOLDFAST_RESULT", hf_err_name(event->result) },
    { "unit", "HOLDFAST_UNIT", event->peer->unit[0] ? event->peer->unit : NULL },
    { "exe", "HOLDFAST_EXE", event->peer->exe[0] ? event->peer->exe : NULL },
  };
  static_assert(HF_ARRAY_LEN(all) <= MEMBERS_MAX, "room for all members");
  memcpy(out, all, sizeof(all));
  return HF_ARRAY_LEN(all);
}

static hf_err add_time(struct hf_buf *out)
{
  struct timespec now;
  struct tm parts;
  char date[32], text[64];
  clock_gettime(CLOCK_REALTIME, &now);
  gmtime_r(&now.tv_sec, &parts);
  strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &parts);
  snprintf(text, sizeof(text), "%s.%06ldZ", date, now.tv_nsec / 1000);
  return hf_json_add_member(out, "time", text);
}

hf_err audit_format_json(const struct audit_event *event, struct hf_buf *out)
{
  struct member list[MEMBERS_MAX];
  size_t count = members(event, list);
  HF_TRY(hf_buf_add_u8(out, '{'));
  HF_TRY(add_time(out));
  HF_TRY(hf_json_add_member(out, "audit", writer));
  HF_TRY(hf_json_add_number(out, "uid", event->peer->uid));
  HF_TRY(hf_json_add_number(out, "pid", event->peer->pid));
  for (size_t i = 0; i < count; i++)
    HF_TRY(hf_json_add_member(out, list[i].json, list[i].text));
  return hf_buf_addf(out, ",\"seconds\":%.6f}\n", event->seconds);
}

/* A field on one line: a newline would begin another field. */
static hf_err add_field(struct hf_buf *out, const char *name, const char *text)
{
  if (!text)
    return HF_OK;
  HF_TRY(hf_buf_addf(out, "%s=", name));
  for (; *text; text++)
    HF_TRY(hf_buf_add_u8(out, (unsigned char)*text < ' ' ? '?' : (uint8_t)*text));
  return hf_buf_add_u8(out, '\n');
}

hf_err audit_format_journal(const struct audit_event *event, struct hf_buf *out)
{
  struct member list[MEMBERS_MAX];
  size_t count = members(event, list);
  bool denied = event->answer && event->answer->verdict == VERDICT_DENY;
  HF_TRY(hf_buf_addf(out, "MESSAGE=%s by uid %u, pid %d: %s%s\nPRIORITY=%d\n", event->request,
                     (unsigned)event->peer->uid, (int)event->peer->pid, denied ? "denied, " : "",
                     hf_err_name(event->result), denied || hf_failed(event->result) ? LOG_NOTICE : LOG_INFO));
  HF_TRY(add_field(out, "SYSLOG_IDENTIFIER", writer));
  HF_TRY(hf_buf_addf(out, "HOLDFAST_UID=%u\nHOLDFAST_PID=%d\nHOLDFAST_SECONDS=%.6f\n", (unsigned)event->peer->uid,
                     (int)event->peer->pid, event->seconds));
  for (size_t i = 0; i < count; i++)
    HF_TRY(add_field(out, list[i].journal, list[i].text));
  return HF_OK;
}

void audit_write(const struct audit_event *event)
{
  if (target == AUDIT_OFF)
    return;
  HF_CLEANUP(hf_buf_free) struct hf_buf line = HF_BUF(LINE_MAX_BYTES);
  hf_err e = target == AUDIT_JOURNAL ? audit_format_journal(event, &line) : audit_format_json(event, &line);
  ssize_t written = -1;
  if (!hf_failed(e))
    written =
        target == AUDIT_JOURNAL ? send(out_fd, line.data, line.len, MSG_NOSIGNAL) : write(out_fd, line.data, line.len);
  if (written == (ssize_t)line.len)
    return;
  if (atomic_fetch_add(&lost, 1) == 0)
    hf_log(HF_LOG_ERROR, "an audit line could not be written; see the metric audit_lost_total for how many");
}
