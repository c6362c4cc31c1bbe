# SPDX-License-Identifier: Apache-2.0
"""The SoftHSM commands of the two tutorials that Holdfast begins with, word for word: only the module, and where
/greengrass and /etc lie, are others."""

import re

import pytest

from conftest import needs
from terminal import converse


@pytest.fixture
def tutorial(workdir, env, holdfast, module):
    """A PATH on which softhsm2-util and tedge are ours, and what stands for / in the tutorials."""
    bin_dir = workdir / "bin"
    bin_dir.mkdir()
    (bin_dir / "softhsm2-util").symlink_to(holdfast)
    (bin_dir / "tedge").symlink_to(holdfast)
    env["PATH"] = f"{bin_dir}:{env['PATH']}"
    env["SOFTHSM2_CONF"] = str(workdir / "etc/softhsm/softhsm2.conf")
    env.pop("HOLDFAST_TOKEN_CONF", None)
    env["HOLDFAST_MODULE"] = str(module)
    return workdir


@pytest.fixture
def sh(tutorial, run):
    """Runs one of the tutorials' commands, its absolute paths moved under workdir."""

    def run_line(line, **options):
        moved = re.sub(r"(?<![\w.])/(greengrass|etc/softhsm)", rf"{tutorial}/\1", line)
        return run(["bash", "-c", moved], **options)

    return run_line


@pytest.fixture
def configured(sh):
    sh("mkdir -p /etc/softhsm")
    sh("mkdir -p /greengrass/softhsm2/tokens")
    sh('echo "directories.tokendir = /greengrass/softhsm2/tokens" > /etc/softhsm/softhsm2.conf')
    sh('echo "objectstore.backend = file" >> /etc/softhsm/softhsm2.conf')


@pytest.fixture
def key_files(run, pki, workdir):
    """hash.private.key as a cloud hands it out: a traditional RSA key; and a device's EC key with its certificate."""
    run(["openssl", "genrsa", "-traditional", "-out", "hash.private.key", "2048"])
    return pki.key_and_cert("device")


def slot_of(result):
    return re.search(r"slot (\d+)$", result.stdout.strip()).group(1)


def test_without_the_token_directory(sh):
    sh("mkdir -p /etc/softhsm")
    sh('echo "directories.tokendir = /greengrass/softhsm2/tokens" > /etc/softhsm/softhsm2.conf')
    result = sh("softhsm2-util --init-token --slot 0 --label greengrass --so-pin 12345 --pin 1234", code=1)
    assert result.stdout == ""
    assert result.stderr.startswith("ERROR: Could not initialize the library")


@pytest.mark.modules("ours")
def test_without_the_token_directory_ours_says_which(sh, tutorial):
    sh("mkdir -p /etc/softhsm")
    sh('echo "directories.tokendir = /greengrass/softhsm2/tokens" > /etc/softhsm/softhsm2.conf')
    lines = sh("softhsm2-util --show-slots", code=1).stderr.splitlines()
    assert lines[0] == "ERROR: Could not initialize the library."
    assert f"{tutorial}/greengrass/softhsm2/tokens" in lines[1]
    assert lines[-1] == "ERROR: Please verify that the SoftHSM configuration is correct."


def test_greengrass_module_7(sh, configured, key_files, module):
    first = sh("softhsm2-util --init-token --slot 0 --label greengrass --so-pin 12345 --pin 1234")
    assert re.fullmatch(r"The token has been initialized and is reassigned to slot [1-9]\d*\n", first.stdout)
    again = sh("softhsm2-util --init-token --slot 0 --label greengrass --so-pin 12345 --pin 1234", code=1)
    assert again.stderr == "CKR_SLOT_ID_INVALID: Slot 0 does not exist.\n"

    sh("openssl pkcs8 -topk8 -inform PEM -outform PEM -nocrypt -in hash.private.key -out hash.private.pem")
    # The tutorial's first form has a PIN that its own init-token did not set.
    mistyped = sh("softhsm2-util --import hash.private.pem --token greengrass --label iotkey --id 0000 --pin 12340", code=1)
    assert mistyped.stderr == "ERROR: The given user PIN does not match the one in the token.\n"
    # Its second names a slot that init-token has left.
    moved = sh("softhsm2-util --import hash.private.pem --slot 0 --label iotkey --id 0000 --pin 1234", code=1)
    assert moved.stderr == "ERROR: The given slot does not exist.\n"
    done = sh("softhsm2-util --import hash.private.pem --token greengrass --label iotkey --id 0000 --pin 1234")
    assert done.stdout.splitlines() == [f"Found slot {slot_of(first)} with matching token label.", "The key pair has been imported."]
    twice = sh("softhsm2-util --import hash.private.pem --token greengrass --label iotkey --id 0000 --pin 1234", code=1)
    assert twice.stderr == "ERROR: The ID is already assigned to another object. Use --force to override this message.\n"

    listed = sh(f"p11tool --provider {module} --login --set-pin=1234 --list-privkeys 'pkcs11:object=iotkey;type=private'").stdout
    assert "Type: Private key (RSA-2048)" in listed and "ID: 00:00" in listed and "object=iotkey" in listed
    dump = sh(f"pkcs11-dump dump {module} {slot_of(first)} 1234").stdout
    assert "CKF_RNG" in dump and "CKF_LOGIN_REQUIRED" in dump and "CKF_USER_PIN_INITIALIZED" in dump
    private = next(part for part in re.split(r"\nObject \d+\n", dump) if "CKO_PRIVATE_KEY" in part)
    for fact in ("CKA_LABEL: iotkey", "CKA_PRIVATE: TRUE", "CKA_SENSITIVE: TRUE", "CKA_EXTRACTABLE: FALSE", "CKA_SIGN: TRUE",
                 "CKA_DECRYPT: TRUE", "CKA_UNWRAP: TRUE", "CKA_TOKEN: TRUE"):
        assert fact in private
    assert "CKO_PUBLIC_KEY" in dump
    assert f"{slot_of(first)}\t" in sh(f"pkcs11-dump slotlist {module}").stdout


