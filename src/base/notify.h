/* SPDX-License-Identifier: Apache-2.0 */
/* systemd's notification protocol (sd_notify(3)): datagrams to $NOTIFY_SOCKET. Nothing happens without one. */
#ifndef HF_BASE_NOTIFY_H
#define HF_BASE_NOTIFY_H

#include <stdbool.h>

void hf_notify(const char *state);

/* Whether an entry of the environment is from systemd to this process alone: a child would take it for its own. */
bool hf_notify_is_for_us(const char *entry);

/* Takes all of them out of the environment; nothing is notified any more. */
void hf_notify_forget(void);

#endif
