# SPDX-License-Identifier: Apache-2.0
"""A bridge under test (bridge_worker), stock brokers on its two sides, and traffic whose messages are counted."""

import collections
import os
import signal
import subprocess
import time

import conftest
import mqtt_kit

TOPICS = "up/# out 2 local/ cloud/;down/# in 2 local/ cloud/"


def wait_until(condition, what, timeout=15):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, f"no {what} within {timeout} s"
        time.sleep(0.02)


class Bridge:
    """The worker; options as it takes them. Ended by the fixture."""

    def __init__(self, build, env, workdir, config="-", **options):
        self.program = conftest.built(build / "tests/e2e/bridge_worker")
        self.env, self.workdir, self.config = {**env, "HOLDFAST_LOG": "stderr"}, workdir, config
        self.options = {"spool": workdir / "spool", "topics": TOPICS, **options}
        self.log_path = workdir / "bridge.log"
        self.process = None

    def start(self, **options):
        self.options.update(options)
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([self.program, str(self.config), *self.words(self.options)], env=self.env, cwd=self.workdir,
                                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        assert self.process.stdout.readline() == "started\n", self.log
        return self

    @staticmethod
    def words(options):
        return [f"{name}={value}" for name, value in options.items()]

    @property
    def log(self):
        return self.log_path.read_text(errors="replace")

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def status(self):
        """{"out.queued": 3, "cloud.cause": "...", ...}"""
        self.tell("status")
        words = self.process.stdout.readline().split()
        pairs = dict(word.split("=", 1) for word in words)
        return {name: int(value) if value.isdigit() else value for name, value in pairs.items()}

    def wait(self, what, timeout=15, **wanted):
        """Until the status is as wanted: cloud__connected=1. A function is called with the value."""
        status = {}

        def reached():
            status.update(self.status())
            return all(value(status[name.replace("__", ".")]) if callable(value) else status[name.replace("__", ".")] == value
                       for name, value in wanted.items())

        try:
            wait_until(reached, what, timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}; status {status}\n{self.log[-3000:]}") from None
        return status

    def wait_up(self, timeout=15):
        return self.wait("connections", timeout, local__connected=1, cloud__connected=1)

    def wait_drained(self, timeout=30):
        return self.wait("empty spool", timeout, out__queued=0, in__queued=0)

    def reload(self, **options):
        self.options.update(options)
        self.tell("\t".join(["reload", *self.words(options)]))

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """Politely; seconds that it took."""
        start = time.monotonic()
        if self.process and self.process.poll() is None:
            try:
                self.tell("stop")
                self.process.wait(10)
            except (OSError, subprocess.TimeoutExpired):
                self.kill()
        return time.monotonic() - start


class Mosquitto:
    """A stock broker that can be killed and started again on its port."""

    def __init__(self, server, port, workdir, lines=(), extra_env=None):
        self.server, self.port, self.extra_env = server, port, extra_env
        self.conf = workdir / f"mosquitto-{port}.conf"
        self.data = workdir / f"mosquitto-{port}"
        self.data.mkdir()
        self.conf.write_text("\n".join(["log_type all", f"user {'root' if os.geteuid() == 0 else ''}".strip(), f"listener {port} 127.0.0.1",
                                        "max_inflight_messages 0", "max_queued_messages 0", "queue_qos0_messages true",
                                        "persistence true", f"persistence_location {self.data}/",
                                        *(lines or ["allow_anonymous true"]), ""]).replace("user\n", ""))
        self.process = None

    def start(self):
        self.process = self.server(["mosquitto", "-c", self.conf], line=" running", extra_env=self.extra_env)
        return self

    def save(self):
        """Its sessions, which it would otherwise forget where it is killed: what then arrives before a client is back, reaches nobody."""
        def saved():
            path = self.data / "mosquitto.db"
            return path.stat().st_ino if path.exists() else None

        before = saved()
        self.process.signal(signal.SIGUSR1)
        wait_until(lambda: saved() not in (None, before), "saved sessions")

    def kill(self):
        self.process.kill()

    def stop(self):
        self.process.stop()

    def hang(self):
        self.process.signal(signal.SIGSTOP)

    def go_on(self):
        self.process.signal(signal.SIGCONT)

    @property
    def log(self):
        return self.process.log


Count = collections.namedtuple("Count", "lost twice disordered received")


class Traffic:
    """Numbered messages from a client at one broker to a client at the other; each class of service is counted by itself.
    A receiver's broker that is killed takes with it what the receiver had not read, unless that receiver sends nothing either:
    a socket with unread acknowledgements is reset. Where that is to be, receiver_qos is 0."""

    def __init__(self, sender_port, receiver_port, sender="local/up", receiver="cloud/up", qos=1, receiver_qos=None,
                 receiver_context=None, size=40):
        self.qos, self.topic, self.size, self.sent = qos, f"{sender}/{qos}", size, 0
        self.receiver = mqtt_kit.Client(receiver_port, f"receiver-{qos}", clean=False, subscriptions=[f"{receiver}/{qos}"],
                                        context=receiver_context, qos=qos if receiver_qos is None else receiver_qos)
        assert self.receiver.ready.wait(10)
        self.sender = mqtt_kit.Client(sender_port, f"sender-{qos}")
        assert self.sender.ready.wait(10)

    def send(self, count, rate=None):
        for i in range(count):
            payload = f"{self.sent:010d}".ljust(self.size, ".")
            if self.sender.publish(self.topic, payload, self.qos, tag=self.sent):
                self.sent += 1
            else:
                time.sleep(0.02)
            if rate and i % 10 == 9:
                time.sleep(10 / rate)

    def run(self, seconds, rate=1000):
        """Sends for so long, whatever happens meanwhile."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.send(10, rate)

    def wait_acknowledged(self, timeout=20):
        wait_until(lambda: len(self.sender.acknowledged) >= self.sent, "PUBACK for each message", timeout)

    def numbers(self):
        return [int(message.payload[:10]) for message in list(self.receiver.messages)]

    def missing(self):
        return self.sender.acknowledged - set(self.numbers()) - {None}

    def wait_received(self, timeout=30):
        try:
            wait_until(lambda: not self.missing(), "arrival of what was acknowledged", timeout)
        except AssertionError:
            pass

    def count(self):
        numbers = self.numbers()
        first, last, disordered = {}, -1, 0
        for number in numbers:
            if number in first:
                continue
            first[number] = True
            disordered += number < last
            last = max(last, number)
        return Count(len(self.missing()), len(numbers) - len(first), disordered, len(first))

    def close(self):
        self.sender.close()
        self.receiver.close()
