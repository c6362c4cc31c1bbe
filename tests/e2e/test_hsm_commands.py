# SPDX-License-Identifier: Apache-2.0
"""holdfast hsm: from a bare HSM to a key, its PINs, its end; and that a URI selects what it says and nothing else."""

import json
import os
import re
import stat
import urllib.parse

import pytest

import agent_kit
import pkcs11_client
from conftest import PIN, SO_PIN
from terminal import converse

one_module = pytest.mark.modules("ours")


@pytest.fixture
def hsm(run, holdfast, module, workdir):
    """hsm("init", ...): runs holdfast hsm. The module and the user PIN's file, with a PIN in it, are configured."""
    config = workdir / "config.json"
    pin = workdir / "pin"
    pin.touch(mode=0o600)
    pin.write_text(PIN + "\n")
    (workdir / "so.pin").write_text(SO_PIN + "\n")
    config.touch(mode=0o600)
    config.write_text(json.dumps({"device": {"cryptoki": {"module_path": str(module), "pin_source": str(pin)}}}))

    def command(*args, **options):
        result = run([holdfast, "hsm", *args], **{"timeout": 60, **options})
        assert PIN not in result.stdout + result.stderr
        return result

    return command


@pytest.fixture
def hf(run, holdfast):
    return lambda *args, **options: run([holdfast, *args], **options)


def get(hf, key):
    return hf("config", "get", key).stdout.strip()


def keys(hf, uri="pkcs11:"):
    return json.loads(hf("key", "list", uri, "--json").stdout)


def fails(result, *texts):
    """One error line, one hint, nothing on standard output; what stands before the error line is returned."""
    lines = result.stderr.splitlines()
    assert lines[-2].startswith("holdfast: error: ") and lines[-1].startswith("  hint: "), result
    assert result.stdout == "", result
    for text in texts:
        assert text in result.stderr, f'"{text}" is missing:\n{result}'
    return lines[:-2]


# Tokens

def test_init_prints_the_uri_and_is_done_once(hsm, hf):
    first = hsm("init", "--label", "device", "--so-pin-source", "so.pin")
    uri = first.stdout.strip()
    assert re.fullmatch(r"pkcs11:model=[^;]+;manufacturer=[^;]+;serial=[0-9a-f]{16};token=device", uri)
    assert "The token is ready" in first.stderr
    again = hsm("init", "--label", "device", "--so-pin-source", "so.pin")
    assert again.stdout.strip() == uri and "left as it is" not in again.stdout and "it was left as it is" in again.stderr
    assert json.loads(hsm("init", "device", "--json").stdout) == {
        "uri": uri, "slot": json.loads(hf("token", "list", "--json").stdout)[0]["slot"], "initialized": False}
    assert hsm("list-tokens", "--json").stdout == hf("token", "list", "--json").stdout


def test_init_takes_no_pin_for_granted(hsm, hf, workdir):
    fails(hsm("init", code=4), "the SO PIN", "--so-pin-source")
    hf("config", "unset", "device.cryptoki.pin_source")
    fails(hsm("init", "--so-pin-source", "so.pin", code=4), "the user PIN", "--pin-source")
    assert "holdfast" not in hsm("list-tokens").stdout


def test_init_makes_pins_where_it_is_told(hsm, hf, workdir):
    hf("config", "set", "device.cryptoki.pin_source", workdir / "made.pin")
    fails(hsm("init", "--make-pins", code=2), "no file is named for the SO PIN", "--so-pin-source")
    result = hsm("init", "--make-pins", "--so-pin-source", workdir / "made-so.pin")
    pins = []
    for name in ("made.pin", "made-so.pin"):
        path = workdir / name
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        pins.append(path.read_text())
        assert re.fullmatch(r"\d{16}\n", pins[-1]) and pins[-1].strip() not in result.stdout + result.stderr
    assert pins[0] != pins[1]
    hsm("create-key")  # logs in
    assert "made.pin" not in hsm("init", "--make-pins", "--so-pin-source", workdir / "made-so.pin").stderr


