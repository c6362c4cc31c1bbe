# SPDX-License-Identifier: Apache-2.0
"""The tutorial "Simulating hardware security integration" from its first command to its last, and its configuration file wrong in each way: only
where / lies and which ports are free is other than there."""

import contextlib
import copy
import json
import os
import re
import shutil
import signal
import socket
import time

import pytest

import mqtt_kit
from conftest import namespaces
from connect_kit import make_broker  # noqa: F401: fixture
from core_kit import is_alive, wait_until

one_module = pytest.mark.modules("ours")

URI = "pkcs11:object=iotkey;type=private"
THING = "core-thing-name"

# As the tutorial prints it in the end.
FINAL = {
    "coreThing": {"thingArn": f"arn:partition:iot:region:account-id:thing/{THING}", "iotHost": "localhost",
                  "ggHost": "greengrass-ats.iot.region.amazonaws.com", "keepAlive": 600},
    "runtime": {"cgroup": {"useSystemd": "yes"}},
    "managedRespawn": False,
    "crypto": {
        "PKCS11": {"P11Provider": "", "slotLabel": "greengrass", "slotUserPin": "1234"},
        "principals": {"MQTTServerCertificate": {"privateKeyPath": URI}, "SecretsManager": {"privateKeyPath": URI},
                       "IoTCertificate": {"certificatePath": "file://certs/core.crt", "privateKeyPath": URI}},
        "caPath": "file://certs/root.ca.pem",
    },
}


def at(tree, path):
    """The object that the last name of a dotted path stands in, and that name."""
    *names, last = path.split(".")
    for name in names:
        tree = tree.setdefault(name, {})
    return tree, last


