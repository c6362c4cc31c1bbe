# SPDX-License-Identifier: Apache-2.0
"""The gateway daemon: started, stopped, killed, in the way of others, and with a configuration that changes as it runs."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import pytest

import conftest
import mqtt_kit
from cloud_kit import Cumulocity
from connect_kit import broker, device, make_broker  # noqa: F401: fixtures
from core_kit import Core, is_alive, wait_until

one_module = pytest.mark.modules("ours")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def core(server, run, holdfast, build, workdir, free_port):
    """A gateway without a cloud. One that the command has started is ended with the test."""
    conftest.needs("/proc/self")
    core = Core(server, run, holdfast, build, workdir, free_port())
    yield core
    with contextlib.suppress(OSError, ValueError):
        if not core.process and is_alive(core.pid):
            core.kill()


@contextlib.contextmanager
def client(port, name="local", **options):
    mqtt = mqtt_kit.Client(port, name, **options)
    assert mqtt.ready.wait(5), "not connected"
    yield mqtt
    mqtt.close()


def listens(port):
    return conftest.port_open(port)


# Its command

def test_start_status_stop(core, run):
    result = core.command("start")
    assert f"PID: {core.pid}" in result.stdout and "none" in result.stdout
    status = json.loads(core.command("status", "--json").stdout)
    assert status["pid"] == core.pid and status["bridges"] == []
    assert status["broker"]["state"] == "up" and status["broker"]["port"] == str(core.port) and status["broker"]["managed"]
    text = core.command("status").stdout
    assert f"running, pid {core.pid}" in text and f"up on 127.0.0.1:{core.port}" in text and "holdfast connect" in text
    with client(core.port) as mqtt:
        assert mqtt.publish("some/topic", "payload", tag=1)
        wait_until(lambda: 1 in mqtt.acknowledged, "acknowledgement")
    assert "running already" in core.command("start").stdout
    pid, mosquitto = core.pid, core.broker["pid"]
    assert core.pid == pid
    begin = time.monotonic()
    assert "has stopped" in core.command("stop").stdout
    assert time.monotonic() - begin < 5 and not is_alive(pid) and not is_alive(mosquitto) and not listens(core.port)
    assert "No holdfast-core" in core.command("stop").stdout
    result = core.command("status", code=1)
    assert "no holdfast-core runs" in result.stderr and "holdfast core start" in result.stderr


def test_its_log_is_its_owner_s(core):
    core.command("start")
    log = core.data / "core.log"
    assert log.stat().st_mode & 0o777 == 0o600
    assert "INFO: ready" in core.log and "INFO: mosquitto: mosquitto version" in core.log
    core.command("restart")
    assert core.log.count("INFO: ready") == 2
    core.command("stop")
    with log.open("a") as out:
        out.write("x" * (1 << 20))
    core.command("start")
    assert core.log.count("INFO: ready") == 1 and (core.data / "core.log.1").stat().st_size > 1 << 20


def test_a_second_one_is_refused_and_names_the_first(core, run):
    core.run()
    result = run([core.program, "--config", core.config], code=1)
    assert f"process {core.process.process.pid}" in result.stderr and "already in use" in result.stderr
    assert core.broker["state"] == "up" and core.status()["pid"] == core.process.process.pid
    assert "running already" in core.command("start").stdout


def test_how_it_is_called(core, run):
    assert "SIGHUP" in run([core.program, "--help"]).stdout
    assert run([core.program, "--version"]).stdout.startswith("holdfast-core ")
    for wrong in (["--config"], ["--nonsense"], ["x"]):
        assert "--help" in run([core.program, *wrong], code=2).stderr
    assert "no-such-file" in run([core.program, "--config", core.config.parent / "no-such-file"], code=1).stderr
    for verb in ("start", "stop", "restart", "status", "move-aside"):
        assert "Example:" in run([core.holdfast, "core", verb, "--help"]).stdout
    assert run([core.holdfast, "core", "run", "--version"]).stdout.startswith("holdfast-core ")


def test_a_terminal_s_signal_ends_it(core):
    core.run()
    mosquitto = core.broker["pid"]
    begin = time.monotonic()
    os.kill(core.process.process.pid, signal.SIGINT)
    assert core.process.process.wait(10) == 0 and time.monotonic() - begin < 5
    assert "INFO: stopping" in core.log and not is_alive(mosquitto)


# What keeps it from starting: one cause, and nothing is left behind

def starts_not(core, code, *texts, **options):
    result = core.command("start", code=code, **options)
    lines = result.stderr.splitlines()
    assert len(lines) == 2 and lines[0].startswith("holdfast: error: ") and lines[1].startswith("  hint: "), result
    for text in texts:
        assert text in result.stderr, f'"{text}" is missing:\n{result}'
    assert "no holdfast-core runs" in core.command("status", code=1).stderr
    return result


def test_a_port_that_is_taken(core):
    with socket.create_server(("127.0.0.1", core.port)):
        starts_not(core, 1, f"port {core.port} at 127.0.0.1", f"process {os.getpid()} (", "mqtt.broker external")
    core.command("start")


def test_no_mosquitto(core):
    """In a namespace of its own, where the folder that Debian has it in is empty."""
    core.prefix = [*conftest.namespaces("--mount"), "sh", "-c", "mount -t tmpfs none /usr/sbin && exec \"$@\"", "sh"]
    starts_not(core, 1, "mosquitto, the local MQTT broker", "apt-get install mosquitto")


def test_a_broker_that_ends_at_once(core):
    core.command("start")
    core.command("stop")
    (core.data / "mosquitto/mosquitto.db").write_bytes(b"garbage")
    starts_not(core, 1, "mosquitto ended with status", "Error: Couldn't open database", "mosquitto.db")
    (core.data / "mosquitto/mosquitto.db").unlink()
    core.command("start")


def test_an_address_that_others_can_reach(core):
    core.set(mqtt__bind__address="0.0.0.0")
    starts_not(core, 1, "mqtt.bind.address is 0.0.0.0", "external")


def test_a_bridge_without_what_it_needs(core, workdir):
    core.set(mqtt__bridge__enabled="true", device__id="dev-1")
    starts_not(core, 1, "mqtt.url is not set", "holdfast config set mqtt.url")
    core.set(mqtt__url="localhost:1", device__key_uri="pkcs11:token=x;object=y;type=private", device__cert_path=workdir / "none.pem")
    core.run()  # what may come later, a token or a certificate, is waited for
    wait_until(lambda: core.bridge()["cloud_side"]["cause"], "cause")
    assert core.bridge()["cloud_side"]["cause"]["code"] == "token-not-found"
    assert "no such token" in core.command("status").stdout and "not connected" in core.command("status").stdout


# Its broker

def test_another_broker_is_used_as_it_is(core, server, free_port, workdir):
    conf = workdir / "mosquitto.conf"
    conf.write_text(f"listener {core.port} 127.0.0.1\nallow_anonymous true\n")
    theirs = server(["mosquitto", "-c", conf], port=core.port)
    core.set(mqtt__broker="external")
    core.run()
    assert core.broker["state"] == "external" and core.broker["pid"] == 0
    theirs.stop()
    core.set(mqtt__broker="managed")
    wait_until(lambda: core.broker["state"] == "up", "broker of its own")
    core.set(mqtt__broker="external")
    wait_until(lambda: core.broker["state"] == "external", "no broker of its own")
    wait_until(lambda: not listens(core.port), "free port")


def test_a_broker_that_is_killed_comes_back(core):
    core.run()
    first = core.broker["pid"]
    with client(core.port, "keeps", clean=False, subscriptions=["kept/#"]) as mqtt:
        assert mqtt.publish("kept/1", "retained", tag=1, retain=True)
        wait_until(lambda: 1 in mqtt.acknowledged, "acknowledgement")
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: core.broker["pid"] not in (0, first) and core.broker["state"] == "up", "another broker")
    assert core.broker["restarts"] == 1 and "SIGKILL" in core.broker["last_end"]
    assert listens(core.port) and "another is started in 0.2 s" in core.log
    assert "SIGKILL" in core.command("status").stdout


def test_a_broker_that_cannot_come_back_is_waited_for(core):
    core.run()
    first = core.broker["pid"]
    os.kill(first, signal.SIGSTOP)
    os.kill(first, signal.SIGKILL)
    with contextlib.ExitStack() as stack:
        wait_until(lambda: not is_alive(first), "end of the broker")
        stack.enter_context(socket.create_server(("127.0.0.1", core.port)))
        wait_until(lambda: "already in use" in core.broker["last_end"], "cause")
        assert core.broker["state"] == "waiting" and f"process {os.getpid()}" in core.broker["last_end"]
    wait_until(lambda: core.broker["state"] == "up", "broker", 20)


def test_killed_it_leaves_nothing_in_the_way(core):
    """The broker ends with it; one that cannot, because it is stopped, is ended by the next core."""
    core.run()
    for stopped in (False, True):
        mosquitto = core.broker["pid"]
        if stopped:
            os.kill(mosquitto, signal.SIGSTOP)
        core.kill()
        if not stopped:
            wait_until(lambda: not is_alive(mosquitto), "end of the broker")
        core.run()
        assert not is_alive(mosquitto) and core.broker["state"] == "up"
    assert "a broker that was left behind" in core.log


def test_the_broker_s_own_messages_outlive_a_restart(core):
    core.run()
    with client(core.port, "keeps", clean=False, subscriptions=["kept/#"]):
        pass
    with client(core.port) as mqtt:
        for i in range(2000):  # more than mosquitto's own limit
            assert mqtt.publish("kept/1", str(i), tag=i)
        wait_until(lambda: len(mqtt.acknowledged) == 2000, "acknowledgements")
    core.process.stop()
    core.run()
    with client(core.port, "keeps", clean=False, subscriptions=["kept/#"]) as mqtt:
        wait_until(lambda: len(mqtt.messages) >= 2000, "messages")
        assert [int(message.payload) for message in mqtt.messages] == list(range(2000))


# Changed as it runs

def test_changes_are_taken_up(core, free_port):
    core.run()
    pid, port = core.status()["pid"], core.port
    core.port = free_port()
    core.set(mqtt__bind__port=core.port)
    wait_until(lambda: listens(core.port), "the new port")
    assert not listens(port) and core.broker["port"] == str(core.port) and core.status()["pid"] == pid


def test_a_port_that_is_taken_is_not_moved_to(core, free_port):
    core.run()
    mosquitto, taken = core.broker["pid"], free_port()
    with socket.create_server(("127.0.0.1", taken)):
        core.set(mqtt__bind__port=taken)
        core.wait_for_line("taking up the changed configuration: already in use")
        assert core.broker["pid"] == mosquitto and listens(core.port)


def test_a_wrong_configuration_changes_nothing(core):
    core.run()
    good = core.config.read_text()
    core.config.write_text("{")
    core.wait_for_line("taking up the changed configuration: the configuration is wrong")
    time.sleep(1.5)
    assert core.log.count("taking up the changed configuration") == 1  # it is said once
    assert core.broker["state"] == "up"
    os.kill(core.pid, signal.SIGHUP)
    core.wait_for_line("taking up the changed configuration", 2)
    core.config.write_text(good)
    core.wait_for_line("the configuration was read again")
    assert core.process.stop() == 0


# Its bridges

@pytest.fixture
def bridged(core, device):  # noqa: F811
    """The device's gateway: its configuration is one."""
    core.device = device
    # The device's own fixture has chosen places, too: the gateway's are the ones that count.
    core.set(data__path=core.data, run__path=core.run_path, mqtt__bind__port=core.port)
    return core