def test_init_of_a_slot(hsm, hf):
    slot = json.loads(hf("token", "list", "--json").stdout)[0]["slot"]
    fails(hsm("init", "--slot", "x", code=2), "--slot x")
    fails(hsm("init", "--slot", "4711", "--so-pin-source", "so.pin", code=3), "no such token: pkcs11:slot-id=4711")
    hsm("init", "--slot", str(slot), "--label", "here", "--so-pin-source", "so.pin")
    assert "token=here" in hsm("init", "here").stdout
    fails(hsm("init", "pkcs11:token=elsewhere", "--so-pin-source", "so.pin", code=3), "no such token", "elsewhere")


# Keys

def test_from_a_bare_hsm_to_a_key(hsm, hf, run, workdir):
    result = hsm("create-key", "--so-pin-source", "so.pin", "--token-label", "mine", "--label", "tls", "--outfile-pubkey",
                 "out.pem")
    assert 'The token "mine" was set up' in result.stderr
    uri = get(hf, "device.key_uri")
    assert ";token=mine;" in uri and uri.endswith(";object=tls;type=private")
    lines = result.stdout.splitlines()
    assert lines[0] == "The key pair has been generated:" and lines[1].strip() == uri
    assert lines[-1] == "device.key_uri is now this key."
    pem = hf("pubkey", uri).stdout
    assert pem in result.stdout and (workdir / "out.pem").read_text() == pem
    assert "ASN1 OID: prime256v1" in run(["openssl", "pkey", "-pubin", "-in", "out.pem", "-noout", "-text"]).stdout


@pytest.mark.parametrize("options, kind", [
    (["--type", "ecdsa", "--curve", "p384"], {"type": "EC", "curve": "secp384r1"}),
    (["--curve", "p521"], {"type": "EC", "curve": "secp521r1"}),
    (["--type", "rsa", "--bits", "3072"], {"type": "RSA", "bits": 3072}),
    (["--type", "ed25519"], {"curve": "edwards25519"}),
])
def test_kinds_of_key(hsm, hf, options, kind):
    hsm("create-key", "--so-pin-source", "so.pin", "--id", "0a:0B", *options)
    key = next(key for key in keys(hf) if key["class"] == "private")
    assert key["id"] == "0a0b" and key["label"] == "holdfast" and kind.items() <= key.items()


def test_a_key_of_the_label_is_used_again(hsm, hf):
    first = json.loads(hsm("create-key", "--so-pin-source", "so.pin", "--json").stdout)
    assert first["created"] is True and first["saved"] is True
    second = json.loads(hsm("create-key", "--json").stdout)
    assert second == {**first, "created": False}
    assert "There is such a key already; it is used again:" in hsm("create-key").stdout
    fails(hsm("create-key", "--curve", "p384", code=1), "there is a key of this label, EC secp256r1", first["uri"], "--force-new")
    fails(hsm("create-key", "--type", "rsa", code=1), "EC secp256r1")
    assert len(keys(hf)) == 2


def test_a_second_key_of_the_label(hsm, hf):
    first = json.loads(hsm("create-key", "--so-pin-source", "so.pin", "--id", "01", "--json").stdout)
    fails(hsm("create-key", "--force-new", "--id", "01", code=1), "the id is already in use: 01")
    second = json.loads(hsm("create-key", "--force-new", "--id", "02", "--json").stdout)
    assert second["created"] is True and second["saved"] is False and get(hf, "device.key_uri") == first["uri"]
    fails(hsm("create-key", code=3), "several objects match the URI", first["uri"], second["uri"])
    assert json.loads(hsm("create-key", "--id", "02", "--json").stdout)["uri"] == second["uri"]


