/* SPDX-License-Identifier: Apache-2.0 */
/* Which check of the doctor's runs, on a terminal alone. */
#ifndef HF_CLI_CHECK_PROGRESS_H
#define HF_CLI_CHECK_PROGRESS_H

enum { CLI_CHECK_CODE_WIDTH = 23 };

/* For struct doctor_reporter; on standard error, on one line, until the next one or cli_check_end. */
void cli_check_begin(const char *code, const char *title, void *arg);
void cli_check_end(void);

#endif
