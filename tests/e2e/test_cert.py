# SPDX-License-Identifier: Apache-2.0
"""holdfast cert: certificates and requests by the key in the HSM, judged by openssl; and all that can be wrong with one."""

import json
import os
import re
import stat

import pytest

from agent_kit import Agent
from cloud_kit import Proxy
from conftest import needs
from cumulocity_fake import Fake
from terminal import converse

DEVICE = "dev-1"
one_module = pytest.mark.modules("ours")


class Device:
    """A configured device with a key in the token and no certificate yet."""

    def __init__(self, run, holdfast, workdir, token, pki):
        self.run, self.holdfast, self.dir, self.token, self.pki = run, holdfast, workdir, token, pki
        self.cert_path, self.csr_path = workdir / "certs/device.pem", workdir / "certs/device.csr"
        self.config = workdir / "config.json"
        self.config.touch(mode=0o600)
        self.config.write_text(json.dumps({"device": {
            "cert_path": str(self.cert_path), "csr_path": str(self.csr_path),
            "cryptoki": {"module_path": str(token.module), "pin_source": str(token.pin_file)}}}))

    def set(self, **values):
        for key, value in values.items():
            self.run([self.holdfast, "config", "set", key.replace("__", "."), value])

    def get(self, key):
        return self.run([self.holdfast, "config", "get", key]).stdout.strip()

    def cert(self, *args, **options):
        """Runs holdfast cert. A secret is nowhere in what it says."""
        result = self.run([self.holdfast, "cert", *args], **options)
        assert self.token.pin not in result.stdout + result.stderr
        return result

    def fails(self, code, *texts, args, **options):
        """One error line, one hint, nothing else; all texts are in them."""
        result = self.cert(*args, code=code, **options)
        lines = result.stderr.splitlines()
        assert result.stdout == "" and len(lines) == 2, result
        assert lines[0].startswith("holdfast: error: ") and lines[1].startswith("  hint: "), result
        for text in texts:
            assert text in result.stderr, f'"{text}" is missing:\n{result}'
        return result

    def show(self, *args):
        return json.loads(self.cert("show", "--json", *args).stdout)

    def request(self):
        self.cert("create-csr", "--device-id", DEVICE)
        return self.csr_path

    def openssl(self, *args, **options):
        return self.run(["openssl", *args], extra_env={"OPENSSL_CONF": "/etc/ssl/openssl.cnf"}, **options).stdout


@pytest.fixture
def bare(run, holdfast, workdir, token, pki):
    return Device(run, holdfast, workdir, token, pki)


@pytest.fixture
def device(bare, make_key):
    bare.set(device__key_uri=make_key("device-key"))
    return bare


def text_of(device, path):
    return device.openssl("x509", "-in", path, "-noout", "-text")


# What is made

def test_from_a_key_to_a_certificate(device):
    made = device.cert("create", "--device-id", DEVICE, "--san", "DNS:dev-1.local, IP:192.0.2.7,URI:urn:dev:1", "--days", "90")
    for line in (f"Device certificate:  {device.cert_path}", "Subject:             CN=dev-1", "Issuer:              CN=dev-1 (self-signed)",
                 "Status:              VALID (expires in: 90 days)", "it is the device's key in the HSM", "DNS:dev-1.local"):
        assert line in made.stdout, made
    assert device.get("device.id") == DEVICE
    assert stat.S_IMODE(device.cert_path.stat().st_mode) == 0o644
    text = text_of(device, device.cert_path)
    for wanted in ("Version: 3 (0x2)", "CA:TRUE, pathlen:0", "Digital Signature, Certificate Sign", "TLS Web Client Authentication",
                   "DNS:dev-1.local, IP Address:192.0.2.7, URI:urn:dev:1", "Subject Key Identifier", "Authority Key Identifier"):
        assert wanted in text, text
    device.openssl("verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", device.cert_path, device.cert_path)
    # What openssl says of it is what we say.
    shown = device.show()
    assert shown["serial"] == device.openssl("x509", "-in", device.cert_path, "-noout", "-serial").strip().removeprefix("serial=")
    for name in ("sha256", "sha1"):
        print_ = device.openssl("x509", "-in", device.cert_path, "-noout", "-fingerprint", f"-{name}")
        assert shown[name] == print_.split("=")[1].strip().replace(":", "")
    assert shown["status"] == "VALID" and shown["key_in_hsm"] is True and shown["needs_renewal"] is False
    assert len(shown["serial"]) == 40 and int(shown["serial"][0], 16) < 8