class Greengrass:
    """/greengrass under the test's own directory, with the commands of the tutorial."""

    def __init__(self, run, env, pki, workdir, holdfast, module, free_port, is_softhsm):
        self.run, self.pki, self.workdir, self.holdfast, self.module, self.env = run, pki, workdir, holdfast, module, env
        self.root, self.port, self.cloud = workdir / "greengrass", free_port(), free_port()
        self.file = self.root / "config/config.json"
        for name in ("config", "certs", "ggc/core", "var"):
            (self.root / name).mkdir(parents=True)
        (self.root / "ggc/core/greengrassd").symlink_to(holdfast)
        (workdir / "bin").mkdir()
        if not is_softhsm:
            (workdir / "bin/softhsm2-util").symlink_to(holdfast)
        env["PATH"] = f"{workdir}/bin:{env['PATH']}"
        env["SOFTHSM2_CONF"] = str(workdir / "etc/softhsm/softhsm2.conf")
        env.pop("HOLDFAST_TOKEN_CONF", None)
        # What cannot be as in the tutorial: ports that are free here, and directories of the test's own.
        self.tree = copy.deepcopy(FINAL)
        self.set("crypto.PKCS11.P11Provider", str(module))
        self.set("coreThing.iotMqttPort", self.cloud)
        self.set("writeDirectory", str(self.root / "var"))
        self.set("pidFileDirectory", str(self.root / "var/run"))
        self.set("holdfast.mqtt.bind.port", str(self.port))
        self.set("holdfast.mqtt.server.bind.address", "127.0.0.1")
        self.set("holdfast.mqtt.server.bind.port", str(free_port()))
        self.good = copy.deepcopy(self.tree)

    def sh(self, line, **options):
        return self.run(["bash", "-c", re.sub(r"(?<![\w.])/(greengrass|etc/softhsm)", rf"{self.workdir}/\1", line)], **options)

    def set(self, path, value):
        tree, name = at(self.tree, path)
        tree[name] = value

    def delete(self, path):
        tree, name = at(self.tree, path)
        del tree[name]

    def write(self, mode=0o600):
        self.file.write_text(json.dumps(self.tree, indent=2))
        self.file.chmod(mode)

    def line(self, text):
        return next(number for number, line in enumerate(self.file.read_text().splitlines(), 1) if text in line)

    def daemon(self, verb, code=0):
        result = self.sh(f"cd /greengrass/ggc/core/ && ./greengrassd {verb}", code=code)
        assert "1234" not in result.stderr.replace("12345", "")
        return result

    def starts_not(self, code, *texts):
        result = self.daemon("start", code=code)
        for text in texts:
            assert text in result.stderr, f'"{text}" is missing:\n{result}'
        assert "successfully" not in result.stdout
        wait_until(lambda: self.pid == 0, "end of what did not start")
        return result

    @property
    def pid(self):
        try:
            pid = int((self.root / "var/run/holdfast/core.pid").read_text())
            return pid if is_alive(pid) else 0
        except (OSError, ValueError):
            return 0

    @property
    def log(self):
        return (self.root / "var/holdfast/core.log").read_text(errors="replace")

    def status(self):
        return json.loads(self.run([self.holdfast, "core", "status", "--config", self.file, "--json"]).stdout)

    @property
    def bridge(self):
        return next(bridge for bridge in self.status()["bridges"] if bridge["cloud"] == "aws")

    def certify(self, name="core.crt", key="hash.private.key", cn="AWS IoT Certificate"):
        self.sh(f"cd /greengrass/certs && openssl req -new -key {key} -subj '/CN={cn}' -out {name}.csr",
                extra_env={"OPENSSL_CONF": "/etc/ssl/openssl.cnf"})
        shutil.copy(self.pki.sign(self.root / f"certs/{name}.csr", name), self.root / "certs" / name)

    def make_key(self, label, algorithm, key_id):
        self.sh(f"cd /greengrass/certs && openssl genpkey {algorithm} -out {label}.key", extra_env={"OPENSSL_CONF": "/etc/ssl/openssl.cnf"})
        self.sh(f"softhsm2-util --import /greengrass/certs/{label}.key --token greengrass --label {label} --id {key_id} --pin 1234")
        return f"pkcs11:object={label};type=private"

    def provision(self):
        """What the tutorial takes for granted: its core is known to the cloud, and has the files of that."""
        self.sh("cd /greengrass/certs && openssl genrsa -traditional -out hash.private.key 2048")
        shutil.copy(self.pki.ca, self.root / "certs/root.ca.pem")
        self.certify()

    def tutorial(self):
        """"Configure SoftHSM" and "Import the private key into SoftHSM"."""
        self.sh("mkdir -p /etc/softhsm")
        self.sh("mkdir -p /greengrass/softhsm2/tokens")
        self.sh('echo "directories.tokendir = /greengrass/softhsm2/tokens" > /etc/softhsm/softhsm2.conf')
        self.sh('echo "objectstore.backend = file" >> /etc/softhsm/softhsm2.conf')
        self.sh("softhsm2-util --init-token --slot 0 --label greengrass --so-pin 12345 --pin 1234")
        self.sh("cd /greengrass/certs && openssl pkcs8 -topk8 -inform PEM -outform PEM -nocrypt -in hash.private.key -out hash.private.pem")
        self.sh("cd /greengrass/certs && softhsm2-util --import hash.private.pem --token greengrass --label iotkey --id 0000 --pin 1234")
        self.sh("cd /greengrass/certs && rm hash.private.pem hash.private.key")


@pytest.fixture
def fresh(request, run, env, pki, workdir, holdfast, module, free_port):
    greengrass = Greengrass(run, env, pki, workdir, holdfast, module, free_port, "softhsm2" in str(module))
    greengrass.provision()
    yield greengrass
    if greengrass.pid:
        with contextlib.suppress(ProcessLookupError):
            os.kill(greengrass.pid, signal.SIGKILL)


@pytest.fixture
def gg(fresh):
    """Up to "Test the configuration"."""
    fresh.tutorial()
    fresh.write()
    return fresh


