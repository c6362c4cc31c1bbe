# SPDX-License-Identifier: Apache-2.0
"""What the tests of the OpenSSL provider share: wrapped key files, certificates for keys in the token, a broker."""

import base64
import dataclasses
import pathlib

import pytest


def der(tag, content):
    """One DER element; written here anew, so that the format is checked and not our writer against our reader."""
    size = len(content)
    length = bytes([size]) if size < 0x80 else b"\x82" + size.to_bytes(2, "big")
    return bytes([tag]) + length + content


def wrapped_pem(uri):
    body = der(0x30, der(0x1A, b"PKCS#11 Provider URI v1.0") + der(0x0C, uri.encode()))
    return ("-----BEGIN PKCS#11 PROVIDER URI-----\n" + base64.encodebytes(body).decode()
            + "-----END PKCS#11 PROVIDER URI-----\n")


@dataclasses.dataclass
class Identity:
    """A key in the token, the PEM file that stands for it, and its certificate."""
    uri: str
    key: pathlib.Path
    cert: pathlib.Path


class Kit:
    """Keys in one token, and an openssl.cnf through which any program finds them."""

    def __init__(self, run, workdir, pki, token, make_key, conf):
        self.run, self.dir, self.pki, self.token, self.make_key = run, workdir, pki, token, make_key
        self.conf = conf  # {"OPENSSL_CONF": path}, for extra_env

    def wrap(self, name, uri):
        path = self.dir / f"{name}.uri.pem"
        path.touch(mode=0o600)
        path.write_text(wrapped_pem(uri))
        return path

    def openssl(self, *args, **options):
        return self.run(["openssl", *args], extra_env=self.conf, **options)

    def identity(self, name, type="EC:prime256v1", id="01"):
        uri = self.make_key(name, type, id)
        key, csr = self.wrap(name, uri), self.dir / f"{name}.csr"
        self.openssl("req", "-new", "-key", key, "-subj", f"/CN={name}", "-out", csr)
        return Identity(uri, key, self.pki.sign(csr, name))


@pytest.fixture
def kit(run, workdir, pki, token, make_key, openssl_conf):
    conf = openssl_conf(module_path=token.module.path, pin_source=token.pin_file)
    return Kit(run, workdir, pki, token, make_key, conf)


def broker_conf(directory, name, port, ca, cert, key, extra=""):
    """A mosquitto that asks its clients for certificates. Runs as the user who started it, root too."""
    path = directory / f"{name}.conf"
    path.write_text(f"listener {port} 127.0.0.1\ncafile {ca}\ncertfile {cert}\nkeyfile {key}\n"
                    f"require_certificate true\nallow_anonymous true\nuser root\npersistence false\nlog_dest stderr\nlog_type all\n{extra}")
    return path
