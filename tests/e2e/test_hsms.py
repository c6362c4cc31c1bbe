# SPDX-License-Identifier: Apache-2.0
"""Every part of Holdfast on every HSM that a test can have: see hsm_kit. What docs/hsms.md says is checked here."""

import json

import pytest

import pkcs11_client
from agent_kit import Agent, wait_until
from hsm_kit import card, hsm, reach  # noqa: F401 (fixtures)
from p11_server_client import ServerError, spki
from pkcs11_client import CKO, Refused

CARDS = pytest.mark.parametrize("hsm", ["yubikey", "opensc"], indirect=True)


@pytest.fixture
def data(workdir):
    path = workdir / "data"
    path.write_text("telemetry")
    return path


@pytest.fixture
def verify(run, workdir, data):
    """verify(pem, signature, kind): by openssl."""

    def check(pem, signature, kind="p256"):
        (workdir / "pub.pem").write_text(pem)
        (workdir / "sig").write_bytes(signature)
        if kind == "ed25519":
            return run(["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", "pub.pem", "-sigfile", "sig", "-in", data])
        padding = ["-sigopt", "rsa_padding_mode:pss"] if kind == "rsa" else []
        return run(["openssl", "dgst", "-sha256", "-verify", "pub.pem", "-signature", "sig", *padding, data])

    return check


def sign(hsm, key, **options):
    return hsm.run([hsm.holdfast, "sign", key, "data", "--out", "signature", *hsm.access], **options)


# The commands

def test_each_kind_of_key(hsm, run, holdfast, verify, workdir):
    for kind in hsm.traits.kinds:
        key = hsm.create_key(f"device-{kind}", kind)
        sign(hsm, key)
        verify(run([holdfast, "pubkey", key, *hsm.access]).stdout, (workdir / "signature").read_bytes(), kind)


def test_listings(hsm, run, holdfast):
    key = hsm.create_key("device")
    tokens = json.loads(run([holdfast, "token", "list", "--module", hsm.module, "--json"]).stdout)
    assert len([token for token in tokens if "initialized" in token["flags"]]) == 1
    keys = json.loads(run([holdfast, "key", "list", *hsm.access, "--json"]).stdout)
    private = [entry for entry in keys if entry["class"] == "private"]
    assert len(private) == 1
    assert not hsm.traits.names_keys or private[0]["label"] == "device"
    # What is listed leads back to the key.
    assert run([holdfast, "pubkey", private[0]["uri"], *hsm.access]).stdout == run([holdfast, "pubkey", key, *hsm.access]).stdout


def test_what_generating_takes_is_told(hsm, run, holdfast):
    """Each HSM's refusal says what to give. Nothing is made meanwhile: ykcs11 would take an id's first byte for the place."""
    generate = [holdfast, "key", "generate", "--label", "device"]
    if hsm.traits.generates_as_so:
        assert "--so-pin-source" in run([*generate, "--id", "01", *hsm.access], code=1).stderr
        for id in ([], ["--id", "0304"]):
            as_so = [*generate, *id, *hsm.access, "--so-pin-source", hsm.so_pin_file]
            assert "03 slot 9d" in run(as_so, code=1).stderr
        assert hsm.card.slots() == []
    elif not hsm.traits.generates:
        hsm.create_key()
        assert "no key pairs of any kind" in run([*generate, *hsm.access], code=1).stderr
    else:
        run([*generate, *hsm.access])


def test_the_device_s_key(hsm, run, holdfast):
    """hsm create-key: made once, then used again, and saved as the device's."""
    hsm.configure()
    access = ["--id", "01", "--so-pin-source", hsm.so_pin_file] if hsm.traits.generates_as_so else []
    if not hsm.traits.generates:
        pytest.skip("its keys are made by a tool of its own")
    made = json.loads(run([holdfast, "hsm", "create-key", "--label", "device", "--json", *access], timeout=60).stdout)
    assert made["created"] and made["saved"]
    assert run([holdfast, "config", "get", "device.key_uri"]).stdout.strip() == made["uri"]
    assert run([holdfast, "pubkey", made["uri"]]).stdout == made["public_key"]
    if hsm.traits.names_keys:
        again = json.loads(run([holdfast, "hsm", "create-key", hsm.label, "--label", "device", "--json"]).stdout)
        assert again == {**made, "created": False}


