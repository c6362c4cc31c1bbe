# SPDX-License-Identifier: Apache-2.0
"""holdfast cert renew: the certificate and the key replaced, tried on a real broker, taken or left; and cut anywhere."""

import base64
import json
import os
import re
import shutil
import socket
import subprocess
import time

import pytest

import conftest
import est_kit
from est_kit import answer

one_module = pytest.mark.modules("ours")


@pytest.fixture
def est(pki):
    server = est_kit.Est(pki)
    yield server
    server.close()


class Fixture(est_kit.Device):
    """The device, with a certificate by the CA, a broker and an EST server that trust it."""

    def __init__(self, *args, est, pki, conf, make_key):
        super().__init__(*args)
        self.est, self.pki, self.conf, self.make_key = est, pki, conf, make_key

    def certify(self, key="device-key", name="dev-1", days=10):
        csr = self.workdir / "first.csr"
        self.run(["openssl", "req", "-new", "-key", self.token.key_uri(key), "-subj", f"/O=Holdfast/CN={name}", "-out", csr],
                 extra_env=self.conf)
        self.cert.write_bytes(self.pki.sign(csr, key, days=days).read_bytes())

    def renew(self, *args, code=0, **options):
        return self.cmd("cert", "renew", *args, code=code, **options)

    def keys(self):
        """The labels of the private keys in the token."""
        listed = json.loads(self.cmd("key", "list", "--token", self.token.label, "--json", "--pin-source", self.token.pin_file).stdout)
        objects = listed["objects"] if isinstance(listed, dict) else listed
        return sorted(one["label"] for one in objects if one["class"] == "private" or one.get("type") == "private")

    @property
    def serial(self):
        return self.x509("-serial")

    @property
    def journal(self):
        path = self.workdir / "device.pem.renewal"
        return path.read_text() if path.exists() else ""

    def files(self):
        return {path.name for path in self.workdir.glob("device.pem*")} - {"device.pem.lock"}

    def is_whole(self):
        """Certificate and key belong together, and nothing is under way."""
        return self.signs(self.conf) and "stage trying" not in self.journal and "stage committing" not in self.journal


@pytest.fixture
def device(run, holdfast, workdir, token, pki, est, openssl_conf, make_key):
    try:
        socket.getaddrinfo("localhost", 1)
    except OSError:
        pytest.skip("the name localhost is not known here: there is no /etc/hosts")
    uri = make_key("device-key")
    conf = openssl_conf(module_path=token.module, pin_source=token.pin_file)
    device = Fixture(run, holdfast, workdir, token, uri, est=est, pki=pki, conf=conf, make_key=make_key)
    device.set(est__url=est.url, est__root_cert_path=pki.ca, mqtt__root_cert_path=pki.ca)
    device.certify()
    return device


@pytest.fixture
def make_broker(server, free_port, pki, workdir):
    def make(cafile=None, lines=()):
        port = free_port()
        key, cert = pki.key_and_cert(f"broker-{port}")
        conf = workdir / f"mosquitto-{port}.conf"
        conf.write_text("\n".join(["log_type all", "user root", f"listener {port} 127.0.0.1", f"cafile {cafile or pki.ca}",
                                   f"certfile {cert}", f"keyfile {key}", "require_certificate true",
                                   "use_identity_as_username true", *lines, ""]))
        return server(["mosquitto", "-c", conf], line=" running"), port

    return make


@pytest.fixture
def broker(make_broker, device):
    process, port = make_broker()
    device.set(mqtt__url=f"localhost:{port}")
    return process


def put_issued(device, est, **options):
    """A certificate as the CA issues it, but for its dates."""
    csr, der = device.workdir / "first.csr", device.workdir / "first.der"
    device.run(["openssl", "req", "-in", csr, "-outform", "DER", "-out", der])
    device.cert.write_bytes(est.issue(base64.b64encode(der.read_bytes()), **options).read_bytes())


def public_key(device):
    return device.x509("-pubkey")


# The good path

def test_renewed_with_the_same_key(device, broker, est):
    before, key = device.serial, public_key(device)
    result = device.renew()
    assert "The certificate has been renewed" in result.stdout and "Connecting to the MQTT broker" in result.stderr
    assert device.serial != before and public_key(device) == key
    assert device.get("device.key_uri") == device.key_uri
    assert device.is_whole() and device.files() == {"device.pem"}
    # By mutual TLS with the old certificate, the subject and usages as they were; no password.
    request = est.requests[-1]
    assert request.operation == "simplereenroll" and request.cn == "dev-1" and request.user is None
    assert "O = Holdfast" in device.subject()
    assert " as dev-1 " in broker.log or "dev-1" in broker.log


