# SPDX-License-Identifier: Apache-2.0
"""What goes wrong gets an error of its own, in OpenSSL's words to the program."""

import pathlib
import shutil
import time

import pytest

from provider_kit import kit, wrapped_pem  # noqa: F401 (a fixture)


def failure(kit, key, conf=None, extra_env=None):
    result = kit.run(["openssl", "pkey", "-in", key, "-noout"], code=None, extra_env={**(conf or kit.conf), **(extra_env or {})})
    assert result.code != 0, str(result)
    assert result.stderr.count(":holdfast::") == 1, str(result)
    return result.stderr


CASES = {
    "wrong PIN": ("pkcs11:token=device;object=k?pin-value=not-the-pin", "the PIN is wrong", 'token "device"'),
    "no token": ("pkcs11:token=nowhere;object=k", "no such token", "token=nowhere"),
    "no key": ("pkcs11:token=device;object=nothing", "nothing matches the URI", "object=nothing"),
    "several keys": ("pkcs11:token=device", "several objects match the URI", "object=other"),
    "no module": ("pkcs11:token=device;object=k?module-path=/nowhere.so", "the PKCS #11 module cannot be loaded", "/nowhere.so"),
    "no PIN file": ("pkcs11:token=device;object=k?pin-source=/nowhere.pin", "not found", "/nowhere.pin"),
    "no URI": ("pkcs11:token=device;token=device", "not a valid PKCS #11 URI", "token"),
}


@pytest.mark.parametrize("case", CASES)
def test_each_failure_has_its_own_words(kit, case):
    kit.make_key("k", id="01")
    kit.make_key("other", id="02")
    uri, reason, detail = CASES[case]
    for key in [uri] if case == "no URI" else [uri, kit.wrap("bad", uri)]:
        text = failure(kit, key)
        assert reason in text and detail in text, text
        assert "not-the-pin" not in text.replace(uri, "")


def test_no_pin_anywhere(kit, openssl_conf, token):
    uri = kit.make_key("k")
    assert "a PIN is needed" in failure(kit, uri, openssl_conf(module_path=token.module.path))


@pytest.mark.modules("ours")
def test_our_own_token_where_no_module_is_named(kit, openssl_conf, token):
    uri = kit.make_key("k")
    kit.run(["openssl", "pkey", "-in", uri, "-noout"], extra_env=openssl_conf(pin_source=token.pin_file))


def test_a_module_that_is_no_module(kit, openssl_conf, build):
    text = failure(kit, "pkcs11:token=device", openssl_conf(module_path=build / "src/provider/holdfast.so"))
    assert "the PKCS #11 module cannot be loaded" in text and "C_GetFunctionList" in text


def test_module_from_the_environment_and_pin_from_the_uri(kit, openssl_conf, token):
    uri = kit.make_key("k")
    bare = openssl_conf()
    kit.run(["openssl", "pkey", "-in", f"{uri}?pin-source={token.pin_file}", "-noout"],
            extra_env={**bare, "HOLDFAST_MODULE": token.module.path})
    kit.run(["openssl", "pkey", "-in", f"{uri}?pin-value={token.pin}&module-path={token.module.path}", "-noout"],
            extra_env={**bare, "HOLDFAST_MODULE": "/nowhere.so"})


def test_module_and_pin_from_the_configuration(kit, openssl_conf, token, workdir):
    uri = kit.make_key("k")
    config = workdir / "config.json"
    config.touch(mode=0o600)
    config.write_text('{"device": {"cryptoki": {"module_path": "%s", "pin_source": "%s"}}}' % (token.module.path, token.pin_file))
    kit.run(["openssl", "pkey", "-in", uri, "-noout"], extra_env={**openssl_conf(), "HOLDFAST_CONFIG": str(config)})


@pytest.mark.parametrize("text", ["", "AAAA", "not base64 at all!"])
def test_a_damaged_file(kit, workdir, text):
    path = workdir / "damaged.pem"
    path.write_text(f"-----BEGIN PKCS#11 PROVIDER URI-----\n{text}\n-----END PKCS#11 PROVIDER URI-----\n")
    assert kit.run(["openssl", "pkey", "-in", path, "-noout"], code=None, extra_env=kit.conf).code == 1


def test_the_key_after_a_certificate_in_one_file(kit, workdir):
    who = kit.identity("k")
    both = workdir / "both.pem"
    both.write_text(pathlib.Path(who.cert).read_text() + wrapped_pem(who.uri))
    kit.openssl("pkey", "-in", both, "-noout")


def test_a_program_that_needs_no_key_never_loads_the_module(kit, openssl_conf):
    kit.run(["openssl", "rand", "-hex", "4"], extra_env=openssl_conf(module_path="/nowhere.so", pin_source="/nowhere"))


def handshake(kit, port, **options):
    return kit.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", kit.pki.ca, "-verify_return_error"], input="Q\n",
                   extra_env={"OPENSSL_CONF": "/etc/ssl/openssl.cnf"}, **options)


def s_server(kit, server, port, who):
    return server(["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", who.cert, "-key", who.key, "-www"], line="ACCEPT",
                  extra_env=kit.conf)


def test_a_key_deleted_under_a_running_server(kit, server, free_port, run, token):
    who, port = kit.identity("k"), free_port()
    listener = s_server(kit, server, port, who)
    handshake(kit, port)
    run(["pkcs11-tool", "--module", token.module, "--token-label", token.label, "--login", "--pin", token.pin, "--delete-object", "--type",
         "privkey", "--id", "01"])
    assert handshake(kit, port, code=None).code != 0
    assert listener.process.poll() is None
    assert "holdfast" in listener.log


@pytest.mark.modules("ours")
def test_a_token_gone_under_a_running_server_and_back(kit, server, free_port, token_conf, workdir):
    who, port = kit.identity("k"), free_port()
    listener = s_server(kit, server, port, who)
    handshake(kit, port)
    away = workdir / "away"
    shutil.move(token_conf.tokendir, away)
    handshake(kit, port, code=None)
    shutil.move(away, token_conf.tokendir)
    time.sleep(0.1)
    handshake(kit, port)
    assert listener.process.poll() is None
