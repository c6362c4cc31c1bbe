# SPDX-License-Identifier: Apache-2.0
"""A gateway daemon under test: its own directories and ports, its log, its status."""

import json
import os
import pathlib
import signal
import socket
import time

import conftest


def wait_until(ready, what, timeout=15):
    end = time.monotonic() + timeout
    while not ready():
        assert time.monotonic() < end, f"no {what} within {timeout} s"
        time.sleep(0.02)


def is_alive(pid):
    """Runs, and is more than what is left until its parent looks."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (OSError, ProcessLookupError):
        return False


class Core:
    """holdfast-core on a configuration of the test's own, in the foreground (run) or by the command (command("start"))."""

    def __init__(self, server, run, holdfast, build, directory, port, prefix=(), extra_env=None):
        self.server, self.runner, self.holdfast, self.port, self.prefix = server, run, holdfast, port, list(prefix)
        self.program = conftest.built(build / "src/gateway/holdfast-core")
        self.config, self.data, self.run_path = directory / "config.json", directory / "data", directory / "run"
        self.extra_env = extra_env or {}
        self.process = None
        self.set(data__path=self.data, run__path=self.run_path, mqtt__bind__port=port)

    def set(self, **values):
        for key, value in values.items():
            self.runner([*self.prefix, self.holdfast, "config", "set", "--config", self.config, key.replace("__", "."), value])

    def command(self, verb, *args, code=0, **options):
        return self.runner([*self.prefix, self.holdfast, "core", verb, "--config", self.config, *args], code=code,
                           extra_env=self.extra_env, **options)

    def run(self, wait=True):
        """In the foreground; the process is the fixture server's."""
        self.process = self.server([*self.prefix, self.program, "--config", self.config], extra_env=self.extra_env)
        if wait:
            self.process.wait_for_line("INFO: ready", 20)
        return self

    @property
    def log(self):
        return self.process.log if self.process else (self.data / "core.log").read_text(errors="replace")

    @property
    def pid(self):
        return int((self.run_path / "core.pid").read_text())

    def status(self):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(str(self.run_path / "core.sock"))
            data = b""
            while part := connection.recv(65536):
                data += part
        return json.loads(data)

    @property
    def broker(self):
        return self.status()["broker"]

    def bridge(self, cloud="mqtt"):
        return next((bridge for bridge in self.status()["bridges"] if bridge["cloud"] == cloud), None)

    def is_up(self, cloud="mqtt"):
        bridge = self.bridge(cloud)
        return bridge is not None and bridge["state"] == "up"

    def wait_up(self, *clouds):
        for cloud in clouds or ("mqtt",):
            try:
                wait_until(lambda: self.is_up(cloud), f"bridge to {cloud}", 20)
            except AssertionError as error:
                raise AssertionError(f"{error}: {json.dumps(self.bridge(cloud), indent=1)}\n{self.log[-3000:]}") from None

    def kill(self, number=signal.SIGKILL):
        """The core alone, as the kernel would."""
        pid = self.pid
        os.kill(pid, number)
        if self.process and number == signal.SIGKILL:
            self.process.process.wait()
        return pid

    def wait_for_line(self, text, count=1, timeout=10):
        wait_until(lambda: self.log.count(text) >= count, f'"{text}" ({count} times) in the log', timeout)
