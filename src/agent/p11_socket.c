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

enum { ANSWER_MAX = 64 << 20 };

struct channel {
  int client;
  int file;
  uint8_t version; /* what both sides agreed on */
  struct hf_buf request; /* file's first bytes and the whole frame */
  struct hf_buf answer;
};

/* *ret_end: the client hung up before the first byte. */
static hf_err read_all(int fd, uint8_t *out, size_t len, bool *ret_end)
{
  for (size_t done = 0; done < len;) {
    ssize_t n = recv(fd, out + done, len - done, MSG_WAITALL);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return hf_fail_errno(errno, "a PKCS #11 client");
    if (n == 0 && done == 0 && ret_end) {
      *ret_end = true;
      return HF_OK;
    }
    if (n == 0)
      return hf_fail(HF_ERR_PARSE, "a PKCS #11 client hung up in a request");
    done += (size_t)n;
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

/* Puts the request into the file, and nothing after it. */
static hf_err fill_file(struct channel *channel)
{
  const struct hf_buf *request = &channel->request;
  if (ftruncate(channel->file, (off_t)request->len) != 0 || lseek(channel->file, 0, SEEK_SET) != 0)
    return hf_fail_errno(errno, "a file in memory");
  if (pwrite(channel->file, request->data, request->len, 0) != (ssize_t)request->len)
    return hf_fail_errno(errno ? errno : EIO, "a file in memory");
  return HF_OK;
}

/* Has libp11-kit work on the request; what it appends to the file is the answer. */
static hf_err serve_file(struct channel *channel)
{
  HF_TRY(fill_file(channel));
  if (p11_kit_remote_serve_module(guard_functions(), channel->file, channel->file) != 0)
    return hf_fail(HF_ERR_PARSE, "a PKCS #11 request that libp11-kit does not understand");
  off_t end = lseek(channel->file, 0, SEEK_END);
  off_t start = (off_t)channel->request.len;
  uint8_t *room;
  channel->answer.len = 0;
  if (end < start)
    return hf_fail(HF_ERR_INTERNAL, "no answer to a PKCS #11 request");
  HF_TRY(hf_buf_reserve(&channel->answer, (size_t)(end - start), &room));
  if (pread(channel->file, room, (size_t)(end - start), start) != end - start)
    return hf_fail_errno(errno ? errno : EIO, "a file in memory");
  hf_buf_commit(&channel->answer, (size_t)(end - start));
  return HF_OK;
}

/* The client says which version of the protocol it speaks, libp11-kit which one it will be. */
static hf_err agree_on_version(struct channel *channel, bool *ret_end)
{
  uint8_t first[REQUEST_AT] = { 0 };
  HF_TRY(read_all(channel->client, &first[VERSION_AT], 1, ret_end));
  if (*ret_end)
    return HF_OK;
  HF_TRY(hf_buf_add(&channel->request, first, sizeof(first)));
  HF_TRY(serve_file(channel));
  if (pread(channel->file, &channel->version, 1, ANSWERED_VERSION_AT) != 1)
    return hf_fail_errno(EIO, "a file in memory");
  channel->request.data[VERSION_AT] = channel->version;
  return write_all(channel->client, &channel->version, 1);
}

static hf_err read_request(struct channel *channel, struct p11_frame *ret_frame, bool *ret_end)
{
  uint8_t header[P11_FRAME_HEADER], *room;
  channel->request.len = REQUEST_AT;
  HF_TRY(read_all(channel->client, header, sizeof(header), ret_end));
  if (*ret_end)
    return HF_OK;
  HF_TRY(p11_frame_header(header, ret_frame));
  size_t len = ret_frame->options_len + (size_t)ret_frame->message_len;
  HF_TRY(hf_buf_add(&channel->request, header, sizeof(header)));
  HF_TRY(hf_buf_reserve(&channel->request, len, &room));
  HF_TRY(read_all(channel->client, room, len, NULL));
  hf_buf_commit(&channel->request, len);
  return HF_OK;
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
  return write_all(channel->client, channel->answer.data, channel->answer.len);
}

static hf_err serve(struct agent *agent, int fd, const struct peer *peer)
{
  struct channel channel = {
    .client = fd,
    .file = memfd_create("pkcs11-request", MFD_CLOEXEC),
    .request = HF_BUF(REQUEST_AT + P11_FRAME_HEADER + P11_FRAME_OPTIONS_MAX + P11_FRAME_MESSAGE_MAX),
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
