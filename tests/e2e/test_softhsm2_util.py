# SPDX-License-Identifier: Apache-2.0
"""softhsm2-util's own program and ours, command by command on SoftHSM2's module: the same output, the same exit status."""

import re
import shutil

import pytest

from terminal import converse

pytestmark = [
    pytest.mark.modules("softhsm2"),
    pytest.mark.skipif(not shutil.which("softhsm2-util"), reason="softhsm2-util is not installed (package softhsm2)"),
]

INIT = ["--so-pin", "12345", "--pin", "1234"]
IMPORT = ["--token", "b", "--label", "k", "--pin", "1234"]

SCRIPT = [
    [],
    ["--init-token", "--show-slots"],
    ["--show-slots"],
    ["--init-token"],
    ["--init-token", "--slot", "-1", "--label", "a", *INIT],
    ["--init-token", "--slot", "0"],
    ["--init-token", "--slot", "0", "--label", "x" * 33],
    ["--init-token", "--slot", "0", "--label", "b", *INIT],
    ["--init-token", "--slot", "0", "--label", "b", *INIT],
    ["--init-token", "--free", "--label", "a", *INIT],
    ["--show-slots"],
    ["--init-token", "--token", "a", "--label", "a", "--so-pin", "99999", "--pin", "1234"],
    ["--init-token", "--token", "a", "--label", "a", *INIT],
    ["--init-token", "--token", "none", "--label", "a", *INIT],
    ["--init-token", "--serial", "none", "--label", "a", *INIT],
    ["--init-token", "--serial", "x" * 17, "--label", "a", *INIT],
    ["--init-token", "--slot", "7", "--token", "b", "--label", "b", *INIT],
    ["--init-token", "--free", "--token", "b", "--label", "c", *INIT],
    ["--init-token", "--free", "--label", "c", *INIT],
    ["--import", "ec.pem"],
    ["--import", "ec.pem", "--token", "c", "--label", "k", "--id", "01", "--pin", "1234"],
    ["--import", "ec.pem", "--token", "none", "--label", "k", "--id", "01", "--pin", "1234"],
    ["--import", "ec.pem", "--free", "--label", "k", "--id", "01", "--pin", "1234"],
    ["--import", "ec.pem", "--slot", "77", "--label", "k", "--id", "01", "--pin", "1234"],
    ["--import", "ec.pem", "--slot", "4", "--label", "k", "--id", "01", "--pin", "1234"],
    ["--import", "ec.pem", "--token", "b"],
    ["--import", "ec.pem", "--token", "b", "--label", "k"],
    ["--import", "ec.pem", *IMPORT, "--id", "0"],
    ["--import", "ec.pem", *IMPORT, "--id", "0g"],
    ["--import", "ec.pem", *IMPORT, "--id", ""],
    ["--import", "ec.pem", "--token", "b", "--label", "k", "--id", "01", "--pin", "99999"],
    ["--import", "none.pem", *IMPORT, "--id", "01"],
    ["--import", "text", *IMPORT, "--id", "01"],
    ["--import", "traditional.pem", *IMPORT, "--id", "01"],
    ["--import", "encrypted.pem", *IMPORT, "--id", "03"],
    ["--import", "encrypted.pem", *IMPORT, "--id", "03", "--file-pin", "wrong"],
    ["--import", "ec.pem", *IMPORT, "--id", "03", "--file-pin", "secret"],
    ["--import", "encrypted.pem", *IMPORT, "--id", "03", "--file-pin", "secret"],
    ["--import", "ec.pem", *IMPORT, "--id", "01"],
    ["--import", "ec.pem", *IMPORT, "--id", "01"],
    ["--import", "ec.pem", *IMPORT, "--id", "01", "--force"],
    ["--import", "rsa.pem", *IMPORT, "--id", "05", "--no-public-key"],
    ["--import", "rsa.pem", *IMPORT, "--id", "06"],
    ["--import", "ed25519.pem", *IMPORT, "--id", "07"],
    ["--import", "ed448.pem", *IMPORT, "--id", "0a"],
    ["--import", "dsa.pem", *IMPORT, "--id", "0b"],
    ["--import", "dh.pem", *IMPORT, "--id", "0c"],
    ["--import", "rsa-pss.pem", *IMPORT, "--id", "0c"],
    ["--import", "secp256k1.pem", *IMPORT, "--id", "0d"],
    ["--import", "none", "--aes", *IMPORT, "--id", "08"],
    ["--import", "empty", "--aes", *IMPORT, "--id", "08"],
    ["--import", "aes", "--aes", *IMPORT, "--id", "09"],
    # Nothing but a private key makes an id one that is taken.
    ["--import", "aes", "--aes", *IMPORT, "--id", "09"],
    ["--import", "aes", "--aes", *IMPORT, "--id", "01"],
    ["--import", "ec.pem", *IMPORT, "--id", "09"],
    ["--import", "ec.pem", "--serial", "x" * 17, "--label", "k", "--id", "01", "--pin", "1234"],
    ["--import", "ec.pem", "--token", "x" * 33, "--label", "k", "--id", "01", "--pin", "1234"],
    ["--import", "ec.pem", "--token", "b", "--serial", "none", "--label", "k", "--id", "01", "--pin", "1234"],
    ["--import", "ec.pem", "--token", "b", "--label", "k", "--id", "0f", "--pin", "123"],
    ["--init-token", "--free", "--slot", "0", "--label", "d", *INIT],
    ["--init-token", "--free", "--label", "d", "--so-pin", "123", "--pin", "1234"],
    ["--delete-token", "--token", "x" * 33],
    ["--delete-token", "--serial", "x" * 17],
    ["--delete-token"],
    ["--module", "/nowhere/x.so", "--show-slots"],
]