def test_the_tutorial(fresh, make_broker, pki, server):  # noqa: F811
    fresh.tutorial()
    fresh.daemon("stop")
    fresh.write()
    # "Test the configuration", with the cloud out of reach: it starts all the same.
    started = fresh.daemon("start").stdout
    pid = int(re.search(r"^Greengrass successfully started with PID: (\d+)$", started, re.M).group(1))
    assert pid == fresh.pid and started.startswith("Setting up greengrass daemon\n")
    # It is there, and a second one is not started.
    again = fresh.daemon("start", code=1)
    assert f"running already, with PID: {pid}" in again.stderr and fresh.pid == pid
    wait_until(lambda: fresh.bridge["cloud_side"]["cause"], "the cause of its having no cloud")
    # The cloud is there.
    key, cert = pki.key_and_cert("cloud")
    conf = fresh.workdir / "cloud.conf"
    conf.write_text(f"user root\nlistener {fresh.cloud} 127.0.0.1\ncafile {pki.ca}\ncertfile {cert}\nkeyfile {key}\nrequire_certificate true\n"
                    "use_identity_as_username true\n")
    server(["mosquitto", "-c", conf], port=fresh.cloud)
    wait_until(lambda: fresh.bridge["state"] == "up", "the bridge", 70)
    # The other commands take the file, too; the cloud's own certificates are not for the thing's name.
    answered = fresh.run([fresh.holdfast, "connect", "aws", "--test", "--config", fresh.file]).stdout
    assert "AWS IoT Core answered" in answered
    # A changed file is taken up as it runs; it stops within seconds.
    client = mqtt_kit.Client(fresh.port, "local")
    assert client.ready.wait(5)
    fresh.set("mqttMaxConnectionRetryInterval", 5)
    fresh.write()
    wait_until(lambda: "the configuration was read again" in fresh.log, "reload")
    assert client.publish("aws/td/x", "1") and fresh.pid == pid
    client.close()
    begin = time.monotonic()
    assert fresh.daemon("stop").stdout == "Stopped greengrass daemon, exiting with success\n"
    assert time.monotonic() - begin < 10 and fresh.pid == 0
    assert "1234" not in fresh.log


def test_the_doctor_takes_it_too(gg):
    """With the cloud out of reach; and a file that is wrong."""
    report = json.loads(gg.run([gg.holdfast, "doctor", "--quick", "--json", "--config", gg.file], code=6).stdout)
    verdicts = {check["code"]: check["verdict"] for check in report["checks"]}
    assert [code for code, verdict in verdicts.items() if verdict == "fail"] == ["aws.tcp"]
    for code in ("token.pin", "key.signature", "tls.loopback", "server-key-works", "secrets-key-works", "server-port"):
        assert verdicts[code] == "ok", code
    archive = gg.workdir / "bundle.tar.gz"
    gg.run([gg.holdfast, "doctor", "bundle", "--output", archive, "--config", gg.file])
    unpacked = gg.run(["tar", "--extract", "--gzip", "--to-stdout", "--file", archive]).stdout
    assert '"device.cryptoki.pin": "<redacted>"' in unpacked and '"1234"' not in unpacked
    gg.set("coreThing.keepAlive", "soon")
    gg.write()
    report = json.loads(gg.run([gg.holdfast, "doctor", "--quick", "--json", "--config", gg.file], code=6).stdout)
    wrong = report["checks"][0]
    assert wrong["code"] == "config.file" and wrong["verdict"] == "fail" and "keepAlive" in wrong["error"], wrong


# A bare system of its own, made of this one's programs: / is empty but for them, no port is taken, and nothing of it stays.
BARE = """
set -e
mount -t tmpfs none "$NEW"
mkdir -p "$NEW"/{proc,dev,tmp,run,var,root,greengrass/{certs,config,ggc/core},etc/ssl}
for name in bin sbin lib lib32 lib64; do [ ! -L /$name ] || ln -s "$(readlink /$name)" "$NEW/$name"; done
cp -a /etc/passwd /etc/group /etc/nsswitch.conf /etc/ld.so.cache "$NEW/etc"
cp -a /etc/ssl/openssl.cnf "$NEW/etc/ssl"
echo 127.0.0.1 localhost > "$NEW/etc/hosts"
cp "$OLD"/certs/* "$NEW/greengrass/certs"
cp "$OLD/config/config.json" "$NEW/config.json"
for place in /usr /dev "$BUILD"; do mkdir -p "$NEW$place"; mount --rbind "$place" "$NEW$place"; done
mount -t proc none "$NEW/proc"
python3 -c "import fcntl, socket, struct; fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sh14x', b'lo', 0x41))"
exec chroot "$NEW" /usr/bin/env -i ${LD_PRELOAD:+"LD_PRELOAD=$LD_PRELOAD" "ASAN_OPTIONS=$ASAN_OPTIONS"} HOME=/root PATH="$OURS:/usr/bin:/usr/sbin" \\
  bash -ec "$TUTORIAL"
"""

