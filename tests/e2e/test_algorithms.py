# SPDX-License-Identifier: Apache-2.0
"""Every kind of key through everything that uses one: made, listed, certified, in TLS on both sides, by others' tools."""

import json

import pytest

from agent_kit import Agent
from provider_kit import kit  # noqa: F401 (a fixture)

# What makes it; the type that key list says; the curve; how openssl checks a signature of it.
KINDS = {
    "p256": ([], "EC", "secp256r1"),
    "p384": (["--curve", "p384"], "EC", "secp384r1"),
    "p521": (["--type", "ec", "--curve", "p521"], "EC", "secp521r1"),
    "ed25519": (["--type", "ed25519"], "EdDSA", "edwards25519"),
    "rsa": (["--type", "rsa"], "RSA", None),
}
SYSTEM = {"OPENSSL_CONF": "/etc/ssl/openssl.cnf"}


@pytest.fixture
def hf(run, holdfast, module, env, token):
    """hf(word, ...): runs holdfast on the module, with the token's PIN."""
    env["HOLDFAST_MODULE"] = str(module)
    return lambda *args, **options: run([holdfast, *args, "--pin-source", token.pin_file], **{"timeout": 60, **options})


@pytest.fixture
def make(hf, token):
    """make(kind, label): a key pair by holdfast; its URI."""
    def make(kind, label="key", id="01"):
        hf("key", "generate", "--token", token.label, "--label", label, "--id", id, *KINDS[kind][0])
        return token.key_uri(label)

    return make


@pytest.fixture
def verify(run, workdir):
    """verify(kind): openssl, without our provider, finds that pub.pem's key made sig of data."""
    def verify(kind, signature="sig"):
        how = {"ed25519": ["-rawin"], "rsa": ["-rawin", "-digest", "sha256", "-pkeyopt", "rsa_padding_mode:pss", "-pkeyopt", "rsa_pss_saltlen:32"]}
        run(["openssl", "pkeyutl", "-verify", *how.get(kind, ["-rawin", "-digest", "sha256"]), "-pubin", "-inkey", "pub.pem", "-in", "data",
             "-sigfile", signature], extra_env=SYSTEM)

    return verify


@pytest.mark.parametrize("kind", KINDS)
def test_commands(hf, make, run, workdir, verify, kind):
    uri = make(kind)
    for key in json.loads(hf("key", "list", "--json").stdout):
        assert (key["type"], key.get("curve")) == KINDS[kind][1:], key
    if KINDS[kind][2]:
        assert f"private, {KINDS[kind][1]} {KINDS[kind][2]}\n" in hf("key", "list").stdout
    (workdir / "data").write_bytes(bytes(range(256)) * 300)
    hf("pubkey", uri, "--out", "pub.pem")
    hf("sign", uri, "data", "--out", "sig")
    verify(kind)


@pytest.mark.parametrize("kind", KINDS)
def test_certificates_and_tls_on_both_sides(kit, make, run, workdir, server, free_port, kind):
    uri, csr, own = make(kind), workdir / "key.csr", workdir / "own.pem"
    kit.openssl("req", "-new", "-key", uri, "-subj", "/CN=key", "-out", csr)
    run(["openssl", "req", "-in", csr, "-noout", "-verify"], extra_env=SYSTEM)
    kit.openssl("req", "-x509", "-new", "-key", uri, "-subj", "/CN=authority", "-addext", "basicConstraints=critical,CA:TRUE", "-out", own)
    kit.openssl("x509", "-req", "-in", csr, "-CA", own, "-CAkey", uri, "-CAcreateserial", "-out", workdir / "issued.pem")
    run(["openssl", "verify", "-CAfile", own, workdir / "issued.pem"], extra_env=SYSTEM)
    cert, pem = kit.pki.sign(csr, "key"), kit.wrap("key", uri)
    for version in "-tls1_3", "-tls1_2":
        port = free_port()
        listener = server(["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", cert, "-key", pem, "-CAfile", kit.pki.ca,
                           "-Verify", "1", "-verify_return_error", version, "-www"], line="ACCEPT", extra_env=kit.conf)
        for key in uri, pem:
            out = kit.openssl("s_client", "-connect", f"127.0.0.1:{port}", "-cert", cert, "-key", key, "-CAfile", kit.pki.ca,
                              "-verify_return_error", "-ign_eof", version, input="GET / HTTP/1.0\r\n\r\n").stdout
            # In TLS 1.3 the server's word on the client's certificate comes with its answer.
            assert "Verification: OK" in out and "HTTP/1.0 200" in out
        listener.stop()


