# SPDX-License-Identifier: Apache-2.0
"""The holdfast command: each command's good path, its JSON, and what it says of bad input."""

import json
import os
import pathlib
import pty
import re
import shutil
import signal
import subprocess
import termios
import time

import pytest

from conftest import PIN, SO_PIN, needs
from terminal import converse


@pytest.fixture
def hf(run, holdfast, module, env, workdir):
    """hf("token", "list", ...): runs holdfast on the module, in an environment with a configuration of its own."""
    env["HOLDFAST_MODULE"] = str(module)
    (workdir / "so.pin").write_text(SO_PIN + "\n")
    (workdir / "user.pin").write_text(PIN + "\n")

    def command(*args, **options):
        return run([holdfast, *args], **options)

    return command


@pytest.fixture
def device(hf):
    """A token "device"; hf(*words, *device) works in it."""
    hf("token", "init", "--label", "device", "--so-pin-source", "so.pin", "--pin-source", "user.pin")
    return ["--token", "device", "--pin-source", "user.pin"]


def refused(result, line, hint):
    """Exactly one line and its hint."""
    lines = result.stderr.splitlines()
    assert len(lines) == 2, result
    assert re.fullmatch(r"holdfast: error: " + line, lines[0]), result
    assert re.fullmatch(r"  hint: " + hint, lines[1]), result
    assert result.stdout == ""


# The frame

@pytest.mark.modules("ours")
def test_help_and_version(hf):
    text = hf("--help").stdout
    assert "Usage: holdfast" in text and "Example:" in text and "5  network" in text
    assert re.fullmatch(r"holdfast \d+\.\d+\.\d+\n", hf("--version").stdout)
    commands = re.findall(r"^  ([a-z0-9-]+(?: [a-z]+)?)  +\S", text.split("Commands:")[1].split("Options:")[0], re.M)
    assert "token init" in commands and "softhsm2-util" in commands
    for command in commands:
        if command != "softhsm2-util":
            own = hf(*command.split(), "--help").stdout
            daemons = {"agent run": "holdfast-agent", "ca serve": "holdfast-ca", "core run": "holdfast-core",
                       "greengrassd": "greengrassd"}
            program = daemons.get(command, f"holdfast {command}")
            assert own.startswith(f"Usage: {program}") and "Example:\n  " in own


@pytest.mark.modules("ours")
@pytest.mark.parametrize("args, line, hint", [
    (["tokn", "list"], "wrong usage: there is no command 'tokn'", r"Did you mean 'holdfast token'\?"),
    (["token", "lst"], "wrong usage: there is no command 'token lst'", r"Did you mean 'holdfast token list'\?"),
    (["xyzzy"], "wrong usage: there is no command 'xyzzy'", r"See 'holdfast --help'\."),
    (["token"], "wrong usage: 'token' needs a command", r"See 'holdfast token --help'\."),
    (["key", "list", "--tokne", "a"], "wrong usage: 'key list' has no option --tokne", r"Did you mean --token\?"),
    (["key", "list", "--token"], "wrong usage: --token needs a value: TOKEN", ".*"),
    (["key", "list", "--json=1"], "wrong usage: --json takes no value", ".*"),
    (["key", "list", "--token", "a", "--token", "b"], "wrong usage: --token is given twice", ".*"),
    (["key", "list", "a", "b"], "wrong usage: 'key list' does not take \"b\"", r"See 'holdfast key list --help'\."),
    (["key", "delete"], "wrong usage: no key is named", ".*--label, --id.*"),
    (["key", "delete", "pkcs11:token=device"], "wrong usage: no key is named", ".*--label, --id.*"),
    (["key", "list", "-j"], "wrong usage: 'key list' has no option -j", "Options begin with two dashes."),
    (["token", "init"], "wrong usage: 'token init' needs --label", ".*"),
    (["completion", "fish"], "wrong usage: no completion for 'fish'", "There is one for bash."),
    (["key", "generate", "--type", "dsa"], "wrong usage: --type dsa", "Types are .*"),
    (["key", "generate", "--type", "rsa", "--bits", "1024"], "wrong usage: --bits 1024", ".* 2048 to 4096 .*"),
    (["key", "generate", "--type", "rsa", "--curve", "p256"], "wrong usage: --curve with --type rsa", ".* EC keys alone."),
    (["key", "generate", "--type", "ed25519", "--curve", "p256"], "wrong usage: --curve with --type ed25519", ".* EC keys alone."),
    (["key", "generate", "--bits", "2048"], "wrong usage: --bits with --type ec", ".*--type rsa.*"),
    (["key", "generate", "--curve", "p224"], "wrong usage: --type ec --curve p224", ".*p256, p384 or p521.*"),
    (["key", "generate", "--id", "0"], "wrong usage: --id 0", ".*hexadecimal.*"),
    (["key", "generate", "--id", "zz"], "wrong usage: --id zz", ".*hexadecimal.*"),
])
def test_wrong_usage(hf, args, line, hint):
    refused(hf(*args, code=2), line, hint)


