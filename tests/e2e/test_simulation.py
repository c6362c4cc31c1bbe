# SPDX-License-Identifier: Apache-2.0
"""A simulated token under the programs of others and ours: what it refuses and how it fails is told clearly, and what it comes back
from, they come back from. docs/simulation.md teaches it."""

import concurrent.futures
import dataclasses
import functools
import json
import re
import shlex
import signal
import time

import pytest

import conftest
import pkcs11_client
from agent_kit import Agent, wait_until
from p11_server_client import ServerError
from provider_kit import broker_conf
from pkcs11_client import CKO, Refused
from test_bridge_hsm import Rig, settle

pytestmark = pytest.mark.modules("ours")


class Simulation:
    """The lines of the token's configuration, and the commands that switch its tokens as they run."""

    def __init__(self, token_conf, module, run, holdfast):
        self.path, self.module, self.run, self.holdfast = token_conf.path, module, run, holdfast
        self.plain = self.path.read_text()

    def configure(self, *lines):
        self.path.write_text(self.plain + "".join(f"simulation.{line}\n" for line in lines))

    def command(self, *words, **options):
        return self.run([self.holdfast, "token", *words, "--module", self.module], **options)

    def unplug(self, *options):
        return self.command("unplug", *options)

    def plug(self):
        return self.command("plug")

    def fault(self, *words, **options):
        return self.command("fault", *words, **options)

    def strikes(self):
        return [fault.get("strikes") for fault in json.loads(self.fault("--json").stdout)["faults"]]


@pytest.fixture
def simulation(token_conf, module, run, holdfast):
    made = Simulation(token_conf, module, run, holdfast)
    made.configure("enabled = true")
    return made


@pytest.fixture
def access(module, token):
    return ["--module", module, "--pin-source", token.pin_file]


def pkcs11_tool(run, token, *args, **options):
    return run(["pkcs11-tool", "--module", token.module, "--token-label", token.label, *args], **options)


# Profiles

@dataclasses.dataclass(frozen=True)
class Profile:
    name: str
    model: str
    there: tuple  # mechanisms, as mechanisms_of has them
    missing: tuple
    refused: tuple  # a key that it does not make, for pkcs11-tool and for holdfast
    code: str  # ... and what pkcs11-tool says then
    imports: str  # "", or what C_CreateObject of a private key is answered


PROFILES = [
    Profile("tpm2", "TPM 2.0", ("ECDSA, keySize={384}, hw, sign, verify", "RSA-PKCS-OAEP, keySize={2048}, hw, encrypt, decrypt"),
            ("RSA-PKCS-PSS", "ECDH1-DERIVE", "EDDSA", "ECDSA-SHA224"), ("rsa:4096", ("--type", "rsa", "--bits", "4096")),
            "CKR_ATTRIBUTE_VALUE_INVALID", "CKR_ATTRIBUTE_VALUE_INVALID"),
    Profile("yubikey-piv", "YubiKey YK5", ("ECDSA-SHA224", "ECDH1-DERIVE, keySize={384}, hw, derive", "RSA-PKCS-PSS"),
            ("EDDSA", "AES", "SHA224, digest"), ("EC:secp521r1", ("--curve", "p521")), "CKR_ATTRIBUTE_VALUE_INVALID", ""),
    Profile("smartcard-hsm", "PKCS#15 emulated", ("ECDSA, keySize={521}", "RSA-PKCS, keySize={4096}, hw, decrypt, sign, verify"),
            ("EDDSA", "RSA-PKCS-OAEP"), ("EC:edwards25519", ("--type", "ed25519")), "not supported",
            "CKR_FUNCTION_NOT_SUPPORTED"),
    Profile("optee", "OP-TEE TA", ("EDDSA", "RSA-PKCS-OAEP, keySize={4096}, encrypt, decrypt"), ("SHA512-HMAC-GENERAL",), (), "", ""),
]


