# SPDX-License-Identifier: Apache-2.0
"""Taking over tokens that Debian's SoftHSM2 made: all that is in them, or nothing; and they stay as they are."""

import json
import os
import pathlib
import shutil
import struct
import sys

import pytest

from conftest import built, softhsm2_path
from softhsm2_kit import to_database, tree_hash
from terminal import converse

pytestmark = pytest.mark.skipif(not softhsm2_path() or not shutil.which("softhsm2-util"), reason="softhsm2 is not installed")

PIN, SO_PIN = "1234", "12345678"
KIT = pathlib.Path(__file__).with_name("softhsm2_kit.py")
PINS = ["--pin", PIN, "--so-pin", SO_PIN]
GENERATED = [("EC:prime256v1", "01"), ("EC:secp384r1", "02"), ("EC:edwards25519", "03"), ("rsa:2048", "04")]
IMPORTED = {"ed25519": "11", "ed448": "12", "x25519": "13"}


class Old:
    """SoftHSM2's side: its tokens' directory, and what fills it."""

    def __init__(self, run, workdir, env):
        self.run, self.workdir, self.module = run, workdir, softhsm2_path()
        self.tokendir = workdir / "old"
        self.tokendir.mkdir(mode=0o700)
        self.conf = workdir / "softhsm2.conf"
        self.conf.write_text(f"directories.tokendir = {self.tokendir}\n")
        env["SOFTHSM2_CONF"] = str(self.conf)

    def util(self, *args):
        return self.run(["softhsm2-util", *args])

    def tool(self, label, *args):
        return self.run(["pkcs11-tool", "--module", self.module, "--token-label", label, "--login", "--pin", PIN, *args])

    def make(self, label):
        before = set(self.tokendir.iterdir())
        self.util("--init-token", "--free", "--label", label, "--so-pin", SO_PIN, "--pin", PIN)
        return (set(self.tokendir.iterdir()) - before).pop()

    def fill(self, label):
        for kind, id in GENERATED:
            self.tool(label, "--keypairgen", "--key-type", kind, "--id", id, "--label", f"key {id}")
        for kind, id in IMPORTED.items():
            self.run(f"openssl genpkey -algorithm {kind} -out {kind}.pem")
            self.util("--import", f"{kind}.pem", "--token", label, "--label", kind, "--id", id, "--pin", PIN)
        self.run("openssl genpkey -genparam -algorithm DSA -pkeyopt dsa_paramgen_bits:1024 -out dsa.param")
        self.run("openssl genpkey -paramfile dsa.param -out dsa.pem")
        self.util("--import", "dsa.pem", "--token", label, "--label", "dsa", "--id", "14", "--pin", PIN)
        for kind, id in [("AES:32", "20"), ("GENERIC:20", "21")]:
            self.tool(label, "--keygen", "--key-type", kind, "--id", id, "--label", kind)
        self.run("openssl req -x509 -newkey rsa:2048 -nodes -keyout c.key -subj /CN=device -outform DER -out c.der")
        self.tool(label, "--write-object", "c.der", "--type", "cert", "--id", "01", "--label", "certificate")
        (self.workdir / "data").write_bytes(bytes(range(256)))
        self.tool(label, "--write-object", "data", "--type", "data", "--label", "public data", "--application-label", "app")
        self.tool(label, "--write-object", "data", "--type", "data", "--label", "private data", "--private")
        self.kit("fill", self.module, label)

    def kit(self, action, module, label):
        return self.run([sys.executable, KIT, action, module, label, PIN]).stdout


@pytest.fixture
def old(run, workdir, env, build):
    (workdir / "new").mkdir(mode=0o700)
    conf = workdir / "token.conf"
    conf.write_text(f"directories.tokendir = {workdir}/new\npin.kdf_memory = 8\npin.kdf_passes = 1\n")
    env.update(HOLDFAST_TOKEN_CONF=str(conf), HOLDFAST_MODULE=built(build / "src/token/libholdfast-token.so"))
    return Old(run, workdir, env)


@pytest.fixture
def migrate(run, holdfast):
    return lambda *args, **how: run([holdfast, "token", "migrate", *args], **how)


