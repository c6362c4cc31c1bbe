/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors. A function that can fail returns hf_err; code 0 is success. Where an error starts, hf_fail() records what it
 * concerns (a path, slot, URI or key; never a secret) for this thread; only the program prints it, once.
 *
 * Outputs come last, are named ret_..., and are untouched on failure.
 */
#ifndef HF_BASE_ERROR_H
#define HF_BASE_ERROR_H

#include <stddef.h>
#include <stdio.h>

/* One row a code: name, CK_RV (PKCS #11 v3.0, section 5.1), exit status, the sentence a person reads, what to do. */
#define HF_ERROR_TABLE(X)                                                                                              \
  X(OK, "ok", 0x000, 0, "no error", "")                                                                                \
  X(NO_MEMORY, "no-memory", 0x002, 1, "out of memory", "Free some memory and try again.")                              \
  X(INTERNAL, "internal", 0x005, 1, "internal error", "This is a bug in Holdfast; please report it.")                  \
  X(IO, "io", 0x005, 1, "input or output failed", "Check that the path exists and that you may use it.")               \
  X(NOT_FOUND, "not-found", 0x005, 1, "not found", "Check the name.")                                                  \
  X(PERMISSION, "permission", 0x005, 1, "permission denied",                                                           \
    "Run as a user who may use it, or change its owner or mode.")                                                      \
  X(DISK_FULL, "disk-full", 0x031, 1, "no space left on the device; nothing was changed",                              \
    "Free some space and try again.")                                                                                  \
  X(USAGE, "usage", 0x007, 2, "wrong usage", "See --help.")                                                            \
  X(CONFIG, "config", 0x005, 1, "the configuration is wrong", "Correct the line that is named.")                       \
  X(LIMIT, "limit", 0x007, 1, "too large", "Use a shorter value.")                                                     \
  X(PARSE, "parse", 0x007, 1, "cannot be read", "Check the format.")                                                   \
  X(ARGUMENT, "argument", 0x007, 1, "bad argument", "Check the arguments of the call.")                                \
  X(URI_INVALID, "uri-invalid", 0x007, 1, "not a valid PKCS #11 URI",                                                  \
    "Write it like pkcs11:token=NAME;object=KEY;type=private (RFC 7512).")                                             \
  X(URI_NO_MATCH, "uri-no-match", 0x082, 3, "nothing matches the URI", "List what is there with 'holdfast key list'.") \
  X(URI_AMBIGUOUS, "uri-ambiguous", 0x082, 3, "several objects match the URI",                                         \
    "Add token=, id= or object= until just one matches.")                                                              \
  X(TOKEN_NOT_FOUND, "token-not-found", 0x0E0, 3, "no such token", "List the tokens with 'holdfast token list'.")      \
  X(TOKEN_AMBIGUOUS, "token-ambiguous", 0x0E0, 3, "several tokens match", "Name one by its serial number.")            \
  X(TOKEN_STORE, "token-store", 0x030, 1, "the token's store is damaged",                                              \
    "Restore the token's directory from a backup; nothing was changed.")                                               \
  X(TOKEN_STORE_VERSION, "token-store-version", 0x0E1, 1, "the token's store was written by a newer version",          \
    "Upgrade Holdfast.")                                                                                               \
  X(REGISTRY, "registry", 0x005, 1, "the certificate authority's registry is damaged",                                 \
    "Restore the directory ca.path from a backup; nothing was changed.")                                               \
  X(REGISTRY_VERSION, "registry-version", 0x005, 1, "the authority's registry was written by a newer version",         \
    "Upgrade Holdfast.")                                                                                               \
  X(SECRETS, "secrets", 0x005, 1, "the store of secrets is damaged",                                                   \
    "Restore the directory secrets in data.path from a backup; nothing was changed.")                                  \
  X(SECRETS_VERSION, "secrets-version", 0x005, 1, "the store of secrets was written by a newer version",               \
    "Upgrade Holdfast.")                                                                                               \
  X(ONE_TIME_PASSWORD, "one-time-password", 0x0A0, 4, "the one-time password is not valid",                            \
    "Make a new one with 'holdfast ca token'.")                                                                        \
  X(KEY_FILE, "key-file", 0x007, 1, "not a private key that can be read",                                              \
    "Give a PKCS#8 PEM file; 'openssl pkcs8 -topk8 -nocrypt' makes one.")                                              \
  X(KEY_MISMATCH, "key-mismatch", 0x063, 4, "the certificate does not belong to the key",                              \
    "Issue a certificate for this key, or name the key that it was issued for.")                                       \
  X(CERT_FILE, "cert-file", 0x007, 4, "not a certificate that can be read",                                            \
    "Give a PEM file that holds an X.509 certificate.")                                                                \
  X(CERT_INVALID, "cert-invalid", 0x007, 4, "the certificate cannot be used", "Have a new one issued.")                \
  X(CERT_CHAIN, "cert-chain", 0x007, 4, "the certificate's chain does not hold",                                       \
    "Put the device's certificate first, then each CA's after the one that it issued.")                                \
  X(CERT_REQUEST, "cert-request", 0x007, 4, "not a certificate signing request that can be used",                      \
    "Give a PKCS #10 request, PEM or DER.")                                                                            \
  X(EXISTS, "exists", 0x005, 1, "there is one already", "Remove it first.")                                            \
  X(ID_EXISTS, "id-exists", 0x013, 1, "the id is already in use", "Choose another id.")                                \
  X(MODULE_LOAD, "module-load", 0x0E0, 3, "the PKCS #11 module cannot be loaded",                                      \
    "Check the module's path; see 'holdfast --help' for how it is found.")                                             \
  X(MODULE_INIT, "module-init", 0x0E0, 3, "the PKCS #11 module failed to start",                                       \
    "Check the module's own configuration.")                                                                           \
  X(UNREACHABLE, "unreachable", 0x030, 5, "cannot be reached", "Check that it runs, and the address and port.")        \
  X(TLS, "tls", 0x030, 5, "the TLS handshake failed", "Check the certificates on both sides.")                         \
  X(MQTT, "mqtt", 0x030, 5, "the MQTT broker refused", "Check the broker's log and its access rules.")                 \
  X(HTTP, "http", 0x030, 5, "the server refused", "See the server's log.")                                             \
  X(LOST, "lost", 0x030, 5, "the connection was lost",                                                                 \
    "See the other side's log: some brokers close the connection of a client id or topic that they do not allow.")     \
  X(PROXY, "proxy", 0x030, 5, "the proxy refused", "Check proxy.address, and the proxy's rules and log.")              \
  X(CANCELLED, "cancelled", 0x050, 1, "cancelled", "Start it again.")                                                  \
  X(TIMEOUT, "timeout", 0x030, 5, "no answer in time", "Check that the other side runs, and try again.")               \
  X(PIN_MISSING, "pin-missing", 0x0A0, 4, "a PIN is needed",                                                           \
    "Give it by --pin-source, or set device.cryptoki.pin_source.")                                                     \
  X(WRONG_FILE, "wrong-file", 0x005, 1, "not the file that was expected",                                              \
    "Ask who published it for its digest and signature; nothing was put in place.")                                    \
  X(HOOK, "hook", 0x005, 1, "the hook failed", "See what it printed; the file that was there before is as it was.")    \
  X(CLOCK, "clock", 0x005, 1, "the clock cannot be relied on", "Set it, and have it kept by NTP.")                     \
  X(SIMULATED, "simulated", 0x005, 1, "the token is a simulated one",                                                  \
    "For testing only: remove the simulation.* lines from the token's configuration before the device goes out.")      \
  X(UNHEALTHY, "unhealthy", 0x005, 6, "a check failed", "Each check that failed says what to do.")                     \
  X(CONNECTED, "connected", 0x005, 1, "the device is connected already",                                               \
    "'holdfast reconnect' connects anew, 'holdfast disconnect' ends it.")                                              \
  X(NOT_CONNECTED, "not-connected", 0x005, 1, "the device is not connected", "Connect it: 'holdfast connect CLOUD'.")  \
  X(BUSY, "busy", 0x005, 1, "already in use", "End the program that uses it first.")                                   \
  X(SERVICE, "service", 0x005, 1, "the service does not run",                                                          \
    "See its log: 'journalctl -u holdfast-core', or core.log below data.path.")                                        \
  X(SPOOL_FULL, "spool-full", 0x031, 1, "the spool is full",                                                           \
    "Raise mqtt.bridge.spool.max_size, or set mqtt.bridge.spool.overflow to drop-oldest.")                             \
  X(SPOOL_DAMAGED, "spool-damaged", 0x030, 1, "the spool is damaged",                                                  \
    "Move it aside with 'holdfast core move-aside'; a new one is made then, and the old one is kept.")                 \
  X(SPOOL_VERSION, "spool-version", 0x030, 1, "the spool was written by a newer version", "Upgrade Holdfast.")         \
  /* What a module answers, one for one. */                                                                            \
  X(SLOT_ID_INVALID, "slot-id-invalid", 0x003, 3, "no such slot", "List the slots with 'holdfast token list'.")        \
  X(GENERAL_ERROR, "general-error", 0x005, 1, "the module reports a general error",                                    \
    "See the system log for its reason.")                                                                              \
  X(FUNCTION_FAILED, "function-failed", 0x006, 1, "the module could not do it", "See the system log for its reason.")  \
  X(ARGUMENTS_BAD, "arguments-bad", 0x007, 1, "the module refused the arguments", "Check the arguments.")              \
  X(NO_EVENT, "no-event", 0x008, 1, "nothing happened in the slots", "Ask again later.")                               \
  X(ATTRIBUTE_READ_ONLY, "attribute-read-only", 0x010, 1, "the attribute cannot be changed",                           \
    "Make a new object instead.")                                                                                      \
  X(ATTRIBUTE_SENSITIVE, "attribute-sensitive", 0x011, 1, "the value never leaves the token",                          \
    "Use the key inside the token.")                                                                                   \
  X(ATTRIBUTE_TYPE_INVALID, "attribute-type-invalid", 0x012, 1, "the object has no such attribute",                    \
    "Check the attribute's type.")                                                                                     \
  X(ATTRIBUTE_VALUE_INVALID, "attribute-value-invalid", 0x013, 1, "the attribute's value is not valid",                \
    "Check its value and size.")                                                                                       \
  X(ACTION_PROHIBITED, "action-prohibited", 0x01B, 1, "the object does not allow this",                                \
    "See its CKA_COPYABLE, CKA_MODIFIABLE and CKA_DESTROYABLE.")                                                       \
  X(DATA_INVALID, "data-invalid", 0x020, 1, "the data is not valid for this mechanism", "Check the data.")             \
  X(DATA_LEN_RANGE, "data-len-range", 0x021, 1, "the data has the wrong length", "Check the data's length.")           \
  X(DEVICE_ERROR, "device-error", 0x030, 1, "the HSM reports a device error",                                          \
    "Check that the HSM is connected, and try again.")                                                                 \
  X(DEVICE_MEMORY, "device-memory", 0x031, 1, "the HSM is full",                                                       \
    "Delete what is no longer needed, or use a larger token.")                                                         \
  X(DEVICE_REMOVED, "device-removed", 0x032, 3, "the HSM was removed", "Connect it again.")                            \
  X(ENCRYPTED_DATA_INVALID, "encrypted-data-invalid", 0x040, 1, "the encrypted data is not valid for this key",        \
    "Check that it was encrypted for this key, in this way.")                                                          \
  X(ENCRYPTED_DATA_LEN_RANGE, "encrypted-data-len-range", 0x041, 1, "the encrypted data has the wrong length",         \
    "Check that it was encrypted for this key, in this way.")                                                          \
  X(AEAD_DECRYPT_FAILED, "aead-decrypt-failed", 0x042, 1, "the encrypted data or its associated data was changed",     \
    "Check both, the nonce and the key.")                                                                              \
  X(FUNCTION_CANCELED, "function-canceled", 0x050, 1, "the operation was cancelled", "Start it again.")                \
  X(FUNCTION_NOT_PARALLEL, "function-not-parallel", 0x051, 1, "no function runs in parallel",                          \
    "Nothing needs to be done.")                                                                                       \
  X(FUNCTION_NOT_SUPPORTED, "function-not-supported", 0x054, 1, "the module cannot do this",                           \
    "Use a token that offers it.")                                                                                     \
  X(KEY_HANDLE_INVALID, "key-handle-invalid", 0x060, 1, "the key is gone", "Find the key again.")                      \
  X(KEY_SIZE_RANGE, "key-size-range", 0x062, 1, "the key size is not supported", "Choose another size.")               \
  X(KEY_TYPE_INCONSISTENT, "key-type-inconsistent", 0x063, 1, "the key is of the wrong type",                          \
    "Use a key that fits the mechanism.")                                                                              \
  X(KEY_NOT_NEEDED, "key-not-needed", 0x064, 1, "a key was given that is not needed", "Leave it out.")                 \
  X(KEY_CHANGED, "key-changed", 0x065, 1, "the key is not the one that the state was saved with", "Give that key.")    \
  X(KEY_NEEDED, "key-needed", 0x066, 1, "the saved state needs its key", "Give the key.")                              \
  X(KEY_INDIGESTIBLE, "key-indigestible", 0x067, 1, "the key cannot be hashed", "Use a secret key.")                   \
  X(KEY_FUNCTION_NOT_PERMITTED, "key-function-not-permitted", 0x068, 1, "the key may not be used for this",            \
    "Use a key whose attributes allow it (CKA_SIGN, CKA_DECRYPT, ...).")                                               \
  X(KEY_NOT_WRAPPABLE, "key-not-wrappable", 0x069, 1, "the key cannot be wrapped by this key",                         \
    "Wrap it with a trusted key, if it asks for one (CKA_WRAP_WITH_TRUSTED).")                                         \
  X(KEY_UNEXTRACTABLE, "key-unextractable", 0x06A, 1, "the key cannot be extracted", "Use the key inside the token.")  \
  X(MECHANISM_INVALID, "mechanism-invalid", 0x070, 1, "the token does not offer this mechanism",                       \
    "List what it offers with 'p11tool --list-mechanisms'.")                                                           \
  X(MECHANISM_PARAM_INVALID, "mechanism-param-invalid", 0x071, 1, "the mechanism's parameter is not valid",            \
    "Check the parameter.")                                                                                            \
  X(OBJECT_HANDLE_INVALID, "object-handle-invalid", 0x082, 1, "the object is gone", "Find it again.")                  \
  X(OPERATION_ACTIVE, "operation-active", 0x090, 1, "another operation is active in the session", "Finish it first.")  \
  X(OPERATION_NOT_INITIALIZED, "operation-not-initialized", 0x091, 1, "no operation is active in the session",         \
    "Start one first.")                                                                                                \
  X(PIN_INCORRECT, "pin-incorrect", 0x0A0, 4, "the PIN is wrong",                                                      \
    "Check the PIN. Do not guess: many tokens lock after a few tries.")                                                \
  X(PIN_INVALID, "pin-invalid", 0x0A1, 4, "the PIN has characters that are not allowed", "Choose another PIN.")        \
  X(PIN_LEN_RANGE, "pin-len-range", 0x0A2, 4, "the PIN is too short or too long", "Use 4 to 255 characters.")          \
  X(PIN_EXPIRED, "pin-expired", 0x0A3, 4, "the PIN has expired", "Set a new PIN.")                                     \
  X(PIN_LOCKED, "pin-locked", 0x0A4, 4, "the PIN is locked after too many wrong tries",                                \
    "Set a new one with the SO PIN.")                                                                                  \
  X(SESSION_CLOSED, "session-closed", 0x0B0, 1, "the session was closed", "Open a new one.")                           \
  X(SESSION_COUNT, "session-count", 0x0B1, 1, "the token has no session left", "Close a program that uses the token.") \
  X(SESSION_HANDLE_INVALID, "session-handle-invalid", 0x0B3, 1, "the session is gone", "Open a new one.")              \
  X(SESSION_PARALLEL, "session-parallel", 0x0B4, 1, "parallel sessions are not supported", "Set CKF_SERIAL_SESSION.")  \
  X(SESSION_READ_ONLY, "session-read-only", 0x0B5, 1, "the session is read-only", "Open it read/write.")               \
  X(SESSION_EXISTS, "session-exists", 0x0B6, 1, "the token is in use by a session", "Close all its sessions first.")   \
  X(SESSION_READ_ONLY_EXISTS, "session-read-only-exists", 0x0B7, 1, "a read-only session exists", "Close it first.")   \
  X(SESSION_RW_SO_EXISTS, "session-rw-so-exists", 0x0B8, 1, "the security officer is logged in", "Log out first.")     \
  X(SIGNATURE_INVALID, "signature-invalid", 0x0C0, 1, "the signature is not valid", "Check the data and the key.")     \
  X(SIGNATURE_LEN_RANGE, "signature-len-range", 0x0C1, 1, "the signature has the wrong length",                        \
    "Check the signature.")                                                                                            \
  X(TEMPLATE_INCOMPLETE, "template-incomplete", 0x0D0, 1, "an attribute is missing", "Add the attribute.")             \
  X(TEMPLATE_INCONSISTENT, "template-inconsistent", 0x0D1, 1, "the attributes contradict each other",                  \
    "Check the template.")                                                                                             \
  X(TOKEN_NOT_PRESENT, "token-not-present", 0x0E0, 3, "no token is present",                                           \
    "Insert the token, or initialise one with 'holdfast token init'.")                                                 \
  X(TOKEN_NOT_RECOGNIZED, "token-not-recognized", 0x0E1, 3, "the token is not recognised",                             \
    "Initialise it with 'holdfast token init'.")                                                                       \
  X(TOKEN_WRITE_PROTECTED, "token-write-protected", 0x0E2, 1, "the token is write-protected",                          \
    "Use a token that can be written.")                                                                                \
  X(UNWRAPPING_KEY_HANDLE_INVALID, "unwrapping-key-handle-invalid", 0x0F0, 1, "the unwrapping key is gone",            \
    "Find it again.")                                                                                                  \
  X(UNWRAPPING_KEY_SIZE_RANGE, "unwrapping-key-size-range", 0x0F1, 1, "the unwrapping key has the wrong size",         \
    "Use another key.")                                                                                                \
  X(UNWRAPPING_KEY_TYPE_INCONSISTENT, "unwrapping-key-type-inconsistent", 0x0F2, 1,                                    \
    "the unwrapping key is of the wrong type", "Use a key that fits the mechanism.")                                   \
  X(USER_ALREADY_LOGGED_IN, "user-already-logged-in", 0x100, 1, "already logged in", "Go on, or log out first.")       \
  X(USER_NOT_LOGGED_IN, "user-not-logged-in", 0x101, 4, "not logged in", "Give the PIN.")                              \
  X(USER_PIN_NOT_INITIALIZED, "user-pin-not-initialized", 0x102, 4, "the token has no user PIN yet",                   \
    "Set one with the SO PIN.")                                                                                        \
  X(USER_TYPE_INVALID, "user-type-invalid", 0x103, 1, "no such kind of user", "Use the user or the security officer.") \
  X(USER_ANOTHER_ALREADY_LOGGED_IN, "user-another-already-logged-in", 0x104, 1, "another kind of user is logged in",   \
    "Log out first.")                                                                                                  \
  X(WRAPPED_KEY_INVALID, "wrapped-key-invalid", 0x110, 1, "the wrapped key is not valid",                              \
    "Check that it was wrapped for this key, in this way.")                                                            \
  X(WRAPPED_KEY_LEN_RANGE, "wrapped-key-len-range", 0x112, 1, "the wrapped key has the wrong length",                  \
    "Check its length, and the type and length of key that the template asks for.")                                    \
  X(WRAPPING_KEY_HANDLE_INVALID, "wrapping-key-handle-invalid", 0x113, 1, "the wrapping key is gone",                  \
    "Find it again.")                                                                                                  \
  X(WRAPPING_KEY_SIZE_RANGE, "wrapping-key-size-range", 0x114, 1, "the wrapping key has the wrong size",               \
    "Use another key.")                                                                                                \
  X(WRAPPING_KEY_TYPE_INCONSISTENT, "wrapping-key-type-inconsistent", 0x115, 1,                                        \
    "the wrapping key is of the wrong type", "Use a key that fits the mechanism.")                                     \
  X(RANDOM_SEED_NOT_SUPPORTED, "random-seed-not-supported", 0x120, 1, "seeding is not supported", "Leave it out.")     \
  X(DOMAIN_PARAMS_INVALID, "domain-params-invalid", 0x130, 1, "the curve is not supported",                            \
    "Use P-256, P-384, P-521 or Ed25519.")                                                                             \
  X(CURVE_NOT_SUPPORTED, "curve-not-supported", 0x140, 1, "the curve is not supported",                                \
    "Use P-256, P-384, P-521 or Ed25519.")                                                                             \
  X(BUFFER_TOO_SMALL, "buffer-too-small", 0x150, 1, "the buffer is too small", "Use a larger buffer.")                 \
  X(SAVED_STATE_INVALID, "saved-state-invalid", 0x160, 1, "the saved state is not valid", "Start again.")              \
  X(INFORMATION_SENSITIVE, "information-sensitive", 0x170, 1, "the value never leaves the token",                      \
    "Use the key inside the token.")                                                                                   \
  X(STATE_UNSAVEABLE, "state-unsaveable", 0x180, 1, "the operation's state cannot be saved", "Finish it instead.")     \
  X(CRYPTOKI_NOT_INITIALIZED, "cryptoki-not-initialized", 0x190, 1, "the module is not initialised",                   \
    "Call C_Initialize first.")                                                                                        \
  X(CRYPTOKI_ALREADY_INITIALIZED, "cryptoki-already-initialized", 0x191, 1, "the module is already initialised",       \
    "Go on.")                                                                                                          \
  X(FUNCTION_REJECTED, "function-rejected", 0x200, 4, "the key agent's policy forbids it",                             \
    "The agent's audit line tells by which rule, and which rule would allow it.")                                      \
  X(PUBLIC_KEY_INVALID, "public-key-invalid", 0x1B9, 1, "the public key is not valid", "Check the key.")               \
  X(TOKEN_RESOURCE_EXCEEDED, "token-resource-exceeded", 0x201, 1, "the token has no room for this now",                \
    "Use less of it at once.")                                                                                         \
  X(OPERATION_CANCEL_FAILED, "operation-cancel-failed", 0x202, 1, "the operation cannot be cancelled", "Let it end.")  \
  X(SESSION_ASYNC_NOT_SUPPORTED, "session-async-not-supported", 0x205, 1, "the token has no asynchronous sessions",    \
    "Open the session without CKF_ASYNC_SESSION.")                                                                     \
  X(PARAMETER_SET_NOT_SUPPORTED, "parameter-set-not-supported", 0x209, 1, "the parameter set is not supported",        \
    "Choose another one.")                                                                                             \
  X(MUTEX_BAD, "mutex-bad", 0x1A0, 1, "the mutex is not valid", "Check the mutex functions.")                          \
  X(CANT_LOCK, "cant-lock", 0x00A, 1, "the module cannot lock", "Allow it to use the system's locks.")                 \
  X(MODULE_ANSWER, "module-answer", 0x005, 1, "the module gave an unexpected answer",                                  \
    "Look the code up in the module's documentation.")

