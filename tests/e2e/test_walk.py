# SPDX-License-Identifier: Apache-2.0
"""The whole way of a device, on each HSM and by both ways to it: a key in the HSM, a certificate from holdfast-ca, a connection to a stock
broker, messages while the HSM is pulled and plugged, a renewal, and a connection that needs the new certificate."""

import contextlib
import dataclasses
import functools
import json
import pathlib
import shutil
import tempfile
import threading

import pytest

import conftest
from bridge_kit import TOPICS, Mosquitto, Traffic, wait_until
from ca_kit import STOCK, Authority
from hsm_kit import card, hsm, reach  # noqa: F401 (fixtures)


# The other side, which no device's HSM is part of

@dataclasses.dataclass
class Side:
    """A certificate authority, and the key and certificate of the cloud's broker."""
    ca: Authority
    pki: conftest.Pki  # of the broker: devices' certificates are not from there
    key: pathlib.Path
    cert: pathlib.Path


@dataclasses.dataclass
class CaToken:
    module: conftest.Module
    pin_file: pathlib.Path
    uri: str = "pkcs11:token=authority"


def make_ca(directory, build, servers):
    """Its own configuration and token (ours), whatever the devices have."""
    holdfast, module = conftest.built(build / "src/cli/holdfast"), conftest.find_module("ours", build)
    env = {**conftest.clean_env(directory), "HOLDFAST_CONFIG": str(directory / "config.json"),
           "HOLDFAST_TOKEN_CONF": str(directory / "token.conf")}
    run = functools.partial(conftest.run_command, env=env, cwd=directory)
    (directory / "tokens").mkdir(mode=0o700)
    (directory / "token.conf").write_text(f"directories.tokendir = {directory}/tokens\n")
    for name, text in (("pin", conftest.PIN), ("so-pin", conftest.SO_PIN)):
        (directory / name).touch(mode=0o600)
        (directory / name).write_text(text + "\n")
    run([holdfast, "token", "init", "--module", module, "--label", "authority", "--so-pin-source", "so-pin", "--pin-source", "pin"])

    def server(cmd, line):
        servers.append(conftest.Server(cmd, env, directory, directory / "ca.log"))
        servers[-1].wait_for_line(line)
        return servers[-1]

    ca = Authority(run, server, holdfast, build, directory, CaToken(module, directory / "pin"), conftest.unused_port)
    ca.init()
    return ca.start()


@pytest.fixture(scope="module")
def side(build):
    directory, servers = pathlib.Path(tempfile.mkdtemp(prefix="hf-walk-")), []
    try:
        pki = conftest.Pki(functools.partial(conftest.run_command, env=conftest.clean_env(directory), cwd=directory), directory / "pki")
        yield Side(make_ca(directory, build, servers), pki, *pki.key_and_cert("cloud"))
    finally:
        for process in servers:
            process.stop()
        shutil.rmtree(directory, ignore_errors=True)


class Cloud(Mosquitto):
    """Lets in whom the authority vouches for, by the certificate's name. plain_port: for those behind it."""

    def __init__(self, server, free_port, workdir, side):
        self.side, self.crl, self.plain_port = side, workdir / "revoked.pem", free_port()
        self.write_crl()
        super().__init__(server, free_port(), workdir,
                         ["allow_anonymous true", f"cafile {side.ca.pem}", f"crlfile {self.crl}", f"certfile {side.cert}",
                          f"keyfile {side.key}", "require_certificate true", "use_identity_as_username true",
                          f"listener {self.plain_port} 127.0.0.1"], STOCK)

    def write_crl(self):
        self.side.ca.cli("crl", "--out", self.crl)

    def restart(self):
        """As an administrator does it: it keeps its sessions, and reads the revoked certificates."""
        self.stop()
        self.start()

    def revoke(self, serial):
        self.side.ca.cli("revoke", serial)
        self.write_crl()
        self.restart()


