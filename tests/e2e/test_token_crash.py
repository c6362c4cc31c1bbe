# SPDX-License-Identifier: Apache-2.0
"""The token under kill -9: what a call acknowledged is there, what it did not is whole or absent."""

import random
import re
import signal
import subprocess
import time

import pytest

from conftest import built

ROUNDS = 100  # two workers each: 200 kills

pytestmark = pytest.mark.modules("ours")


class Worker:
    def __init__(self, build, token, prefix, env, log):
        self.log = log
        with open(log, "wb") as out:
            self.process = subprocess.Popen([built(build / "tests/e2e/token_worker"), token.module.path, token.pin, prefix],
                                            env=env, stdout=out, stderr=subprocess.STDOUT)

    def wait_ready(self):
        end = time.monotonic() + 20
        while "ready" not in self.log.read_text():
            assert self.process.poll() is None and time.monotonic() < end, self.log.read_text()
            time.sleep(0.002)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        assert self.process.wait() == -signal.SIGKILL, self.log.read_text()

    def acknowledged(self):
        """Labels that must be there, and labels that must not. A line that the kill cut short says nothing."""
        there, gone = set(), set()
        for line in self.log.read_text().split("\n")[:-1]:
            word, _, label = line.partition(" ")
            if word == "created":
                there.add(label)
            elif word == "destroyed":
                there.discard(label)
                gone.add(label)
        # The next one to be destroyed may have been, unacknowledged, when the kill came.
        last = max((int(label.rsplit("-", 1)[1]) for label in there), default=0)
        there = {label for label in there if int(label.rsplit("-", 1)[1]) < last - 1}
        return there, gone


@pytest.fixture
def quick_pin(token_conf):
    with open(token_conf.path, "a") as conf:
        conf.write("pin.kdf_memory = 8\npin.kdf_passes = 1\n")


def test_two_processes_killed_at_random(quick_pin, token, make_key, build, env, workdir, run):
    make_key("k")
    there, gone = set(), set()
    for number in range(ROUNDS):
        workers = [Worker(build, token, f"{name}{number}", env, workdir / f"worker-{name}.log") for name in "ab"]
        for worker in workers:
            worker.wait_ready()
        for worker in random.sample(workers, 2):
            time.sleep(random.uniform(0, 0.03))
            worker.kill()
            acknowledged = worker.acknowledged()
            there |= acknowledged[0]
            gone |= acknowledged[1]
    listed = run(["pkcs11-tool", "--module", token.module, "--token-label", token.label, "--login", "--pin", token.pin,
                  "--list-objects", "--type", "data"], timeout=120).stdout
    labels = re.findall(r"label: +'(.*)'", listed)
    assert len(there) > ROUNDS and len(gone) > 0, "too little was done to show anything"
    assert there <= set(labels), f"lost: {sorted(there - set(labels))[:5]}"
    assert not gone & set(labels), f"back again: {sorted(gone & set(labels))[:5]}"
    assert len(labels) == len(set(labels))
    # Each is whole: its value is its label.
    for label in random.sample(sorted(labels), 5):
        value = run(["pkcs11-tool", "--module", token.module, "--token-label", token.label, "--login", "--pin", token.pin,
                     "--read-object", "--type", "data", "--label", label]).stdout
        assert value == label
    # And the key still signs.
    worker = Worker(build, token, "after", env, workdir / "worker-after.log")
    worker.wait_ready()
    worker.kill()
