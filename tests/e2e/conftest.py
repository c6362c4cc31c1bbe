# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the end-to-end tests: real programs, each in a directory and an environment of its own."""

import dataclasses
import functools
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import pytest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
SO_PIN = "12345678"
PIN = "654321"


# The environment and the build

def clean_env(home):
    """Nothing of the caller's own configuration reaches a program under test."""
    env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(home), "TMPDIR": str(home),
           "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    for name, value in os.environ.items():
        if name.endswith("SAN_OPTIONS") or name in ("TERM", "VALGRIND_OPTS"):
            env[name] = value
    # A sanitizer's runtime must be there before a stock program loads a module that is built with it.
    if "HF_PRELOAD" in os.environ:
        env["LD_PRELOAD"] = os.environ["HF_PRELOAD"]
    return env


@pytest.fixture(scope="session")
def build():
    """The build directory: $HF_BUILD, else build/."""
    path = pathlib.Path(os.environ.get("HF_BUILD", SOURCE / "build")).resolve()
    if not (path / "build.ninja").exists():
        pytest.exit(f"no build in {path}: run ./dev build, or set HF_BUILD", returncode=2)
    return path


@pytest.fixture
def workdir():
    """A private directory that is gone after the test."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="hf-e2e-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def env(workdir):
    """The environment that run and server start from. A test may change it. The configuration is the test's own, for root too."""
    return {**clean_env(workdir), "HOLDFAST_CONFIG": str(workdir / "config.json")}


@pytest.fixture
def holdfast(build):
    """The command's path."""
    return built(build / "src/cli/holdfast")


def built(path):
    if not path.exists():
        pytest.skip(f"{path} is not built")
    return str(path)


def needs(path):
    """Skips the test where the system lacks path: a bare chroot has no /proc and no /dev/pts."""
    if not os.path.exists(path):
        pytest.skip(f"there is no {path} here")


def namespaces(*kinds):
    """The command in front of one that has namespaces of its own; skips the test where there are none: a chroot's root is no mount
    point, and then others would see what is mounted."""
    command = ["unshare", *kinds, *([] if os.getuid() == 0 else ["--map-root-user"])]
    if subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        pytest.skip(f"no namespaces here: {' '.join(command)}")
    return command


# Running programs

@dataclasses.dataclass
class Result:
    cmd: list
    code: int
    stdout: str
    stderr: str

    def __str__(self):
        return f"$ {' '.join(self.cmd)}\n{self.stdout}{self.stderr}[exit status {self.code}]"


