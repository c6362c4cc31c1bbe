# SPDX-License-Identifier: Apache-2.0
"""holdfast doctor: a gateway that is well, and each thing that can be wrong with one; and the bundle, which holds no secret."""

import json
import socket
import tarfile
import time

import pytest

import agent_kit
from ca_kit import Authority
from cloud_kit import Proxy
from connect_kit import broker, device, fake_broker, make_broker, stay_silent  # noqa: F401
from conftest import PIN, SO_PIN, namespaces
from terminal import converse

one_module = pytest.mark.modules("ours")

# A clock that nobody keeps is warned of, and so is what a test's machine may lack.
MACHINE = {"clock", "data.directory"}


class Report:
    def __init__(self, document):
        self.document = document
        self.checks = {check["code"]: check for check in document["checks"]}

    def verdicts(self, verdict):
        return [code for code, check in self.checks.items() if check["verdict"] == verdict]

    @property
    def failed(self):
        return self.verdicts("fail")

    @property
    def warned(self):
        return [code for code in self.verdicts("warn") if code not in MACHINE]


def examine(device, *args, code=None, **options):
    """A Report; the exit status must fit what it says."""
    result = device.run([device.holdfast, "doctor", "--json", "--quick", "--timeout", "1s", "--config", device.config, *args], code=code, **options)
    assert PIN not in result.stdout + result.stderr
    report = Report(json.loads(result.stdout))
    assert result.code == (6 if report.failed else 0), result
    return report


def fails(device, check, error_code, *texts, hint, only=True, **options):
    """This check fails, with this error and these words; no other does, and what needs it is skipped because of it."""
    report = examine(device, **options)
    found = report.checks.get(check)
    assert found and found["verdict"] == "fail", (found, report.failed)
    assert found["error_code"] == error_code, found
    for text in texts:
        assert text in found["error"], found
    assert hint in found["hint"], found
    if only:
        assert report.failed == [check], [report.checks[code] for code in report.failed]
        assert all(report.checks[code]["because"] == check for code in report.verdicts("skip"))
    return report


def warns(device, check, error_code, *texts, hint, **options):
    report = examine(device, **options)
    found = report.checks[check]
    assert found["verdict"] == "warn" and found["error_code"] == error_code, found
    for text in texts:
        assert text in found["error"], found
    assert hint in found["hint"] and report.failed == [], found
    return report


# A gateway that is well

def test_all_is_well(device, broker):
    before = snapshot(device.workdir)
    report = examine(device)
    assert report.failed == [] and report.warned == [] and report.verdicts("skip") == []
    assert list(report.checks)[:3] == ["config.file", "config.permissions", "config.device"]
    for code in ("pin.source", "module.load", "module.slots", "token.find", "token.pin", "key.find", "key.kind", "token.mechanisms", "cert.key",
                 "cert.chain", "cert.renewal", "key.signature", "tls.loopback", "broker.program", "mqtt.dns", "mqtt.tcp"):
        assert report.checks[code]["verdict"] == "ok", code
    assert "TLS 1.2 and 1.3" in report.checks["tls.loopback"]["detail"]
    assert "with the certificate" in report.checks["key.signature"]["detail"]
    assert "TLSv1.3, server 'broker'" in report.checks["mqtt.tls"]["detail"]
    assert report.checks["mqtt.mqtt"]["detail"] == "MQTT 5, as 'dev-1'"
    rate = report.checks["token.rate"]["values"]
    assert rate["signatures_per_s"] > 1 and 0 < rate["p50_ms"] <= rate["p95_ms"]
    assert report.document["healthy"] is True and report.document["ok"] + report.document["warn"] == len(report.checks)
    assert snapshot(device.workdir) == before


def snapshot(directory):
    """Path, mode and content of all; but for the token's lock and access times, and for logs."""
    return {str(path.relative_to(directory)): (path.stat().st_mode, path.read_bytes())
            for path in sorted(directory.rglob("*")) if path.is_file() and "tokens" not in path.parts and path.suffix != ".log"}