@pytest.mark.parametrize("hsm", ["tpm"], indirect=True)
def test_kinds_that_it_lacks(hsm, run, holdfast):
    """What it lacks is told, and what it offers. It says P-521, but trips over such a key of its own when it is to sign."""
    for options, line in ((["--type", "ed25519"], "the token does not offer this mechanism: Ed25519 keys in token 'hsm'"),
                          (["--type", "rsa", "--bits", "4096"], "the key size is not supported: RSA-4096 keys in token 'hsm'")):
        result = run([holdfast, "key", "generate", "--token", hsm.label, "--label", "device", *options, *hsm.access], code=1)
        assert line in result.stderr and "It offers P-256, P-384, P-521, RSA of 1024 to 3072 bits." in result.stderr
    result = run([holdfast, "key", "generate", "--token", hsm.label, "--label", "device", "--curve", "p521", *hsm.access], code=1)
    assert "the new key does not sign, and was deleted" in result.stderr
    assert run([holdfast, "key", "list", "--token", hsm.label, "--json", *hsm.access]).stdout.strip() == "[]"


@CARDS
def test_a_pin_for_each_signature_and_a_key_without_one(hsm, run, verify, holdfast, workdir):
    for place, kind in (("9c", "p256"), ("9e", "p384")):
        key = hsm.create_key("device", kind, place)
        sign(hsm, key)
        verify(run([holdfast, "pubkey", key, *hsm.access]).stdout, (workdir / "signature").read_bytes())


@pytest.mark.parametrize("hsm", ["opensc"], indirect=True)
def test_a_key_for_decryption_does_not_sign(hsm, data):
    answer = sign(hsm, hsm.create_key("device", "rsa", "9d"), code=1)
    assert "the key is of the wrong type" in answer.stderr


@pytest.mark.parametrize("hsm", ["yubikey"], indirect=True)
def test_a_key_without_certificate(hsm, run, holdfast, verify, workdir):
    """ykcs11 knows it by the card's metadata, and spells its curve out in numbers."""
    for place, id, kind, curve in (("9a", "01", "p256", "secp256r1"), ("9d", "03", "p384", "secp384r1")):
        hsm.card.generate_key(place, hsm.algorithms[kind])
        key = f"{hsm.uri};id=%{id};type=private"
        assert curve in run([holdfast, "key", "list", key, *hsm.access]).stdout
        sign(hsm, key)
        verify(run([holdfast, "pubkey", key, *hsm.access]).stdout, (workdir / "signature").read_bytes())


def test_several_keys_are_told_apart(hsm, run, holdfast):
    keys = [hsm.create_key(name) for name in ("one", "two")]
    pems = [run([holdfast, "pubkey", key, *hsm.access]).stdout for key in keys]
    assert pems[0] != pems[1]
    refusal = run([holdfast, "pubkey", f"{hsm.uri};type=private", *hsm.access], code=None)
    assert refusal.code != 0
    assert "2 objects: pkcs11:" in refusal.stderr


# The PIN

def test_a_wrong_pin_spends_one_try_and_never_the_last(hsm, run, holdfast):
    hsm.create_key()
    command = [holdfast, "key", "list", "--token", hsm.uri, "--module", hsm.module, "--pin"]
    answer = run([*command, "000000"], code=4)
    assert "the PIN is wrong" in answer.stderr and "hint:" in answer.stderr and "000000" not in answer.stderr
    if not hsm.traits.pin_tries:
        assert run([*command, hsm.pin]).stdout
        return
    assert hsm.tries() == hsm.traits.pin_tries - 1
    for number in range(hsm.traits.pin_tries + 2):
        run([*command, f"00000{number % 10}"], code=4)
    assert hsm.tries() == 1
    assert "one try is left" in run([*command, hsm.pin], code=4).stderr


@CARDS
def test_a_pin_of_the_wrong_length(hsm, run, holdfast):
    """ykcs11 answers CKR_ARGUMENTS_BAD, and spends no try; to OpenSC four digits are a PIN like any other."""
    hsm.create_key()
    for pin in ("123", "123456789"):
        answer = run([holdfast, "key", "list", "--module", hsm.module, "--pin", pin], code=4)
        assert "too short or too long" in answer.stderr
    assert hsm.tries() == hsm.traits.pin_tries


