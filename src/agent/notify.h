/* SPDX-License-Identifier: Apache-2.0 */
/* systemd's notification protocol (sd_notify(3)): datagrams to $NOTIFY_SOCKET. Nothing happens without one. */
#ifndef HF_AGENT_NOTIFY_H
#define HF_AGENT_NOTIFY_H

void notify_systemd(const char *state);

/* So that the worker takes nothing of it for its own. */
void notify_forget(void);

#endif
