# SPDX-License-Identifier: Apache-2.0
"""Secrets under a key in the HSM: kept, read offline, moved to another key; whatever is wrong, nothing is lost."""

import json
import os
import pathlib
import stat
import subprocess

import pytest

from agent_kit import Agent
from conftest import built
from hsm_kit import card, hsm  # noqa: F401 (fixtures)
from terminal import converse

METHODS = {"ours": "RSA-OAEP-SHA256", "softhsm2": "RSA-OAEP-SHA1", "tpm": "RSA-OAEP-SHA256", "yubikey": "RSA-OAEP-SHA256",
           "opensc": "RSA-OAEP-SHA256"}


OURS = pytest.mark.parametrize("hsm", ["ours"], indirect=True)
SOFTWARE = pytest.mark.parametrize("hsm", ["ours", "softhsm2"], indirect=True)


class Secrets:
    """holdfast secret, on an HSM and with data of this test's own."""

    def __init__(self, hsm):
        self.hsm, self.run = hsm, hsm.run
        self.data = hsm.dir / "data"

    def configure(self, key=None, agent=None, **keys):
        self.data.mkdir(exist_ok=True)
        self.hsm.configure(agent, data_path=self.data, **({"secrets_key_uri": key} if key else {}), **keys)

    def __call__(self, *args, **options):
        return self.run([self.hsm.holdfast, "secret", *args], **{"timeout": 60, **options})

    def put(self, name, value, *args, **options):
        return json.loads(self("put", name, "--json", *args, input=value, **options).stdout)

    def get(self, name, *args):
        self("get", name, "--out", "value", *args)
        return (self.hsm.dir / "value").read_bytes()

    def list(self):
        return {secret["name"]: {stage: version["version"] for version in secret["versions"] for stage in version["stages"]}
                for secret in json.loads(self("list", "--json").stdout)}


@pytest.fixture
def secrets(hsm):
    return Secrets(hsm)


@pytest.fixture
def ready(secrets, hsm):
    """With an RSA key that is configured."""
    secrets.key = hsm.create_key("secrets", "rsa")
    secrets.configure(secrets.key)
    return secrets


# On every HSM

def test_rsa(ready, hsm):
    assert ready.put("plc/password", "geheim")["method"] == METHODS[hsm.name]
    assert ready.get("plc/password") == b"geheim"
    assert not list(pathlib.Path(ready.data).rglob("*geheim*"))
    assert b"geheim" not in b"".join(path.read_bytes() for path in ready.data.rglob("*") if path.is_file())


@pytest.mark.parametrize("kind", ["p256", "p384"])
def test_ec(secrets, hsm, kind):
    key = hsm.create_key("secrets", kind)
    secrets.configure(key)
    if not hsm.traits.derives:
        result = secrets("put", "name", input="value", code=1)
        assert "hint: The key has to derive (CKA_DERIVE), and its token to do ECDH" in result.stderr
        assert secrets.list() == {}
        return
    assert secrets.put("name", "value")["method"] == "ECDH-HKDF-SHA256"
    assert secrets.get("name") == b"value"


@SOFTWARE
@pytest.mark.parametrize("kind", ["rsa", "p256"])
def test_through_the_agent(secrets, hsm, server, build, workdir, kind):
    """Its policy has to allow it; and what it forbids is told before anything is kept."""
    key = hsm.create_key("secrets", kind)
    agent = Agent(server, build, workdir / "agent", hsm.module, pin_source=hsm.pin_file)
    secrets.configure(key, agent)
    result = secrets("put", "name", input="value", code=None)
    if "mechanism" in result.stderr:
        pytest.skip(f"this p11-kit does not pass the mechanism on: {result.stderr}")
    assert "hint: The agent's policy needs a line like 'allow list,decrypt,derive" in result.stderr
    assert secrets.list() == {}
    (workdir / "agent/policy").write_text("allow list,decrypt,derive user=0 key=pkcs11:object=secrets\n")
    agent.reload()
    agent.wait_for_line("policy was read again")
    secrets.put("name", "value")
    assert secrets.get("name") == b"value"


# Versions and labels

@OURS
def test_labels(ready):
    first = ready.put("name", "one")["version"]
    assert ready.list() == {"name": {"AWSCURRENT": first}}
    second = ready.put("name", "two")["version"]
    assert ready.list() == {"name": {"AWSCURRENT": second, "AWSPREVIOUS": first}}
    pending = ready.put("name", "next", "--stage", "AWSPENDING,mine")["version"]
    assert ready.get("name") == b"two"
    assert ready.get("name", "--stage", "AWSPREVIOUS") == b"one"
    assert ready.get("name", "--stage", "mine") == ready.get("name", "--version-id", pending) == b"next"
    third = ready.put("name", "three")["version"]
    assert ready.list() == {"name": {"AWSCURRENT": third, "AWSPREVIOUS": second, "AWSPENDING": pending, "mine": pending}}
    assert "has no version" in ready("get", "name", "--version-id", first, code=1).stderr
    assert "label nothing" in ready("get", "name", "--stage", "nothing", code=1).stderr
    answer = json.loads(ready("get", "name", "--json").stdout)
    assert answer.pop("created") > 0
    assert answer == {"name": "name", "version": third, "stages": ["AWSCURRENT"], "value": "three"}


