/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/registry_record.h"

#include <openssl/evp.h>

enum { RECORD_FORMAT = 1, CHECKSUM_BYTES = 8 };

static hf_err checksum(const void *data, size_t len, uint8_t out[EVP_MAX_MD_SIZE])
{
  return EVP_Digest(data, len, out, NULL, EVP_sha256(), NULL) == 1 ? HF_OK : hf_fail(HF_ERR_INTERNAL, "SHA-256");
}

hf_err record_begin(struct hf_buf *out)
{
  return hf_buf_add_u8(out, RECORD_FORMAT);
}

hf_err record_end(struct hf_buf *out)
{
  uint8_t sum[EVP_MAX_MD_SIZE];
  HF_TRY(checksum(out->data, out->len, sum));
  return hf_buf_add(out, sum, CHECKSUM_BYTES);
}

hf_err record_open(struct hf_slice bytes, const char *what, struct hf_slice *ret_fields)
{
  uint8_t sum[EVP_MAX_MD_SIZE], format;
  if (bytes.len <= CHECKSUM_BYTES)
    return hf_fail(HF_ERR_REGISTRY, "%s is cut short", what);
  struct hf_slice body = { bytes.data, bytes.len - CHECKSUM_BYTES };
  HF_TRY(checksum(body.data, body.len, sum));
  if (memcmp(sum, body.data + body.len, CHECKSUM_BYTES) != 0)
    return hf_fail(HF_ERR_REGISTRY, "%s has a wrong checksum", what);
  HF_TRY(hf_take_u8(&body, &format));
  if (format != RECORD_FORMAT)
    return hf_fail(HF_ERR_REGISTRY_VERSION, "%s has format %u", what, format);
  *ret_fields = body;
  return HF_OK;
}

/* Fields */

static hf_err add_bytes(struct hf_buf *out, const void *data, size_t len)
{
  HF_TRY(hf_buf_add_u32(out, (uint32_t)len));
  return hf_buf_add(out, data, len);
}

static hf_err add_text(struct hf_buf *out, const char *text)
{
  return add_bytes(out, text, strlen(text));
}

static hf_err add_time(struct hf_buf *out, int64_t time)
{
  return hf_buf_add_u64(out, (uint64_t)time);
}

static hf_err add_serial(struct hf_buf *out, const struct registry_serial *serial)
{
  return add_bytes(out, serial->bytes, serial->len);
}

static hf_err take_bytes(struct hf_slice *in, struct hf_slice *ret_bytes)
{
  uint32_t len;
  const uint8_t *data;
  HF_TRY(hf_take_u32(in, &len));
  HF_TRY(hf_take(in, len, &data));
  *ret_bytes = hf_slice(data, len);
  return HF_OK;
}

static hf_err take_text(struct hf_slice *in, char *out, size_t size)
{
  struct hf_slice text;
  HF_TRY(take_bytes(in, &text));
  if (text.len >= size || memchr(text.data, '\0', text.len))
    return hf_fail(HF_ERR_PARSE, "a text of %zu bytes", text.len);
  memcpy(out, text.data, text.len);
  out[text.len] = '\0';
  return HF_OK;
}

static hf_err take_fixed(struct hf_slice *in, void *out, size_t len)
{
  const uint8_t *data;
  HF_TRY(hf_take(in, len, &data));
  memcpy(out, data, len);
  return HF_OK;
}

static hf_err take_time(struct hf_slice *in, int64_t *ret_time)
{
  uint64_t time;
  HF_TRY(hf_take_u64(in, &time));
  *ret_time = (int64_t)time;
  return HF_OK;
}

/* One of a few. */
static hf_err take_choice(struct hf_slice *in, uint8_t last, uint8_t *ret_choice)
{
  HF_TRY(hf_take_u8(in, ret_choice));
  return *ret_choice <= last ? HF_OK : hf_fail(HF_ERR_PARSE, "the number %u", *ret_choice);
}

static hf_err take_serial(struct hf_slice *in, struct registry_serial *ret_serial)
{
  struct hf_slice bytes;
  HF_TRY(take_bytes(in, &bytes));
  if (bytes.len > sizeof(ret_serial->bytes))
    return hf_fail(HF_ERR_PARSE, "a serial number of %zu bytes", bytes.len);
  memcpy(ret_serial->bytes, bytes.data, bytes.len);
  ret_serial->len = (uint8_t)bytes.len;
  return HF_OK;
}

/* What is whole by its checksum but not of the form. */
static hf_err of_form(hf_err e, const char *what)
{
  return e.code == HF_ERR_PARSE ? hf_fail(HF_ERR_REGISTRY, "%s is not of the form", what) : e;
}

/* Devices */

static hf_err add_password(const struct registry_password *password, struct hf_buf *out)
{
  HF_TRY(hf_buf_add(out, password->salt, sizeof(password->salt)));
  HF_TRY(hf_buf_add(out, password->hash, sizeof(password->hash)));
  HF_TRY(hf_buf_add_u32(out, password->memory));
  HF_TRY(hf_buf_add_u32(out, password->passes));
  HF_TRY(add_time(out, password->expires));
  HF_TRY(hf_buf_add_u32(out, password->uses));
  HF_TRY(add_time(out, password->used));
  HF_TRY(hf_buf_add(out, password->used_request, sizeof(password->used_request)));
  return add_serial(out, &password->used_serial);
}

