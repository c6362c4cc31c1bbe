/* SPDX-License-Identifier: Apache-2.0 */
/* Who is told what happens while a certificate is got or renewed. */
#ifndef HF_IDENTITY_OBSERVER_H
#define HF_IDENTITY_OBSERVER_H

#include "base/error.h"

#include <stdbool.h>

/* Each may be NULL; all are called in the caller's thread. Texts are one line, without a full stop. */
struct observer {
  void (*step)(const char *text, void *arg); /* what is done now: "Asking https://... for a certificate" */
  void (*note)(const char *text, void *arg); /* what a person should know, though it goes on */
  /* About once a second, while something is waited for; false ends it (CANCELLED). */
  bool (*waiting)(const char *what, unsigned seconds_left, void *arg);
  /* About once a second, and more often, while a server is talked to; true ends it (CANCELLED). */
  bool (*is_cancelled)(void *arg);
  void *arg;
};

enum { OBSERVER_TEXT_MAX = HF_CONTEXT_MAX + 256 };

void observer_step(const struct observer *observer, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void observer_note(const struct observer *observer, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

bool observer_is_cancelled(const struct observer *observer);

/* Waits, telling. Fails with CANCELLED. */
hf_err observer_wait(const struct observer *observer, const char *what, unsigned seconds);

#endif
