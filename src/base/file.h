/* SPDX-License-Identifier: Apache-2.0 */
/* Files, whole. Errors name the path. */
#ifndef HF_BASE_FILE_H
#define HF_BASE_FILE_H

#include "base/buf.h"
#include "base/secret.h"

#include <sys/types.h>

/* Reads all of path (a regular file or a pipe) into out, up to out's limit. */
hf_err hf_file_read(const char *path, struct hf_buf *out);

/*
 * Replaces path as one step: written aside with this mode, synced, renamed. On failure the old file is as it was. What root
 * writes keeps its owner, and a new file has its directory's, except where everyone may write.
 */
hf_err hf_file_write(const char *path, const void *data, size_t len, mode_t mode);

/* Removes what hf_file_write left aside where the program was cut while it wrote path; for who alone writes it. */
void hf_file_tidy(const char *path);

/* Makes a new file in the same way. Fails with IO where there is one already, which is left alone. */
hf_err hf_file_create(const char *path, const void *data, size_t len, mode_t mode);

/* Gives a file another name in place of what had it, as one step, synced: it survives a power cut, or did not happen. */
hf_err hf_file_rename(const char *from, const char *to);

/* Removes a file, synced; one that is not there is fine. */
hf_err hf_file_remove(const char *path);

/* Locks a file, which is made where it is missing (0600) and stays. Ends with the descriptor. Fails with BUSY where another has it. */
hf_err hf_file_lock(const char *path, int *ret_fd);

/* Makes a directory and its parents, 0700; one that exists is fine. */
hf_err hf_dir_make(const char *path);

/* Makes the directories above path that are missing, with this mode. */
hf_err hf_dir_make_above(const char *path, mode_t mode);

/*
 * Resolves a pin-source (RFC 7512, section 2.4): a file's path or file: URI, env:NAME, or credential:NAME (a file in
 * $CREDENTIALS_DIRECTORY). Its first line, at most 255 bytes, is the PIN.
 */
hf_err hf_pin_source_read(const char *source, struct hf_secret **ret_pin);

/* The file that a source leads to. Fails with USAGE for env: and credential:, which are not for us to write. */
hf_err hf_pin_source_path(const char *source, char *out, size_t size);

/* A number that changes with the file; 0 where there is none to look at. One system call. */
uint64_t hf_file_stamp(const char *path);

/* The same of the source's file; 0 where there is no file to look at. One system call. */
uint64_t hf_pin_source_stamp(const char *source);

/*
 * The first of some places that exists, each a path from the folder of the running program on ("../lib/x.so"): what is
 * installed, at any prefix, or built beside it. Its real path. Fails with NOT_FOUND and names the first place.
 */
hf_err hf_file_beside_program(const char *const *places, size_t count, char *out, size_t size);

#endif
