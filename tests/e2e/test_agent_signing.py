# SPDX-License-Identifier: Apache-2.0
"""The agent's signing socket, driven by an independent client: every frame, on our token and SoftHSM2; and by hostile ones."""

import socket
import threading
import time

import pytest

from agent_kit import Agent
from conftest import PIN, SO_PIN, built
from p11_server_client import Client, ServerError, blob, decode, frame, option, read_all, spki, varint

HASH = {"ecdsa-p256": "sha256", "ecdsa-p384": "sha384", "ecdsa-p521": "sha512", "rsa-pss": "sha256", "rsa-pkcs1": "sha256"}
ALLOW_ALL = "allow all\n"


@pytest.fixture
def start_agent(build, server, workdir):
    """start_agent(module, pin_file, *options, policy=, extra_env=): a running agent, whose clients may do all unless told."""
    def start(module, pin_file, *options, policy=ALLOW_ALL, extra_env=None):
        directory = workdir / "agent"
        directory.mkdir()
        (directory / "policy").write_text(policy)
        started = Agent(server, build, directory, module, *options, pin_source=pin_file, extra_env=extra_env)
        started.old_client = Client(started.socket, since="1.5.0")
        return started

    return start


@pytest.fixture
def agent(start_agent, module, token):
    return start_agent(module, token.pin_file)


@pytest.fixture
def verify(run, workdir):
    """verify(pem, scheme, data, signature): openssl's word on it."""
    def check(pem, scheme, data, signature):
        for name, content in (("pub.pem", pem.encode()), ("data", data), ("sig", signature)):
            (workdir / name).write_bytes(content)
        if scheme == "ed25519":
            run(["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", workdir / "pub.pem", "-sigfile", workdir / "sig",
                 "-in", workdir / "data"])
            return
        options = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32"] if scheme == "rsa-pss" else []
        run(["openssl", "dgst", "-" + HASH[scheme], *options, "-verify", workdir / "pub.pem", "-signature", workdir / "sig",
             workdir / "data"])

    return check


def public_key(client, uri):
    return spki(client.public_key_pem(uri))


# What a handshake and a request for a certificate take

@pytest.mark.parametrize("type,scheme,codepoint,algorithm", [
    ("EC:prime256v1", "ecdsa-p256", 0x0403, 3), ("EC:secp384r1", "ecdsa-p384", 0x0503, 3), ("EC:secp521r1", "ecdsa-p521", 0x0603, 3),
    ("EC:edwards25519", "ed25519", 0x0807, 7), ("rsa:2048", "rsa-pss", 0x0804, 1)])
def test_handshake(agent, make_key, verify, type, scheme, codepoint, algorithm):
    uri = make_key("device", type=type)
    pem = public_key(agent.client, uri)
    for client in agent.client, agent.old_client:
        offered = ["ecdsa_p521", "rsa_pkcs1_sha256", "rsa_pss_rsae_sha256", "ecdsa_p384", "ecdsa_p256", 0x0807]
        assert client.choose_scheme(offered, uri) == (codepoint, algorithm)
        message = b" " * 64 + b"TLS 1.3, client CertificateVerify\0" + bytes(32)
        verify(pem, scheme, message, client.sign(message, uri))


def test_tls12_rsa_signs_as_it_was_chosen(agent, make_key, verify):
    uri = make_key("device", type="rsa:2048")
    pem = public_key(agent.client, uri)
    assert agent.client.choose_scheme(["rsa_pkcs1_sha256", "ecdsa_p256"], uri) == (0x0401, 1)
    verify(pem, "rsa-pkcs1", b"\1handshake", agent.client.sign(b"\1handshake", uri))
    verify(pem, "rsa-pss", b" " * 98, agent.client.sign(b" " * 98, uri))
    assert agent.client.choose_scheme(["rsa_pkcs1_sha256", "rsa_pss_rsae_sha256"], uri) == (0x0804, 1)
    verify(pem, "rsa-pss", b"\1handshake", agent.client.sign(b"\1handshake", uri))


