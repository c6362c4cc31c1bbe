# SPDX-License-Identifier: Apache-2.0
"""The key agent's PKCS #11 socket: stock programs through the stock p11-kit-client.so, with no PIN anywhere near them."""

import concurrent.futures
import json
import os
import socket
import struct
import time

import pytest

import agent_kit
import conftest
import pkcs11_client
from pkcs11_client import CKO, Refused

pytestmark = pytest.mark.skipif(not pkcs11_client.client_path(), reason="p11-kit-client.so is not installed (package p11-kit-modules)")


@pytest.fixture
def start(server, build, workdir, token):
    """start(*options, policy=, ...): an agent for token; see agent_kit.Agent."""

    def go(*options, policy=None, module=token.module, pin_source=token.pin_file, **named):
        directory = workdir / "agent"
        directory.mkdir(exist_ok=True)
        if policy is not None:
            (directory / "policy").write_text(policy)
        return agent_kit.Agent(server, build, directory, module, *options, pin_source=pin_source, **named)

    return go


@pytest.fixture
def tool(run):
    """tool(agent, *args): pkcs11-tool through the agent's socket."""

    def go(agent, *args, **named):
        return run(["pkcs11-tool", "--module", pkcs11_client.client_path(), *args],
                   extra_env={"P11_KIT_SERVER_ADDRESS": f"unix:path={agent.pkcs11}"}, **named)

    return go


@pytest.fixture
def p11tool(run):
    def go(agent, *args, **named):
        return run(["p11tool", "--provider", pkcs11_client.client_path(), "--batch", *args],
                   extra_env={"P11_KIT_SERVER_ADDRESS": f"unix:path={agent.pkcs11}"}, **named)

    return go


def refused(name, call, *args):
    with pytest.raises(Refused) as error:
        call(*args)
    assert error.value.name == name


# Stock programs

def test_p11tool_lists_and_generates_without_a_pin(start, p11tool, token, make_key):
    make_key("tls")
    agent = start()
    tokens = p11tool(agent, "--list-tokens").stdout
    assert "Label: device" in tokens
    assert "Requires login" not in tokens
    assert "Uninitialized" not in tokens
    keys = p11tool(agent, "--list-privkeys", token.uri).stdout
    assert "Label: tls" in keys
    assert "Private key (EC/ECDSA" in keys
    p11tool(agent, "--generate-privkey", "ecdsa", "--curve", "secp256r1", "--label", "fresh", token.uri)
    assert "Label: fresh" in p11tool(agent, "--list-privkeys", token.uri).stdout


def test_pkcs11_tool_signs_what_openssl_verifies(start, tool, run, token, make_key, workdir):
    make_key("tls")
    agent = start()
    (workdir / "digest").write_bytes(bytes(range(32)))
    tool(agent, "--sign", "--mechanism", "ECDSA", "--label", "tls", "--input-file", "digest", "--output-file", "sig",
         "--signature-format", "openssl")
    tool(agent, "--read-object", "--type", "pubkey", "--label", "tls", "--output-file", "pub.der")
    assert "Verified Successfully" in run(["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "pub.der", "-keyform", "DER",
                                           "-in", "digest", "-sigfile", "sig"]).stdout


def test_pkcs11_tool_generates_but_may_not_delete(start, tool, token):
    agent = start()
    tool(agent, "--keypairgen", "--key-type", "EC:prime256v1", "--label", "fresh", "--id", "07")
    answer = tool(agent, "--delete-object", "--type", "privkey", "--id", "07", code=1)
    assert "0x200" in answer.stderr  # CKR_FUNCTION_REJECTED, which OpenSC has no name for
    assert "fresh" in tool(agent, "--list-objects", "--type", "privkey").stdout
    line = [line for line in agent.audit() if line["request"] == "C_DestroyObject"][0]
    assert line["verdict"] == "deny"
    assert line["op"] == "delete"
    assert "allow delete" in line["to_allow"]


def test_the_rule_that_is_named_lets_it_delete(start, tool, token, make_key):
    make_key("old", id="09")
    agent = start(policy="allow all\n")
    tool(agent, "--delete-object", "--type", "privkey", "--id", "09")
    assert "old" not in tool(agent, "--list-objects", "--type", "privkey").stdout


