/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/flight.h"

enum { FIRST_CAPACITY = 64 };

uint16_t flight_packet_id(uint64_t sequence, uint16_t salt)
{
  return (uint16_t)((sequence + salt) % FLIGHT_IDS + 1);
}

static struct flight *at(const struct flights *flights, size_t i)
{
  return &flights->items[(flights->head + i) & (flights->capacity - 1)];
}

static hf_err grow(struct flights *flights)
{
  size_t capacity = flights->capacity ? 2 * flights->capacity : FIRST_CAPACITY;
  struct flight *items = calloc(capacity, sizeof(*items));
  if (!items)
    return hf_fail(HF_ERR_NO_MEMORY, "messages on their way");
  for (size_t i = 0; i < flights->count; i++)
    items[i] = *at(flights, i);
  free(flights->items);
  flights->items = items;
  flights->capacity = capacity;
  flights->head = 0;
  return HF_OK;
}

hf_err flights_add(struct flights *flights, const struct flight *flight)
{
  if (flights->count == flights->capacity)
    HF_TRY(grow(flights));
  *at(flights, flights->count++) = *flight;
  if (flight->qos > 0)
    flights->open++;
  else
    flights->writing++;
  return HF_OK;
}

/* Answers come in the order of the messages, as a rule: the search goes on where the last one ended. */
struct flight *flights_find(struct flights *flights, uint16_t packet_id)
{
  for (size_t step = 0; step < flights->count; step++) {
    size_t i = (flights->hint + step) % flights->count;
    struct flight *flight = at(flights, i);
    if (flight->state != FLIGHT_GONE && flight->qos > 0 && flight->packet_id == packet_id) {
      flights->hint = i;
      return flight;
    }
  }
  return NULL;
}

static void drop_gone(struct flights *flights)
{
  while (flights->count > 0 && at(flights, 0)->state == FLIGHT_GONE) {
    flights->head = (flights->head + 1) & (flights->capacity - 1);
    flights->count--;
    if (flights->hint > 0)
      flights->hint--;
  }
}

struct flight *flights_oldest(struct flights *flights)
{
  return flights->count > 0 ? at(flights, 0) : NULL;
}

bool flights_fit(struct flights *flights, uint64_t sequence)
{
  return flights->count == 0 || sequence - at(flights, 0)->sequence < FLIGHT_IDS;
}

void flights_settle(struct flights *flights, struct flight *flight)
{
  flight->state = FLIGHT_GONE;
  if (flight->qos > 0)
    flights->open--;
  drop_gone(flights);
}

void flights_settle_sent(struct flights *flights, uint64_t end, void (*done)(uint64_t sequence, void *arg), void *arg)
{
  for (size_t i = 0; i < flights->count && flights->writing > 0; i++) {
    struct flight *flight = at(flights, i);
    if (flight->qos > 0 || flight->state == FLIGHT_GONE)
      continue;
    if (flight->end > end)
      break;
    flight->state = FLIGHT_GONE;
    flights->writing--;
    done(flight->sequence, arg);
  }
  drop_gone(flights);
}

void flights_clear(struct flights *flights)
{
  flights->head = flights->count = flights->hint = flights->open = flights->writing = 0;
}

void flights_free(struct flights *flights)
{
  free(flights->items);
  *flights = (struct flights){ 0 };
}