@pytest.mark.parametrize("type,schemes", [("EC:prime256v1", ["ecdsa-p256"]), ("rsa:3072", ["rsa-pss", "rsa-pkcs1"])])
def test_sign_with_scheme(agent, make_key, verify, type, schemes):
    uri = make_key("device", type=type)
    pem = public_key(agent.client, uri)
    for scheme in schemes:
        for data in b"", b"x", bytes(700_000):
            verify(pem, scheme, data, agent.client.sign_with(data, scheme, uri))
    verify(pem, schemes[0], b"default", agent.client.sign_with(b"default", None, uri))


def test_no_scheme_in_common(agent, make_key):
    uri = make_key("device")
    for offered in [], ["rsa_pkcs1_sha256", "ecdsa_p384"]:
        with pytest.raises(ServerError, match=r"^PKCS #11 service failed: failed to choose scheme: "):
            agent.client.choose_scheme(offered, uri)


def test_scheme_of_another_kind(agent, make_key):
    with pytest.raises(ServerError, match="the key is of the wrong type"):
        agent.client.sign_with(b"data", "rsa-pss", make_key("device"))
    with pytest.raises(ServerError, match="the key is of the wrong type"):
        agent.client.sign_with(b"data", "ecdsa-p256", make_key("edwards", type="EC:edwards25519", id="02"))


def test_without_a_uri_the_only_key_is_meant(agent, make_key, verify):
    uri = make_key("device")
    verify(public_key(agent.client, uri), "ecdsa-p256", b"data", agent.client.sign(b"data"))
    make_key("second", id="02")
    time.sleep(2.1)
    with pytest.raises(ServerError, match="Failed to find a signing key: .*several objects match.*object=second"):
        agent.client.sign(b"data", "pkcs11:")


def test_a_key_that_is_not_there(agent):
    with pytest.raises(ServerError, match=r"^PKCS #11 service failed: Failed to find a signing key: Failed to find a key: "):
        agent.client.sign(b"data", "pkcs11:token=device;object=none")
    with pytest.raises(ServerError, match="Failed to find a key"):
        agent.client.public_key_pem("pkcs11:token=device;object=none")
    with pytest.raises(ServerError, match="Didn't find a slot to use"):
        agent.client.sign(b"data", "pkcs11:token=none")
    with pytest.raises(ServerError, match="not a valid PKCS #11 URI"):
        agent.client.sign(b"data", "pkcs11:token")


def test_signing_at_once(agent, make_key, verify):
    uri = make_key("device")
    pem = public_key(agent.client, uri)
    signatures, failures = [], []

    def work():
        try:
            signatures.extend(agent.client.sign(b"data", uri) for _ in range(10))
        except (ServerError, OSError, ValueError) as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and len(signatures) == 200
    verify(pem, "ecdsa-p256", b"data", signatures[-1])


# Keys

@pytest.mark.parametrize("kind,size,scheme", [("ec", 256, "ecdsa-p256"), ("ec", 384, "ecdsa-p384"), ("ec", 521, "ecdsa-p521"),
                                              ("rsa", 2048, "rsa-pss")])
def test_create_key(agent, token, verify, kind, size, scheme):
    pem, uri = agent.client.create_key("pkcs11:token=device", kind, size, "my key.1", id=bytes([1, 0xAB]))
    assert uri.startswith("pkcs11:model=") and uri.endswith(";token=device;id=%01%AB;object=my%20key%2E1")
    assert "type=" not in uri
    assert agent.client.public_key_pem(uri) == pem
    verify(spki(pem), scheme, b"data", agent.client.sign_with(b"data", scheme, uri))
    with pytest.raises(ServerError, match="the id is already in use"):
        agent.client.create_key("pkcs11:token=device", kind, size, "other", id=bytes([1, 0xAB]))


def test_created_keys_get_an_id(agent):
    _, first = agent.client.create_key("pkcs11:token=device", "ec", 256, "same")
    _, second = agent.client.create_key("pkcs11:token=device", "ec", 256, "same")
    assert first != second and ";id=%" in first
    with pytest.raises(ServerError, match="several objects"):
        agent.client.sign(b"data", "pkcs11:object=same")
    agent.client.sign(b"data", second)


@pytest.mark.parametrize("kind,size", [("ec", 255), ("rsa", 1024), ("rsa", 2049)])
def test_create_key_of_a_size_that_is_not_offered(agent, kind, size):
    with pytest.raises(ServerError, match="the key size is not supported"):
        agent.client.create_key("pkcs11:token=device", kind, size, "key")