enum hf_code {
#define HF_CODE_ENUM(id, name, rv, status, text, hint) HF_ERR_##id,
  HF_ERROR_TABLE(HF_CODE_ENUM)
#undef HF_CODE_ENUM
      HF_ERR_COUNT
};

/* Dropping one is a warning that fails the build: clang's, in ./dev lint; gcc knows the attribute for functions only. */
#ifdef __clang__
#define HF_MUST_USE __attribute__((warn_unused_result))
#else
#define HF_MUST_USE
#endif

typedef struct HF_MUST_USE {
  enum hf_code code;
} hf_err;

#define HF_OK ((hf_err){ HF_ERR_OK })

static inline int hf_failed(hf_err e)
{
  return e.code != HF_ERR_OK;
}

/* Returns the error of expr, if it has one. */
#define HF_TRY(expr)    \
  do {                  \
    hf_err e_ = (expr); \
    if (hf_failed(e_))  \
      return e_;        \
  } while (0)

/* For the rare place where a failure must not stop what follows. */
static inline void hf_ignore(hf_err e)
{
  (void)e;
}

/* Records the context (what it concerns; at most HF_CONTEXT_MAX - 1 bytes, no secret) for this thread and returns code. */
#define HF_CONTEXT_MAX 1024
#define HF_HINT_MAX 256
hf_err hf_fail(enum hf_code code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The same, for a failed system call: picks PERMISSION, NOT_FOUND, DISK_FULL, NO_MEMORY or IO by saved_errno, and adds its text. */
hf_err hf_fail_errno(int saved_errno, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The same, for what a PKCS #11 function answered; rv 0 gives HF_OK. An rv that has no row gives MODULE_ANSWER and is named. */
hf_err hf_fail_rv(unsigned long rv, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Replaces the hint of the error just recorded by a better one for this place. Returns e. */
hf_err hf_hint(hf_err e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The rows. Never NULL; static. */
const char *hf_err_name(hf_err e);
const char *hf_err_text(hf_err e);
unsigned long hf_err_rv(hf_err e);
int hf_err_status(hf_err e);
/* "CKR_PIN_INCORRECT"; NULL where the standard (v3.0) has no such code. */
const char *hf_rv_name(unsigned long rv);

/* The code of that name; false where no row has it. */
int hf_code_find(const char *name, enum hf_code *ret_code);

/* This thread's last recorded context ("" where there is none) and hint; valid until the thread's next failure. */
const char *hf_err_context(void);
const char *hf_err_hint(hf_err e);

/* An error with its context and hint, to be told later or by another thread. */
struct hf_err_saved {
  hf_err error;
  char context[HF_CONTEXT_MAX];
  char hint[HF_HINT_MAX];
};

struct hf_err_saved hf_err_save(hf_err e);
/* Records it as this thread's last failure, and returns it. */
hf_err hf_err_restore(const struct hf_err_saved *saved);

/* "what failed: on what (CKR_...)": one line, no newline, always terminated. */
void hf_err_format(hf_err e, char *out, size_t size);

/* Prints "PROGRAM: error: ..." and, where there is one, "  hint: ...". */
void hf_err_print(FILE *out, const char *program, hf_err e);

#endif
