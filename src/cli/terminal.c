/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include "cli/pin.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <termios.h>

void cli_print_text(FILE *out, const char *text, size_t len)
{
  for (size_t i = 0; i < len; i++) {
    unsigned char c = (unsigned char)text[i];
    if (c < 0x20 || c == 0x7f)
      fprintf(out, "\\x%02X", c);
    else
      fputc(c, out);
  }
}

void cli_print_line(const char *name, int width, const char *text)
{
  printf("%-*s", width, name);
  cli_print_text(stdout, text, strlen(text));
  putchar('\n');
}

/* The signal that came while the echo was off. */
static volatile sig_atomic_t caught;

static void catch_signal(int number)
{
  caught = number;
}

/* Waits for input under this signal mask (NULL: the present one), so that no signal is missed before the wait. */
static bool wait_for_input(const sigset_t *mask)
{
  struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
  while (!caught) {
    int n = ppoll(&input, 1, NULL, mask);
    if (n > 0 || (n < 0 && errno != EINTR))
      return !caught && n > 0;
  }
  return false;
}

/* One line from the terminal, without its end. Unbuffered, so that nothing of it stays in stdio. */
static hf_err read_line(char *out, size_t size, const sigset_t *mask)
{
  size_t len = 0;
  for (;;) {
    char c;
    if (!wait_for_input(mask) || read(STDIN_FILENO, &c, 1) <= 0)
      return hf_fail(HF_ERR_IO, "nothing was entered");
    if (c == '\n')
      break;
    if (len + 1 >= size)
      return hf_fail(HF_ERR_LIMIT, "the line that was entered");
    out[len++] = c;
  }
  out[len] = '\0';
  return HF_OK;
}

static hf_err prompt_line(FILE *shown, const char *prompt, char *out, size_t size, const sigset_t *mask)
{
  fputs(prompt, shown);
  fflush(shown);
  hf_err e = read_line(out, size, mask);
  fputc('\n', shown);
  return e;
}

static hf_err read_hidden_line(FILE *shown, const char *prompt, char *out, size_t size)
{
  struct termios before;
  if (tcgetattr(STDIN_FILENO, &before) != 0)
    return hf_fail(HF_ERR_PIN_MISSING, "there is no terminal to ask on");
  struct termios hidden = before;
  hidden.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
  /* Who ends the program at the prompt gets a terminal that echoes. */
  static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
  struct sigaction kept[HF_ARRAY_LEN(signals)];
  sigset_t blocked, mask;
  sigemptyset(&blocked);
  for (size_t i = 0; i < HF_ARRAY_LEN(signals); i++)
    sigaddset(&blocked, signals[i]);
  sigprocmask(SIG_BLOCK, &blocked, &mask);
  for (size_t i = 0; i < HF_ARRAY_LEN(signals); i++)
    sigaction(signals[i], &(struct sigaction){ .sa_handler = catch_signal }, &kept[i]);
  hf_err e = tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden) == 0 ? prompt_line(shown, prompt, out, size, &mask)
                                                              : hf_fail_errno(errno, "turning off the terminal's echo");
  (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
  for (size_t i = 0; i < HF_ARRAY_LEN(signals); i++)
    sigaction(signals[i], &kept[i], NULL);
  sigprocmask(SIG_SETMASK, &mask, NULL);
  if (caught)
    raise(caught);
  return e;
}

hf_err cli_ask_secret(FILE *out, const char *prompt, struct hf_secret **ret_secret)
{
  char line[512] = "";
  hf_err e = read_hidden_line(out, prompt, line, sizeof(line));
  if (!hf_failed(e))
    e = line[0] ? hf_secret_new(line, strlen(line), ret_secret) : hf_fail(HF_ERR_PIN_LEN_RANGE, "nothing was entered");
  hf_wipe(line, sizeof(line));
  return e;
}

hf_err cli_ask_line(const char *prompt, const char *option, char *out, size_t size)
{
  if (!isatty(STDIN_FILENO))
    return hf_fail(HF_ERR_USAGE, "%s is missing, and there is no terminal to ask on", option);
  fputs(prompt, stderr);
  HF_TRY(read_line(out, size, NULL));
  return out[0] ? HF_OK : hf_fail(HF_ERR_USAGE, "nothing was entered");
}

hf_err cli_confirm(const struct cli_args *args, const char *question, ...)
{
  if (cli_has(args, "yes"))
    return HF_OK;
  if (!isatty(STDIN_FILENO))
    return hf_hint(
        hf_fail(HF_ERR_USAGE, "'%s' cannot be undone, and there is no terminal to ask on", args->command->name),
        "Add --yes to do it without a question.");
  va_list list;
  va_start(list, question);
  vfprintf(stderr, question, list);
  va_end(list);
  fputs(" Type 'yes' to go on: ", stderr);
  char line[16];
  HF_TRY(read_line(line, sizeof(line), NULL));
  return strcmp(line, "yes") == 0 ? HF_OK : hf_hint(hf_fail(HF_ERR_USAGE, "not confirmed"), "Nothing was changed.");
}