@one_module
def test_the_list_is_for_people(device, broker):
    result = device.run([device.holdfast, "doctor", "--config", device.config])  # not --quick
    lines = result.stdout.splitlines()
    assert lines[0] == f"ok     config.file            Configuration: {device.config}"
    assert all(line.split()[0] in ("ok", "warn") for line in lines[:-1] if not line.startswith(" "))
    assert lines[-1].endswith("0 failed, 0 skipped") and result.stderr == ""
    device.set(mqtt__url="localhost:1")
    result = device.run([device.holdfast, "doctor", "--quick", "--config", device.config, "mqtt"], code=6)
    at = next(i for i, line in enumerate(result.stdout.splitlines()) if line.startswith("fail"))
    assert "mqtt.tcp" in result.stdout.splitlines()[at] and "Connection refused" in result.stdout.splitlines()[at]
    assert result.stdout.splitlines()[at + 1].startswith(" " * 30)
    assert "skip   mqtt.tls               TLS with the key: skipped because of mqtt.tcp" in result.stdout
    assert result.stderr.startswith("holdfast: error: a check failed")
    assert "no cloud 'moon'" in device.run([device.holdfast, "doctor", "moon"], code=2).stderr
    assert "doctor bundle" in device.run([device.holdfast, "doctor", "--help"]).stdout


@one_module
def test_what_runs_is_told_on_a_terminal_alone(device, broker):
    status, shown = converse([device.holdfast, "doctor", "--config", str(device.config)], [], env=device.run.keywords["env"], cwd=device.workdir)
    assert status == 0 and "...    token.rate             Signatures a second" in shown
    assert "..." not in device.run([device.holdfast, "doctor", "--quick", "--config", device.config]).stderr


@one_module
def test_a_gateway_that_runs_goes_on(device, broker):
    """Its port is its own, and its bridge's connection is not thrown out."""
    device.connect("mqtt")
    connected = broker.log.count("New client connected")
    report = examine(device)
    assert report.failed == [] and report.warned == []
    assert "is holdfast-core's" in report.checks["broker.port"]["detail"]
    assert "it runs, process" in report.checks["core"]["detail"]
    assert report.checks["mqtt.mqtt"]["detail"] == "the bridge of holdfast-core is connected"
    assert broker.log.count("New client connected") == connected and device.bridges() == {"mqtt": "up"}
    broker.process.kill()
    end = time.monotonic() + 10
    while device.bridges() == {"mqtt": "up"} and time.monotonic() < end:
        time.sleep(0.1)
    fails(device, "mqtt.tcp", "unreachable", hint="that it runs")


@one_module
@pytest.mark.parametrize("type", ["rsa:2048", "EC:secp384r1", "EC:edwards25519"])
def test_other_keys(device, broker, make_key, type):
    device.set(device__key_uri=make_key("other", type, "02"), device__cert_path=device.certify("other"))
    report = examine(device)
    assert report.failed == [] and report.warned == []
    if type.startswith("rsa"):
        assert report.checks["token.mechanisms"]["detail"] == "CKM_RSA_PKCS, CKM_RSA_PKCS_PSS"


@one_module
def test_through_the_agent(device, broker, server, build, workdir, env):
    agent = agent_kit.Agent(server, build, workdir / "agent", device.token.module, pin_source=device.token.pin_file)
    device.set(device__cryptoki__mode="socket", device__cryptoki__pkcs11_socket_path=agent.pkcs11)
    report = examine(device)
    assert report.failed == [] and report.warned == [] and "pin.source" not in report.checks
    assert report.checks["agent.socket"]["verdict"] == "ok"
    agent.server.stop()
    report = fails(device, "agent.socket", "unreachable", "the key agent at", hint="holdfast agent run")
    assert "token.pin" in report.verdicts("skip")


# The configuration

@one_module
def test_a_configuration_that_cannot_be_read(device, broker):
    device.config.write_text(f'{{"device": {{"cryptoki": {{"pin": "{PIN}" }} }}, "c8y"')
    report = fails(device, "config.file", "config", "line 1", hint="Correct the JSON")
    assert report.verdicts("ok") in ([], ["clock"])
    device.config.unlink()
    fails(device, "config.file", "not-found", hint="--config")