@pytest.fixture
def keys(run, workdir):
    run("openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ec.pem")
    run("openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.pem")
    for name in ["ed25519", "ed448", "rsa-pss"]:
        run(f"openssl genpkey -algorithm {name} -out {name}.pem")
    run("openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:secp256k1 -out secp256k1.pem")
    run("openssl genpkey -genparam -algorithm DSA -pkeyopt dsa_paramgen_bits:1024 -out dsa.param")
    run("openssl genpkey -paramfile dsa.param -out dsa.pem")
    run("openssl genpkey -algorithm DH -pkeyopt group:ffdhe2048 -out dh.pem")
    run("openssl ec -in ec.pem -out traditional.pem")
    run("openssl pkcs8 -topk8 -in ec.pem -passout pass:secret -out encrypted.pem")
    (workdir / "text").write_text("no key\n")
    (workdir / "aes").write_bytes(bytes(16))
    (workdir / "empty").touch()


def comparable(text):
    """Without what is random (serials, and slots made of them), says whose program it is, or is later than Debian's."""
    text = re.sub(r"^  --(import-type|show-config) .*\n(    .*\n)+", "", text, flags=re.M)
    text = re.sub(r"\b[0-9a-f]{16}\b", "SERIAL", text)
    text = re.sub(r"(slot ID 0x)[0-9a-f]{3,8} *$", r"\1N", text, flags=re.M)
    text = re.sub(r"([Ss]lot )\d{3,}", r"\1N", text)
    return re.sub(r"(library than ).*", r"\1X.", text)


def outcome(run, program, args):
    result = run([program, *args], code=None)
    return result.code, sorted(re.split(r"(?=^Slot )", comparable(result.stdout), flags=re.M)), result.stderr


def play(run, program, tokendir, module):
    results = [outcome(run, program, args) for args in SCRIPT]
    objects = run(["pkcs11-tool", "--module", module, "--login", "--pin", "1234", "--token-label", "b", "--list-objects"]).stdout
    shutil.rmtree(tokendir)
    tokendir.mkdir()
    # The original does not say how long an AES key is.
    return results, sorted(re.sub(r"AES length \d+", "AES", comparable(objects)).splitlines())