@pytest.mark.parametrize("request_name, args", [
    ("C_SetPIN", ["--login", "--pin", "654321", "--change-pin", "--new-pin", "123456"]),
    ("C_InitToken", ["--init-token", "--slot-index", "0", "--label", "mine", "--so-pin", "12345678"]),
])
def test_pins_and_tokens_stay_as_they_are(start, tool, token, make_key, request_name, args):
    make_key("tls")
    agent = start()
    assert "0x200" in tool(agent, *args, code=1).stderr
    lines = [line for line in agent.audit() if line["request"] == request_name]
    assert lines and lines[0]["verdict"] == "deny"
    assert "tls" in tool(agent, "--list-objects", "--type", "privkey").stdout


def test_ssh_signs_with_a_key_behind_the_agent(start, run, make_key, workdir):
    make_key("ssh")
    agent = start()
    env = {"P11_KIT_SERVER_ADDRESS": f"unix:path={agent.pkcs11}"}
    public = run(["ssh-keygen", "-D", pkcs11_client.client_path()], extra_env=env).stdout
    assert public.startswith("ecdsa-sha2-nistp256 ")
    (workdir / "key.pub").write_text(public.splitlines()[0] + "\n")
    (workdir / "allowed").write_text("me " + public.splitlines()[0] + "\n")
    (workdir / "text").write_text("a text\n")
    started = run(["ssh-agent", "-P", "/usr/*", "-a", workdir / "ssh.sock"], extra_env=env).stdout
    pid = int(started.split("SSH_AGENT_PID=")[1].split(";")[0])
    try:
        with_agent = {**env, "SSH_AUTH_SOCK": str(workdir / "ssh.sock"), "SSH_ASKPASS": "/bin/true", "SSH_ASKPASS_REQUIRE": "force"}
        run(["ssh-add", "-s", pkcs11_client.client_path()], extra_env=with_agent)
        run(["ssh-keygen", "-Y", "sign", "-n", "file", "-f", "key.pub", "text"], extra_env=with_agent)
        run(["ssh-keygen", "-Y", "verify", "-n", "file", "-f", "allowed", "-I", "me", "-s", "text.sig"], extra_env=env,
            input="a text\n")
    finally:
        os.kill(pid, 15)


# Clients among each other

def test_a_client_that_finalises_or_logs_out_disturbs_nobody(start, make_key):
    make_key("tls")
    agent = start()
    one, two = pkcs11_client.Client(agent.pkcs11), pkcs11_client.Client(agent.pkcs11)
    session_one, session_two = one.open(), two.open()
    key_one, key_two = one.key(session_one, "tls"), two.key(session_two, "tls")
    one.call("Logout", session_one)
    assert one.find(session_one, **{"class": CKO["private"]}) == []
    refused("KEY_HANDLE_INVALID", one.sign, session_one, key_one)
    assert two.sign(session_two, key_two)
    one.call("Login", session_one, pkcs11_client.CKU_USER, b"wrong", 5)
    assert one.sign(session_one, key_one)
    one.finalize()
    assert two.sign(session_two, key_two)
    two.finalize()


def test_handles_are_a_clients_own(start, make_key):
    make_key("tls")
    agent = start()
    one, two = pkcs11_client.Client(agent.pkcs11), pkcs11_client.Client(agent.pkcs11)
    session_one, session_two = one.open(), two.open()
    key = one.key(session_one, "tls")
    refused("KEY_HANDLE_INVALID", two.sign, session_two, key)
    other = one.open()
    refused("SESSION_HANDLE_INVALID", two.find, other)
    two.call("CloseAllSessions", two.slot_of("device"))
    assert one.sign(session_one, key)


def test_session_objects_are_a_clients_own_and_go_with_it(start, token):
    agent = start()
    one, two = pkcs11_client.Client(agent.pkcs11), pkcs11_client.Client(agent.pkcs11)
    session_one, session_two = one.open(), two.open()
    _, key = one.generate(session_one, "mine", token=False)
    assert one.sign(session_one, key)
    assert key in one.find(session_one, label=b"mine")
    assert two.find(session_two, label=b"mine") == []
    one.finalize()
    assert two.find(session_two, label=b"mine") == []
    assert not [line for line in agent.audit() if line.get("op") == "create"]