@pytest.mark.modules("ours")
def test_without_arguments(hf):
    result = hf(code=2)
    assert result.stdout == "" and result.stderr.startswith("Usage: holdfast")


@pytest.mark.modules("ours")
def test_completion(hf, run, workdir):
    (workdir / "completion").write_text(hf("completion", "bash").stdout)

    def complete(*words):
        quoted = " ".join(f"'{word}'" for word in ("holdfast", *words))
        return run(["bash", "-c", f". ./completion; COMP_WORDS=({quoted}); COMP_CWORD={len(words)}; _holdfast; echo ${{COMPREPLY[@]}}"]
                   ).stdout.split()

    assert complete("ke") == ["key"]
    assert complete("key", "ge") == ["generate"]
    assert complete("key", "generate", "--cu") == ["--curve"]
    assert {"token", "key", "config", "connect"} <= set(complete(""))


@pytest.mark.modules("ours")
def test_manual_page_names_all(hf, run):
    page = hf("man").stdout
    assert page.startswith(".TH HOLDFAST 1")
    shown = run(["man", "-l", "-"], input=page).stdout if shutil.which("man") else page.replace("\\-", "-")
    assert "holdfast key generate" in shown and "--file-pin-source" in shown


# The module

@pytest.mark.modules("ours")
def test_module_that_is_not_there(hf):
    refused(hf("token", "list", "--module", "/nowhere/x.so", code=3),
            r"the PKCS #11 module cannot be loaded: /nowhere/x\.so: .*", ".*module's path.*")


@pytest.mark.modules("ours")
def test_module_that_is_none(hf, workdir):
    (workdir / "x.so").write_text("no library")
    refused(hf("token", "list", "--module", workdir / "x.so", code=3), "the PKCS #11 module cannot be loaded: .*x.so.*", ".*")


@pytest.mark.modules("ours")
def test_own_module_is_found(hf, env, module):
    del env["HOLDFAST_MODULE"]
    assert "free" in hf("token", "list").stdout


@pytest.mark.modules("softhsm2")
def test_module_of_the_configuration(hf, env, module):
    del env["HOLDFAST_MODULE"]
    hf("config", "set", "device.cryptoki.module_path", module)
    assert "SoftHSM" in json.loads(hf("token", "list", "--json").stdout)[0]["manufacturer"]


@pytest.mark.modules("ours")
def test_unreadable_configuration(hf, env, workdir):
    del env["HOLDFAST_MODULE"]
    (workdir / "config.json").write_text("{ not json")
    result = hf("token", "list", "--config", "config.json", code=1)
    assert result.stderr.startswith("holdfast: error: the configuration is wrong: config.json") or "config.json" in result.stderr
    assert len(result.stderr.splitlines()) == 2


@pytest.mark.modules("ours")
def test_no_token_directory(hf, token_conf):
    token_conf.tokendir.rmdir()
    result = hf("token", "list", code=3)
    refused(result, rf"the PKCS #11 module failed to start: .*{re.escape(str(token_conf.tokendir))}.*", ".*")


@pytest.mark.modules("ours")
def test_no_token_configuration(hf, token_conf):
    token_conf.path.unlink()
    refused(hf("token", "list", code=3), rf"the PKCS #11 module failed to start: .*{re.escape(str(token_conf.path))}.*", ".*")


# Tokens

def test_token_list(hf, device):
    device_token, free = json.loads(hf("token", "list", "--json").stdout)
    assert device_token["label"] == "device"
    assert {"initialized", "user-pin-initialized", "login-required", "rng"} <= set(device_token["flags"])
    assert f"serial={device_token['serial']};token=device" in device_token["uri"]
    assert "initialized" not in free["flags"]
    text = hf("token", "list").stdout
    assert f"Slot {device_token['slot']}: device" in text and f"Slot {free['slot']}: free" in text


