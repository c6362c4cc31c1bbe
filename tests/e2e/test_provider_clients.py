# SPDX-License-Identifier: Apache-2.0
"""Stock programs with keys in a token, through their own files and OPENSSL_CONF alone."""

import re
import shutil
import signal
import subprocess
import time

import pytest

from conftest import needs
from provider_kit import broker_conf, kit  # noqa: F401 (a fixture)


def need(program):
    path = shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if not path:
        pytest.skip(f"{program} is not installed")
    return path


@pytest.fixture
def broker(kit, workdir, server, free_port):
    def start(who):
        port = free_port()
        conf = broker_conf(workdir, "broker", port, kit.pki.ca, who.cert, who.key)
        return port, server([need("mosquitto"), "-c", conf], port=port, extra_env=kit.conf)
    return start


def publish(kit, port, who, message, **options):
    return kit.run(["mosquitto_pub", "-h", "127.0.0.1", "-p", port, "--cafile", kit.pki.ca, "--cert", who.cert, "--key", who.key, "-q", "1",
                    "-t", "t", "-m", message], extra_env=kit.conf, **options)


@pytest.mark.parametrize("type", ["EC:prime256v1", "rsa:2048"])
def test_mosquitto_and_mosquitto_pub(kit, broker, type):
    port, mosquitto = broker(kit.identity("broker", type, "01"))
    client = kit.identity("client", type, "02")
    for number in range(3):
        publish(kit, port, client, str(number))
    assert mosquitto.log.count("Received PUBLISH") == 3
    assert mosquitto.stop() == 0


def resident_kib(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * 4


@pytest.mark.modules("ours")
def test_a_listener_does_not_leak(kit, broker, workdir):
    needs("/proc/self/statm")
    port, mosquitto = broker(kit.identity("broker"))
    key, cert = kit.pki.key_and_cert("client")
    shake = (f"for i in $(seq 100); do echo | openssl s_client -connect 127.0.0.1:{port} -cert {cert} -key {key} -CAfile {kit.pki.ca} "
             ">/dev/null 2>&1; done")
    kit.run(shake, extra_env={"OPENSSL_CONF": "/etc/ssl/openssl.cnf"}, timeout=60)
    before = resident_kib(mosquitto.process.pid)
    kit.run(shake, extra_env={"OPENSSL_CONF": "/etc/ssl/openssl.cnf"}, timeout=60)
    assert resident_kib(mosquitto.process.pid) - before < 100  # under 1 KiB a handshake


def test_curl_with_a_key_file(kit, server, free_port):
    ours, client = kit.identity("server", id="01"), kit.identity("client", id="02")
    port = free_port()
    server(["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", ours.cert, "-key", ours.key, "-CAfile", kit.pki.ca, "-Verify", "1",
            "-verify_return_error", "-www"], line="ACCEPT", extra_env=kit.conf)
    out = kit.run(["curl", "-sS", "--cacert", kit.pki.ca, "--cert", client.cert, "--key", client.key, f"https://localhost:{port}/"],
                  extra_env=kit.conf).stdout
    assert "s_server" in out


def curl_version():
    text = subprocess.run(["curl", "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(int(part) for part in re.match(r"curl (\d+)\.(\d+)", text).groups())


@pytest.mark.skipif(curl_version() < (8, 12), reason="curl before 8.12 asks an engine for pkcs11: URIs, never a provider")
def test_curl_with_a_uri(kit, server, free_port, build, workdir):
    """curl loads a provider named pkcs11 into a context that reads no openssl.cnf: a link of that name, the rest in the URI."""
    ours, client = kit.identity("server", id="01"), kit.identity("client", id="02")
    port = free_port()
    server(["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", ours.cert, "-key", ours.key, "-CAfile", kit.pki.ca, "-Verify", "1",
            "-verify_return_error", "-www"], line="ACCEPT", extra_env=kit.conf)
    (workdir / "modules").mkdir()
    (workdir / "modules/pkcs11.so").symlink_to(build / "src/provider/holdfast.so")
    uri = f"{client.uri}?module-path={kit.token.module}&pin-source={kit.token.pin_file}"
    out = kit.run(["curl", "-sS", "--cacert", kit.pki.ca, "--cert", client.cert, "--key-type", "PROV", "--key", uri, f"https://localhost:{port}/"],
                  extra_env={"OPENSSL_MODULES": str(workdir / "modules")}).stdout
    assert "s_server" in out


NGINX = """\
env OPENSSL_CONF;
env HOLDFAST_TOKEN_CONF;
env SOFTHSM2_CONF;
user root;
daemon off;
master_process on;
worker_processes 2;
pid {dir}/nginx.pid;
error_log stderr info;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi;
  uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {cert};
    ssl_certificate_key {key};
    ssl_client_certificate {ca};
    ssl_verify_client on;
    ssl_session_cache off;
    location / {{ return 200 "hello $ssl_client_s_dn\\n"; }}
  }}
}}
"""


def nginx_conf(kit, who, port):
    path = kit.dir / "nginx.conf"
    path.write_text(NGINX.format(dir=kit.dir, port=port, cert=who.cert, key=who.key, ca=kit.pki.ca))
    return path


@pytest.mark.parametrize("type", ["EC:prime256v1", "rsa:2048"])
def test_nginx_forks_workers_and_reloads(kit, server, free_port, type):
    who, port = kit.identity("localhost", type), free_port()
    key, cert = kit.pki.key_and_cert("client")
    nginx = server([need("nginx"), "-e", "stderr", "-c", nginx_conf(kit, who, port)], port=port, extra_env=kit.conf)

    def get():
        return kit.run(["curl", "-sS", "--cacert", kit.pki.ca, "--cert", cert, "--key", key, f"https://localhost:{port}/"]).stdout

    for _ in range(10):
        assert "hello CN=client" in get()
    for _ in range(3):
        nginx.process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        for _ in range(4):
            assert "hello CN=client" in get()
    assert "emerg" not in nginx.log and "signal 11" not in nginx.log
    nginx.process.send_signal(signal.SIGQUIT)
    assert nginx.process.wait(10) == 0