def test_any_pin_will_do_and_the_so_may_not_log_in(start, make_key):
    make_key("tls")
    agent = start()
    client = pkcs11_client.Client(agent.pkcs11)
    info = client.token_info(client.slot_of("device"))
    assert not info.flags & pkcs11_client.CKF_LOGIN_REQUIRED
    session = client.open()
    client.call("Login", session, pkcs11_client.CKU_USER, b"", 0)
    client.call("Login", session, pkcs11_client.CKU_USER, b"no PIN at all", 13)
    refused("USER_ANOTHER_ALREADY_LOGGED_IN", client.call, "Login", session, pkcs11_client.CKU_SO, b"12345678", 8)
    assert client.sign(session, client.key(session, "tls"))
    assert agent.metrics()["signatures_total"] == 1


def test_many_clients_at_once(start, make_key):
    make_key("tls")
    agent = start()

    clients = [pkcs11_client.Client(agent.pkcs11) for _ in range(20)]
    sessions = [client.open() for client in clients]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        sizes = pool.map(lambda client, session: len(client.sign(session, client.key(session, "tls"))), clients, sessions)
        assert list(sizes) == [64] * 20
    assert agent.metrics()["signatures_total"] == 20


# Policy

def test_what_policy_does_not_let_it_list_is_not_there(start, tool, make_key):
    make_key("shown", id="01")
    make_key("hidden", id="02")
    agent = start(policy="deny all key=pkcs11:object=hidden\nallow list,sign\n")
    client = pkcs11_client.Client(agent.pkcs11)
    session = client.open()
    labels = {client.get(session, handle, "label") for handle in client.find(session)}
    assert labels == {b"shown"}
    assert client.find(session, label=b"hidden") == []
    assert "hidden" not in tool(agent, "--list-objects").stdout
    for handle in range(1, 12):
        try:
            assert client.get(session, handle, "label") == b"shown"
        except Refused as error:
            assert error.name == "OBJECT_HANDLE_INVALID"


def test_what_may_be_listed_may_not_be_signed_with(start, make_key):
    make_key("tls")
    agent = start(policy="deny sign\n")
    client = pkcs11_client.Client(agent.pkcs11)
    session = client.open()
    refused("FUNCTION_REJECTED", client.sign, session, client.key(session, "tls"))
    line = [line for line in agent.audit() if line["request"] == "C_Sign"][0]
    assert line["verdict"] == "deny" and "object=tls" in line["key"]
    assert agent.metrics()["requests_denied_total"] == 1


def test_a_copy_is_no_way_around_policy(start, make_key):
    make_key("tls")
    agent = start(policy="deny sign\n")
    client = pkcs11_client.Client(agent.pkcs11)
    session = client.open()
    array, count, _ = pkcs11_client.template(token=False, label=b"copy")
    copy = pkcs11_client.Ulong()
    try:
        client.call("CopyObject", session, client.key(session, "tls"), array, count, pkcs11_client.ctypes.byref(copy))
    except Refused:
        pytest.skip("this token does not copy keys")
    refused("FUNCTION_REJECTED", client.sign, session, copy.value)


def test_a_key_in_use_is_not_renamed_but_a_new_one_may_be(start, make_key):
    make_key("tls")
    agent = start()
    client = pkcs11_client.Client(agent.pkcs11)
    session = client.open()
    array, count, _ = pkcs11_client.template(label=b"renamed")
    refused("FUNCTION_REJECTED", client.call, "SetAttributeValue", session, client.key(session, "tls"), array, count)
    _, fresh = client.generate(session, "fresh")
    client.call("SetAttributeValue", session, fresh, array, count)
    assert client.get(session, fresh, "label") == b"renamed"
    assert client.sign(session, client.key(session, "renamed"))


@pytest.mark.modules("ours")
def test_only_the_agents_token_is_shown(start, make_token, token, make_key, p11tool):
    make_key("tls")
    make_token("other")
    agent = start("--uri", "pkcs11:token=device")
    client = pkcs11_client.Client(agent.pkcs11)
    assert [client.token_info(slot).label.decode().rstrip() for slot in client.slots()] == ["device"]
    refused("SLOT_ID_INVALID", client.token_info, 4711)


