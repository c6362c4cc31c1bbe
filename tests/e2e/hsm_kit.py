# SPDX-License-Identifier: Apache-2.0
"""The HSMs that Holdfast is tested on, one fixture for all: our own token, SoftHSM2, a TPM 2.0 (swtpm behind tpm2-pkcs11),
and a virtual YubiKey, once by Yubico's module and once by OpenSC's. docs/hsms.md tells their users what differs."""

import dataclasses
import glob
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile

import pytest

import piv_card
from agent_kit import Agent
from conftest import PIN, SO_PIN, Module, Server, built, clean_env, find_module, namespaces, run_command


@dataclasses.dataclass(frozen=True)
class Traits:
    """What a user of this HSM has to know."""
    kinds: tuple = ("p256", "p384", "rsa")  # of keys that sign
    generates: bool = True  # makes keys through its module
    generates_as_so: bool = False  # ... for the SO alone, who also names the key's place by its id
    names_keys: bool = True  # a key gets the label that was asked for; False: its place's
    rotates: bool = True  # renewal may make a new key beside the old one
    stores_certificates: bool = True  # through its module, for the user
    pin_tries: int = 0  # 0: it does not count them
    oaep: tuple = ("sha1", "sha256")  # the hashes that its RSA keys decrypt OAEP with
    derives: bool = True  # its EC keys agree on a secret


TRAITS = {
    "ours": Traits(kinds=("p256", "p384", "p521", "ed25519", "rsa"), pin_tries=10),
    "softhsm2": Traits(kinds=("p256", "p384", "p521", "ed25519", "rsa"), oaep=("sha1",)),
    "tpm": Traits(derives=False),
    "yubikey": Traits(generates_as_so=True, names_keys=False, rotates=False, stores_certificates=False, pin_tries=piv_card.TRIES),
    "opensc": Traits(generates=False, names_keys=False, rotates=False, stores_certificates=False, pin_tries=piv_card.TRIES,
                     derives=False),
}


def kind_options(kind):
    """For holdfast."""
    return ["--type", kind] if kind in ("rsa", "ed25519") else ["--type", "ec", "--curve", kind]


class Hsm:
    """A token of this test's own, with its PIN set and no key in it. module, label, pin and pin_file are as in conftest.Token."""

    def __init__(self, name, module, label, pin, so_pin, run, holdfast, workdir):
        self.name, self.module, self.label, self.pin, self.so_pin = name, module, label, pin, so_pin
        self.traits = TRAITS[name]
        self.run, self.holdfast, self.dir = run, holdfast, workdir
        self.pin_file, self.so_pin_file = self.secret("pin", pin), self.secret("so-pin", so_pin)
        self.ids = {}  # of each key, by its URI

    def secret(self, name, text):
        path = self.dir / f"hsm.{name}"
        path.touch(mode=0o600)
        path.write_text(text + "\n")
        return path

    @property
    def access(self):
        """The options by which a command of holdfast gets at the token."""
        return ["--module", self.module, "--pin-source", self.pin_file]

    @property
    def uri(self):
        return f"pkcs11:token={self.label}".replace(" ", "%20").replace("#", "%23")

    def configure(self, agent=None, **keys):
        """What a device's configuration says: the module itself, or the agent's sockets; files in the test's directory. keys:
        "device.id" as device_id."""
        cryptoki = {"mode": "module", "module_path": str(self.module), "pin_source": str(self.pin_file)}
        if agent:
            cryptoki = {"mode": "socket", "socket_path": str(agent.socket), "pkcs11_socket_path": str(agent.pkcs11)}
        path = self.dir / "config.json"
        path.touch(mode=0o600)
        device = {"cryptoki": cryptoki, "cert_path": str(self.dir / "device.pem"), "csr_path": str(self.dir / "device.csr")}
        path.write_text(json.dumps({"device": device}))
        for name, value in keys.items():
            self.run([self.holdfast, "config", "set", name.replace("_", ".", 1), value])

    def create_key(self, label="device", kind="p256"):
        """A key pair, made as a user of this HSM makes it; the URI of its private key, which names it for good."""
        key, id = f"{self.uri};object={label};type=private", f"{len(self.ids) + 1:02x}"
        self.run([self.holdfast, "key", "generate", "--token", self.label, "--label", label, "--id", id, *kind_options(kind),
                  *self.access], timeout=60)
        self.ids[key] = id
        return key

    def store_certificate(self, key, cert):
        """Puts a certificate (a PEM file) beside its key, as a user of this HSM does it; its URI."""
        self.run(["openssl", "x509", "-in", cert, "-outform", "DER", "-out", "cert.der"], extra_env={"OPENSSL_CONF": "/etc/ssl/openssl.cnf"})
        self.store(self.ids[key], self.dir / "cert.der")
        return f"{self.uri};id=%{self.ids[key]};type=cert"

    def store(self, id, der):
        self.run(["pkcs11-tool", "--module", self.module, "--token-label", self.label, *self.login(), "--write-object", der, "--type", "cert",
                  "--label", "device", "--id", id])

    def login(self):
        """The options by which pkcs11-tool may write."""
        return ["--login", "--pin", self.pin]

    def pull(self):
        """Takes the token away under running programs; plug brings it back as it was."""
        raise NotImplementedError

    def plug(self):
        raise NotImplementedError

    def tries(self):
        """How many wrong PINs are left."""
        raise NotImplementedError


