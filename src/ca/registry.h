/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the authority knows and has done: devices, certificates, requests that wait, the latest CRL. One durable store in a
 * directory, which the server and the commands have open at once. Each call that writes is one synced step: what it
 * acknowledged survives a power cut, and what it did not is not seen at all.
 *
 * All times are seconds since the epoch; 0 stands for "not yet". Fail with REGISTRY where a record is damaged,
 * REGISTRY_VERSION where a newer release wrote it, and as the store does (DISK_FULL, PERMISSION, IO).
 */
#ifndef HF_CA_REGISTRY_H
#define HF_CA_REGISTRY_H

#include "base/buf.h"

#include <stdbool.h>

enum {
  REGISTRY_ID_MAX = 64,       /* a device's id: a certificate's CN (ub-common-name) */
  REGISTRY_SERIAL_MAX = 20,   /* RFC 5280, section 4.1.2.2 */
  REGISTRY_DER_MAX = 16384,   /* a certificate, a request */
  REGISTRY_NAMES_MAX = 1024,  /* alternative names, as text */
  REGISTRY_CRL_MAX = 64 << 20 /* DER */
};

struct registry;

struct registry_serial {
  uint8_t bytes[REGISTRY_SERIAL_MAX]; /* big-endian, without leading zeros */
  uint8_t len;
};

/* Makes the directory (0700) and the store in it. Fails with ID_EXISTS where there is one. */
hf_err registry_create(const char *dir);
/* Fails with NOT_FOUND, whose hint names 'holdfast ca init'. */
hf_err registry_open(const char *dir, struct registry **ret_registry);
struct registry *registry_close(struct registry *registry);
HF_DEFINE_CLEANUP(struct registry, registry_close)

/* Devices */

/* Of a one-time password, only what verifies it: see password.h. */
struct registry_password {
  uint8_t salt[16], hash[32];
  uint32_t memory, passes; /* Argon2id's cost */
  int64_t expires;
  uint32_t uses;                      /* how often it can still be used; 0 after the last time */
  int64_t used;                       /* when it last was */
  uint8_t used_request[32];           /* SHA-256 of the request that it was used for, */
  struct registry_serial used_serial; /* and the certificate that came of it */
};

enum registry_state {
  REGISTRY_EXPECTED, /* may enrol with its password */
  REGISTRY_ENROLLED, /* has, or had, a certificate */
  REGISTRY_REVOKED   /* by 'ca revoke DEVICE': a new password makes it expected again */
};

struct registry_device {
  char id[REGISTRY_ID_MAX + 1];
  enum registry_state state;
  int64_t created;
  char alt_names[REGISTRY_NAMES_MAX]; /* that it may ask for besides its id: "DNS:a,IP:192.0.2.1"; "" none */
  bool has_password;
  struct registry_password password;
};

/* *ret_found tells; a device that is not there is no error. */
hf_err registry_device_get(struct registry *registry, const char *id, bool *ret_found,
                           struct registry_device *ret_device);

/*
 * Gives each of these devices a password, in place of an earlier one; makes those that are new. All or none. Of the structs:
 * id, alt_names and password; what was known of their certificates stays.
 */
hf_err registry_device_expect(struct registry *registry, const struct registry_device *devices, size_t count,
                              int64_t now);

hf_err registry_device_each(struct registry *registry, hf_err (*each)(const struct registry_device *device, void *arg),
                            void *arg);

/* Certificates */

enum registry_kind { REGISTRY_DEVICE, REGISTRY_SERVER, REGISTRY_AUTHORITY };

struct registry_certificate {
  struct registry_serial serial;
  enum registry_kind kind;
  char device[REGISTRY_ID_MAX + 1]; /* the subject's CN */
  int64_t issued, not_before, not_after;
  int64_t revoked; /* 0: it is not */
  int reason;      /* CRLReason (RFC 5280, section 5.3.1) */
  struct hf_slice der;
};

