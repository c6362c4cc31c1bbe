# SPDX-License-Identifier: Apache-2.0
"""The certificate authority, spoken to by curl and openssl alone."""

import base64
import concurrent.futures
import json
import os
import re
import signal
import socket
import ssl
import time

import pytest

import conftest
from ca_kit import Authority, Device, certificates_of, openssl


@pytest.fixture
def make_ca(run, server, holdfast, build, workdir, token, free_port):
    """make_ca(KEY=VALUE...): an authority whose configuration has these keys, too; neither made nor started."""

    def make(**keys):
        return Authority(run, server, holdfast, build, workdir, token, free_port,
                         **{name.replace("__", "."): value for name, value in keys.items()})

    return make


@pytest.fixture
def ca(make_ca):
    """An authority that serves."""
    authority = make_ca()
    authority.init()
    return authority.start()


ours = pytest.mark.modules("ours")


def enrolled(ca, workdir, id, **options):
    device = Device(workdir, id, **options)
    device.take(ca.enroll(device, ca.password(id)))
    return device


# The whole way, on both tokens

def test_enrol_and_renew(ca, workdir):
    root = certificates_of(ca.get("/.well-known/est/cacerts"))
    assert root == openssl("pkcs7", "-print_certs", input=openssl("crl2pkcs7", "-nocrl", "-certfile", ca.pem).stdout).stdout.decode()
    text = openssl("x509", "-in", ca.pem, "-noout", "-text").stdout.decode()
    assert "CA:TRUE, pathlen:0" in text and "secp384r1" in text

    device = Device(workdir, "device-1")
    text = device.take(ca.enroll(device, ca.password("device-1")))
    assert "CN = device-1" in text or "CN=device-1" in text
    assert "TLS Web Client Authentication" in text and "TLS Web Server Authentication" not in text
    openssl("verify", "-x509_strict", "-CAfile", ca.pem, device.cert)

    first = device.serial
    device.take(ca.renew(device, device.request_again()))  # by the same key
    assert device.serial != first
    new_key = workdir / "new.key"
    answer = ca.renew(device, device.request(key=new_key))  # and by a new one
    device.key = new_key
    device.take(answer)
    openssl("verify", "-CAfile", ca.pem, device.cert)
    assert len(ca.certificates("device-1")) == 3
    assert ca.renew(device).status == 200  # which can be renewed in turn

    crl = workdir / "crl.pem"
    ca.cli("revoke", device.serial, "--reason", "key-compromise")
    ca.cli("crl", "--out", crl)
    refused = openssl("verify", "-crl_check", "-CAfile", ca.pem, "-CRLfile", crl, device.cert, code=2)
    assert b"revoked" in refused.stderr


@ours
def test_attributes(ca):
    answer = ca.get("/.well-known/est/csrattrs")
    assert answer.status == 200 and answer.headers["content-type"] == "application/csrattrs"
    assert b"ecdsa-with-SHA256" in openssl("asn1parse", "-inform", "DER", input=base64.b64decode(answer.body)).stdout


@ours
def test_a_label_makes_no_difference(ca, workdir):
    device = Device(workdir, "d")
    assert ca.get("/.well-known/est/plant-7/cacerts").status == 200
    device.take(ca.enroll(device, ca.password("d"), label="/plant-7"))


@ours
def test_paths_and_methods(ca):
    assert ca.get("/").status == 404
    assert ca.get("/.well-known/est/nothing").status == 404
    assert ca.get("/.well-known/est/simpleenroll").status == 405
    assert ca.get("/healthz").text == "ok\n"
    assert ca.get("/ca.pem").body == ca.pem.read_bytes()
    answer = ca.post(f"{ca.est}/serverkeygen", "x")
    assert answer.status == 501 and "token" in answer.text
    assert ca.curl(f"{ca.plain_url}/.well-known/est/cacerts").status == 403
    assert ca.curl("--request", "DELETE", f"{ca.url}/crl").status in (405, 501)
    assert ca.curl("--tls-max", "1.2", f"{ca.url}/healthz").status == 200
    assert ca.curl("--tlsv1.0", "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0", f"{ca.url}/healthz").status == 0


# One-time passwords