def new_tokens(workdir):
    return sorted(path.name for path in (workdir / "new").iterdir())


def comparable(objects):
    """Without what the new token adds, and with Edwards points in one form; by class and id, then label."""
    for object in objects:
        if object["0"] == "0200000000000000" and object["100"] == "4000000000000000":
            point = object["181"]
            object["181"] = point if point.startswith(f"04{len(point) // 2 - 2:02x}") else f"04{len(point) // 2:02x}{point}"
    return sorted(objects, key=lambda object: (object["0"], object.get("102", ""), object["3"]))


def assert_same_objects(before, after):
    assert len(before) == len(after)
    for old_object, new_object in zip(comparable(before), comparable(after)):
        for type, value in old_object.items():
            # Nothing is as good as no attribute; X25519 is a curve of its own kind in the standard.
            if not value or value == "0 bytes" or (type == "8c" and new_object.get(type) is None) or \
                    (type == "100" and old_object.get("180") == "06032b656e") or (type == "88" and type not in new_object):
                continue
            assert new_object.get(type) == value, (type, bytes.fromhex(old_object["3"]))


@pytest.mark.parametrize("backend", ["file", "db"])
def test_everything_is_taken(old, migrate, run, workdir, env, backend):
    directory = old.make("device")
    old.fill("device")
    before = json.loads(old.kit("dump", old.module, "device"))
    if backend == "db":
        to_database(directory)
    hashed = tree_hash(old.tokendir)
    [report] = json.loads(migrate(directory, *PINS, "--json").stdout)
    assert tree_hash(old.tokendir) == hashed
    assert report["migrated"] and report["objects"] == report["taken"] == len(before) and not report["left"]
    # Every private key and every secret key, the one that may not encrypt included.
    assert report["keys"] == report["keys_tried"] == 11
    assert report["label"] == "device" and report["serial"] == report["old_serial"]
    # So the slot has the number that it had.
    assert report["slot"] == int(report["serial"][8:], 16) & 0x7fffffff
    assert_same_objects(before, json.loads(old.kit("dump", env["HOLDFAST_MODULE"], "device")))
    assert [len(name) for name in new_tokens(workdir)] == [36]
    # Both PINs are the old ones.
    tool = ["pkcs11-tool", "--module", env["HOLDFAST_MODULE"], "--token-label", "device"]
    run([*tool, "--login", "--login-type", "so", "--so-pin", SO_PIN, "--init-pin", "--new-pin", "4321"])
    # A signature of the new token, by the public key of the old.
    old_public = workdir / "old.der"
    if backend == "file":
        old.tool("device", "--read-object", "--type", "pubkey", "--id", "01", "-o", old_public)
        run([*tool, "--login", "--pin", "4321", "--sign", "--mechanism", "ECDSA-SHA256", "--signature-format", "openssl", "--id", "01",
             "-i", "data", "-o", "data.sig"])
        run(["openssl", "dgst", "-sha256", "-verify", old_public, "-keyform", "DER", "-signature", "data.sig", "data"])


def test_all_dry_and_again(old, migrate, workdir):
    for label in ["one", "two"]:
        old.make(label)
        old.tool(label, "--keypairgen", "--key-type", "EC:prime256v1", "--id", "01")
    (old.tokendir / "no token").mkdir()
    out = migrate("--all", *PINS, "--dry-run").stdout
    assert out.count("2 of 2 objects can be taken, 1 of 1 keys tried") == 2 and new_tokens(workdir) == []
    out = migrate("--all", *PINS).stdout
    assert out.count("2 of 2 objects taken, 1 of 1 keys tried\n  pkcs11:") == 2 and len(new_tokens(workdir)) == 2
    three = old.make("three")
    out = migrate("--all", *PINS).stdout
    assert out.count(": there already\n") == 2 and "0 of 0 objects taken" in out and len(new_tokens(workdir)) == 3
    failed = migrate(three, *PINS, code=1).stderr
    assert 'the token "three" has the serial' in failed and "--new-serial" in failed
    migrate(three, *PINS, "--new-serial")
    assert len(new_tokens(workdir)) == 4