def test_a_key_in_use_stays_selected(hsm, hf):
    hsm("create-key", "--so-pin-source", "so.pin", "--label", "old")
    old = get(hf, "device.key_uri")
    told = hsm("create-key", "--label", "new").stdout
    assert "was left at another key" in told and old in told and "holdfast config set device.key_uri 'pkcs11:" in told
    assert get(hf, "device.key_uri") == old
    hsm("delete-key", "--label", "old", "--force")
    assert "device.key_uri is now this key." in hsm("create-key", "--label", "new").stdout
    assert get(hf, "device.key_uri").endswith("object=new;type=private")
    assert "device.key_uri was this key before." in hsm("create-key", "--label", "new").stdout


def test_create_key_does_not_choose_among_tokens(hsm, hf):
    uris = [hsm("init", "--label", label, "--so-pin-source", "so.pin").stdout.strip() for label in ("a", "b")]
    fails(hsm("create-key", code=3), "several tokens match: 2 tokens", *uris)
    fails(hsm("create-key", "c", code=3), "no such token: pkcs11:token=c", "hsm init")
    hsm("create-key", "b")
    assert [key["class"] for key in keys(hf, "pkcs11:token=a")] == []
    assert len(json.loads(hsm("list-keys", "b", "--label", "holdfast", "--json").stdout)) == 2
    assert json.loads(hsm("list-keys", "b", "--label", "other", "--json").stdout) == []


# PINs

@pytest.fixture
def ready(hsm):
    """A token "device" with a key."""
    hsm("init", "--label", "device", "--so-pin-source", "so.pin")
    hsm("create-key")


def test_change_the_user_pin(hsm, hf, ready, workdir):
    (workdir / "new").write_text("97531864\n")
    fails(hsm("change-pin", "--current-pin", "000000", "--new-pin-source", "new", code=4), "the PIN is wrong")
    assert "was changed" in hsm("change-pin", "--new-pin-source", "new").stdout
    fails(hf("key", "list", code=4), "the PIN is wrong")
    hf("key", "list", "--pin-source", "new")
    hsm("change-pin", "--current-pin-source", "new", "--new-pin-source", workdir / "pin")
    hf("key", "list")


def test_change_the_pin_and_its_file(hsm, hf, ready, workdir):
    (workdir / "new").write_text("97531864\n")
    os.chmod(workdir / "pin", 0o640)
    before = os.stat(workdir / "pin")
    fails(hsm("change-pin", "--current-pin", "000000", "--new-pin-source", "new", "--update-source", code=4), "the PIN is wrong")
    assert (workdir / "pin").read_text() == PIN + "\n" and not (workdir / "pin.new").exists()
    hsm("change-pin", "--new-pin-source", "new", "--update-source")
    assert (workdir / "pin").read_text() == "97531864\n" and not (workdir / "pin.new").exists()
    after = os.stat(workdir / "pin")
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    hf("key", "list")


def test_a_pin_in_the_configuration_is_updated(hsm, hf, ready, workdir):
    (workdir / "new").write_text("97531864\n")
    hf("config", "unset", "device.cryptoki.pin_source")
    hf("config", "set", "device.cryptoki.pin", "-", input=PIN + "\n")
    hsm("change-pin", "--new-pin-source", "new", "--update-source")
    assert hf("config", "get", "device.cryptoki.pin", "--show-secret").stdout == "97531864\n"
    hf("key", "list")


def test_a_source_that_cannot_be_written_changes_nothing(hsm, hf, ready, workdir, env):
    (workdir / "new").write_text("97531864\n")
    hf("config", "set", "device.cryptoki.pin_source", "env:DEVICE_PIN")
    env["DEVICE_PIN"] = PIN
    fails(hsm("change-pin", "--new-pin-source", "new", "--update-source", code=2), "env:DEVICE_PIN is no file")
    hf("key", "list")


def test_the_new_pin_must_fit(hsm, hf, ready):
    fails(hsm("change-pin", "--new-pin", "1", code=4), "the PIN is too short or too long", "nothing was changed")
    hf("key", "list")


