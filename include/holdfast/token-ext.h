/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Holdfast's token can do beyond PKCS #11, as a vendor interface of C_GetInterface (PKCS #11 v3.0, section 3.3):
 * a module that answers this name is ours. Another module simply does not offer these.
 */
#ifndef HOLDFAST_TOKEN_EXT_H
#define HOLDFAST_TOKEN_EXT_H

#include "holdfast/pkcs11.h"

#define HOLDFAST_TOKEN_INTERFACE "Vendor Holdfast token"

struct holdfast_token_ext {
  CK_VERSION version; /* 1.1; a greater minor only adds at the end */

  /*
   * Deletes the token in the slot with all its objects, for good. The authority is the right to write its directory, as
   * for softhsm2-util --delete-token; no session may be open in this process (CKR_SESSION_EXISTS). Where dir is not NULL,
   * the deleted directory's path goes there, terminated and cut at dir_size bytes.
   */
  CK_RV (*delete_token)(CK_SLOT_ID slot, char *dir, CK_ULONG dir_size);

  /*
   * Why this thread's last call failed, as a sentence ("...: what it concerns") and what to do. Terminated and cut at the
   * sizes; both are "" where the last call did not fail. May be called before C_Initialize.
   */
  void (*last_error)(char *text, CK_ULONG text_size, char *hint, CK_ULONG hint_size);

  /*
   * Since 1.1: a token that is taken over from elsewhere, whole or not at all. restore_begin makes it as C_InitToken does, in a
   * slot that no other process sees (label: 32 bytes, blank-padded; serial: 16 bytes, or NULL for a new one). Set the user PIN and log
   * in as ever. restore_object is C_CreateObject with the attributes that a token sets by itself (CKA_LOCAL,
   * CKA_ALWAYS_SENSITIVE, CKA_KEY_GEN_MECHANISM, ...) as the template has them; in any other token it fails with
   * CKR_ACTION_PROHIBITED. restore_end, without a session open, shows the token to all, as one durable step, or, keep
   * being false, leaves nothing of it; so does a process that ends without it.
   */
  CK_RV (*restore_begin)
  (CK_UTF8CHAR *label, CK_UTF8CHAR *serial, CK_UTF8CHAR *so_pin, CK_ULONG so_pin_len, CK_SLOT_ID *slot);
  CK_RV (*restore_object)(CK_SESSION_HANDLE session, CK_ATTRIBUTE *tmpl, CK_ULONG count, CK_OBJECT_HANDLE *object);
  CK_RV (*restore_end)(CK_SLOT_ID slot, CK_BBOOL keep);
};

#endif
