# SPDX-License-Identifier: Apache-2.0
"""The gateway daemon as a service: what it tells its service manager, whose files are whose, and that it ends whatever hangs."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import pytest

import conftest
import mqtt_kit
from connect_kit import device, make_broker  # noqa: F401: fixtures
from core_kit import Core, is_alive, wait_until

one_module = pytest.mark.modules("ours")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
SERVICE_UID, OTHER_UID = 65534, 1
ENDS_WITHIN = 5


class Manager:
    """Hears what a service says by $NOTIFY_SOCKET."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.env = {"NOTIFY_SOCKET": str(path)}
        self.said = []

    def listen(self):
        """All that was said so far, each a list of lines."""
        while True:
            try:
                self.said.append(self.socket.recv(65536, socket.MSG_DONTWAIT).decode().splitlines())
            except BlockingIOError:
                return self.said

    def wait_for(self, line, count=1):
        wait_until(lambda: sum(line in word for word in self.listen()) >= count, f'"{line}", {count} times, in {self.said}')

    def value(self, name):
        return next((line.partition("=")[2] for word in self.listen() for line in word if line.startswith(name + "=")), None)


@pytest.fixture
def manager(workdir):
    manager = Manager(workdir / "notify.sock")
    yield manager
    manager.socket.close()


@pytest.fixture
def core(server, run, holdfast, build, workdir, free_port):
    conftest.needs("/proc/self")
    return Core(server, run, holdfast, build, workdir, free_port())


def ends_soon(core):
    mosquitto = core.broker["pid"]
    begin = time.monotonic()
    os.kill(core.pid, signal.SIGTERM)
    assert core.process.process.wait(60) == 0
    took = time.monotonic() - begin
    assert took < ENDS_WITHIN, f"it took {took:.1f} s:\n{core.log}"
    assert not is_alive(mosquitto)


# What it tells

def test_what_it_tells_systemd(core, manager):
    core.extra_env = manager.env
    core.run()
    manager.wait_for("READY=1")
    assert "NOTIFY_SOCKET" not in pathlib.Path(f"/proc/{core.broker['pid']}/environ").read_text()
    manager.wait_for("WATCHDOG=1", 2)
    os.kill(core.pid, signal.SIGHUP)
    manager.wait_for("RELOADING=1")
    manager.wait_for("READY=1", 2)
    core.config.write_text("{")
    manager.wait_for("READY=1", 3)  # with the old one
    assert "STOPPING=1" not in sum(manager.said, [])
    ends_soon(core)
    manager.wait_for("STOPPING=1")


def test_what_kept_it_from_starting_is_its_status(core, manager):
    core.extra_env = manager.env
    with socket.create_server(("127.0.0.1", core.port)):
        core.run(wait=False)
        assert core.process.process.wait(20) == 1
    assert f"port {core.port}" in manager.value("STATUS") and "READY=1" not in sum(manager.listen(), [])
    assert manager.value("X_HOLDFAST_CODE") == "busy"
    error = [line for line in core.log.splitlines() if line.startswith(("holdfast-core: error: ", "  hint: "))]
    assert len(error) == 2 and manager.value("STATUS") in error[0]


# Whose its files are

@pytest.fixture
def theirs(server, run, holdfast, build, free_port):
    """A gateway whose directory belongs to the user that it runs as; root configures it, as /etc/holdfast."""
    home = pathlib.Path(tempfile.mkdtemp(prefix="hf-service-"))
    os.chown(home, SERVICE_UID, SERVICE_UID)
    core = Core(server, run, holdfast, build, home, free_port())
    if subprocess.run([*as_user(SERVICE_UID), core.program, "--version"], stdout=subprocess.DEVNULL, check=False).returncode != 0:
        pytest.skip("the build's folder is root's alone")
    yield core
    if core.process:
        core.process.stop()
    shutil.rmtree(home, ignore_errors=True)


def as_user(uid):
    return ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]


def run_as_service(core, **options):
    core.prefix = as_user(SERVICE_UID)
    core.run(**options)
    core.prefix = []


@as_root
def test_what_root_sets_its_user_can_read(theirs, free_port):
    assert theirs.config.stat().st_mode & 0o777 == 0o600 and theirs.config.stat().st_uid == SERVICE_UID
    run_as_service(theirs)
    port = theirs.port
    theirs.port = free_port()
    theirs.set(mqtt__bind__port=theirs.port)
    wait_until(lambda: conftest.port_open(theirs.port), "the new port")
    assert not conftest.port_open(port) and theirs.config.stat().st_uid == SERVICE_UID
    assert f"running, pid {theirs.pid}" in theirs.command("status").stdout  # root may ask
    ends_soon(theirs)


@as_root
def test_another_user_s_broker_is_named(theirs, server):
    """As Debian's mosquitto has the port: whose it is shows, though not which process."""
    server([*as_user(OTHER_UID), "mosquitto", "-p", str(theirs.port)], port=theirs.port)
    run_as_service(theirs, wait=False)
    assert theirs.process.process.wait(20) == 1
    assert f"port {theirs.port} at 127.0.0.1, by a process of user daemon" in theirs.log and "mqtt.broker external" in theirs.log