@ours
def test_without_a_password(ca, workdir):
    answer = ca.enroll(Device(workdir, "d"))
    assert answer.status == 401 and answer.headers["www-authenticate"].startswith("Basic realm=")


@ours
def test_a_wrong_password(ca, workdir):
    device, password = Device(workdir, "d"), ca.password("d")
    wrong, unknown = ca.enroll(device, "x" + password[1:]), ca.enroll(device, password, user="nobody")
    assert wrong.status == unknown.status == 401
    assert wrong.text == unknown.text  # which of the two is wrong is nobody's business
    assert not ca.certificates("d")
    device.take(ca.enroll(device, password))


@ours
def test_wrong_passwords_are_held_up(ca, workdir):
    device, password = Device(workdir, "d"), ca.password("d")
    statuses = [ca.enroll(device, "wrong").status for _ in range(12)]
    assert statuses[:10] == [401] * 10 and statuses[-1] == 429
    held_up = ca.enroll(device, password)
    assert held_up.status == 429 and 0 < int(held_up.headers["retry-after"]) <= 20


@ours
def test_a_used_password(ca, workdir):
    device, password = Device(workdir, "d"), ca.password("d")
    device.take(ca.enroll(device, password))
    first = device.serial
    # The answer may have been lost: the same request again is answered by the same certificate.
    device.take(ca.enroll(device, password))
    assert device.serial == first
    again = ca.enroll(device, password, body=device.request_again())
    assert again.status == 401 and "was used on" in again.text
    assert len(ca.certificates("d")) == 1


@ours
def test_a_password_that_expired(ca, workdir):
    device, password = Device(workdir, "d"), ca.password("d", "--expires", "1s")
    time.sleep(2.1)
    answer = ca.enroll(device, password)
    assert answer.status == 401 and "expired on" in answer.text


@ours
def test_a_password_for_several_times(ca, workdir):
    device, password = Device(workdir, "d"), ca.password("d", "--uses", "2")
    assert ca.enroll(device, password).status == 200
    assert ca.enroll(device, password, body=device.request_again()).status == 200
    assert ca.enroll(device, password, body=device.request_again()).status == 401


@ours
def test_a_password_is_nowhere(ca, workdir):
    """Neither in the registry, nor in a log."""
    device, password = Device(workdir, "d"), ca.password("d")
    ca.enroll(device, password[:-1])
    device.take(ca.enroll(device, password))
    assert password.encode() not in (ca.path / "data.mdb").read_bytes()
    assert password not in ca.log() and password[:-1] not in ca.log()


@ours
def test_a_password_to_a_file(ca, workdir):
    out = workdir / "password"
    assert ca.cli("token", "d", "--out", out).stdout == ""
    assert out.stat().st_mode & 0o777 == 0o600
    device = Device(workdir, "d")
    device.take(ca.enroll(device, out.read_text().strip()))


@ours
def test_many_passwords(ca, workdir):
    ids = workdir / "ids"
    ids.write_text("# devices\n" + "".join(f"d-{i}\n" for i in range(300)))
    result = ca.cli("token", "--batch", ids, "--out", workdir / "passwords")
    assert "300 devices" in result.stderr
    rows = dict(line.split("\t") for line in (workdir / "passwords").read_text().splitlines())
    assert len(rows) == 300
    device = Device(workdir, "d-299")
    device.take(ca.enroll(device, rows["d-299"]))
    ids.write_text("ok\nnot/ok\n")
    assert "line 2" in ca.cli("token", "--batch", ids, code=2).stderr


# What may be asked for

@ours
def test_another_s_name(ca, workdir):
    answer = ca.enroll(Device(workdir, "d", subject="/CN=victim"), ca.password("d"))
    assert answer.status == 403 and "'victim'" in answer.text
    assert ca.enroll(Device(workdir, "d", subject="/O=nameless"), ca.password("d")).status == 400
    assert ca.enroll(Device(workdir, "d", subject="/CN=d/CN=victim"), ca.password("d")).status == 400