@one_module
@pytest.mark.parametrize("type, name", [("EC:prime256v1", "EC P-256"), ("EC:secp384r1", "EC P-384"), ("EC:secp521r1", "EC P-521"),
                                        ("EC:edwards25519", "Ed25519"), ("rsa:2048", "RSA 2048")])
def test_every_kind_of_key(bare, make_key, type, name):
    bare.set(device__key_uri=make_key("device-key", type=type), device__id="Gerät-1", certificate__organization="Acme & Söhne")
    bare.cert("create")
    assert bare.show()["key"] == name and bare.show()["key_in_hsm"] is True
    assert bare.show()["subject"] == "CN=Gerät-1, O=Acme & Söhne"
    bare.openssl("verify", "-x509_strict", "-CAfile", bare.cert_path, bare.cert_path)
    subject = bare.openssl("asn1parse", "-in", bare.cert_path)
    assert "UTF8STRING" in subject and "PRINTABLESTRING" not in subject
    bare.cert("create-csr")
    verified = bare.run(["openssl", "req", "-in", bare.csr_path, "-noout", "-verify"])
    assert "verify OK" in verified.stdout + verified.stderr


def test_a_request_is_signed_and_its_certificate_taken(device):
    made = device.cert("create-csr", "--device-id", DEVICE, "--san", "DNS:dev-1.local", "--usage", "both")
    assert f"was written to {device.csr_path}" in made.stdout
    text = device.openssl("req", "-in", device.csr_path, "-noout", "-text", "-nameopt", "oneline")
    for wanted in ("CN = dev-1", "DNS:dev-1.local", "TLS Web Client Authentication, TLS Web Server Authentication", "Digital Signature"):
        assert wanted in text, text
    chain = device.dir / "issued.pem"
    chain.write_bytes(device.pki.sign(device.csr_path, "issued").read_bytes() + device.pki.ca.read_bytes())
    device.cert("import", chain)
    shown = device.show()
    assert shown["issuer"] == "CN=Test CA" and shown["key_in_hsm"] is True and shown["chain_holds"] is True
    assert [one["subject"] for one in shown["chain"]] == ["CN=Test CA"]
    assert "Chain:               CN=Test CA, up to " in device.cert("show").stdout
    device.openssl("verify", "-CAfile", device.pki.ca, device.cert_path)


@one_module
def test_requests_to_standard_output_and_in_der(device):
    device.set(device__id=DEVICE)
    pem = device.cert("create-csr", "--out", "-").stdout
    assert pem.startswith("-----BEGIN CERTIFICATE REQUEST-----\n") and pem.endswith("-----END CERTIFICATE REQUEST-----\n")
    der = device.dir / "r.der"
    device.cert("create-csr", "--out", der, "--der")
    assert "CN = dev-1" in device.openssl("req", "-inform", "DER", "-in", der, "-noout", "-subject", "-nameopt", "oneline")
    assert not device.csr_path.exists()


@one_module
def test_a_certificate_from_standard_input_and_in_der(device):
    der = device.dir / "c.der"
    device.openssl("x509", "-in", device.pki.sign(device.request(), "issued"), "-outform", "DER", "-out", der)
    device.cert("import", "-", input=der.read_bytes())
    assert device.show()["issuer"] == "CN=Test CA"
    assert device.cert_path.read_text().startswith("-----BEGIN CERTIFICATE-----")