def test_token_init_asks(hf, holdfast, env, workdir):
    status, shown = converse([holdfast, "token", "init", "--label", "asked"],
                             [("SO PIN: ", SO_PIN), ("SO PIN, again: ", SO_PIN), ("user PIN: ", PIN), ("user PIN, again: ", PIN)],
                             env=env, cwd=workdir)
    assert status == 0 and "The token is ready in slot" in shown
    assert SO_PIN not in shown and PIN not in shown
    hf("key", "list", "--token", "asked", "--pin-source", "user.pin")


def test_token_init_entries_differ(hf, holdfast, env, workdir):
    status, shown = converse([holdfast, "token", "init", "--label", "asked", "--so-pin-source", "so.pin"],
                             [("user PIN: ", PIN), ("user PIN, again: ", PIN + "1")], env=env, cwd=workdir)
    assert status == 4 and "the two entries differ" in shown
    assert "asked" not in hf("token", "list").stdout


def test_token_init_without_pin(hf):
    refused(hf("token", "init", "--label", "x", "--so-pin-source", "so.pin", code=4),
            "a PIN is needed: the user PIN, and there is no terminal to ask on", "Give it by --pin-source.")
    refused(hf("token", "init", "--label", "x", "--so-pin-source", "env:NOT_SET", code=4), "a PIN is needed: .*env:NOT_SET.*", ".*")
    refused(hf("token", "init", "--label", "x", "--so-pin-source", "none.pin", code=1), "not found: none.pin: .*", ".*")
    refused(hf("token", "init", "--label", "x", "--so-pin-source", "so.pin", "--so-pin", "1234", code=2),
            "wrong usage: --so-pin and --so-pin-source exclude each other", ".*")


def test_pin_too_short_changes_nothing(hf, workdir):
    for options, title in ((["--so-pin", "123", "--pin", PIN], "SO PIN"), (["--so-pin", SO_PIN, "--pin", "123"], "user PIN"),
                           (["--so-pin", SO_PIN, "--pin", "1" * 256], "user PIN")):
        refused(hf("token", "init", "--label", "x", *options, code=4),
                rf"the PIN is too short or too long: the {title} has \d+ characters; nothing was changed \(CKR_PIN_LEN_RANGE\)",
                "This token takes 4 to 255 characters.")
    assert "free" in hf("token", "list").stdout and len(json.loads(hf("token", "list", "--json").stdout)) == 1


def test_token_again(hf, device):
    hf("key", "generate", "--label", "k", "--id", "01", *device)
    refused(hf("token", "init", "--token", "device", "--label", "device", "--so-pin-source", "so.pin", "--pin-source", "user.pin",
               code=2), "wrong usage: 'token init' cannot be undone.*", "Add --yes .*")
    refused(hf("token", "init", "--token", "device", "--label", "device", "--so-pin", "wrong-so", "--pin-source", "user.pin", "--yes",
               code=4), r"the PIN is wrong: .*\(CKR_PIN_INCORRECT\)", ".*")
    assert len(json.loads(hf("key", "list", "--json", *device).stdout)) == 2
    hf("token", "init", "--token", "device", "--label", "new", "--so-pin-source", "so.pin", "--pin-source", "user.pin", "--yes")
    assert hf("key", "list", "--token", "new", "--pin-source", "user.pin").stdout == "No key matches.\n"


def test_label_too_long(hf):
    refused(hf("token", "init", "--label", "x" * 33, "--so-pin-source", "so.pin", "--pin-source", "user.pin", code=1),
            "too large: the label \"x+\" is longer than 32 bytes", ".*")


@pytest.mark.modules("ours")
def test_token_delete(hf, device, token_conf):
    refused(hf("token", "delete", "--token", "device", code=2), "wrong usage: 'token delete' cannot be undone.*", "Add --yes .*")
    refused(hf("token", "delete", "--token", "other", "--yes", code=3), "no such token: pkcs11:token=other in .*", ".*")
    result = hf("token", "delete", "--token", "device", "--yes")
    directory = re.fullmatch(r"The token \((.*)\) has been deleted\.\n", result.stdout).group(1)
    assert directory.startswith(str(token_conf.tokendir)) and not os.path.exists(directory)
    assert "device" not in hf("token", "list").stdout


@pytest.mark.modules("softhsm2")
def test_token_delete_of_another_module(hf, device):
    refused(hf("token", "delete", "--token", "device", "--yes", code=1),
            r"the module cannot do this: deleting a token of .*libsofthsm2\.so \(CKR_FUNCTION_NOT_SUPPORTED\)", ".*own tool.*")
    assert "device" in hf("token", "list").stdout