@one_module
def test_two_clouds_at_once(bridged, make_broker, free_port):  # noqa: F811
    plain = free_port()
    brokers = [make_broker(lines=["allow_anonymous true", *lines]) for lines in ([f"listener {plain} 127.0.0.1"], [])]
    c8y = Cumulocity(plain)
    bridged.set(c8y__url=f"localhost:{brokers[0].port}", mqtt__url=f"localhost:{brokers[1].port}", c8y__root_cert_path=bridged.device.pki.ca,
                c8y__bridge__enabled="true", mqtt__bridge__enabled="true", mqtt__bridge__topics="# out 1 up/ devices/{id}/")
    bridged.run()
    bridged.wait_up("c8y", "mqtt")
    with client(bridged.port, subscriptions=["c8y/s/dat", "te/#"]) as mqtt:
        mqtt.publish("c8y/s/uat", "")
        mqtt.publish("c8y/s/us", "400,event")
        mqtt.publish("up/x", "to the other")
        wait_until(lambda: [m for m in mqtt.messages if m.topic == "c8y/s/dat" and m.payload == c8y.token.encode()], "token")
        wait_until(lambda: ("s/us", "400,event") in c8y.seen, "message at the cloud")
        wait_until(lambda: bridged.bridge("mqtt")["to_cloud"]["acknowledged"] == 1, "message at the other")
        health = {m.topic: json.loads(m.payload)["status"] for m in mqtt.messages if m.topic.startswith("te/")}
    assert health == {f"te/device/main/service/holdfast-bridge-{cloud}/status/health": "up" for cloud in ("c8y", "mqtt")}
    # One of them goes, and the other does not notice.
    since = bridged.bridge("mqtt")["cloud_side"]["since"]
    bridged.set(c8y__bridge__enabled="false")
    wait_until(lambda: bridged.bridge("c8y") is None, "end of one bridge")
    assert bridged.is_up("mqtt") and bridged.bridge("mqtt")["cloud_side"]["since"] == since
    c8y.close()
    text = bridged.command("status").stdout
    assert "the MQTT broker: up" in text and "Cumulocity" not in text