@one_module
def test_a_server_usage_is_no_ca(device):
    device.set(device__id=DEVICE)
    device.cert("create", "--usage", "server", "--san", "DNS:localhost")
    text = text_of(device, device.cert_path)
    assert "CA:FALSE" in text and "TLS Web Server Authentication" in text


# When it is due

def at(device, start, end):
    return device.pki.sign_between(device.request(), "dated", start, end)


@one_module
@pytest.mark.parametrize("start, end, status, due", [
    ("20200101000000Z", "20210101000000Z", "EXPIRED (expired since: ", True),
    ("20200101000000Z", "20990101000000Z", "VALID (expires in: ", False),
    ("19600101000000Z", "20400101000000Z", "EXPIRES SOON (expires in: ", True),
    ("20900101000000Z", "20990101000000Z", "NOT YET VALID (begins in: ", False),
])
def test_status_and_renewal(device, start, end, status, due):
    cert = at(device, start, end)
    assert f"Status:              {status}" in device.cert("show", cert).stdout
    answer = device.cert("needs-renewal", cert, code=0 if due else 1)
    assert status in answer.stdout and ("it needs renewal" in answer.stdout) is due
    assert json.loads(device.cert("needs-renewal", cert, "--json", code=0 if due else 1).stdout)["needs_renewal"] is due


@one_module
def test_the_minimum_that_is_configured(device):
    device.set(device__id=DEVICE)
    device.cert("create", "--days", "20")
    device.cert("needs-renewal", code=1)
    device.set(certificate__validity__minimum_duration="21d")  # longer than it lives: a third counts
    device.cert("needs-renewal", code=1)
    device.set(certificate__validity__minimum_duration="475h")
    assert "needs no renewal" in device.cert("needs-renewal", code=1).stdout
    device.set(certificate__validity__minimum_duration="480h")
    device.cert("needs-renewal", code=0)


@one_module
def test_renewal_of_what_cannot_be_read_is_an_error(device):
    device.fails(2, "not found", "cert create", args=["needs-renewal"])
    (device.dir / "c.pem").write_text("rubbish")
    device.fails(2, "c.pem holds no certificate", args=["needs-renewal", device.dir / "c.pem"])
    device.fails(2, "no option --soon", args=["needs-renewal", "--soon"])


# What is refused

@one_module
def test_no_key_and_keys_that_are_not_there(bare, make_key):
    bare.fails(1, "device.key_uri is not set", "hsm create-key", args=["create", "--device-id", DEVICE])
    bare.fails(1, "device.key_uri is not set", args=["create-csr", "--device-id", DEVICE])
    bare.fails(3, "nothing matches the URI", "object=none", args=["create", "--device-id", DEVICE, "--key", bare.token.key_uri("none")])
    bare.fails(1, "not a valid PKCS #11 URI", args=["create", "--device-id", DEVICE, "--key", "/etc/ssl/private/key.pem"])
    make_key("twin", id="01")
    make_key("twin", id="02")
    # All candidates are named, and none is taken.
    bare.fails(3, "several objects match", "id=%01", "id=%02", args=["create", "--device-id", DEVICE, "--key", bare.token.key_uri("twin")])
    assert not bare.cert_path.exists()


@one_module
def test_no_id_or_another_one(device):
    device.fails(1, "device.id is not set", "--device-id", args=["create"])
    device.fails(2, "--device-id must be", args=["create", "--device-id", "a/b"])
    device.set(device__id=DEVICE)
    device.fails(2, "but device.id is 'dev-1'", args=["create", "--device-id", "dev-2"])
    assert not device.cert_path.exists()


@one_module
@pytest.mark.parametrize("args, text", [
    (["--san", "dev.local"], "'dev.local'"), (["--san", "DNS:Gerät"], "xn--"), (["--usage", "ca"], "--usage ca"),
    (["--days", "0"], "--days"), (["--days", "1x"], "--days"), (["--san", ","], "''"),
])
def test_options_that_cannot_be(device, args, text):
    device.fails(2, text, args=["create", "--device-id", DEVICE, *args])
    assert not device.cert_path.exists()


