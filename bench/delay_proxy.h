/* SPDX-License-Identifier: Apache-2.0 */
/* A TCP proxy in a thread, behind which a server is further away. */
#ifndef HF_BENCH_DELAY_PROXY_H
#define HF_BENCH_DELAY_PROXY_H

/* Each byte takes one_way_ms longer, in both directions. It serves one connection after the other, until the program ends. */
void delay_proxy_start(unsigned listen_port, unsigned server_port, unsigned one_way_ms);

#endif