@ours
def test_alternative_names(ca, workdir):
    own = enrolled(ca, workdir, "d.example", san="DNS:d.example")
    assert b"DNS:d.example" in openssl("x509", "-in", own.cert, "-noout", "-text").stdout
    greedy = Device(workdir, "g", san="DNS:broker.example")
    answer = ca.enroll(greedy, ca.password("g"))
    assert answer.status == 403 and "DNS:broker.example" in answer.text
    text = greedy.take(ca.enroll(greedy, ca.password("g", "--san", "IP:192.0.2.1,DNS:broker.example")))
    assert "TLS Web Server Authentication" in text
    # A renewal has the same names, or is none (RFC 7030, section 4.2.2).
    text = greedy.take(ca.renew(greedy, greedy.request_again()))
    assert "DNS:broker.example" in text and "TLS Web Server Authentication" in text
    greedy.san = None
    assert ca.renew(greedy, greedy.request_again()).status == 403
    greedy.san = "DNS:broker.example,DNS:more.example"
    assert ca.renew(greedy, greedy.request_again()).status == 403


@ours
@pytest.mark.parametrize("newkey, options, taken", [
    ("rsa:1024", (), False), ("rsa:2048", (), True), ("ec", ("ec_paramgen_curve:P-384",), True),
    ("ec", ("ec_paramgen_curve:secp256k1",), False), ("ec", ("ec_paramgen_curve:P-224",), False), ("ed25519", (), True)])
def test_keys(ca, workdir, newkey, options, taken):
    device, password = Device(workdir, "d", newkey=newkey, options=options), ca.password("d")
    answer = ca.enroll(device, password)
    assert answer.status == (200 if taken else 400), answer.text
    if not taken:
        assert "key" in answer.text


@ours
def test_a_request_that_its_key_did_not_sign(ca, workdir):
    device, password = Device(workdir, "d"), ca.password("d")
    der = bytearray(base64.b64decode(device.csr))
    der[-1] ^= 1
    answer = ca.enroll(device, password, body=base64.b64encode(der))
    assert answer.status == 400 and "not signed by the key" in answer.text
    der = openssl("req", "-new", "-sha1", "-key", device.key, "-subj", "/CN=d", "-outform", "DER").stdout
    answer = ca.enroll(device, password, body=base64.b64encode(der))
    assert answer.status == 400 and "SHA1" in answer.text
    device.take(ca.enroll(device, password))  # and the password is still good


@ours
def test_base64_without_line_breaks(ca, workdir):
    device = Device(workdir, "d")
    device.take(ca.enroll(device, ca.password("d"), body="".join(device.csr.split())))


@ours
def test_garbage(ca, workdir):
    device, password = Device(workdir, "d"), ca.password("d")
    for body in (b"", b"\0" * 100, b"====", b"hello, world", os.urandom(3000), base64.b64encode(os.urandom(600)),
                 device.csr[:-40].encode(), b"-----BEGIN CERTIFICATE REQUEST-----\n" + device.csr.encode()):
        answer = ca.enroll(device, password, body=body)
        assert answer.status == 400 and answer.text.strip(), body
    device.take(ca.enroll(device, password))


@ours
def test_huge_bodies(ca, workdir):
    device, password = Device(workdir, "d"), ca.password("d")
    assert ca.enroll(device, password, body=b"A" * 70000).status in (0, 413)
    assert ca.enroll(device, password, body=b"A" * 60000).status in (400, 413)
    chunked = ca.curl("--request", "POST", "--upload-file", "/dev/zero", "--header", "Content-Type: application/pkcs10", "--user",
                      f"d:{password}", "--max-time", "5", f"{ca.est}/simpleenroll")
    assert chunked.status in (0, 413)
    assert ca.curl("--header", "X-Long: " + "x" * 20000, f"{ca.url}/healthz").status in (0, 400, 413, 431)
    device.take(ca.enroll(device, password))


# Renewing

@ours
def test_renewing_another_s(ca, workdir):
    device = enrolled(ca, workdir, "d")
    other = Device(workdir, "other", subject="/CN=other")
    answer = ca.renew(device, other.csr)
    assert answer.status == 403 and "subject" in answer.text


@ours
def test_renewing_without_a_certificate(ca, workdir):
    answer = ca.enroll(Device(workdir, "d"), operation="simplereenroll")
    assert answer.status == 401


