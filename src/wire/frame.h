/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frames of tedge-p11-server's socket, both directions, in one struct. A frame on the wire is the version 0, the
 * frame's number, then its fields; it ends with the connection's half, so bytes after the last field are ignored.
 */
#ifndef HF_WIRE_FRAME_H
#define HF_WIRE_FRAME_H

#include "base/buf.h"

enum {
  WIRE_REQUEST_MAX = 1 << 20,  /* bytes; what is to be signed is in it */
  WIRE_RESPONSE_MAX = 1 << 24, /* bytes; a listing */
  WIRE_OFFERED_MAX = 512,      /* signature schemes that a client offers */
  WIRE_ITEMS_MAX = 1 << 16,    /* tokens or keys in a listing */
};

/* One row a frame: name, number, direction. */
#define WIRE_FRAME_TABLE(X)                               \
  X(ERROR, "Error", 0, RESPONSE)                          \
  X(CHOOSE_SCHEME, "ChooseSchemeRequest", 1, REQUEST)     \
  X(SIGN, "SignRequest", 2, REQUEST)                      \
  X(SCHEME, "ChooseSchemeResponse", 3, RESPONSE)          \
  X(SIGNATURE, "SignResponse", 4, RESPONSE)               \
  X(SIGN_WITH, "SignRequestWithSigScheme", 5, REQUEST)    \
  X(GET_PUBLIC_KEY, "GetPublicKeyPemRequest", 6, REQUEST) \
  X(PUBLIC_KEY, "GetPublicKeyPemResponse", 7, RESPONSE)   \
  X(PING, "Ping", 8, REQUEST)                             \
  X(PONG, "Pong", 9, RESPONSE)                            \
  X(CREATE_KEY, "CreateKeyRequest", 10, REQUEST)          \
  X(CREATED_KEY, "CreateKeyResponse", 11, RESPONSE)       \
  X(GET_TOKENS_URIS, "GetTokensUrisRequest", 12, REQUEST) \
  X(TOKENS_URIS, "GetTokensUrisResponse", 13, RESPONSE)   \
  X(INIT_TOKEN, "InitTokenRequest", 14, REQUEST)          \
  X(INITED_TOKEN, "InitTokenResponse", 15, RESPONSE)      \
  X(LIST_TOKENS, "ListTokensRequest", 16, REQUEST)        \
  X(TOKENS, "ListTokensResponse", 17, RESPONSE)           \
  X(CHANGE_PIN, "ChangePinRequest", 18, REQUEST)          \
  X(CHANGED_PIN, "ChangePinResponse", 19, RESPONSE)       \
  X(DELETE_KEY, "DeleteKeyRequest", 20, REQUEST)          \
  X(DELETED_KEY, "DeleteKeyResponse", 21, RESPONSE)       \
  X(LIST_KEYS, "ListKeysRequest", 22, REQUEST)            \
  X(KEYS, "ListKeysResponse", 23, RESPONSE)

enum wire_number {
#define WIRE_NUMBER(id, name, number, direction) WIRE_##id = number,
  WIRE_FRAME_TABLE(WIRE_NUMBER)
#undef WIRE_NUMBER
      WIRE_FRAME_COUNT
};

enum wire_direction { WIRE_DIRECTION_REQUEST, WIRE_DIRECTION_RESPONSE };

/* SigScheme: the discriminant on the wire. */
enum wire_scheme {
  WIRE_ECDSA_P256_SHA256,
  WIRE_ECDSA_P384_SHA384,
  WIRE_ECDSA_P521_SHA512,
  WIRE_RSA_PSS_SHA256,
  WIRE_RSA_PKCS1_SHA256,
  WIRE_SCHEME_COUNT
};

/* KeyTypeParams: the discriminant on the wire. */
enum wire_key_type { WIRE_KEY_RSA, WIRE_KEY_EC, WIRE_KEY_TYPE_COUNT };

/* A String, bytes, or an Option of them; not present is None. The bytes are those of the frame or of the caller. */
struct wire_text {
  bool present;
  struct hf_slice bytes;
};

/* A u16, a discriminant, or an Option of them. */
struct wire_value {
  bool present;
  uint16_t value;
};

/* TokenDetails, KeyDetails, or a URI alone. */
struct wire_item {
  uint64_t slot;
  bool initialized;
  struct wire_text label, model, manufacturer, serial, uri;
  struct wire_text object_class, key_type, id;
};

struct wire_frame {
  enum wire_number number;
  struct wire_text text;  /* an error's, or a PEM */
  struct wire_text bytes; /* to be signed, or a signature */
  struct wire_text uri, label, id;
  struct wire_text pin, so_pin, new_pin, old_pin;
  bool reset;
  uint16_t offered[WIRE_OFFERED_MAX];
  size_t offered_count;
  struct wire_value scheme;   /* TLS SignatureScheme in a response, enum wire_scheme in a request */
  uint8_t algorithm;          /* TLS SignatureAlgorithm */
  struct wire_value key_type; /* enum wire_key_type */
  uint16_t key_size;          /* bits of an RSA key or a curve's field */
  struct wire_item *items;
  size_t item_count;
};

/* The frame's name; NULL where no frame has this number. */
const char *wire_frame_name(unsigned number);

/*
 * Reads one frame of this direction. Its texts stay in data, its items are its own: wire_frame_free. A trailing pin that is
 * missing is read as None, since thin-edge before 1.7.0 sends none.
 * Fails with PARSE; and with ARGUMENT where it is a whole frame of the other direction.
 */
hf_err wire_frame_decode(struct hf_slice data, enum wire_direction direction, struct wire_frame *ret_frame);

/* Appends the frame. */
hf_err wire_frame_encode(const struct wire_frame *frame, struct hf_buf *out);

void wire_frame_free(struct wire_frame *frame);

/* For whoever fills a frame: a text that is there. */
static inline struct wire_text wire_text(const void *data, size_t len)
{
  return (struct wire_text){ true, hf_slice(data, len) };
}

#endif