@pytest.mark.parametrize("type, algorithm", [("EC:prime256v1", "id-ecPublicKey"), ("rsa:2048", "rsaEncryption")])
def test_a_new_key_beside_the_old_one(device, broker, est, make_key, type, algorithm):
    if type != "EC:prime256v1":
        device.set(device__key_uri=make_key("rsa-key", type=type, id="05"))
        device.certify("rsa-key")
    label = "device-key" if type == "EC:prime256v1" else "rsa-key"
    key = public_key(device)
    result = json.loads(device.renew("--rotate-key", "--json").stdout)
    assert result["outcome"] == "renewed" and result["rotated"] and result["tried"]
    assert result["key_uri"] == device.get("device.key_uri") and f"object={label}-2;" in result["key_uri"] + ";"
    assert public_key(device) != key and algorithm in device.x509("-text")
    assert device.is_whole()
    assert {label, f"{label}-2"} <= set(device.keys())
    # The old certificate authenticated, the new key signed the request.
    assert est.requests[-1].cn == "dev-1"
    # The old key goes at the next renewal, also where that makes none.
    result = device.renew()
    assert "Deleted the key" in result.stderr
    assert label not in device.keys() and f"{label}-2" in device.keys()
    assert device.is_whole() and device.files() == {"device.pem"}


@one_module
def test_generations(device, broker):
    for generation in range(2, 5):
        device.renew("--rotate-key")
        assert f"object=device-key-{generation}" in device.get("device.key_uri")
        assert device.is_whole()
    assert device.keys() == ["device-key-3", "device-key-4"]
    device.renew("--rotate-key", "--delete-old-key")
    assert device.keys() == ["device-key-5"]
    device.set(certificate__renewal__rotate_key="true", certificate__renewal__delete_old_key="true")
    device.renew()
    assert device.keys() == ["device-key-6"] and device.is_whole() and device.files() == {"device.pem"}


@one_module
def test_only_where_it_is_due(device, broker, est):
    before = device.serial
    result = device.renew("--if-needed")
    assert "not due yet" in result.stdout and device.serial == before and not est.requests
    device.set(certificate__validity__minimum_duration="9d")
    est.days = 20
    assert json.loads(device.renew("--if-needed", "--json").stdout)["outcome"] == "not-due"
    put_issued(device, est, start=-2 * 86400, end=8 * 86400)
    assert json.loads(device.renew("--if-needed", "--json").stdout)["outcome"] == "renewed"
    assert json.loads(device.renew("--if-needed", "--json").stdout)["outcome"] == "not-due"


@one_module
def test_without_a_cloud_it_is_taken_and_said(device):
    result = device.renew()
    assert "without having been tried" in result.stderr and device.is_whole()
    device.set(mqtt__url="localhost:1")
    before = device.serial
    result = device.renew("--no-try")
    assert "without having been tried" in result.stderr and device.serial != before


@one_module
def test_a_request_from_elsewhere(device, workdir, run):
    csr = workdir / "own.csr"
    run(["openssl", "req", "-new", "-key", device.key_uri, "-subj", "/CN=dev-1/O=Elsewhere", "-out", csr], extra_env=device.conf)
    device.fails(2, "by the present key", args=("cert", "renew", "--csr-path", csr, "--rotate-key"))
    device.renew("--csr-path", csr)
    assert "Elsewhere" in device.subject() and device.is_whole()


# Self-signed

def self_sign(device, *options):
    device.run(["openssl", "req", "-x509", "-new", "-key", device.key_uri, "-subj", "/O=Holdfast/OU=Tests/CN=dev-1", "-days", "9", "-out",
                device.cert, "-addext", "basicConstraints=critical,CA:TRUE", *options], extra_env=device.conf)


