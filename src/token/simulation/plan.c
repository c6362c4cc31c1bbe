/* SPDX-License-Identifier: Apache-2.0 */
#include "token/simulation/plan.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <ctype.h>
#include <string.h>

enum { NUMBER_MAX = 1000000000 };

#define EXPECTED_FAULT                                                                                      \
  "a function, a condition (nth= every= chance= seed= after= for= times=), or what happens: device-error, " \
  "device-memory, pin-locked, unplug, session-lost, logged-out, slow=TIME, hang, corrupt or CKR_..."

static const struct {
  const char *word;
  enum fault_kind kind;
  enum hf_code code;
} kinds[] = {
  { "device-error", FAULT_ANSWER, HF_ERR_DEVICE_ERROR },
  { "device-memory", FAULT_ANSWER, HF_ERR_DEVICE_MEMORY },
  { "pin-locked", FAULT_ANSWER, HF_ERR_PIN_LOCKED },
  { "unplug", FAULT_UNPLUG, HF_ERR_DEVICE_REMOVED },
  { "session-lost", FAULT_SESSION_LOST, HF_ERR_SESSION_HANDLE_INVALID },
  { "logged-out", FAULT_LOGGED_OUT, HF_ERR_OK },
  { "hang", FAULT_HANG, HF_ERR_OK },
  { "corrupt", FAULT_CORRUPT, HF_ERR_OK },
};

static hf_err set_kind(struct fault *fault, enum fault_kind kind, enum hf_code code, const char *word)
{
  if (fault->kind != FAULT_NONE)
    return word_bad(word, "one thing that happens, not two");
  fault->kind = kind;
  fault->code = code;
  return HF_OK;
}

static hf_err set_nth(struct fault *fault, const char *value)
{
  return word_number(value, 1, NUMBER_MAX, &fault->nth);
}

static hf_err set_every(struct fault *fault, const char *value)
{
  if (!isalpha((unsigned char)value[strlen(value) ? strlen(value) - 1 : 0]))
    return word_number(value, 1, NUMBER_MAX, &fault->every);
  HF_TRY(word_duration(value, &fault->period));
  return fault->period ? HF_OK : word_bad(value, "a number of calls, or a time");
}

static hf_err set_chance(struct fault *fault, const char *value)
{
  bool number = isdigit((unsigned char)value[0]) && value[strspn(value, "0123456789.")] == '\0';
  double chance = number ? strtod(value, NULL) : 0;
  if (chance <= 0 || chance > 1)
    return word_bad(value, "a probability above 0 and up to 1, like 0.01");
  fault->chance = chance;
  return HF_OK;
}

static hf_err set_seed(struct fault *fault, const char *value)
{
  return word_number(value, 1, NUMBER_MAX, &fault->seed);
}

static hf_err set_after(struct fault *fault, const char *value)
{
  return word_duration(value, &fault->after);
}

static hf_err set_for(struct fault *fault, const char *value)
{
  HF_TRY(word_duration(value, &fault->lasting));
  return fault->lasting ? HF_OK : word_bad(value, "a time that is longer");
}

static hf_err set_times(struct fault *fault, const char *value)
{
  return word_number(value, 1, NUMBER_MAX, &fault->times);
}

static hf_err set_slow(struct fault *fault, const char *value)
{
  HF_TRY(set_kind(fault, FAULT_SLOW, HF_ERR_OK, "slow"));
  return word_duration(value, &fault->slowness);
}

static const struct {
  const char *name;
  hf_err (*set)(struct fault *fault, const char *value);
} settings[] = {
  { "nth", set_nth },     { "every", set_every }, { "chance", set_chance }, { "seed", set_seed },
  { "after", set_after }, { "for", set_for },     { "times", set_times },   { "slow", set_slow },
};

static hf_err take_setting(struct fault *fault, char *word, char *equals)
{
  *equals = '\0';
  for (size_t i = 0; i < HF_ARRAY_LEN(settings); i++)
    if (strcmp(settings[i].name, word) == 0)
      return settings[i].set(fault, equals + 1);
  return word_bad(word, EXPECTED_FAULT);
}

static hf_err take_word(struct fault *fault, char *word)
{
  char *equals = strchr(word, '=');
  if (equals)
    return take_setting(fault, word, equals);
  for (size_t i = 0; i < HF_ARRAY_LEN(kinds); i++)
    if (strcmp(kinds[i].word, word) == 0)
      return set_kind(fault, kinds[i].kind, kinds[i].code, word);
  enum hf_code code;
  if (strncmp(word, "CKR_", 4) == 0) {
    HF_TRY(word_error(word, &code));
    return set_kind(fault, FAULT_ANSWER, code, word);
  }
  if (!word_is_function(word))
    return word_bad(word, strncmp(word, "C_", 2) == 0 ? "a function of PKCS #11" : EXPECTED_FAULT);
  if (fault->function[0])
    return word_bad(word, "one function; write a fault of its own for the other");
  snprintf(fault->function, sizeof(fault->function), "%s", word);
  return HF_OK;
}