def test_side_by_side(run, workdir, env, holdfast, module, keys, token_conf):
    ours = workdir / "bin/softhsm2-util"
    ours.parent.mkdir()
    ours.symlink_to(holdfast)
    env["HOLDFAST_MODULE"] = str(module)
    expected, expected_objects = play(run, shutil.which("softhsm2-util"), token_conf.tokendir, module)
    results, objects = play(run, ours, token_conf.tokendir, module)
    for args, theirs, got in zip(SCRIPT, expected, results):
        assert got[:2] == theirs[:2], args
        # Ours may say more: why.
        assert got[2].startswith(theirs[2].splitlines(True)[0] if theirs[2] else ""), args
        assert bool(got[2]) == bool(theirs[2]), args
    assert objects == expected_objects


def pad_less(shown):
    """Without the asterisks, one for each character of the PIN, that the original shows."""
    return re.sub(r"PIN: \*+", "PIN: ", comparable(shown))


SO, USER = ("SO PIN: ", "12345"), ("user PIN: ", "1234")
TALKS = [
    (["--init-token", "--free", "--label", "a"], [SO, SO, USER, USER]),
    # Too short; then not the same twice.
    (["--init-token", "--free", "--label", "a"], [("SO PIN: ", "123"), SO, ("reenter SO PIN: ", "54321"), SO, SO, USER, USER]),
    # An option's PIN of a length that will not do is asked for.
    (["--init-token", "--free", "--label", "a", "--so-pin", "123", "--pin", "1234"], [SO, SO]),
    (["--init-token", "--free", "--label", "a", "--so-pin", "12345", "--pin", "x" * 256], [USER, USER]),
    (["--init-token", "--token", "t", "--label", "b", "--pin", "1234"], [("SO PIN: ", "99999"), ("SO PIN: ", "99999")]),
    (["--init-token", "--token", "t", "--label", "t", "--pin", "1234"], [SO, SO]),
    (["--import", "ec.pem", "--token", "t", "--label", "k", "--id", "01"], [USER, USER]),
    (["--import", "ec.pem", "--token", "t", "--label", "k", "--id", "02"], [("user PIN: ", "9999"), ("user PIN: ", "9999")]),
    (["--import", "aes", "--aes", "--token", "t", "--label", "k", "--id", "01"], [USER, USER]),
    (["--import", "ec.pem", "--slot", "77", "--label", "k", "--id", "01"], []),
]


def test_on_a_terminal(run, workdir, env, holdfast, module, keys, token_conf):
    program = workdir / "bin/softhsm2-util"
    program.parent.mkdir()
    program.symlink_to(holdfast)
    env["HOLDFAST_MODULE"] = str(module)
    outcomes = []
    for util in [shutil.which("softhsm2-util"), program]:
        run([util, "--init-token", "--free", "--label", "t", *INIT])
        talks = [converse([util, *args], answers, env=env, cwd=workdir) for args, answers in TALKS]
        outcomes.append([(status, pad_less(shown)) for status, shown in talks])
        shutil.rmtree(token_conf.tokendir)
        token_conf.tokendir.mkdir()
    for talk, theirs, ours in zip(TALKS, *outcomes):
        assert ours[0] == theirs[0] and ours[1].startswith(theirs[1]), talk