def test_list_keys(agent, make_key):
    assert agent.client.list_keys() == []
    make_key("one", id="01")
    make_key("two", type="rsa:2048", id="a2")
    keys = agent.client.list_keys()
    assert sorted((key["class"], key["type"], key["label"], key["id"]) for key in keys) == [
        ("private", "EC", "one", "01"), ("private", "RSA", "two", "a2"),
        ("public", "EC", "one", "01"), ("public", "RSA", "two", "a2")]
    assert [key["uri"] for key in agent.client.list_keys("pkcs11:object=two;type=private")] == [
        next(key["uri"] for key in keys if key["label"] == "two")]


def test_delete_key(agent, make_key):
    make_key("one", id="01")
    two = make_key("two", id="02")
    agent.client.sign(b"data", two)
    deleted = agent.client.delete_key("pkcs11:token=device;object=two")
    assert len(deleted) == 2 and all(uri.endswith("id=%02;object=two") for uri in deleted)
    assert {key["label"] for key in agent.client.list_keys()} == {"one"}
    with pytest.raises(ServerError, match="Failed to find a signing key"):
        agent.client.sign(b"data", two)
    with pytest.raises(ServerError, match="Name it by object= or id="):
        agent.client.delete_key("pkcs11:token=device")


def test_a_request_stays_within_the_agents_uri(start_agent, module, token, make_token, make_key):
    other = make_token("other")
    make_key("device")
    agent = start_agent(module, token.pin_file, "--uri", "pkcs11:token=device")
    agent.client.sign(b"data", "pkcs11:object=device")
    for request in (lambda: agent.client.sign(b"data", "pkcs11:token=other"),
                    lambda: agent.client.delete_key("pkcs11:token=other;object=device"),
                    lambda: agent.client.create_key(other.uri, "ec", 256, "key"),
                    lambda: agent.client.change_pin("77777777", other.uri, old_pin=PIN)):
        with pytest.raises(ServerError, match="is outside of what the agent serves: pkcs11:token=device"):
            request()
    assert {key["label"] for key in agent.client.list_keys()} == {"device"}
    assert [uri.split(";token=")[1] for uri in agent.client.tokens_uris()] == ["device"]


# Tokens

def test_tokens(agent):
    first = agent.client.list_tokens()
    assert [(t["label"], t["initialized"]) for t in first if t["initialized"]] == [("device", True)]
    device = first[[t["label"] for t in first].index("device")]
    assert agent.client.tokens_uris() == [device["uri"]]
    assert device["uri"].endswith(f";serial={device['serial']};token=device")
    for free in (t for t in first if not t["initialized"]):
        assert free["uri"].endswith(f";slot-id={free['slot']}")


def test_init_token(start_agent, module, workdir):
    pin_file = workdir / "pin"
    pin_file.write_text(PIN + "\n")
    agent = start_agent(module, pin_file)
    with pytest.raises(ServerError, match="a PIN is needed: the SO PIN of the new token"):
        agent.client.init_token("new", pin=PIN)
    uri = agent.client.init_token("new", so_pin=SO_PIN, pin=PIN)
    assert uri.endswith(";token=new")
    pem, key = agent.client.create_key(uri, "ec", 256, "key")
    assert agent.client.public_key_pem(key) == pem
    with pytest.raises(ServerError, match="is not overwritten"):
        agent.client.init_token("again", so_pin=SO_PIN, pin=PIN, uri=uri)


def test_change_pin(start_agent, module, token, make_key, run):
    uri = make_key("device")
    agent = start_agent(module, token.pin_file)
    agent.client.sign(b"data", uri)
    assert agent.client.change_pin("777777", token.uri, old_pin=PIN).endswith(";token=device")
    agent.client.sign(b"data", uri)
    run(["pkcs11-tool", "--module", module, "--token-label", "device", "--login", "--pin", "777777", "--list-objects"])
    with pytest.raises(ServerError, match="The specified PIN is incorrect"):
        agent.client.change_pin("888888", token.uri, old_pin=PIN)
    agent.client.change_pin("999999", token.uri, so_pin=SO_PIN, reset=True)
    agent.client.sign(b"data", uri)
    run(["pkcs11-tool", "--module", module, "--token-label", "device", "--login", "--pin", "999999", "--list-objects"])


