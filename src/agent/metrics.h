/* SPDX-License-Identifier: Apache-2.0 */
/* Counters, shown as Prometheus text. Any thread may count; counting takes no lock. */
#ifndef HF_AGENT_METRICS_H
#define HF_AGENT_METRICS_H

#include "base/buf.h"

/* One row a metric: name without its prefix "holdfast_agent_", help. */
#define METRICS_TABLE(X)                                                           \
  X(CONNECTIONS, "connections_total", "Connections accepted.")                     \
  X(CONNECTIONS_REFUSED, "connections_refused_total", "Connections over a limit.") \
  X(REQUESTS, "requests_total", "Requests served.")                                \
  X(REQUESTS_DENIED, "requests_denied_total", "Requests refused by policy.")       \
  X(REQUESTS_FAILED, "requests_failed_total", "Requests that ended in an error.")  \
  X(SIGNATURES, "signatures_total", "Signatures made.")                            \
  X(RECOVERIES, "recoveries_total", "Sessions lost and opened again.")

enum metric {
#define METRICS_ENUM(id, name, help) METRIC_##id,
  METRICS_TABLE(METRICS_ENUM)
#undef METRICS_ENUM
      METRIC_COUNT
};

struct metrics;

hf_err metrics_new(struct metrics **ret_metrics);
struct metrics *metrics_free(struct metrics *metrics);
void metrics_add(struct metrics *metrics, enum metric metric, unsigned long n);
unsigned long metrics_get(const struct metrics *metrics, enum metric metric);

/* Connections that are open now. */
void metrics_set_open(struct metrics *metrics, unsigned long open);
unsigned long metrics_open(const struct metrics *metrics);

/* How often the worker was started again, as the supervisor says. */
void metrics_set_restarts(struct metrics *metrics, unsigned long restarts);

/* Seconds since the Epoch when the worker started, and its resident memory in bytes (0 where /proc is away). */
double metrics_started(const struct metrics *metrics);
size_t metrics_resident(void);

/* Appends the text exposition format: the counters, the worker's start time, its resident memory and open connections. */
hf_err metrics_format(struct metrics *metrics, struct hf_buf *out);

#endif