class Walk:
    """A device with an HSM, and its commands."""

    def __init__(self, hsm, side, cloud):
        self.hsm, self.side, self.cloud, self.device = hsm, side, cloud, f"walker-{hsm.name}"
        self.connected, self.ways = False, []

    def cmd(self, *args, **options):
        result = self.hsm.run([self.hsm.holdfast, *args], timeout=60, **options)
        assert self.hsm.pin not in result.stdout + result.stderr
        return result

    def enroll(self):
        password = self.hsm.secret("one-time-password", self.side.ca.password(self.device))
        result = self.cmd("cert", "enroll", "--device-id", self.device, "--one-time-password-source", password)
        assert password.read_text().strip() not in result.stdout + result.stderr

    def serial(self):
        """Of the certificate, which is for the key in the HSM."""
        shown = json.loads(self.cmd("cert", "show", "--json").stdout)
        assert shown["status"] == "VALID" and shown["common_name"] == self.device and shown["key_in_hsm"]
        return shown["serial"]

    def key_uri(self):
        return self.cmd("config", "get", "device.key_uri").stdout.strip()

    def connect(self, port):
        """With a local broker of the gateway's own on this port."""
        for key, value in {"mqtt.bind.port": port, "mqtt.bridge.topics": TOPICS,
                           "mqtt.bridge.reconnect_policy.maximum_interval": "1s"}.items():
            self.cmd("config", "set", key, value)
        self.connected = True
        assert "Verifying device is connected to cloud... ✓" in self.cmd("connect", "mqtt").stdout
        self.ways = [Traffic(port, self.cloud.plain_port, "local/up", "cloud/up"),
                     Traffic(self.cloud.plain_port, port, "cloud/down", "local/down")]

    @property
    def log(self):
        """The gateway's."""
        return (self.hsm.dir / "data/core.log").read_text(errors="replace")

    def status(self):
        """Of the bridge; nothing where the core is not ready."""
        result = self.cmd("core", "status", "--json", code=None)
        return json.loads(result.stdout)["bridges"][0] if result.code == 0 else {"state": result.stderr}

    def wait_for(self, what, ready, timeout=20):
        try:
            wait_until(ready, what, timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log[-3000:]}") from None

    def connections(self):
        return self.log.count("bridge mqtt: connected to the cloud")

    def pull_and_plug(self):
        """The cloud starts anew meanwhile, so that the bridge has to sign."""
        before = self.connections()
        self.hsm.pull()
        self.cloud.restart()
        self.wait_for("failure without the HSM", lambda: self.status()["cloud_side"]["failures"] > 0)
        self.hsm.plug()
        self.wait_for("connection", lambda: self.connections() > before, 30)

    def wait_flow(self, count=20):
        """Until so many more have arrived on both ways."""
        before = [len(way.receiver.messages) for way in self.ways]
        wait_until(lambda: all(len(way.receiver.messages) >= had + count for way, had in zip(self.ways, before)), "messages")

    def is_drained(self):
        status = self.status()
        return status["state"] == "up" and not any(status[flow]["queue"]["messages"] for flow in ("to_cloud", "from_cloud"))

    def nothing_is_lost(self):
        """On both ways. What the cloud had not acknowledged when it stopped, it owes to nobody."""
        self.ways[0].wait_acknowledged()
        self.wait_for("empty spool", self.is_drained)
        for way in self.ways:
            way.wait_received()
            count = way.count()
            assert count.lost == 0 and count.disordered == 0, count

    def close(self):
        for way in self.ways:
            way.close()
        if self.connected:
            self.cmd("disconnect", "mqtt")
            assert self.cmd("core", "status", code=None).code != 0
            assert self.hsm.pin not in self.log


@pytest.fixture
def walk(hsm, reach, side, server, free_port, workdir):
    cloud = Cloud(server, free_port, workdir, side).start()
    key = hsm.create_key("device")
    reach(device_key_uri=key, est_url=side.ca.url, est_root_cert_path=side.ca.pem, mqtt_url=f"localhost:{cloud.port}",
          mqtt_root_cert_path=side.pki.ca, data_path=workdir / "data", run_path=workdir / "run")
    walk = Walk(hsm, side, cloud)
    yield walk
    walk.close()


@contextlib.contextmanager
def flowing(ways):
    """Messages flow on both ways meanwhile."""
    end = threading.Event()

    def send(way):
        while not end.is_set():
            way.send(10, rate=200)

    threads = [threading.Thread(target=send, args=(way,)) for way in ways]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        end.set()
        for thread in threads:
            thread.join()


def test_the_whole_walk(walk, hsm, free_port):
    walk.enroll()
    first, key = walk.serial(), walk.key_uri()
    walk.connect(free_port())
    assert "TLS handshake with the key in the HSM... ✓" in walk.cmd("connect", "mqtt", "--test").stdout
    with flowing(walk.ways):
        walk.wait_flow()
        walk.pull_and_plug()
        walk.wait_flow()
    walk.nothing_is_lost()

    before = walk.connections()
    if hsm.traits.rotates:
        walk.cmd("cert", "renew", "--rotate-key")
        assert walk.key_uri() != key
    else:
        assert "each key of a PIV card has its own slot" in walk.cmd("cert", "renew", "--rotate-key", code=1).stderr
        assert walk.serial() == first
        walk.cmd("cert", "renew")
        assert walk.key_uri() == key
    assert walk.serial() != first
    walk.wait_for("connection with the new certificate", lambda: walk.connections() > before)
    # The cloud that refuses the old one takes this one.
    before = walk.connections()
    walk.cloud.revoke(first)
    walk.wait_for("connection that needs the new certificate", lambda: walk.connections() > before)
    with flowing(walk.ways):
        walk.wait_flow()
    walk.nothing_is_lost()