def test_a_mechanism_may_not_bring_pointers_along(start, make_key):
    """libp11-kit hands a parameter that it does not know on as it came."""
    make_key("tls")
    agent = start(policy="allow all\n")
    client = pkcs11_client.Client(agent.pkcs11)
    session = client.open()
    key = client.key(session, "tls")
    # By hand, since the stock client would not send it: C_SignInit (call 42), "uMu", a vendor's mechanism with 24 bytes.
    stranger = Raw(agent.pkcs11)
    stranger.start()
    slot = client.slot_of("device")
    opened = stranger.call(10, b"uu", struct.pack(">QQ", slot, 6))
    session = struct.unpack(">Q", opened[-8:])[0]
    mechanism = struct.pack(">II", 0x80000001, 24) + bytes(range(24))
    assert stranger.error(42, b"uMu", struct.pack(">Q", session) + mechanism + struct.pack(">Q", 1)) in (
        pkcs11_client.CKR["MECHANISM_PARAM_INVALID"], pkcs11_client.CKR["KEY_HANDLE_INVALID"])
    assert key


# The wire

class Raw:
    """Bytes of p11-kit's RPC, by hand."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(20)
        self.socket.connect(str(path))

    def send(self, data):
        self.socket.sendall(data)

    def receive(self, size):
        data = b""
        while len(data) < size:
            part = self.socket.recv(size - len(data))
            if not part:
                return data
            data += part
        return data

    def exchange(self, message):
        self.send(struct.pack(">III", 1, 0, len(message)) + message)
        header = self.receive(12)
        return self.receive(struct.unpack(">III", header)[2]) if len(header) == 12 else b""

    def call(self, number, signature, arguments=b""):
        return self.exchange(struct.pack(">II", number, len(signature)) + signature + arguments)

    def error(self, number, signature, arguments=b""):
        """The CK_RV of a call that fails; None of one that does not."""
        answer = self.call(number, signature, arguments)
        return struct.unpack(">Q", answer[-8:])[0] if answer[:4] == bytes(4) else None

    def start(self):
        self.send(b"\0")
        assert self.receive(1) == b"\0"
        handshake = b"PRIVATE-GNOME-KEYRING-PKCS11-PROTOCOL-V-1"
        answer = self.call(1, b"ayyay", b"\1" + struct.pack(">I", len(handshake)) + handshake + b"\0" + b"\0")
        if not answer:
            pytest.skip("libp11-kit does not take the call as 0.24 writes it, and as it is written here")
        assert answer[:4] == struct.pack(">I", 1), answer


@pytest.mark.modules("ours")
@pytest.mark.parametrize("garbage", [
    b"GET / HTTP/1.1\r\n\r\n" + bytes(64),
    b"\0" + b"\xff" * 64,
    b"\0" + struct.pack(">III", 1, 0, 8) + b"\xff" * 8,
    b"\0" + struct.pack(">III", 1, 0, 0xffffffff),
    b"\0" + struct.pack(">III", 1, 0xffffffff, 8),
    b"\0" + struct.pack(">III", 1, 0, 0),
], ids=["http", "ones", "bad call", "4 GiB", "4 GiB of options", "empty"])
def test_garbage_costs_its_sender_the_connection_alone(start, make_key, garbage):
    make_key("tls")
    agent = start()
    client = pkcs11_client.Client(agent.pkcs11)
    session = client.open()
    key = client.key(session, "tls")
    worker = agent.worker
    raw = Raw(agent.pkcs11)
    raw.send(garbage)
    if garbage[:1] == b"\0":
        assert raw.receive(1) == b"\0"
        raw.socket.shutdown(socket.SHUT_WR)
        raw.receive(1024)
    assert client.sign(session, key)
    assert agent.worker == worker


@pytest.mark.modules("ours")
def test_a_request_for_gigabytes_is_refused_and_the_connection_goes_on(start, make_key):
    make_key("tls")
    agent = start()
    raw = Raw(agent.pkcs11)
    raw.start()
    # C_GetSlotList "yfu", C_GetMechanismList "ufu": room for 2^28 numbers.
    assert raw.error(4, b"yfu", b"\1" + struct.pack(">I", 1 << 28)) == pkcs11_client.CKR["DEVICE_MEMORY"]
    assert raw.error(7, b"ufu", struct.pack(">QI", 1, 0x7fffffff)) == pkcs11_client.CKR["DEVICE_MEMORY"]
    # C_GetAttributeValue "uufA" (call 24): one attribute of 1 GiB.
    assert raw.error(24, b"uufA", struct.pack(">QQIII", 1, 1, 1, 3, 1 << 30)) == pkcs11_client.CKR["DEVICE_MEMORY"]
    # C_FindObjectsInit "uaA" (call 26): 2^31 attributes in no bytes.
    assert raw.error(26, b"uaA", struct.pack(">QI", 1, 1 << 31)) == 7
    assert raw.call(3, b"")[:4] == struct.pack(">I", 3)


@pytest.mark.modules("ours")
def test_every_truncation_of_a_request_leaves_the_agent_well(start, make_key):
    make_key("tls")
    agent = start()
    worker = agent.worker
    message = struct.pack(">II", 10, 2) + b"uu" + struct.pack(">QQ", 1, 4)
    frame = b"\0" + struct.pack(">III", 1, 6, len(message)) + b"client" + message
    for size in range(len(frame)):
        raw = Raw(agent.pkcs11)
        raw.send(frame[:size])
        raw.socket.close()
    client = pkcs11_client.Client(agent.pkcs11)
    session = client.open()
    assert client.sign(session, client.key(session, "tls"))
    assert agent.worker == worker


@pytest.mark.modules("ours")
def test_requests_that_come_byte_by_byte_or_all_at_once(start, make_key):
    agent = start()
    raw = Raw(agent.pkcs11)
    for byte in b"\0" + struct.pack(">III", 1, 0, 8) + struct.pack(">II", 3, 0):
        raw.send(bytes([byte]))
        time.sleep(0.002)
    assert raw.receive(1) == b"\0"
    header = raw.receive(12)
    answer = raw.receive(struct.unpack(">III", header)[2])
    assert struct.unpack(">Q", answer[-8:])[0] == pkcs11_client.CKR["CRYPTOKI_NOT_INITIALIZED"]
    message = struct.pack(">II", 3, 0)
    raw.send(b"".join(struct.pack(">III", code, 0, len(message)) + message for code in range(1, 50)))
    for code in range(1, 50):
        got, _, size = struct.unpack(">III", raw.receive(12))
        assert got == code
        raw.receive(size)


# What goes away and comes back

@pytest.mark.modules("ours")
def test_a_client_that_hangs_up_in_an_operation(start, make_key):
    make_key("tls")
    agent = start()
    for _ in range(5):
        raw = Raw(agent.pkcs11)
        raw.start()
        client = pkcs11_client.Client(agent.pkcs11)
        session = client.open()
        client.sign_init(session, client.key(session, "tls"))
        opened = raw.call(10, b"uu", struct.pack(">QQ", client.slot_of("device"), 6))
        session = struct.unpack(">Q", opened[-8:])[0]
        raw.call(26, b"uaA", struct.pack(">QI", session, 0))
        raw.socket.close()
        client.finalize()
    # Its own connection is the one that asks.
    agent_kit.wait_until(lambda: agent.status()["connections_open"] <= 1, "end of the clients")
    client = pkcs11_client.Client(agent.pkcs11)
    session = client.open()
    assert client.sign(session, client.key(session, "tls"))


def test_a_client_goes_on_after_the_agent_was_away(start, token, make_key, server):
    """The stock client's connection is gone for good, which it tells; C_Initialize makes another."""
    make_key("tls")
    agent = start()
    client = pkcs11_client.Client(agent.pkcs11)
    session = client.open()
    key = client.key(session, "tls")
    agent.kill_worker()
    refused("DEVICE_ERROR", client.sign, session, key)
    client.finalize()
    client.call("Initialize", None)
    session = client.open()
    assert client.sign(session, client.key(session, "tls"))


