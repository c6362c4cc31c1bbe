/* SPDX-License-Identifier: Apache-2.0 */
/* What the key commands share. */
#ifndef HF_CLI_KEY_H
#define HF_CLI_KEY_H

#include "cli/token.h"
#include "p11/public.h"

/* --id as bytes, or random ones. Fails with USAGE. The command has CLI_KEY_NAME_OPTIONS. */
hf_err cli_key_id(const struct cli_args *args, struct hf_buf *ret_id);

/* Adds what --label and --id name to the URI. Fails with USAGE where it says otherwise. The command has CLI_KEY_SELECT_OPTIONS. */
hf_err cli_key_select(const struct cli_args *args, struct uri *uri);

bool cli_is_key(const struct p11_object *object);

/* Fails with ID_EXISTS where a key has this id; a certificate may, since that is how it belongs to its key. */
hf_err cli_key_id_check(struct p11_session *session, const struct hf_buf *id);

/*
 * What --type, --curve and --bits ask for: sets the spec's kind and rsa_bits, nothing else. Fails with USAGE, naming what
 * there is. The command has CLI_KEY_KIND_OPTIONS.
 */
hf_err cli_key_kind(const struct cli_args *args, struct p11_key_spec *spec);

/*
 * p11_key_generate by the user who is logged in; where the token lets its SO alone make keys, by the SO, if his PIN was
 * given, who then stays logged in. The command has CLI_SO_PIN_OPTIONS.
 */
hf_err cli_key_generate_pair(const struct cli_args *args, const struct cli_login *login,
                             const struct p11_key_spec *spec);

/* clang-format off */
#define CLI_KEY_KIND_OPTIONS                                          \
  { "type", "TYPE", "ec (default), ed25519 or rsa" },                 \
  { "curve", "CURVE", "of an EC key: p256 (default), p384 or p521" }, \
  { "bits", "BITS", "of an RSA key: 2048 (default) to 4096" }
#define CLI_KEY_SELECT_OPTIONS                                        \
  { "label", "TEXT", "the key with this label" },                     \
  { "id", "HEX", "the key with this id, hexadecimal" }
#define CLI_KEY_NAME_OPTIONS                                          \
  { "label", "TEXT", "the key's label" },                             \
  { "id", "HEX", "the key's id, hexadecimal (default: 16 random bytes)" }
/* clang-format on */

enum { CLI_PEM_MAX = 64 * 1024 };

/* Appends the public key as a PEM SubjectPublicKeyInfo, at most CLI_PEM_MAX. */
hf_err cli_public_pem(const struct p11_public *key, struct hf_buf *out);

/* Prints the URI under which the private key with this id is found. */
hf_err cli_key_report(const struct cli_login *login, const struct hf_buf *id, const char *done);

/* Appends the object's URI. */
hf_err cli_object_uri(const struct cli_login *login, const struct p11_object *object, struct hf_buf *out);

#endif
