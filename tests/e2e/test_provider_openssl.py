# SPDX-License-Identifier: Apache-2.0
"""The openssl command with keys in a token: by URI, and by a PEM file that wraps the URI."""

import pytest

from provider_kit import kit  # noqa: F401 (a fixture)

KEYS = {"ec": "EC:prime256v1", "ec384": "EC:secp384r1", "rsa": "rsa:2048"}


@pytest.fixture
def system_openssl(run):
    """Without our provider: the other side's view."""
    return lambda *args, **options: run(["openssl", *args], extra_env={"OPENSSL_CONF": "/etc/ssl/openssl.cnf"}, **options)


@pytest.mark.parametrize("kind", KEYS)
def test_signatures_verify_without_the_token(kit, workdir, system_openssl, kind):
    uri = kit.make_key("k", KEYS[kind])
    pem = kit.wrap("k", uri)
    public, data, signature = workdir / "k.pub", workdir / "data", workdir / "sig"
    data.write_bytes(bytes(range(256)) * 300)
    public.write_text(kit.openssl("pkey", "-in", uri, "-pubout").stdout)
    assert kit.openssl("pkey", "-in", pem, "-pubout").stdout == public.read_text()
    for digest in ("-sha256", "-sha384", "-sha512"):
        for key in (uri, pem):
            kit.openssl("dgst", digest, "-sign", key, "-out", signature, data)
            assert "Verified OK" in system_openssl("dgst", digest, "-verify", public, "-signature", signature, data).stdout


@pytest.mark.parametrize("salt", ["digest", "max", "20"])
def test_rsa_pss(kit, workdir, system_openssl, salt):
    uri = kit.make_key("k", "rsa:2048")
    public, data, signature = workdir / "k.pub", workdir / "data", workdir / "sig"
    data.write_text("data")
    public.write_text(kit.openssl("pkey", "-in", uri, "-pubout").stdout)
    pss = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", f"rsa_pss_saltlen:{salt}"]
    kit.openssl("dgst", "-sha256", *pss, "-sign", uri, "-out", signature, data)
    assert "Verified OK" in system_openssl("dgst", "-sha256", *pss, "-verify", public, "-signature", signature, data).stdout


def test_prehashed(kit, workdir, system_openssl):
    uri = kit.make_key("k")
    public, digest, signature = workdir / "k.pub", workdir / "digest", workdir / "sig"
    digest.write_bytes(bytes(range(32)))
    public.write_text(kit.openssl("pkey", "-in", uri, "-pubout").stdout)
    kit.openssl("pkeyutl", "-sign", "-inkey", uri, "-in", digest, "-out", signature)
    assert "Signature Verified" in system_openssl("pkeyutl", "-verify", "-pubin", "-inkey", public, "-in", digest,
                                                  "-sigfile", signature).stdout


@pytest.mark.parametrize("kind, options", [("ec", []), ("rsa", []), ("rsa", ["-sigopt", "rsa_padding_mode:pss"])])
def test_self_signed_certificate(kit, workdir, system_openssl, kind, options):
    uri = kit.make_key("k", KEYS[kind])
    cert = workdir / "self.pem"
    kit.openssl("req", "-x509", "-new", "-key", uri, "-subj", "/CN=k", *options, "-out", cert)
    assert "OK" in system_openssl("verify", "-CAfile", cert, cert).stdout


def test_public_key_and_certificate_by_uri(kit, workdir, run, token):
    who = kit.identity("k")
    private_half = kit.openssl("pkey", "-in", who.uri, "-pubout").stdout
    assert kit.openssl("pkey", "-pubin", "-in", who.uri.replace("type=private", "type=public"), "-pubout").stdout == private_half
    cert_der = workdir / "k.der"
    kit.openssl("x509", "-in", who.cert, "-outform", "DER", "-out", cert_der)
    run(["pkcs11-tool", "--module", token.module, "--token-label", token.label, "--login", "--pin", token.pin,
         "--write-object", cert_der, "--type", "cert", "--label", "k", "--id", "01"])
    out = kit.openssl("x509", "-in", f"{token.uri};object=k;type=cert", "-noout", "-subject").stdout
    assert "CN = k" in out or "CN=k" in out


def test_other_keys_are_left_alone(kit, workdir):
    """With the provider loaded, keys in files are made, read and used as ever."""
    for args in (["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"], ["-algorithm", "RSA"], ["-algorithm", "ED25519"]):
        key = workdir / "file.key"
        kit.openssl("genpkey", *args, "-out", key)
        kit.openssl("req", "-x509", "-new", "-key", key, "-subj", "/CN=f", "-out", workdir / "file.pem")


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_mutual_tls_with_both_keys_in_the_token(kit, server, free_port, kind, version):
    ours, theirs = kit.identity("server", KEYS[kind], "01"), kit.identity("client", KEYS[kind], "02")
    port = free_port()
    listener = server(["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", ours.cert, "-key", ours.key,
                       "-CAfile", kit.pki.ca,
                       "-Verify", "1", "-verify_return_error", version, "-www"], line="ACCEPT", extra_env=kit.conf)
    for key in (theirs.uri, theirs.key):
        out = kit.openssl("s_client", "-connect", f"127.0.0.1:{port}", "-cert", theirs.cert, "-key", key, "-CAfile", kit.pki.ca,
                          "-verify_return_error", version, input="GET / HTTP/1.0\r\n\r\n").stdout
        assert "Verification: OK" in out
    assert listener.process.poll() is None