@one_module
def test_what_was_acknowledged_outlives_the_core(bridged, make_broker, free_port, workdir):  # noqa: F811
    """The cloud is away; the gateway is killed, twice; then all is there, once, in order."""
    plain = free_port()
    cloud = make_broker(lines=["allow_anonymous true", f"listener {plain} 127.0.0.1", "persistence true", "max_queued_messages 0",
                               f"persistence_location {workdir}/"])
    bridged.set(mqtt__url=f"localhost:{cloud.port}", mqtt__bridge__enabled="true", mqtt__bridge__topics="# out 1 up/ seen/",
                mqtt__bridge__reconnect_policy__maximum_interval="1s")
    with client(plain, "seer", clean=False, subscriptions=["seen/#"]):
        pass
    bridged.run()
    bridged.wait_up()
    cloud.process.stop()
    sent = 0
    for _ in range(2):
        with client(bridged.port) as mqtt:
            for _ in range(500):
                assert mqtt.publish("up/x", str(sent), tag=sent)
                sent += 1
            wait_until(lambda: len(mqtt.acknowledged) == 500, "acknowledgements")
        # What mosquitto has acknowledged and the bridge not taken yet is mosquitto's to keep.
        wait_until(lambda: bridged.bridge()["to_cloud"]["queue"]["messages"] == sent, "messages in the spool")
        bridged.kill()
        bridged.run()
    assert bridged.bridge()["to_cloud"]["queue"]["messages"] == sent
    bridged.server(cloud.process.cmd, line=" running")
    wait_until(lambda: bridged.bridge()["to_cloud"]["queue"]["messages"] == 0, "empty spool", 30)
    with client(plain, "seer", clean=False, subscriptions=["seen/#"]) as seer:
        wait_until(lambda: len(seer.messages) >= sent, "messages")
        assert [int(message.payload) for message in seer.messages] == list(range(sent))


