# SPDX-License-Identifier: Apache-2.0
"""holdfast cert enroll: EST with a key in a token, and each way that a CA can answer."""

import base64
import json
import os
import socket

import pytest

import conftest
import est_kit
import terminal
from est_kit import answer

PASSWORD = "a-one-time-password"

# How a CA answers does not depend on the module.
one_module = pytest.mark.modules("ours")


@pytest.fixture
def make_est(pki):
    started = []

    def make(**options):
        started.append(est_kit.Est(pki, **options))
        return started[-1]

    yield make
    for est in started:
        est.close()


@pytest.fixture
def est(make_est):
    return make_est()


@pytest.fixture
def bare(run, holdfast, workdir, token):
    """A device without a key."""
    try:
        socket.getaddrinfo("localhost", 1)
    except OSError:
        pytest.skip("the name localhost is not known here: there is no /etc/hosts")
    return est_kit.Device(run, holdfast, workdir, token, None)


@pytest.fixture
def device(bare, est, pki, make_key):
    bare.set(device__key_uri=make_key("device-key"), est__url=est.url, est__root_cert_path=pki.ca)
    return bare


def enroll(device, *args, code=0, password=PASSWORD, **options):
    env = {"DEVICE_ONE_TIME_PASSWORD": password} if password else None
    return device.cmd("cert", "enroll", *args, code=code, extra_env=env, **options)


def fails(device, code, *texts, args=("--device-id", "dev-1")):
    result = device.fails(code, *texts, args=("cert", "enroll", *args), extra_env={"DEVICE_ONE_TIME_PASSWORD": PASSWORD})
    assert PASSWORD not in result.stdout + result.stderr
    assert not device.cert.exists() and not os.path.exists(f"{device.cert}.new"), "something was written"
    return result


def test_a_certificate_for_the_key_in_the_hsm(device, est, pki, openssl_conf):
    result = enroll(device, "--device-id", "dev-1")
    assert str(device.cert) in result.stdout and PASSWORD not in result.stdout + result.stderr
    assert device.subject() == "subject=CN = dev-1"
    assert device.signs(openssl_conf(module_path=device.token.module, pin_source=device.token.pin_file))
    assert device.get("device.id") == "dev-1"
    assert est.operations() == ["cacerts", "csrattrs", "simpleenroll"]
    request = est.requests[-1]
    assert request.user == ("dev-1", PASSWORD)
    assert request.headers["Content-Type"] == "application/pkcs10"
    assert b"BEGIN" not in request.body
    pki.openssl("verify", "-CAfile", pki.ca, device.cert)
    # Nothing but the certificate is left; the root is not in its chain.
    assert device.cert.read_text().count("BEGIN CERTIFICATE") == 1
    assert {path.name for path in device.workdir.glob("device.pem*")} == {"device.pem", "device.pem.lock"}


@one_module
def test_json_and_the_other_ways_to_give_a_password(device, est, workdir):
    secret = workdir / "password"
    secret.write_text(PASSWORD + "\n")
    result = enroll(device, "--device-id", "dev-1", "--one-time-password-source", secret, "--user", "someone", "--json", password=None)
    assert json.loads(result.stdout) == {"device_id": "dev-1", "certificate": str(device.cert)}
    assert est.requests[-1].user == ("someone", PASSWORD)
    enroll(device, "--one-time-password", PASSWORD, password=None)
    assert est.requests[-1].user == ("dev-1", PASSWORD)
    device.fails(4, "PIN is needed: the one-time password", "--one-time-password-source", args=("cert", "enroll"))


@one_module
def test_the_password_is_asked_for(device, est, env, workdir):
    code, shown = terminal.converse([device.holdfast, "cert", "enroll", "--device-id", "dev-1"],
                                    [("one-time password: ", PASSWORD)], env=env, cwd=workdir)
    assert code == 0 and PASSWORD not in shown
    assert est.requests[-1].user == ("dev-1", PASSWORD)


@one_module
def test_no_key_and_never_one_in_software(bare, est, pki):
    bare.set(est__url=est.url, est__root_cert_path=pki.ca)
    fails(bare, 1, "device.key_uri is not set", "holdfast hsm create-key")
    assert not est.requests
    assert not list(bare.workdir.glob("*.key"))