static hf_err take_password(struct hf_slice *in, struct registry_password *password)
{
  HF_TRY(take_fixed(in, password->salt, sizeof(password->salt)));
  HF_TRY(take_fixed(in, password->hash, sizeof(password->hash)));
  HF_TRY(hf_take_u32(in, &password->memory));
  HF_TRY(hf_take_u32(in, &password->passes));
  HF_TRY(take_time(in, &password->expires));
  HF_TRY(hf_take_u32(in, &password->uses));
  HF_TRY(take_time(in, &password->used));
  HF_TRY(take_fixed(in, password->used_request, sizeof(password->used_request)));
  return take_serial(in, &password->used_serial);
}

hf_err record_add_device(const struct registry_device *device, struct hf_buf *out)
{
  HF_TRY(record_begin(out));
  HF_TRY(add_text(out, device->id));
  HF_TRY(hf_buf_add_u8(out, (uint8_t)device->state));
  HF_TRY(add_time(out, device->created));
  HF_TRY(add_text(out, device->alt_names));
  HF_TRY(hf_buf_add_u8(out, device->has_password));
  if (device->has_password)
    HF_TRY(add_password(&device->password, out));
  return record_end(out);
}

static hf_err take_device(struct hf_slice in, struct registry_device *device)
{
  uint8_t state, has_password;
  HF_TRY(take_text(&in, device->id, sizeof(device->id)));
  HF_TRY(take_choice(&in, REGISTRY_REVOKED, &state));
  HF_TRY(take_time(&in, &device->created));
  HF_TRY(take_text(&in, device->alt_names, sizeof(device->alt_names)));
  HF_TRY(take_choice(&in, 1, &has_password));
  if (has_password)
    HF_TRY(take_password(&in, &device->password));
  device->state = (enum registry_state)state;
  device->has_password = has_password;
  return hf_take_end(&in);
}

hf_err record_take_device(struct hf_slice bytes, struct registry_device *ret_device)
{
  static const char what[] = "a device's record";
  struct hf_slice fields;
  struct registry_device device = { .id = "" };
  HF_TRY(record_open(bytes, what, &fields));
  HF_TRY(of_form(take_device(fields, &device), what));
  *ret_device = device;
  return HF_OK;
}

/* Certificates */

hf_err record_add_certificate(const struct registry_certificate *certificate, struct hf_buf *out)
{
  HF_TRY(record_begin(out));
  HF_TRY(add_serial(out, &certificate->serial));
  HF_TRY(hf_buf_add_u8(out, (uint8_t)certificate->kind));
  HF_TRY(add_text(out, certificate->device));
  HF_TRY(add_time(out, certificate->issued));
  HF_TRY(add_time(out, certificate->not_before));
  HF_TRY(add_time(out, certificate->not_after));
  HF_TRY(add_time(out, certificate->revoked));
  HF_TRY(hf_buf_add_u8(out, (uint8_t)certificate->reason));
  HF_TRY(add_bytes(out, certificate->der.data, certificate->der.len));
  return record_end(out);
}

static hf_err take_certificate(struct hf_slice in, struct registry_certificate *certificate)
{
  uint8_t kind, reason;
  HF_TRY(take_serial(&in, &certificate->serial));
  HF_TRY(take_choice(&in, REGISTRY_AUTHORITY, &kind));
  HF_TRY(take_text(&in, certificate->device, sizeof(certificate->device)));
  HF_TRY(take_time(&in, &certificate->issued));
  HF_TRY(take_time(&in, &certificate->not_before));
  HF_TRY(take_time(&in, &certificate->not_after));
  HF_TRY(take_time(&in, &certificate->revoked));
  HF_TRY(hf_take_u8(&in, &reason));
  HF_TRY(take_bytes(&in, &certificate->der));
  certificate->kind = (enum registry_kind)kind;
  certificate->reason = reason;
  return hf_take_end(&in);
}

hf_err record_take_certificate(struct hf_slice bytes, struct registry_certificate *ret_certificate)
{
  static const char what[] = "a certificate's record";
  struct hf_slice fields;
  struct registry_certificate certificate = { .device = "" };
  HF_TRY(record_open(bytes, what, &fields));
  HF_TRY(of_form(take_certificate(fields, &certificate), what));
  *ret_certificate = certificate;
  return HF_OK;
}

/* Requests */

hf_err record_add_request(const struct registry_request *request, struct hf_buf *out)
{
  HF_TRY(record_begin(out));
  HF_TRY(hf_buf_add_u64(out, request->id));
  HF_TRY(hf_buf_add_u8(out, (uint8_t)request->decision));
  HF_TRY(add_text(out, request->device));
  HF_TRY(add_text(out, request->from));
  HF_TRY(add_time(out, request->received));
  HF_TRY(add_bytes(out, request->der.data, request->der.len));
  return record_end(out);
}

static hf_err take_request(struct hf_slice in, struct registry_request *request)
{
  uint8_t decision;
  HF_TRY(hf_take_u64(&in, &request->id));
  HF_TRY(take_choice(&in, REGISTRY_REFUSED, &decision));
  HF_TRY(take_text(&in, request->device, sizeof(request->device)));
  HF_TRY(take_text(&in, request->from, sizeof(request->from)));
  HF_TRY(take_time(&in, &request->received));
  HF_TRY(take_bytes(&in, &request->der));
  request->decision = (enum registry_decision)decision;
  return hf_take_end(&in);
}

hf_err record_take_request(struct hf_slice bytes, struct registry_request *ret_request)
{
  static const char what[] = "a waiting request's record";
  struct hf_slice fields;
  struct registry_request request = { .device = "" };
  HF_TRY(record_open(bytes, what, &fields));
  HF_TRY(of_form(take_request(fields, &request), what));
  *ret_request = request;
  return HF_OK;
}
