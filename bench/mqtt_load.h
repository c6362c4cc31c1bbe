/* SPDX-License-Identifier: Apache-2.0 */
/* Numbered messages with QoS 1 from a client at one broker to a client at another, each with the time it was sent; counted. */
#ifndef HF_BENCH_MQTT_LOAD_H
#define HF_BENCH_MQTT_LOAD_H

#include <stdbool.h>
#include <stddef.h>

struct load_event {
  double at; /* seconds from the start; the list ends with one whose run is NULL */
  void (*run)(void *arg);
};

struct load_options {
  unsigned publish_port, subscribe_port;
  const char *topic, *filter;
  unsigned count; /* of messages; 0: as many as there are in seconds */
  double seconds;
  unsigned rate;   /* a second; 0: as fast as the window allows */
  unsigned window; /* messages without an acknowledgement at once */
  size_t size;     /* bytes of payload, at least 16 */
  double patience; /* seconds without any message until what is missing is taken for lost */
  const struct load_event *events;
  void *arg;
};

struct load_result {
  unsigned sent, acknowledged, received;
  unsigned lost;       /* acknowledged, and not received */
  unsigned twice;      /* received more than once */
  unsigned disordered; /* received first behind a later one */
  double seconds;      /* from the first sent to the last received */
  double p50_ms, p99_ms;
};

/* Both clients connect again where they lose a broker; what was not acknowledged then is not sent again. */
struct load_result load_run(const struct load_options *options);

#endif