@one_module
def test_no_ca_and_no_id(bare, make_key):
    bare.set(device__key_uri=make_key("device-key"))
    fails(bare, 1, "neither est.url nor c8y.url", "est.url")
    fails(bare, 2, "'aws' issues no certificates", args=("aws", "--device-id", "dev-1"))
    bare.set(est__url="http://localhost:1")
    fails(bare, 1, "est.url is http://localhost:1", "https://")
    fails(bare, 2, "id is not known", "--device-id", args=())
    bare.set(device__id="dev-2")
    fails(bare, 2, "'dev-1', but device.id is 'dev-2'")


@one_module
def test_a_label_in_the_url(device, est):
    device.set(est__url=f"{est.url}/.well-known/est/line-7/")
    enroll(device, "--device-id", "dev-1")
    assert est.requests[-1].path == "/.well-known/est/line-7/simpleenroll"


@one_module
def test_a_request_from_elsewhere(device, est, workdir, run, openssl_conf, make_key, pki):
    conf = openssl_conf(module_path=device.token.module, pin_source=device.token.pin_file)
    csr = workdir / "own.csr"
    run(["openssl", "req", "-new", "-key", device.token.key_uri("device-key"), "-subj", "/CN=dev-1/O=Elsewhere", "-out", csr], extra_env=conf)
    make_key("other-key", id="02")
    other = workdir / "other.csr"
    run(["openssl", "req", "-new", "-key", device.token.key_uri("other-key"), "-subj", "/CN=dev-1", "-out", other], extra_env=conf)
    fails(device, 4, "request by another key", "create-csr", args=("--device-id", "dev-1", "--csr-path", other))
    fails(device, 4, "is for 'dev-1', but the device is 'dev-2'", args=("--device-id", "dev-2", "--csr-path", csr))
    enroll(device, "--device-id", "dev-1", "--csr-path", csr)
    assert "Elsewhere" in device.subject()


# What a CA may answer. Answers of the first requests are cacerts', csrattrs' and simpleenroll's.

def enrolling(est, then, times=1):
    est.answers += [lambda request: None, lambda request: None] + [then] * times


@one_module
@pytest.mark.parametrize("status, words, code, texts", [
    (400, "no CN in it", 4, ["answered 400 Bad Request: no CN in it", "CA's log"]),
    (401, "who are you?", 5, ["answered 401 Unauthorized: who are you", "one-time password"]),
    (403, "not you", 5, ["answered 403 Forbidden: not you", "rules"]),
    (404, "no such label", 5, ["answered 404 Not Found", "est.url", "label"]),
    (500, "\x1b[31mbroken\r\nhere", 5, [r"500 Internal Server Error: (\S*)broken here"]),
    (503, "long", 5, ["answered 503 Service Unavailable: (long ){10}"]),
    (302, "", 5, ["answered 302"]),
])
def test_a_ca_that_refuses(device, est, status, words, code, texts):
    text = "long " * 600 if words == "long" else words
    enrolling(est, answer(status, text.encode(), Content_Type="text/plain"))
    result = fails(device, code, *texts)
    assert "\x1b" not in result.stderr and len(result.stderr) < 1500


@one_module
@pytest.mark.parametrize("status, body, kind, texts", [
    (200, b"<html>Log in to the network</html>", "text/html", ["answer of https://localhost", "text/html", "not base64", "EST server"]),
    (200, b"", "application/pkcs7-mime", ["not base64"]),
    (200, base64.b64encode(b"garbage"), "application/pkcs7-mime", ["not a PKCS #7"]),
    (200, b"A" * (300 * 1024), "application/pkcs7-mime", ["too large"]),
], ids=["html", "empty", "garbage", "large"])
def test_a_ca_that_answers_garbage(device, est, status, body, kind, texts):
    enrolling(est, answer(status, body, Content_Type=kind))
    fails(device, 1, *texts)


def issuing(est, **options):
    return lambda request: (200, {"Content-Type": est_kit.CERTIFICATES}, est.certs(est.issue(request.body, **options)))


