/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A PKCS #11 module in front of a real one ($HF_FAKE_REAL), which fails when it is told to. The test finds its
 * controls by dlsym under FAKE_CONTROLS.
 */
#ifndef HF_TESTS_P11_FAKE_H
#define HF_TESTS_P11_FAKE_H

#include "holdfast/pkcs11.h"

#define FAKE_CONTROLS "fake_controls"

enum fake_call {
  FAKE_OPEN,
  FAKE_LOGIN,
  FAKE_FIND,
  FAKE_SIGN_INIT,
  FAKE_SIGN,
  FAKE_DECRYPT,
  FAKE_DERIVE,
  FAKE_GENERATE,
  FAKE_CALL_COUNT
};

struct fake_controls {
  struct {
    CK_RV rv;      /* what the next calls answer ... */
    unsigned fail; /* ... so many of them */
    unsigned seen; /* calls so far */
  } calls[FAKE_CALL_COUNT];
  unsigned sessions_max; /* 0: as many as the real one gives */
  unsigned sessions;
  unsigned sessions_peak;
  unsigned dead;  /* lists no slots and opens no session until C_Finalize */
  unsigned stuck; /* signing answers stuck_rv until C_Finalize, so many times over */
  CK_RV stuck_rv;
  unsigned unverified;  /* signing answers USER_NOT_LOGGED_IN until C_Login */
  unsigned plain;       /* C_GenerateKeyPair does not take CKA_EXTRACTABLE */
  unsigned restarts;    /* calls of C_Finalize */
  CK_FLAGS token_flags; /* set in C_GetTokenInfo besides the real ones */
  CK_ULONG bits_max;    /* what C_GetMechanismInfo says of the longest key; 0: the truth */
};

#endif
