/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A PKCS #11 module in this process, loaded once a path and shared by all who open it; any thread may use it.
 *
 * It stays mapped for good: modules leave threads, thread-local destructors and atexit handlers behind, which an early
 * dlclose would turn into crashes. At exit nothing is done: a process that ends with references leaves them.
 */
#ifndef HF_P11_MODULE_H
#define HF_P11_MODULE_H

#include "base/cleanup.h"
#include "base/error.h"
#include "holdfast/pkcs11.h"
#include "holdfast/token-ext.h"

#include <stdbool.h>
#include <stdint.h>

struct p11_module;
struct uri;

/*
 * The module that the URI names by module-path, by module-name, or by both, the path being the name's directory; else
 * otherwise, which is also taken where its file is what module-name names. "" where there is neither (otherwise NULL).
 * Fails with MODULE_LOAD where nothing is installed by that name.
 */
hf_err p11_module_of_uri(const struct uri *uri, const char *otherwise, char *out, size_t size);

/*
 * Loads and initialises it. One that the program had initialised already is used as it is, and not finalised by us.
 * path goes to dlopen: one without a slash is looked for as a shared library. Fails with MODULE_LOAD, MODULE_INIT.
 * unix:path=SOCKET is the key agent's PKCS #11 socket, by way of p11-kit-client.so; fails with UNREACHABLE, too.
 */
hf_err p11_module_open(const char *path, struct p11_module **ret_module);
struct p11_module *p11_module_ref(struct p11_module *module);
/* C_Finalize with the last reference, where C_Initialize was ours. NULL is fine; returns NULL. */
struct p11_module *p11_module_unref(struct p11_module *module);
HF_DEFINE_CLEANUP(struct p11_module, p11_module_unref)

CK_FUNCTION_LIST *p11_module_functions(struct p11_module *module);
const char *p11_module_path(const struct p11_module *module);
/* The interface of Holdfast's own token; NULL for any other module. */
const struct holdfast_token_ext *p11_module_ext(struct p11_module *module);
hf_err p11_module_info(struct p11_module *module, CK_INFO *ret_info);

/*
 * Initialises the module again where it needs it: in a forked child, or after p11_module_lost. Call it before using a
 * module that may have crossed a fork. The generation changes whenever earlier sessions and handles are gone.
 */
hf_err p11_module_ready(struct p11_module *module);
uint64_t p11_module_generation(struct p11_module *module);
/* A function answered CRYPTOKI_NOT_INITIALIZED in this generation: someone else in the process finalised the module. */
void p11_module_lost(struct p11_module *module, uint64_t generation);

/*
 * Whether the module answered nothing but errors, or shows no token at all, and was started anew for it: a client of a
 * server that went away stays so until then. rv is what it answered to fresh sessions: errors of the device count, too, but
 * ever more seldom. Only where C_Initialize was ours, at most once a second, and only when everyone between
 * enter and leave is out; the caller must be.
 */
bool p11_module_revive(struct p11_module *module, CK_RV rv);
/* The same, whatever it shows: some show what other programs have made only then. Sessions and their objects are gone. */
bool p11_module_renew(struct p11_module *module);
/*
 * Something was not found. Whether that may be because another program has made it since (tpm2-pkcs11 reads its store once), and
 * the module was started anew for it, as p11_module_revive does.
 */
bool p11_module_look_again(struct p11_module *module);
void p11_module_enter(struct p11_module *module);
void p11_module_leave(struct p11_module *module);

/*
 * tpm2-pkcs11 numbers its objects by their places in a list: once the first one was destroyed, one that is made may get the handle
 * of another, which then signs in its place, until the module is started anew.
 */
bool p11_module_reuses_handles(struct p11_module *module);
/* An object was destroyed. Where that matters, p11_module_enter starts the module anew, as p11_module_renew, once nobody is in it. */
void p11_module_destroyed(struct p11_module *module);

/* Whether the server behind the module, if it has one, listens: by itself it would just show no slots. */
hf_err p11_module_reachable(const struct p11_module *module);

/* An error out of what a function of this module answered; 0 gives HF_OK. Our token adds its own reason and hint. */
hf_err p11_fail(struct p11_module *module, CK_RV rv, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