def test_change_the_so_pin(hsm, ready, workdir):
    fails(hsm("change-pin", "--so", "--update-source", code=2), "--so excludes")
    fails(hsm("change-pin", "--so", "--new-pin", "87654321", code=4), "the SO PIN", "--so-pin-source")
    hsm("change-pin", "--so", "--so-pin-source", "so.pin", "--new-pin", "87654321")
    fails(hsm("change-pin", "--reset", "--so-pin-source", "so.pin", "--new-pin-source", "pin", code=4), "the PIN is wrong")
    hsm("change-pin", "--reset", "--so-pin", "87654321", "--new-pin-source", "pin")


def test_reset_a_locked_pin(hsm, hf, ready, run, module):
    """We spend all tries but the last, which is for a person; another program spends that."""
    for pin in range(20):
        if "it was not spent" in hf("key", "list", "--pin", f"00000{pin:03}", code=4).stderr:
            break
    if module.ours:
        run(["pkcs11-tool", "--module", module, "--token-label", "device", "--login", "--pin", "000000", "--list-objects"], code=None)
        fails(hf("key", "list", code=4), "locked")
        fails(hsm("change-pin", "--new-pin", "97531864", code=4), "locked")
    hsm("change-pin", "--reset", "--so-pin-source", "so.pin", "--new-pin-source", "pin")
    hf("key", "list")


def test_pins_are_asked_for(hsm, hf, ready, holdfast, env, workdir):
    hf("config", "unset", "device.cryptoki.pin_source")
    status, shown = converse([holdfast, "hsm", "change-pin"], [
        ("user PIN: ", PIN), ("new user PIN: ", "97531864"), ("new user PIN, again: ", "97531864")], env=env, cwd=workdir)
    assert status == 0 and "97531864" not in shown
    (workdir / "new").write_text("97531864\n")
    hf("key", "list", "--pin-source", "new")


# Deleting

def test_the_key_that_the_device_uses_is_not_deleted_by_accident(hsm, hf, ready):
    fails(hsm("delete-key", "--label", "holdfast", "--yes", code=2), "the device connects with this key", "--force")
    fails(hf("key", "delete", get(hf, "device.key_uri"), "--yes", code=2), "the device connects with this key")
    hsm("create-key", "--label", "other")
    hsm("delete-key", "--label", "other", "--yes")
    fails(hsm("delete-key", "--label", "other", "--yes", code=3), "nothing matches the URI")
    fails(hsm("delete-key", "device", "--yes", code=2), "no key is named")
    assert hsm("delete-key", "device", "--label", "holdfast", "--force").stdout.count("Deleted ") == 2
    assert keys(hf) == []


def labels_of(hf, token):
    return {key["label"] for key in keys(hf, f"pkcs11:token={token}")}


@pytest.mark.parametrize("how", ["operand", "token", "uri", "key uri", "serial"])
def test_a_key_is_deleted_on_the_token_that_was_named_and_no_other(hsm, hf, how):
    """The configuration names one token, the command another, and both have a key of that name."""
    uris = {label: hsm("init", "--label", label, "--so-pin-source", "so.pin").stdout.strip() for label in ("token0", "token2")}
    for label in uris:
        hsm("create-key", label, "--label", "mykey", "--id", "01")
    hf("config", "unset", "device.key_uri")
    hf("config", "set", "device.cryptoki.uri", "pkcs11:token=token0;object=mykey")
    serial = re.search(r"serial=([^;]+)", uris["token2"]).group(1)
    asked = {"operand": ["token2", "--label", "mykey"], "token": ["--token", "pkcs11:token=token2", "--label", "mykey"],
             "uri": ["pkcs11:token=token2", "--id", "01"], "key uri": [uris["token2"] + ";object=mykey"],
             "serial": [f"pkcs11:serial={serial}", "--label", "mykey"]}[how]
    deleted = hsm("delete-key", *asked, "--yes").stdout
    assert "token=token2" in deleted and "token=token0" not in deleted
    assert labels_of(hf, "token0") == {"mykey"} and labels_of(hf, "token2") == set()
    # And where the one that was named has no such key, that of the other stays.
    fails(hsm("delete-key", *asked, "--yes", code=3), "nothing matches the URI")
    assert labels_of(hf, "token0") == {"mykey"}


