/* SPDX-License-Identifier: Apache-2.0 */
/* What a program that uses the device's key sets up once, before its threads: module, provider, configuration. */
#ifndef HF_IDENTITY_PROGRAM_H
#define HF_IDENTITY_PROGRAM_H

#include "config/config.h"

/* Our own token's module and OpenSSL provider, beside this program. Fail with MODULE_LOAD. */
hf_err program_own_module(char *out, size_t size);
hf_err program_provider(char *out, size_t size);

/* What the local broker loads to know its devices. Fails with NOT_FOUND. */
hf_err program_admission(char *out, size_t size);

/* given (may be NULL), else the configuration's, else our own; as p11_module_open takes it. With given, config may be NULL. */
hf_err program_module(const struct config *config, const char *given, char *out, size_t size);

/*
 * Loads Holdfast's provider into this process; one that openssl.cnf loaded already stays. It finds configuration and module
 * by the environment, which is set here to what this program uses: so call it before the first thread.
 */
hf_err program_start(const struct config *config, const char *module_path);

#endif