def mechanisms_of(run, token):
    """As pkcs11-tool lists them, each a line, without the least key size: that is the token's own where it is greater."""
    lines = pkcs11_tool(run, token, "-M").stdout.splitlines()
    return [re.sub(r"{\d+,", "{", line.strip()) for line in lines]


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_profile(profile, simulation, token, access, run, holdfast, workdir):
    simulation.configure(f"profile = {profile.name}", "latency = off")
    mechanisms = mechanisms_of(run, token)
    for there in profile.there:
        assert any(line.startswith(there) for line in mechanisms), f"{there} is not among {mechanisms}"
    for missing in profile.missing:
        assert not any(line.startswith(missing) for line in mechanisms), f"{missing} is among {mechanisms}"
    assert f"Model: {profile.model}" in run(["p11tool", "--provider", token.module, "--list-tokens"]).stdout
    key = token.key_uri("k")
    run([holdfast, "key", "generate", "--token", token.label, "--label", "k", "--id", "01", *access])
    (workdir / "data").write_text("telemetry")
    run([holdfast, "sign", key, "data", "--out", "signature", *access])
    (workdir / "k.pem").write_text(run([holdfast, "pubkey", key, *access]).stdout)
    run(["openssl", "dgst", "-sha256", "-verify", "k.pem", "-signature", "signature", "data"])


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_what_a_profile_refuses(profile, simulation, token, access, run, holdfast):
    """A module's own answer, and what Holdfast makes of it."""
    simulation.configure(f"profile = {profile.name}", "latency = off")
    if profile.refused:
        kind, options = profile.refused
        refused = pkcs11_tool(run, token, "--login", "--pin", token.pin, "--keypairgen", "--key-type", kind, "--id", "03", code=1)
        assert profile.code in refused.stderr
        refused = run([holdfast, "key", "generate", "--token", token.label, "--label", "other", "--id", "03", *options, *access], code=1)
        assert "hint: " in refused.stderr
    run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "other.pem"])
    imported = run([holdfast, "key", "import", "other.pem", "--token", token.label, "--label", "other", "--id", "04", *access],
                   code=1 if profile.imports else 0)
    assert profile.imports in imported.stderr


def test_profile_of_a_file(simulation, token, access, run, holdfast, workdir):
    """What docs/simulation.md says of one's own."""
    (workdir / "mine").write_text("model = Mark II\nkey = P-256 generate\nrefuse = key CKR_CURVE_NOT_SUPPORTED\n")
    simulation.configure(f"profile = {workdir}/mine")
    assert '"model": "Mark II"' in run([holdfast, "token", "list", "--json", "--module", token.module]).stdout
    answer = run([holdfast, "key", "generate", "--token", token.label, "--label", "k", "--curve", "p384", *access], code=1)
    assert "a mine does not make P-384 keys (CKR_CURVE_NOT_SUPPORTED)" in answer.stderr
    (workdir / "mine").write_text("model = Mark II\nkeys = P-256 generate\n")
    answer = run([holdfast, "token", "list", "--module", token.module], code=None)
    assert answer.code != 0 and f"{workdir}/mine, line 2: unknown key keys" in answer.stderr


def test_a_token_that_is_full(simulation, token, access, run, holdfast):
    simulation.configure("profile = smartcard-hsm", "latency = off", "limits = keys=1")
    create = [holdfast, "hsm", "create-key", token.label, *access]
    run([*create, "--label", "first"])
    answer = run([*create, "--label", "second"], code=1)
    assert "the HSM is full" in answer.stderr and "(CKR_DEVICE_MEMORY)" in answer.stderr and "holdfast key delete" in answer.stderr
    answer = pkcs11_tool(run, token, "--login", "--pin", token.pin, "--keypairgen", "--key-type", "EC:prime256v1", "--id", "02", code=1)
    assert "CKR_DEVICE_MEMORY" in answer.stderr
    # One that goes makes room.
    run([holdfast, "key", "delete", token.key_uri("first"), "--yes", "--force", *access])
    run([*create, "--label", "second"])


def test_pins_of_a_yubikey(simulation, token, access, run, holdfast):
    """Too short is told with the lengths; three wrong ones lock; doctor and token list say so."""
    simulation.configure("profile = yubikey-piv", "latency = off")
    short = pkcs11_tool(run, token, "--login", "--login-type", "so", "--so-pin", token.so_pin, "--init-pin", "--pin", "1234", code=1)
    assert "CKR_PIN_LEN_RANGE" in short.stderr
    for _ in range(3):
        pkcs11_tool(run, token, "--login", "--pin", "000000", "-O", code=1)
    answer = run([holdfast, "key", "generate", "--token", token.label, "--label", "k", "--id", "01", *access], code=4)
    assert "the PIN is locked" in answer.stderr
    assert "user-pin-locked" in run([holdfast, "token", "list", "--module", token.module]).stdout


