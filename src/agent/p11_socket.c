/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PKCS #11 socket: p11-kit's RPC over the guarded function list.
 *
 * libp11-kit reads a request and writes its answer by itself, on descriptors, without a limit to either. So it gets each
 * request by itself, after a look at it, in a file in memory: it reads the version byte, writes its own, reads the
 * request, calls the guard, writes the answer, and returns at the end of the file. All state is the guard's.
 */
#define P11_KIT_FUTURE_UNSTABLE_API

#include "agent/guard.h"
#include "agent/p11_frame.h"

#include "base/log.h"

#include <errno.h>
#include <p11-kit/remote.h>
#include <sys/mman.h>
#include <sys/socket.h>

/* Of the file: the client's version byte, ours over the next one, then the request, then the answer. */
enum { VERSION_AT = 0, ANSWERED_VERSION_AT = 1, REQUEST_AT = 2 };

enum { ANSWER_MAX = 64 << 20, READ_AHEAD = 4096, FILE_MAX = 64 << 10 };

struct channel {
  int client;
  int file;
  struct hf_buf request; /* the file's first bytes, then what came from the client: a frame, and what came after it */
  size_t request_len;    /* of it up to the frame's end */
  off_t at;              /* where the next request goes: the file's end, and its offset */
  struct hf_buf answer;
};

/*
 * Waits until the request holds this much; takes what there is, since the client writes a frame in three pieces, and each
 * read wakes it. *ret_end: it hung up between two requests.
 */
static hf_err receive(struct channel *channel, size_t len, bool *ret_end)
{
  struct hf_buf *request = &channel->request;
  while (request->len < len) {
    uint8_t *room;
    size_t size = len - request->len > READ_AHEAD ? len - request->len : READ_AHEAD;
    HF_TRY(hf_buf_reserve(request, size, &room));
    ssize_t n = recv(channel->client, room, size, 0);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return hf_fail_errno(errno, "a PKCS #11 client");
    if (n == 0 && request->len > REQUEST_AT)
      return hf_fail(HF_ERR_PARSE, "a PKCS #11 client hung up in a request");
    if (n == 0) {
      *ret_end = true;
      return HF_OK;
    }
    hf_buf_commit(request, (size_t)n);
  }
  return HF_OK;
}