@one_module
def test_a_self_signed_one_stays_so(device, make_broker, est, pki):
    self_sign(device, "-addext", "subjectAltName=DNS:dev-1.local,IP:192.0.2.7,URI:urn:x:1")
    _, port = make_broker(cafile=device.cert)
    device.set(mqtt__url=f"localhost:{port}")
    # The broker knows the old one, and not yet the new one.
    before = device.serial
    for args in ([], ["--rotate-key"]):
        unchanged(device, 5, "does not trust the issuer", "--no-try", "cert upload", args=args)
    assert device.serial == before and device.keys() == ["device-key"]
    device.renew("--no-try")
    assert device.serial != before and not est.requests and device.is_whole()
    assert device.subject() == "subject=O = Holdfast, OU = Tests, CN = dev-1"
    assert "DNS:dev-1.local, IP Address:192.0.2.7, URI:urn:x:1" in device.x509("-text")
    assert device.x509("-issuer").replace("issuer", "subject") == device.subject()
    pki.openssl("verify", "-CAfile", device.cert, device.cert)
    device.renew("--rotate-key", "--no-try")
    assert device.is_whole() and device.keys() == ["device-key", "device-key-2"]


@one_module
def test_from_self_signed_to_a_ca_and_back(device, pki):
    self_sign(device)
    device.fails(2, "from no cloud", args=("cert", "renew", "c8y", "--self-signed"))
    est = est_kit.Est(pki, client_certificates=False)
    try:
        device.set(c8y__http=f"localhost:{est.port}", c8y__root_cert_path=pki.ca)
        device.renew("c8y", "--no-try")
        assert est.operations() == ["simplereenroll"]
    finally:
        est.close()
    assert "CA:FALSE" in device.x509("-text") and device.is_whole()
    # The request asked for what a device needs, not for what a CA is.
    request = device.run(["openssl", "req", "-in", pki.dir / "issued-1.csr", "-noout", "-text"]).stdout
    assert "Digital Signature" in request and "Certificate Sign" not in request
    device.renew("--self-signed", "--no-try")
    assert "CA:TRUE" in device.x509("-text") and device.is_whole()


# Each way that it fails: all is as it was, and the next one works

def unchanged(device, code, *texts, args=(), **options):
    """The renewal fails so, and left nothing."""
    before, uri, keys = device.cert.read_bytes(), device.get("device.key_uri"), device.keys()
    result = device.fails(code, *texts, args=("cert", "renew", *args), **options)
    assert device.cert.read_bytes() == before and device.get("device.key_uri") == uri
    assert device.keys() == keys, "a key was left"
    assert device.files() <= {"device.pem", "device.pem.renewal"} and device.is_whole()
    return result


def reenrolling(est, then):
    est.answers += [lambda _: None, lambda _: None, then]


@one_module
@pytest.mark.parametrize("rotate", [[], ["--rotate-key"]], ids=["same key", "new key"])
def test_what_a_ca_may_answer(device, broker, est, pki, rotate):
    _, foreign = pki.key_and_cert("dev-1")
    for then, code, texts in [
        (answer(401, b"who?", Content_Type="text/plain"), 5, ["401 Unauthorized: who", "cert enroll"]),
        (answer(403), 5, ["403 Forbidden", "revoked"]),
        (answer(200, b"<html>", Content_Type="text/html"), 1, ["text/html", "not base64"]),
        (answer(200, est.certs(foreign)), 4, ["a certificate for another key"]),
        (lambda request: (200, {}, est.certs(est.issue(request.body, subject="/CN=dev-2"))), 4, ["is for 'dev-2'"]),
        (answer(202, Retry_After="3600"), 5, ["has not decided"]),
    ]:
        reenrolling(est, then)
        unchanged(device, code, *texts, args=rotate)
    device.renew(*rotate)
    assert device.is_whole()


@one_module
@pytest.mark.parametrize("rotate", [[], ["--rotate-key"]], ids=["same key", "new key"])
def test_a_cloud_that_does_not_take_it(device, make_broker, est, pki, run, workdir, rotate):
    """The CA issues from another root than the broker trusts: tried, refused, and rolled back."""
    other = conftest.Pki(run, workdir / "other-pki")
    _, port = make_broker()
    device.set(mqtt__url=f"localhost:{port}")
    est.answers += [answer(200, est.certs(other.ca)), lambda _: None,
                    lambda request: (200, {}, est.certs(est.issue(request.body, ca=(other.ca, other.ca_key))))]
    unchanged(device, 5, "does not trust the issuer of our certificate", args=rotate)
    device.renew(*rotate)
    assert device.is_whole()


