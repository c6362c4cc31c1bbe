/* SPDX-License-Identifier: Apache-2.0 */
/* 'holdfast connect', 'disconnect': from the configuration to a device that the cloud answers, one check after the other. */
#ifndef HF_GATEWAY_CONNECT_H
#define HF_GATEWAY_CONNECT_H

#include "gateway/cloud.h"

/* What the caller is told as it happens. A check's text says what is done: "Resolving broker.example". */
struct gateway_reporter {
  void (*fact)(const char *name, const char *value, void *arg); /* the summary, before the first check */
  void (*check_begin)(const char *text, void *arg);
  void (*check_wait)(const char *text, const char *progress, void *arg);        /* "2 of 5", "3 s of 10 s" */
  void (*check_end)(const char *text, hf_err e, const char *detail, void *arg); /* detail: what was found; may be "" */
  void *arg;
};

struct gateway_connect_options {
  const struct cloud *cloud;
  const char *module_path; /* the PKCS #11 module, where the key's URI names none */
  unsigned timeout_s;      /* for each check that waits for somebody */
  bool test;               /* changes nothing: the cloud is asked through the bridge that is there */
  bool keep_core;          /* holdfast-core goes on without a bridge: another one follows at once */
};

/*
 * Runs the checks in order; stops at the first that fails and returns its error, already told to check_end. After
 * program_start and transaction_recover. Sets the cloud's bridge.enabled in the configuration's file; where the bridge does
 * not come up, takes it back. Fails with CONNECTED where it is up already.
 */
hf_err gateway_connect(const struct config *config, const struct gateway_connect_options *options,
                       const struct gateway_reporter *reporter);

/* Takes the bridge away; stops holdfast-core where it was the last. Where there is none, that is no error. */
hf_err gateway_disconnect(const struct config *config, const struct gateway_connect_options *options,
                          const struct gateway_reporter *reporter);

#endif