@one_module
def test_a_certificate_for_another_key_is_refused(device, est, pki):
    _, foreign = pki.key_and_cert("dev-1")
    enrolling(est, answer(200, est.certs(foreign)))
    fails(device, 4, "a certificate for another key", "Nothing was changed")


@one_module
@pytest.mark.parametrize("options, texts", [
    ({"subject": "/CN=dev-2"}, ["the new certificate is for 'dev-2', but device.id is 'dev-1'"]),
    ({"start": -7200, "end": -3600}, ["the new certificate expired on 20", "clock"]),
    ({"start": 3600, "end": 7200}, ["the new certificate is valid from 20", "clock"]),
    ({"usage": "serverAuth"}, ["not one of the CA's own: unsuitable certificate purpose"]),
])
def test_a_certificate_that_is_not_ours_to_use_is_refused(device, est, options, texts):
    enrolling(est, issuing(est, **options))
    fails(device, 4, *texts)


@one_module
def test_a_certificate_of_another_ca_is_refused(device, est, run, workdir):
    other = conftest.Pki(run, workdir / "other-pki")
    enrolling(est, issuing(est, ca=(other.ca, other.ca_key)))
    fails(device, 4, "not one of the CA's own: unable to get local issuer certificate", "cacerts")


@one_module
def test_without_cacerts_what_comes_along_must_fit_together(device, est):
    est.answers += [answer(404)]
    result = enroll(device, "--device-id", "dev-1")
    assert "gives out no CA certificates" in result.stderr
    device.cert.unlink()
    est.answers += [answer(200, b"hello", Content_Type="text/plain")]
    fails(device, 1, "/cacerts", "not base64")


@one_module
def test_intermediate_cas_go_into_the_chain(device, est, pki, run):
    """Root - intermediate - device: the chain is the device's and the intermediate's, in this order."""
    intermediate, key = pki.dir / "sub.pem", pki.dir / "sub.key"
    pki.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", pki.dir / "sub.csr",
                "-subj", "/CN=Test Sub CA")
    (pki.dir / "sub.ext").write_text("basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign\n")
    pki.openssl("x509", "-req", "-in", pki.dir / "sub.csr", "-CA", pki.ca, "-CAkey", pki.ca_key, "-CAcreateserial", "-days", "10",
                "-extfile", pki.dir / "sub.ext", "-out", intermediate)
    for first, last in [(answer(200, lambda _: est.certs(pki.ca)), lambda leaf: est.certs(intermediate, leaf)),
                        (answer(200, lambda _: est.certs(pki.ca, intermediate)), lambda leaf: est.certs(leaf)),
                        (answer(404), lambda leaf: est.certs(pki.ca, leaf, intermediate))]:
        est.answers += [first, lambda _: None,
                        lambda request, last=last: (200, {}, last(est.issue(request.body, ca=(intermediate, key))))]
        enroll(device, "--device-id", "dev-1")
        assert device.cert.read_text().count("BEGIN CERTIFICATE") == 2
        assert device.subject() == "subject=CN = dev-1"
        pki.openssl("verify", "-CAfile", pki.ca, "-untrusted", device.cert, device.cert)


@one_module
def test_what_a_ca_wants_in_a_request_is_told(device, est):
    # id-ecPublicKey with secp384r1, and challengePassword.
    wanted = base64.b64encode(bytes.fromhex("301f" "06092a864886f70d010907" "301206072a8648ce3d020131070605" "2b81040022"))
    est.answers += [lambda _: None, answer(200, wanted, Content_Type="application/csrattrs")]
    result = enroll(device, "--device-id", "dev-1")
    assert "note: the CA asks for what the request does not have: an EC key on secp384r1, a challengePassword" in result.stderr


