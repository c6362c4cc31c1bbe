# SPDX-License-Identifier: Apache-2.0
"""Secret keys, ciphers, MACs and digests, as OpenSC's pkcs11-tool uses them, against what others compute."""

import hashlib

import pytest

MESSAGE = b"what nobody else is to read, in more than one block\n" * 3
IV = bytes(range(16))
KEY = bytes(range(0x40, 0x60))
SYSTEM = {"OPENSSL_CONF": "/etc/ssl/openssl.cnf"}


@pytest.fixture
def tool(run, token, workdir):
    """tool(word, ...): pkcs11-tool on the token, its user logged in; message holds MESSAGE."""
    (workdir / "message").write_bytes(MESSAGE)
    return lambda *args, **options: run(["pkcs11-tool", "--module", token.module, "--token-label", token.label, "--login", "--pin", token.pin, *args],
                                        **options)


@pytest.fixture
def imported(tool, workdir):
    """The id of an AES key, which is KEY."""
    (workdir / "key").write_bytes(KEY)
    tool("--write-object", "key", "--type", "secrkey", "--key-type", "AES:32", "--usage-decrypt", "--id", "07", "--label", "imported")
    return "07"


@pytest.mark.parametrize("mechanism, cipher", [("AES-CBC-PAD", "aes-256-cbc"), ("AES-CBC", "aes-256-cbc")])
def test_encrypts_as_openssl_does(tool, run, imported, workdir, mechanism, cipher):
    padding = [] if mechanism.endswith("PAD") else ["-nopad"]
    message = MESSAGE if not padding else MESSAGE[:144]
    (workdir / "message").write_bytes(message)
    tool("--encrypt", "-m", mechanism, "--iv", IV.hex(), "--id", imported, "-i", "message", "-o", "encrypted")
    run(["openssl", "enc", "-d", f"-{cipher}", *padding, "-K", KEY.hex(), "-iv", IV.hex(), "-in", "encrypted", "-out", "decrypted"], extra_env=SYSTEM)
    assert (workdir / "decrypted").read_bytes() == message
    tool("--decrypt", "-m", mechanism, "--iv", IV.hex(), "--id", imported, "-i", "encrypted", "-o", "back")
    assert (workdir / "back").read_bytes() == message


@pytest.mark.modules("ours")
def test_another_key_does_not_decrypt(tool, imported, workdir):
    tool("--keygen", "--key-type", "AES:32", "--id", "08", "--label", "made")
    tool("--encrypt", "-m", "AES-CBC-PAD", "--iv", IV.hex(), "--id", "08", "-i", "message", "-o", "encrypted")
    assert MESSAGE not in (workdir / "encrypted").read_bytes()
    failed = tool("--decrypt", "-m", "AES-CBC-PAD", "--iv", IV.hex(), "--id", imported, "-i", "encrypted", "-o", "back", code=1)
    assert "CKR_ENCRYPTED_DATA_INVALID" in failed.stderr + failed.stdout
    tool("--decrypt", "-m", "AES-CBC-PAD", "--iv", IV.hex(), "--id", "08", "-i", "encrypted", "-o", "back")
    assert (workdir / "back").read_bytes() == MESSAGE


@pytest.mark.parametrize("name", ["SHA-1", "SHA256", "SHA384", "SHA512"])
def test_digests(tool, workdir, name):
    tool("--hash", "-m", name, "-i", "message", "-o", "digest")
    assert (workdir / "digest").read_bytes() == hashlib.new(name.replace("-", ""), MESSAGE).digest()


@pytest.mark.modules("ours")
@pytest.mark.parametrize("name", ["sha3_224", "sha3_256", "sha3_384", "sha3_512"])
def test_sha3(tool, workdir, name):
    tool("--hash", "-m", name.upper().replace("_", "-"), "-i", "message", "-o", "digest")
    assert (workdir / "digest").read_bytes() == hashlib.new(name, MESSAGE).digest()


@pytest.mark.modules("ours")
def test_hmac(tool, workdir):
    tool("--keygen", "--key-type", "GENERIC:64", "--usage-sign", "--id", "09", "--label", "mac")
    tool("--sign", "-m", "SHA256-HMAC", "--id", "09", "-i", "message", "-o", "mac")
    mac = (workdir / "mac").read_bytes()
    assert len(mac) == hashlib.sha256().digest_size
    verify = ["--verify", "-m", "SHA256-HMAC", "--id", "09", "-i", "message", "--signature-file", "mac"]
    assert "Signature is valid" in tool(*verify).stdout
    (workdir / "mac").write_bytes(bytes([mac[0] ^ 1]) + mac[1:])
    assert "Signature is valid" not in tool(*verify, code=None).stdout
