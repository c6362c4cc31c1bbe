# SPDX-License-Identifier: Apache-2.0
"""The demo passes, and leaves nothing behind: not when it passes, not when a step fails, not when it is interrupted."""

import os
import pathlib
import signal
import time

import pytest
from conftest import SOURCE, built


@pytest.fixture
def demo(build, holdfast):
    for part in ("src/token/libholdfast-token.so", "src/provider/holdfast.so", "src/ca/holdfast-ca", "src/gateway/holdfast-core"):
        built(build / part)
    return [str(SOURCE / "demo/demo.sh"), str(build)]


def leftovers(workdir):
    """Processes that have the demo's directory in their command or environment (where /proc tells), and the directory itself."""
    found = [path.name for path in workdir.glob("holdfast-demo-*")]
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = (path.read_bytes() + path.with_name("environ").read_bytes()).replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if f"{workdir}/holdfast-demo-" in command:
            found.append(command)
    return found


def wait_until(condition, what, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def test_it_passes_and_cleans_up(demo, run, workdir):
    output = run(demo, timeout=120).stdout
    assert "arrived at the cloud: holdfast/demo-device/td/temperature" in output
    assert "arrived on the device: mqtt/cmd/fan on" in output
    assert "200 of 200 arrived, in order" in output
    assert "arrived at the cloud, with the new key: holdfast/demo-device/td/renewed yes" in output
    assert "CKA_NEVER_EXTRACTABLE" in output
    assert "no file of the device holds a key" in output
    assert leftovers(workdir) == []


def test_no_pin_is_shown(demo, server, workdir):
    process = server(demo, line="Step 6: connect", timeout=60)
    secrets = [path.read_text().strip() for name in ("pin", "so-pin", "password") for path in workdir.glob(f"holdfast-demo-*/*/{name}")]
    assert len(secrets) == 5
    wait_until(lambda: process.process.poll() is not None, "the demo did not end", 120)
    assert process.process.returncode == 0, process.log
    assert not [secret for secret in secrets if secret in process.log]


def test_a_failing_step_says_which_and_why(demo, run, workdir):
    fake = workdir / "mosquitto"
    fake.write_text("#!/bin/sh\necho 'broker: no luck today'; exit 3\n")
    fake.chmod(0o755)
    result = run(["sh", "-c", 'PATH="$0:$PATH" exec "$@"', str(workdir), *demo], timeout=60, code=1)
    assert "Step 1 failed: The cloud, elsewhere" in result.stderr
    assert "broker: no luck today" in result.stderr
    assert leftovers(workdir) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_cleans_up(demo, server, workdir, number):
    process = server(demo, line="is now this key")
    assert leftovers(workdir)
    # The terminal sends Ctrl-C to the whole group; a service manager sends SIGTERM to the first process.
    if number == signal.SIGINT:
        process.signal(number)
    else:
        os.kill(process.process.pid, number)
    wait_until(lambda: process.process.poll() is not None, "the demo did not end")
    assert process.process.returncode != 0
    wait_until(lambda: leftovers(workdir) == [], f"left behind: {leftovers(workdir)}")