@one_module
def test_a_ca_that_takes_its_time(device, est):
    """202 with Retry-After: the same request again, as long as --timeout allows."""
    enrolling(est, answer(202, b"", Retry_After="1"), times=2)
    enroll(device, "--device-id", "dev-1")
    assert est.operations()[2:] == ["simpleenroll"] * 3
    assert len({request.body for request in est.requests[2:]}) == 1
    device.cert.unlink()
    enrolling(est, answer(202, b"", Retry_After="1"), times=50)
    fails(device, 5, "has not decided, and asks to come back in 1 s", "longer --timeout", args=("--timeout", "3s"))
    est.answers.clear()
    enrolling(est, answer(202, b"", Retry_After="Fri, 31 Dec 2100 23:59:59 GMT"))
    fails(device, 5, "has not decided", args=("--timeout", "3s"))


@one_module
def test_waiting_is_shown_on_a_terminal(device, est, env, workdir):
    enrolling(est, answer(202, b"", Retry_After="2"))
    code, shown = terminal.converse([device.holdfast, "cert", "enroll", "--device-id", "dev-1"], [], cwd=workdir,
                                    env={**env, "DEVICE_ONE_TIME_PASSWORD": PASSWORD})
    assert code == 0
    assert "\rthe CA has not decided yet: 2 s" in shown and "\rthe CA has not decided yet: 1 s" in shown


@one_module
def test_a_device_that_is_not_registered_yet(device, est):
    enrolling(est, answer(401, b"unknown device", Content_Type="text/plain"))
    enrolling(est, answer(503))
    result = enroll(device, "--device-id", "dev-1", "--retry-every", "1s", "--max-timeout", "20s")
    assert result.stderr.count("note: ") == 2 and "401 Unauthorized: unknown device" in result.stderr
    device.cert.unlink()
    # What waiting does not change is told at once.
    enrolling(est, answer(400, b"bad"))
    fails(device, 4, "400 Bad Request", args=("--retry-every", "1s", "--max-timeout", "20s"))
    # And the last refusal after the longest wait.
    for _ in range(5):
        enrolling(est, answer(401))
    fails(device, 5, "401 Unauthorized", args=("--retry-every", "1s", "--max-timeout", "2s"))


@one_module
def test_a_server_that_is_not_trusted_or_not_there(device, est, run, workdir, free_port):
    other = conftest.Pki(run, workdir / "other-pki")
    device.set(est__root_cert_path=other.ca)
    fails(device, 5, "not trusted", "est.root_cert_path")
    assert not est.requests
    device.set(est__url=f"https://localhost:{free_port()}")
    fails(device, 5, "Connection refused", "est.url")


@one_module
def test_cumulocity(device, make_est):
    """Its own host and names; one waits while the device is not registered; no cacerts."""
    host = f"127.{os.getpid() % 200 + 20}.{os.getpid() // 200 % 200 + 20}.2"
    est = make_est(host=host)
    device.set(c8y__url="nowhere.example", c8y__http=f"{host}:{est.port}", c8y__root_cert_path=est.pki.ca)
    est.answers += [answer(401, b'{"error":"security/Unauthorized","message":"Invalid credentials!"}', Content_Type="application/json")]
    result = device.cmd("cert", "download", "c8y", "--device-id", "dev-1", "--retry-every", "1s",
                        extra_env={"DEVICE_ONE_TIME_PASSWORD": PASSWORD})
    assert "Invalid credentials" in result.stderr
    assert est.operations() == ["simpleenroll", "simpleenroll"]
    assert device.subject() == "subject=CN = dev-1"


@one_module
def test_a_full_disk_leaves_what_was_there(device, est, pki):
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    mount = device.workdir / "small"
    mount.mkdir()
    if device.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", mount], code=None).code != 0:
        pytest.skip("nothing can be mounted here")
    try:
        device.set(device__cert_path=mount / "device.pem")
        (mount / "device.pem").write_text("what was there")
        (mount / "ballast").write_bytes(b"x" * 4096)
        (mount / "more").write_bytes(b"x" * 4096)
        result = device.fails(1, "no space left", "Free some space", args=("cert", "enroll", "--device-id", "dev-1"),
                              extra_env={"DEVICE_ONE_TIME_PASSWORD": PASSWORD})
        assert "internal" not in result.stderr
        assert (mount / "device.pem").read_text() == "what was there"
    finally:
        device.run(["umount", mount], code=None)