@one_module
def test_a_cloud_that_is_away(device, est, free_port):
    device.set(mqtt__url=f"localhost:{free_port()}")
    unchanged(device, 5, "Connection refused", args=["--rotate-key"])


@one_module
def test_what_is_not_there_to_renew(device, workdir):
    device.cert.rename(workdir / "elsewhere.pem")
    device.fails(1, "not found", "cert enroll", args=("cert", "renew"))
    (workdir / "elsewhere.pem").rename(device.cert)
    device.make_key("other-key", id="02")
    device.set(device__key_uri=device.token.key_uri("other-key"))
    device.fails(4, "does not belong to the key", args=("cert", "renew"))
    device.run([device.holdfast, "config", "unset", "device.key_uri"])
    device.fails(1, "device.key_uri is not set", args=("cert", "renew"))


@one_module
def test_a_key_that_cannot_be_told_from_a_new_one(device, broker):
    device.set(device__key_uri=f"{device.token.uri};type=private")
    unchanged(device, 1, "neither id nor object", "Set device.key_uri to pkcs11:.*object=device-key", args=["--rotate-key"])
    device.renew()


@one_module
def test_a_clock_that_is_wrong(device, est):
    """Not yet valid: the clock is behind, and nothing is renewed wildly."""
    put_issued(device, est, start=3600, end=7200)
    result = device.renew("--if-needed")
    assert "Waiting for the clock" in result.stdout
    assert json.loads(device.renew("--if-needed", "--json").stdout)["outcome"] == "clock"
    device.fails(4, "is valid from", "clock", args=("cert", "renew"))
    assert not est.requests


# Cut anywhere

class Cutter:
    """Runs a renewal that is killed just before its N-th change of something outside."""

    def __init__(self, build, device, *args):
        self.program, self.device, self.args = conftest.built(build / "tests/e2e/kill_at"), device, args
        self.log = device.workdir / "kill.log"

    def run(self, n):
        result = self.device.run([self.program, self.log, n, self.device.holdfast, "cert", "renew", *self.args], code=None)
        if result.code == 125:
            pytest.skip(f"nothing can be traced here: {result.stderr}")
        return result.code

    def steps(self):
        """What an uncut renewal changes, in order; a run of the same kind counts once, but names and the first and last of each."""
        assert self.run(0) == 0
        calls = self.log.read_text().split()
        chosen = [n for n, call in enumerate(calls, 1) if call in ("rename", "renameat", "renameat2", "unlink", "unlinkat")
                  or n == 1 or calls[n - 2] != call]
        return chosen, len(calls)


def check_cut(device, before, rotated):
    """As the next command leaves it: certificate and key fit together, and are either both new or both old."""
    old_cert, old_uri = before
    device.renew("--if-needed")
    assert device.is_whole(), device.journal
    taken = device.cert.read_text() != old_cert
    assert (device.get("device.key_uri") != old_uri) == (taken and rotated)
    assert device.files() <= {"device.pem", "device.pem.renewal"}
    return taken


def cut_everywhere(device, build, *args, every=1):
    cutter = Cutter(build, device, *args)
    steps, total = cutter.steps()
    steps = steps[::every]
    assert len(steps) > 8, steps
    taken = left = 0
    for n in steps:
        before = device.cert.read_text(), device.get("device.key_uri")
        assert cutter.run(n) == 137, f"{n} of {total}"
        done = check_cut(device, before, bool(args))
        taken, left = taken + done, left + (not done)
    assert taken and left
    # Nothing has piled up: the next renewals leave the present key, and the one before.
    device.renew(*args)
    device.renew(*args)
    assert len(device.keys()) == (2 if args else 1), device.keys()


def test_a_power_cut_at_any_step(device, broker, build):
    cut_everywhere(device, build, "--rotate-key")


@one_module
def test_a_power_cut_at_any_step_with_the_same_key(device, broker, build):
    cut_everywhere(device, build, every=2)


# Several at once

@one_module
def test_one_renewal_at_a_time(device, broker, est, env, workdir):
    """The second waits, says so, and then has nothing to do; one that may not wait says who is in its way."""
    reenrolling(est, answer(202, Retry_After="3"))
    first = subprocess.Popen([device.holdfast, "cert", "renew", "--rotate-key"], env=env, cwd=workdir, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT)
    while "simplereenroll" not in est.operations():
        time.sleep(0.02)
    device.fails(1, "another renewal is under way", args=("cert", "renew", "--timeout", "1s"))
    second = device.renew()
    assert "another renewal is under way: waiting" in second.stderr and "not due" in second.stdout
    assert first.wait(20) == 0, first.stdout.read()
    assert device.is_whole() and est.operations().count("simplereenroll") == 2