def test_no_such_slot(hf, device):
    refused(hf("key", "list", "pkcs11:slot-id=4711", "--pin-source", "user.pin", code=3),
            r"no such token: pkcs11:slot-id=4711 in .*", ".*token list.*")


def test_several_tokens(hf, device):
    hf("token", "init", "--label", "other", "--so-pin-source", "so.pin", "--pin-source", "user.pin")
    refused(hf("key", "list", "--pin-source", "user.pin", code=3),
            "several tokens match: 2 tokens: pkcs11:.*token=(device|other), pkcs11:.*token=(device|other)", ".*serial.*")
    refused(hf("key", "list", "pkcs11:token=other", *device, code=2), "wrong usage: --token and the URI name different tokens", ".*")
    hf("config", "set", "device.cryptoki.uri", "pkcs11:token=other")
    hf("key", "list", "--pin-source", "user.pin")


# Keys

@pytest.mark.parametrize("options, kind", [
    ([], {"type": "EC", "curve": "secp256r1"}),
    (["--curve", "p384"], {"type": "EC", "curve": "secp384r1"}),
    (["--type", "ecdsa", "--curve", "p521"], {"type": "EC", "curve": "secp521r1"}),
    (["--type", "rsa", "--bits", "3072"], {"type": "RSA", "bits": 3072}),
])
def test_key_generate(hf, device, options, kind):
    result = hf("key", "generate", "--label", "k 1", "--id", "0a01", *options, *device, timeout=120)
    uri = result.stdout.splitlines()[1].strip()
    assert uri.endswith(";token=device;id=%0A%01;object=k%201;type=private")
    keys = {key["class"]: key for key in json.loads(hf("key", "list", "--json", *device).stdout)}
    assert set(keys) == {"private", "public"}
    assert keys["private"]["uri"] == uri
    for key in keys.values():
        assert key["label"] == "k 1" and key["id"] == "0a01"
        assert kind.items() <= key.items()
    assert {"token", "private", "sensitive", "never-extractable", "local", "sign"} <= set(keys["private"]["flags"])
    assert "extractable" not in keys["private"]["flags"]


def test_key_without_id_gets_one(hf, device):
    hf("key", "generate", "--label", "a", *device)
    hf("key", "generate", "--label", "b", *device)
    ids = {key["id"] for key in json.loads(hf("key", "list", "--json", *device).stdout)}
    assert len(ids) == 2 and all(len(id) == 32 for id in ids)


def test_id_twice(hf, device, run):
    run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "key.pem"])
    hf("key", "generate", "--label", "a", "--id", "01", *device)
    for again in (["generate"], ["import", "key.pem"]):
        refused(hf("key", *again, "--label", "b", "--id", "01", *device, code=1), "the id is already in use: 01", ".*key delete.*")
    assert len(json.loads(hf("key", "list", "--json", *device).stdout)) == 2


def test_wrong_pin(hf, device, workdir):
    result = hf("key", "list", "--token", "device", "--pin", "0000999", code=4)
    refused(result, r'the PIN is wrong: the user PIN of token "device" \(CKR_PIN_INCORRECT\)', "Check the PIN.*")
    assert "0000999" not in result.stderr
    refused(hf("key", "list", "--token", "device", code=4), "a PIN is needed: .*", "Give it by --pin-source.")
    hf("key", "list", "--token", "device", "--pin", PIN)
    hf("key", "list", f"pkcs11:token=device?pin-source={workdir}/user.pin")
    hf("key", "list", f"pkcs11:token=device?pin-value={PIN}")
    hf("config", "set", "device.cryptoki.pin_source", workdir / "user.pin")
    hf("key", "list", "--token", "device")


def test_pin_is_asked_for(hf, device, holdfast, env, workdir):
    status, shown = converse([holdfast, "key", "list", "--token", "device"], [("user PIN: ", PIN)], env=env, cwd=workdir)
    assert status == 0 and "No key matches." in shown and PIN not in shown


KEYS = {
    "PKCS#8 EC": ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "PKCS#8 RSA": ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    "EC P-384, traditional": ["ecparam", "-name", "secp384r1", "-genkey"],
    "RSA, traditional": ["genrsa", "-traditional", "2048"],
}


