/* SPDX-License-Identifier: Apache-2.0 */
/* The checks, and what they find for those after them. Inside src/doctor/doctor*.c only. */
#ifndef HF_DOCTOR_DOCTOR_PRIVATE_H
#define HF_DOCTOR_DOCTOR_PRIVATE_H

#include "doctor/doctor.h"
#include "gateway/cloud_link.h"
#include "identity/certificate.h"
#include "identity/chain.h"

#include <limits.h>
#include <netdb.h>

enum { DOCTOR_FINDINGS_MAX = 100 };

/* The way to one cloud. */
struct doctor_cloud {
  const struct cloud *cloud;
  struct cloud_link link;
  struct addrinfo *found;
};

struct doctor {
  const struct doctor_options *options;
  struct config *config;
  char module_path[PATH_MAX]; /* as program_module gives it; "" until it is known */
  struct uri uri;             /* of the key; where none is configured, of the token */
  bool has_key_uri;
  const char *cert_path;
  char device_id[CERTIFICATE_CN_MAX];
  struct p11_module *module;
  struct p11_token token;
  struct p11_session *session; /* logged in */
  struct p11_key *key;
  EVP_PKEY *tls_key; /* by OpenSSL, of the same */
  STACK_OF(X509) * chain;
  struct doctor_cloud *cloud; /* that the check is about; NULL: none */
  struct doctor_finding findings[DOCTOR_FINDINGS_MAX];
  size_t count;
  struct doctor_finding *finding; /* of the check that runs */
};

/* A check answers HF_OK, or why it fails. Before, it may say more. */
void doctor_detail(struct doctor *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void doctor_value(struct doctor *d, const char *name, double value);
/* That it should be otherwise, though it goes on. The first one counts. */
void doctor_warn(struct doctor *d, hf_err e);
/* That it cannot look, for that reason. */
void doctor_skip(struct doctor *d, const char *because);
/* Whether that check was passed, perhaps with a warning. */
bool doctor_passed(const struct doctor *d, const char *code);

struct doctor_check {
  const char *code; /* of a cloud's, what follows its name: "tls" of "c8y.tls" */
  const char *title;
  const char *needs; /* codes with blanks between; one that begins with a dot is of the same cloud */
  bool (*applies)(const struct doctor *d); /* NULL: always */
  hf_err (*run)(struct doctor *d);
};

/* Of what it needs, the check that failed; NULL: nothing. */
const char *doctor_missing(const struct doctor *d, const char *needs);

/* A finding of its own, which is the one that runs until doctor_end tells and counts it. */
struct doctor_finding *doctor_begin(struct doctor *d, const char *code, const char *title);
void doctor_end(struct doctor *d, struct doctor_summary *summary);

/* doctor_start.c */
void doctor_run_start(struct doctor *d, struct doctor_summary *summary);

/* doctor_config.c */
hf_err doctor_config_file(struct doctor *d);
hf_err doctor_config_permissions(struct doctor *d);
hf_err doctor_config_device(struct doctor *d);
hf_err doctor_pin_source(struct doctor *d);
bool doctor_has_pin_source(const struct doctor *d);

/* doctor_token.c */
bool doctor_uses_agent(const struct doctor *d);
hf_err doctor_agent_socket(struct doctor *d);
bool doctor_has_policy(const struct doctor *d);
hf_err doctor_agent_policy(struct doctor *d);
hf_err doctor_module_load(struct doctor *d);
hf_err doctor_module_slots(struct doctor *d);
hf_err doctor_token_find(struct doctor *d);
hf_err doctor_token_pin(struct doctor *d);

/* doctor_key.c */
hf_err doctor_provider_load(struct doctor *d);
hf_err doctor_key_find(struct doctor *d);
hf_err doctor_key_kind(struct doctor *d);
hf_err doctor_key_openssl(struct doctor *d);
hf_err doctor_key_signature(struct doctor *d);
hf_err doctor_token_mechanisms(struct doctor *d);
hf_err doctor_token_rate(struct doctor *d);

/* doctor_certificate.c */
hf_err doctor_cert_file(struct doctor *d);
hf_err doctor_cert_device(struct doctor *d);
hf_err doctor_cert_validity(struct doctor *d);
hf_err doctor_cert_renewal(struct doctor *d);
hf_err doctor_cert_chain(struct doctor *d);
hf_err doctor_cert_key(struct doctor *d);
hf_err doctor_tls_loopback(struct doctor *d);

/* doctor_device.c */
hf_err doctor_clock(struct doctor *d);
hf_err doctor_data_directory(struct doctor *d);
hf_err doctor_run_directory(struct doctor *d);
bool doctor_has_own_broker(const struct doctor *d);
bool doctor_has_other_broker(const struct doctor *d);
hf_err doctor_broker_program(struct doctor *d);
hf_err doctor_broker_port(struct doctor *d);
hf_err doctor_broker_answers(struct doctor *d);
hf_err doctor_core(struct doctor *d);

/* doctor_network.c */
bool doctor_has_proxy(const struct doctor *d);
hf_err doctor_proxy(struct doctor *d);
bool doctor_has_est(const struct doctor *d);
hf_err doctor_est(struct doctor *d);
bool doctor_has_update_key(const struct doctor *d);
hf_err doctor_update_key(struct doctor *d);
hf_err doctor_cloud_config(struct doctor *d);
hf_err doctor_cloud_dns(struct doctor *d);
hf_err doctor_cloud_tcp(struct doctor *d);
hf_err doctor_cloud_tls(struct doctor *d);
hf_err doctor_cloud_mqtt(struct doctor *d);

#endif
