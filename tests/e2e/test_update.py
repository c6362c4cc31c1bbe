# SPDX-License-Identifier: Apache-2.0
"""holdfast update fetch: a stock nginx that wants the device's certificate, and each way in which a file can fail to come."""

import hashlib
import json
import os
import random
import signal
import socket
import subprocess
import threading
import time

import pytest

import cloud_kit
from conftest import needs
from connect_kit import device  # noqa: F401
from terminal import converse

one_module = pytest.mark.modules("ours")

# Without a sanitizer's runtime, under which nginx and curl hang at their end.
STOCK = {"LD_PRELOAD": ""}

NGINX = """\
user root;
daemon off;
pid {dir}/nginx.pid;
error_log stderr info;
events {{ worker_connections 64; }}
http {{
  log_format seen '$status $http_range $http_if_range $ssl_client_s_dn';
  access_log {dir}/access.log seen;
  client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi;
  uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {cert};
    ssl_certificate_key {key};
    ssl_client_certificate {ca};
    ssl_verify_client on;
    root {dir}/www;
    location /slow/ {{ alias {dir}/www/; limit_rate 4m; }}
    location /whole/ {{ alias {dir}/www/; max_ranges 0; }}
    location /moved {{ return 302 https://elsewhere.example/; }}
    location /busy {{ return 503; }}
  }}
}}
"""


class Site:
    """What nginx serves: put(name, data); seen: a line a request, "STATUS RANGE IF-RANGE DN"."""

    def __init__(self, server, device, port):
        self.dir, self.device, self.port, self.server = device.workdir / "site", device, port, server
        (self.dir / "www").mkdir(parents=True)
        key, cert = device.pki.key_and_cert("updates")
        self.conf = self.dir / "nginx.conf"
        self.conf.write_text(NGINX.format(dir=self.dir, port=port, cert=cert, key=key, ca=device.pki.ca))
        self.start()

    def start(self):
        self.process = self.server(["nginx", "-e", "stderr", "-c", self.conf], port=self.port, extra_env=STOCK)

    def put(self, name, data):
        (self.dir / "www" / name).write_bytes(data)
        return data

    def url(self, name):
        return f"https://localhost:{self.port}/{name}"

    @property
    def seen(self):
        path = self.dir / "access.log"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def site(server, device, free_port):
    needs("/usr/sbin/nginx")
    device.set(update__root_cert_path=device.pki.ca)
    return Site(server, device, free_port())


class Cutter(cloud_kit.Acceptor):
    """Hands on to a port; cuts each of the first connections after so many bytes of the server's, which are TLS's."""

    def __init__(self, port, cuts):
        super().__init__()
        self.target, self.cuts = port, list(cuts)
        self.start()

    def handle(self, client):
        left = self.cuts.pop(0) if self.cuts else None
        server = socket.create_connection(("127.0.0.1", self.target))
        threading.Thread(target=cloud_kit.pump, args=(client, server), daemon=True).start()
        try:
            while data := server.recv(16384):
                if left is not None and (left := left - len(data)) <= 0:
                    break
                client.sendall(data)
        except OSError:
            pass
        for end in (client, server):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def random_bytes(size, seed=1):
    return random.Random(seed).randbytes(size)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def fetch(device, *args, **options):
    result = device.run([device.holdfast, "update", "fetch", *args], **options)
    assert device.token.pin not in result.stdout + result.stderr
    return result


def fails(device, code, *texts, args, **options):
    result = fetch(device, *args, code=code, **options)
    assert "\n  hint: " in "\n" + result.stderr, result
    for text in texts:
        assert text in result.stderr, f'"{text}" is missing:\n{result}'
    return result


def leftovers(path):
    return sorted(p.name for p in path.parent.iterdir() if p.name.startswith(path.name) and p != path)


# The good path

def test_a_file_comes_with_the_key_in_the_hsm(device, site):
    data, path = site.put("app.bin", random_bytes(3 << 20)), device.workdir / "app.bin"
    result = fetch(device, site.url("app.bin"), "--sha256", sha256(data))
    assert path.read_bytes() == data and path.stat().st_mode & 0o7777 == 0o600
    assert sha256(data) in result.stdout and result.stderr == ""
    assert leftovers(path) == []
    assert site.seen == ["200 - - CN=dev-1"]
    told = json.loads(fetch(device, site.url("app.bin"), "--sha256", sha256(data).upper(), "--output", path, "--json").stdout)
    assert told == {"file": str(path), "size": len(data), "had": 0, "sha256": sha256(data), "signed": False}