@one_module
def test_permissions(device, broker):
    device.config.chmod(0o644)
    warns(device, "config.permissions", "permission", "can be read by others", hint="PIN")
    device.config.chmod(0o666)
    fails(device, "config.permissions", "permission", "can be changed by everyone", hint="chmod 600")
    device.config.chmod(0o600)
    device.token.pin_file.chmod(0o644)
    warns(device, "pin.source", "permission", "mode 0644", hint="chmod 600")
    device.token.pin_file.chmod(0o600)
    (device.workdir / "data").mkdir()
    (device.workdir / "data").chmod(0o777)
    fails(device, "data.directory", "permission", "by everyone", hint="chmod o-w")
    (device.workdir / "data").rmdir()
    (device.workdir / "data").write_text("")
    fails(device, "data.directory", "io", "is no directory", hint="data.path")


@one_module
def test_what_a_device_needs(device, broker):
    device.set(mqtt__bridge__built_in="false")
    fails(device, "config.device", "config", "built_in", hint="built_in true")
    device.set(mqtt__bridge__built_in="true", device__cryptoki__mode="off")
    fails(device, "config.device", "config", "mode is off", hint="socket for the key agent")
    device.set(device__cryptoki__mode="module")
    device.run([device.holdfast, "config", "unset", "--config", device.config, "device.key_uri"])
    report = fails(device, "config.device", "config", "device.key_uri is not set", hint="config set device.key_uri")
    assert report.checks["token.pin"]["verdict"] == "ok"


# The PIN

@one_module
def test_the_source_of_the_pin(device, broker):
    device.token.pin_file.write_text("")
    fails(device, "pin.source", "pin-len-range", "no PIN", hint="4 to 255")
    device.token.pin_file.unlink()
    fails(device, "pin.source", "not-found", hint="Check the name")
    device.set(device__cryptoki__pin_source="env:NO_SUCH")
    fails(device, "pin.source", "pin-missing", "NO_SUCH", hint="pin_source")
    device.run([device.holdfast, "config", "unset", "--config", device.config, "device.cryptoki.pin_source"])
    fails(device, "token.pin", "pin-missing", hint="pin_source")


def pin_flags(device):
    text = device.run(["pkcs11-tool", "--module", device.token.module, "--list-token-slots"]).stdout
    return {flag for flag in ("user PIN count low", "final user PIN try", "user PIN locked") if flag in text}


def wrong_pin(device):
    device.run(["pkcs11-tool", "--module", device.token.module, "--token-label", device.token.label, "--login", "--pin", "999999",
                "--list-objects"], code=None)


def test_a_wrong_pin_is_tried_once_at_most(device, broker):
    """By whichever of its checks: after it the token says that one try is gone, and the next run tries none."""
    device.token.pin_file.write_text("000000\n")
    report = fails(device, "token.pin", "pin-incorrect", hint="Do not guess")
    assert {"key.find", "key.signature", "tls.loopback", "mqtt.tls"} <= set(report.verdicts("skip"))
    flags = pin_flags(device)
    assert flags == {"user PIN count low"}
    for _ in range(8):  # more than the token has tries
        fails(device, "token.pin", "pin-incorrect", "a wrong one was given lately", hint="pkcs11-tool --login --test")
        assert pin_flags(device) == flags
    device.token.pin_file.write_text(PIN + "\n")
    fails(device, "token.pin", "pin-incorrect", "a wrong one was given lately", hint="pkcs11-tool --login --test")
    device.run(["pkcs11-tool", "--module", device.token.module, "--token-label", "device", "--login", "--pin", PIN, "--list-objects"])
    assert pin_flags(device) == set()
    assert examine(device).failed == []


@one_module
def test_a_final_try_and_a_lock_are_left_alone(device, broker):
    while "final user PIN try" not in pin_flags(device):
        wrong_pin(device)
    for _ in range(2):
        fails(device, "token.pin", "pin-incorrect", "one try is left, and was not spent", hint="by hand")
        assert "final user PIN try" in pin_flags(device) and "user PIN locked" not in pin_flags(device)
    wrong_pin(device)
    assert "user PIN locked" in pin_flags(device)
    for _ in range(2):
        fails(device, "token.pin", "pin-locked", hint="SO PIN")


