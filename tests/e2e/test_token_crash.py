# SPDX-License-Identifier: Apache-2.0
"""The token under kill -9: what a call acknowledged is there, what it did not is whole or absent."""

import collections
import os
import random
import re
import tempfile

import pytest

from conftest import built

KILLS = 1000

pytestmark = pytest.mark.modules("ours")


def acknowledged(log):
    """Labels that must be there, and labels that must not. A line that a kill cut short says nothing."""
    there, gone = collections.defaultdict(set), set()
    for line in log.split("\n")[:-1]:
        found = re.search(r"^(created|destroyed) (w\d+)-(\d+)$", line)
        if found and found[1] == "created":
            there[found[2]].add(int(found[3]))
        elif found:
            there[found[2]].discard(int(found[3]))
            gone.add(f"{found[2]}-{found[3]}")
    # The next one to be destroyed may have been, unacknowledged, when the kill came.
    return {f"{worker}-{number}" for worker, numbers in there.items() for number in numbers if number < max(numbers) - 1}, gone


@pytest.fixture
def quick(token_conf):
    """In memory, where there is such a place: what a kill leaves does not hang on the disk, and there is more to be killed in."""
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    # A login that a kill cut short counts as a wrong PIN until the next right one.
    with tempfile.TemporaryDirectory(prefix="hf-e2e-", dir=base) as tokendir:
        token_conf.path.write_text(f"directories.tokendir = {tokendir}\npin.kdf_memory = 8\npin.kdf_passes = 1\npin.tries = 255\n")
        yield


def test_killed_at_random(quick, token, make_key, build, workdir, run):
    """Three workers at a time write, each until it is killed: a thousand of them."""
    make_key("k")
    worker = built(build / "tests/e2e/token_worker")
    log = workdir / "workers.log"
    run(f"exec {worker} {token.module} {token.pin} w {KILLS} > {log} 2>&1", timeout=300)
    text = log.read_text()
    assert "token_worker:" not in text, text
    assert f"killed {KILLS + 3}" in text
    there, gone = acknowledged(text)
    listed = run(["pkcs11-tool", "--module", token.module, "--token-label", token.label, "--login", "--pin", token.pin,
                  "--list-objects", "--type", "data"], timeout=120).stdout
    labels = re.findall(r"label: +'(.*)'", listed)
    assert len(there) > KILLS and len(gone) > KILLS / 2, f"too little was done to show anything: {len(there)}, {len(gone)}"
    assert there <= set(labels), f"lost: {sorted(there - set(labels))[:5]}"
    assert not gone & set(labels), f"back again: {sorted(gone & set(labels))[:5]}"
    assert len(labels) == len(set(labels))
    # Each is whole: its value is its label.
    for label in random.sample(sorted(labels), 12):
        value = run(["pkcs11-tool", "--module", token.module, "--token-label", token.label, "--login", "--pin", token.pin,
                     "--read-object", "--type", "data", "--label", label]).stdout
        assert value == label
    # And the key still signs, and more is written.
    run(f"exec {worker} {token.module} {token.pin} after 20 > {log} 2>&1")
    assert "created after" in log.read_text()