# PINs

def pin_flags(run, module):
    text = run(["pkcs11-tool", "--module", module, "--list-slots"]).stdout
    return text.split("device", 1)[1].split("Slot ")[0]


def test_a_wrong_pin_is_tried_once(start_agent, module, token, make_key, workdir, run):
    uri = make_key("device")
    wrong = workdir / "wrong.pin"
    wrong.write_text("111111\n")
    agent = start_agent(module, wrong)
    with pytest.raises(ServerError, match=r"The specified PIN is incorrect"):
        agent.client.sign(b"data", uri)
    for _ in range(20):
        with pytest.raises(ServerError, match="The specified PIN is incorrect.*is not tried again"):
            agent.client.sign(b"data", uri)
    flags = pin_flags(run, module)
    assert "final user PIN try" not in flags and "user PIN locked" not in flags
    # The source is corrected: no restart is needed.
    wrong.write_text(PIN + "\n")
    agent.client.sign(b"data", uri)


def test_the_requests_own_pin(start_agent, module, token, make_key):
    uri = make_key("device")
    agent = start_agent(module, None)
    with pytest.raises(ServerError, match="a PIN is needed"):
        agent.client.sign(b"data", uri)
    agent.client.sign(b"data", uri, pin=PIN)
    with pytest.raises(ServerError, match="The specified PIN is incorrect.*logged in with another PIN"):
        agent.client.sign(b"data", uri, pin="111111")


def test_a_pin_source_that_is_gone(start_agent, module, token, make_key):
    uri = make_key("device")
    agent = start_agent(module, token.pin_file)
    agent.client.sign(b"data", uri)
    token.pin_file.unlink()
    agent.client.sign(b"data", uri)
    with pytest.raises(ServerError, match="Failed to find a key"):
        agent.client.sign(b"data", "pkcs11:object=none")


def test_no_pin_in_answers_and_logs(agent, make_key):
    make_key("device")
    with pytest.raises(ServerError) as error:
        agent.client.sign(b"data", "pkcs11:object=none?pin-value=" + PIN)
    with pytest.raises(ServerError):
        agent.client.sign(b"data", "pkcs11:object=device?pin-value=424242")
    assert PIN not in str(error.value) and PIN not in agent.log and "424242" not in agent.log


# Other programs

def test_another_programs_keys(agent, make_key, run, module, token, verify):
    uri = "pkcs11:token=device;object=device"
    with pytest.raises(ServerError, match="Failed to find a signing key"):
        agent.client.sign(b"data", uri)
    make_key("device", id="01")
    agent.client.sign(b"data", uri)
    first = agent.client.public_key_pem(uri)
    login = ["pkcs11-tool", "--module", module, "--token-label", "device", "--login", "--pin", PIN]
    for kind in "privkey", "pubkey":
        run([*login, "--delete-object", "--type", kind, "--id", "01"])
    with pytest.raises(ServerError, match="Failed to find a signing key"):
        agent.client.sign(b"data", uri)
    make_key("device", id="02")
    signature = agent.client.sign(b"data", uri)
    second = agent.client.public_key_pem(uri)
    assert first != second
    verify(spki(second), "ecdsa-p256", b"data", signature)
    # Replaced in one go, with the same name and id.
    for kind in "privkey", "pubkey":
        run([*login, "--delete-object", "--type", kind, "--id", "02"])
    make_key("device", id="02", type="rsa:2048")
    verify(public_key(agent.client, uri), "rsa-pss", b"data", agent.client.sign(b"data", uri))




RECOVERABLE = {"DEVICE_ERROR": 0x30, "DEVICE_REMOVED": 0x32, "GENERAL_ERROR": 5, "SESSION_HANDLE_INVALID": 0xB3,
               "SESSION_CLOSED": 0xB0, "USER_NOT_LOGGED_IN": 0x101, "KEY_HANDLE_INVALID": 0x60, "CRYPTOKI_NOT_INITIALIZED": 0x190}