@ours
def test_renewing_a_revoked_one(ca, workdir):
    device = enrolled(ca, workdir, "d")
    ca.cli("revoke", device.serial.upper(), "--reason", "superseded")
    answer = ca.renew(device)
    assert answer.status == 403 and "was revoked on" in answer.text and "superseded" in answer.text


@ours
def test_renewing_an_expired_one(make_ca, workdir):
    ca = make_ca(ca__validity__device="2s")
    ca.init()
    ca.start()
    device = enrolled(ca, workdir, "d")
    time.sleep(3)
    answer = ca.renew(device)
    assert answer.status == 403 and "expired on" in answer.text and "one-time password" in answer.text


@ours
def test_renewing_somebody_else_s_certificate(ca, workdir, pki):
    device = enrolled(ca, workdir, "d")
    csr = workdir / "d.csr"
    csr.write_bytes(openssl("req", "-new", "-key", device.key, "-subj", "/CN=d").stdout)
    device.cert = pki.sign(csr, "d")
    answer = ca.renew(device)
    assert answer.status == 403 and "not issued by this authority" in answer.text


@ours
def test_a_device_that_is_shut_out(ca, workdir):
    device = enrolled(ca, workdir, "d")
    waiting = ca.password("d")
    assert "1 certificate was revoked" in ca.cli("revoke", "d").stdout
    assert ca.renew(device).status == 403
    assert ca.enroll(device, waiting, body=device.request_again()).status == 401
    device.take(ca.enroll(device, ca.password("d"), body=device.request_again()))
    assert "not found" in ca.cli("revoke", "nobody", code=1).stderr


# A person decides

@ours
def test_approval(make_ca, workdir):
    ca = make_ca(ca__approval="manual")
    ca.init()
    ca.start()
    device, password = Device(workdir, "d"), ca.password("d")
    answer = ca.enroll(device, password)
    assert answer.status == 202 and int(answer.headers["retry-after"]) > 0
    assert ca.enroll(device, password).status == 202
    (waits,) = json.loads(ca.cli("pending", "--json").stdout)
    public = openssl("pkey", "-in", device.key, "-pubout", "-outform", "DER").stdout
    assert waits["device"] == "d" and waits["from"] == "127.0.0.1"
    assert waits["key_sha256"] in openssl("dgst", "-sha256", input=public).stdout.decode()
    assert ca.enroll(device, "wrong").status == 401
    ca.cli("approve", waits["id"])
    # Not for another request that comes now.
    assert ca.enroll(device, password, body=device.request_again()).status == 202
    assert ca.enroll(device, password).status == 202
    (waits,) = json.loads(ca.cli("pending", "--json").stdout)
    ca.cli("approve", waits["id"])
    device.take(ca.enroll(device, password))
    assert "No request waits" in ca.cli("pending").stdout
    ca.renew(device, device.request_again())

    refused, password = Device(workdir, "r"), ca.password("r")
    assert ca.enroll(refused, password).status == 202
    (waits,) = json.loads(ca.cli("pending", "--json").stdout)
    ca.cli("approve", waits["id"], "--refuse")
    answer = ca.enroll(refused, password)
    assert answer.status == 403 and "refused" in answer.text


# CRL and OCSP

