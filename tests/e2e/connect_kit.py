# SPDX-License-Identifier: Apache-2.0
"""What the tests of 'holdfast connect' share: a device whose key lies in a token, and brokers good and bad."""

import glob
import json
import socket
import ssl

import pytest

import cloud_kit

DEVICE = "dev-1"


class Device:
    """A configured device: its key in the token, its certificate, and the command."""

    def __init__(self, run, holdfast, workdir, token, pki, openssl_conf):
        self.run, self.holdfast, self.workdir, self.token, self.pki = run, holdfast, workdir, token, pki
        self.openssl_conf = openssl_conf(module_path=token.module, pin_source=token.pin_file)
        self.config = workdir / "config.json"

    def set(self, **values):
        for key, value in values.items():
            self.run([self.holdfast, "config", "set", "--config", self.config, key.replace("__", "."), value])

    def certify(self, key="device-key", name=DEVICE):
        """A certificate for a key in the token, which signs the request for it."""
        csr = self.workdir / f"{key}.csr"
        self.run(["openssl", "req", "-new", "-key", self.token.key_uri(key), "-subj", f"/CN={name}", "-out", csr],
                 extra_env=self.openssl_conf)
        return self.pki.sign(csr, key)

    def connect(self, *args, code=0, **options):
        result = self.run([self.holdfast, "connect", "--config", self.config, *args], code=code, **options)
        assert self.token.pin not in result.stdout + result.stderr
        return result

    def disconnect(self, *args, **options):
        return self.run([self.holdfast, "disconnect", "--config", self.config, *args], **options)

    def reconnect(self, *args, **options):
        return self.run([self.holdfast, "reconnect", "--config", self.config, *args], **options)

    def status(self):
        """What holdfast-core says of itself."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.workdir / "run/core.sock"))
            text = b""
            while part := connection.recv(65536):
                text += part
        return json.loads(text)

    def bridges(self):
        """The state of each bridge that there is, by its cloud's name; None where no holdfast-core runs."""
        try:
            return {bridge["cloud"]: bridge["state"] for bridge in self.status()["bridges"]}
        except (FileNotFoundError, ConnectionRefusedError):
            return None

    def fails(self, check, code, *texts, args=("--timeout", "5"), **options):
        """Connecting fails at this check, with this status, one error line and one hint; all texts are in them."""
        result = self.connect(*args, code=code, **options)
        lines = result.stdout.splitlines()
        assert lines[-1].startswith(check) and lines[-1].endswith("... ✗"), result
        assert all("... ✓" in line for line in lines if "... " in line and line != lines[-1]), result
        error = result.stderr.splitlines()
        assert len(error) == 2 and error[0].startswith("holdfast: error: ") and error[1].startswith("  hint: "), result
        for text in texts:
            assert text in result.stderr, f'"{text}" is missing:\n{result}'
        return result


@pytest.fixture
def device(run, holdfast, workdir, token, pki, openssl_conf, make_key, free_port):
    """Nothing of it is outside the test's directory; what connects is disconnected with the test."""
    try:
        socket.getaddrinfo("localhost", 1)
    except OSError:
        pytest.skip("the name localhost is not known here: there is no /etc/hosts")
    device = Device(run, holdfast, workdir, token, pki, openssl_conf)
    uri = make_key("device-key")
    device.set(device__cert_path=device.certify(), device__key_uri=uri, device__cryptoki__module_path=token.module,
               device__cryptoki__pin_source=token.pin_file, mqtt__root_cert_path=pki.ca, mqtt__url="localhost:1",
               mqtt__bind__port=free_port(), data__path=workdir / "data", run__path=workdir / "run")
    yield device
    for cloud in ("c8y", "aws", "az", "mqtt"):
        run([holdfast, "disconnect", "--config", device.config, cloud], code=None)


class Broker:
    def __init__(self, server, port, conf):
        self.port = port
        self.process = server(["mosquitto", "-c", conf], line=" running")

    @property
    def log(self):
        return self.process.log