# Its commands, word for word, but for apt-get, sudo, man, and the editor.
TUTORIAL = """
mkdir /ours && ln -s @holdfast@ /ours/softhsm2-util && ln -s @holdfast@ /greengrass/ggc/core/greengrassd
mkdir -p /etc/softhsm
mkdir -p /greengrass/softhsm2/tokens
echo "directories.tokendir = /greengrass/softhsm2/tokens" > /etc/softhsm/softhsm2.conf
echo "objectstore.backend = file" >> /etc/softhsm/softhsm2.conf
softhsm2-util --init-token --slot 0 --label greengrass --so-pin 12345 --pin 1234
cd /greengrass/certs
openssl pkcs8 -topk8 -inform PEM -outform PEM -nocrypt -in hash.private.key -out hash.private.pem
softhsm2-util --import hash.private.pem --token greengrass --label iotkey --id 0000 --pin 1234
rm hash.private.key hash.private.pem
cd /greengrass/ggc/core/
./greengrassd stop
cp /config.json /greengrass/config/config.json
cd /greengrass/ggc/core/
./greengrassd start
./greengrassd stop
"""


def test_the_tutorial_word_for_word(fresh, build, module):
    """In its own places and at its own ports, as nobody has ever installed anything there. The cloud cannot be reached."""
    command = namespaces("--mount", "--net", "--pid", "--fork", "--kill-child")
    is_ours = "softhsm2" not in str(module)
    (fresh.workdir / "new").mkdir()
    fresh.tree = copy.deepcopy(FINAL)
    fresh.set("crypto.PKCS11.P11Provider", str(module))
    fresh.write()
    link = "mkdir /etc/holdfast && ln -s /etc/softhsm/softhsm2.conf /etc/holdfast/token.conf\n"
    result = fresh.run([*command, "bash", "-c", BARE], timeout=60, extra_env={
        "NEW": str(fresh.workdir / "new"), "OLD": str(fresh.root), "BUILD": str(build.resolve()), "OURS": "/ours" if is_ours else "/none",
        "TUTORIAL": (link if is_ours else "") + TUTORIAL.replace("@holdfast@", str(fresh.holdfast))})
    assert re.search(r"^Greengrass successfully started with PID: \d+$", result.stdout, re.M), result
    assert result.stdout.endswith("Stopped greengrass daemon, exiting with success\n")


@one_module
def test_it_is_restarted_and_called_otherwise(gg):
    first = int(re.search(r"PID: (\d+)$", gg.daemon("start").stdout.strip()).group(1))
    # What runs goes on where the file has become wrong.
    gg.set("crypto.caPath", "file://certs/none.pem")
    gg.write()
    assert "none.pem" in gg.daemon("restart", code=1).stderr and gg.pid == first
    gg.tree = copy.deepcopy(gg.good)
    gg.write()
    assert gg.daemon("restart").stdout.count("PID: ") == 1 and gg.pid not in (0, first)
    assert "running with PID" in gg.run([gg.holdfast, "core", "restart", "--config", gg.file]).stdout
    assert "has stopped" in gg.run([gg.holdfast, "core", "stop", "--config", gg.file]).stdout
    assert "Example:" in gg.daemon("--help").stdout
    for wrong in ("", "begin", "start now"):
        assert "start, stop or restart" in gg.daemon(wrong, code=2).stderr


