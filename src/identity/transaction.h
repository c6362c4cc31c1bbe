/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device's certificate and key, replaced as one step out of many: begin, stage, commit; or undo. A power cut after any of
 * them leaves what transaction_recover finishes or undoes. docs/adr/0011-renewal.md has the steps.
 */
#ifndef HF_IDENTITY_TRANSACTION_H
#define HF_IDENTITY_TRANSACTION_H

#include "identity/journal.h"

/* Holds the lock from open to free. */
struct transaction {
  struct journal_paths paths;
  struct journal journal; /* as it is on disk */
  char config_path[PATH_MAX];
  int lock;
};

/*
 * Takes the lock and finishes or undoes what was cut. Then the configuration may be another on disk: *ret_changed.
 * Fails with BUSY where another renewal is under way; as journal_paths and journal_read do.
 */
hf_err transaction_open(const struct config *config, struct transaction **ret_transaction, bool *ret_changed);
struct transaction *transaction_free(struct transaction *transaction);
HF_DEFINE_CLEANUP(struct transaction, transaction_free)

/* Says on disk that a renewal is under way; old_key and new_key (made after this) are NULL where the key stays. */
hf_err transaction_begin(struct transaction *transaction, const char *old_key, const char *new_key);

/* The new certificate (PEM), to be tried, at paths.staged; readable by all. */
hf_err transaction_stage(struct transaction *transaction, struct hf_slice pem);

/*
 * From here on it is the device's: configuration first, then the certificate. previous: the exact URI of the key that goes
 * out of use, or NULL. On failure all is undone, or else recovered later.
 */
hf_err transaction_commit(struct transaction *transaction, const char *previous);

/* Writes the journal, whose previous and discard the caller may change. */
hf_err transaction_save(struct transaction *transaction);

/* As if it had not begun; a new key is remembered as one to delete. */
hf_err transaction_undo(struct transaction *transaction);

/*
 * Finishes or undoes a renewal that was cut, from the files alone. For all who use the certificate and the key, before they
 * do. *ret_changed: read the configuration again. One that is under way is waited for only while it commits. A user who
 * may not write is told only where certificate and key would not fit together. Fails with BUSY, PERMISSION, DISK_FULL, ...
 */
hf_err transaction_recover(const struct config *config, bool *ret_changed);

/* The same, and puts what is on disk then in place of *config, where that changed. On failure *config is as it was. */
hf_err transaction_refresh(struct config **config);

#endif