# The provider

def s_server(server, pki, port, cert, key, **options):
    return server(["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", cert, "-key", key, "-CAfile", pki.ca, "-Verify", "1",
                   "-verify_return_error", "-www"], line="ACCEPT", **options)


def s_client(run, pki, port, cert, key, **options):
    return run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-cert", cert, "-key", key, "-CAfile", pki.ca,
                "-verify_return_error", "-brief"], input="GET / HTTP/1.0\r\n\r\n", **options)


@pytest.fixture
def certify(run, pki, workdir):
    """certify(key, conf): the certificate for a key in the HSM."""

    def request(key, conf):
        run(["openssl", "req", "-new", "-key", key, "-subj", "/CN=device", "-out", "device.csr"], extra_env=conf)
        return pki.sign(workdir / "device.csr", "device")

    return request


def test_tls_client(hsm, reach, run, server, pki, free_port, openssl_conf, certify):
    key = hsm.create_key()
    reach()
    conf, port = openssl_conf(), free_port()
    cert = certify(key, conf)
    other_key, other_cert = pki.key_and_cert("server")
    s_server(server, pki, port, other_cert, other_key)
    for _ in range(2):
        assert "Verification: OK" in s_client(run, pki, port, cert, key, extra_env=conf).stderr


def test_certificate_in_the_token(hsm, run, holdfast, server, pki, free_port, openssl_conf, certify, workdir):
    """Both sides of a handshake name key and certificate by URI."""
    key = hsm.create_key()
    hsm.configure()
    conf, port = openssl_conf(), free_port()
    path = certify(key, conf)
    cert = hsm.store_certificate(key, path)
    assert run([holdfast, "pubkey", cert]).stdout == run([holdfast, "pubkey", key]).stdout
    assert run(["openssl", "x509", "-in", cert], extra_env=conf).stdout == run(["openssl", "x509", "-in", path], extra_env=conf).stdout
    s_server(server, pki, port, cert, key, extra_env=conf)
    s_client(run, pki, port, cert, key, extra_env=conf)


def test_a_certificate_by_holdfast(hsm, run, holdfast):
    hsm.configure(device_key_uri=hsm.create_key())
    answer = run([holdfast, "cert", "create", "--device-id", "device", "--to-token"], code=None)
    if hsm.traits.stores_certificates:
        assert answer.code == 0 and ";type=cert" in answer.stderr
    else:
        assert answer.code == 1 and "use its vendor's tool" in answer.stderr


def test_pulled_and_plugged_under_a_running_server(hsm, run, server, pki, free_port, openssl_conf, certify):
    key = hsm.create_key()
    hsm.configure()
    conf, port = openssl_conf(), free_port()
    cert = certify(key, conf)
    other_key, other_cert = pki.key_and_cert("client")
    listener = s_server(server, pki, port, cert, key, extra_env=conf)
    s_client(run, pki, port, other_cert, other_key)
    for is_used in (True, False):
        hsm.pull()
        if is_used:
            assert s_client(run, pki, port, other_cert, other_key, code=None).code != 0
        hsm.plug()
        wait_until(lambda: s_client(run, pki, port, other_cert, other_key, code=None).code == 0, "handshake")
    assert listener.process.poll() is None


# The agent

@pytest.fixture
def key(hsm):
    return hsm.create_key()


@pytest.fixture
def agent(hsm, key, server, build, workdir):
    """An agent for the key: a TPM's module shows what others make only once it is started anew."""
    return Agent(server, build, workdir / "agent", hsm.module, pin_source=hsm.pin_file)


def test_agent(hsm, key, run, holdfast, agent, verify, workdir):
    """By both sockets, with no PIN at the client."""
    assert agent.client.choose_scheme([0x0403], key) == (0x0403, 3)
    verify(spki(agent.client.public_key_pem(key)), agent.client.sign(b"telemetry", key))
    listed = run(["pkcs11-tool", "--module", pkcs11_client.client_path(), "-O"], extra_env={"P11_KIT_SERVER_ADDRESS": f"unix:path={agent.pkcs11}"})
    assert "Private Key Object; EC" in listed.stdout
    hsm.configure(agent)
    run([holdfast, "sign", key, "data", "--out", "signature"])
    verify(run([holdfast, "pubkey", key]).stdout, (workdir / "signature").read_bytes())