def test_devices_of_its_group(gg, free_port, pki):
    """The tutorial's one key serves the cloud's connection, the local server and the secrets; the group is told in the same file."""
    def holdfast(*words, **options):
        return gg.run([gg.holdfast, *words, "--config", gg.file], **options)

    things, port = gg.workdir / "things.json", gg.tree["holdfast"]["mqtt"]["server"]["bind"]["port"]
    things.write_text(json.dumps({"things": ["sensor-1"], "routes": [{"source": "sensor-1", "target": "sensor-1", "topic": "t"}]}))
    holdfast("core", "create-group-ca", "--name", "Group")
    for key, value in {"client_ca_path": pki.ca, "things_path": things, "names": "localhost", "discovery.port": free_port()}.items():
        holdfast("config", "set", f"mqtt.server.{key}", value)
    gg.daemon("start")
    wait_until(lambda: gg.status()["server"]["state"] == "up", "local server", 20)
    key, cert = pki.key_and_cert("sensor-1")
    stranger = pki.key_and_cert("stranger")
    ca = gg.root / "var/holdfast/group-ca.pem"
    options = ["-h", "localhost", "-p", port, "--cafile", ca, "-t", "t", "-q", "1"]
    gg.run(["mosquitto_pub", *options, "--key", key, "--cert", cert, "-i", "sensor-1", "-m", "x"])
    gg.run(["mosquitto_pub", *options, "--key", stranger[0], "--cert", stranger[1], "-i", "sensor-1", "-m", "x"], code=5)
    holdfast("secret", "put", "login", input="s3cret")
    assert holdfast("secret", "get", "login").stdout.startswith("s3cret")
    # What the commands have written is beside what was there.
    assert json.loads(gg.file.read_text())["crypto"] == gg.tree["crypto"]


# What keeps it from starting

@one_module
def test_what_the_hsm_has_against_it(gg):
    gg.set("crypto.PKCS11.slotUserPin", "4321")
    gg.write()
    result = gg.starts_not(4, "the PIN is wrong", "slotUserPin", f"line {gg.line('slotUserPin')}")
    assert "4321" not in result.stderr + result.stdout
    gg.tree = copy.deepcopy(gg.good)
    for path, value, code, *texts in (
            ("crypto.PKCS11.slotLabel", "none", 3, "no such token", "slotLabel"),
            ("crypto.PKCS11.P11Provider", "/none.so", 3, "cannot be loaded", "/none.so", "P11Provider"),
            ("crypto.principals.IoTCertificate.privateKeyPath", "pkcs11:object=nokey", 3, "nothing matches", "IoTCertificate.privateKeyPath"),
            ("crypto.principals.MQTTServerCertificate.privateKeyPath", "pkcs11:object=nokey", 3, "MQTTServerCertificate.privateKeyPath"),
            ("crypto.principals.SecretsManager.privateKeyPath", "pkcs11:object=nokey", 3, "SecretsManager.privateKeyPath")):
        gg.set(path, value)
        gg.write()
        gg.starts_not(code, *texts, "hint: ", f"config.json, line {gg.line(value)}")
        gg.tree = copy.deepcopy(gg.good)


@one_module
def test_a_locked_pin_is_left_alone(gg):
    """The last try is not ours to spend."""
    gg.set("crypto.PKCS11.slotUserPin", "4321")
    gg.write()
    answers = [gg.daemon("start", code=4).stderr for _ in range(12)]
    assert "one try is left" in answers[-1] and "not spent" in answers[-1]
    gg.tree = copy.deepcopy(gg.good)
    gg.write()
    gg.sh("softhsm2-util --show-slots")
    assert "one try is left" in gg.starts_not(4).stderr