def test_the_pin_for_each_use(simulation, token, access, run, holdfast, workdir):
    """PIV's slot 9c."""
    simulation.configure("profile = yubikey-piv", "latency = off")
    run([holdfast, "key", "generate", "--token", token.label, "--label", "k", "--id", "02", *access])
    (workdir / "data").write_text("telemetry")
    run([holdfast, "sign", token.key_uri("k"), "data", "--out", "signature", *access])
    pkcs11_tool(run, token, "--login", "--pin", token.pin, "--sign", "--mechanism", "ECDSA-SHA256", "--id", "02", "-i", "data", "-o", "s")


# Time

def test_latency(simulation, token, make_key, access, run, holdfast, workdir):
    key = make_key("k")
    (workdir / "data").write_text("telemetry")

    def seconds():
        begin = time.monotonic()
        run([holdfast, "sign", key, "data", "--out", "signature", *access])
        return time.monotonic() - begin

    simulation.configure("latency = C_Sign/P-256=500ms, C_Sign/RSA=5s")
    assert 0.5 <= seconds() < 3
    simulation.configure("profile = tpm2", "latency = off")
    assert seconds() < 0.5


# Switched as they run

def test_commands(simulation, token, make_key, access, run, holdfast, workdir):
    key = make_key("k")
    (workdir / "data").write_text("telemetry")
    sign = [holdfast, "sign", key, "data", "--out", "signature", *access]
    simulation.unplug()
    answer = run(sign, code=3)
    assert "no such token" in answer.stderr
    assert "device: unplugged" in simulation.command("list").stdout
    unplugged, = [row for row in json.loads(simulation.command("list", "--json").stdout) if row.get("label") == "device"]
    assert unplugged["simulation"] == {"profile": "", "unplugged": True, "faults": 0}
    simulation.command("plug", "--token", "pkcs11:serial=" + unplugged["serial"])
    run(sign)
    simulation.fault("C_Sign nth=1 device-error")
    simulation.fault("C_Login", "nth=9", "hang")
    run(sign)  # Once more is tried, as by a device that has hiccups
    assert simulation.strikes() == [1, 0]
    assert "C_Sign nth=1 device-error (2 calls, struck 1)" in simulation.fault("--list").stdout
    simulation.fault("--clear")
    assert "No fault." in simulation.fault().stdout
    answer = simulation.fault("C_Sgin hang", code=1)
    assert '"C_Sgin" (expected a function of PKCS #11)' in answer.stderr
    assert "wrong usage" in simulation.fault("hang", "--clear", code=2).stderr
    assert "no such token" in simulation.command("unplug", "--token", "other", code=3).stderr


def test_a_token_that_is_not_simulated_is_left_alone(simulation, token, build, access, run, holdfast, make_key, workdir):
    key = make_key("k")
    (workdir / "data").write_text("telemetry")
    simulation.unplug()
    simulation.configure()
    # Nothing that was switched before is looked at.
    run([holdfast, "sign", key, "data", "--out", "signature", *access])
    answer = simulation.command("unplug", code=1)
    assert "is not simulated" in answer.stderr and "simulation.enabled = true" in answer.stderr and str(simulation.path) in answer.stderr
    answer = run([holdfast, "token", "plug", "--module", conftest.find_module("softhsm2", build)], code=1)
    assert "simulates no hardware" in answer.stderr


def test_a_bad_plan_is_told_by_its_line(simulation, token, run, holdfast):
    simulation.configure("profile = tpm2", "faults = C_Sign nth=7 hnag")
    answer = run([holdfast, "token", "list", "--module", token.module], code=None)
    assert answer.code != 0
    assert f'{simulation.path}, line 4: simulation.faults: "hnag" (expected a function, a condition' in answer.stderr


def test_doctor(simulation, token, make_key, run, holdfast, workdir):
    key = make_key("device-key")
    config = workdir / "config.json"
    config.touch(mode=0o600)
    config.write_text(json.dumps({"device": {"id": "device", "key_uri": key, "cryptoki": {
        "mode": "module", "module_path": str(token.module), "pin_source": str(token.pin_file)}}}))
    answer = run([holdfast, "doctor"], code=None).stdout
    assert "device-key" in answer and "the token is a simulated one" in answer
    simulation.unplug()
    answer = run([holdfast, "doctor"], code=None)
    assert answer.code != 0 and "no such token" in answer.stdout + answer.stderr
    simulation.plug()
    simulation.fault("C_Sign device-error")
    answer = run([holdfast, "doctor"], code=None)
    assert answer.code != 0 and "the HSM reports a device error" in answer.stdout + answer.stderr