class FileHsm(Hsm):
    """A software HSM, whose token is a directory."""

    def __init__(self, name, module, token_conf, run, holdfast, workdir):
        super().__init__(name, module, "hsm", PIN, SO_PIN, run, holdfast, workdir)
        self.tokendir = token_conf.tokendir
        init_token(self)

    def tries(self):
        """As far as the token's flags tell."""
        flags = json.loads(self.run([self.holdfast, "token", "list", "--module", self.module, "--json"]).stdout)[0]["flags"]
        return 1 if "user-pin-final-try" in flags else TRAITS[self.name].pin_tries - ("user-pin-count-low" in flags)

    def pull(self):
        self.tokendir.rename(self.dir / "pulled")

    def plug(self):
        (self.dir / "pulled").rename(self.tokendir)


class OwnHsm(FileHsm):
    """Our own token, which simulates being pulled: programs that have it open do not notice a directory that moves."""

    def __init__(self, name, module, token_conf, run, holdfast, workdir):
        with open(token_conf.path, "a", encoding="ascii") as conf:
            conf.write("simulation.enabled = true\n")
        super().__init__(name, module, token_conf, run, holdfast, workdir)

    def pull(self):
        self.run([self.holdfast, "token", "unplug", "--module", self.module])

    def plug(self):
        self.run([self.holdfast, "token", "plug", "--module", self.module])


def init_token(hsm):
    hsm.run([hsm.holdfast, "token", "init", "--module", hsm.module, "--label", hsm.label, "--so-pin-source", hsm.so_pin_file,
             "--pin-source", hsm.pin_file], timeout=60)