@OURS
def test_rotate_and_delete(ready):
    ready.put("name", "by hand")
    ready("rotate", "name")
    value = ready.get("name")
    assert len(value) == 43 and ready.get("name", "--stage", "AWSPREVIOUS") == b"by hand"
    ready("rotate", "name", "--bytes", "16")
    assert len(ready.get("name")) == 22
    assert "there is no secret 'other'" in ready("rotate", "other", code=1).stderr
    assert "--yes" in ready("delete", "name", code=2).stderr
    ready("delete", "name", "--yes")
    assert ready.list() == {}
    assert "there is no secret 'name'" in ready("get", "name", code=1).stderr


@OURS
def test_what_a_secret_may_be(ready, workdir):
    """Any bytes, 1 to 65536 of them; anything else is told, and leaves what was there."""
    for value in (b"\0", bytes(range(256)) * 256, "grüße\n".encode()):
        ready.put("name", value)
        assert ready.get("name") == value
    answer = json.loads(ready("get", "name", "--json").stdout)
    assert answer["value"] == "grüße\n"
    ready.put("binary", b"\xff\0")
    assert json.loads(ready("get", "binary", "--json").stdout)["value_base64"] == "/wA="
    before = ready.list()
    for size in (0, 65537, 10 << 20):
        (workdir / "big").write_bytes(bytes(size))
        for how in ({"input": bytes(size)}, {}):
            args = [] if how else ["--file", "big"]
            result = ready("put", "name", *args, code=1, **how)
            assert "a secret of" in result.stderr and "hint: A secret has 1 to 65536 bytes; nothing was changed." in result.stderr
    for name in ("", "ä", "a b", "x" * 513, "a\nb"):
        assert "letters, digits and /_+=.@-" in ready("put", name, input="value", code=2).stderr
    assert "AWSPREVIOUS" in ready("put", "name", "--stage", "AWSPREVIOUS", input="value", code=2).stderr
    ready.put("x" * 512, "value")
    assert ready.get("x" * 512) == b"value"
    assert {name: versions for name, versions in ready.list().items() if name != "x" * 512} == before


@OURS
def test_modes(ready):
    ready.put("name", "value")
    ready("get", "name", "--out", "value")
    assert stat.S_IMODE(os.stat(ready.hsm.dir / "value").st_mode) == 0o600
    for path in (ready.data / "secrets").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE((ready.data / "secrets").stat().st_mode) == 0o700


# Keys

@SOFTWARE
def test_putting_needs_no_pin(ready, hsm, env):
    """The first one proves the key; from then on the public half will do, and what could not be asked is told."""
    ready.put("name", "one")
    hsm.pin_file.rename(hsm.dir / "away")
    result = ready("put", "name", "--json", input="two")
    assert not json.loads(result.stdout)["checked"] and "kept without asking the HSM" in result.stderr
    assert ready("get", "name", code=None).code != 0
    (hsm.dir / "away").rename(hsm.pin_file)
    assert ready.get("name") == b"two"
    assert ready.put("name", "three")["checked"]


@OURS
def test_a_key_that_cannot(secrets, hsm, holdfast, run, workdir):
    """No key, a key file, an Ed25519 key, one that is gone: told before anything is kept."""
    secrets.configure()
    assert "neither secrets.key_uri nor device.key_uri is set" in secrets("put", "name", input="value", code=1).stderr
    secrets.configure("/etc/holdfast/secrets.key")
    assert "holdfast key import /etc/holdfast/secrets.key" in secrets("put", "name", input="value", code=1).stderr
    secrets.configure(hsm.create_key("edwards", "ed25519"))
    assert "Use an RSA or EC key." in secrets("put", "name", input="value", code=1).stderr
    key = hsm.create_key("secrets", "rsa")
    secrets.configure(device_key_uri=key)
    run([holdfast, "config", "set", "certificate.renewal.rotate_key", "true"])
    assert "renewal replaces the device's key" in secrets("put", "name", input="value", code=1).stderr
    run([holdfast, "config", "set", "certificate.renewal.rotate_key", "false"])
    secrets.put("name", "value")
    run([holdfast, "key", "delete", key, "--yes", "--force", *hsm.access])
    assert "nothing matches the URI" in secrets("put", "name", input="lost?", code=3).stderr
    assert "nothing matches the URI" in secrets("get", "name", code=3).stderr
    assert list(secrets.list()) == ["name"]


@OURS
def test_a_key_in_another_s_place(ready, hsm, run, holdfast):
    """A new key under the old one's name opens nothing of the old one's, and is used from then on."""
    ready.put("old", "value")
    assert "secrets are under this key" in run([holdfast, "key", "delete", ready.key, "--yes", *hsm.access], code=2).stderr
    run([holdfast, "key", "delete", ready.key, "--force", *hsm.access])
    hsm.create_key("secrets", "rsa")
    ready.put("new", "value")
    assert ready.get("new") == b"value"
    assert ready("get", "old", code=3).stderr
    hsm.pin_file.rename(hsm.dir / "away")
    ready("put", "newer", input="value")
    (hsm.dir / "away").rename(hsm.pin_file)
    assert ready.get("newer") == b"value"