# Cumulocity

class Token(est_kit.Est):
    """Cumulocity's port for client certificates."""

    def usual(self, request):
        if request.path == "/devicecontrol/deviceAccessToken" and request.cn:
            return 200, {"Content-Type": "application/json"}, b'{"accessToken":"the.jwt.token"}'
        return 401, {}, b""


@one_module
def test_cumulocity_renews_by_a_token(device, pki):
    host = f"127.{os.getpid() % 200 + 20}.{os.getpid() // 200 % 200 + 20}.3"
    est = est_kit.Est(pki, host=host, client_certificates=False)
    device.set(c8y__http=f"{host}:{est.port}", c8y__root_cert_path=pki.ca)
    try:
        est.answers += [lambda request: None if "Authorization" in request.headers else (401, {}, b"")]
        device.fails(5, "401", args=("cert", "renew", "c8y"))
        token = Token(pki, host=host, port=8443)
        try:
            device.renew("c8y")
            assert est.requests[-1].headers["Authorization"] == "Bearer the.jwt.token"
            assert est.operations() == ["simplereenroll", "simplereenroll"] and device.is_whole()
            token.answers += [answer(403, b'{"message":"not trusted"}', Content_Type="application/json")]
            device.fails(5, "403 Forbidden: .*not trusted", "CA is trusted there", args=("cert", "renew", "c8y"))
        finally:
            token.close()
    finally:
        est.close()


# With our own authority

class Authority:
    """holdfast-ca in a token of its own, with a configuration of its own."""

    def __init__(self, run, holdfast, build, server, workdir, make_token, free_port):
        self.run, self.holdfast = run, holdfast
        self.env = {"HOLDFAST_CONFIG": str(workdir / "ca.json")}
        self.pem, self.port = workdir / "ca/ca.pem", free_port()
        token = make_token("authority")
        for key, value in {"device.cryptoki.module_path": token.module, "device.cryptoki.pin_source": token.pin_file,
                           "device.cryptoki.uri": token.uri, "ca.path": workdir / "ca", "ca.bind.port": self.port,
                           "ca.bind.http_port": free_port(), "ca.server.names": "localhost"}.items():
            self.do("config", "set", key, value)
        self.do("ca", "init")
        server([conftest.built(build / "src/ca/holdfast-ca")], line="ready", extra_env=self.env)

    def do(self, *args):
        return self.run([self.holdfast, *args], extra_env=self.env, timeout=60).stdout.strip()


@one_module
def test_with_our_own_authority(device, make_broker, build, server, workdir, make_token, free_port, holdfast, run):
    """From a one-time password to a second key; and what it refuses."""
    authority = Authority(run, holdfast, build, server, workdir, make_token, free_port)
    _, port = make_broker(cafile=authority.pem)
    device.cert.unlink()
    device.set(est__url=f"https://localhost:{authority.port}", est__root_cert_path=authority.pem, mqtt__url=f"localhost:{port}",
               mqtt__root_cert_path=device.pki.ca)
    enroll = ("cert", "enroll", "--device-id", "dev-1")
    device.fails(5, "401 Unauthorized", "one-time password", args=enroll, extra_env={"DEVICE_ONE_TIME_PASSWORD": "a guess"})
    device.cmd(*enroll, extra_env={"DEVICE_ONE_TIME_PASSWORD": authority.do("ca", "token", "dev-1")})
    device.renew()
    device.renew("--rotate-key")
    device.renew("--rotate-key")
    assert device.is_whole() and device.keys() == ["device-key-2", "device-key-3"]
    # A certificate that was revoked renews nothing.
    authority.do("ca", "revoke", device.serial.partition("=")[2])
    before = device.serial
    device.fails(5, "403 Forbidden: .*revoked", args=("cert", "renew"))
    assert device.serial == before and device.is_whole()


# By itself, in holdfast-core