@one_module
def test_a_killed_broker_has_not_forgotten_the_bridge(bridged, make_broker, free_port, server):  # noqa: F811
    """What is published once the broker is there again, and before the bridge is, waits for the bridge."""
    plain = free_port()
    cloud = make_broker(lines=["allow_anonymous true", f"listener {plain} 127.0.0.1"])
    bridged.set(mqtt__url=f"localhost:{cloud.port}", mqtt__bridge__enabled="true", mqtt__bridge__topics="# out 1 up/ seen/")
    bridged.run()
    bridged.wait_up()
    wait_until((bridged.data / "mosquitto/mosquitto.db").exists, "saved session", 5)
    mosquitto = bridged.broker["pid"]
    bridged.kill(signal.SIGSTOP)
    os.kill(mosquitto, signal.SIGKILL)
    wait_until(lambda: not listens(bridged.port), "free port", 5)
    between = server(["mosquitto", "-c", bridged.run_path / "mosquitto.conf"], port=bridged.port)
    with client(bridged.port) as mqtt:
        assert mqtt.publish("up/x", "while the bridge is away", tag=1)
        wait_until(lambda: 1 in mqtt.acknowledged, "acknowledgement")
    between.stop()
    with client(plain, "seer", subscriptions=["seen/#"]) as seer:
        bridged.kill(signal.SIGCONT)
        wait_until(lambda: [message.payload for message in seer.messages] == [b"while the bridge is away"], "the message")


@one_module
def test_a_damaged_spool_stops_its_bridge_alone(bridged, make_broker):  # noqa: F811
    cloud = make_broker()
    bridged.set(mqtt__url=f"localhost:{cloud.port}", mqtt__bridge__enabled="true")
    bridged.run()
    bridged.wait_up()
    assert "is locked" in bridged.command("move-aside", "mqtt", code=1).stderr
    bridged.process.stop()
    os.truncate(bridged.data / "spool/mqtt/data.mdb", 10000)
    bridged.run()
    bridge = bridged.bridge()
    assert bridge["state"] == "not started" and bridge["cause"]["code"] == "spool-damaged" and listens(bridged.port)
    text = bridged.command("status").stdout
    assert "the spool is damaged" in text and "holdfast core move-aside" in text
    result = bridged.command("move-aside", "mqtt")
    aside = result.stdout.split()[-1].rstrip(".")
    assert pathlib.Path(aside, "data.mdb").stat().st_size == 10000
    bridged.wait_up()
    assert "not-a-cloud" in bridged.command("move-aside", "not-a-cloud", code=2).stderr
    assert bridged.command("move-aside", "aws", code=1).stderr.count("hint") == 1


