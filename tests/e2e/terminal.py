# SPDX-License-Identifier: Apache-2.0
"""Runs a program on a pseudo-terminal, as a person at a keyboard would."""

import os
import pty
import select
import signal
import time

from conftest import needs


def converse(cmd, answers, *, env, cwd, timeout=20):
    """Types each (prompt, line) when its prompt has come. Returns (exit status, all that the terminal showed)."""
    needs("/dev/pts/ptmx")
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(cwd)
        os.execvpe(cmd[0], [str(part) for part in cmd], env)
    shown, seen, end = "", 0, time.monotonic() + timeout
    answers = list(answers)
    try:
        while True:
            while answers and (at := shown.find(answers[0][0], seen)) >= 0:
                prompt, line = answers.pop(0)
                seen = at + len(prompt)
                os.write(terminal, line.encode() + b"\n")
            if time.monotonic() > end:
                os.kill(pid, signal.SIGKILL)
                raise AssertionError(f"no end within {timeout} s; waiting for {answers[:1]}:\n{shown}")
            if not select.select([terminal], [], [], 0.1)[0]:
                continue
            try:
                data = os.read(terminal, 4096)
            except OSError:
                data = b""
            if not data:
                break
            shown += data.decode(errors="replace").replace("\r\n", "\n")
    finally:
        os.close(terminal)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert not answers, f"never asked for: {answers}\n{shown}"
    return status, shown