static hf_err check(const struct fault *fault)
{
  int when = (fault->nth != 0) + (fault->every != 0) + (fault->period != 0) + (fault->chance > 0);
  if (fault->kind == FAULT_NONE)
    return word_bad(fault->text, "what happens: device-error, unplug, session-lost, slow=TIME, hang, ...");
  if (when > 1)
    return word_bad(fault->text, "one of nth=, every= and chance=");
  if (fault->seed && fault->chance <= 0)
    return word_bad(fault->text, "seed= only with chance=");
  if (fault->period && fault->lasting >= fault->period)
    return word_bad(fault->text, "for= to be shorter than every=");
  if (fault->kind == FAULT_CORRUPT && fault->function[0] && strcmp(fault->function, "C_Sign") != 0)
    return word_bad(fault->text, "corrupt with C_Sign");
  return HF_OK;
}

hf_err fault_parse(const char *text, struct fault *ret_fault)
{
  struct fault fault = { .kind = FAULT_NONE };
  char words[FAULT_TEXT_MAX], *rest = words, *word;
  struct hf_slice trimmed = hf_text_trimmed(text);
  if (trimmed.len >= sizeof(words))
    return hf_fail(HF_ERR_PARSE, "a fault of %zu characters (expected at most %d)", trimmed.len, FAULT_TEXT_MAX - 1);
  snprintf(fault.text, sizeof(fault.text), "%.*s", (int)trimmed.len, (const char *)trimmed.data);
  memcpy(words, fault.text, sizeof(words));
  while ((word = strsep(&rest, " \t")) != NULL)
    if (word[0])
      HF_TRY(take_word(&fault, word));
  HF_TRY(check(&fault));
  if (fault.kind == FAULT_CORRUPT)
    snprintf(fault.function, sizeof(fault.function), "C_Sign");
  *ret_fault = fault;
  return HF_OK;
}

bool fault_concerns(const struct fault *fault, const char *function)
{
  if (!fault->function[0])
    return !word_is_local(function);
  return strcmp(fault->function, function) == 0 || strcmp(fault->function, word_whole_function(function)) == 0;
}

/* As good as random, but the same for the same seed and call, in whatever process. */
static double draw(uint64_t seed, uint64_t call)
{
  uint64_t x = (seed + call) * 0x9E3779B97F4A7C15ULL;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  x ^= x >> 31;
  return (double)(x >> 11) / (double)(1ULL << 53);
}

/* When the fault has begun by the clock alone; 0: not yet. */
static uint64_t begun(const struct fault *fault, uint64_t armed, uint64_t now)
{
  uint64_t start = armed + fault->after;
  if (now < start)
    return 0;
  if (!fault->period)
    return start;
  uint64_t periods = (now - start) / fault->period;
  return periods ? start + periods * fault->period : 0;
}

static bool hits(const struct fault *fault, uint64_t call)
{
  if (fault->nth)
    return call == fault->nth;
  if (fault->every)
    return call % fault->every == 0;
  return fault->chance <= 0 || draw(fault->seed, call) < fault->chance;
}

static bool by_call(const struct fault *fault)
{
  return fault->nth || fault->every || fault->chance > 0;
}

/* Whether the clock alone makes it strike, at one moment. */
static bool by_clock(const struct fault *fault)
{
  return !by_call(fault) && (fault->period || fault->lasting || fault->kind == FAULT_UNPLUG);
}

/* Takes one of the times that it may strike; a strike of the clock is taken once, however many callers see it. */
static bool take_strike(const struct fault *fault, struct fault_state *state, uint64_t since)
{
  uint64_t last = atomic_load(&state->since);
  if (by_clock(fault) && (last == since || !atomic_compare_exchange_strong(&state->since, &last, since)))
    return false;
  if (fault->times && atomic_fetch_add(&state->strikes, 1) >= fault->times) {
    atomic_fetch_sub(&state->strikes, 1);
    return false;
  }
  if (!fault->times)
    atomic_fetch_add(&state->strikes, 1);
  atomic_store(&state->since, since);
  return true;
}

bool fault_strikes(const struct fault *fault, struct fault_state *state, uint64_t armed, uint64_t now,
                   uint64_t *ret_until)
{
  uint64_t start = begun(fault, armed, now);
  uint64_t call = atomic_fetch_add(&state->calls, 1) + 1, since = atomic_load(&state->since);
  *ret_until = 0;
  /* An unplugged token stays so by itself, and may be plugged in before its time. */
  if (fault->lasting && fault->kind != FAULT_UNPLUG && since && now < since + fault->lasting) {
    *ret_until = since + fault->lasting;
    return true;
  }
  if (!start || !hits(fault, call))
    return false;
  uint64_t from = by_clock(fault) ? start : now;
  if (!take_strike(fault, state, from))
    return false;
  if (fault->lasting)
    *ret_until = from + fault->lasting;
  return true;
}

/* Appends one. */
static hf_err add_fault(char *text, struct plan *plan)
{
  if (text[strspn(text, " \t\r")] == '\0')
    return HF_OK;
  if (plan->count == PLAN_MAX)
    return hf_fail(HF_ERR_LIMIT, "more than %d faults", PLAN_MAX);
  HF_TRY(fault_parse(text, &plan->faults[plan->count]));
  plan->count++;
  return HF_OK;
}

hf_err plan_parse(const char *text, struct plan *plan)
{
  size_t count = plan->count;
  HF_CLEANUP(hf_freep) char *copy = strdup(text);
  if (!copy)
    return hf_fail(HF_ERR_NO_MEMORY, "a plan of %zu bytes", strlen(text));
  char *rest = copy, *one;
  while ((one = strsep(&rest, ",\n")) != NULL) {
    hf_err e = add_fault(one, plan);
    if (hf_failed(e)) {
      plan->count = count;
      return e;
    }
  }
  return HF_OK;
}