def test_pins(old, migrate, workdir, run, env, holdfast):
    directory = old.make("device")
    wrong = migrate(directory, "--pin", "9999", "--so-pin", SO_PIN, code=4).stderr
    assert 'the PIN is wrong: the user PIN of token "device"' in wrong
    wrong = migrate(directory, "--pin", PIN, "--so-pin", "99999", code=4).stderr
    assert 'the SO PIN of token "device"' in wrong and "--new-so-pin-source" in wrong
    missing = migrate(directory, "--pin", PIN, code=4).stderr
    assert "--so-pin-source, or set a new one by --new-so-pin-source" in missing
    assert "exclude each other" in migrate(directory, *PINS, "--new-so-pin", "87654321", code=2).stderr
    assert new_tokens(workdir) == []
    migrate(directory, "--pin", PIN, "--new-so-pin", "87654321")
    run(["pkcs11-tool", "--module", env["HOLDFAST_MODULE"], "--token-label", "device", "--login", "--login-type", "so", "--so-pin",
         "87654321", "--init-pin", "--new-pin", "4321"])
    other = old.make("other")
    status, shown = converse([holdfast, "token", "migrate", other], [("user PIN: ", PIN), ("SO PIN: ", SO_PIN)], env=env, cwd=workdir)
    assert status == 0 and "0 of 0 objects taken" in shown
    for secret in (PIN, SO_PIN):
        assert f": {secret}" not in shown


def test_a_token_without_a_user_pin(old, migrate, run, workdir):
    run(["pkcs11-tool", "--module", old.module, "--slot-index", 0, "--init-token", "--label", "bare", "--so-pin", SO_PIN])
    [directory] = old.tokendir.iterdir()
    assert "the token has no user PIN yet" in migrate(directory, *PINS, code=4).stderr
    assert new_tokens(workdir) == []


def rows(*values):
    out = struct.pack(">Q", 1)
    for type, kind, value in values:
        out += struct.pack(">QQ", type, kind) + value
    return out


def test_what_the_new_token_cannot_hold(old, migrate, workdir):
    directory = old.make("device")
    old.tool("device", "--keypairgen", "--key-type", "EC:prime256v1", "--id", "01")
    # A vendor's class, and a public key of a type that nobody has.
    (directory / "vendor.object").write_bytes(rows((0, 2, struct.pack(">Q", 0x80000001)), (1, 1, b"\xff"), (2, 1, b"\0")))
    (directory / "zkey.object").write_bytes(rows((0, 2, struct.pack(">Q", 2)), (1, 1, b"\xff"), (2, 1, b"\0"),
                                                 (3, 3, struct.pack(">Q", 3) + b"odd"), (0x100, 2, struct.pack(">Q", 0x7777))))
    failed = migrate(directory, *PINS, code=1)
    assert "2 of 4 objects of the token \"device\" cannot be taken" in failed.stderr and "--skip-unsupported" in failed.stderr
    assert "left: (object of another class)" in failed.stdout and "left: odd (public)" in failed.stdout
    assert new_tokens(workdir) == []
    [report] = json.loads(migrate(directory, *PINS, "--skip-unsupported", "--json").stdout)
    assert report["taken"] == 2 and [left["name"] for left in report["left"]] == ["vendor.object", "zkey.object"]
    assert "CKA_CLASS 0x80000001" in report["left"][0]["reason"] and len(new_tokens(workdir)) == 1


