/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kill_at LOG N COMMAND...: runs the command and kills it, all its threads at once, just before the N-th system call by which
 * something outside of it changes: a file's name, what is on disk, what a peer gets. N 0: never. LOG gets the calls' names,
 * a line each. Exit status: 137 where it was killed, else the command's.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/ptrace.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KILLED = 137, FAILED = 125, SYSCALL_STOP = SIGTRAP | 0x80 };

static const struct mark {
  long number;
  const char *name;
} marks[] = {
#ifdef SYS_rename
  { SYS_rename, "rename" },
#endif
#ifdef SYS_unlink
  { SYS_unlink, "unlink" },
#endif
  { SYS_renameat, "renameat" }, { SYS_renameat2, "renameat2" }, { SYS_unlinkat, "unlinkat" },
  { SYS_fsync, "fsync" },       { SYS_fdatasync, "fdatasync" }, { SYS_msync, "msync" },
  { SYS_sendto, "sendto" },     { SYS_sendmsg, "sendmsg" },     { SYS_pwrite64, "pwrite" },
};

/* The kernel's own: the C library's header and the kernel's do not go together. */
static long trace(long request, pid_t thread, uintptr_t address, uintptr_t data)
{
  return syscall(SYS_ptrace, request, thread, address, data);
}

static const char *name_of(const struct ptrace_syscall_info *info)
{
  if (info->op != PTRACE_SYSCALL_INFO_ENTRY)
    return NULL;
  if (info->entry.nr == SYS_openat && (info->entry.args[2] & O_CREAT))
    return "open";
  for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
    if (info->entry.nr == (unsigned long)marks[i].number)
      return marks[i].name;
  return NULL;
}

static int fail(const char *what)
{
  fprintf(stderr, "kill_at: %s: error %d\n", what, errno);
  return FAILED;
}

/* Whether this stop of a thread is the one to kill at. */
static bool is_time(pid_t thread, FILE *log, long *count, long wanted)
{
  struct ptrace_syscall_info info;
  if (trace(PTRACE_GET_SYSCALL_INFO, thread, sizeof(info), (uintptr_t)&info) <= 0)
    return false;
  const char *name = name_of(&info);
  if (!name)
    return false;
  fprintf(log, "%s\n", name);
  return ++*count == wanted;
}

static int watch(pid_t child, FILE *log, long wanted)
{
  long count = 0;
  for (;;) {
    int status;
    pid_t thread = waitpid(-1, &status, __WALL);
    if (thread < 0)
      return fail("waitpid");
    if (WIFEXITED(status) || WIFSIGNALED(status)) {
      if (thread == child)
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      continue;
    }
    int signal = WSTOPSIG(status);
    if (signal == SYSCALL_STOP && is_time(thread, log, &count, wanted)) {
      kill(child, SIGKILL);
      waitpid(child, &status, __WALL);
      return KILLED;
    }
    bool ours = signal == SYSCALL_STOP || signal == SIGTRAP || signal == SIGSTOP;
    trace(PTRACE_SYSCALL, thread, 0, ours ? 0 : (uintptr_t)signal);
  }
}

int main(int argc, char **argv)
{
  if (argc < 4)
    return fail("kill_at LOG N COMMAND...");
  FILE *log = fopen(argv[1], "we");
  pid_t child = log ? fork() : -1;
  if (child < 0)
    return fail(argv[1]);
  if (child == 0) {
    trace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
    execvp(argv[3], argv + 3);
    _exit(fail(argv[3]));
  }
  int status;
  if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status) ||
      trace(PTRACE_SETOPTIONS, child, 0,
            PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                PTRACE_O_EXITKILL) != 0)
    return fail("ptrace");
  trace(PTRACE_SYSCALL, child, 0, 0);
  int code = watch(child, log, strtol(argv[2], NULL, 10));
  return fclose(log) == 0 ? code : fail(argv[1]);
}