def test_crl_and_ocsp(ca, workdir):
    good, bad = enrolled(ca, workdir, "good"), enrolled(ca, workdir, "bad")
    ask = ["ocsp", "-issuer", ca.pem, "-CAfile", ca.pem, "-url", f"{ca.plain_url}/ocsp"]
    assert b"good.pem: good" in openssl(*ask, "-cert", good.cert).stdout
    ca.cli("revoke", "bad", "--reason", "key-compromise")
    both = openssl(*ask, "-cert", good.cert, "-cert", bad.cert)
    assert b"good.pem: good" in both.stdout and b"bad.pem: revoked" in both.stdout and b"keyCompromise" in both.stdout
    assert b"Response verify OK" in both.stderr
    assert b"unknown" in openssl(*ask, "-serial", "0x1234").stdout
    # By SHA-256, and by GET, as RFC 6960's appendix has it.
    assert b"good.pem: good" in openssl(*ask, "-sha256", "-cert", good.cert).stdout
    request = workdir / "request.der"
    openssl("ocsp", "-issuer", ca.pem, "-cert", bad.cert, "-no_nonce", "-reqout", request)
    text = base64.b64encode(request.read_bytes()).decode().replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")
    response = workdir / "response.der"
    response.write_bytes(ca.get(f"/ocsp/{text}").body)
    assert b"revoked" in openssl("ocsp", "-issuer", ca.pem, "-CAfile", ca.pem, "-cert", bad.cert, "-respin", response).stdout

    der, pem = workdir / "crl.der", workdir / "crl.pem"
    der.write_bytes(ca.curl(f"{ca.plain_url}/crl").body)
    assert der.read_bytes() == ca.get("/crl").body
    text = openssl("crl", "-inform", "DER", "-in", der, "-CAfile", ca.pem, "-noout", "-text").stdout.decode()
    assert bad.serial.upper() in text and good.serial.upper() not in text and "Key Compromise" in text
    openssl("crl", "-inform", "DER", "-in", der, "-out", pem)
    openssl("verify", "-crl_check", "-CAfile", ca.pem, "-CRLfile", pem, good.cert)
    assert b"revoked" in openssl("verify", "-crl_check", "-CAfile", ca.pem, "-CRLfile", pem, bad.cert, code=2).stderr


@ours
def test_crl_numbers(ca, workdir):
    """One more for each list, and a new list only where something changed."""
    def number():
        text = openssl("crl", "-inform", "DER", "-noout", "-crlnumber", input=ca.get("/crl").body).stdout.decode()
        return int(text.strip().partition("=")[2], 16)

    device = enrolled(ca, workdir, "d")
    assert [number(), number()] == [1, 1]
    ca.cli("revoke", device.serial)
    ca.cli("crl", "--out", workdir / "crl.pem")
    assert number() == 2
    ca.cli("revoke", device.serial)
    assert number() == 2


@ours
def test_ocsp_garbage(ca):
    post = ["--header", "Content-Type: application/ocsp-request", "--data-binary", "rubbish", f"{ca.plain_url}/ocsp"]
    for answer in (ca.curl(*post), ca.curl(f"{ca.plain_url}/ocsp/%%%"), ca.curl(f"{ca.plain_url}/ocsp/AAAA")):
        assert answer.status == 200
        assert b"malformedrequest" in openssl("ocsp", "-respin", "/dev/stdin", "-resp_text", input=answer.body, code=None).stdout


# Many, slow, and killed

@ours
def test_fifty_at_once(ca, workdir):
    devices = [Device(workdir, f"d-{i}") for i in range(50)]
    (workdir / "ids").write_text("".join(f"{device.id}\n" for device in devices))
    ca.cli("token", "--batch", workdir / "ids", "--out", workdir / "passwords")
    passwords = dict(line.split("\t") for line in (workdir / "passwords").read_text().splitlines())
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda d: post_raw(ca, d, passwords[d.id]), devices))
    assert [status for status, _ in answers] == [200] * 50
    assert {row["device"] for row in ca.listed()} >= {device.id for device in devices}


def post_raw(ca, device, password, timeout=30):
    """(status, body) without a process of its own; (0, b"") where the server was gone before the whole answer had come."""
    context = ssl.create_default_context(cafile=ca.pem)
    login = base64.b64encode(f"{device.id}:{password}".encode()).decode()
    head = (f"POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {login}\r\n"
            f"Content-Type: application/pkcs10\r\nContent-Length: {len(device.csr)}\r\nConnection: close\r\n\r\n")
    try:
        with socket.create_connection(("127.0.0.1", ca.port), timeout) as raw, \
                context.wrap_socket(raw, server_hostname="localhost") as tls:
            tls.sendall((head + device.csr).encode())
            answer = b""
            while chunk := tls.recv(65536):
                answer += chunk
    except (OSError, ssl.SSLError):
        return 0, b""
    head, _, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"(?im)^content-length: *(\d+)", head)
    whole = length and len(body) == int(length[1])
    return (int(head.split()[1]), body) if whole else (0, b"")


