# SPDX-License-Identifier: Apache-2.0
"""The socket of secrets: who may read what, what is told of it, and what a hostile client achieves."""

import json
import os
import pathlib
import socket
import stat
import threading

import pytest

import conftest
from core_kit import Core, wait_until
from hsm_kit import hsm  # noqa: F401 (a fixture)

pytestmark = [pytest.mark.parametrize("hsm", ["ours"], indirect=True), pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]
READER, STRANGER = 54001, 54002


class Gateway:
    def __init__(self, hsm, core, policy):
        self.hsm, self.core, self.policy = hsm, core, policy
        self.path = core.run_path / "secrets.sock"

    def secret(self, *args, **options):
        return self.hsm.run([self.hsm.holdfast, "secret", *args, "--config", self.core.config], **options)

    def put(self, name, value):
        self.secret("put", name, input=value)

    def get(self, name, *args, uid=READER, **options):
        """By the command, as another user."""
        command = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", self.hsm.holdfast, "secret", "get", name, *args]
        return self.hsm.run([*command, "--socket", self.path], **options)

    def connect(self):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(15)
        connection.connect(str(self.path))
        return connection

    def ask(self, line, connection=None):
        """The answer's line as JSON; {} where there is none."""
        connection = connection or self.connect()
        connection.sendall(line)
        data = b""
        while not data.endswith(b"\n"):
            part = connection.recv(65536)
            if not part:
                return {}
            data += part
        return json.loads(data)

    def audit(self):
        return [json.loads(line) for line in self.core.log.splitlines() if line.startswith("{")]


@pytest.fixture
def gateway(hsm, server, run, holdfast, build, workdir, free_port, env):
    """With a policy that lets READER read what begins with plc/."""
    conftest.needs("/proc/self")
    workdir.chmod(0o755)
    policy = workdir / "policy"
    policy.write_text(f"allow read user={READER} secret=plc/*\n")
    core = Core(server, run, holdfast, build, workdir, free_port())
    key = hsm.create_key("secrets", "rsa")
    hsm.configure(data_path=core.data, run_path=core.run_path, secrets_key_uri=key, secrets_policy_path=policy)
    run([holdfast, "config", "set", "mqtt.bind.port", str(core.port)])
    core.run()
    gateway = Gateway(hsm, core, policy)
    yield gateway
    core.process.stop(15)


def test_who_may_read(gateway):
    assert "there are no secrets" in gateway.get("plc/password", code=1).stderr
    gateway.put("plc/password", "geheim")
    gateway.put("other", "foreign")
    assert gateway.get("plc/password").stdout == "geheim"
    answer = json.loads(gateway.get("plc/password", "--json").stdout)
    assert answer["value"] == "geheim" and answer["stages"] == ["AWSCURRENT"]
    for name, uid in (("other", READER), ("plc/password", STRANGER)):
        result = gateway.get(name, uid=uid, code=1)
        assert result.stdout == "" and f"the policy does not let you read '{name}'" in result.stderr
    # Whether there is one is not told either.
    assert "the policy does not let you" in gateway.get("nothing", uid=STRANGER, code=1).stderr
    assert "there is no secret 'plc/nothing'" in gateway.get("plc/nothing", code=1).stderr
    assert gateway.get("other", uid=0).stdout == "foreign"
    assert stat.S_IMODE(gateway.path.stat().st_mode) == 0o666


def test_labels_and_bytes(gateway):
    gateway.put("plc/key", b"\xff\0\x80")
    gateway.put("plc/key", b"two\n")
    assert gateway.get("plc/key").stdout == "two\n"
    gateway.get("plc/key", "--stage", "AWSPREVIOUS", "--out", "value", uid=0)
    assert (gateway.hsm.dir / "value").read_bytes() == b"\xff\0\x80"
    assert gateway.ask(b'{"get": "plc/key", "stage": "AWSPREVIOUS"}\n')["value_base64"] == "/wCA"
    version = gateway.ask(b'{"get": "plc/key"}\n')["version"]
    assert gateway.ask(json.dumps({"get": "plc/key", "version": version}).encode() + b"\n")["value"] == "two\n"
    big = os.urandom(49152).hex()[:65536]
    gateway.put("plc/big", big)
    assert gateway.get("plc/big").stdout == big


