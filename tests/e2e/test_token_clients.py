# SPDX-License-Identifier: Apache-2.0
"""Stock programs on the token, each with all that it does to one: OpenSC's, GnuTLS's, NSS's, OpenSSH's, Java's, and p11-kit between."""

import glob
import os
import pwd
import re
import shutil
import stat

import pytest

import conftest
from conftest import PIN, SO_PIN

pytestmark = pytest.mark.modules("ours")


def tool(name):
    """A program's path, for those whose packages are large."""
    path = shutil.which(name, path=conftest.clean_env("/")["PATH"])
    if not path:
        pytest.skip(f"there is no {name} here")
    return path


@pytest.fixture(autouse=True)
def quick_pin(token_conf):
    with open(token_conf.path, "a") as conf:
        conf.write("pin.kdf_memory = 8\npin.kdf_passes = 1\n")


# OpenSC

@pytest.fixture
def pkcs11_tool(run, module, token):
    def call(*args, **named):
        return run(["pkcs11-tool", "--module", module, "--token-label", token.label, "--login", "--pin", token.pin, *args], **named)

    return call


def test_pkcs11_tool_test(pkcs11_tool, make_key):
    make_key("ec", "EC:prime256v1", "01")
    make_key("rsa", "rsa:2048", "02")
    pkcs11_tool("--keypairgen", "--key-type", "rsa:2048", "--label", "cipher", "--id", "03", "--usage-decrypt")
    result = pkcs11_tool("--test", timeout=60)
    assert "No errors" in result.stdout
    assert "RSA-PKCS-OAEP" in result.stdout + result.stderr


def test_pkcs11_tool_test_ec(pkcs11_tool):
    """It makes a key pair, renames it, signs and deletes it; for that it must be told to open a session that may."""
    for curve in ("prime256v1", "secp384r1", "secp521r1"):
        result = pkcs11_tool("--session-rw", "--test-ec", "--key-type", f"EC:{curve}", "--id", "05")
        assert "==> OK" in result.stdout
    assert "Key Object" not in pkcs11_tool("--list-objects").stdout


def test_pkcs11_tool_test_fork(pkcs11_tool):
    """SoftHSM2 fails this one."""
    result = pkcs11_tool("--test-fork")
    assert "error" not in result.stdout + result.stderr


def test_pkcs11_tool_test_threads(pkcs11_tool):
    """Threads that initialise at once, ask, and list the slots. SoftHSM2 crashes here. The tool sleeps for half a minute where its
    main thread is the first to be done, so that one makes a large key."""
    result = pkcs11_tool(*["--test-threads", "IN:GI:SL0"] * 8, "--keypairgen", "--key-type", "rsa:3072", "--id", "06", timeout=80)
    said = result.stdout + result.stderr
    assert len(re.findall(r"returning rv(?: = 0|:CKR_OK)\b", said)) == 8  # as 0.23 and 0.26 say it
    assert "errors" not in said


# GnuTLS

@pytest.fixture
def p11tool(run, module):
    def call(*args, **named):
        return run(["p11tool", "--provider", module, "--batch", *args], extra_env={"GNUTLS_PIN": PIN, "GNUTLS_SO_PIN": SO_PIN}, **named)

    return call


@pytest.fixture
def life(p11tool, module):
    """A token that p11tool made, by its URI."""
    p11tool("--initialize", "--label", "life", f"--set-so-pin={SO_PIN}", "pkcs11:model=Holdfast%20token")
    p11tool("--initialize-pin", f"--set-so-pin={SO_PIN}", f"--set-pin={PIN}", "pkcs11:token=life")
    return "pkcs11:token=life"


def test_p11tool_generates(p11tool, life):
    p11tool("--login", "--generate-privkey", "ecdsa", "--curve", "secp256r1", "--label", "ec", "--outfile", "ec.pub", life)
    p11tool("--login", "--generate-privkey", "rsa", "--bits", "2048", "--label", "rsa", "--id", "0203", "--outfile", "rsa.pub", life)
    listed = p11tool("--login", "--list-all", life).stdout
    assert "Private key (EC/ECDSA-SECP256R1)" in listed and "Private key (RSA-2048)" in listed
    assert "CKA_NEVER_EXTRACTABLE; CKA_SENSITIVE" in listed
    for key, extra in (("ec", []), ("rsa", []), ("rsa", ["--sign-params", "rsa-pss"])):
        tested = p11tool("--login", "--test-sign", *extra, f"{life};object={key}").stderr
        assert tested.count("... ok") == 3, tested
    exported = p11tool("--login", "--export-pubkey", f"{life};object=rsa", "--outfile", "again.pub")
    assert exported.code == 0


