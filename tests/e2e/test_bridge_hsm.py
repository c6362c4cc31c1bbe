# SPDX-License-Identifier: Apache-2.0
"""The bridge to a cloud that wants a certificate, its key in a token: what goes wrong there, and that the local side does not notice."""

import json
import os
import pathlib
import ssl
import threading
import time

import pytest

import conftest
import mqtt_kit
from bridge_kit import Bridge, Mosquitto, Traffic, wait_until
from cloud_kit import Proxy

pytestmark = pytest.mark.modules("ours")
DEVICE = "device"
DEVICE_REMOVED = 0x32


class Rig:
    """A local broker, a cloud with TLS, and a device whose key lies in a token."""

    def __init__(self, build, env, workdir, server, free_port, run, token, pki, openssl_conf, uri):
        self.run, self.token, self.pki, self.uri, self.workdir = run, token, pki, uri, workdir
        self.pin_file = token.pin_file
        self.env = {**env, **openssl_conf(module_path=token.module, pin_source=self.pin_file)}
        self.local = Mosquitto(server, free_port(), workdir)
        key, cert = pki.key_and_cert("cloud")
        self.cloud = Mosquitto(server, free_port(), workdir, [f"cafile {pki.ca}", f"certfile {cert}", f"keyfile {key}",
                                                              "require_certificate true", "use_identity_as_username true"])
        config = workdir / "config.json"
        config.touch(mode=0o600)
        config.write_text(json.dumps({"device": {"key_uri": uri, "cryptoki": {"module_path": str(token.module),
                                                                              "pin_source": str(self.pin_file)}}}))
        self.cert = self.certify()
        self.bridge = Bridge(build, self.env, workdir, config, local_port=self.local.port, cloud_port=self.cloud.port, root=pki.ca,
                             cert=self.cert, key=uri, max_ms=300)
        self.clients = []

    def certify(self, **options):
        csr = self.workdir / "device.csr"
        self.run(["openssl", "req", "-new", "-key", self.uri, "-subj", f"/CN={DEVICE}", "-out", csr], extra_env=self.env)
        return self.pki.sign(csr, DEVICE, **options)

    def start(self, **options):
        self.local.start()
        self.cloud.start()
        self.bridge.start(**options)
        return self

    def traffic(self, **options):
        key, cert = self.pki.key_and_cert("receiver")
        context = ssl.create_default_context(cafile=self.pki.ca)
        context.load_cert_chain(cert, key)
        self.clients.append(Traffic(self.local.port, self.cloud.port, receiver_context=context, **options))
        return self.clients[-1]

    def sender(self):
        self.clients.append(mqtt_kit.Client(self.local.port, "sender"))
        assert self.clients[-1].ready.wait(10)
        return self.clients[-1]

    def close(self):
        for client in self.clients:
            client.close()
        self.bridge.stop()
        assert self.token.pin not in self.bridge.log


@pytest.fixture
def rig(build, env, workdir, server, free_port, run, token, pki, openssl_conf, make_key):
    rig = Rig(build, env, workdir, server, free_port, run, token, pki, openssl_conf, make_key("device-key"))
    yield rig
    rig.close()


@pytest.fixture
def faulty(rig, build):
    """The test double in front of the token's module, for the bridge alone."""
    return Faulty(rig, conftest.built(build / "tests/e2e/faulty_module.so"))


class Faulty:
    def __init__(self, rig, path):
        self.control = rig.workdir / "fault"
        conf, config = rig.workdir / "faulty.cnf", rig.bridge.config
        for source, target in ((pathlib.Path(rig.env["OPENSSL_CONF"]), conf), (config, config)):
            target.write_text(source.read_text().replace(str(rig.token.module), path))
        rig.bridge.env.update({"HF_FAULTY_REAL": str(rig.token.module), "HF_FAULTY_CONTROL": str(self.control), "OPENSSL_CONF": str(conf)})

    def plan(self, text):
        self.control.with_suffix(".new").write_text(text)
        self.control.with_suffix(".new").rename(self.control)


def settle(rig, traffic):
    traffic.wait_acknowledged()
    rig.bridge.wait_up()
    rig.bridge.wait_drained()
    traffic.wait_received()