# Module, token and key

@one_module
def test_the_module(device, broker, workdir):
    rubbish = workdir / "rubbish.so"
    rubbish.write_text("no ELF")
    device.set(device__cryptoki__module_path=rubbish)
    report = fails(device, "module.load", "module-load", "rubbish.so", hint="module's path")
    assert report.checks["cert.file"]["verdict"] == "ok" and report.checks["mqtt.tcp"]["verdict"] == "ok"


@one_module
def test_the_token_and_the_key(device, broker, make_key, make_token):
    uri = device.token.key_uri("device-key")
    device.set(device__key_uri=uri.replace("token=device", "token=other"))
    fails(device, "token.find", "token-not-found", "token=other", hint="holdfast token list")
    device.set(device__key_uri=device.token.key_uri("none"))
    fails(device, "key.find", "uri-no-match", "object=none", hint="holdfast key list")
    make_key("device-key", id="07")
    device.set(device__key_uri=uri)
    fails(device, "key.find", "uri-ambiguous", "id=%01", "id=%07", hint="Add")
    device.set(device__key_uri=make_key("third", id="09"))
    report = fails(device, "cert.key", "key-mismatch", "is for another key", hint="this key")
    assert report.checks["key.signature"]["detail"] == "with the token's public key"


@pytest.mark.modules("softhsm2")
def test_a_key_that_is_too_short(device, broker, make_key):
    device.set(device__key_uri=make_key("short", "rsa:1024", "02"))
    report = examine(device)
    assert report.checks["key.kind"]["verdict"] == "fail" and report.checks["key.kind"]["error_code"] == "key-size-range"
    assert "at least 2048 bits" in report.checks["key.kind"]["hint"]


# The certificate

@one_module
def test_the_certificate(device, broker, pki):
    cert = device.workdir / "cert.pem"
    device.set(device__cert_path=cert)
    report = fails(device, "cert.file", "not-found", hint="holdfast cert enroll")
    assert report.checks["key.signature"]["verdict"] == "ok" and report.checks["token.rate"]["verdict"] == "ok"
    cert.write_text("no certificate\n")
    fails(device, "cert.file", "cert-file", "holds no certificate", hint="PEM")
    csr = device.workdir / "device-key.csr"
    device.set(device__cert_path=pki.sign_between(csr, "old", "20200101000000Z", "20200102000000Z"))
    fails(device, "cert.validity", "cert-invalid", "expired on 2020-01-02", hint="renewed", only=False)
    device.set(device__cert_path=pki.sign_between(csr, "young", "20900101000000Z", "20910101000000Z"))
    fails(device, "cert.validity", "cert-invalid", "is valid from 2090-01-01", hint="clock", only=False)
    device.set(device__cert_path=pki.dir / "device-key.pem", device__id="dev-2")
    fails(device, "cert.device", "cert-invalid", "is for 'dev-1', but device.id is 'dev-2'", hint="device.id")


@one_module
def test_the_renewal_and_the_chain(device, broker, pki):
    device.set(certificate__validity__minimum_duration="9d")
    assert "due on" in examine(device).checks["cert.renewal"]["detail"]
    now = time.gmtime(time.time() - 9 * 86400), time.gmtime(time.time() + 86400)
    device.set(device__cert_path=pki.sign_between(device.workdir / "device-key.csr", "due", *(time.strftime("%Y%m%d%H%M%SZ", t) for t in now)))
    warns(device, "cert.renewal", "cert-invalid", "renewal is due since", hint="holdfast cert renew")
    cert = device.workdir / "chain.pem"
    own = (pki.dir / "device-key.pem").read_text()
    device.set(device__cert_path=cert)
    cert.write_text(own + pki.ca.read_text())
    assert "up to 'Test CA'" in examine(device).checks["cert.chain"]["detail"]
    (pki.dir / "other.pem").write_text("")
    pki.key_and_cert("other")
    cert.write_text(own + (pki.dir / "other.pem").read_text())
    fails(device, "cert.chain", "cert-chain", "was not issued by 'other'", hint="CA")
    (cert.parent / "chain.pem.renewal").write_text("{")
    cert.write_text(own)
    warns(device, "cert.renewal", "parse", "chain.pem.renewal", hint="")
    (cert.parent / "chain.pem.renewal").write_text("holdfast-renewal 1\nstage trying\n")
    warns(device, "cert.renewal", "busy", "under way, or was cut", hint="--if-needed")
    assert (cert.parent / "chain.pem.renewal").exists()


