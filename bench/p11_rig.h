/* SPDX-License-Identifier: Apache-2.0 */
/* A token for a benchmark: a fresh directory, a module, a login, a key. Whatever fails ends the program with a line. */
#ifndef HF_BENCH_P11_RIG_H
#define HF_BENCH_P11_RIG_H

#include "holdfast/pkcs11.h"

#include <stdbool.h>
#include <sys/types.h>

#define RIG_PIN "12345678"

struct rig {
  const char *name;
  CK_FUNCTION_LIST *f;
  CK_SLOT_ID slot;
  CK_SESSION_HANDLE session; /* read/write, the user logged in */
  void *initialize_args;
  unsigned slot_index;
};

/* The kinds of module: how each finds its configuration. */
enum rig_kind { RIG_HOLDFAST, RIG_SOFTHSM2, RIG_KINDS };

/* Where SoftHSM2 is; NULL where it is not installed. */
const char *rig_softhsm2_path(void);

/* Makes a token in a fresh directory below base, which it makes. */
void rig_open(struct rig *rig, enum rig_kind kind, const char *module, const char *base);
void rig_close(struct rig *rig);
/* C_Initialize, the slot by its index, a session. */
void rig_start_module(struct rig *rig);

CK_SESSION_HANDLE rig_session(const struct rig *rig);
CK_OBJECT_HANDLE rig_ec_key(const struct rig *rig);
CK_OBJECT_HANDLE rig_rsa_key(const struct rig *rig);
CK_OBJECT_HANDLE rig_ed25519_key(const struct rig *rig);

/* Private data objects "object-FROM" up to, but without, "object-TO"; threads of them are made at once. */
void rig_fill(const struct rig *rig, unsigned from, unsigned to, unsigned threads);
CK_OBJECT_HANDLE rig_data(const struct rig *rig, CK_SESSION_HANDLE session, const char *label);
/* Ends the program where not exactly one object has this number. */
void rig_find(const struct rig *rig, CK_SESSION_HANDLE session, unsigned number);

/* Ends the program where rv is not CKR_OK. */
void rig_check(const struct rig *rig, CK_RV rv, const char *what);

/* Seconds since some start. */
double rig_now(void);

/* The middle of count values; sorts them. */
double rig_median(double *values, int count);

/* Starts a server, its output in the log, and waits until it serves the socket. rig_stop ends it. */
pid_t rig_start(const char *socket, const char *const argv[], const char *log);
void rig_stop(pid_t pid);

/* The key agent on the rig's token; a socket of NULL is not served. audit: "off" or "json", into dir. */
struct rig_agent {
  const char *program, *module, *dir;
  const char *pkcs11_socket, *signing_socket;
  const char *audit;
};
pid_t rig_start_agent(const struct rig_agent *agent);

/* RIG_PIN in a file of dir, whose path goes to path. */
enum { RIG_PATH_MAX = 256 };
void rig_write_pin(const char *dir, char path[RIG_PATH_MAX]);

/* A directory of this run, below where or in /tmp, removed with all in it by rig_remove_dir. */
const char *rig_make_dir_below(const char *where);
const char *rig_make_dir(void);
void rig_remove_dir(void);

#endif