@pytest.mark.parametrize("kind", KEYS)
def test_key_import(hf, device, run, module, kind):
    key = run(["openssl", *KEYS[kind]]).stdout
    pathlib.Path(run.keywords["cwd"], "key.pem").write_text(key)
    result = hf("key", "import", "key.pem", "--label", "imported", "--id", "01", *device)
    assert result.stdout.startswith("The key pair has been imported:\n  pkcs11:")
    private = [key for key in json.loads(hf("key", "list", "--json", *device).stdout) if key["class"] == "private"][0]
    assert "sensitive" in private["flags"] and "extractable" not in private["flags"] and "local" not in private["flags"]
    # The public half in the token is the file's.
    run(["p11tool", "--provider", module, "--login", f"--set-pin={PIN}", "--outfile", "pub.pem", "--export-pubkey",
         "pkcs11:token=device;id=%01;type=private"])
    run("openssl pkey -pubin -in pub.pem -outform DER -out a && openssl pkey -in key.pem -pubout -outform DER -out b && cmp a b")


def test_key_import_from_a_pipe_with_a_certificate(hf, device, run, holdfast, pki):
    key, cert = pki.key_and_cert("device")
    needs("/dev/fd/0")
    run(["bash", "-c", f'both=$(cat {key} {cert}); {holdfast} key import <(echo "$both") --label a --id 01 {" ".join(device)}'])
    run(["bash", "-c", f'cat {key} {cert} | {holdfast} key import - --label b --id 02 {" ".join(device)}'])
    assert len(json.loads(hf("key", "list", "--json", *device).stdout)) == 4


def test_key_import_encrypted(hf, device, run, env, workdir):
    run("openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 | openssl pkcs8 -topk8 -passout pass:secret -out key.pem")
    importing = ["key", "import", "key.pem", "--label", "k", "--id", "01", *device]
    refused(hf(*importing, code=1), "not a private key that can be read: key.pem is encrypted", ".*--file-pin-source.*")
    env["FILE_PIN"] = "wrong"
    result = hf(*importing, "--file-pin-source", "env:FILE_PIN", code=1)
    refused(result, "not a private key that can be read: key.pem could not be decrypted", "Check the passphrase.*")
    env["FILE_PIN"] = "secret"
    hf(*importing, "--file-pin-source", "env:FILE_PIN")


