# SPDX-License-Identifier: Apache-2.0
"""The token in programs that load it twice, let it go, fork, and end in whatever order; beside OpenSSL with a provider that leads back to it."""

import glob
import shutil

import pytest

from conftest import built

pytestmark = pytest.mark.modules("ours")

PROVIDERS = glob.glob("/usr/lib/*/ossl-modules/pkcs11.so")


@pytest.fixture
def live(build, token_conf, token, make_key, run):
    """live(CASE, [COPY], extra_env=): runs token_life on a token with a key."""
    with open(token_conf.path, "a") as conf:
        conf.write("pin.kdf_memory = 8\npin.kdf_passes = 1\n")
    make_key("k")
    program = built(build / "tests/e2e/token_life")

    def start(case, *paths, **options):
        return run([program, case, token.pin, token.module, *paths], timeout=60, **options)

    return start


@pytest.mark.parametrize("case", ["reload", "exit", "exit-handlers", "destructor", "cleanup", "exit-threads", "forks"])
def test_life(live, case):
    live(case)


def test_two_copies(live, token, workdir):
    copy = workdir / "another-name.so"
    shutil.copy(token.module.path, copy)
    live("two-copies", copy)


def test_our_provider_in_openssl_cnf(live, token, openssl_conf):
    live("openssl", token.key_uri("k"), extra_env=openssl_conf(module_path=token.module.path, pin_source=token.pin_file))


@pytest.mark.skipif(not PROVIDERS, reason="Debian 12 has no pkcs11-provider")
def test_pkcs11_provider_in_openssl_cnf(live, token, workdir):
    conf = workdir / "pkcs11-provider.cnf"
    conf.write_text("openssl_conf = init\n[init]\nproviders = providers\n[providers]\ndefault = default_section\npkcs11 = pkcs11_section\n"
                    f"[default_section]\nactivate = 1\n[pkcs11_section]\nmodule = {PROVIDERS[0]}\npkcs11-module-path = {token.module.path}\n"
                    f"pkcs11-module-token-pin = file:{token.pin_file}\nactivate = 1\n")
    live("openssl", token.key_uri("k"), extra_env={"OPENSSL_CONF": str(conf)})
