# SPDX-License-Identifier: Apache-2.0
"""A certificate authority under test, and devices that speak EST to it by openssl and curl alone: their keys lie in files."""

import base64
import dataclasses
import json
import re
import subprocess

import conftest

# Nothing of Holdfast is in these programs, not even a sanitizer.
STOCK = {"OPENSSL_CONF": "/etc/ssl/openssl.cnf", "LD_PRELOAD": ""}


@dataclasses.dataclass
class Answer:
    status: int
    headers: dict
    body: bytes

    @property
    def text(self):
        return self.body.decode(errors="replace")


class Authority:
    """Made by 'holdfast ca init' in the token; start() serves it."""

    def __init__(self, run, server, holdfast, build, workdir, token, free_port, **keys):
        self.run, self.server, self.holdfast, self.dir = run, server, holdfast, workdir
        self.program = conftest.built(build / "src/ca/holdfast-ca")
        self.port, self.http_port = free_port(), free_port()
        self.url, self.plain_url = f"https://localhost:{self.port}", f"http://localhost:{self.http_port}"
        self.est = f"{self.url}/.well-known/est"
        self.path = workdir / "ca"
        self.pem = self.path / "ca.pem"
        usual = {"device.cryptoki.module_path": token.module, "device.cryptoki.pin_source": token.pin_file,
                 "device.cryptoki.uri": token.uri, "ca.path": self.path, "ca.bind.port": self.port,
                 "ca.bind.http_port": self.http_port, "ca.server.names": "localhost,127.0.0.1"}
        for key, value in {**usual, **keys}.items():
            self.configure(key, value)

    def configure(self, key, value):
        self.run([self.holdfast, "config", "set", key, value])

    def cli(self, *args, **options):
        return self.run([self.holdfast, "ca", *args], **options)

    def init(self, *args):
        return self.cli("init", "--name", "Test Authority", *args)

    def start(self, **options):
        self.process = self.server([self.program], line="INFO: ready", **options)
        return self

    def log(self):
        return self.process.log

    def password(self, device, *args):
        return self.cli("token", device, *args).stdout.strip()

    def listed(self, *args):
        return json.loads(self.cli("list", "--json", *args).stdout)

    def certificates(self, device):
        return [row for row in self.listed() if row["device"] == device]

    def curl(self, *args, cacert=None, timeout=30):
        """An Answer of curl's, whatever its status; status 0 where there was none."""
        out = self.dir / f"answer-{len(list(self.dir.glob('answer-*')))}"
        headers = out.with_suffix(".headers")
        self.run(["curl", "--silent", "--show-error", "--cacert", cacert or self.pem, "--max-time", timeout - 5, "--output", out,
                  "--dump-header", headers, *args], timeout=timeout, code=None, extra_env=STOCK)
        return read_answer(headers, out)

    def get(self, path):
        return self.curl(self.url + path)

    def enroll(self, device, password=None, operation="simpleenroll", body=None, label="", user=None):
        """By a one-time password."""
        login = ["--user", f"{user or device.id}:{password}"] if password else []
        return self.post(f"{self.est}{label}/{operation}", device.csr if body is None else body, *login)

    def renew(self, device, csr=None, operation="simplereenroll"):
        """By the certificate that the device has."""
        return self.post(f"{self.est}/{operation}", csr or device.csr, "--cert", device.cert, "--key", device.key)

    def post(self, url, body, *args):
        path = self.dir / f"body-{len(list(self.dir.glob('body-*')))}"
        path.write_bytes(body if isinstance(body, bytes) else body.encode())
        return self.curl("--header", "Content-Type: application/pkcs10", "--data-binary", f"@{path}", *args, url)


def read_answer(headers, body):
    """Of the last header block: before it may stand a 100."""
    blocks = headers.read_text().strip().split("\n\n") if headers.exists() else []
    if not blocks or not blocks[-1].strip():
        return Answer(0, {}, b"")
    lines = blocks[-1].splitlines()
    fields = dict(re.match(r"([^:]+):\s*(.*)", line).groups() for line in lines[1:] if ":" in line)
    return Answer(int(lines[0].split()[1]), {name.lower(): value.strip() for name, value in fields.items()},
                  body.read_bytes() if body.exists() else b"")


def openssl(*args, input=None, code=0):
    result = subprocess.run(["openssl", *map(str, args)], input=input, capture_output=True, timeout=60,
                            env={**conftest.clean_env("/tmp"), **STOCK})
    assert code is None or result.returncode == code, (args, result.stdout, result.stderr)
    return result


class Device:
    """A key in a file, a request in base64, and the certificate once it has one."""

    def __init__(self, directory, id, subject=None, san=None, newkey="ec", options=("ec_paramgen_curve:P-256",), name=None):
        self.id, self.dir, self.subject, self.san = id, directory, subject or f"/CN={id}", san
        self.key, self.cert = directory / f"{name or id}.key", directory / f"{name or id}.pem"
        self.csr = self.request(newkey, options)

    def request(self, newkey="ec", options=("ec_paramgen_curve:P-256",), key=None):
        more = [word for option in options for word in ("-pkeyopt", option)]
        more += ["-addext", f"subjectAltName={self.san}"] if self.san else []
        der = openssl("req", "-new", "-newkey", newkey, *more, "-nodes", "-keyout", key or self.key, "-subj", self.subject,
                      "-outform", "DER").stdout
        return base64.encodebytes(der).decode()

    def request_again(self):
        """Another request by the key that it has."""
        more = ["-addext", f"subjectAltName={self.san}"] if self.san else []
        der = openssl("req", "-new", "-key", self.key, "-subj", self.subject, *more, "-outform", "DER").stdout
        return base64.encodebytes(der).decode()

    def take(self, answer):
        """Writes the one certificate of an answer; gives its text."""
        assert answer.status == 200, answer.text
        pem = certificates_of(answer)
        assert pem.count("BEGIN CERTIFICATE") == 1
        self.cert.write_text(pem)
        return openssl("x509", "-in", self.cert, "-noout", "-text").stdout.decode()

    @property
    def serial(self):
        return openssl("x509", "-in", self.cert, "-noout", "-serial").stdout.decode().strip().partition("=")[2].lower()


def certificates_of(answer):
    """PEM of what an EST answer holds."""
    assert answer.headers["content-type"].startswith("application/pkcs7-mime")
    der = base64.b64decode(answer.body)
    return openssl("pkcs7", "-inform", "DER", "-print_certs", input=der).stdout.decode()