@one_module
def test_a_certificate_is_not_replaced_unasked(device):
    device.cert("create", "--device-id", DEVICE)
    before = device.cert_path.read_bytes()
    device.fails(1, "there is one already", "--force", args=["create"])
    assert device.cert_path.read_bytes() == before
    device.cert("create", "--force")
    assert device.cert_path.read_bytes() != before


@one_module
def test_what_is_not_taken(device, make_key):
    csr = device.request()
    good = device.pki.sign(csr, "good")
    device.cert("import", good)
    before = device.cert_path.read_bytes()
    other_key = device.pki.key_and_cert("dev-1")[1]
    device.cert("create-csr", "--out", device.dir / "2.csr", "--key", make_key("second", id="02"))
    (device.dir / "garbage.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    (device.dir / "empty.pem").write_text("")
    device.openssl("x509", "-in", good, "-outform", "DER", "-out", device.dir / "cut.der")
    os.truncate(device.dir / "cut.der", 200)
    (device.dir / "mixed.pem").write_bytes(good.read_bytes() + other_key.read_bytes())
    cases = [
        (device.pki.sign(device.dir / "2.csr", "second"), 4, "is for another key"),
        (other_key, 4, "is for another key"),
        (device.pki.sign_between(csr, "old", "20200101000000Z", "20210101000000Z"), 4, "expired on 2021-01-01"),
        (device.pki.sign_between(csr, "early", "20900101000000Z", "20910101000000Z"), 4, "is valid from 2090-01-01"),
        (device.dir / "mixed.pem", 4, "'dev-1' was not issued by 'dev-1', which follows it"),
        (device.dir / "garbage.pem", 4, "certificate 1 is damaged"),
        (device.dir / "empty.pem", 4, "holds nothing"),
        (device.dir / "cut.der", 4, "cut short"),
        (device.dir / "missing.pem", 1, "not found"),
        (device.token.uri + ";type=cert", 3, "nothing matches the URI"),
    ]
    for path, code, text in cases:
        device.fails(code, text, args=["import", path])
    device.run([device.holdfast, "config", "set", "device.id", "dev-9"])
    device.fails(4, "is for 'dev-1', but device.id is 'dev-9'", args=["import", good])
    assert device.cert_path.read_bytes() == before


@one_module
def test_a_full_disk_leaves_the_old_one(device):
    device.cert("create", "--device-id", DEVICE)
    before = device.cert_path.read_bytes()
    # As a full disk does, a limit of 512 bytes a file refuses what is written.
    result = device.run(f"trap '' XFSZ; ulimit -f 1; {device.holdfast} cert create --force", code=1)
    assert "no space left" in result.stderr and "nothing was changed" in result.stderr
    assert device.cert_path.read_bytes() == before
    assert [path.name for path in device.cert_path.parent.iterdir() if path.suffix != ".lock"] == ["device.pem"]


@one_module
@pytest.mark.skipif(os.geteuid() != 0, reason="it takes root to become somebody who may not")
def test_no_permission(device):
    device.cert("create", "--device-id", DEVICE)
    device.cert_path.chmod(0o600)
    for path in (device.dir, device.config, device.holdfast):
        os.chmod(path, 0o755)
    as_nobody = f"setpriv --reuid 65534 --clear-groups {device.holdfast} cert show"
    result = device.run(as_nobody, code=1)
    assert f"permission denied: {device.cert_path}" in result.stderr


# In the token

@one_module
def test_a_certificate_in_the_token(device, openssl_conf):
    made = device.cert("create", "--device-id", DEVICE, "--to-token")
    uri = device.token.uri + ";object=device-key;type=cert"
    assert "object=device-key;type=cert" in made.stderr
    assert device.show(uri)["serial"] == device.show()["serial"]
    conf = openssl_conf(module_path=device.token.module)
    assert "CN = dev-1" in device.run(["openssl", "x509", "-in", uri, "-noout", "-subject", "-nameopt", "oneline"], extra_env=conf).stdout
    # The next one takes its place: there is never a choice.
    device.cert("create", "--force", "--to-token")
    assert device.show(uri)["serial"] == device.show()["serial"]
    device.set(device__cert_path=uri)
    assert device.show()["certificate"] == uri and device.show()["key_in_hsm"] is True
    device.fails(1, "there is one already", args=["create"])
    device.cert("create", "--force")
    device.cert("needs-renewal", code=1)
    device.cert("remove", "--yes")
    device.fails(3, "nothing matches the URI", "--to-token", args=["show"])
    assert "type=private" in device.run([device.holdfast, "key", "list", device.token.uri]).stdout


def test_an_issued_certificate_goes_beside_its_key(device):
    device.cert("import", device.pki.sign(device.request(), "issued"), "--to-token")
    shown = device.run(["pkcs11-tool", "--module", device.token.module, "--list-objects", "--type", "cert"]).stdout
    assert re.search(r"label: +device-key", shown) and re.search(r"ID: +01", shown) and "CN=dev-1" in shown.replace(" = ", "=")
    other = device.token.uri + ";object=other;type=cert"
    device.set(device__cert_path=other)
    failed = device.cert("import", device.pki.dir / "issued.pem", code=1)
    assert "device.cert_path does not lead to the certificate" in failed.stderr and "object=device-key" in failed.stderr


def test_two_in_the_token_are_told_and_mended(device):
    """What a power cut between the two steps of a replacement leaves."""
    issued = device.pki.sign(device.request(), "issued")
    device.cert("import", issued, "--to-token")
    der = device.dir / "second.der"
    device.openssl("x509", "-in", device.pki.sign(device.csr_path, "second"), "-outform", "DER", "-out", der)
    device.run(["pkcs11-tool", "--module", device.token.module, "--token-label", device.token.label, "--login", "--pin", device.token.pin,
                "--write-object", der, "--type", "cert", "--label", "device-key", "--id", "01"])
    uri = device.token.uri + ";object=device-key;type=cert"
    device.fails(3, "several objects match", args=["show", uri])
    device.cert("import", issued, "--to-token")
    assert device.show(uri)["serial"] == device.show()["serial"]


# Removed

def test_a_certificate_is_removed_and_its_key_stays(device):
    device.cert("create", "--device-id", DEVICE)
    assert "cannot be undone" in device.cert("remove", code=2).stderr and device.cert_path.exists()
    assert f"Removed {device.cert_path}" in device.cert("remove", "--yes").stdout
    assert not device.cert_path.exists()
    assert "There is no certificate to remove" in device.cert("remove").stdout
    device.cert("create")
    assert device.show()["key_in_hsm"] is True


# Without the HSM

@one_module
def test_show_without_the_hsm_tells_why(device):
    device.cert("create", "--device-id", DEVICE)
    device.token.pin_file.write_text("000000\n")
    shown = device.show()
    assert shown["key_in_hsm"] is None and "PIN" in shown["key_problem"]
    assert re.search("whether it is in the HSM is not known: .*PIN", device.cert("show").stdout)
    device.set(device__cryptoki__module_path="/nowhere.so")
    assert "nowhere.so" in device.show()["key_problem"]


@one_module
def test_no_key_ever_lies_in_a_file(device):
    device.cert("create", "--device-id", DEVICE, "--to-token")
    device.cert("create-csr")
    for path in device.dir.rglob("*"):
        if path.is_file() and device.pki.dir not in path.parents:
            assert b"PRIVATE KEY" not in path.read_bytes(), path


# Uploaded

@pytest.fixture
def fake(device, pki):
    """Cumulocity's REST, faked, and configured."""
    key, cert = pki.key_and_cert("c8y", san="DNS:localhost,IP:127.0.0.1")
    fake = Fake(cert, key)
    device.set(c8y__http=f"127.0.0.1:{fake.port}", c8y__root_cert_path=pki.ca)
    device.cert("create", "--device-id", DEVICE)
    yield fake
    fake.stop()


def credentials(fake, **more):
    return {"extra_env": {"C8Y_USER": fake.user, "C8Y_PASSWORD": fake.password, **more}}


@one_module
def test_a_certificate_is_uploaded_once(device, fake):
    done = device.cert("upload", "c8y", **credentials(fake))
    assert f"127.0.0.1:{fake.port}: the device's certificate 'dev-1' is now a trusted certificate of the tenant t12345." in done.stdout
    assert fake.trusted == [{"autoRegistrationEnabled": True, "certInPemFormat": device.cert_path.read_text(), "name": DEVICE,
                             "status": "ENABLED"}]
    again = device.cert("upload", "c8y", "--json", **credentials(fake))
    assert json.loads(again.stdout)["was_there"] is True and len(fake.trusted) == 1
    assert fake.password not in done.stdout + done.stderr + again.stderr


@one_module
def test_the_cas_certificate_instead(device, fake, pki):
    device.cert("upload", "c8y", "--cert", pki.ca, **credentials(fake))
    assert fake.trusted[0]["name"] == "Test CA" and fake.trusted[0]["certInPemFormat"] == pki.ca.read_text()


@one_module
def test_the_password_comes_from_a_file_from_input_or_from_a_person(device, fake, env):
    source = device.dir / "c8y.password"
    source.write_text(fake.password + "\n")
    device.cert("upload", "c8y", "--user", fake.user, "--password-source", source)
    device.cert("upload", "c8y", "--user", fake.user, input=fake.password + "\n")
    assert [user for _, _, user, _ in fake.requests] == [fake.user] * 4
    device.fails(2, "--user is missing", args=["upload", "c8y"])
    status, shown = converse([device.holdfast, "cert", "upload", "c8y"], [("user: ", fake.user), (f"Password of {fake.user}: ", fake.password)],
                             env=env, cwd=device.dir)
    assert status == 0 and "was already" in shown and fake.password not in shown


def upload_fails(device, fake, code, *texts, **options):
    result = device.cert("upload", "c8y", code=code, **{**credentials(fake), **options})
    assert result.stdout == "" and fake.password not in result.stderr
    for text in texts:
        assert text in result.stderr, f'"{text}" is missing:\n{result}'


@one_module
def test_a_tenant_that_refuses(device, fake):
    upload_fails(device, fake, 5, "answered 401 Unauthorized", "Invalid credentials!", "TENANT/USER",
                 **credentials(fake, C8Y_PASSWORD="wrong"))
    post = f"/tenant/tenants/{fake.tenant}/trusted-certificates"
    for status, text in ((403, "permission"), (422, "--cert"), (500, "500 Internal Server Error"), (302, "answered 302")):
        fake.answers = {post: (status, {"message": "no"})}
        upload_fails(device, fake, 5, text)
    for body in (b"<html>not JSON</html>", b"{}", b'{"name": "../x"}', b'{"name": 7}'):
        fake.answers = {"/tenant/currentTenant": (200, body)}
        upload_fails(device, fake, 5, "names no tenant", "c8y.http")
    assert fake.trusted == []


@one_module
def test_a_tenant_that_is_not_trusted_or_not_there(device, fake, workdir):
    assert not fake.requests
    device.run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout o.key -out o.pem -subj /CN=Other",
               extra_env={"OPENSSL_CONF": "/etc/ssl/openssl.cnf"})
    device.set(c8y__root_cert_path=workdir / "o.pem")
    upload_fails(device, fake, 5, "issuer is not trusted (the certificate of 'c8y')", "c8y.root_cert_path")
    device.set(c8y__http="127.0.0.1:1")
    upload_fails(device, fake, 5, "127.0.0.1:1: Connection refused", "c8y.http")
    device.run([device.holdfast, "config", "unset", "c8y.http"])
    upload_fails(device, fake, 1, "c8y.url is not set")
    device.set(c8y__url="no-such-tenant.invalid:8883")
    upload_fails(device, fake, 5, "no-such-tenant.invalid:443: its name is not known", "c8y.url")
    # The password has gone to nobody.
    assert not fake.requests