def test_messages_pass_while_the_cloud_comes_and_goes(rig):
    rig.start()
    rig.bridge.wait_up()
    up = rig.traffic(qos=1, receiver_qos=0)
    rig.cloud.save()
    sending = threading.Thread(target=up.run, args=(3,))
    sending.start()
    for _ in range(2):
        time.sleep(0.6)
        rig.cloud.kill()
        rig.cloud.start()
    sending.join()
    settle(rig, up)
    count = up.count()
    assert count.lost == 0 and count.disordered == 0 and count.received > 1000, count


def test_the_hsm_goes_and_comes_back(rig, faulty):
    rig.start()
    rig.bridge.wait_up()
    up = rig.traffic(qos=1)
    faulty.plan(f"always answer C_SignInit {DEVICE_REMOVED}")
    rig.cloud.stop()
    rig.cloud.start()
    up.send(500)
    status = rig.bridge.wait("a cause", cloud__connected=0, cloud__failures=lambda failures: failures >= 3, out__queued=500)
    assert "the_HSM_was_removed" in status["cloud.cause"] and status["local.connected"] == 1, status
    faulty.control.unlink()
    settle(rig, up)
    assert up.count() == (0, 0, 0, 500)


def test_a_wrong_pin_is_tried_once_and_a_right_one_taken_up(rig):
    rig.pin_file.write_text("000000\n")
    rig.start(max_ms=100)
    status = rig.bridge.wait("failures", cloud__failures=lambda failures: failures >= 15)
    assert "PIN" in status["cloud.cause"] and status["local.connected"] == 1, status
    # So many tries would have locked it.
    rig.pin_file.write_text(rig.token.pin + "\n")
    rig.bridge.wait_up()


def test_a_slow_hsm_stalls_nobody_else(rig, faulty):
    faulty.plan("slow C_Sign 3")
    rig.local.start()
    rig.cloud.start()
    rig.bridge.start()
    start = time.monotonic()
    rig.bridge.wait("local connection", local__connected=1)
    sender = rig.sender()
    for i in range(200):
        sender.publish("local/up/1", f"{i}")
    rig.bridge.wait("all of it in the spool", out__received=200, cloud__connected=0)
    assert time.monotonic() - start < 2
    rig.bridge.wait_up()
    assert time.monotonic() - start > 2.5
    rig.bridge.wait_drained()


def test_a_renewed_certificate_is_taken_up_and_the_local_side_stays(rig):
    rig.start()
    rig.bridge.wait_up()
    up = rig.traffic(qos=1)
    up.send(50)
    before = os.stat(rig.cert).st_mtime_ns
    rig.certify(days=20)
    assert os.stat(rig.cert).st_mtime_ns != before
    rig.bridge.reload()
    wait_until(lambda: rig.bridge.log.count("connected to the cloud") == 2, "a second connection")
    up.send(50)
    settle(rig, up)
    assert up.count()[:3] == (0, 0, 0) and rig.bridge.log.count("connected to the local broker") == 1


@pytest.mark.parametrize("what, texts", [
    ("another CA's", ["it_does_not_trust", "it_refuses", "closed"]),
    ("no", ["not_found"]),
])
def test_a_certificate_that_does_not_serve_has_its_cause(rig, what, texts):
    if what == "no":
        rig.cert.unlink()
    else:
        other = conftest.Pki(rig.run, rig.workdir / "other")
        rig.cert.write_bytes(other.sign(rig.workdir / "device.csr", DEVICE).read_bytes())
    rig.start()
    status = rig.bridge.wait("a cause", cloud__failures=lambda failures: failures >= 2, local__connected=1)
    assert any(text in status["cloud.cause"] for text in texts), status
    rig.certify()
    rig.bridge.reload()
    rig.bridge.wait_up()


def test_through_a_proxy(rig):
    proxy = Proxy()
    rig.start(proxy_port=proxy.port)
    rig.bridge.wait_up()
    up = rig.traffic(qos=1)
    up.send(100)
    settle(rig, up)
    assert up.count() == (0, 0, 0, 100) and proxy.asked == [f"CONNECT localhost:{rig.cloud.port} HTTP/1.1"]
    proxy.close()