# The agent

@pytest.fixture
def key(simulation, make_key):
    return make_key("k")


@pytest.fixture
def start(server, build, workdir, token, key):
    """start(*options): an agent for the key."""
    return functools.partial(Agent, server, build, workdir / "agent", token.module, pin_source=token.pin_file)


@pytest.fixture
def agent(start):
    return start()


def signs(agent, key):
    try:
        return agent.client.sign(b"telemetry", key)
    except (ServerError, ValueError, ConnectionError, IndexError):
        return None


def test_the_agent_over_unplugging(simulation, agent, key):
    client = pkcs11_client.Client(agent.pkcs11)
    session = client.open_slot(client.slots()[0])
    handle, = client.find(session, **{"class": CKO["private"]})
    for _ in range(2):
        assert signs(agent, key) and client.sign(session, handle)
        simulation.unplug()
        assert not signs(agent, key)
        with pytest.raises(Refused):
            client.sign(session, handle)
        simulation.plug()
        wait_until(lambda: signs(agent, key), "signature")
        wait_until(lambda: client_signs(client, session, handle), "signature on the PKCS #11 socket")


def client_signs(client, session, key):
    try:
        return client.sign(session, key)
    except Refused:
        return None


def test_a_directory_that_moves_is_not_noticed(agent, key, token_conf, workdir):
    """As docs/hsms.md has it of a token that is not simulated: what is open stays open."""
    assert signs(agent, key)
    token_conf.tokendir.rename(workdir / "moved")
    assert signs(agent, key)
    (workdir / "moved").rename(token_conf.tokendir)
    assert signs(agent, key)


def test_the_agent_over_a_hang(simulation, start, key):
    agent = start("--call-deadline", 1)
    assert signs(agent, key)
    simulation.fault("C_Sign hang times=1")
    begin = time.monotonic()
    assert not signs(agent, key)
    assert time.monotonic() - begin < 4
    assert signs(agent, key)
    assert agent.status()["worker_last_end"].startswith("hung in ")


@pytest.mark.parametrize("fault", ["C_Sign every=5 device-error", "every=7 session-lost", "C_SignInit every=5 logged-out",
                                   "C_Sign every=11 unplug for=30ms", "C_Sign chance=0.2 seed=3 slow=20ms"])
def test_the_agent_under_load(simulation, agent, key, fault):
    """Eight clients at once: whoever is refused may come again, nobody waits for ever, and the worker stays the same."""
    assert signs(agent, key)
    worker = agent.worker
    simulation.fault(fault)

    def persistently(_):
        for _ in range(20):
            if signs(agent, key):
                return True
            time.sleep(0.02)
        return False

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert all(pool.map(persistently, range(80)))
    assert simulation.strikes()[0] >= 3
    assert agent.worker == worker, agent.status()


# The provider: programs that know of no token

def tls_client(run, pki, port, who, code=0):
    return run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-cert", who[1], "-key", who[0], "-CAfile", pki.ca,
                "-verify_return_error", "-brief"], input="GET / HTTP/1.0\r\n\r\n", code=code)


@pytest.fixture
def device(simulation, token, make_key, openssl_conf, pki, run, workdir):
    """A key in the token with a certificate, for OpenSSL's programs: (URI, certificate, environment)."""
    conf = openssl_conf(module_path=token.module, pin_source=token.pin_file)
    uri = make_key("device")
    run(["openssl", "req", "-new", "-key", uri, "-subj", "/CN=device", "-out", "device.csr"], extra_env=conf)
    return uri, pki.sign(workdir / "device.csr", "device"), conf


def test_s_server_over_unplugging_and_lost_sessions(simulation, device, pki, server, run, free_port):
    port, client = free_port(), pki.key_and_cert("client")
    listener = server(["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", device[1], "-key", device[0], "-CAfile", pki.ca,
                       "-Verify", "1", "-www"], line="ACCEPT", extra_env=device[2])
    tls_client(run, pki, port, client)
    for _ in range(2):
        simulation.unplug()
        assert tls_client(run, pki, port, client, code=None).code != 0
        simulation.plug()
        wait_until(lambda: tls_client(run, pki, port, client, code=None).code == 0, "handshake")
    simulation.fault("C_Sign every=2 session-lost")
    for _ in range(6):
        tls_client(run, pki, port, client)
    assert simulation.strikes()[0] >= 1
    assert listener.process.poll() is None