def test_sources_that_contradict_each_other_delete_nothing(hsm, hf):
    for label in ("a", "b"):
        hsm("init", "--label", label, "--so-pin-source", "so.pin")
        hsm("create-key", label, "--label", "mykey", "--id", "01")
    hf("config", "unset", "device.key_uri")
    fails(hsm("delete-key", "a", "--token", "b", "--label", "mykey", "--yes", code=2), "name different tokens")
    fails(hsm("delete-key", "pkcs11:token=a;object=x", "--label", "mykey", "--yes", code=2), "--label and the URI name different")
    fails(hsm("delete-key", "pkcs11:token=a;id=%02", "--id", "01", "--yes", code=2), "--id and the URI name different")
    fails(hsm("delete-key", "--label", "mykey", "--yes", code=3), "several tokens match", "token=a", "token=b")
    assert labels_of(hf, "a") == labels_of(hf, "b") == {"mykey"}


# Selection (RFC 7512)

@pytest.fixture
def two(hsm, hf, run, module):
    """Two tokens, "a" with the keys k1 (id 01) and k2 (id 02), "b" with k1; and what the module says of itself."""
    for label in ("a", "b"):
        hsm("init", "--label", label, "--so-pin-source", "so.pin")
        hsm("create-key", label, "--label", "k1", "--id", "01")
    hsm("create-key", "a", "--label", "k2", "--id", "02")
    info = run(["pkcs11-tool", "--module", module, "--show-info", "--list-slots"]).stdout
    tokens = {token["label"]: token for token in json.loads(hf("token", "list", "--json").stdout) if token["label"]}
    library = re.search(r"Library +(.*) \(ver (\d+)\.(\d+)\)", info)
    slot = re.search(r"Slot \d+ \(0x[0-9a-f]+\): (.*)", info).group(1).strip()
    return {"tokens": tokens, "library-description": library.group(1).strip(),
            "library-version": f"{library.group(2)}.{library.group(3)}",
            "library-manufacturer": re.search(r"Manufacturer +(.*)", info).group(1).strip(), "slot-description": slot}


def quote(text):
    return urllib.parse.quote(str(text), safe="")


@pytest.mark.parametrize("attribute", ["token", "serial", "slot-id"])
def test_attributes_that_tell_tokens_apart(hf, two, attribute):
    value = {"token": "label", "serial": "serial", "slot-id": "slot"}[attribute]
    for label, count in (("a", 4), ("b", 2)):
        found = keys(hf, f"pkcs11:{attribute}={quote(two['tokens'][label][value])}")
        assert len(found) == count and all(f"token={label};" in key["uri"] for key in found)
    wrong = {"slot-id": "4711"}.get(attribute, "elsewhere")
    fails(hf("key", "list", f"pkcs11:{attribute}={wrong}", code=3), "no such token", f"{attribute}={wrong}")


@pytest.mark.parametrize("attribute", ["manufacturer", "model", "slot-description", "library-description", "library-manufacturer",
                                       "library-version"])
def test_attributes_of_module_and_slot(hf, two, module, attribute):
    value = two["tokens"]["a"].get(attribute) or two.get(attribute)
    if attribute == "slot-description":  # each slot has its own
        value = re.sub("[0-9a-f]+$", format(two["tokens"]["a"]["slot"], "x"), value)
    assert len(keys(hf, f"pkcs11:{attribute}={quote(value)};token=a")) == 4
    wrong = "9.9" if attribute == "library-version" else "Nobody"
    fails(hf("key", "list", f"pkcs11:{attribute}={wrong};token=a", code=3), "no such token", f"{attribute}={wrong}")