@pytest.mark.parametrize("kind", ["p521", "ed25519"])
def test_the_private_half_is_not_given_out(kit, make, kind):
    uri = make(kind)
    for args in ["-text"], ["-outform", "DER"]:
        assert "PRIVATE" not in kit.openssl("pkey", "-in", uri, *args, code=1).stdout
    kit.openssl("pkcs8", "-topk8", "-nocrypt", "-in", kit.wrap("key", uri), code=1)
    # The public half is another matter.
    assert "BEGIN PUBLIC KEY" in kit.openssl("pkey", "-in", uri, "-pubout").stdout


def test_ed25519_with_a_hash(kit, hf, make, workdir):
    """There is none to choose: said so, and not signed something else."""
    uri = make("ed25519")
    (workdir / "data").write_text("data")
    result = hf("sign", uri, "data", "--hash", "sha256", "--out", "sig", code=2)
    assert "--hash with an Ed25519 key" in result.stderr and "hint:" in result.stderr
    assert "--scheme pss with a key of type EdDSA" in hf("sign", uri, "data", "--scheme", "pss", code=2).stderr
    kit.openssl("dgst", "-sha256", "-sign", uri, "-out", "sig", "data", code=1)
    assert not (workdir / "sig").exists() or not (workdir / "sig").read_bytes()


@pytest.mark.modules("ours")
def test_ed25519_limits(hf, make, workdir, verify):
    uri = make("ed25519")
    hf("pubkey", uri, "--out", "pub.pem")
    for size in 0, 1, 16 << 20:
        (workdir / "data").write_bytes(bytes(size))
        hf("sign", uri, "data", "--out", "sig")
        if size:  # openssl does not take an empty file
            verify("ed25519")
    (workdir / "data").write_bytes(bytes((16 << 20) + 1))
    assert "too large" in hf("sign", uri, "data", "--out", "sig", code=1).stderr


