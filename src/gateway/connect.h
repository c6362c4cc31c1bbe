/* SPDX-License-Identifier: Apache-2.0 */
/* 'holdfast connect': from the configuration to a message that the cloud has acknowledged, one check after the other. */
#ifndef HF_GATEWAY_CONNECT_H
#define HF_GATEWAY_CONNECT_H

#include "config/config.h"

/* What the caller is told as it happens. A check's text says what is done: "Resolving broker.example". */
struct gateway_reporter {
  void (*fact)(const char *name, const char *value, void *arg); /* the summary, before the first check */
  void (*check_begin)(const char *text, void *arg);
  void (*check_end)(const char *text, hf_err e, const char *detail, void *arg); /* detail: what was found; may be "" */
  void *arg;
};

struct gateway_connect_options {
  const char *module_path; /* the PKCS #11 module, where the key's URI names none */
  unsigned timeout_s;      /* for each check that waits for the network */
};

/*
 * Runs the checks in order; stops at the first that fails and returns its error, already told to check_end. After
 * program_start.
 */
hf_err gateway_connect(const struct config *config, const struct gateway_connect_options *options,
                       const struct gateway_reporter *reporter);

#endif