@pytest.mark.modules("ours", "softhsm2")
def test_import_what_later_ones_import(run, workdir, env, holdfast, module, keys, pki, token_conf):
    """softhsm2-util 2.7's: certificates, and the type by its name. A pipe that holds a key and then a certificate has both."""
    util = [holdfast, "softhsm2-util", "--module", module]
    run([*util, "--init-token", "--free", "--label", "b", *INIT])
    key, cert = pki.key_and_cert("device")
    both = workdir / "both.pem"
    both.write_text(key.read_text() + cert.read_text())
    add = lambda path, *args, **how: run([*util, "--import", path, *IMPORT, *args], **how)
    run(["sh", "-c", f"cat {both} | {holdfast} softhsm2-util --module {module} --import /dev/stdin {' '.join(IMPORT)} --id 0b"])
    assert "The certificate with label=k has been imported." in add(both, "--id", "0b", "--import-type", "cert").stdout
    again = add(both, "--id", "0b", "--import-type", "cert", code=1).stderr
    assert again == "ERROR: The ID is already assigned to another object. Use --force to override this message.\n"
    add(both, "--id", "0b", "--import-type", "cert", "--force")
    assert add("text", "--id", "0c", "--import-type", "cert", code=1).stderr == "ERROR: Could not read the certificate file: text\n"
    assert add("none", "--id", "0c", "--import-type", "cert", code=1).stderr == "ERROR: Could not open the certificate file: none\n"
    assert add("ec.pem", "--id", "0c", "--import-type", "pgp", code=1).stderr == "ERROR: Invalid import type 'pgp'\n"
    listed = run(["pkcs11-tool", "--module", module, "--token-label", "b", "--login", "--pin", "1234", "--list-objects"]).stdout
    assert listed.count("Certificate Object; type = X.509 cert") == 2 and listed.count("Private Key Object") == 1
    run(["pkcs11-tool", "--module", module, "--token-label", "b", "--read-object", "--type", "cert", "--id", "0b", "-o", "out.der"])
    run(["openssl", "x509", "-in", cert, "-outform", "DER", "-out", "cert.der"])
    assert (workdir / "out.der").read_bytes() == (workdir / "cert.der").read_bytes()


def test_show_config(run, holdfast, module):
    util = [holdfast, "softhsm2-util", "--show-config"]
    assert run([*util, "default-pkcs11-lib"], extra_env={"HOLDFAST_MODULE": str(module)}).stdout == f"{module}\n"
    assert run([*util, "other"], code=1).stderr == "ERROR: Invalid configuration key 'other'\n"


def test_an_unknown_option_is_an_error(run, workdir, holdfast, module):
    """The original shows its help and says all is well."""
    result = run([holdfast, "softhsm2-util", "--bogus"], code=1)
    assert "unrecognized option '--bogus'" in result.stderr and "Usage: softhsm2-util" in result.stdout
    assert run([holdfast, "softhsm2-util", "--slot", "x", "--init-token", "--label", "a"], code=1,
               extra_env={"HOLDFAST_MODULE": str(module)}).stderr == "ERROR: The slot number is not a number: x\n"


@pytest.mark.modules("ours")
def test_delete_token(run, env, holdfast, module, token_conf):
    util = [holdfast, "softhsm2-util", "--module", module]
    run([*util, "--init-token", "--free", "--label", "a", *INIT])
    assert run([*util, "--delete-token", "--token", "b"], code=1).stderr == "ERROR: Could not find a token using --serial or --token.\n"
    lines = run([*util, "--delete-token", "--token", "a"]).stdout.splitlines()
    assert re.fullmatch(r"Found token \([0-9a-f]{16}\) with matching token label\.", lines[0])
    assert re.fullmatch(rf"The token \({re.escape(str(token_conf.tokendir))}/[^)]+\) has been deleted\.", lines[1])
    assert not list(token_conf.tokendir.iterdir())
    run([*util, "--init-token", "--free", "--label", "a", *INIT])
    run([*util, "--init-token", "--free", "--label", "a", *INIT])
    assert run([*util, "--delete-token", "--token", "a"], code=1).stderr == "ERROR: Found multiple matching tokens.\n"
    assert len(list(token_conf.tokendir.iterdir())) == 2


def test_delete_token_of_another_module(run, holdfast, module, token_conf):
    result = run([holdfast, "softhsm2-util", "--module", module, "--delete-token", "--token", "a"], code=1)
    assert result.stderr.startswith(f"ERROR: The module {module} cannot delete tokens. ")