static hf_err write_all(int fd, const uint8_t *data, size_t len)
{
  for (size_t done = 0; done < len;) {
    ssize_t n = send(fd, data + done, len - done, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return hf_fail_errno(errno, "a PKCS #11 client");
    done += (size_t)n;
  }
  return HF_OK;
}

/* Appends the request to the file, which starts anew now and then. */
static hf_err fill_file(struct channel *channel)
{
  size_t len = channel->request_len;
  if (channel->at > FILE_MAX) {
    if (ftruncate(channel->file, 0) != 0 || lseek(channel->file, 0, SEEK_SET) != 0)
      return hf_fail_errno(errno, "a file in memory");
    channel->at = 0;
  }
  errno = EIO;
  if (pwrite(channel->file, channel->request.data, len, channel->at) != (ssize_t)len)
    return hf_fail_errno(errno, "a file in memory");
  return HF_OK;
}

/* All that libp11-kit has written after the request. */
static hf_err read_answer(struct channel *channel)
{
  off_t start = channel->at + (off_t)channel->request_len;
  ssize_t n;
  channel->answer.len = 0;
  do {
    uint8_t *room;
    HF_TRY(hf_buf_reserve(&channel->answer, READ_AHEAD, &room));
    n = pread(channel->file, room, READ_AHEAD, start + (off_t)channel->answer.len);
    if (n < 0)
      return hf_fail_errno(errno, "a file in memory");
    hf_buf_commit(&channel->answer, (size_t)n);
  } while (n == READ_AHEAD);
  channel->at = start + (off_t)channel->answer.len;
  return HF_OK;
}

/* Has libp11-kit work on the request. It reads on to the file's end, which is behind its answer. */
static hf_err serve_file(struct channel *channel)
{
  HF_TRY(fill_file(channel));
  if (p11_kit_remote_serve_module(guard_functions(), channel->file, channel->file) != 0)
    return hf_fail(HF_ERR_PARSE, "a PKCS #11 request that libp11-kit does not understand");
  return read_answer(channel);
}

/* What came after the request is the beginning of the next one. */
static void next_request(struct channel *channel)
{
  struct hf_buf *request = &channel->request;
  size_t left = request->len - channel->request_len;
  memmove(request->data + REQUEST_AT, request->data + channel->request_len, left);
  request->len = REQUEST_AT + left;
}

/* The client says which version of the protocol it speaks, libp11-kit which one it will be. */
static hf_err agree_on_version(struct channel *channel, bool *ret_end)
{
  uint8_t version;
  HF_TRY(hf_buf_add(&channel->request, (const uint8_t[REQUEST_AT]){ 0 }, REQUEST_AT));
  HF_TRY(receive(channel, REQUEST_AT + 1, ret_end));
  if (*ret_end)
    return HF_OK;
  channel->request.data[VERSION_AT] = channel->request.data[REQUEST_AT];
  channel->request_len = REQUEST_AT;
  HF_TRY(serve_file(channel));
  /* The first request is at the file's beginning. */
  if (pread(channel->file, &version, 1, ANSWERED_VERSION_AT) != 1)
    return hf_fail_errno(EIO, "a file in memory");
  channel->request.data[VERSION_AT] = version;
  channel->request_len = REQUEST_AT + 1;
  next_request(channel);
  return write_all(channel->client, &version, 1);
}

static hf_err read_request(struct channel *channel, struct p11_frame *ret_frame, bool *ret_end)
{
  HF_TRY(receive(channel, REQUEST_AT + P11_FRAME_HEADER, ret_end));
  if (*ret_end)
    return HF_OK;
  HF_TRY(p11_frame_header(channel->request.data + REQUEST_AT, ret_frame));
  channel->request_len = REQUEST_AT + P11_FRAME_HEADER + ret_frame->options_len + ret_frame->message_len;
  return receive(channel, channel->request_len, ret_end);
}

static hf_err serve_request(struct channel *channel, bool *ret_end)
{
  struct p11_frame frame = { 0 };
  HF_TRY(read_request(channel, &frame, ret_end));
  if (*ret_end)
    return HF_OK;
  const uint8_t *message = channel->request.data + REQUEST_AT + P11_FRAME_HEADER + frame.options_len;
  CK_RV rv = p11_frame_check(hf_slice(message, frame.message_len));
  channel->answer.len = 0;
  HF_TRY(rv == CKR_OK ? serve_file(channel) : p11_frame_error(frame.code, rv, &channel->answer));
  next_request(channel);
  return write_all(channel->client, channel->answer.data, channel->answer.len);
}

static hf_err serve(struct agent *agent, int fd, const struct peer *peer)
{
  struct channel channel = {
    .client = fd,
    .file = memfd_create("pkcs11-request", MFD_CLOEXEC),
    .request = HF_BUF(REQUEST_AT + P11_FRAME_HEADER + P11_FRAME_OPTIONS_MAX + P11_FRAME_MESSAGE_MAX + READ_AHEAD),
    .answer = HF_BUF(ANSWER_MAX),
  };
  if (channel.file < 0)
    return hf_fail_errno(errno, "a file in memory");
  hf_err e = guard_begin(agent, peer);
  if (!hf_failed(e)) {
    bool end = false;
    e = agree_on_version(&channel, &end);
    while (!hf_failed(e) && !end)
      e = serve_request(&channel, &end);
    guard_end();
  }
  hf_buf_free(&channel.request);
  hf_buf_free(&channel.answer);
  close(channel.file);
  return e;
}

void p11_socket_serve(struct agent *agent, int fd, const struct peer *peer)
{
  hf_err e = serve(agent, fd, peer);
  if (hf_failed(e))
    hf_ignore(hf_log_err(e, "serving a PKCS #11 client"));
}