# The device

@one_module
def test_the_local_broker_s_port(device, broker, server, env):
    other = socket.create_server(("127.0.0.1", 0))
    device.set(mqtt__bind__port=other.getsockname()[1])
    fails(device, "broker.port", "busy", "by process", hint="mqtt.bind.port")
    device.set(mqtt__broker="external")
    fails(device, "broker.answer", "timeout", hint="", only=True)
    other.close()
    fails(device, "broker.answer", "unreachable", "Connection refused", hint="")


@one_module
def test_mosquitto_is_missing(device, broker):
    """In a namespace of its own, where the folder that Debian has it in is empty."""
    hidden = [*namespaces("--mount"), "sh", "-c", "mount -t tmpfs none /usr/sbin && exec \"$@\"", "sh"]
    result = device.run([*hidden, device.holdfast, "doctor", "--quick", "--json", "--config", device.config], code=6)
    found = Report(json.loads(result.stdout)).checks["broker.program"]
    assert found["verdict"] == "fail" and found["error_code"] == "not-found" and "apt-get install mosquitto" in found["hint"], found


@one_module
def test_a_gateway_that_should_run(device, broker):
    device.set(mqtt__bridge__enabled="true")
    warns(device, "core", "service", "no holdfast-core runs", hint="holdfast core start")


@one_module
def test_the_keys_of_server_and_secrets(device, broker, make_key, free_port):
    """As 'holdfast core start' looks at them."""
    assert not [code for code in examine(device).checks if code.startswith(("server-", "secrets-"))]
    port = free_port()
    device.set(mqtt__server__enabled="true", mqtt__server__bind__port=port, mqtt__server__key_uri=make_key("server-key", id="05"),
               secrets__key_uri=make_key("secrets-key", "rsa:2048", "06"))
    report = examine(device)
    assert {"server-key-found", "server-key-kind", "server-key-mechanisms", "server-key-works", "server-port", "secrets-key-found",
            "secrets-key-works"} <= set(report.checks)
    device.set(mqtt__server__key_uri=device.token.key_uri("none"))
    report = fails(device, "server-key-found", "uri-no-match", "object=none", hint="", only=False)
    assert report.checks["server-key-works"]["because"] == "server-key-found"
    device.set(secrets__key_uri=make_key("ed-key", "EC:edwards25519", "08"), mqtt__server__key_uri=device.token.key_uri("server-key"))
    fails(device, "secrets-key-kind", "key-type-inconsistent", "Ed25519", hint="RSA", only=False)
    device.token.pin_file.write_text("000000\n")
    report = fails(device, "token.pin", "pin-incorrect", hint="")
    assert report.checks["secrets-key-found"]["because"] == "token.pin"


@one_module
def test_a_cloud_that_knows_the_certificate_itself(device, broker):
    device.run([device.holdfast, "config", "unset", "--config", device.config, "mqtt.url"])
    device.set(aws__url="localhost:1", device__id="thing-7")
    assert examine(device).checks["cert.device"]["verdict"] == "ok"


# The network

