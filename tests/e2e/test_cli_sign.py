# SPDX-License-Identifier: Apache-2.0
"""holdfast sign and holdfast pubkey, on any module, checked by openssl."""

import base64

import pytest

from agent_kit import Agent

PADDING = {"pss": ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"], "pkcs1": [], "ecdsa": []}


@pytest.fixture
def hf(run, holdfast, module, env, token):
    """hf(word, ...): runs holdfast on the module, with the token's PIN."""
    env["HOLDFAST_MODULE"] = str(module)

    def command(*args, **options):
        return run([holdfast, *args, "--pin-source", token.pin_file], **options)

    return command


@pytest.fixture
def verify(run):
    def check(hash, scheme, data="data"):
        run(["openssl", "dgst", "-" + hash, *PADDING[scheme], "-verify", "pub.pem", "-signature", "sig", data])

    return check


@pytest.mark.parametrize("type,scheme", [("EC:prime256v1", "ecdsa"), ("EC:secp384r1", "ecdsa"), ("rsa:2048", "pss"),
                                         ("rsa:2048", "pkcs1")])
def test_openssl_verifies(hf, make_key, verify, workdir, type, scheme):
    uri = make_key("key", type=type)
    (workdir / "data").write_bytes(bytes(range(256)) * 1000)
    hf("pubkey", uri, "--out", "pub.pem")
    assert hf("pubkey", uri).stdout == (workdir / "pub.pem").read_text()
    for hash in "sha256", "sha384", "sha512":
        hf("sign", uri, "data", "--hash", hash, "--scheme", scheme, "--out", "sig")
        verify(hash, scheme)


def test_the_defaults_and_standard_input(hf, make_key, verify, workdir):
    ec, rsa = make_key("ec"), make_key("rsa", type="rsa:2048", id="02")
    (workdir / "data").write_text("from a pipe")
    for uri, scheme in (ec, "ecdsa"), (rsa, "pss"):
        hf("pubkey", uri, "--out", "pub.pem")
        for more in [], ["-"]:
            text = hf("sign", uri, *more, "--base64", input="from a pipe").stdout
            (workdir / "sig").write_bytes(base64.b64decode(text.strip(), validate=True))
            verify("sha256", scheme)


def test_pubkey_of_a_public_key(hf, make_key):
    uri = make_key("key")
    public = hf("pubkey", uri.replace("type=private", "type=public")).stdout
    assert public == hf("pubkey", uri).stdout


def test_raw_output_goes_to_a_pipe(hf, make_key, run, holdfast, token, workdir, verify):
    uri = make_key("key")
    (workdir / "data").write_text("x")
    hf("pubkey", uri, "--out", "pub.pem")
    run(f"'{holdfast}' sign '{uri}' data --pin-source '{token.pin_file}' > sig")
    verify("sha256", "ecdsa")


@pytest.mark.parametrize("args,text", [
    (["sign", "KEY", "data", "--scheme", "pss"], "--scheme pss with a key of type EC"),
    (["sign", "KEY", "data", "--hash", "md5"], "--hash md5"),
    (["sign", "KEY", "absent"], "reading absent"),
    (["sign", "pkcs11:token=device;object=none", "data"], "nothing matches the URI"),
    (["pubkey", "pkcs11:token=device;object=none"], "nothing matches the URI"),
    (["pubkey", "pkcs11:token=none"], "no such token"),
    (["sign", "KEY", "data", "--out", "nowhere/sig"], "nowhere/sig")])
@pytest.mark.modules("ours")
def test_what_cannot_be(hf, make_key, workdir, args, text):
    uri = make_key("key")
    (workdir / "data").write_text("x")
    result = hf(*[uri if arg == "KEY" else arg for arg in args], code=None)
    assert result.code != 0 and text in result.stderr and "hint:" in result.stderr
    assert not (workdir / "sig").exists()


def test_through_the_agent_without_a_pin(run, holdfast, server, build, workdir, module, token, make_key, verify):
    agent = Agent(server, build, workdir / "agent", module, pin_source=token.pin_file)
    uri = make_key("key")
    run([holdfast, "config", "set", "device.cryptoki.mode", "socket"])
    run([holdfast, "config", "set", "device.cryptoki.pkcs11_socket_path", agent.pkcs11])
    (workdir / "data").write_text("x")
    run([holdfast, "pubkey", uri, "--out", "pub.pem"])
    run([holdfast, "sign", uri, "data", "--out", "sig"])
    verify("sha256", "ecdsa")
    assert any(line["socket"] == "pkcs11" and line.get("op") == "sign" for line in agent.audit())