@one_module
def test_an_empty_file(device, site):
    site.put("empty", b"")
    fetch(device, site.url("empty"), "--sha256", sha256(b""))
    assert (device.workdir / "empty").read_bytes() == b"" and leftovers(device.workdir / "empty") == []


def openssl_sign(device, kind, path, out):
    """A signature as people make it; returns the public key's path."""
    key, public = device.workdir / f"{kind}.key", device.workdir / f"{kind}.pub"
    make = {"rsa": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], "pss": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
            "ec": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"], "ed25519": ["-algorithm", "ED25519"]}[kind]
    device.pki.openssl("genpkey", *make, "-out", key)
    device.pki.openssl("pkey", "-in", key, "-pubout", "-out", public)
    if kind == "ed25519":
        device.pki.openssl("pkeyutl", "-sign", "-rawin", "-inkey", key, "-in", path, "-out", out)
    else:
        more = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:-1"] if kind == "pss" else []
        device.pki.openssl("dgst", "-sha256", "-sign", key, *more, "-out", out, path)
    return public


@one_module
@pytest.mark.parametrize("kind", ["rsa", "pss", "ec", "ed25519"])
def test_signatures(device, site, kind):
    data, path = site.put("app", random_bytes(100_000)), device.workdir / "app"
    public = openssl_sign(device, kind, site.dir / "www/app", site.dir / "www/app.sig")
    result = fetch(device, site.url("app"), "--signature", site.url("app.sig"), "--key", public)
    assert ", signed" in result.stdout and path.read_bytes() == data
    assert [line.split()[-1] for line in site.seen] == ["CN=dev-1"] * 2
    # From a file, by the configured key; and of another content.
    device.set(update__key_path=public)
    fetch(device, site.url("app"), "--signature", site.dir / "www/app.sig", "--sha256", sha256(data))
    path.write_bytes(b"before")
    site.put("app", random_bytes(100_000, seed=2))
    fails(device, 1, "the signature is not valid", args=[site.url("app"), "--signature", site.url("app.sig")])
    assert path.read_bytes() == b"before" and leftovers(path) == []


# What is refused

@one_module
def test_nothing_unverified_and_nothing_else_is_put_in_place(device, site):
    data, path = site.put("app", random_bytes(50_000)), device.workdir / "app"
    path.write_bytes(b"before")
    url = site.url("app")
    fails(device, 2, "neither digest nor signature", "--sha256 or --signature", args=[url])
    fails(device, 2, "64 hexadecimal digits", args=[url, "--sha256", "abc"])
    fails(device, 2, "https://", args=[url.replace("https", "http"), "--sha256", sha256(data)])
    fails(device, 2, "a user in it", args=["https://me:secret@localhost/app", "--sha256", sha256(data)])
    fails(device, 2, "names no file", args=[f"https://localhost:{site.port}/", "--sha256", sha256(data)])
    assert site.seen == []
    fails(device, 1, "update.key_path", args=[url, "--signature", url])
    fails(device, 1, "not the file that was expected", sha256(data), args=[url, "--sha256", sha256(b"other")])
    fails(device, 1, "50000 bytes, and should have 4", args=[url, "--sha256", sha256(data), "--size", "4"])
    fails(device, 1, "more than 1024 bytes", "--max-size", args=[url, "--sha256", sha256(data), "--max-size", "1KiB"])
    fails(device, 5, "answered 404", args=[site.url("none"), "--sha256", sha256(data), "--output", path])
    fails(device, 5, "answered 302", args=[site.url("moved"), "--sha256", sha256(data), "--output", path])
    fails(device, 5, "answered 503", args=[site.url("busy"), "--sha256", sha256(data), "--output", path])
    fails(device, 2, "is no file", args=[url, "--sha256", sha256(data), "--output", device.workdir])
    fails(device, 1, "No such file", args=[url, "--sha256", sha256(data), "--output", device.workdir / "no/app"])
    assert path.read_bytes() == b"before" and leftovers(path) == []