@ours
def test_slow_clients_hold_up_nobody(ca, workdir):
    """Some say nothing, some stop in their handshake, some in their request."""
    context = ssl._create_unverified_context()
    idle = [socket.create_connection(("127.0.0.1", ca.port)) for _ in range(20)]
    for connection in idle[10:]:
        connection.sendall(b"\x16\x03\x01\x02\x00\x01")
    open_tls = [context.wrap_socket(socket.create_connection(("127.0.0.1", ca.port))) for _ in range(10)]
    for connection in open_tls:
        connection.sendall(b"POST /.well-known/est/simpleenroll HTTP/1.1\r\nContent-Le")
    device = Device(workdir, "d")
    start = time.monotonic()
    device.take(ca.enroll(device, ca.password("d")))
    assert time.monotonic() - start < 5
    # Those who do not finish their handshake are gone after ten seconds.
    idle[0].settimeout(15)
    assert idle[0].recv(1) == b""
    assert ca.get("/healthz").status == 200


@ours
def test_one_address_does_not_take_all(ca):
    connections = [socket.create_connection(("127.0.0.1", ca.port)) for _ in range(100)]
    closed = 0
    for connection in connections:
        connection.settimeout(0.05)
        try:
            closed += connection.recv(1) == b""
        except (TimeoutError, ConnectionResetError) as error:
            closed += isinstance(error, ConnectionResetError)
    assert 30 <= closed <= 40
    for connection in connections:
        connection.close()
    time.sleep(1.2)
    assert ca.get("/healthz").status == 200


@ours
def test_killed_in_the_middle(ca, workdir):
    """No certificate that the registry does not know, no password that works twice, and no device that is locked out."""
    devices = [Device(workdir, f"d-{i}") for i in range(60)]
    (workdir / "ids").write_text("".join(f"{device.id}\n" for device in devices))
    ca.cli("token", "--batch", workdir / "ids", "--out", workdir / "passwords")
    passwords = dict(line.split("\t") for line in (workdir / "passwords").read_text().splitlines())
    answers = {device.id: [] for device in devices}
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        for enough in (3, 7, 5, 9, 4):
            open_ones = [device for device in devices if not any(status == 200 for status, _ in answers[device.id])]
            jobs = {device.id: pool.submit(post_raw, ca, device, passwords[device.id]) for device in open_ones}
            while sum(job.done() for job in jobs.values()) < enough:
                time.sleep(0.001)
            ca.process.kill()
            for id, job in jobs.items():
                answers[id].append(job.result())
            ca.start()
    for device in devices:
        if not any(status == 200 for status, _ in answers[device.id]):
            answers[device.id].append(post_raw(ca, device, passwords[device.id]))
    assert sum(len(tries) for tries in answers.values()) > len(devices)  # some were hit
    known = {}
    for row in ca.listed():
        known.setdefault(row["device"], []).append(row["serial"])
    for device in devices:
        good = [body for status, body in answers[device.id] if status == 200]
        assert good, answers[device.id]
        assert {status for status, _ in answers[device.id]} <= {0, 200}
        assert len(known[device.id]) == 1
        pem = openssl("pkcs7", "-inform", "DER", "-print_certs", input=base64.b64decode(good[0])).stdout
        serial = openssl("x509", "-noout", "-serial", input=pem).stdout.decode().strip().partition("=")[2].lower()
        assert serial == known[device.id][0]
    device = devices[0]
    assert ca.enroll(device, passwords[device.id], body=device.request_again()).status == 401


@ours
def test_ends_politely(ca, workdir):
    """What is being worked on is answered first."""
    idle = socket.create_connection(("127.0.0.1", ca.port))
    devices = [Device(workdir, f"d-{i}") for i in range(8)]
    passwords = [ca.password(device.id) for device in devices]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(post_raw, ca, device, password) for device, password in zip(devices, passwords)]
        time.sleep(0.15)
        assert ca.process.stop(timeout=10) == 0
        statuses = [job.result()[0] for job in jobs]
    idle.close()
    issued = sum(bool(ca.certificates(device.id)) for device in devices)
    assert statuses.count(200) == issued  # nobody's certificate was left lying