@pytest.mark.modules("ours")
def test_a_wrong_pin_is_told_and_tried_once(start, token, make_key, workdir):
    make_key("tls")
    wrong = workdir / "wrong.pin"
    wrong.touch(mode=0o600)
    wrong.write_text("000000\n")
    agent = start(pin_source=wrong)
    client = pkcs11_client.Client(agent.pkcs11)
    for _ in range(20):
        refused("PIN_INCORRECT", client.open)
    assert not client.token_info(client.slot_of("device")).flags & 0x40000  # CKF_USER_PIN_LOCKED
    wrong.write_text(token.pin + "\n")
    session = client.open()
    assert client.sign(session, client.key(session, "tls"))


def test_a_key_made_or_replaced_by_another_program(start, token, make_key, run):
    make_key("tls", id="01")
    agent = start()
    client = pkcs11_client.Client(agent.pkcs11)
    session = client.open()
    key = client.key(session, "tls")
    assert client.sign(session, key)
    for kind in ("privkey", "pubkey"):
        run(["pkcs11-tool", "--module", token.module, "--token-label", token.label, "--login", "--pin", token.pin,
             "--delete-object", "--type", kind, "--id", "01"])
    refused("KEY_HANDLE_INVALID", client.sign, session, key)
    make_key("tls", id="01")
    assert client.sign(session, client.key(session, "tls"))
    # The old handle leads to the key that has taken its place.
    assert client.sign(session, key)


