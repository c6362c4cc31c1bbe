# SPDX-License-Identifier: Apache-2.0
"""What an HSM's keys decrypt and derive, by pkcs11-tool, against what openssl encrypts with the public half."""

import pytest

from hsm_kit import card, hsm  # noqa: F401 (fixtures)

SYSTEM = {"OPENSSL_CONF": "/etc/ssl/openssl.cnf"}
SECRET = bytes(range(32))
OAEP = {hash: ["-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", f"rsa_oaep_md:{hash}", "-pkeyopt", f"rsa_mgf1_md:{hash}"] for hash in ("sha1", "sha256")}
OAEP_TOOL = {"sha1": ["--hash-algorithm", "SHA-1", "--mgf", "MGF1-SHA1"], "sha256": ["--hash-algorithm", "SHA256", "--mgf", "MGF1-SHA256"]}


def tool(hsm, key, *args, **options):
    # OpenSC names a card's token after its first certificate.
    token = [] if hsm.name == "opensc" else ["--token-label", hsm.label]
    return hsm.run(["pkcs11-tool", "--module", hsm.module, *token, "--login", "--pin", hsm.pin, "--id", hsm.ids[key], *args], **options)


@pytest.fixture
def made(hsm, run, holdfast, workdir):
    """made(kind): a key of it, whose public half is pub.pem."""
    def make(kind):
        key = hsm.create_key("secrets", kind)
        (workdir / "pub.pem").write_text(run([holdfast, "pubkey", key, *hsm.access]).stdout)
        return key

    return make


@pytest.fixture
def encrypt(run, workdir):
    def encrypt(*padding):
        (workdir / "plain").write_bytes(SECRET)
        run(["openssl", "pkeyutl", "-encrypt", "-pubin", "-inkey", "pub.pem", "-in", "plain", "-out", "sealed", *padding], extra_env=SYSTEM)

    return encrypt


def test_pkcs1(hsm, made, encrypt, workdir):
    key = made("rsa")
    encrypt()
    tool(hsm, key, "--decrypt", "--mechanism", "RSA-PKCS", "-i", "sealed", "-o", "opened")
    assert (workdir / "opened").read_bytes() == SECRET


@pytest.mark.parametrize("hash", OAEP)
def test_oaep(hsm, made, encrypt, workdir, hash):
    if hash not in hsm.traits.oaep:
        pytest.skip(f"{hsm.name} has no OAEP with {hash}")
    key = made("rsa")
    encrypt(*OAEP[hash])
    tool(hsm, key, "--decrypt", "--mechanism", "RSA-PKCS-OAEP", *OAEP_TOOL[hash], "-i", "sealed", "-o", "opened")
    assert (workdir / "opened").read_bytes() == SECRET


@pytest.mark.parametrize("kind", ["p256", "p384"])
def test_ecdh(hsm, made, run, workdir, kind):
    if not hsm.traits.derives:
        pytest.skip(f"{hsm.name} has no ECDH")
    key = made(kind)
    run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{kind.upper().replace('P', 'P-')}", "-out", "other.pem"], extra_env=SYSTEM)
    run(["openssl", "pkey", "-in", "other.pem", "-pubout", "-outform", "DER", "-out", "other.der"], extra_env=SYSTEM)
    run(["openssl", "pkeyutl", "-derive", "-inkey", "other.pem", "-peerkey", "pub.pem", "-out", "theirs"], extra_env=SYSTEM)
    tool(hsm, key, "--derive", "--mechanism", "ECDH1-DERIVE", "-i", "other.der", "-o", "ours")
    assert (workdir / "ours").read_bytes() == (workdir / "theirs").read_bytes()


@pytest.mark.parametrize("hsm", ["ours", "softhsm2"], indirect=True)
def test_what_is_not_for_the_key(hsm, made, encrypt, workdir):
    """One answer for all that is wrong with it, and no output."""
    key = made("rsa")
    encrypt()
    sealed = bytearray((workdir / "sealed").read_bytes())
    sealed[100] ^= 1
    (workdir / "sealed").write_bytes(sealed)
    # OpenSSL 3.2 and later below SoftHSM2 opens it to something random instead (implicit rejection).
    code = 1 if hsm.name == "ours" else None
    tool(hsm, key, "--decrypt", "--mechanism", "RSA-PKCS", "-i", "sealed", "-o", "opened", code=code)
    opened = workdir / "opened"
    assert not opened.exists() or opened.read_bytes() == b"" or (code is None and opened.read_bytes() != SECRET)