@one_module
def test_both_sides_are_checked_in_tls(device, site):
    data, path = site.put("app", b"data"), device.workdir / "app"
    args = [site.url("app"), "--sha256", sha256(data)]
    fails(device, 5, "issuer is not trusted", "update.root_cert_path", args=[*args, "--ca", other_ca(device)])
    device.set(device__cert_path=device.workdir / "self.pem")
    device.run([device.holdfast, "cert", "create", "--device-id", "dev-1", "--config", device.config])
    fails(device, 5, "answered 400", args=args)  # nginx tells a stranger by a page
    device.token.pin_file.write_text("000000\n")
    fails(device, 4, "the PIN is wrong", args=args)
    assert not path.exists() and leftovers(path) == []


def other_ca(device):
    path = device.workdir / "other-ca.pem"
    device.pki.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                       device.workdir / "other-ca.key", "-out", path, "-subj", "/CN=Other CA")
    return path


# What is cut

@one_module
def test_a_connection_that_is_cut_goes_on(device, site):
    data, path = site.put("app", random_bytes(4 << 20)), device.workdir / "app"
    cutter = Cutter(site.port, cuts=[1 << 20, 1 << 20])
    result = fetch(device, f"https://localhost:{cutter.port}/app", "--sha256", sha256(data))
    assert path.read_bytes() == data and leftovers(path) == []
    assert result.stderr.count("it is tried again") == 2
    assert [line.split()[0] for line in site.seen] == ["200", "206", "206"]
    starts = [int(line.split()[1][len("bytes="):-1]) for line in site.seen[1:]]
    assert 0 < starts[0] < starts[1] < len(data)


def start_slowly(device, site, data, *more):
    """Fetches in the background until something is there; returns the process."""
    path = device.workdir / "app"
    # A shell's background job ignores SIGINT, and so would what it starts.
    process = subprocess.Popen(["env", "--default-signal=INT", device.holdfast, "update", "fetch", site.url("slow/app"), "--sha256",
                                sha256(data), "--output", path, *more], env=device.run.keywords["env"], cwd=device.workdir, stderr=subprocess.PIPE,
                               stdout=subprocess.PIPE)
    part, end = device.workdir / "app.part", time.monotonic() + 20
    while not (part.exists() and part.stat().st_size > 1 << 20):
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.01)
    return process, path, part


@one_module
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_program_that_is_killed_goes_on(device, site, number):
    data = site.put("app", random_bytes(6 << 20))
    process, path, part = start_slowly(device, site, data)
    process.send_signal(number)
    assert process.wait(10) == -number
    had = part.stat().st_size
    assert not path.exists() and part.read_bytes() == data[:had] and part.stat().st_mode & 0o7777 == 0o600
    result = fetch(device, site.url("slow/app"), "--sha256", sha256(data), "--output", path, "--json")
    assert path.read_bytes() == data and leftovers(path) == []
    assert json.loads(result.stdout)["had"] == had
    assert site.seen[-1].startswith(f"206 bytes={had}- ")


@one_module
def test_a_server_that_is_started_anew(device, site):
    data = site.put("app", random_bytes(6 << 20))
    process, path, part = start_slowly(device, site, data)
    site.process.kill()
    time.sleep(1)
    site.start()
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert path.read_bytes() == data
    assert b"it is tried again" in err and site.seen[-1].startswith("206 ")


@one_module
def test_a_file_that_changes_in_between_starts_over(device, site):
    data = site.put("app", random_bytes(6 << 20))
    process, path, part = start_slowly(device, site, data)
    process.kill()
    process.wait()
    new = site.put("app", random_bytes(6 << 20, seed=2))
    os.utime(site.dir / "www/app", (1, 1))
    result = fetch(device, site.url("slow/app"), "--sha256", sha256(new), "--output", path)
    assert path.read_bytes() == new and "from the start" in result.stderr
    assert site.seen[-1].split()[0] == "200" and site.seen[-1].split()[1].startswith("bytes=")


@one_module
def test_a_server_without_ranges_starts_over(device, site):
    data, path = site.put("app", random_bytes(4 << 20)), device.workdir / "app"
    cutter = Cutter(site.port, cuts=[1 << 20])
    fetch(device, f"https://localhost:{cutter.port}/whole/app", "--sha256", sha256(data), "--output", path)
    assert path.read_bytes() == data
    assert [line.split()[0] for line in site.seen] == ["200", "200"]
    # One that is cut each time is not tried for ever.
    cutter = Cutter(site.port, cuts=[1 << 20] * 20)
    path.unlink()
    fails(device, 5, args=[f"https://localhost:{cutter.port}/whole/app", "--sha256", sha256(data), "--output", path])
    assert not path.exists() and len(site.seen) == 5