@ours
def test_a_token_that_hangs(make_ca, workdir, build, token):
    """One signature that never ends costs one thread; where all are lost, those who need no signature are served still."""
    control = workdir / "fault"
    env = {"HF_FAULTY_REAL": str(token.module), "HF_FAULTY_CONTROL": str(control)}
    ca = make_ca(device__cryptoki__module_path=conftest.built(build / "tests/e2e/faulty_module.so"))
    ca.cli("init", extra_env=env)
    ca.start(extra_env=env)
    device = Device(workdir, "d")
    password = ca.password("d")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        control.write_text("hang C_Sign")
        hung = pool.submit(post_raw, ca, device, password, 3)
        while control.exists():
            time.sleep(0.01)
        device.take(ca.enroll(device, password))
        control.write_text("always hang C_Sign")
        more = [pool.submit(post_raw, ca, device, password, 3) for _ in range(5)]
        time.sleep(0.5)
        assert ca.curl(f"{ca.plain_url}/ca.pem").body == ca.pem.read_bytes()
        assert [job.result()[0] for job in (hung, *more)] == [0] * 6
    assert ca.process.stop(timeout=12) == 5 and "does not answer" in ca.log()


# Configuration, beginnings and ends

@ours
def test_it_reads_its_configuration_again(ca, workdir):
    ca.configure("ca.validity.device", "3d")
    ca.configure("ca.server.names", "localhost,ca.example")
    ca.process.signal(signal.SIGHUP)
    ca.process.wait_for_line("was read again")
    device = enrolled(ca, workdir, "d")
    days = openssl("x509", "-in", device.cert, "-noout", "-checkend", str(4 * 86400), code=None)
    assert days.returncode == 1
    assert ca.curl("--resolve", f"ca.example:{ca.port}:127.0.0.1", f"https://ca.example:{ca.port}/healthz").status == 200
    ca.configure("ca.key_uri", "pkcs11:object=nobody")
    ca.process.signal(signal.SIGHUP)
    ca.process.wait_for_line("nothing was changed")
    assert ca.enroll(device, ca.password("d"), body=device.request_again()).status == 200


@ours
def test_it_tells_systemd(make_ca, workdir):
    heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    heard.bind(str(workdir / "notify"))
    heard.settimeout(10)
    ca = make_ca()
    ca.init()
    ca.start(extra_env={"NOTIFY_SOCKET": str(workdir / "notify")})
    assert heard.recv(1000).startswith(b"READY=1")
    ca.process.signal(signal.SIGHUP)
    assert heard.recv(1000).startswith(b"RELOADING=1\nMONOTONIC_USEC=") and heard.recv(1000) == b"READY=1"
    assert ca.process.stop() == 0
    assert heard.recv(1000) == b"STOPPING=1"


@ours
def test_urls_in_certificates(make_ca, workdir):
    ca = make_ca(ca__crl_url="http://localhost:1/crl", ca__ocsp_url="http://localhost:1/ocsp")
    ca.init()
    ca.start()
    text = openssl("x509", "-in", enrolled(ca, workdir, "d").cert, "-noout", "-text").stdout.decode()
    assert "URI:http://localhost:1/crl" in text and "OCSP - URI:http://localhost:1/ocsp" in text


def test_init_again(make_ca):
    ca = make_ca()
    result = ca.init()
    assert "was made in the token" in result.stderr and str(ca.pem) in result.stdout
    assert (ca.path.stat().st_mode & 0o777) == 0o700
    again = ca.cli("init", code=1)
    assert "there is an authority already" in again.stderr
    # What was cut short is gone on with: the keys are there, the certificate is not.
    ca.pem.unlink()
    result = ca.init()
    assert "made in the token" not in result.stderr
    ca.start()