def test_p11tool_writes_and_deletes(p11tool, life, pki, workdir, run):
    key, cert = pki.key_and_cert("written")
    p11tool("--login", "--write", "--load-privkey", key, "--label", "written", "--id", "07", life)
    p11tool("--login", "--write", "--load-certificate", cert, "--label", "written", "--id", "07", life)
    p11tool("--login", "--write", "--secret-key", "00112233445566778899aabbccddeeff", "--label", "secret", life)
    run(["openssl", "pkey", "-in", key, "-pubout", "-out", "written.pub"])
    p11tool("--login", "--write", "--load-pubkey", "written.pub", "--label", "written", "--id", "07", life)
    p11tool("--so-login", "--write", "--load-certificate", pki.ca, "--label", "ca", "--mark-trusted", "--mark-ca", life)
    assert "... ok" in p11tool("--login", "--test-sign", f"{life};object=written;type=private").stderr
    assert p11tool("--export", f"{life};object=written;type=cert").stdout.split() == cert.read_text().split()
    assert p11tool("--export-chain", f"{life};object=written;type=cert").stdout.count("BEGIN CERTIFICATE") == 2
    assert "CKA_TRUSTED" in p11tool("--list-all-certs", f"{life};object=ca").stdout
    p11tool("--login", "--set-label", "renamed", f"{life};object=written;type=private")
    p11tool("--login", "--set-id", "0999", f"{life};object=renamed;type=private")
    assert "ID: 09:99" in p11tool("--login", "--list-privkeys", f"{life};object=renamed").stdout
    for left, what in enumerate(["type=private", "type=cert;object=written", "object=secret", "object=ca", "type=public"]):
        p11tool("--login", "--delete", f"{life};{what}")
    assert "Object 0" not in p11tool("--login", "--list-all", life, code=None).stdout


@pytest.mark.parametrize("kind", ["rsa:2048", "EC:prime256v1"])
def test_certtool(kind, make_key, p11tool, run, token, module, workdir, pki):
    """An authority whose key is in the token: its own certificate, and one for a request."""
    uri = make_key("ca", kind)
    pin = {"GNUTLS_PIN": PIN}
    (workdir / "ca.tmpl").write_text("cn = Token CA\nca\ncert_signing_key\nexpiration_days = 30\nserial = 7\n")
    (workdir / "device.tmpl").write_text("cn = device\nexpiration_days = 3\nserial = 8\ntls_www_client\n")
    pki.openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", workdir / "device.key",
                "-out", workdir / "device.csr", "-subj", "/CN=device")
    certtool = ["certtool", "--provider", module]
    run([*certtool, "--generate-self-signed", "--load-privkey", uri, "--load-pubkey", uri.replace("private", "public"),
         "--template", "ca.tmpl", "--outfile", "ca.pem"], extra_env=pin)
    run([*certtool, "--generate-certificate", "--load-request", "device.csr", "--load-ca-certificate", "ca.pem",
         "--load-ca-privkey", uri, "--template", "device.tmpl", "--outfile", "device.pem"], extra_env=pin)
    assert "device.pem: OK" in run(["openssl", "verify", "-CAfile", "ca.pem", "device.pem"]).stdout
    run([*certtool, "--generate-request", "--load-privkey", uri, "--load-pubkey", uri.replace("private", "public"),
         "--template", "device.tmpl", "--outfile", "own.csr"], extra_env=pin)
    run(["openssl", "req", "-in", "own.csr", "-verify", "-noout"])


# NSS

