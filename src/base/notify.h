/* SPDX-License-Identifier: Apache-2.0 */
/* systemd's notification protocol (sd_notify(3)): datagrams to $NOTIFY_SOCKET. Nothing happens without one. */
#ifndef HF_BASE_NOTIFY_H
#define HF_BASE_NOTIFY_H

void hf_notify(const char *state);

/* So that a child takes nothing of it for its own. */
void hf_notify_forget(void);

#endif