@one_module
def test_through_a_proxy(device, fake):
    proxy = Proxy("proxy:secret")
    device.set(proxy__address=f"http://127.0.0.1:{proxy.port}")
    upload_fails(device, fake, 5, f"the proxy http://127.0.0.1:{proxy.port} answered 407", "proxy.username")
    device.set(proxy__username="proxy")
    device.run([device.holdfast, "config", "set", "proxy.password", "secret"])
    device.cert("upload", "c8y", **credentials(fake))
    assert len(fake.trusted) == 1
    assert all(head.startswith(f"CONNECT 127.0.0.1:{fake.port} HTTP/1.1\r\n") for head in proxy.heads)
    assert not any(fake.password in head for head in proxy.heads)
    proxy.close()


# On the whole

@one_module
def test_every_command_has_help_with_an_example(device):
    for name in ("create", "create-csr", "show", "needs-renewal", "import", "upload", "remove"):
        shown = device.cert(name, "--help").stdout
        assert f"Usage: holdfast cert {name}" in shown and f"Example:\n  holdfast cert {name}" in shown, shown


@one_module
def test_a_broker_takes_the_self_signed_certificate(device, server, free_port, pki, workdir):
    """What the device vouches for itself is enough for a server that trusts it, from a file and from the token."""
    needs("/etc/hosts")
    device.cert("create", "--device-id", DEVICE, "--to-token")
    key, cert = pki.key_and_cert("broker")
    port = free_port()
    conf = workdir / "mosquitto.conf"
    conf.write_text("\n".join([f"listener {port} 127.0.0.1", f"cafile {device.cert_path}", f"certfile {cert}", f"keyfile {key}",
                               "require_certificate true", "use_identity_as_username true", "user root", ""]))
    server(["mosquitto", "-c", conf], line=" running")
    device.set(mqtt__url=f"localhost:{port}", mqtt__root_cert_path=pki.ca, mqtt__bind__port=free_port(), data__path=workdir / "data",
               run__path=workdir / "run")
    for where in (device.cert_path, device.token.uri + ";object=device-key;type=cert"):
        device.set(device__cert_path=where)
        result = device.run([device.holdfast, "connect", "mqtt"], code=None)
        device.run([device.holdfast, "disconnect", "mqtt"])
        assert result.code == 0 and "connected to cloud... ✓" in result.stdout, result