@one_module
def test_slot_manufacturer(hf, two):
    fails(hf("key", "list", "pkcs11:slot-manufacturer=Nobody;token=a", code=3), "no such token", "slot-manufacturer=Nobody")
    assert len(keys(hf, "pkcs11:slot-manufacturer=Holdfast;token=a")) == 4


@pytest.mark.parametrize("uri, found", [
    ("object=k1", {("k1", "private"), ("k1", "public")}), ("id=%02", {("k2", "private"), ("k2", "public")}),
    ("id=%02;object=k1", set()), ("type=private", {("k1", "private"), ("k2", "private")}),
    ("object=k2;type=public", {("k2", "public")}), ("object=k", set()), ("type=cert", set()),
])
def test_attributes_of_objects(hf, two, uri, found):
    assert {(key["label"], key["class"]) for key in keys(hf, f"pkcs11:token=a;{uri}")} == found


def test_the_pin_of_the_uri(hf, two, workdir):
    hf("config", "unset", "device.cryptoki.pin_source")
    fails(hf("key", "list", "pkcs11:token=a", code=4), "the user PIN")
    for query in (f"pin-source=file:{workdir}/pin", f"pin-source={workdir}/pin", f"pin-value={PIN}"):
        assert len(keys(hf, f"pkcs11:token=a?{query}")) == 4
    wrong = hf("key", "list", "pkcs11:token=a?pin-value=999999", code=4)
    assert "999999" not in wrong.stderr
    fails(wrong, "the PIN is wrong")


@pytest.mark.modules("softhsm2")
def test_the_module_of_the_uri(hf, two, module, workdir):
    name, folder = "softhsm2", os.path.dirname(str(module))
    hf("config", "unset", "device.cryptoki.module_path")
    fails(hf("key", "list", "pkcs11:token=a", code=3), "no such token", "libholdfast-token.so")
    for query in (f"module-path={module}", f"module-name={name}", f"module-path={folder}&module-name={name}"):
        assert len(keys(hf, f"pkcs11:token=a?{query}")) == 4
    fails(hf("key", "list", "pkcs11:token=a?module-name=nobody", code=3), "module-name=nobody: no such library")
    fails(hf("key", "list", f"pkcs11:token=a?module-path={folder}", code=3), "is a directory", "module-name=")
    fails(hf("key", "list", f"pkcs11:token=a?module-path={folder}&module-name=nobody", code=3), f"no such library in {folder}")
    fails(hf("key", "list", "pkcs11:token=a?module-name=..%2Fx", code=1), "is no library's name")
    # --module is nearer; and the provider goes the same way as the commands.
    fails(hf("key", "list", "--module", "/nowhere.so", f"pkcs11:token=a?module-path={module}", code=3), "/nowhere.so")


@pytest.mark.modules("softhsm2")
def test_the_provider_finds_the_module_by_its_name(hf, two, run, openssl_conf, workdir):
    hf("config", "unset", "device.cryptoki.module_path")
    run(["openssl", "req", "-new", "-key", f"pkcs11:token=a;object=k1?module-name=softhsm2&pin-source={workdir}/pin", "-subj",
         "/CN=x", "-out", "x.csr"], extra_env=openssl_conf())


@one_module
def test_a_name_that_the_configured_module_has(hf, two):
    assert len(keys(hf, "pkcs11:token=a?module-name=holdfast-token")) == 4


@one_module
def test_all_candidates_are_listed(hsm, hf):
    uris = [hsm("init", "--label", f"a token with a long label {n}", "--so-pin-source", "so.pin").stdout.strip() for n in range(7)]
    listed = fails(hsm("create-key", code=3), "several tokens match: 7 tokens: pkcs11:", ", ...")
    assert sorted(line.strip() for line in listed) == sorted(uris)
    for n in range(6):
        hsm("create-key", uris[0], "--label", "k", "--id", f"{n:02}", "--force-new")
    hf("config", "unset", "device.key_uri")
    listed = fails(hsm("delete-key", uris[0], "--label", "k", "--force", code=3), "several objects match the URI: 6 objects")
    assert sorted(line.strip() for line in listed) == sorted(key["uri"] for key in keys(hf, uris[0] + ";type=private"))