@pytest.mark.parametrize("call", ["C_GetAttributeValue", "C_SignInit", "C_Sign"])
def test_recovery_by_return_code(start_agent, build, module, token, make_key, workdir, call):
    uri = make_key("device")
    control = workdir / "control"
    agent = start_agent(built(build / "tests/e2e/faulty_module.so"), token.pin_file,
                        extra_env={"HF_FAULTY_REAL": str(module), "HF_FAULTY_CONTROL": str(control)})
    agent.client.sign(b"data", uri)
    worker = agent.worker
    for code in RECOVERABLE.values():
        control.write_text(f"answer {call} {code}\n")
        agent.client.sign(b"data", uri)
        assert not control.exists()
    control.write_text(f"always answer {call} {RECOVERABLE['DEVICE_ERROR']}\n")
    with pytest.raises(ServerError, match="the HSM reports a device error"):
        agent.client.sign(b"data", uri)
    control.unlink()
    agent.client.sign(b"data", uri)
    assert agent.worker == worker


@pytest.fixture
def second_token(make_token, run, module):
    """A token with a key of its own under the first one's label."""
    make_token("second")
    run(["pkcs11-tool", "--module", module, "--token-label", "second", "--login", "--pin", PIN, "--keypairgen", "--key-type",
         "EC:prime256v1", "--label", "device", "--id", "01"])
    return "pkcs11:token=second;object=device"


def test_several_tokens(agent, make_key, second_token, verify):
    uris = [make_key("device"), second_token]
    pems = [public_key(agent.client, uri) for uri in uris]
    assert pems[0] != pems[1]
    for pem, uri in zip(pems, uris):
        verify(pem, "ecdsa-p256", b"data", agent.client.sign(b"data", uri))
    with pytest.raises(ServerError, match="Didn't find a slot to use: several tokens match: 2 tokens: .*token=second"):
        agent.client.sign(b"data", "pkcs11:object=device")
    assert len(agent.client.list_keys()) == 4


def test_a_slow_token_delays_no_other(start_agent, build, module, token, make_key, second_token, workdir):
    uri = make_key("device")
    control = workdir / "control"
    agent = start_agent(built(build / "tests/e2e/faulty_module.so"), token.pin_file, "--call-deadline", "4",
                        extra_env={"HF_FAULTY_REAL": str(module), "HF_FAULTY_CONTROL": str(control)})
    agent.client.sign(b"data", uri)
    agent.client.sign(b"data", second_token)
    control.write_text("hang C_Sign\n")
    with agent.client.connect() as stuck:
        stuck.sendall(frame(2, blob(b"data"), option(uri), b"\0"))
        stuck.shutdown(socket.SHUT_WR)
        agent.server.wait_for(lambda: not control.exists(), "call that hangs", 5)
        start = time.monotonic()
        for _ in range(10):
            agent.client.sign(b"data", second_token)
        assert time.monotonic() - start < 1
        assert read_all(stuck) == b""
    agent.client.sign(b"data", uri)


# Policy

def test_the_default_policy(start_agent, module, token, make_key):
    make_key("device")
    agent = start_agent(module, token.pin_file, policy="")
    agent.client.sign(b"data", "pkcs11:object=device")
    agent.client.create_key("pkcs11:token=device", "ec", 256, "new", id=b"\5")
    for request, rule in ((lambda: agent.client.delete_key("pkcs11:object=device"), "allow delete"),
                          (lambda: agent.client.change_pin("777777", old_pin=PIN), "allow change-pin"),
                          (lambda: agent.client.init_token("new", so_pin=SO_PIN, pin=PIN), "allow init")):
        with pytest.raises(ServerError, match=f"permission denied.*add the rule: {rule}"):
            request()
    assert len(agent.client.list_keys()) == 4


def test_listings_show_what_policy_shows(start_agent, module, token, make_key):
    make_key("mine", id="01")
    make_key("theirs", id="02")
    agent = start_agent(module, token.pin_file,
                        policy="allow list,sign key=pkcs11:object=mine\nallow list key=pkcs11:token=nothing\ndeny all\n")
    assert {key["label"] for key in agent.client.list_keys()} == {"mine"}
    with pytest.raises(ServerError, match="permission denied"):
        agent.client.sign(b"data", "pkcs11:object=theirs")
    with pytest.raises(ServerError, match="permission denied"):
        agent.client.choose_scheme(["ecdsa_p256"], "pkcs11:object=theirs")