def test_a_signature_that_is_wrong_is_seen(simulation, device, pki, server, run, free_port):
    port, client = free_port(), pki.key_and_cert("client")
    server(["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", device[1], "-key", device[0], "-www"], line="ACCEPT",
           extra_env=device[2])
    tls_client(run, pki, port, client)
    simulation.fault("corrupt nth=1")
    assert "bad signature" in tls_client(run, pki, port, client, code=1).stderr
    tls_client(run, pki, port, client)


def test_mosquitto_over_a_token_that_comes_and_goes(simulation, device, pki, server, run, free_port, workdir, holdfast, access):
    """The broker's key is in the token: connections wait for it or fail, and the broker stays."""
    port, client = free_port(), pki.key_and_cert("client")
    pem = workdir / "broker-key.pem"
    run([holdfast, "key", "pem", device[0], "--out", pem, *access])
    broker = server(["mosquitto", "-c", broker_conf(workdir, "broker", port, pki.ca, device[1], pem)], port=port, extra_env=device[2])

    def publishes():
        return run(["mosquitto_pub", "-h", "127.0.0.1", "-p", port, "--cafile", pki.ca, "--cert", client[1], "--key", client[0], "-t", "t",
                    "-m", "m", "-q", "1"], code=None, timeout=10).code == 0

    assert publishes()
    simulation.fault("every=500ms unplug for=150ms")
    outcomes = [publishes() for _ in range(25)]
    simulation.fault("--clear")
    simulation.plug()
    wait_until(publishes, "message")
    assert any(outcomes)
    assert broker.process.poll() is None
    assert broker.stop() in (0, -signal.SIGTERM)


# The page

def commands(page):
    """Its indented lines, and what is said of each behind it."""
    for line in page.read_text().splitlines():
        if line.startswith("    "):
            command, _, said = line.strip().partition("  # ")
            yield command.strip(), said.strip()


def test_the_page(build, env, workdir, run, holdfast):
    """docs/simulation.md, as typed into one shell: what is said to fail does, by those words, and nothing else does."""
    for path in ("src/token/libholdfast-token.so", "src/cli/holdfast", "src/agent/holdfast-agent"):
        there = workdir / "holdfast" / ("lib/pkcs11" if path.endswith(".so") else "bin") / path.rsplit("/", 1)[1]
        there.parent.mkdir(parents=True, exist_ok=True)
        there.symlink_to(conftest.built(build / path))
    script = ["shopt -s expand_aliases", "trap 'kill $(jobs -p) 2>/dev/null' EXIT"]
    for command, said in commands(conftest.SOURCE / "docs/simulation.md"):
        quoted = shlex.quote(command)
        script.append(command if command.endswith("&") else f"{{ {command}\n}} >out 2>&1; status=$?")
        if said.startswith("fails: "):
            expected = shlex.quote(said.removeprefix("fails: "))
            script.append(f"[ $status != 0 ] && grep -qF {expected} out || {{ echo should fail: {quoted}; cat out; exit 1; }}")
        elif not command.endswith("&"):
            script.append(f"[ $status = 0 ] || {{ echo {quoted}; cat out; exit 1; }}")
    (workdir / "page.sh").write_text("\n".join(script) + "\n")
    run(["bash", "page.sh"], extra_env={"PATH": f"{workdir}/holdfast/bin:{env['PATH']}"}, timeout=60)


# The bridge

def test_the_bridge_over_unplugging(simulation, build, env, workdir, server, free_port, run, token, pki, openssl_conf, make_key):
    """The cloud's connection is cut while the token is out: what comes meanwhile is kept, and sent once the token is back."""
    rig = Rig(build, env, workdir, server, free_port, run, token, pki, openssl_conf, make_key("device-key"))
    try:
        rig.start()
        rig.bridge.wait_up()
        up = rig.traffic(qos=1)
        simulation.unplug()
        rig.cloud.stop()
        rig.cloud.start()
        up.send(500)
        rig.bridge.wait("a failure", cloud__connected=0, cloud__failures=lambda failures: failures >= 3, out__queued=500)
        simulation.plug()
        settle(rig, up)
        assert up.count() == (0, 0, 0, 500)
    finally:
        rig.close()