@OURS
@pytest.mark.parametrize("kind", ["rsa", "p256"])
def test_moving_to_another_key(ready, hsm, holdfast, run, kind):
    values = {f"secret-{n}": f"value {n}".encode() for n in range(20)}
    for name, value in values.items():
        ready.put(name, b"before")
        ready.put(name, value)
    other = hsm.create_key("other", kind)
    moved = json.loads(ready("rewrap", "--key", other, "--json").stdout)
    assert moved == {"key": other, "moved": 40}
    assert run([holdfast, "config", "get", "secrets.key_uri"]).stdout.strip() == other
    run([holdfast, "key", "delete", ready.key, "--yes", *hsm.access])
    for name, value in values.items():
        assert ready.get(name) == value
    assert ready.get("secret-3", "--stage", "AWSPREVIOUS") == b"before"
    assert json.loads(ready("rewrap", "--json").stdout)["moved"] == 0


@OURS
def test_on_a_terminal(ready, hsm, env, workdir):
    """A value is asked for without an echo; a move tells how far it is."""
    status, shown = converse([hsm.holdfast, "secret", "put", "name"], [("Value of name: ", "geheim")], env=env, cwd=workdir)
    assert status == 0 and "geheim" not in shown
    assert ready.get("name") == b"geheim"
    ready.put("other", "value")
    status, shown = converse([hsm.holdfast, "secret", "rewrap", "--key", hsm.create_key("new", "rsa")], [], env=env, cwd=workdir)
    assert status == 0 and "1 of 2 versions" in shown and "2 of 2 versions" in shown


@SOFTWARE
def test_a_move_that_is_cut(ready, hsm, build, workdir):
    """Killed before each of its steps: all can be read, and the same command goes on."""
    kill_at = built(build / "tests/e2e/kill_at")
    for name in ("one", "two"):
        ready.put(name, name)
    keys = [ready.key, hsm.create_key("other", "rsa")]
    step, killed = 1, 0
    while True:
        command = [kill_at, workdir / "log", str(step), hsm.holdfast, "secret", "rewrap", "--key", keys[1]]
        code = ready.run(command, code=None, timeout=60).code
        assert ready.get("one") == b"one" and ready.get("two") == b"two"
        if code != 137:
            assert code == 0
            break
        killed += 1
        step += 1
        if killed % 3 == 0:  # and goes on
            ready("rewrap", "--key", keys[1])
            keys.reverse()
            assert ready.get("one") == b"one" and ready.get("two") == b"two"
    assert killed > 5


@OURS
def test_putting_that_is_cut(ready, build, workdir):
    """The old value or the new one; and never none."""
    kill_at = built(build / "tests/e2e/kill_at")
    ready.put("name", "0")
    for step in range(1, 60):
        before = ready.get("name")
        (workdir / "next").write_text(str(step))
        code = ready.run([kill_at, workdir / "log", str(step), ready.hsm.holdfast, "secret", "put", "name", "--file", "next"], code=None).code
        assert ready.get("name") in (before, str(step).encode())
        if code != 137:
            break
    assert code == 0 and ready.get("name") == str(step).encode() and step > 3


@OURS
def test_the_first_one_that_is_cut(ready, build, workdir):
    """The store itself is made, or made again."""
    kill_at = built(build / "tests/e2e/kill_at")
    for step in range(1, 60):
        subprocess.run(["rm", "-rf", ready.data / "secrets"], check=True)
        (workdir / "next").write_text("value")
        code = ready.run([kill_at, workdir / "log", str(step), ready.hsm.holdfast, "secret", "put", "name", "--file", "next"], code=None).code
        if code != 137:
            break
        ready.put("name", "again")
        assert ready.get("name") == b"again"
    assert code == 0 and step > 5


@OURS
def test_damage(ready):
    """What was changed on disk is told, not shown."""
    ready.put("name", "value")
    path = ready.data / "secrets" / "data.mdb"
    data = path.read_bytes()
    path.write_bytes(data[:len(data) // 2])
    result = ready("get", "name", code=1)
    assert result.stdout == "" and "secrets is damaged" in result.stderr
    path.write_bytes(data)
    assert ready.get("name") == b"value"


@OURS
def test_no_value_where_it_does_not_belong(ready, run, workdir, env):
    """Nor in what is logged, nor in an error."""
    env["HOLDFAST_LOG"] = "stderr"
    result = ready("put", "name", "--json", input="most-secret")
    again = ready("put", "na me", input="most-secret", code=2)
    listed = ready("list")
    for text in (result.stdout, result.stderr, again.stderr, listed.stdout):
        assert "most-secret" not in text
    for path in (workdir / "data").rglob("*"):
        assert not path.is_file() or b"most-secret" not in path.read_bytes()