@one_module
def test_which_keys_serve(gg):
    ec = gg.make_key("eckey", "-algorithm EC -pkeyopt ec_paramgen_curve:P-256", "0001")
    small = gg.make_key("smallkey", "-algorithm RSA -pkeyopt rsa_keygen_bits:1024", "0002")
    edwards = gg.make_key("edkey", "-algorithm ED25519", "0003")
    iot, server, secrets = (f"crypto.principals.{name}.privateKeyPath" for name in ("IoTCertificate", "MQTTServerCertificate", "SecretsManager"))
    for path, key, code, text in ((iot, ec, 4, "certificate does not belong to the key"), (iot, small, 1, "RSA 1024"), (server, small, 1, "RSA 1024"),
                                  (iot, edwards, 1, "the key of the device is Ed25519"), (secrets, edwards, 1, "the secrets is Ed25519")):
        gg.set(path, key)
        gg.write()
        gg.starts_not(code, text, "hint: ")
        gg.tree = copy.deepcopy(gg.good)
    # Two keys of one name.
    gg.make_key("twin", "-algorithm RSA -pkeyopt rsa_keygen_bits:2048", "0004")
    gg.sh("softhsm2-util --import /greengrass/certs/twin.key --token greengrass --label twin --id 0005 --pin 1234")
    gg.set(secrets, "pkcs11:object=twin")
    gg.write()
    gg.starts_not(3, "several objects match", "id=%00%04", "id=%00%05")
    # EC for all: Greengrass's own secrets want RSA, ours do not. The certificate must be that key's.
    for path in (iot, server, secrets):
        gg.set(path, ec)
    gg.certify("ec.crt", "eckey.key")
    gg.set("crypto.principals.IoTCertificate.certificatePath", "file://certs/ec.crt")
    gg.write()
    assert "successfully started" in gg.daemon("start").stdout
    # The server's may lie in a file, as in Greengrass; one that is none is told.
    for name, code, text in (("eckey.key", 0, ""), ("none.key", 1, "none.key"), ("core.crt", 1, "not a private key")):
        gg.set(server, f"file://certs/{name}")
        gg.write()
        assert text in gg.daemon("restart", code=code).stderr


@one_module
def test_the_certificate(gg):
    gg.sh("openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=x -keyout /greengrass/certs/other.key -out /greengrass/certs/other.crt")
    (gg.root / "certs/empty.pem").touch()
    for path, name, code, text in (("crypto.principals.IoTCertificate.certificatePath", "other.crt", 4, "does not belong to the key"),
                                   ("crypto.principals.IoTCertificate.certificatePath", "empty.pem", 4, "empty.pem"),
                                   ("crypto.principals.IoTCertificate.certificatePath", "none.pem", 1, "none.pem"),
                                   ("crypto.caPath", "empty.pem", 4, "empty.pem"), ("crypto.caPath", "none.pem", 1, "none.pem")):
        gg.set(path, f"file://certs/{name}")
        gg.write()
        gg.starts_not(code, text, "hint: ")
        gg.tree = copy.deepcopy(gg.good)


@one_module
def test_a_port_that_is_taken(gg):
    with socket.create_server(("127.0.0.1", gg.port)):
        gg.starts_not(1, f"port {gg.port} at 127.0.0.1", f"process {os.getpid()} (")
    assert "successfully started" in gg.daemon("start").stdout


@one_module
def test_a_file_that_others_may_read(gg):
    gg.write(0o644)
    started = gg.daemon("start")
    assert started.stderr.count("others may read it") == 1 and "chmod 600" in started.stderr


@one_module
def test_a_key_in_a_file_is_never_used(fresh):
    """As the console hands the file out, and as it was before version 1.7: what to do is told, by line."""
    fresh.tree.pop("crypto")
    for name, value in (("caPath", "root.ca.pem"), ("certPath", "core.crt"), ("keyPath", "hash.private.key")):
        fresh.set(f"coreThing.{name}", value)
    fresh.write()
    texts = ("coreThing.keyPath is a key in a file", f"line {fresh.line('keyPath')}", "holdfast key import", "certs/hash.private.key")
    fresh.starts_not(1, *texts)
    fresh.sh(f"{fresh.holdfast} core run --config /greengrass/config/config.json", code=1)
    fresh.tree = copy.deepcopy(fresh.good)
    fresh.set("crypto.principals.IoTCertificate.privateKeyPath", "file:///greengrass/certs/hash.private.key")
    fresh.delete("crypto.PKCS11")
    for name in ("MQTTServerCertificate", "SecretsManager"):
        fresh.delete(f"crypto.principals.{name}")
    fresh.write()
    fresh.starts_not(1, "IoTCertificate.privateKeyPath is a key in a file", "--label iotkey")


