/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that are a program of their own, beside this one: they become it, with the arguments as they are. */
#ifndef HF_CLI_BESIDE_H
#define HF_CLI_BESIDE_H

/* folder: where the build tree has it ("../agent/"). Returns only where it fails: the exit status. what: "the key agent". */
int cli_become(const char *program, const char *folder, const char *what, char **argv);

#endif