@pytest.mark.parametrize("content, line", [
    ("", "holds no private key in PEM"),
    ("no key at all\n", "holds no private key in PEM"),
    ("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "holds no private key in PEM"),
    ("-----BEGIN PRIVATE KEY-----\nMIIBdamaged\n-----END PRIVATE KEY-----\n", ""),
    ("-----BEGIN PRIVATE KEY-----\n", ""),
])
def test_key_file_that_is_none(hf, device, workdir, content, line):
    (workdir / "key.pem").write_text(content)
    refused(hf("key", "import", "key.pem", "--label", "k", *device, code=1), f"not a private key that can be read: key.pem ?{line}",
            ".*openssl pkcs8.*")
    assert hf("key", "list", *device).stdout == "No key matches.\n"


def test_key_file_that_is_missing(hf, device):
    refused(hf("key", "import", "none.pem", "--label", "k", *device, code=1), "not found: none.pem: No such file or directory", ".*")


def test_key_of_another_kind(hf, device, run):
    run(["openssl", "genpkey", "-algorithm", "DH", "-pkeyopt", "group:ffdhe2048", "-out", "key.pem"])
    refused(hf("key", "import", "key.pem", "--label", "k", *device, code=1), "the key is of the wrong type: DH.*", "Import an RSA.*")


@pytest.mark.modules("ours")
def test_key_generate_by_hostile_label(hf, device):
    hf("key", "generate", "--label", "a\x1b[31mb;c", "--id", "01", *device)
    shown = hf("key", "list", *device).stdout
    assert "\x1b" not in shown and "a\\x1B[31mb;c" in shown and "object=a%1B[31mb%3Bc" in shown


def test_key_delete(hf, device):
    for label, id in (("a", "01"), ("b", "02"), ("b", "03")):
        hf("key", "generate", "--label", label, "--id", id, *device)
    refused(hf("key", "delete", "pkcs11:object=a", *device, code=2), "wrong usage: 'key delete' cannot be undone.*", "Add --yes .*")
    refused(hf("key", "delete", "pkcs11:object=none", "--yes", *device, code=3),
            "nothing matches the URI: pkcs11:token=device;object=none;type=private", ".*key list.*")
    refused(hf("key", "delete", "pkcs11:object=b", "--yes", *device, code=3),
            "several objects match the URI: 2 objects: pkcs11:.*id=%0[23].*, pkcs11:.*id=%0[23].*", ".*id=.*")
    refused(hf("key", "delete", "pkcs11:object", "--yes", *device, code=1), "not a valid PKCS #11 URI: .*character 8.*", ".*RFC 7512.*")
    assert len(json.loads(hf("key", "list", "--json", *device).stdout)) == 6

    result = hf("key", "delete", "pkcs11:object=a", "--yes", *device)
    assert sorted(line.split(";")[-1] for line in result.stdout.splitlines()) == ["type=private", "type=public"]
    hf("key", "delete", "pkcs11:id=%02;type=public", "--yes", *device)
    left = sorted((key["id"], key["class"]) for key in json.loads(hf("key", "list", "--json", *device).stdout))
    assert left == [("02", "private"), ("03", "private"), ("03", "public")]


def test_key_delete_asks(hf, device, holdfast, env, workdir):
    hf("key", "generate", "--label", "a", "--id", "01", *device)
    command = [holdfast, "key", "delete", "pkcs11:object=a", *device]
    status, shown = converse(command, [("to go on: ", "no")], env=env, cwd=workdir)
    assert status == 2 and "not confirmed" in shown
    assert len(json.loads(hf("key", "list", "--json", *device).stdout)) == 2
    status, shown = converse(command, [("to go on: ", "yes")], env=env, cwd=workdir)
    assert status == 0
    assert hf("key", "list", *device).stdout == "No key matches.\n"


def test_key_pem(hf, device, run, workdir):
    hf("key", "generate", "--label", "k", "--id", "01", *device)
    hf("key", "pem", f"pkcs11:token=device;object=k?pin-source={workdir}/user.pin", "--out", "key.pem")
    assert (workdir / "key.pem").read_text().startswith("-----BEGIN PKCS#11 PROVIDER URI-----\n")
    shown = run("grep -v -- ----- key.pem | openssl base64 -d | openssl asn1parse -inform DER").stdout
    assert "PKCS#11 Provider URI v1.0" in shown
    assert f"id=%01;object=k;type=private?pin-source={workdir}/user.pin" in shown
    assert hf("key", "pem", "pkcs11:object=k", *device).stdout.startswith("-----BEGIN PKCS#11 PROVIDER URI-----\n")
    refused(hf("key", "pem", "pkcs11:object=none", *device, code=3), "nothing matches the URI: .*", ".*")
    result = hf("key", "pem", f"pkcs11:token=device;object=k?pin-value={PIN}", "--out", "other.pem")
    assert PIN not in run("grep -v -- ----- other.pem | openssl base64 -d").stdout + result.stdout


# The process

@pytest.mark.modules("ours")
def test_interrupt_at_the_prompt_leaves_the_echo_on(hf, holdfast, env, workdir):
    needs("/dev/pts/ptmx")
    master, slave = pty.openpty()
    # A shell's background job ignores SIGINT, and so would what it starts.
    process = subprocess.Popen(["env", "--default-signal=INT", holdfast, "token", "init", "--label", "x"], env=env, cwd=workdir,
                               stdin=slave, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        assert process.stderr.read(7) == b"SO PIN:"
        end = time.monotonic() + 5
        while termios.tcgetattr(slave)[3] & termios.ECHO:
            assert time.monotonic() < end, "the echo is still on"
        process.send_signal(signal.SIGINT)
        assert process.wait(5) == -signal.SIGINT
        assert termios.tcgetattr(slave)[3] & termios.ECHO
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
        os.close(master)
        os.close(slave)


@pytest.mark.modules("ours")
def test_pin_does_not_stay_in_the_process_list(hf, holdfast, env, workdir, module):
    """--pin is overwritten before the program may wait for anything else."""
    needs("/proc/self/cmdline")
    needs("/dev/pts/ptmx")
    # A user PIN that is still asked for holds the program while its --so-pin has been read.
    master, slave = pty.openpty()
    process = subprocess.Popen([holdfast, "token", "init", "--label", "x", "--so-pin", "86428642"], env=env, cwd=workdir,
                               stdin=slave, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        assert process.stderr.read(9) == b"user PIN:"
        assert b"86428642" not in pathlib.Path(f"/proc/{process.pid}/cmdline").read_bytes()
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
        os.close(master)
        os.close(slave)