@one_module
def test_parts_that_were_damaged_are_fetched_again(device, site):
    data = site.put("app", random_bytes(6 << 20))
    process, path, part = start_slowly(device, site, data)
    process.kill()
    process.wait()
    with open(part, "r+b") as f:
        f.write(b"\0" * 4096)
    result = fetch(device, site.url("slow/app"), "--sha256", sha256(data), "--output", path)
    assert path.read_bytes() == data and "is not part of the file" in result.stderr
    # All of it is there, and was not put in place.
    path.rename(part)
    etag = site.device.run(["curl", "-sI", "--cacert", device.pki.ca, "--cert", device.pki.key_and_cert("x")[1], "--key", device.pki.dir / "x.key",
                            site.url("app")], extra_env=STOCK).stdout.split("ETag: ")[1].splitlines()[0]
    (device.workdir / "app.part.source").write_text(json.dumps({"url": site.url("app"), "etag": etag}))
    fetch(device, site.url("app"), "--sha256", sha256(data), "--output", path)
    assert path.read_bytes() == data and leftovers(path) == [] and site.seen[-1].startswith("416 ")


@one_module
def test_a_second_one_is_refused_meanwhile(device, site):
    data = site.put("app", random_bytes(6 << 20))
    process, path, part = start_slowly(device, site, data)
    fails(device, 1, "already in use", args=[site.url("app"), "--sha256", sha256(data), "--output", path])
    assert process.wait(20) == 0 and path.read_bytes() == data


@one_module
def test_a_silent_server_is_given_up(device, site):
    data = random_bytes(1000)
    silent = socket.create_server(("127.0.0.1", 0))
    before = time.monotonic()
    fails(device, 5, args=[f"https://localhost:{silent.getsockname()[1]}/app", "--sha256", sha256(data), "--timeout", "2s"])
    assert time.monotonic() - before < 20


@one_module
def test_progress_is_for_a_terminal(device, site):
    data = site.put("app", random_bytes(3 << 20))
    status, shown = converse([device.holdfast, "update", "fetch", site.url("slow/app"), "--sha256", sha256(data), "--output",
                              device.workdir / "app"], [], env=device.run.keywords["env"], cwd=device.workdir)
    assert status == 0 and " % " in shown and "###" in shown and "MiB" in shown


# The hook

def hook(device, body):
    path = device.workdir / "hook"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


@one_module
def test_the_hook_comes_before_the_file_is_put_in_place(device, site):
    data, path = site.put("app", random_bytes(10_000)), device.workdir / "app"
    args = [site.url("app"), "--sha256", sha256(data)]
    path.write_bytes(b"before")
    seen = device.workdir / "seen"
    result = fetch(device, *args, "--hook", hook(device, f"cp $1 {seen}; cat {path} >> {seen}; echo told"))
    assert seen.read_bytes() == data + b"before" and path.read_bytes() == data
    assert "told" in result.stderr and "told" not in result.stdout
    path.write_bytes(b"before")
    fails(device, 1, "ended with status 3", "why it failed", args=[*args, "--hook", hook(device, "echo why it failed; exit 3")])
    assert path.read_bytes() == b"before"
    fails(device, 1, "ended with status 137", args=[*args, "--hook", hook(device, "kill -9 $$")])
    fails(device, 5, "did not end within 1 s", args=[*args, "--hook", hook(device, "exec sleep 60"), "--hook-timeout", "1s"])
    fails(device, 1, "not found", args=[*args, "--hook", device.workdir / "none"])
    assert path.read_bytes() == b"before"
    before = len(site.seen)
    fetch(device, *args)  # it was all there
    assert path.read_bytes() == data and [line.split()[0] for line in site.seen[before:]] == ["416"]
    # None is run for a file that is not the right one.
    (device.workdir / "ran").unlink(missing_ok=True)
    fails(device, 1, args=[site.url("app"), "--sha256", sha256(b""), "--hook", hook(device, f"touch {device.workdir}/ran")])
    assert not (device.workdir / "ran").exists()
