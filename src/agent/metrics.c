/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/metrics.h"

#include "policy/audit.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <time.h>

#define PREFIX "holdfast_agent_"

struct metrics {
  atomic_ulong counters[METRIC_COUNT];
  atomic_ulong open;
  unsigned long restarts;
  double started;
};

static const struct {
  const char *name, *help;
} rows[METRIC_COUNT] = {
#define METRICS_ROW(id, name, help) { name, help },
  METRICS_TABLE(METRICS_ROW)
#undef METRICS_ROW
};

hf_err metrics_new(struct metrics **ret_metrics)
{
  struct metrics *metrics = calloc(1, sizeof(*metrics));
  if (!metrics)
    return hf_fail(HF_ERR_NO_MEMORY, "the metrics");
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  metrics->started = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
  *ret_metrics = metrics;
  return HF_OK;
}

struct metrics *metrics_free(struct metrics *metrics)
{
  free(metrics);
  return NULL;
}

void metrics_add(struct metrics *metrics, enum metric metric, unsigned long n)
{
  atomic_fetch_add_explicit(&metrics->counters[metric], n, memory_order_relaxed);
}

unsigned long metrics_get(const struct metrics *metrics, enum metric metric)
{
  return atomic_load_explicit(&metrics->counters[metric], memory_order_relaxed);
}

void metrics_set_open(struct metrics *metrics, unsigned long open)
{
  atomic_store_explicit(&metrics->open, open, memory_order_relaxed);
}

unsigned long metrics_open(const struct metrics *metrics)
{
  return atomic_load_explicit(&metrics->open, memory_order_relaxed);
}

void metrics_set_restarts(struct metrics *metrics, unsigned long restarts)
{
  metrics->restarts = restarts;
}

double metrics_started(const struct metrics *metrics)
{
  return metrics->started;
}

size_t metrics_resident(void)
{
  char text[128];
  HF_CLEANUP(hf_closep) int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
  if (len <= 0)
    return 0;
  text[len] = '\0';
  unsigned long pages = 0;
  return sscanf(text, "%*u %lu", &pages) == 1 ? pages * (size_t)sysconf(_SC_PAGESIZE) : 0;
}

static hf_err add_row(struct hf_buf *out, const char *name, const char *help, const char *type, double value)
{
  return hf_buf_addf(out, "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s %s\n" PREFIX "%s %.15g\n", name, help, name,
                     type, name, value);
}

hf_err metrics_format(struct metrics *metrics, struct hf_buf *out)
{
  for (enum metric i = 0; i < METRIC_COUNT; i++)
    HF_TRY(add_row(out, rows[i].name, rows[i].help, "counter", (double)metrics_get(metrics, i)));
  HF_TRY(add_row(out, "audit_lost_total", "Audit lines that could not be written.", "counter", (double)audit_lost()));
  HF_TRY(add_row(out, "worker_restarts_total", "Times that the worker was started again.", "counter",
                 (double)metrics->restarts));
  HF_TRY(add_row(out, "connections_open", "Connections open now.", "gauge", (double)metrics_open(metrics)));
  HF_TRY(add_row(out, "worker_start_time_seconds", "When the worker started.", "gauge", metrics->started));
  return add_row(out, "worker_resident_memory_bytes", "The worker's resident memory.", "gauge",
                 (double)metrics_resident());
}