@one_module
def test_the_way_to_the_cloud(device, broker, fake_broker, make_broker, pki):
    port = broker.port
    device.set(mqtt__url="no-such-host.invalid")
    fails(device, "mqtt.dns", "unreachable", "no-such-host.invalid", hint="name server")
    device.set(mqtt__url="localhost:1")
    fails(device, "mqtt.tcp", "unreachable", "Connection refused", hint="port")
    device.set(mqtt__url=f"127.0.0.2:{port}")
    fails(device, "mqtt.tcp", "unreachable", hint="")
    silent = fake_broker(stay_silent)
    device.set(mqtt__url=f"localhost:{silent.port}")
    fails(device, "mqtt.tls", "timeout", hint="")
    device.set(mqtt__url=f"localhost:{port}", mqtt__root_cert_path=device.workdir / "none.pem")
    fails(device, "mqtt.config", "not-found", "none.pem", hint="mqtt.root_cert_path")
    other = device.workdir / "other-ca.pem"
    pki.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", device.workdir / "o.key", "-out", other,
                "-subj", "/CN=Other CA")
    device.set(mqtt__root_cert_path=other)
    fails(device, "mqtt.tls", "tls", "not trusted", hint="mqtt.root_cert_path")
    strict = make_broker(lines=["allow_anonymous false"], identity_as_username=False)
    device.set(mqtt__root_cert_path=pki.ca, mqtt__url=f"localhost:{strict.port}")
    fails(device, "mqtt.mqtt", "mqtt", hint="")


@one_module
def test_the_proxy(device, broker):
    proxy = Proxy(login="me:secret")
    device.set(proxy__address=f"http://localhost:{proxy.port}")
    fails(device, "mqtt.tcp", "proxy", "407", hint="proxy.username")
    device.set(proxy__username="me")
    device.run([device.holdfast, "config", "set", "--config", device.config, "proxy.password", "-"], input="secret\n")
    assert examine(device).failed == []
    device.set(proxy__address="http://localhost:1")
    fails(device, "proxy", "unreachable", hint="proxy.address")
    proxy.close()


@one_module
def test_the_est_server_and_the_key_of_updates(device, broker, server, holdfast, build, workdir, free_port):
    ca = Authority(device.run, server, holdfast, build, workdir, device.token, free_port)
    ca.init()
    ca.start()
    device.set(est__url=ca.url, est__root_cert_path=ca.pem)
    assert "CA certificates: 1" in examine(device).checks["est"]["detail"]
    ca.process.stop()
    fails(device, "est", "unreachable", hint="est.url")
    device.run([device.holdfast, "config", "unset", "--config", device.config, "est.url"])
    device.set(update__key_path=device.workdir / "none.pem")
    fails(device, "update.key", "not-found", hint="")


# The bundle

OTP = "ABCDEFGHJKLMNPQRSTUVWXYZ23"
PROXY_PASSWORD = "proxy-geheim"
PLANTED = (PIN, SO_PIN + "x", OTP, PROXY_PASSWORD, "url-geheim", "MIGHsecretkey", "bWU6dXJsLWdlaGVpbQ==", "conf-pin-geheim")


def unpack(path, directory):
    with tarfile.open(path) as archive:
        members = archive.getmembers()
        archive.extractall(directory)
    assert all(not member.name.startswith("/") and ".." not in member.name for member in members)
    assert all(member.mode & 0o077 == 0 for member in members)
    root = directory / members[0].name.split("/")[0]
    return {path.name: path.read_text(errors="replace") for path in root.iterdir()}


def bundle(device, *args, **options):
    return device.run([device.holdfast, "doctor", "bundle", "--timeout", "1s", "--config", device.config, "--metrics-socket",
                       device.workdir / "agent/metrics.sock", *args], **options)


def plant(device):
    """Secrets in all the places that are collected from."""
    (device.workdir / "data").mkdir(exist_ok=True)
    with open(device.workdir / "data/core.log", "a") as log:
        log.write(f"INFO: begin\nlogged in with {PIN}\nuses pkcs11:token=device?pin-value=conf-pin-geheim\n"
                  f"through http://me:url-geheim@proxy.example:3128\nProxy-Authorization: Basic bWU6dXJsLWdlaGVpbQ==\n"
                  f"the one-time password is {OTP}\npassword={PROXY_PASSWORD}\nso-pin: {SO_PIN}x\n"
                  "-----BEGIN PRIVATE KEY-----\nMIGHsecretkeyAAA\n-----END PRIVATE KEY-----\nINFO: end\n")
    cert = device.workdir / "both.pem"
    cert.write_text("-----BEGIN PRIVATE KEY-----\nMIGHsecretkeyAAA\n-----END PRIVATE KEY-----\n" + (device.pki.dir / "device-key.pem").read_text())
    device.set(device__cert_path=cert, device__key_uri=device.token.key_uri("device-key") + f"?pin-source={device.token.pin_file}",
               proxy__address="http://localhost:1", proxy__username="me", device__cryptoki__uri="pkcs11:token=device?pin-value=conf-pin-geheim")
    for key, value in (("proxy.password", PROXY_PASSWORD), ("device.cryptoki.pin", "conf-pin-geheim")):
        device.run([device.holdfast, "config", "set", "--config", device.config, key, "-"], input=value + "\n")