# Our own programs in mode socket

@pytest.fixture
def socket_mode(workdir):
    """socket_mode(agent): the configuration names the agent's socket, and no PIN."""

    def write(agent):
        path = workdir / "config.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps({"device": {"cryptoki": {"mode": "socket", "pkcs11_socket_path": str(agent.pkcs11)}}}))

    return write


def test_the_command_line_in_mode_socket(start, run, holdfast, token, make_key, socket_mode):
    make_key("tls")
    agent = start()
    socket_mode(agent)
    assert "tls" in run([holdfast, "key", "list"]).stdout
    assert "tls" in run([holdfast, "key", "list", "--module", f"unix:path={agent.pkcs11}"]).stdout
    run([holdfast, "key", "generate", "--label", "fresh"])
    assert "fresh" in run([holdfast, "key", "list"]).stdout
    answer = run([holdfast, "key", "delete", f"{token.uri};object=tls", "--yes"], code=None)
    assert answer.code != 0
    assert "CKR_FUNCTION_REJECTED" in answer.stderr
    assert "tls" in run([holdfast, "key", "list"]).stdout


def test_without_the_agent_the_command_line_says_so(start, run, holdfast, token, make_key, socket_mode):
    agent = start()
    socket_mode(agent)
    agent.server.stop()
    for command in (["key", "list"], ["token", "list"]):
        answer = run([holdfast, *command], code=5)
        assert f"the key agent at {agent.pkcs11}" in answer.stderr
        assert "hint:" in answer.stderr


def test_tls_with_both_keys_behind_the_agent(start, run, server, token, make_key, socket_mode, openssl_conf, pki, workdir,
                                             free_port):
    uris = {name: make_key(name, id=id) for name, id in (("server", "01"), ("client", "02"))}
    agent = start()
    socket_mode(agent)
    conf = openssl_conf()
    certs = {}
    for name, uri in uris.items():
        run(["openssl", "req", "-new", "-key", uri, "-subj", f"/CN={name}", "-out", f"{name}.csr"], extra_env=conf)
        certs[name] = pki.sign(workdir / f"{name}.csr", name)
    port = free_port()
    listener = server(["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-key", uris["server"], "-cert", certs["server"],
                       "-CAfile", pki.ca, "-Verify", "1", "-verify_return_error", "-www"], line="ACCEPT", extra_env=conf)

    def connect(code=0):
        return run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-key", uris["client"], "-cert", certs["client"],
                    "-CAfile", pki.ca, "-verify_return_error"], input="GET / HTTP/1.0\r\n\r\n", extra_env=conf, code=code)

    assert "Verification: OK" in connect().stdout
    # The server's connection to the agent is older than the worker that serves it now.
    agent.kill_worker()
    assert "Verification: OK" in connect().stdout
    assert listener.process.poll() is None
    agent.server.stop()
    assert f"the key agent at {agent.pkcs11}" in connect(code=1).stderr


def test_p11_kit_finds_the_agent_by_its_module_file(start, run, workdir, token, make_key):
    """What is installed, with the test's own socket in it; p11-kit's user configuration, which root has none of, stands
    for /usr/share."""
    make_key("tls")
    agent = start(policy="allow list user=nobody\n")
    modules = workdir / ".config/pkcs11/modules"
    modules.mkdir(parents=True)
    installed = (conftest.SOURCE / "src/agent/holdfast-agent.module").read_text()
    assert "remote: unix:path=/run/holdfast/pkcs11.sock" in installed
    (modules / "test-agent.module").write_text(installed.replace("/run/holdfast/pkcs11.sock", str(agent.pkcs11)))
    as_user = []
    if os.geteuid() == 0:
        as_user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        for path in (workdir, agent.dir):
            path.chmod(0o755)
        agent.pkcs11.chmod(0o666)
    assert "Label: tls" in run([*as_user, "p11tool", "--batch", "--list-privkeys", token.uri]).stdout