class Core:
    def __init__(self, server, build, device, workdir, free_port):
        self.run_path, self.device = workdir / "run", device
        self.port = free_port()
        device.set(data__path=workdir / "data", run__path=self.run_path, mqtt__bind__port=self.port, mqtt__bridge__enabled="true")
        self.process = server([conftest.built(build / "src/gateway/holdfast-core")], extra_env={"HOLDFAST_LOG": "stderr"})

    def status(self):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.run_path / "core.sock"))
            connection.shutdown(socket.SHUT_WR)
            data = b""
            while part := connection.recv(65536):
                data += part
        return json.loads(data)

    def is_up(self):
        return self.status()["bridges"][0]["state"] == "up"

    def wait_for(self, what, ready, timeout=20):
        self.process.wait_for(ready, what, timeout)


@one_module
def test_the_core_renews_by_itself(device, broker, est, server, build, workdir, free_port):
    """With a new key, while the bridge runs; the bridge goes on with both."""
    put_issued(device, est, start=-9 * 86400, end=86400)
    device.set(certificate__renewal__rotate_key="true", certificate__renewal__delete_old_key="true")
    before = device.serial
    core = Core(server, build, device, workdir, free_port)
    core.wait_for("renewal", lambda: "the device's certificate was renewed, with a new key" in core.process.log)
    assert device.serial != before and device.is_whole()
    renewal = core.status()["renewal"]
    assert renewal["last_result"] in ("renewed", "not due") and renewal["failures"] == 0
    assert renewal["last_success"] >= renewal["last_try"] > 0 and renewal["valid_until"] > time.time() + 9 * 86400
    assert renewal["next_try"] > time.time() + 3000
    core.wait_for("bridge", core.is_up)
    broker.kill()
    core.wait_for("broken bridge", lambda: not core.is_up())
    server(broker.cmd, line=" running")
    core.wait_for("bridge with the new key, as the old one is gone", core.is_up)
    assert device.keys() == ["device-key-2"]


@one_module
def test_the_core_tries_again(device, broker, est, server, build, workdir, free_port):
    """A CA that fails: said, counted, backed off from; and tried at once when the configuration changes."""
    put_issued(device, est, start=-9 * 86400, end=86400)
    reenrolling(est, answer(503))
    core = Core(server, build, device, workdir, free_port)
    core.wait_for("failure", lambda: "the next try is in 60 s" in core.process.log)
    renewal = core.status()["renewal"]
    assert renewal["last_result"] == "failed" and renewal["failures"] == 1 and "503" in json.dumps(renewal["cause"])
    device.set(certificate__organization="Changed")
    core.wait_for("renewal", lambda: "the device's certificate was renewed, and is good until" in core.process.log)
    assert device.is_whole()


# The timer

def units(build, workdir, holdfast):
    """As they are installed, but with this build's program."""
    text = (build / "packaging/holdfast-renew.service").read_text()
    service = workdir / "holdfast-renew.service"
    service.write_text(re.sub(r"=\S*/bin/holdfast ", f"={holdfast} ", text))
    timer = workdir / "holdfast-renew.timer"
    timer.write_bytes((conftest.SOURCE / "packaging/systemd/holdfast-renew.timer").read_bytes())
    return service, timer


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze (package systemd)")
def test_the_timer_s_units(run, build, workdir, holdfast):
    service, timer = units(build, workdir, holdfast)
    plain = {"LD_PRELOAD": ""}
    result = run(["systemd-analyze", "verify", "--man=no", service, timer], extra_env=plain)
    assert not [line for line in result.stderr.splitlines() if "holdfast" in line]
    security = run(["systemd-analyze", "security", "--offline=true", "--threshold=40", service], extra_env=plain, code=None)
    assert security.code == 0, security


@one_module
def test_the_timer_s_commands(device, build, workdir, holdfast, est, broker):
    """As systemd runs them: the condition (0: go on, 1 to 254: not now), then the renewal."""
    service, _ = units(build, workdir, holdfast)
    condition, start = (re.search(rf"^{name}=(.*)$", service.read_text(), re.M)[1].split() for name in ("ExecCondition", "ExecStart"))
    assert device.run(condition, code=None).code == 1
    put_issued(device, est, start=-9 * 86400, end=86400)
    before = device.serial
    device.run(condition)
    device.run(start)
    assert device.serial != before and device.run(condition, code=None).code == 1
    device.cert.unlink()
    assert 1 <= device.run(condition, code=None).code <= 254