@one_module
def test_a_new_certificate_is_taken_up(bridged, make_broker):  # noqa: F811
    cloud = make_broker()
    bridged.set(mqtt__url=f"localhost:{cloud.port}", mqtt__bridge__enabled="true")
    bridged.run()
    bridged.wait_up()
    before, local = (bridged.bridge()[side]["since"] for side in ("cloud_side", "local_side"))
    time.sleep(1.1)  # since counts seconds
    bridged.device.certify()
    wait_until(lambda: bridged.bridge()["cloud_side"]["since"] > before and bridged.is_up(), "new connection")
    assert bridged.bridge()["local_side"]["since"] == local


# As an ordinary user

@pytest.fixture
def nobody(workdir):
    """A home of theirs, and what a command is prefixed with to be theirs."""
    home = pathlib.Path(tempfile.mkdtemp(prefix="hf-home-"))
    if os.geteuid() != 0:
        yield home, []
    else:
        os.chown(home, 65534, 65534)
        yield home, ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    shutil.rmtree(home, ignore_errors=True)


def test_an_ordinary_user_has_a_gateway_of_their_own(nobody, build, free_port, server, run, holdfast):
    home, prefix = nobody
    if os.geteuid() == 0 and subprocess.run([*prefix, holdfast, "--version"], stdout=subprocess.DEVNULL, check=False).returncode != 0:
        pytest.skip("the build's folder is root's alone")
    env = {"HOME": str(home), "HOLDFAST_CONFIG": "", "XDG_RUNTIME_DIR": str(home / "runtime"), "TMPDIR": str(home)}
    del env["HOLDFAST_CONFIG"]
    config = home / ".config/holdfast/config.json"

    def command(*args, code=0):
        return run([*prefix, "env", "-u", "HOLDFAST_CONFIG", holdfast, *args], extra_env=env, code=code, cwd=home)

    port = free_port()
    command("config", "set", "mqtt.bind.port", port)
    assert config.exists()
    try:
        assert "PID: " in command("core", "start").stdout
        assert listens(port)
        status = json.loads(command("core", "status", "--json").stdout)
        assert pathlib.Path(f"/proc/{status['pid']}/status").read_text().split("Uid:")[1].split()[0] != "0" or os.geteuid() != 0
        assert (home / ".local/share/holdfast/mosquitto").stat().st_mode & 0o777 == 0o700
        assert (home / "runtime/holdfast/core.sock").stat().st_mode & 0o777 == 0o600
    finally:
        command("core", "stop")
    assert not listens(port)


# Its unit

@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze (package systemd)")
def test_its_unit(core, run, build, workdir):
    lines = (build / "packaging/holdfast-core.service").read_text().splitlines()
    assert any(line.startswith("ExecStart=/") and line.endswith("/bin/holdfast-core --config /etc/holdfast/config.json") for line in lines)
    unit = workdir / "holdfast-core.service"
    unit.write_text("\n".join(f"ExecStart={core.program}" if line.startswith("ExecStart=") else line for line in lines) + "\n")
    plain = {"LD_PRELOAD": ""}
    result = run(["systemd-analyze", "verify", "--man=no", unit], extra_env=plain)
    assert not [line for line in result.stderr.splitlines() if "holdfast" in line], result
    security = run(["systemd-analyze", "security", "--offline=true", "--threshold=25", unit], extra_env=plain, code=None)
    assert security.code == 0, security


@pytest.mark.skipif(not shutil.which("systemd-tmpfiles"), reason="no systemd-tmpfiles (package systemd)")
@as_root
def test_its_directories(run, workdir):
    """What root configures there becomes the gateway's: a renewal replaces it."""
    root = workdir / "root"
    (root / "etc").mkdir(parents=True)
    plain = {"LD_PRELOAD": ""}
    folder = conftest.SOURCE / "packaging/systemd"
    run(["systemd-sysusers", f"--root={root}", folder / "holdfast.sysusers"], extra_env=plain)
    run(["systemd-tmpfiles", f"--root={root}", "--create", folder / "holdfast.tmpfiles"], extra_env=plain)
    uid = next(line.split(":")[2] for line in (root / "etc/passwd").read_text().splitlines() if line.startswith("holdfast:"))
    for path in ("etc/holdfast", "etc/holdfast/device-certs", "run/holdfast"):
        assert (root / path).stat().st_uid == int(uid) and (root / path).stat().st_mode & 0o777 == 0o755
