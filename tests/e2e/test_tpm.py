# SPDX-License-Identifier: Apache-2.0
"""A TPM 2.0 (swtpm behind tpm2-pkcs11) in place of the software HSM: the commands, the provider and the agent."""

import glob

import pytest

from agent_kit import Agent
from conftest import PIN, SO_PIN, Module, Token
from p11_server_client import spki

def tpm2_pkcs11():
    found = glob.glob("/usr/lib/*/pkcs11/libtpm2_pkcs11.so") + glob.glob("/usr/lib/*/libtpm2_pkcs11.so*")
    if not found:
        pytest.skip("libtpm2_pkcs11.so is not installed (package libtpm2-pkcs11-1)")
    return found[0]


@pytest.fixture
def tpm(server, free_port, workdir, env):
    """A fresh emulated TPM; its PKCS #11 module."""
    module = tpm2_pkcs11()
    state, store = workdir / "tpm", workdir / "tpm-store"
    state.mkdir()
    store.mkdir()
    port = free_port()  # the control channel is on the next one: the module expects it there
    server(["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={state}", "--server", f"type=tcp,port={port},bindaddr=127.0.0.1",
            "--ctrl", f"type=tcp,port={port + 1},bindaddr=127.0.0.1", "--flags", "not-need-init,startup-clear"], port=port + 1)
    env.update(TPM2_PKCS11_STORE=str(store), TPM2_PKCS11_TCTI=f"swtpm:host=127.0.0.1,port={port}", TPM2_PKCS11_LOG_LEVEL="0",
               TSS2_LOG="all+NONE")
    return Module("tpm", module)


@pytest.fixture
def tpm_token(tpm, holdfast, run, workdir):
    pin_file = workdir / "tpm.pin"
    pin_file.touch(mode=0o600)
    pin_file.write_text(PIN + "\n")
    run([holdfast, "token", "init", "--module", tpm, "--label", "tpm", "--so-pin", SO_PIN, "--pin-source", pin_file], timeout=60)
    return Token(tpm, "tpm", PIN, SO_PIN, pin_file)


def check(run, workdir, pem, signature):
    (workdir / "pub.pem").write_text(pem)
    (workdir / "sig").write_bytes(signature)
    run(["openssl", "dgst", "-sha256", "-verify", workdir / "pub.pem", "-signature", workdir / "sig", workdir / "data"])


@pytest.fixture
def key(tpm_token, holdfast, run, workdir):
    """A device key that was made in the TPM: its URI."""
    run([holdfast, "key", "generate", "--module", tpm_token.module, "--token", "tpm", "--label", "device", "--id", "01",
         "--pin-source", tpm_token.pin_file], timeout=60)
    (workdir / "data").write_text("telemetry")
    return tpm_token.key_uri("device")


# Without a resource manager (/dev/tpmrm0) what a process leaves in the TPM stays there: a test has a TPM of its own.

def test_commands(tpm, tpm_token, key, holdfast, run, workdir):
    access = ["--module", tpm, "--pin-source", tpm_token.pin_file]
    pem = run([holdfast, "pubkey", key, *access]).stdout
    run([holdfast, "sign", key, "data", "--out", "sig", *access])
    check(run, workdir, pem, (workdir / "sig").read_bytes())
    wrong = run([holdfast, "key", "list", "--module", tpm, "--token", "tpm", "--pin", "000000"], code=4)
    assert "the PIN is wrong" in wrong.stderr


def test_kinds_that_it_lacks(tpm, tpm_token, holdfast, run):
    """What it lacks is told, and what it offers. (It says P-521, but trips over such a key of its own when it is to sign.)"""
    access = ["--module", tpm, "--pin-source", tpm_token.pin_file]
    offer = "It offers P-256, P-384, P-521, RSA of 1024 to 3072 bits."
    for options, line in ((["--type", "ed25519"], "the token does not offer this mechanism: Ed25519 keys in token 'tpm'"),
                          (["--type", "rsa", "--bits", "4096"], "the key size is not supported: RSA-4096 keys in token 'tpm'")):
        result = run([holdfast, "key", "generate", "--token", "tpm", "--label", "device", *options, *access], code=1)
        assert line in result.stderr and offer in result.stderr


def test_provider(tpm, tpm_token, key, run, openssl_conf):
    conf = openssl_conf(module_path=tpm, pin_source=tpm_token.pin_file)
    run(["openssl", "req", "-new", "-key", key, "-subj", "/CN=device", "-out", "device.csr"], extra_env=conf)
    run(["openssl", "req", "-in", "device.csr", "-noout", "-verify"])


def test_agent(tpm, tpm_token, key, run, build, server, workdir):
    """By both sockets, with no PIN at the client."""
    agent = Agent(server, build, workdir / "agent", tpm, pin_source=tpm_token.pin_file)
    assert agent.client.choose_scheme([0x0403], key) == (0x0403, 3)
    check(run, workdir, spki(agent.client.public_key_pem(key)), agent.client.sign(b"telemetry", key))
    client = glob.glob("/usr/lib/*/pkcs11/p11-kit-client.so")[0]
    listed = run(["p11tool", "--provider", client, "--list-privkeys", tpm_token.uri],
                 extra_env={"P11_KIT_SERVER_ADDRESS": f"unix:path={agent.pkcs11}"}).stdout
    assert "Label: device" in listed and "EC/ECDSA-SECP256R1" in listed
