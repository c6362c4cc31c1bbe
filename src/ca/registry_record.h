/* SPDX-License-Identifier: Apache-2.0 */
/* The registry's records as bytes: a format's number, the fields, a checksum. */
#ifndef HF_CA_REGISTRY_RECORD_H
#define HF_CA_REGISTRY_RECORD_H

#include "ca/registry.h"

enum { RECORD_MAX = REGISTRY_DER_MAX + REGISTRY_NAMES_MAX + 1024 };

/* Each appends a whole record. */
hf_err record_add_device(const struct registry_device *device, struct hf_buf *out);
hf_err record_add_certificate(const struct registry_certificate *certificate, struct hf_buf *out);
hf_err record_add_request(const struct registry_request *request, struct hf_buf *out);

/* Fail with REGISTRY, REGISTRY_VERSION. A der stays within bytes. */
hf_err record_take_device(struct hf_slice bytes, struct registry_device *ret_device);
hf_err record_take_certificate(struct hf_slice bytes, struct registry_certificate *ret_certificate);
hf_err record_take_request(struct hf_slice bytes, struct registry_request *ret_request);

/* The same frame around anything else: begin, fields, end; open gives what lies between. */
hf_err record_begin(struct hf_buf *out);
hf_err record_end(struct hf_buf *out);
hf_err record_open(struct hf_slice bytes, const char *what, struct hf_slice *ret_fields);

#endif
