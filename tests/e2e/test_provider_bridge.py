# SPDX-License-Identifier: Apache-2.0
"""Stock mosquitto's own bridge, its key in a token, while its cloud broker restarts again and again."""

import os
import shutil
import time

import pytest

from provider_kit import broker_conf, kit  # noqa: F401 (a fixture)

# mosquitto waits some 5 s before each attempt, so ten bridges in one process make the fifty.
# HF_BRIDGES=1 HF_RESTARTS=50 has one bridge make them all.
BRIDGES = int(os.environ.get("HF_BRIDGES", "10"))
RESTARTS = int(os.environ.get("HF_RESTARTS", "5"))


def bridge_conf(kit, who, local_port, cloud_port):
    path = kit.dir / "bridge.conf"
    lines = [f"listener {local_port} 127.0.0.1", "allow_anonymous true", "user root", "persistence false", "log_dest stderr",
             "log_type all"]
    for number in range(BRIDGES):
        lines += [f"connection cloud{number}", f"address 127.0.0.1:{cloud_port}", f"bridge_cafile {kit.pki.ca}",
                  f"bridge_certfile {who.cert}", f"bridge_keyfile {who.key}", "restart_timeout 1", "keepalive_interval 5",
                  f"topic t{number} both 1"]
    path.write_text("\n".join(lines) + "\n")
    return path


def wait_for(ready, what, bridge, timeout=20):
    end = time.monotonic() + timeout
    while not ready():
        assert bridge.process.poll() is None, f"the bridge ended:\n{bridge.log[-3000:]}"
        assert time.monotonic() < end, f"no {what}:\n{bridge.log[-3000:]}"
        time.sleep(0.02)


def test_the_bridge_comes_back_every_time(kit, server, free_port):
    mosquitto = shutil.which("mosquitto", path="/usr/sbin:/usr/bin")
    if not mosquitto:
        pytest.skip("mosquitto is not installed")
    who = kit.identity("device")
    key, cert = kit.pki.key_and_cert("cloud")
    local_port, cloud_port = free_port(), free_port()
    cloud_conf = broker_conf(kit.dir, "cloud", cloud_port, kit.pki.ca, cert, key)
    cloud = server([mosquitto, "-c", cloud_conf], port=cloud_port)
    bridge = server([mosquitto, "-c", bridge_conf(kit, who, local_port, cloud_port)], port=local_port, extra_env=kit.conf)
    connected = "Received CONNACK on connection"
    wait_for(lambda: bridge.log.count(connected) == BRIDGES, "first connection", bridge)
    for number in range(RESTARTS):
        expected = (number + 2) * BRIDGES
        assert cloud.stop() == 0
        cloud = server([mosquitto, "-c", cloud_conf], port=cloud_port)
        wait_for(lambda: bridge.log.count(connected) >= expected, f"connection after restart {number + 1}", bridge)
    assert "OpenSSL Error" not in bridge.log
    assert bridge.stop() == 0