def test_damage(old, migrate, workdir):
    directory = old.make("device")
    old.tool("device", "--keypairgen", "--key-type", "EC:prime256v1", "--id", "01")
    victim = sorted(path for path in directory.glob("*.object") if path.name != "token.object")[0]
    whole = victim.read_bytes()
    (directory / "empty.object").touch()

    def fails(code, *texts):
        result = migrate(directory, *PINS, code=code)
        assert all(text in result.stderr for text in texts) and "hint: " in result.stderr, result
        assert new_tokens(workdir) == []

    for damaged in [whole[:-5], whole[:20], whole[:16] + b"\xff" * 8 + whole[24:], whole + b"x", b"\0"]:
        victim.write_bytes(damaged)
        fails(1, "the token's store is damaged", victim.name)
    victim.unlink()
    os.mkfifo(victim)
    fails(1, victim.name, "no file")
    victim.unlink()
    victim.write_bytes(whole)
    # An object that SoftHSM2 was interrupted to write is none, there as here.
    assert "empty.object is empty" in migrate(directory, *PINS, "--strict", code=1).stderr
    assert "  1 empty: SoftHSM2 was interrupted" in migrate(directory, *PINS).stdout
    shutil.rmtree(workdir / "new")
    (workdir / "new").mkdir()
    token = directory / "token.object"
    own = token.read_bytes()
    for damaged in [b"", own[:100], own[:-72] + bytes(72)]:
        token.write_bytes(damaged)
        fails(4 if len(damaged) == len(own) else 1, "device" if len(damaged) == len(own) else "token.object")


def test_no_token(old, migrate, workdir):
    (workdir / "empty").mkdir()
    assert "is no token of SoftHSM2's" in migrate("empty", *PINS, code=3).stderr
    assert "not found: nowhere" in migrate("nowhere", *PINS, code=1).stderr
    assert "needs a token's directory, or --all" in migrate(*PINS, code=2).stderr
    assert "holds no token of SoftHSM2's" in migrate("--all", *PINS, code=3).stderr
    result = migrate("empty", *PINS, "--module", old.module, code=1)
    assert "taking over a token into" in result.stderr and "Holdfast's own token alone" in result.stderr
    old.conf.write_text("directories.tokendir = /nonexistent/tokens\n")
    assert "not found: /nonexistent/tokens" in migrate("--all", *PINS, code=1).stderr
    old.conf.unlink()
    assert "SOFTHSM2_CONF" in migrate("--all", *PINS, code=1).stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(old, migrate):
    directory = old.make("device")
    directory.chmod(0)
    assert "permission denied" in migrate(directory, *PINS, code=1).stderr
    directory.chmod(0o700)


def test_damaged_database(old, migrate, workdir):
    directory = old.make("device")
    old.tool("device", "--keypairgen", "--key-type", "EC:prime256v1", "--id", "01")
    to_database(directory)
    database = directory / "sqlite3.db"
    whole = database.read_bytes()
    for damaged in [b"", whole[:5000], whole[:len(whole) // 2], b"no database at all" * 100, whole[:100] + b"\xff" * 8000]:
        database.write_bytes(damaged)
        assert "the token's store is damaged" in migrate(directory, *PINS, code=1).stderr
        assert new_tokens(workdir) == []
    database.write_bytes(whole)
    (directory / "sqlite3.db-journal").write_bytes(b"x")
    assert "a write was not finished" in migrate(directory, *PINS, code=1).stderr
    (directory / "sqlite3.db-journal").unlink()
    # A name that is no part of a URI.
    moved = directory.rename(old.tokendir / "50% ? #1")
    assert "2 of 2 objects taken" in migrate(moved, *PINS).stdout
    assert sorted(path.name for path in moved.iterdir()) == ["sqlite3.db"]


def test_killed_at_every_step(old, run, workdir, build, holdfast):
    directory = old.make("device")
    old.tool("device", "--keypairgen", "--key-type", "EC:prime256v1", "--id", "01")
    kill_at = built(build / "tests/e2e/kill_at")
    migrated = 0
    for step in range(1, 100):
        code = run([kill_at, workdir / "log", step, holdfast, "token", "migrate", directory, *PINS], code=None, timeout=60).code
        # Whole or not at all; what is left aside, nobody sees.
        listed = json.loads(run([holdfast, "token", "list", "--json"]).stdout)
        whole = [token for token in listed if token["label"] == "device"]
        assert len(whole) <= 1
        if whole:
            migrated += 1
            objects = run([holdfast, "key", "list", "--token", "device", "--pin", PIN, "--json"]).stdout
            assert len(json.loads(objects)) == 2
            run([holdfast, "token", "delete", "--token", "device", "--yes"])
        if code == 0:
            break
        assert code == 137
    assert code == 0 and step > 5 and migrated >= 1
    assert new_tokens(workdir) == []