@one_module
def test_through_the_key_agent(device, server, build, workdir):
    """The agent has the PIN: the device's programs have none, and a certificate in the token is the policy's to allow."""
    directory = workdir / "agent"
    directory.mkdir()
    policy = directory / "policy"
    policy.write_text(f"allow sign,list user={os.getuid()}\ndeny all\n")
    agent = Agent(server, build, directory, device.token.module, pin_source=device.token.pin_file)
    device.run([device.holdfast, "config", "unset", "device.cryptoki.pin_source"])
    device.set(device__cryptoki__mode="socket", device__cryptoki__pkcs11_socket_path=agent.pkcs11)
    device.cert("create", "--device-id", DEVICE)
    assert device.show()["key_in_hsm"] is True
    device.openssl("verify", "-CAfile", device.cert_path, device.cert_path)
    for allowed, code, text in (("sign,list", 4, "policy forbids"), ("sign,list,create", 0, "object=device-key;type=cert"),
                                ("sign,list,create", 4, "Both are in the token now"), ("all", 0, "object=device-key;type=cert")):
        policy.write_text(f"allow {allowed} user={os.getuid()}\ndeny all\n")
        device.run([device.holdfast, "agent", "reload", "--metrics-socket", agent.metrics_socket])
        assert text in device.cert("create", "--force", "--to-token", code=code).stderr
    assert device.show(device.token.uri + ";object=device-key;type=cert")["serial"] == device.show()["serial"]
