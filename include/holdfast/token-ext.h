/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Holdfast's token can do beyond PKCS #11, as a vendor interface of C_GetInterface (PKCS #11 v3.0, section 3.3):
 * a module that answers this name is ours. Another module simply does not offer these.
 */
#ifndef HOLDFAST_TOKEN_EXT_H
#define HOLDFAST_TOKEN_EXT_H

#include "holdfast/pkcs11.h"

#define HOLDFAST_TOKEN_INTERFACE "Vendor Holdfast token"

/* The minor version from which on there are the simulation_ functions. */
enum { HOLDFAST_SIMULATION_SINCE = 2 };

/* What a simulated token is at the moment; texts are terminated. */
struct holdfast_simulation {
  CK_BBOOL unplugged;
  char label[33];
  char serial[17];
  char profile[64]; /* "" where it has none */
  CK_ULONG fault_count;
};

/* One of its faults, and what became of it: calls that it could have struck, and strikes. */
struct holdfast_fault {
  CK_BBOOL configured; /* the configuration's: the counts are this process's alone */
  char text[128];
  CK_ULONG calls, strikes;
};

/* simulation_switch: what it does, and its text. */
enum {
  HOLDFAST_UNPLUG,     /* for how long, like "5s"; NULL: until it is plugged in */
  HOLDFAST_PLUG,       /* NULL */
  HOLDFAST_FAULT,      /* the fault, like "C_Sign nth=3 device-error" */
  HOLDFAST_FAULTS_OFF, /* all that were switched on; NULL */
};

struct holdfast_token_ext {
  CK_VERSION version; /* 1.2; a greater minor only adds at the end */

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
  CK_RV(*restore_begin)
  (CK_UTF8CHAR *label, CK_UTF8CHAR *serial, CK_UTF8CHAR *so_pin, CK_ULONG so_pin_len, CK_SLOT_ID *slot);
  CK_RV (*restore_object)(CK_SESSION_HANDLE session, CK_ATTRIBUTE *tmpl, CK_ULONG count, CK_OBJECT_HANDLE *object);
  CK_RV (*restore_end)(CK_SLOT_ID slot, CK_BBOOL keep);

  /*
   * Since 1.2: a token that behaves as hardware does (docs/simulation.md). All fail with CKR_FUNCTION_NOT_SUPPORTED where the
   * configuration simulates none; they see an unplugged token, and no fault strikes them. simulation_fault fails with
   * CKR_ARGUMENTS_BAD from fault_count on. simulation_switch works at once, in all processes; the authority is the right to
   * write the token's directory.
   */
  CK_RV (*simulation_state)(CK_SLOT_ID slot, struct holdfast_simulation *state);
  CK_RV (*simulation_fault)(CK_SLOT_ID slot, CK_ULONG number, struct holdfast_fault *fault);
  CK_RV (*simulation_switch)(CK_SLOT_ID slot, CK_ULONG what, const char *text);
};

#endif
