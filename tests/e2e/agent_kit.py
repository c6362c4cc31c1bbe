# SPDX-License-Identifier: Apache-2.0
"""A key agent under test: its sockets in the test's own directory, its log, its status."""

import http.client
import json
import os
import signal
import socket
import time

import conftest
import p11_server_client


class Agent:
    """Started by the fixture server, so it ends with the test. Options given here come after the usual ones."""

    def __init__(self, server, build, directory, module, *options, pin_source=None, extra_env=None, wait=True, prefix=()):
        self.program = conftest.built(build / "src/agent/holdfast-agent")
        self.dir = directory
        self.dir.mkdir(exist_ok=True)
        self.socket = directory / "sign.sock"
        self.pkcs11 = directory / "pkcs11.sock"
        self.metrics_socket = directory / "metrics.sock"
        self.command = [*prefix, self.program, "--module-path", str(module), "--socket-path", self.socket, "--pkcs11-socket",
                        self.pkcs11, "--metrics-socket", self.metrics_socket, "--policy", directory / "policy", "--audit", "json"]
        if pin_source:
            self.command += ["--pin-source", str(pin_source)]
        self.command += [str(option) for option in options]
        self.server = server(self.command, line="INFO: ready" if wait else None, extra_env=extra_env)
        self.client = p11_server_client.Client(self.socket)

    @property
    def log(self):
        return self.server.log

    def audit(self):
        """The audit lines so far."""
        return [json.loads(line) for line in self.log.splitlines() if line.startswith("{")]

    def get(self, path, timeout=20):
        """A page of the metrics socket: (status, body)."""
        connection = http.client.HTTPConnection("agent", timeout=timeout)
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.settimeout(timeout)
        connection.sock.connect(str(self.metrics_socket))
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read().decode()
        connection.close()
        return response.status, body

    def status(self):
        return json.loads(self.get("/status")[1])

    def metrics(self):
        lines = self.get("/metrics")[1].splitlines()
        return {line.split()[0].removeprefix("holdfast_agent_"): float(line.split()[1]) for line in lines if line[0] != "#"}

    @property
    def pid(self):
        return self.server.process.pid

    @property
    def worker(self):
        return self.status()["worker_pid"]

    def kill_worker(self, number=signal.SIGKILL):
        os.kill(self.worker, number)

    def reload(self):
        os.kill(self.pid, signal.SIGHUP)

    def wait_for_line(self, text, count=1, timeout=10):
        self.server.wait_for(lambda: self.log.count(text) >= count, f'"{text}" ({count} times) in the log', timeout)


def wait_until(ready, what, timeout=10):
    end = time.monotonic() + timeout
    while not ready():
        assert time.monotonic() < end, f"no {what} within {timeout} s"
        time.sleep(0.02)