@ours
def test_below_a_root_elsewhere(make_ca, pki, workdir):
    ca = make_ca()
    csr, chain = workdir / "ca.csr", workdir / "chain.pem"
    ca.init("--csr", "--out", csr)
    extensions = workdir / "ca.ext"
    extensions.write_text("basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign,digitalSignature\n"
                          "subjectKeyIdentifier=hash\n")
    certificate = openssl("x509", "-req", "-in", csr, "-CA", pki.ca, "-CAkey", pki.ca_key, "-CAcreateserial", "-days", "20",
                          "-extfile", extensions).stdout
    (workdir / "wrong.pem").write_bytes(pki.ca.read_bytes())
    assert "does not belong to the key" in ca.cli("init", "--import", workdir / "wrong.pem", code=4).stderr
    chain.write_bytes(certificate + pki.ca.read_bytes())
    ca.cli("init", "--import", chain)
    ca.start()
    device = Device(workdir, "d")
    login = ["--user", f"d:{ca.password('d')}", "--data-binary", device.csr, "--header", "Content-Type: application/pkcs10"]
    device.take(ca.curl(*login, f"{ca.est}/simpleenroll", cacert=pki.ca))
    (workdir / "sub.pem").write_bytes(certificate)
    openssl("verify", "-CAfile", pki.ca, "-untrusted", workdir / "sub.pem", device.cert)
    assert certificates_of(ca.curl(f"{ca.est}/cacerts", cacert=pki.ca)).count("BEGIN CERTIFICATE") == 2
    new = Device(workdir, "d", name="d2").csr
    answer = ca.curl("--cert", device.cert, "--key", device.key, "--data-binary", new, "--header", "Content-Type: application/pkcs10",
                     f"{ca.est}/simplereenroll", cacert=pki.ca)
    assert answer.status == 200, answer.text


@ours
def test_its_own_certificate_in_time(make_ca, workdir, run):
    """For other names, or where it is missing, another is issued; else the one that is there stays."""
    ca = make_ca()
    ca.init()
    serial = lambda: openssl("x509", "-in", ca.path / "server.pem", "-noout", "-serial").stdout
    ca.start()
    first = serial()
    ca.process.stop()
    ca.start()
    assert serial() == first
    ca.process.stop()
    ca.configure("ca.server.names", "127.0.0.1")
    ca.start()
    assert serial() != first
    assert b"IP:127.0.0.1" in openssl("x509", "-in", ca.path / "server.pem", "-noout", "-ext", "subjectAltName").stdout.replace(
        b"IP Address", b"IP")


@ours
def test_what_fails_at_the_start(make_ca, token, run, holdfast):
    ca = make_ca()
    none = run([ca.program], code=1)
    assert "holdfast ca init" in none.stderr
    assert "holdfast ca init" in ca.cli("list", code=1).stderr
    ca.init()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", ca.port))
        taken.listen()
        busy = run([ca.program], code=5)
        assert f"port {ca.port}" in busy.stderr
    token.pin_file.write_text("000000\n")
    assert "the PIN is wrong" in run([ca.program], code=4).stderr
    assert run([ca.program, "--nonsense"], code=2).stderr


@ours
def test_a_damaged_registry(make_ca, run):
    ca = make_ca()
    ca.init()
    data = ca.path / "data.mdb"
    whole = data.read_bytes()
    data.write_bytes(whole[:6000])
    result = run([ca.program], code=1)
    assert "registry is damaged" in result.stderr and "backup" in result.stderr
    data.write_bytes(os.urandom(len(whole)))
    assert "registry is damaged" in ca.cli("token", "d", code=1).stderr


@ours
def test_by_hand(ca, workdir):
    device = Device(workdir, "broker.example")
    csr = workdir / "broker.csr"
    csr.write_bytes(base64.b64decode(device.csr))
    pem = ca.cli("issue", csr, "--server", "--san", "DNS:broker.example,IP:192.0.2.1", "--days", "10").stdout
    text = openssl("x509", "-noout", "-text", input=pem.encode()).stdout.decode()
    assert "IP Address:192.0.2.1" in text and "TLS Web Server Authentication" in text
    (row,) = ca.certificates("broker.example")
    assert row["kind"] == "server" and row["state"] == "valid"
    assert [r["serial"] for r in ca.listed("--expiring", "11d")] == [row["serial"]]
    assert ca.listed("--expiring", "9d") == []
    shown = ca.cli("show", row["serial"]).stdout
    assert pem in shown and "broker.example" in shown
    device.cert.write_text(pem)
    answer = ca.renew(device)
    assert answer.status == 403 and "not a device's" in answer.text
    assert row["serial"] in [r["serial"] for r in ca.listed()]
    ca.cli("revoke", row["serial"])
    assert [r["serial"] for r in ca.listed("--revoked")] == [row["serial"]]