def test_audit(agent, make_key):
    uri = make_key("device")
    agent.client.sign(b"a secret payload", uri)
    with pytest.raises(ServerError):
        agent.client.sign(b"data", "pkcs11:object=none")
    agent.server.wait_for(lambda: len(agent.audit()) >= 2, "audit lines", 5)
    signed = next(line for line in agent.audit() if line["request"] == "SignRequest")
    assert signed["op"] == "sign" and "object=device" in signed["key"]
    assert "secret payload" not in agent.log


# Bad input

def test_frames_that_are_none(agent):
    for request in b"garbage", b"\1\x08", b"\0\x18", b"\0\1\xff\xff\xff", b"\0\2\x05abc", b"\0\6\1\2\xc3\x28":
        with pytest.raises(ServerError, match="Failed to parse the received frame"):
            decode(agent.client.exchange(request), 0)
    for response in frame(9), frame(4, blob(b"x")), frame(0, blob("x")), frame(23, varint(0)):
        with pytest.raises(ServerError, match="^invalid request$"):
            decode(agent.client.exchange(response), 0)
    agent.client.ping()


def test_every_truncation(agent, make_key):
    uri = make_key("device")
    whole = frame(5, blob("data"), option(uri), option(0, varint), option(PIN))
    without_pin = len(whole) - len(option(PIN))
    for length in range(1, len(whole)):
        response = agent.client.exchange(whole[:length])
        if length == without_pin:
            decode(response, 4)
            continue
        with pytest.raises(ServerError, match="Failed to parse the received frame"):
            decode(response, 4)


def test_what_follows_a_frame_is_ignored(agent):
    decode(agent.client.exchange(frame(8) + b"more"), 9)


def test_a_client_that_never_ends(start_agent, module, token):
    agent = start_agent(module, token.pin_file, "--client-timeout", "1")
    with agent.client.connect() as silent, agent.client.connect() as slow:
        slow.sendall(b"\0")
        start = time.monotonic()
        agent.client.ping()
        assert time.monotonic() - start < 0.5
        for connection in silent, slow:
            with pytest.raises(ServerError, match="Failed to parse the received frame: .*did not end within 1 s"):
                decode(read_all(connection), 0)
        assert time.monotonic() - start < 3


def test_a_client_that_drips(start_agent, module, token):
    agent = start_agent(module, token.pin_file, "--client-timeout", "1")
    start = time.monotonic()
    with agent.client.connect() as connection:
        try:
            for _ in range(100):
                connection.sendall(b"\0")
                time.sleep(0.05)
        except OSError:
            pass
    assert time.monotonic() - start < 3
    agent.client.ping()


def test_a_client_that_sends_for_ever(agent):
    def resident():
        pids = [agent.pid]
        with open(f"/proc/{pids[0]}/task/{pids[0]}/children") as children:
            pids += map(int, children.read().split())
        return sum(int(line.split()[1]) for pid in pids for line in open(f"/proc/{pid}/status") if line.startswith("VmRSS"))

    agent.client.ping()
    before = resident()
    chunk, sent = bytes(1 << 20), 0
    with agent.client.connect() as connection:
        try:
            while sent < 64 << 20:
                connection.sendall(chunk)
                sent += len(chunk)
        except OSError:
            pass
        assert sent < 8 << 20
        try:
            answer = read_all(connection)
        except ConnectionResetError:
            answer = b""
        if answer:
            with pytest.raises(ServerError, match="Failed to parse the received frame: too large"):
                decode(answer, 0)
    assert resident() - before < 16 << 10
    agent.client.ping()


def test_a_client_that_does_not_read(start_agent, module, token, make_key):
    agent = start_agent(module, token.pin_file, "--client-timeout", "1")
    make_key("device")
    with agent.client.connect() as connection:
        connection.sendall(frame(22, b"\0", b"\0"))
        connection.shutdown(socket.SHUT_WR)
        time.sleep(1.5)
        agent.client.ping()
    with agent.client.connect() as connection:
        connection.sendall(frame(2, blob(b"data"), option("pkcs11:object=device"), b"\0"))
    agent.client.ping()