def test_each_read_is_told(gateway):
    gateway.put("plc/password", "geheim")
    gateway.get("plc/password")
    gateway.get("plc/password", uid=STRANGER, code=1)
    gateway.ask(b"nonsense\n")
    wait_until(lambda: len(gateway.audit()) == 3, "audit lines")
    read, denied, nonsense = gateway.audit()
    assert (read["audit"], read["socket"], read["op"], read["secret"]) == ("holdfast-core", "secrets", "read", "plc/password")
    assert (read["uid"], read["verdict"], read["result"]) == (READER, "allow", "ok") and read["version"] and "policy:1" in read["rule"]
    assert (denied["uid"], denied["verdict"], denied["result"]) == (STRANGER, "deny", "permission")
    assert denied["to_allow"] == f"allow read user={STRANGER} secret=plc/password"
    assert nonsense["result"] == "parse" and "secret" not in nonsense
    assert "geheim" not in gateway.core.log


def test_a_changed_policy(gateway, run, holdfast):
    """Taken up by reload; one that is wrong leaves what was."""
    gateway.put("plc/password", "geheim")
    gateway.policy.write_text(f"allow read user={STRANGER}\n")
    gateway.core.process.signal(1)
    wait_until(lambda: gateway.get("plc/password", uid=STRANGER, code=None).code == 0, "new policy")
    gateway.get("plc/password", code=1)
    gateway.policy.write_text("allow raed user=0\n")
    gateway.core.process.signal(1)
    gateway.core.wait_for_line("there is no operation 'raed'")
    assert gateway.get("plc/password", uid=STRANGER).stdout == "geheim"
    allowed = run([holdfast, "agent", "check", "--policy", gateway.policy, "--as", "0", "--op", "read", "--secret", "x"], code=1)
    assert "raed" in allowed.stderr


def test_a_key_that_moves_under_it(gateway):
    gateway.put("plc/password", "geheim")
    assert gateway.get("plc/password").stdout == "geheim"
    other = gateway.hsm.create_key("other", "p256")
    gateway.secret("rewrap", "--key", other)
    assert gateway.get("plc/password").stdout == "geheim"
    gateway.put("plc/password", "neu")
    assert gateway.get("plc/password").stdout == "neu"


def test_nonsense(gateway):
    gateway.put("plc/password", "geheim")
    for line in (b"\n", b"{}\n", b"[]\n", b'{"get": 5}\n', b'{"get": "a", "get": "b"}\n', b'{"get": "a", "rm": "b"}\n', b"\0\0\0\n", b"\xff\xfe\n",
                 b'{"get": "a\\u0000b"}\n', b"[" * 4000 + b"\n", b"x" * 5000, b'{"get": "a", "stage": "b", "version": "c"}\n'):
        answer = gateway.ask(line)
        assert answer["error"] in ("parse", "usage"), (line[:40], answer)
    assert gateway.ask(b'{"get": "' + b"x" * 600 + b'"}\n')["error"] == "usage"
    # One request after the other, and two at once.
    connection = gateway.connect()
    for _ in range(3):
        assert gateway.ask(b'{"get": "plc/password"}\n', connection)["value"] == "geheim"
    connection.sendall(b'{"get": "plc/password"}\n' * 2)
    data = b""
    while data.count(b"\n") < 2:
        data += connection.recv(65536)
    assert data.count(b"geheim") == 2


def test_many_clients(gateway):
    """Who takes all places of a user is refused, and others are served; places come back."""
    gateway.put("plc/password", "geheim")
    idle = [gateway.connect() for _ in range(16)]
    wait_until(lambda: gateway.ask(b"").get("error") == "busy", "refusal")
    assert gateway.get("plc/password").stdout == "geheim"
    for connection in idle:
        connection.close()
    wait_until(lambda: gateway.ask(b'{"get": "plc/password"}\n').get("value") == "geheim", "place")
    failures = []

    def read():
        connection = gateway.connect()
        for _ in range(20):
            answer = gateway.ask(b'{"get": "plc/password"}\n', connection)
            if answer.get("value") != "geheim":
                failures.append(answer)

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_a_wrong_policy_at_the_start(gateway):
    gateway.core.process.stop(15)
    gateway.policy.write_text("allow read user=nobody-of-this-name\n")
    process = gateway.core.run(wait=False).process
    wait_until(lambda: process.process.poll() is not None, "end")
    assert "policy:1: there is no user 'nobody-of-this-name'" in process.log and process.process.returncode == 1
    gateway.policy.unlink()
    gateway.core.run()
    gateway.put("plc/password", "geheim")
    gateway.get("plc/password", code=1)
    assert gateway.ask(b'{"get": "plc/password"}\n')["value"] == "geheim"


def test_it_is_gone_with_the_gateway(gateway):
    gateway.put("plc/password", "geheim")
    connection = gateway.connect()
    gateway.core.process.stop(15)
    assert connection.recv(10) == b""
    assert "holdfast-core serves it" in gateway.get("plc/password", code=5).stderr
    assert pathlib.Path(gateway.core.data / "secrets").is_dir()
    assert gateway.secret("get", "plc/password").stdout == "geheim"