/* Lower-case hex, as 'openssl x509 -serial' prints it but for the case; colons are passed over. Fails with USAGE. */
hf_err registry_serial_parse(const char *hex, struct registry_serial *ret_serial);
void registry_serial_format(const struct registry_serial *serial, char out[2 * REGISTRY_SERIAL_MAX + 1]);
bool registry_serial_equal(const struct registry_serial *a, const struct registry_serial *b);

/* Fails with ID_EXISTS where the serial number is there already. */
hf_err registry_certificate_add(struct registry *registry, const struct registry_certificate *certificate);

/* What a password is used up for. */
struct registry_use {
  const uint8_t *hash;    /* the password's, as it was verified: 32 bytes */
  const uint8_t *request; /* SHA-256 */
  uint64_t waiting;       /* the request that was approved; 0: none */
  int64_t now;
};

/*
 * Adds a device's first certificate and uses its password, as one step. Fails with ONE_TIME_PASSWORD where another took it,
 * or it was replaced, in the meantime; then nothing was done.
 */
hf_err registry_enroll(struct registry *registry, const struct registry_certificate *certificate,
                       const struct registry_use *use);

/* *ret_certificate's der lies in der. */
hf_err registry_certificate_get(struct registry *registry, const struct registry_serial *serial, bool *ret_found,
                                struct registry_certificate *ret_certificate, struct hf_buf *der);

/* der is valid within the call. */
typedef hf_err registry_certificate_fn(const struct registry_certificate *certificate, void *arg);
hf_err registry_certificate_each(struct registry *registry, registry_certificate_fn *each, void *arg);
/* Those that end between from and until, soonest first. */
hf_err registry_certificate_expiring(struct registry *registry, int64_t from, int64_t until,
                                     registry_certificate_fn *each, void *arg);
hf_err registry_certificate_of(struct registry *registry, const char *device, registry_certificate_fn *each, void *arg);

/* A revoked one keeps its first time and reason. *ret_count: how many are revoked by this. Fails with NOT_FOUND. */
hf_err registry_revoke(struct registry *registry, const struct registry_serial *serial, int reason, int64_t now,
                       size_t *ret_count);
/* All of a device's that have not ended; its password, too, is void then. Fails with NOT_FOUND. */
hf_err registry_revoke_device(struct registry *registry, const char *device, int reason, int64_t now,
                              size_t *ret_count);

/* All revoked ones that end after since; der is empty. */
hf_err registry_revoked_each(struct registry *registry, int64_t since, registry_certificate_fn *each, void *arg);
/* Changes with each revocation, whoever does it. */
hf_err registry_revision(struct registry *registry, uint64_t *ret_revision);

/* The latest CRL: its number, the revision that it tells of. number 0: there is none yet. */
struct registry_crl {
  uint64_t number, revision;
  int64_t made;
};
hf_err registry_crl_get(struct registry *registry, struct registry_crl *ret_crl, struct hf_buf *der);
/* Where crl->number is the next one; else another was first, and *ret_taken is false. */
hf_err registry_crl_put(struct registry *registry, const struct registry_crl *crl, struct hf_slice der,
                        bool *ret_taken);

/* Requests that wait for a person */

enum registry_decision { REGISTRY_WAITING, REGISTRY_APPROVED, REGISTRY_REFUSED };

struct registry_request {
  uint64_t id;
  enum registry_decision decision;
  char device[REGISTRY_ID_MAX + 1];
  char from[64]; /* the address that it came from */
  int64_t received;
  struct hf_slice der;
};

/* One a device: another request takes the place of the one that waits; the same again changes nothing. */
hf_err registry_request_put(struct registry *registry, const struct registry_request *request, uint64_t *ret_id,
                            enum registry_decision *ret_decision);
hf_err registry_request_each(struct registry *registry,
                             hf_err (*each)(const struct registry_request *request, void *arg), void *arg);
/* Fails with NOT_FOUND. */
hf_err registry_request_decide(struct registry *registry, uint64_t id, enum registry_decision decision);

struct registry_counts {
  uint64_t devices, certificates, revoked, waiting;
};
hf_err registry_count(struct registry *registry, struct registry_counts *ret_counts);

#endif