def test_nss(run, module, token, make_key, workdir):
    """modutil adds the module to a browser's database; certutil makes keys and certificates in the token."""
    make_key("there", "EC:prime256v1")
    database = ["-d", f"sql:{workdir / 'nss'}"]
    (workdir / "nss").mkdir()
    (workdir / "noise").write_bytes(os.urandom(128))
    run([tool("certutil"), "-N", *database, "--empty-password"])
    run(["modutil", "-dbdir", f"sql:{workdir / 'nss'}", "-force", "-add", "holdfast", "-libfile", module])
    assert f"token: {token.label}" in run(["modutil", "-dbdir", f"sql:{workdir / 'nss'}", "-list"]).stdout
    at_token = [*database, "-h", token.label, "-f", token.pin_file]
    for name, kind in (("rsa", ["-k", "rsa", "-g", "2048"]), ("ec", ["-k", "ec", "-q", "secp256r1"])):
        run(["certutil", "-S", *at_token, *kind, "-n", name, "-s", f"CN={name}", "-x", "-t", ",,", "-z", "noise"])
    keys, certs = run(["certutil", "-K", *at_token]).stdout, run(["certutil", "-L", *at_token]).stdout
    assert "there" in keys and f"{token.label}:rsa" in keys and f"{token.label}:ec" in keys
    assert f"{token.label}:rsa" in certs
    run(["certutil", "-F", *at_token, "-n", f"{token.label}:rsa"])
    assert f"{token.label}:rsa" not in run(["certutil", "-K", *at_token]).stdout


# p11-kit

PROXY = glob.glob("/usr/lib/*/p11-kit-proxy.so") + glob.glob("/usr/lib*/p11-kit-proxy.so")


def test_p11_kit_proxy(run, module, workdir, token_conf):
    """All of a token's life through p11-kit's proxy, which knows the module by a user's configuration; root has none of it."""
    if not PROXY:
        pytest.skip("p11-kit-proxy.so is not installed (package p11-kit-modules)")
    as_user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []
    copy = shutil.copy(module.path, workdir / "module.so")
    config = workdir / ".config/pkcs11"
    (config / "modules").mkdir(parents=True)
    (config / "pkcs11.conf").write_text("user-config: only\n")
    (config / "modules/holdfast.module").write_text(f"module: {copy}\n")
    workdir.chmod(0o755)
    if as_user:
        shutil.chown(token_conf.tokendir, "nobody")

    def through_proxy(*args):
        return run([*as_user, "pkcs11-tool", "--module", PROXY[0], *args], timeout=60).stdout

    through_proxy("--slot-index", "0", "--init-token", "--label", "device", "--so-pin", SO_PIN)
    through_proxy("--token-label", "device", "--login", "--login-type", "so", "--so-pin", SO_PIN, "--init-pin", "--pin", PIN)
    at_token = ["--token-label", "device", "--login", "--pin", PIN]
    through_proxy(*at_token, "--keypairgen", "--key-type", "rsa:2048", "--label", "rsa", "--id", "02")
    assert "No errors" in through_proxy(*at_token, "--test")
    assert "==> OK" in through_proxy(*at_token, "--session-rw", "--test-ec", "--key-type", "EC:prime256v1", "--id", "07")
    assert "token: device" in run([*as_user, "p11-kit", "list-modules"]).stdout
    listed = run([*as_user, "p11tool", "--batch", "--login", "--list-privkeys", "pkcs11:token=device"], extra_env={"GNUTLS_PIN": PIN})
    assert "Label: rsa" in listed.stdout


# OpenSSH

@pytest.fixture
def ssh_env(workdir):
    """ssh asks for the PIN by a program."""
    askpass = workdir / "askpass"
    askpass.write_text(f"#!/bin/sh\necho {PIN}\n")
    askpass.chmod(stat.S_IRWXU)
    return {"SSH_ASKPASS": str(askpass), "SSH_ASKPASS_REQUIRE": "force"}


@pytest.fixture
def sshd(run, server, module, workdir, free_port, token, make_key):
    """A server on loopback that lets in whom the token's keys prove; yields ssh's options to reach it."""
    daemon = tool("sshd")
    if os.geteuid() != 0:
        pytest.skip("sshd needs root for its own separation of privileges")
    make_key("ec", "EC:prime256v1", "01")
    make_key("rsa", "rsa:2048", "02")
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "host"])
    (workdir / "authorized").write_text(run(["ssh-keygen", "-D", module]).stdout)
    port = free_port()
    (workdir / "known").write_text(f"[127.0.0.1]:{port} {(workdir / 'host.pub').read_text()}")
    (workdir / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {workdir}/host\nAuthorizedKeysFile {workdir}/authorized\n"
        "PidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n")
    # Its empty directory, /run/sshd, is there for it alone.
    private = conftest.namespaces("--mount")
    server([*private, "sh", "-c", f"mount -t tmpfs none /run && mkdir /run/sshd && exec {daemon} -D -e -f {workdir}/sshd_config"],
           port=port)
    return ["-F", "none", "-p", port, "-o", f"UserKnownHostsFile={workdir}/known", "-o", "IdentityFile=none",
            "-o", "PreferredAuthentications=publickey", f"{pwd.getpwuid(os.geteuid()).pw_name}@127.0.0.1"]