# Through the key agent

@pytest.fixture
def agent(hsm, hf, server, build, workdir, module):
    """The agent on the module, whose policy lets root do all; the configuration in mode socket, without a PIN."""
    if not pkcs11_client.client_path():
        pytest.skip("p11-kit-client.so is not installed (package p11-kit-modules)")
    directory = workdir / "agent"
    directory.mkdir()
    (directory / "policy").write_text(f"allow all user={os.getuid()}\n")
    agent = agent_kit.Agent(server, build, directory, module, pin_source=workdir / "pin")
    for key, value in {"device.cryptoki.mode": "socket", "device.cryptoki.socket_path": agent.socket,
                       "device.cryptoki.pkcs11_socket_path": agent.pkcs11}.items():
        hf("config", "set", key, value)
    hf("config", "unset", "device.cryptoki.pin_source")
    return agent


def test_a_key_s_whole_life_through_the_agent(hsm, hf, agent, workdir):
    result = hsm("create-key", "--so-pin-source", "so.pin", "--token-label", "device", "--label", "tls")
    uri = get(hf, "device.key_uri")
    assert uri.endswith(";object=tls;type=private") and ";token=device;" in uri and uri in result.stdout
    assert json.loads(hsm("create-key", "device", "--label", "tls", "--json").stdout)["created"] is False
    assert hsm("init", "--label", "device").stdout.strip() in uri
    assert {key["label"] for key in json.loads(hsm("list-keys", "--json").stdout)} == {"tls"}
    fails(hsm("delete-key", "--label", "tls", "--yes", code=2), "the device connects with this key")
    hsm("delete-key", "--label", "tls", "--force")
    assert json.loads(hsm("list-keys", "--json").stdout) == []


def test_pins_through_the_agent(hsm, hf, agent, workdir):
    hsm("create-key", "--so-pin-source", "so.pin", "--token-label", "device")
    (workdir / "new").write_text("97531864\n")
    hsm("change-pin", "--new-pin-source", "new")
    assert len(json.loads(hsm("list-keys", "--json").stdout)) == 2  # the agent has taken it up
    hsm("change-pin", "--reset", "--so-pin-source", "so.pin", "--new-pin-source", workdir / "pin")
    assert len(json.loads(hsm("list-keys", "--json").stdout)) == 2
    fails(hsm("change-pin", "--reset", "--so-pin", "00000000", "--new-pin-source", "pin", code=4), "the PIN is wrong", "the key agent")
    fails(hsm("change-pin", "--so", "--so-pin-source", "so.pin", "--new-pin", "87654321", code=1), "through the key agent", "--module")


def test_what_policy_refuses(hsm, hf, agent, workdir):
    hsm("init", "--so-pin-source", "so.pin")
    (workdir / "agent" / "policy").write_text(f"allow list,create user={os.getuid()}\ndeny all\n")
    agent.reload()
    agent.wait_for_line("read again")
    hsm("create-key")
    fails(hsm("change-pin", "--new-pin", "97531864", code=1), "permission denied: the key agent", "deny all", "allow change-pin")
    fails(hsm("delete-key", "--label", "holdfast", "--force", code=4), "policy forbids it")
    fails(hsm("init", "--label", "more", "--so-pin-source", "so.pin", code=3), "no free slot")  # those are for who may init


def test_without_the_agent(hsm, hf, agent, workdir):
    agent.server.stop()
    fails(hsm("list-tokens", code=5), "the key agent at")
    fails(hsm("init", "--so-pin-source", "so.pin", code=5), "the key agent at")
