/* SPDX-License-Identifier: Apache-2.0 */
/* The syntax of softhsm2.conf: lines of the form "name = value"; what follows a # is a comment. */
#ifndef HF_TOKEN_CONF_LINES_H
#define HF_TOKEN_CONF_LINES_H

#include "base/error.h"

struct conf_line {
  const char *path; /* of the file; names it in errors */
  unsigned number;
  const char *key;
  char *value; /* without blanks around it; may be written to */
};

/* Calls each for every line until it fails. Cuts text up. Fails with CONFIG where a line is not of the form. */
hf_err conf_lines(const char *path, char *text, hf_err (*each)(const struct conf_line *line, void *arg), void *arg);

/* CONFIG: the value is none of those that are expected, which this text tells ("true or false"). */
hf_err conf_line_bad(const struct conf_line *line, const char *expected);

#endif
