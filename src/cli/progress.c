/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/progress.h"

#include "config/check.h"

#include <time.h>

/* The line that counts down is there, and is to be overwritten. */
static bool counting;

static void end_count(void)
{
  if (counting)
    fputs("\r\x1b[K", stderr);
  counting = false;
}

static void line(const char *prefix, const char *text)
{
  end_count();
  fputs(prefix, stderr);
  cli_print_text(stderr, text, strlen(text));
  fputc('\n', stderr);
}

static void on_step(const char *text, void *arg)
{
  (void)arg;
  line("", text);
}

static void on_note(const char *text, void *arg)
{
  (void)arg;
  line("holdfast: note: ", text);
}

static bool on_waiting(const char *what, unsigned seconds_left, void *arg)
{
  (void)arg;
  if (!isatty(STDERR_FILENO))
    return true;
  fputc('\r', stderr);
  cli_print_text(stderr, what, strlen(what));
  fprintf(stderr, ": %u s\x1b[K", seconds_left);
  fflush(stderr);
  counting = true;
  if (seconds_left == 1)
    end_count();
  return true;
}

/* At most five times a second, and at the end. */
static bool is_time_to_tell(bool last)
{
  static struct timespec told;
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  if (!last && (now.tv_sec - told.tv_sec) * 1000 + (now.tv_nsec - told.tv_nsec) / 1000000 < 200)
    return false;
  told = now;
  return true;
}

/* True where there is something to tell on a terminal, and it is time to. */
static bool begin_bar(uint64_t have, uint64_t size)
{
  enum { BAR = 30 };
  if (!isatty(STDERR_FILENO) || !is_time_to_tell(size && have >= size))
    return false;
  int full = size ? (int)((double)have / (double)size * BAR) : 0;
  fputc('\r', stderr);
  if (size)
    fprintf(stderr, "[%.*s%*s] %3d %% ", full, "##############################", BAR - full, "",
            (int)((double)have / (double)size * 100));
  return true;
}

static void end_bar(bool last)
{
  fputs("\x1b[K", stderr);
  fflush(stderr);
  counting = true;
  if (last)
    end_count();
}

void cli_progress_bytes(uint64_t have, uint64_t size, void *arg)
{
  (void)arg;
  if (!begin_bar(have, size))
    return;
  fprintf(stderr, "%.1f MiB", (double)have / (1 << 20));
  end_bar(size && have >= size);
}

void cli_progress_items(const char *what, size_t done, size_t count)
{
  if (!begin_bar(done, count))
    return;
  cli_print_text(stderr, what, strlen(what));
  fprintf(stderr, ": %zu of %zu", done, count);
  end_bar(done >= count);
}

const struct observer *cli_progress(void)
{
  static const struct observer observer = { .step = on_step, .note = on_note, .waiting = on_waiting };
  return &observer;
}

hf_err cli_duration(const struct cli_args *args, const char *name, unsigned default_s, unsigned max_s,
                    unsigned *ret_seconds)
{
  const char *text = cli_get(args, name);
  uint64_t seconds = default_s;
  if (text && (!config_number(CONFIG_TYPE_DURATION, text, &seconds) || seconds > max_s))
    return hf_hint(hf_fail(HF_ERR_USAGE, "--%s %s", name, text), "Write a number and its unit, s, m or h, up to %u s.",
                   max_s);
  *ret_seconds = (unsigned)seconds;
  return HF_OK;
}