class TpmHsm(Hsm):
    """swtpm, behind a resource manager as /dev/tpmrm0 is: without one, what a process leaves in the TPM stays there."""

    def __init__(self, server, port, run, holdfast, workdir, env):
        super().__init__("tpm", Module("tpm", tpm2_pkcs11()), "hsm", PIN, SO_PIN, run, holdfast, workdir)
        self.server, self.port, self.state, self.bus = server, port, workdir / "tpm", workdir / "bus"
        self.state.mkdir()
        (workdir / "tpm-store").mkdir()
        conf = workdir / "bus.conf"
        conf.write_text(BUS_CONF.format(socket=self.bus))
        env.update(TPM2_PKCS11_STORE=str(workdir / "tpm-store"), TPM2_PKCS11_TCTI="tabrmd:bus_type=session", TPM2_PKCS11_LOG_LEVEL="0",
                   TSS2_LOG="all+NONE", DBUS_SESSION_BUS_ADDRESS=f"unix:path={self.bus}")
        server(["dbus-daemon", f"--config-file={conf}", "--nofork", "--print-address"], line="unix:path=")
        self.plug()
        init_token(self)

    def plug(self):
        # The control channel is expected on the next port.
        self.swtpm = self.server(["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.state}", "--server",
                                  f"type=tcp,port={self.port},bindaddr=127.0.0.1", "--ctrl",
                                  f"type=tcp,port={self.port + 1},bindaddr=127.0.0.1", "--flags",
                                  "not-need-init,startup-clear"], port=self.port + 1)
        self.manager = self.server(["tpm2-abrmd", "--session", "--allow-root", "--flush-all",
                                    f"--tcti=swtpm:host=127.0.0.1,port={self.port}"])
        self.manager.wait_for(self.is_up, "answer on the bus", 10)

    def is_up(self):
        return self.run(["dbus-send", "--session", "--print-reply", "--dest=org.freedesktop.DBus", "/", "org.freedesktop.DBus.NameHasOwner",
                         "string:com.intel.tss2.Tabrmd"], code=None).stdout.endswith("boolean true\n")

    def pull(self):
        self.manager.kill()
        self.swtpm.kill()


BUS_CONF = """<busconfig><type>session</type><listen>unix:path={socket}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>
"""


def tpm2_pkcs11():
    found = glob.glob("/usr/lib/*/pkcs11/libtpm2_pkcs11.so") + glob.glob("/usr/lib/*/libtpm2_pkcs11.so*")
    if not found:
        pytest.skip("libtpm2_pkcs11.so is not installed (package libtpm2-pkcs11-1)")
    return found[0]


# The virtual YubiKey

class Card:
    """The card of a reader that piv_card.py runs: its methods are those of Control there."""

    def __init__(self, directory):
        self.pcscd = directory / "pcscd.comm"
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(directory / "control.sock"))
        self.stream = connection.makefile("rw")

    def __getattr__(self, name):
        return lambda *arguments: self.call([name, *arguments])

    def call(self, request):
        self.stream.write(json.dumps(request) + "\n")
        self.stream.flush()
        answer = json.loads(self.stream.readline())
        assert "error" not in answer, f"{request}: {answer['error']}"
        return answer["result"]


@pytest.fixture(scope="session")
def card():
    """A virtual YubiKey in a reader, started once for all tests."""
    for path, package in (("/usr/sbin/pcscd", "pcscd"), ("/usr/lib/pcsc/drivers/serial/libifdvpcd.so", "vsmartcard-vpcd")):
        if not os.path.exists(path):
            pytest.skip(f"{path} is not installed (package {package})")
    directory = pathlib.Path(tempfile.mkdtemp(prefix="hf-card-"))
    reader = Server([*namespaces("--mount", "--net"), sys.executable, piv_card.__file__, directory], clean_env(directory), directory, directory / "log",
                    stdin=subprocess.PIPE)
    reader.wait_for((directory / "control.sock").exists, "control.sock", 10)
    yield Card(directory)
    reader.process.stdin.close()
    reader.process.wait(5)
    shutil.rmtree(directory, ignore_errors=True)