@pytest.fixture
def make_broker(server, free_port, pki, workdir):
    """make_broker(cafile=, lines=, cert=, address=, **options of pki.key_and_cert): mosquitto that requires client
    certificates."""

    def make(cafile=None, lines=(), cert=None, address="127.0.0.1", identity_as_username=True, **options):
        port = free_port()
        key, own_cert = cert or pki.key_and_cert("broker", **options)
        conf = workdir / f"mosquitto-{port}.conf"
        conf.write_text("\n".join(["log_type all", "user root", f"listener {port} {address}", f"cafile {cafile or pki.ca}",
                                   f"certfile {own_cert}", f"keyfile {key}", "require_certificate true",
                                   f"use_identity_as_username {str(identity_as_username).lower()}", *lines, ""]))
        return Broker(server, port, conf)

    return make


@pytest.fixture
def broker(make_broker, device):
    broker = make_broker()
    device.set(mqtt__url=f"localhost:{broker.port}")
    return broker


class FakeBroker(cloud_kit.Acceptor):
    """Accepts on a port of 127.0.0.1 and hands each connection, in TLS where it has a certificate, to a function."""

    def __init__(self, serve, cert=None, version=None):
        super().__init__()
        self.serve, self.context, self.open = serve, None, []
        if cert:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(cert[1], cert[0])
            if version:
                self.context.minimum_version = self.context.maximum_version = version
        self.start()

    def handle(self, connection):
        self.open.append(connection)  # or it would be closed
        try:
            if self.context:
                connection = self.context.wrap_socket(connection, server_side=True)
                self.open.append(connection)
            self.serve(connection)
        except (OSError, ssl.SSLError):
            pass


@pytest.fixture
def fake_broker():
    started = []

    def make(*args, **options):
        started.append(FakeBroker(*args, **options))
        return started[-1]

    yield make
    for fake in started:
        fake.stop()
        for connection in fake.open:
            connection.close()


def spy_path():
    """OpenSC's module that logs the calls of another."""
    found = glob.glob("/usr/lib/*/pkcs11-spy.so") + glob.glob("/usr/lib/*/pkcs11/pkcs11-spy.so")
    if not found:
        pytest.skip("pkcs11-spy.so is not installed (package opensc-pkcs11)")
    return found[0]


def stay_silent(connection):
    pass


def hang_up(connection):
    connection.close()


def expired(pki, name, start="20200101000000Z", end="20200102000000Z"):
    """A key in a file and a certificate for it that is good between those times: one day of 2020."""
    key, cert = pki.key_and_cert(name)
    (pki.dir / "index.txt").touch()
    conf = pki.dir / "ca.cnf"
    conf.write_text(f"[ca]\ndefault_ca=ca\n[ca]\ndatabase={pki.dir}/index.txt\nnew_certs_dir={pki.dir}\nrand_serial=yes\n"
                    "default_md=sha256\npolicy=policy\nx509_extensions=extensions\n[policy]\ncommonName=supplied\n"
                    "[extensions]\nsubjectAltName=DNS:localhost\n")
    pki.openssl("ca", "-batch", "-notext", "-config", conf, "-cert", pki.ca, "-keyfile", pki.ca_key, "-in",
                pki.dir / f"{name}.csr", "-out", cert, "-startdate", start, "-enddate", end)
    return key, cert


@pytest.fixture
def make_cloud(device, make_broker, free_port, pki):
    """make_cloud("c8y", lines=): a broker, and who answers behind it; the device is told where it is."""
    kinds = {"c8y": cloud_kit.Cumulocity, "aws": cloud_kit.Aws, "az": cloud_kit.Azure}
    started = []

    def make(name, lines=(), **options):
        port = free_port()
        broker = make_broker(lines=["allow_anonymous true", *lines, f"listener {port} 127.0.0.1", "allow_anonymous true"],
                             identity_as_username=False)
        cloud = kinds[name](port, **options)
        cloud.broker, cloud.port, cloud.plain_port = broker, broker.port, port
        started.append(cloud)
        device.set(**{f"{name}__url": f"localhost:{broker.port}", f"{name}__root_cert_path": pki.ca})
        return cloud

    yield make
    for cloud in started:
        cloud.close()


@pytest.fixture
def make_proxy(device):
    started = []

    def make(**options):
        proxy = cloud_kit.Proxy(**options)
        started.append(proxy)
        device.set(proxy__address=f"http://localhost:{proxy.port}")
        return proxy

    yield make
    for proxy in started:
        proxy.close()