@pytest.mark.parametrize("genpkey", [
    ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"], ["-algorithm", "ED25519"]], ids=["p521", "ed25519"])
def test_import(hf, run, token, workdir, verify, genpkey):
    run(["openssl", "genpkey", *genpkey, "-out", "file.key"])
    run(["openssl", "pkey", "-in", "file.key", "-pubout", "-out", "pub.pem"])
    uri = hf("key", "import", "file.key", "--token", token.label, "--label", "key", "--id", "01").stdout.splitlines()[1].strip()
    (workdir / "data").write_text("data")
    hf("sign", uri, "data", "--out", "sig")
    verify("ed25519" if "ED25519" in genpkey else "p521")
    assert hf("pubkey", uri).stdout == (workdir / "pub.pem").read_text()


@pytest.mark.modules("ours")
def test_import_of_a_curve_that_is_not_offered(hf, run, token):
    run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp160r1", "-out", "file.key"])
    result = hf("key", "import", "file.key", "--token", token.label, "--label", "key", code=1)
    assert "the curve is not supported" in result.stderr and "P-521 or Ed25519" in result.stderr


@pytest.mark.parametrize("kind, mechanism, size", [("p521", "ECDSA-SHA512", 132), ("ed25519", "EDDSA", 64)])
@pytest.mark.modules("ours")
def test_pkcs11_tool(make, hf, run, module, token, workdir, verify, kind, mechanism, size):
    uri = make(kind)
    tool = ["pkcs11-tool", "--module", module, "--token-label", token.label, "--login", "--pin", token.pin]
    # With its OCTET STRING; of an Ed25519 key, OpenSC before 0.24 tells the curve's size.
    sizes = ("EC_POINT 255 bits", "EC_POINT 272 bits") if kind == "ed25519" else ("EC_POINT 528 bits",)
    listed = run([*tool, "-O"]).stdout
    assert any(size in listed for size in sizes), listed
    (workdir / "data").write_text("data")
    run([*tool, "--sign", "-m", mechanism, "--id", "01", "-i", "data", "-o", "sig"])
    assert len((workdir / "sig").read_bytes()) == size
    run([*tool, "--verify", "-m", mechanism, "--id", "01", "-i", "data", "--signature-file", "sig"])
    if kind == "ed25519":
        hf("pubkey", uri, "--out", "pub.pem")
        verify(kind)


@pytest.fixture(params=["EC:edwards25519", None], ids=["by pkcs11-tool", "by holdfast"])
def ed25519(request, make, make_key):
    """An Ed25519 key, with the curve's parameters in either form."""
    return make_key("key", type=request.param) if request.param else make("ed25519")


def test_p11tool(ed25519, run, module, token):
    pin = {"GNUTLS_PIN": token.pin}
    p11tool = ["p11tool", "--provider", module, "--login"]
    assert "Type: Private key (EdDSA (Ed25519))" in run([*p11tool, "--list-all", token.uri], extra_env=pin).stdout
    assert "Signing using EdDSA-Ed25519... ok" in run([*p11tool, "--hash", "SHA512", "--test-sign", ed25519], extra_env=pin).stderr


def test_certtool(ed25519, run, module, token, workdir):
    (workdir / "template").write_text('cn = "key"\nca\nserial = 1\nexpiration_days = 10\n')
    run(["certtool", "--provider", module, "--generate-self-signed", "--load-privkey", ed25519, "--load-pubkey",
         ed25519.replace("type=private", "type=public"), "--template", "template", "--outfile", "own.pem"],
        extra_env={"GNUTLS_PIN": token.pin})
    run(["openssl", "verify", "-CAfile", "own.pem", "own.pem"], extra_env=SYSTEM)


# What a token does not offer

@pytest.mark.parametrize("denied, options, line, offer", [
    ("CKM_EC_EDWARDS_KEY_PAIR_GEN", ["--type", "ed25519"], "the token does not offer this mechanism: Ed25519 keys in token 'device'",
     "It offers P-256, P-384, P-521, RSA of 1024 to 8192 bits."),
    ("CKM_EC_KEY_PAIR_GEN,CKM_RSA_PKCS_KEY_PAIR_GEN", ["--curve", "p521"], "P-521 keys in token 'device'", "It offers Ed25519."),
    ("CKM_EC_KEY_PAIR_GEN,CKM_RSA_PKCS_KEY_PAIR_GEN", ["--type", "rsa"], "RSA-2048 keys in token 'device'", "It offers Ed25519."),
    ("CKM_EC_KEY_PAIR_GEN,CKM_RSA_PKCS_KEY_PAIR_GEN,CKM_EC_EDWARDS_KEY_PAIR_GEN", [], "P-256 keys", "no key pairs of any kind"),
])
@pytest.mark.modules("ours")
def test_a_token_without_the_kind(hf, token, token_conf, denied, options, line, offer):
    with token_conf.path.open("a") as conf:
        conf.write(f"slots.mechanisms = -{denied}\n")
    result = hf("key", "generate", "--token", token.label, "--label", "key", *options, code=1)
    assert line in result.stderr and offer in result.stderr
    assert "No key matches" in hf("key", "list").stdout


# Through the agent

@pytest.mark.parametrize("kind", ["p521", "ed25519"])
def test_through_the_agent(run, env, holdfast, server, build, workdir, module, token, openssl_conf, verify, kind):
    """Its PKCS #11 socket, by stock p11-kit-client.so: no PIN at the client. Its RPC has no CKM_EDDSA in Debian 12 and 13."""
    agent = Agent(server, build, workdir / "agent", module, pin_source=token.pin_file)
    run([holdfast, "config", "set", "device.cryptoki.mode", "socket"])
    run([holdfast, "config", "set", "device.cryptoki.pkcs11_socket_path", agent.pkcs11])
    (workdir / "data").write_text("data")
    uri = token.key_uri("key")
    run([holdfast, "key", "generate", "--token", token.label, "--label", "key", *KINDS[kind][0]])
    run([holdfast, "pubkey", uri, "--out", "pub.pem"])
    run([holdfast, "sign", uri, "data", "--out", "sig"])
    verify(kind)
    conf = openssl_conf(module_path=f"unix:path={agent.pkcs11}")
    run(["openssl", "req", "-x509", "-new", "-key", uri, "-subj", "/CN=key", "-out", "own.pem"], extra_env=conf)
    run(["openssl", "verify", "-CAfile", "own.pem", "own.pem"], extra_env=SYSTEM)
    assert [line["key"] for line in agent.audit() if line.get("op") == "sign" and "object=key" in line.get("key", "")]