def test_agent_with_a_wrong_pin(hsm, key, agent):
    hsm.pin_file.write_text("000000\n")
    for _ in range(4):
        with pytest.raises(ServerError, match="PIN"):
            agent.client.sign(b"telemetry", key)
    if hsm.traits.pin_tries:
        assert hsm.tries() == hsm.traits.pin_tries - 1
    hsm.pin_file.write_text(hsm.pin + "\n")
    agent.client.sign(b"telemetry", key)


def signs(agent, key):
    try:
        return agent.client.sign(b"telemetry", key)
    except ServerError:
        return None


def test_pulled_and_plugged_under_the_agent(hsm, key, run, holdfast, agent, verify):
    hsm.configure(agent)
    pem = spki(agent.client.public_key_pem(key))
    for is_used in (True, False):
        hsm.pull()
        if is_used:
            assert not signs(agent, key)
            assert run([holdfast, "sign", key, "data", "--out", "signature"], code=None).code != 0
        hsm.plug()
        wait_until(lambda: run([holdfast, "sign", key, "data", "--out", "signature"], code=None).code == 0, "signature")
        verify(pem, agent.client.sign(b"telemetry", key))


@pytest.mark.parametrize("hsm", ["ours", "tpm", "yubikey", "opensc"], indirect=True)
def test_a_client_that_stays_over_it(hsm, agent):
    """One connection to the PKCS #11 socket, one session, one handle."""
    client = pkcs11_client.Client(agent.pkcs11)
    session = client.open_slot(client.slots()[0])
    handle, = client.find(session, **{"class": CKO["private"]})
    client.sign(session, handle)
    hsm.pull()
    with pytest.raises(Refused):
        client.sign(session, handle)
    hsm.plug()
    wait_until(lambda: client_signs(client, session, handle), "signature")


def client_signs(client, session, key):
    try:
        return client.sign(session, key)
    except Refused:
        return None


@CARDS
def test_another_program_at_the_same_card(hsm, key, run, holdfast, agent, verify):
    """It selects the applet, and thereby logs the agent out, whose module does not know; so does a look at the token."""
    pem = spki(agent.client.public_key_pem(key))
    client = pkcs11_client.Client(agent.pkcs11)
    session = client.open_slot(client.slots()[0])
    handle, = client.find(session, **{"class": CKO["private"]})
    for _ in range(3):
        run([holdfast, "key", "list", *hsm.access])
        verify(pem, agent.client.sign(b"telemetry", key))
        run([holdfast, "token", "list", "--module", hsm.module])
        client.sign(session, handle)
        agent.status()
        client.sign(session, handle)
        client.token_info(client.slots()[0])
        verify(pem, agent.client.sign(b"telemetry", key))
    assert hsm.tries() == hsm.traits.pin_tries


@CARDS
def test_another_card_is_not_taken_for_the_first(hsm, key, agent, run, holdfast):
    agent.client.sign(b"telemetry", key)
    hsm.pull()
    hsm.card.factory()
    hsm.plug()
    assert not signs(agent, key)
    assert run([holdfast, "sign", key, "data", "--out", "signature", *hsm.access], code=None).code != 0
    other = hsm.create_key()
    wait_until(lambda: signs(agent, other), "signature")


@CARDS
def test_a_pin_for_each_signature_and_none_at_the_client(hsm, server, build, workdir, run, holdfast, data, openssl_conf):
    key = hsm.create_key(place="9c")
    agent = Agent(server, build, workdir / "agent", hsm.module, pin_source=hsm.pin_file)
    hsm.configure(agent)
    for _ in range(2):
        agent.client.sign(b"telemetry", key)
        run([holdfast, "sign", key, "data", "--out", "signature"])
        run(["openssl", "req", "-new", "-key", key, "-subj", "/CN=device", "-out", "device.csr"], extra_env=openssl_conf())
    run(["openssl", "req", "-in", "device.csr", "-noout", "-verify"])
