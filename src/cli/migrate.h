/* SPDX-License-Identifier: Apache-2.0 */
/* Taking over a token of SoftHSM2's, whole or not at all (docs/adr/0019-taking-over-softhsm2-tokens.md): what 'token migrate' does. */
#ifndef HF_CLI_MIGRATE_H
#define HF_CLI_MIGRATE_H

#include "base/secret.h"
#include "p11/session.h"
#include "softhsm/token.h"

struct migrate_how {
  struct hf_secret *pin, *so_pin;
  bool so_pin_is_new; /* it need not be that of the old token */
  bool new_serial;
  bool skip_unsupported;
  bool strict;  /* an object that SoftHSM2 was interrupted to write is an error */
  bool dry_run; /* everything, but then the new token goes again */
  void (*progress)(const char *label, size_t done, size_t count);
};

/* An object that could not be taken, and why. */
struct migrate_left {
  char name[64];
  char label[64]; /* its first bytes */
  CK_OBJECT_CLASS object_class;
  CK_KEY_TYPE key_type;
  char reason[HF_CONTEXT_MAX];
};

struct migrate_result {
  char serial[16 + 1]; /* of the new token */
  CK_SLOT_ID slot;
  size_t objects; /* of the old one */
  size_t taken;
  size_t keys, keys_tried; /* private and secret ones that were taken; those that proved themselves by use */
  size_t interrupted;
  struct migrate_left *left;
  size_t left_count;
};

void migrate_result_free(struct migrate_result *result);

/*
 * The module is Holdfast's own token. Whatever fails, nothing is left of the new token, and nothing is ever written in the old
 * one. *result tells how far it came, also where it fails. Fails with EXISTS where a token has the serial, PIN_INCORRECT,
 * TOKEN_STORE where the old token is damaged, FUNCTION_NOT_SUPPORTED where objects are left, MODULE_ANSWER where the new token
 * says or does otherwise than the old one.
 */
hf_err migrate_token(struct p11_module *module, struct softhsm_token *from, const struct migrate_how *how,
                     struct migrate_result *result);

/* What follows is for the migrate_*.c files alone. */

/* The object as a template. What says nothing is left out. usage not 0: as a session object that may be used so, whatever the object says. */
size_t migrate_template(const struct softhsm_object *object, CK_ATTRIBUTE_TYPE usage,
                        CK_ATTRIBUTE tmpl[SOFTHSM_ATTRS_MAX + 1]);

/* Whether the attribute is as if it were not there: empty, or the standard's default. */
bool migrate_says_nothing(const CK_ATTRIBUTE *attr);

/* Every attribute of the old object is in the new one; of a sensitive key, those that may be read. Fails with MODULE_ANSWER. */
hf_err migrate_compare(struct p11_session *session, const struct softhsm_object *object, CK_OBJECT_HANDLE made);

/*
 * Uses a private or secret key in the new token, and checks outside of it, by the old object's values, what came out. *ret_tried
 * false where the token has no mechanism for that. Fails with MODULE_ANSWER.
 */
hf_err migrate_try(struct p11_session *session, const struct softhsm_object *object, CK_OBJECT_HANDLE made,
                   bool *ret_tried);

#endif