def test_free_form(sh, configured):
    sh("softhsm2-util --init-token --slot 0 --label one --so-pin 12345 --pin 1234")
    result = sh("softhsm2-util --init-token --free --label greengrass --so-pin 12345 --pin 1234")
    assert re.fullmatch(r"Slot 1 has a free/uninitialized token\.\n"
                        r"The token has been initialized and is reassigned to slot \d+\n", result.stdout)
    slots = sh("softhsm2-util --show-slots").stdout
    assert slots.startswith("Available slots:\nSlot ") and slots.count("Initialized:      yes") == 2
    assert "        Label:            greengrass" in slots


def test_import_by_slot(sh, configured, key_files):
    slot = slot_of(sh("softhsm2-util --init-token --free --label greengrass --so-pin 12345 --pin 1234"))
    sh("openssl pkcs8 -topk8 -inform PEM -outform PEM -nocrypt -in hash.private.key -out hash.private.pem")
    result = sh(f"softhsm2-util --import hash.private.pem --slot {slot} --label iotkey --id 0000 --pin 1234")
    assert result.stdout == "The key pair has been imported.\n"


def test_prompts(tutorial, configured, env, sh):
    status, shown = converse(["softhsm2-util", "--init-token", "--slot", "0", "--label", "my-token"],
                             [("Please enter SO PIN: ", "123456789"), ("Please reenter SO PIN: ", "123456789"),
                              ("Please enter user PIN: ", "123456"), ("Please reenter user PIN: ", "123456")], env=env, cwd=tutorial)
    assert status == 0
    lines = shown.splitlines()
    assert lines[0] == "=== SO PIN (4-255 characters) ==="
    assert lines[3] == "=== User PIN (4-255 characters) ==="
    assert lines[-1].startswith("The token has been initialized and is reassigned to slot ")
    assert "123456" not in shown
    # The PINs that were typed are the token's.
    sh("softhsm2-util --init-token --token my-token --label my-token --so-pin 123456789 --pin 123456")


def test_prompts_until_the_pins_will_do(tutorial, configured, env):
    status, shown = converse(["softhsm2-util", "--init-token", "--slot", "0", "--label", "my-token", "--pin", "123456"],
                             [("Please enter SO PIN: ", "12345"), ("Please reenter SO PIN: ", "12346"),
                              ("Please enter SO PIN: ", "123"),
                              ("Please enter SO PIN: ", "12345"), ("Please reenter SO PIN: ", "12345")], env=env, cwd=tutorial)
    assert status == 0
    assert "ERROR: The entered PINs are not equal." in shown
    assert "ERROR: The length of the PIN is out of range." in shown


def test_no_prompt_without_a_terminal(sh, configured):
    result = sh("softhsm2-util --init-token --slot 0 --label my-token", code=1)
    assert result.stderr == "ERROR: Could not get SO PIN\n"


THIN_EDGE_IMPORT = r'''
PUB_PRIV_KEY=$(
    cat "$(tedge config get device.key_path)" && cat "$(tedge config get device.cert_path)"
)
softhsm2-util \
    --import <(echo "$PUB_PRIV_KEY") \
    --token my-token \
    --label my-key \
    --id 01 \
    --pin 123456 \

'''


def test_thin_edge(sh, configured, key_files, module, run, workdir):
    needs("/dev/fd/0")
    key, cert = key_files
    run(["tedge", "config", "set", "device.key_path", key])
    run(["tedge", "config", "set", "device.cert_path", cert])
    sh("softhsm2-util --init-token --slot 0 --label my-token --so-pin 12345678 --pin 123456")
    assert "The key pair has been imported.\n" in sh(THIN_EDGE_IMPORT).stdout

    tokens = sh(f"p11tool --provider {module} --list-tokens").stdout
    token = next(part for part in tokens.split("\n\n") if "Label: my-token" in part)
    assert "Flags: RNG, Requires login" in token and "Type: Generic token" in token
    url = re.search(r"URL: (pkcs11:\S+)", token).group(1)
    assert re.fullmatch(r"pkcs11:model=[^;]+;manufacturer=[^;]+;serial=[0-9a-f]{16};token=my-token", url)

    listed = sh(f"p11tool --provider {module} --login --set-pin=123456 --list-privkeys \"{url}\"").stdout
    assert [line.strip() for line in listed.strip().splitlines()] == [
        "Object 0:", f"URL: {url};id=%01;object=my-key;type=private", "Type: Private key (EC/ECDSA-SECP256R1)", "Label: my-key",
        "Flags: CKA_PRIVATE; CKA_SENSITIVE;", "ID: 01"]
    # p11tool takes its own URI back, and so do we.
    key_url = f"{url};id=%01;object=my-key;type=private"
    assert "Label: my-key" in sh(f"p11tool --provider {module} --login --set-pin=123456 --list-privkeys '{key_url}'").stdout
    assert key_url in sh(f"tedge key list '{key_url}' --pin 123456").stdout
    # It is the device's key: what it signs, the certificate verifies.
    (workdir / "data").write_bytes(b"a message")
    sh(f"pkcs11-tool --module {module} --login --pin 123456 --token-label my-token --sign --id 01 --mechanism ECDSA "
       "--input-file <(openssl dgst -sha256 -binary data) --output-file raw --signature-format openssl")
    sh(f"openssl x509 -in {cert} -pubkey -noout > public.pem && openssl dgst -sha256 -verify public.pem -signature raw data")
