/* SPDX-License-Identifier: Apache-2.0 */
/* A new key beside the device's own, of the same kind, in the same token; and keys that are to go. */
#ifndef HF_IDENTITY_ROTATION_H
#define HF_IDENTITY_ROTATION_H

#include "identity/hsm.h"
#include "p11/object.h"

#include <openssl/evp.h>

enum { ROTATION_LABEL_MAX = 256, ROTATION_ID_LEN = 16 };

/* What is going to be made; nothing is, yet. Start with {0}, end with rotation_free. */
struct rotation {
  struct hsm hsm;
  struct p11_key_spec spec;
  char label[ROTATION_LABEL_MAX]; /* the old one's with a generation after it: "key-2", "key-3"; "" where it has none */
  uint8_t id[ROTATION_ID_LEN];    /* random */
  char *new_uri;                  /* for device.key_uri: as that was, with the new id and label */
  char *old_uri;                  /* of the present key and no other, however little device.key_uri says */
};

/*
 * key_uri: the present device.key_uri; key: what it leads to. Fails with CONFIG where that URI would also lead to the new
 * key (it names neither id nor object), or holds a PIN; with FUNCTION_NOT_SUPPORTED where the token's keys have fixed places
 * (PIV) or no kind of key that we make; as hsm_open does.
 */
hf_err rotation_plan(const struct config *config, const char *module_path, const char *key_uri, EVP_PKEY *key,
                     struct rotation *ret_rotation);

/* Makes it. Fails as p11_key_generate does, and with FUNCTION_REJECTED where the agent's policy does not let us create. */
hf_err rotation_make(struct rotation *rotation);

void rotation_free(struct rotation *rotation);

/*
 * Deletes the one key pair of this URI; one that is not there is fine. Never deletes what keep_uri (the present
 * device.key_uri) leads to: fails with CONFIG then.
 */
hf_err rotation_delete(const struct config *config, const char *module_path, const char *uri, const char *keep_uri);

/* The label of the next generation: "key" - "key-2" - "key-3". Fails with LIMIT. */
hf_err rotation_next_label(const char *label, char out[ROTATION_LABEL_MAX]);

#endif