class CardHsm(Hsm):
    """One card, two modules. A key's place is named by its id; its label is the place's."""
    places = ("9a", "9d", "9e", "9c")
    algorithms = {"p256": piv_card.P256, "p384": piv_card.P384, "rsa": piv_card.RSA_2048}

    def __init__(self, name, module, label, card, run, holdfast, workdir, env):
        super().__init__(name, Module(name, module), label, piv_card.PIN.decode(), piv_card.MANAGEMENT_KEY.hex(), run, holdfast, workdir)
        self.card = card
        env["PCSCLITE_CSOCK_NAME"] = str(card.pcscd)
        card.plug()
        card.factory()

    def create_key(self, label="device", kind="p256", place=None):
        """place: a PIV slot; its default is the first that is free."""
        place = place or next(place for place in self.places if place not in self.card.slots())
        id = f"{list(piv_card.SLOTS).index(place) + 1:02x}"
        self.make(place, id, label, kind)
        key = f"{self.uri};id=%{id};type=private"
        self.ids[key] = id
        return key

    def make(self, place, id, label, kind):
        raise NotImplementedError

    def pull(self):
        self.card.pull()

    def plug(self):
        self.card.plug()

    def tries(self):
        return self.card.tries()


class YubikeyHsm(CardHsm):
    """By ykcs11, which lets the SO make keys; the SO's PIN is the management key."""

    def make(self, place, id, label, kind):
        self.run([self.holdfast, "key", "generate", "--token", self.label, "--id", id, *kind_options(kind), *self.access, "--so-pin-source",
                  self.so_pin_file], timeout=60)

    def login(self):
        return ["--login", "--login-type", "so", "--so-pin", self.so_pin]


class OpenscHsm(CardHsm):
    """OpenSC's PIV driver makes no keys and shows those alone that have a certificate: ykman makes both. The token is named
    after the first certificate, so that URIs had better not name it."""
    places = ("9a", "9e", "9c", "9d")

    @property
    def uri(self):
        return "pkcs11:manufacturer=piv_II"

    def make(self, place, id, label, kind):
        self.card.generate(place, self.algorithms[kind], label)

    def store(self, id, der):
        self.card.put_certificate(list(piv_card.SLOTS)[int(id) - 1], der.read_bytes().hex())


def module_file(pattern, package):
    found = glob.glob(pattern)
    if not found:
        pytest.skip(f"{pattern.rsplit('/', 1)[1]} is not installed (package {package})")
    return found[0]


def software(request, name):
    values = [request.getfixturevalue(fixture) for fixture in ("token_conf", "run", "holdfast", "workdir")]
    return (OwnHsm if name == "ours" else FileHsm)(name, find_module(name, request.getfixturevalue("build")), *values)


def tpm(request, name):
    module = tpm2_pkcs11()
    assert module
    values = [request.getfixturevalue(fixture) for fixture in ("server", "free_port", "run", "holdfast", "workdir", "env")]
    values[1] = values[1]()
    return TpmHsm(*values)


def on_card(make, pattern, package, label):
    def setup(request, name):
        module = module_file(pattern, package)
        values = [request.getfixturevalue(fixture) for fixture in ("card", "run", "holdfast", "workdir", "env")]
        return make(name, module, label, *values)

    return setup


SETUPS = {
    "ours": software, "softhsm2": software, "tpm": tpm,
    "yubikey": on_card(YubikeyHsm, "/usr/lib/*/libykcs11.so.2", "ykcs11", f"YubiKey PIV #{piv_card.SERIAL}"),
    "opensc": on_card(OpenscHsm, "/usr/lib/*/opensc-pkcs11.so", "opensc-pkcs11", "PIV_II"),
}


@pytest.fixture(params=SETUPS)
def hsm(request):
    """Each HSM in turn; for some of them: @pytest.mark.parametrize("hsm", ["tpm", "yubikey"], indirect=True). See Hsm."""
    return SETUPS[request.param](request, request.param)


@pytest.fixture(params=["module", "socket"])
def reach(request, hsm, server, build, workdir):
    """reach(**keys): writes hsm's configuration, see Hsm.configure; in turn with the module itself and with an agent that this
    starts. After its keys were made: that is the module's affair. Returns the agent, or None."""

    def configure(**keys):
        agent = Agent(server, build, workdir / "agent", hsm.module, pin_source=hsm.pin_file) if request.param == "socket" else None
        hsm.configure(agent, **keys)
        return agent

    return configure