# Its bridge

@pytest.fixture
def bridged(core, device):  # noqa: F811
    core.device = device
    core.set(mqtt__bind__port=core.port, mqtt__bridge__enabled="true", mqtt__bridge__topics="# out 1 up/ seen/")
    return core


@one_module
def test_the_bridge_outlives_its_broker(bridged, make_broker, free_port):  # noqa: F811
    """What is published before and after arrives; the cloud sees nothing of it."""
    plain = free_port()
    cloud = make_broker(lines=["allow_anonymous true", f"listener {plain} 127.0.0.1"])
    bridged.set(mqtt__url=f"localhost:{cloud.port}")
    bridged.run()
    bridged.wait_up()
    seer = mqtt_kit.Client(plain, "seer", subscriptions=["seen/#"])
    sender = mqtt_kit.Client(bridged.port, "sender")
    assert seer.ready.wait(5) and sender.ready.wait(5)
    since, first = bridged.bridge()["cloud_side"]["since"], bridged.broker["pid"]
    for i in range(100):
        assert sender.publish("up/x", str(i), tag=i)
    wait_until(lambda: len(seer.messages) == 100, "messages before")
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: bridged.broker["state"] == "up" and bridged.broker["pid"] not in (0, first), "another broker")
    bridged.wait_up()
    wait_until(lambda: sender.publish("up/x", "100", tag=100), "the sender's return")
    wait_until(lambda: len(seer.messages) >= 101, "the message after")
    assert [int(message.payload) for message in seer.messages] == list(range(101))
    assert bridged.bridge()["cloud_side"]["since"] == since
    seer.close()
    sender.close()


@one_module
def test_a_rule_that_is_none(bridged):
    """The command does not set it; who writes it into the file is told, and what ran goes on."""
    bridged.set(mqtt__url="localhost:1")
    good = bridged.config.read_text()
    wrong = good.replace("# out 1 up/ seen/", "# sideways 1 up/ seen/")
    assert wrong != good
    result = bridged.runner([bridged.holdfast, "config", "set", "--config", bridged.config, "mqtt.bridge.topics", "# sideways"], code=2)
    assert "sideways" in result.stderr
    bridged.run()
    bridged.config.write_text(wrong)
    bridged.wait_for_line("taking up the changed configuration: the configuration is wrong")
    assert "mqtt.bridge.topics" in bridged.log and bridged.bridge()
    bridged.process.stop()
    result = bridged.runner([bridged.program, "--config", bridged.config], code=1)
    assert "mqtt.bridge.topics" in result.stderr


@one_module
def test_no_certificate_and_no_key(bridged):
    bridged.set(mqtt__url="localhost:1", device__cert_path=bridged.device.workdir / "none.pem")
    result = bridged.command("start", code=1)
    assert "none.pem" in result.stderr and "hint: " in result.stderr
    bridged.set(device__id="dev-1", device__key_uri=bridged.device.token.key_uri("no-such-key"))
    bridged.run()  # what may yet come is waited for
    wait_until(lambda: bridged.bridge()["cloud_side"]["cause"], "cause")
    assert bridged.bridge()["cloud_side"]["cause"]["hint"]


# Its end

@one_module
def test_a_cloud_that_is_silent_does_not_hold_it_up(bridged):
    """One that takes the connection and says nothing, in TLS's handshake."""
    with socket.create_server(("127.0.0.1", 0)) as cloud:
        bridged.set(mqtt__url=f"localhost:{cloud.getsockname()[1]}")
        bridged.run()
        connection, _ = cloud.accept()
        ends_soon(bridged)
        connection.close()


@one_module
def test_an_authority_that_is_silent_does_not_hold_it_up(bridged, pki):  # noqa: F811
    """A renewal that is due waits for the CA's answer."""
    csr = bridged.device.workdir / "device-key.csr"
    stamp = [time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + seconds)) for seconds in (-9 * 86400, 86400)]
    bridged.set(device__cert_path=pki.sign_between(csr, "due", *stamp))
    with socket.create_server(("127.0.0.1", 0)) as authority:
        bridged.set(est__url=f"https://localhost:{authority.getsockname()[1]}", est__root_cert_path=pki.ca, mqtt__url="localhost:1")
        bridged.run()
        authority.settimeout(20)
        connection, _ = authority.accept()
        ends_soon(bridged)
        assert "renewing the device's certificate" not in bridged.log  # no failure: it was asked to end
        connection.close()


@one_module
def test_a_cloud_that_stopped_answering_does_not_hold_it_up(bridged, make_broker):  # noqa: F811
    cloud = make_broker()
    bridged.set(mqtt__url=f"localhost:{cloud.port}")
    bridged.run()
    bridged.wait_up()
    cloud.process.signal(signal.SIGSTOP)
    sender = mqtt_kit.Client(bridged.port, "sender")
    assert sender.ready.wait(5)
    for i in range(200):
        assert sender.publish("up/x", "x" * 10000, tag=i)
    wait_until(lambda: bridged.bridge()["to_cloud"]["queue"]["messages"] == 200, "messages in the spool")
    ends_soon(bridged)
    cloud.process.signal(signal.SIGCONT)
    sender.close()