def run_command(cmd, *, env, cwd, input=None, timeout=30, code=0, extra_env=None):
    """Runs a command (a list; or a string, for sh) and returns its Result. code: the exit status that must come; None: any."""
    argv = ["sh", "-c", cmd] if isinstance(cmd, str) else [str(part) for part in cmd]
    data = input.encode() if isinstance(input, str) else input
    process = subprocess.Popen(argv, env={**env, **(extra_env or {})}, cwd=cwd, start_new_session=True,
                               stdin=subprocess.DEVNULL if data is None else subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        out, err = process.communicate(data, timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        pytest.fail(f"no end within {timeout} s:\n" + str(Result(argv, -1, out.decode(errors="replace"), err.decode(errors="replace"))))
    result = Result(argv, process.returncode, out.decode(errors="replace"), err.decode(errors="replace"))
    if code is not None and result.code != code:
        pytest.fail(f"exit status {code} expected:\n{result}")
    return result


@pytest.fixture
def run(env, workdir):
    """run(cmd, input=, timeout=, code=, extra_env=, cwd=): see run_command. Starts in workdir."""
    return functools.partial(run_command, env=env, cwd=workdir)


def port_open(port):
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def unused_port():
    """A port of 127.0.0.1 that nobody has, below those that the kernel gives to connections."""
    while True:
        port = random.randint(20000, 32000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


@pytest.fixture
def free_port():
    """free_port(): an unused_port, each call another."""
    given = set()

    def choose():
        while True:
            port = unused_port()
            if port not in given:
                given.add(port)
                return port

    return choose


class Server:
    """A process with its log. Ended with the test, or by stop() or kill()."""

    def __init__(self, cmd, env, cwd, log, stdin=subprocess.DEVNULL):
        self.cmd = [str(part) for part in cmd]
        self.log_path = log
        with open(log, "wb") as out:
            self.process = subprocess.Popen(self.cmd, env=env, cwd=cwd, stdin=stdin, stdout=out,
                                            stderr=subprocess.STDOUT, start_new_session=True)

    @property
    def log(self):
        return self.log_path.read_text(errors="replace")

    def wait_for(self, ready, what, timeout):
        end = time.monotonic() + timeout
        while not ready():
            if self.process.poll() is not None:
                pytest.fail(f"{' '.join(self.cmd)} ended with {self.process.returncode}, waiting for {what}:\n{self.log[-4000:]}")
            if time.monotonic() > end:
                pytest.fail(f"{' '.join(self.cmd)}: no {what} within {timeout} s:\n{self.log[-4000:]}")
            time.sleep(0.02)

    def wait_for_line(self, text, timeout=10):
        self.wait_for(lambda: text in self.log, f'"{text}" in the log', timeout)

    def wait_for_port(self, port, timeout=10):
        self.wait_for(lambda: port_open(port), f"port {port}", timeout)

    def signal(self, number):
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            pass

    def kill(self):
        self.signal(signal.SIGKILL)
        return self.process.wait()

    def stop(self, timeout=5):
        """Ends it politely; returns its exit status (negative: the signal that ended it)."""
        self.signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            return self.kill()


@pytest.fixture
def server(env, workdir):
    """server(cmd, port=, line=, extra_env=, timeout=): starts a process and waits for its port or for a line of its log."""
    started = []

    def start(cmd, port=None, line=None, extra_env=None, timeout=10):
        log = workdir / f"server-{len(started)}.log"
        process = Server(cmd, {**env, **(extra_env or {})}, workdir, log)
        started.append(process)
        if port is not None:
            process.wait_for_port(port, timeout)
        if line is not None:
            process.wait_for_line(line, timeout)
        return process

    yield start
    for process in reversed(started):
        process.stop()


# Tokens

@dataclasses.dataclass
class TokenConf:
    path: pathlib.Path
    tokendir: pathlib.Path
    env: dict


@pytest.fixture
def token_conf(workdir, env):
    """A token directory and its configuration file, for our module and SoftHSM2 alike; already in env."""
    tokendir = workdir / "tokens"
    tokendir.mkdir(mode=0o700)
    path = workdir / "token.conf"
    path.write_text(f"directories.tokendir = {tokendir}\nobjectstore.backend = file\n")
    variables = {"HOLDFAST_TOKEN_CONF": str(path), "SOFTHSM2_CONF": str(path)}
    env.update(variables)
    return TokenConf(path, tokendir, variables)


def softhsm2_path():
    for path in ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so"):
        if os.path.exists(path):
            return path
    return None


@dataclasses.dataclass
class Module:
    name: str  # "ours" or "softhsm2"
    path: str

    def __str__(self):
        return self.path

    @property
    def ours(self):
        return self.name == "ours"


def find_module(name, build):
    if name == "ours":
        return Module(name, built(build / "src/token/libholdfast-token.so"))
    path = softhsm2_path()
    if not path:
        pytest.skip("libsofthsm2.so is not installed (package softhsm2)")
    return Module(name, path)


def pytest_generate_tests(metafunc):
    if "module" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("modules")
        metafunc.parametrize("module", marker.args if marker else ("ours", "softhsm2"), indirect=True)


@pytest.fixture
def module(request, build, token_conf):
    """A PKCS #11 module, in turn our own and SoftHSM2 (see the marker modules)."""
    return find_module(request.param, build)


@dataclasses.dataclass
class Token:
    module: Module
    label: str
    pin: str
    so_pin: str
    pin_file: pathlib.Path  # 0600

    @property
    def uri(self):
        return f"pkcs11:token={self.label}"

    def key_uri(self, label):
        return f"{self.uri};object={label};type=private"


@pytest.fixture
def make_token(module, workdir, run):
    """make_token(label): initialises a token with a user PIN, by pkcs11-tool."""

    def make(label="device"):
        free = run(["pkcs11-tool", "--module", module, "--list-slots"]).stdout
        slots = [line for line in free.splitlines() if line.startswith("Slot ")]
        pin_file = workdir / f"{label}.pin"
        pin_file.touch(mode=0o600)
        pin_file.write_text(PIN + "\n")
        run(["pkcs11-tool", "--module", module, "--slot-index", len(slots) - 1, "--init-token", "--label", label,
             "--so-pin", SO_PIN])
        run(["pkcs11-tool", "--module", module, "--token-label", label, "--login", "--login-type", "so", "--so-pin", SO_PIN,
             "--init-pin", "--pin", PIN])
        return Token(module, label, PIN, SO_PIN, pin_file)

    return make


@pytest.fixture
def token(make_token):
    """A token labelled "device", with PIN and SO PIN set and nothing in it."""
    return make_token("device")


@pytest.fixture
def make_key(token, run):
    """make_key(label, type="EC:prime256v1", id="01"): generates a key pair in token by pkcs11-tool; returns its URI."""

    def make(label, type="EC:prime256v1", id="01"):
        run(["pkcs11-tool", "--module", token.module, "--token-label", token.label, "--login", "--pin", token.pin,
             "--keypairgen", "--key-type", type, "--label", label, "--id", id, "--usage-sign"], timeout=120)
        return token.key_uri(label)

    return make


# OpenSSL

@pytest.fixture
def openssl_conf(build, workdir):
    """openssl_conf(NAME=VALUE, ...): writes an openssl.cnf that loads the default provider and ours; the names go to our
    section, '_' for '-'. Returns {"OPENSSL_CONF": path}, for extra_env."""
    written = []

    def write(**settings):
        provider = built(build / "src/provider/holdfast.so")
        path = workdir / f"openssl-{len(written)}.cnf"
        lines = ["openssl_conf = init", "[init]", "providers = providers", "[providers]", "default = default_section",
                 "holdfast = holdfast_section", "[default_section]", "activate = 1", "[holdfast_section]",
                 f"module = {provider}"]
        lines += [f"{name.replace('_', '-')} = {value}" for name, value in settings.items()]
        lines += ["activate = 1", "[req]", "distinguished_name = dn", "[dn]", ""]
        path.write_text("\n".join(lines))
        written.append(path)
        return {"OPENSSL_CONF": str(path)}

    return write


class Pki:
    """A throw-away certificate authority. All its files are PEM, in one directory."""

    def __init__(self, run, directory):
        self.run = run
        self.dir = directory
        self.ca = directory / "ca.pem"
        self.ca_key = directory / "ca.key"
        directory.mkdir()
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.ca_key,
                     "-out", self.ca, "-subj", "/CN=Test CA", "-days", "30", "-addext", "basicConstraints=critical,CA:TRUE",
                     "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def openssl(self, *args):
        return self.run(["openssl", *args], extra_env={"OPENSSL_CONF": "/etc/ssl/openssl.cnf"})

    def sign(self, csr, name, san="DNS:localhost,IP:127.0.0.1", days=10):
        """Signs a request (a file) for TLS, both as server and as client; returns the certificate's path."""
        cert = self.dir / f"{name}.pem"
        extensions = self.dir / f"{name}.ext"
        extensions.write_text(f"basicConstraints=CA:FALSE\nsubjectAltName={san}\nkeyUsage=digitalSignature\n"
                              "extendedKeyUsage=serverAuth,clientAuth\n")
        self.openssl("x509", "-req", "-in", csr, "-CA", self.ca, "-CAkey", self.ca_key, "-CAcreateserial", "-days", str(days),
                     "-extfile", extensions, "-out", cert)
        return cert

    def sign_between(self, csr, name, start, end):
        """The same, valid from start to end ("20200101000000Z"); for a client alone."""
        cert, conf = self.dir / f"{name}.pem", self.dir / f"{name}-ca.cnf"
        (self.dir / "index.txt").touch()
        conf.write_text(f"[ca]\ndefault_ca=a\n[a]\ndatabase={self.dir}/index.txt\nnew_certs_dir={self.dir}\nrand_serial=yes\n"
                        "default_md=sha256\npolicy=p\nunique_subject=no\nx509_extensions=x\n[p]\ncommonName=supplied\n"
                        "[x]\nbasicConstraints=CA:FALSE\nextendedKeyUsage=clientAuth\n")
        self.openssl("ca", "-batch", "-notext", "-config", conf, "-keyfile", self.ca_key, "-cert", self.ca, "-in", csr, "-out", cert,
                     "-startdate", start, "-enddate", end)
        return cert

    def key_and_cert(self, name, **options):
        """A key in a file and its certificate: the side that has no token. Returns (key path, certificate path)."""
        key, csr = self.dir / f"{name}.key", self.dir / f"{name}.csr"
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", csr,
                     "-subj", f"/CN={name}")
        return key, self.sign(csr, name, **options)


@pytest.fixture
def pki(run, workdir):
    """A certificate authority of this test's own: see Pki."""
    return Pki(run, workdir / "pki")