def test_a_bundle_holds_no_secret(device, broker, server, build, workdir):
    agent_kit.Agent(server, build, workdir / "agent", device.token.module, pin_source=device.token.pin_file)
    device.connect("mqtt")
    plant(device)
    path = workdir / "out.tar.gz"
    result = bundle(device, "--output", path)
    assert path.stat().st_mode & 0o7777 == 0o600
    files = unpack(path, workdir / "unpacked")
    for name in ("doctor.json", "versions.txt", "config.json", "core.json", "agent.json", "token.json", "certificate.pem", "certificate.txt",
                 "system.txt", "core.log", "README.txt"):
        assert files[name] and name in result.stdout + "README.txt", name
        assert name == "README.txt" or name in files["README.txt"]
    for name, text in files.items():
        for secret in PLANTED:
            assert secret not in text, (name, secret)
    everything = path.read_bytes() + result.stdout.encode() + result.stderr.encode()
    assert all(secret.encode() not in everything for secret in PLANTED)
    # And all the rest is there.
    assert "INFO: begin" in files["core.log"] and "INFO: end" in files["core.log"] and "@proxy.example:3128" in files["core.log"]
    config = json.loads(files["config.json"])
    assert config["proxy.password"] == "<redacted>" and config["device.cryptoki.pin"] == "<redacted>"
    assert config["mqtt.url"] == f"localhost:{broker.port}" and "device.cryptoki.uri" in config
    assert Report(json.loads(files["doctor.json"])).checks["key.find"]["verdict"] == "ok"
    assert any(t["label"] == "device" and len(t["mechanisms"]) > 5 for t in json.loads(files["token.json"])["tokens"])
    assert "CN=dev-1" in files["certificate.txt"] and "BEGIN CERTIFICATE" in files["certificate.pem"]
    assert json.loads(files["core.json"])["bridges"] and json.loads(files["agent.json"])
    assert [p.name for p in workdir.iterdir() if p.name.startswith("out.tar.gz")] == ["out.tar.gz"]


@one_module
def test_a_bundle_of_a_gateway_that_is_not_well(device, broker, workdir):
    (workdir / "data").mkdir()
    (workdir / "data/core.log").write_text(f"the PIN is {PIN}\n")
    device.config.write_text('{"device"')
    told = json.loads(bundle(device, "--json").stdout)
    files = unpack(workdir / told["bundle"], workdir / "unpacked")
    assert Report(json.loads(files["doctor.json"])).failed == ["config.file"]
    assert "core.log" not in files and "config.json" not in files and "left out" in files["README.txt"]
    out = {file["name"]: file.get("left_out") for file in told["files"]}
    assert out["doctor.json"] is None and "cannot be read" in out["config.json"]
    # Never in the place of another file, nor half a one.
    (workdir / "there.tar.gz").write_text("precious")
    assert "there is one already" in bundle(device, "--output", workdir / "there.tar.gz", code=1).stderr
    assert (workdir / "there.tar.gz").read_text() == "precious"
    bundle(device, "--output", workdir / "none/out.tar.gz", code=1)
    result = bundle(device, "--output", workdir / "full.tar.gz", code=1, extra_env={"PATH": "/nowhere"})
    assert "tar" in result.stderr
    assert not [p for p in workdir.iterdir() if p.name.startswith(("full", "there.tar.gz."))]