# Its commands

@one_module
def test_check_config(gg, run):
    def check(*args, code=0):
        return run([gg.holdfast, "core", "check-config", *args], code=code)

    assert "0 errors, 0 warnings" in check(gg.file).stdout.replace("1 warnings", "0 warnings")
    gg.set("coreThing.keepalive", 5)
    gg.set("crypto.PKCS11.OpenSSLEngine", "/usr/lib/engines/pkcs11.so")
    gg.set("coreThing.keepAlive", 5)
    gg.set("crypto.caPath", "file://certs/none.pem")
    gg.write(0o640)
    text = check(gg.file, code=1)
    for line in (f"line {gg.line('keepalive')}: warning: coreThing.keepalive is no key of Greengrass's; did you mean keepAlive?",
                 f"line {gg.line('keepAlive')}: error: coreThing.keepAlive must be a whole number, 30 to 1200",
                 f"line {gg.line('OpenSSLEngine')}: note: crypto.PKCS11.OpenSSLEngine is not needed",
                 f"line {gg.line('none.pem')}: error: crypto.caPath leads to {gg.root}/certs/none.pem: No such file"):
        assert line in text.stdout
    assert "2 errors" in text.stderr
    answer = json.loads(check(gg.file, "--json", code=1).stdout)
    assert answer["format"] == "greengrass" and {problem["severity"] for problem in answer["problems"]} == {"error", "warning", "note"}
    assert "none.pem" not in check(gg.file, "--no-files", code=1).stdout
    gg.file.write_text('{\n  "coreThing": {,}\n}')
    assert "line 2" in check(gg.file, code=1).stderr
    gg.file.write_text('{"device": {"id": "x"}}')
    assert "Holdfast's own" in check(gg.file).stdout


@one_module
def test_import(gg, run):
    ours = gg.workdir / "ours/config.json"
    dry = run([gg.holdfast, "config", "import", gg.file, "--config", ours, "--dry-run"]).stdout
    assert f"device.id={THING}" in dry and f"pin_source={ours.parent}/greengrass.pin" in dry and not ours.exists()
    run([gg.holdfast, "config", "import", gg.file, "--config", ours])
    assert ours.stat().st_mode & 0o777 == 0o600 and "1234" not in ours.read_text()
    pin = ours.parent / "greengrass.pin"
    assert pin.read_text() == "1234\n" and pin.stat().st_mode & 0o777 == 0o600
    again = run([gg.holdfast, "config", "import", gg.file, "--config", ours], code=1)
    assert "--force" in again.stderr
    run([gg.holdfast, "config", "import", gg.file, "--config", ours, "--force"])
    assert "running with PID" in run([gg.holdfast, "core", "start", "--config", ours]).stdout
    run([gg.holdfast, "core", "stop", "--config", ours])
    result = run([gg.holdfast, "config", "import", ours, "--config", ours], code=2)
    assert "no Greengrass core's" in result.stderr


@one_module
def test_our_own_keys_in_it(gg, run):
    """They are set and unset there; what the rest of the file says stays."""
    def config(*args, code=0):
        return run([gg.holdfast, "config", *args, "--config", gg.file], code=code)

    config("set", "mqtt.bridge.spool.max_size", "1MiB")
    after = json.loads(gg.file.read_text())
    assert after.pop("holdfast")["mqtt"]["bridge"]["spool"]["max_size"] == "1MiB"
    before = copy.deepcopy(gg.good)
    before.pop("holdfast")
    assert after == before and list(after) == [name for name in before]
    config("unset", "mqtt.bridge.spool.max_size")
    told = config("unset", "device.id", code=2).stderr
    assert "thingArn" in told and "line " in told
    config("set", "device.id", "other")
    assert config("get", "device.id").stdout == "other\n"
    config("unset", "device.id")
    assert config("get", "device.id").stdout == f"{THING}\n"