def test_ssh_logs_in(sshd, run, module, ssh_env):
    assert run(["ssh", "-I", module, *sshd, "echo in"], extra_env=ssh_env).stdout == "in\n"


def test_ssh_agent_logs_in(sshd, run, module, ssh_env, workdir):
    """Twice with each key: the agent's helper keeps the module loaded."""
    socket = workdir / "agent.sock"
    started = run(["ssh-agent", "-P", f"{os.path.dirname(module.path)}/*,/usr/*", "-a", socket]).stdout
    pid = started.split("SSH_AGENT_PID=")[1].split(";")[0]
    agent_env = {**ssh_env, "SSH_AUTH_SOCK": str(socket)}
    try:
        run(["ssh-add", "-s", module], extra_env=agent_env)
        keys = run(["ssh-add", "-L"], extra_env=agent_env).stdout.splitlines()
        assert len(keys) == 2
        for number, key in enumerate(keys * 2):
            (workdir / "key.pub").write_text(key + "\n")
            only = ["-o", "IdentitiesOnly=yes", "-o", f"IdentityFile={workdir}/key.pub"]
            assert run(["ssh", *only, *sshd, f"echo {number}"], extra_env=agent_env).stdout == f"{number}\n"
        run(["ssh-add", "-e", module], extra_env=agent_env)
        assert "no identities" in run(["ssh-add", "-l"], extra_env=agent_env, code=1).stdout
    finally:
        os.kill(int(pid), 15)


# Java

@pytest.fixture
def keytool(run, module, token, workdir):
    program = tool("keytool")
    (workdir / "java.cfg").write_text(f"name = Holdfast\nlibrary = {module}\nslotListIndex = 0\n")

    def call(*args, **named):
        return run([program, "-J-XX:TieredStopAtLevel=1", *args, "-keystore", "NONE", "-storetype", "PKCS11", "-storepass", token.pin,
                    "-addprovider", "SunPKCS11", "-providerarg", "java.cfg"], timeout=60, **named).stdout

    return call


def test_keytool(keytool, pki, run, module, token, workdir):
    """Keys, requests, a certificate that comes back from an authority, a secret key, and what is deleted is gone."""
    keytool("-genkeypair", "-alias", "rsa", "-keyalg", "RSA", "-keysize", "2048", "-dname", "CN=rsa")
    keytool("-genkeypair", "-alias", "ec", "-keyalg", "EC", "-groupname", "secp256r1", "-dname", "CN=ec")
    keytool("-certreq", "-alias", "ec", "-file", "ec.csr")
    chain = workdir / "chain.pem"
    chain.write_text(pki.sign("ec.csr", "ec").read_text() + pki.ca.read_text())
    keytool("-importcert", "-noprompt", "-alias", "ec", "-file", chain)
    assert "Certificate chain length: 2" in keytool("-list", "-v", "-alias", "ec")
    keytool("-genseckey", "-alias", "aes", "-keyalg", "AES", "-keysize", "256")
    listed = keytool("-list")
    assert "rsa, PrivateKeyEntry" in listed and "ec, PrivateKeyEntry" in listed and "aes, SecretKeyEntry" in listed
    signs_and_serves(run, token)
    keytool("-delete", "-alias", "rsa")
    keytool("-delete", "-alias", "aes")
    listed = run(["pkcs11-tool", "--module", module, "--login", "--pin", token.pin, "--list-objects"]).stdout
    assert listed.count("Private Key Object") == 1 and "Secret Key Object" not in listed
    assert listed.count("Certificate Object") == 2  # the key's own and its authority's


def signs_and_serves(run, token):
    """A Java program with those keys; needs the compiler, which is not in every Java."""
    if not shutil.which("javac", path=conftest.clean_env("/")["PATH"]):
        return
    source = conftest.SOURCE / "tests/e2e/TokenClient.java"
    said = run(["java", "-XX:TieredStopAtLevel=1", source, "java.cfg", token.pin, "rsa", "ec"], timeout=60).stdout
    assert "FAILED" not in said
    for what in ("SHA256withRSA", "RSASSA-PSS", "RSA/ECB/PKCS1Padding", "SHA256withECDSA", "TLSv1.2 rsa", "TLSv1.3 rsa",
                 "TLSv1.2 ec", "TLSv1.3 ec"):
        assert f"ok {what}" in said
