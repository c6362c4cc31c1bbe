# SPDX-License-Identifier: Apache-2.0
"""The local MQTT server for devices: stock mosquitto with a key in a token, real clients, and what is in the way of either."""

import contextlib
import json
import os
import signal
import socket
import time

import pytest

import mqtt_kit
from agent_kit import Agent
from connect_kit import device, make_broker  # noqa: F401: fixtures
from core_kit import is_alive, wait_until
from local_server_kit import local  # noqa: F401: a fixture

one_module = pytest.mark.modules("ours")


@contextlib.contextmanager
def program(local, *subscriptions):
    """A program of this machine, at the listener without TLS."""
    client = mqtt_kit.Client(local.core.port, "program", subscriptions=subscriptions)
    assert client.ready.wait(5)
    yield client
    client.close()


def serial(local, port=None):
    """Of the certificate that the server shows."""
    shown = local.run(f"openssl s_client -connect 127.0.0.1:{port or local.port} -cert {local.pki.dir}/sensor-1.pem "
                      f"-key {local.pki.dir}/sensor-1.key </dev/null 2>/dev/null | openssl x509 -noout -serial").stdout
    assert shown.startswith("serial=")
    return shown


# From no key to two devices that talk

@pytest.mark.parametrize("type", ["EC:prime256v1", "rsa:2048"])
def test_devices_talk_by_their_routes(local, type):
    local.set_key(type=type)
    result = local.create_ca()
    assert str(local.ca) in result.stdout and "holdfast-group-ca" in result.stderr
    local.core.run()
    local.wait_up()
    sensor, lamp = local.device("sensor-1"), local.device("lamp-1")
    assert lamp.subscribe("light/#") == [1] and lamp.subscribe("command/on") == [1] and lamp.subscribe("#") == [1]
    assert lamp.subscribe("temperature") == [128] and sensor.subscribe("light/1") == [128]
    with program(local, "#") as here:
        sensor.publish("light/1", "on")
        assert lamp.get() == ("light/1", "on")
        sensor.publish("temperature", "21")
        sensor.publish("forbidden", "1")
        lamp.publish("light/1", "not from here")
        here.publish("command/on", "now")
        here.publish("elsewhere", "local")
        assert lamp.get() == ("command/on", "now")
        lamp.gets_nothing()
        wait_until(lambda: len(here.messages) >= 4, "messages")
        assert [message.topic for message in here.messages] == ["light/1", "temperature", "command/on", "elsewhere"]
    text = local.core.command("status").stdout
    assert f"up on 127.0.0.1:{local.port} (TLS), 2 things, 3 routes" in text and f"up, port {local.discovery_port}" in text


@one_module
def test_debian_s_own_clients(local):
    local.set_group(["sensor-1", "lamp-1"], [("sensor-1", "local", "temperature"), ("sensor-1", "lamp-1", "light/#"), ("lamp-1", "local", "last")])
    local.set_key()
    local.create_ca()
    local.core.run()
    with program(local, "temperature", "secret", "last") as here:
        local.mosquitto("pub", "sensor-1", "-q", "1", "-t", "temperature", "-m", "22", "-V", "5")
        wait_until(lambda: here.messages, "message")
        refused = local.mosquitto("pub", "sensor-1", "-q", "1", "-t", "secret", "-m", "22", "-V", "5", code=None)
        assert "Not authorized" in refused.stderr
        # A will is a message as any other.
        for topic, payload in (("temperature", "no"), ("last", "its last")):
            local.mosquitto("sub", "lamp-1", "-t", "light/#", "--will-topic", topic, "--will-payload", payload, code=None, within=1)
        wait_until(lambda: len(here.messages) == 2, "will")
        assert [message.payload for message in here.messages] == [b"22", b"its last"]


# Who is not let in

def is_refused(local, name, **options):
    device = local.device(name, wait=False, **options)
    code = device.codes.get(timeout=10)
    device.close()
    return code == 5  # not authorized


@one_module
def test_who_is_not_let_in(local, workdir):
    local.set_key()
    local.create_ca()
    local.core.run()
    lamp = local.device("lamp-1")
    assert lamp.subscribe("light/#") == [1]
    assert is_refused(local, "stranger"), "a certificate of the devices' authority, but no thing of the group"
    assert is_refused(local, "sensor-1", client_id="lamp-1"), "another's id"
    assert is_refused(local, "sensor-1", client_id="holdfast-bridge-mqtt"), "the bridge's session"
    assert is_refused(local, "sensor-1", client_id=""), "no id"
    assert not lamp.ends, "whose id was tried stays connected"
    assert "is not in the group" in local.core.log and "'lamp-1' with the certificate of 'sensor-1'" in local.core.log
    # A foreign authority's certificate of the right name.
    other = type(local.pki)(local.run, workdir / "other-pki")
    key, cert = other.key_and_cert("sensor-1")
    for identity in (["--cert", cert, "--key", key], []):
        result = local.run(["mosquitto_pub", "-h", "localhost", "-p", local.port, "--cafile", local.ca, *identity, "-i", "sensor-1", "-t", "temperature", "-m", "1"],
                           code=None, timeout=10)
        assert result.code != 0, result
    sensor = local.device("sensor-1")
    sensor.publish("light/1", "still there")
    assert lamp.get() == ("light/1", "still there")


@one_module
def test_a_thing_by_its_certificate_s_number(local):
    """As AWS issues them: all with the same CN, and the SHA-256 is their id."""
    key, cert = local.pki.key_and_cert("AWS IoT Certificate".replace(" ", "-"))
    print_ = local.run(["openssl", "x509", "-in", cert, "-noout", "-fingerprint", "-sha256"]).stdout
    number = print_.strip().split("=")[1].replace(":", "").lower()
    local.set_group([{"name": "sensor-1", "certificate": number}, "lamp-1"], [("sensor-1", "local", "temperature")])
    local.set_key()
    local.create_ca()
    local.core.run()
    local.pki.key_and_cert("sensor-1")
    assert is_refused(local, "sensor-1"), "the right CN is not enough for it"
    with program(local, "temperature") as here:
        device = local.device("AWS-IoT-Certificate", client_id="sensor-1")
        device.publish("temperature", "20")
        wait_until(lambda: here.messages, "message")


@one_module
def test_a_group_that_changes(local):
    local.set_key()
    local.create_ca()
    local.core.run()
    sensor, lamp = local.device("sensor-1"), local.device("lamp-1")
    local.things.write_text("{ not JSON")
    wait_until(lambda: local.status["cause"], "cause")
    assert local.status["cause"]["code"] == "config" and "line 1" in local.status["cause"]["error"] and local.status["state"] == "up"
    local.set_group(["sensor-1", "new-1"], [("sensor-1", "new-1", "temperature")])
    wait_until(lambda: lamp.ends, "end of the lamp's connection")
    wait_until(lambda: not local.status["cause"], "end of the cause")
    assert not sensor.ends
    new = local.device("new-1")
    assert new.subscribe("temperature") == [1]
    sensor.publish("temperature", "19")
    assert new.get() == ("temperature", "19")
    assert is_refused(local, "lamp-1")


# Its certificate

@one_module
def test_the_certificate_is_renewed_under_a_connected_client(local):
    local.set_key()
    local.core.set(mqtt__server__validity="9s")
    local.create_ca()
    local.core.run()
    sensor, lamp = local.device("sensor-1"), local.device("lamp-1")
    lamp.subscribe("light/#")
    first, mosquitto = serial(local), local.core.broker["pid"]
    wait_until(lambda: serial(local) != first, "new certificate", 20)
    wait_until(lambda: serial(local, local.discovery_port) != first, "new certificate of the discovery", 5)
    sensor.publish("light/1", "on")
    assert lamp.get() == ("light/1", "on") and not sensor.ends and not lamp.ends
    assert local.core.broker["pid"] == mosquitto and local.core.broker["restarts"] == 0
    local.device("sensor-1").publish("light/1", "by the new one")
    assert lamp.get() == ("light/1", "by the new one")


@one_module
def test_somebody_else_s_certificate(local):
    """It is used as it is, and never replaced; one for another key is refused by name."""
    local.set_key()
    uri = json.loads(local.core.config.read_text())["mqtt"]["server"]["key_uri"]
    key, cert = local.pki.key_and_cert("another-key")
    local.core.set(mqtt__server__cert_path=cert)
    local.core.run()
    cause = local.status["cause"]
    assert local.status["state"] == "down" and cause["code"] == "key-mismatch" and str(cert) in cause["error"]
    local.core.set(mqtt__server__key_uri=key)  # a key file, by the operator's choice
    local.wait_up()
    local.ca = local.pki.ca
    local.device("sensor-1").publish("temperature", "1")
    assert local.status["renew_at"] == 0 and uri != str(key)


# What is in the way, and what goes on

@one_module
def test_without_an_authority(local):
    local.set_key()
    local.core.run()
    cause = local.status["cause"]
    assert local.status["state"] == "down" and cause["code"] == "not-found" and "holdfast core create-group-ca" in cause["hint"]
    with program(local, "x") as here:
        here.publish("x", "the rest of the broker is there")
        wait_until(lambda: here.messages, "message")
    local.create_ca()
    local.wait_up()
    assert "there is one already" in local.create_ca(code=1).stderr


@one_module
def test_a_wrong_pin(local):
    """Told, never answered by another key; the rest goes on, and a right PIN is taken up."""
    local.set_key()
    local.create_ca()
    pin = local.token.pin_file.read_text()
    local.token.pin_file.write_text("000000\n")
    local.core.run()
    assert local.status["state"] == "down" and local.status["cause"]["code"] == "pin-incorrect"
    assert local.core.broker["state"] == "up"
    assert not (local.core.run_path / "mosquitto-key.pem").exists() and "000000" not in local.core.log
    local.token.pin_file.write_text(pin)
    local.core.set(mqtt__server__names="localhost")
    local.wait_up()
    local.device("sensor-1").publish("temperature", "1")


@one_module
def test_no_such_key(local):
    local.core.set(mqtt__server__key_uri="pkcs11:token=device;object=nowhere;type=private")
    local.core.run()
    assert local.status["state"] == "down" and local.status["cause"]["code"] == "uri-no-match"
    assert local.core.broker["state"] == "up"


@one_module
def test_the_port_is_taken(local):
    local.set_key()
    local.create_ca()
    with socket.create_server(("127.0.0.1", local.port)), socket.create_server(("127.0.0.1", local.discovery_port)):
        local.core.run()
        wait_until(lambda: local.status["discovery"]["cause"], "cause")
        assert local.status["discovery"]["state"] == "down" and "mqtt.server.discovery.port" in local.status["discovery"]["cause"]["hint"]
        cause = local.status["cause"]
        assert local.status["state"] == "down" and cause["code"] == "busy" and f"process {os.getpid()} (" in cause["error"]
        assert "mqtt.server.bind.port" in cause["hint"] and local.core.broker["state"] == "up"
    local.wait_up(25)
    wait_until(lambda: local.status["discovery"]["state"] == "up", "discovery", 25)


@one_module
def test_mosquitto_killed_and_back(local):
    local.set_key()
    local.create_ca()
    local.core.run()
    sensor, lamp = local.device("sensor-1"), local.device("lamp-1", clean=False)
    lamp.subscribe("light/#")
    os.kill(local.core.broker["pid"], signal.SIGKILL)
    wait_until(lambda: sensor.ends and lamp.ends, "end of the connections")
    assert sensor.codes.get(timeout=15) == 0 and lamp.codes.get(timeout=15) == 0
    assert local.status["state"] == "up" and local.core.broker["restarts"] == 1
    lamp.subscribe("light/#")
    sensor.publish("light/1", "on")
    assert lamp.get() == ("light/1", "on")


@one_module
def test_a_message_waits_for_a_device_that_is_away(local):
    local.set_key()
    local.create_ca()
    local.core.run()
    lamp = local.device("lamp-1", clean=False)
    lamp.subscribe("light/#")
    lamp.subscribe("#")
    lamp.close()
    with program(local) as here:
        here.publish("not/for/it", "1")
    local.device("sensor-1").publish("light/1", "while it was away")
    local.core.command("restart") if not local.core.process else None
    lamp = local.device("lamp-1", clean=False)
    assert lamp.get() == ("light/1", "while it was away")
    lamp.gets_nothing()


@one_module
def test_it_is_switched_off_and_on(local):
    local.set_key()
    local.create_ca()
    local.core.set(mqtt__server__enabled="false")
    local.core.run()
    assert local.status["state"] == "off" and "Device server" not in local.core.command("status").stdout
    local.core.set(mqtt__server__enabled="true")
    local.wait_up()
    sensor = local.device("sensor-1")
    local.core.set(mqtt__server__enabled="false")
    wait_until(lambda: sensor.ends and local.status["state"] == "off", "end of it")
    mosquitto = local.core.broker["pid"]
    begin = time.monotonic()
    local.core.process.stop()
    assert time.monotonic() - begin < 5 and not is_alive(mosquitto)


# By way of the agent, which may go away

@one_module
def test_by_the_key_agent_which_ends_and_is_back(local, run, server, holdfast, build, workdir):
    """mosquitto has neither PIN nor module then. Who is connected stays, and nobody is served by another key meanwhile."""
    local.set_key()
    local.create_ca()
    agent = Agent(server, build, workdir / "agent", local.token.module, pin_source=local.token.pin_file)
    local.core.set(device__cryptoki__mode="socket", device__cryptoki__pkcs11_socket_path=agent.pkcs11)
    run([holdfast, "config", "unset", "--config", local.core.config, "device.cryptoki.pin_source"])
    local.core.run()
    sensor, lamp = local.device("sensor-1"), local.device("lamp-1")
    lamp.subscribe("light/#")
    agent.server.kill()
    refused = local.mosquitto("pub", "sensor-1", "-t", "temperature", "-m", "1", code=None)
    assert refused.code != 0 and "CONNACK" not in refused.stdout
    sensor.publish("light/1", "still here")
    assert lamp.get() == ("light/1", "still here") and not sensor.ends and not lamp.ends
    agent = Agent(server, build, workdir / "agent", local.token.module, pin_source=local.token.pin_file)
    sensor.close()
    wait_until(lambda: local.mosquitto("pub", "sensor-1", "-t", "temperature", "-m", "1", code=None).code == 0, "connection by the agent that is back")
    assert local.core.broker["restarts"] == 0


# The cloud

@one_module
def test_routes_to_the_cloud_and_from_it(local, device, make_broker, free_port):  # noqa: F811
    """Rules of the bridge, beside its own. One key is the device's and the server's."""
    plain = free_port()
    cloud = make_broker(lines=["allow_anonymous true", f"listener {plain} 127.0.0.1"])
    local.set_group(["sensor-1"], [("sensor-1", "cloud", "temperature/#"), ("cloud", "sensor-1", "orders/+"), ("sensor-1", "local", "private")])
    local.create_ca()
    local.core.set(mqtt__bind__port=local.core.port, mqtt__url=f"localhost:{cloud.port}", mqtt__bridge__enabled="true")
    local.core.run()
    local.core.wait_up()
    sensor = local.device("sensor-1")
    assert sensor.subscribe("orders/#") == [1]
    far = mqtt_kit.Client(plain, "far", subscriptions=["temperature/#", "private"])
    assert far.ready.wait(5)
    sensor.publish("private", "stays here")
    sensor.publish("temperature/1", "21")
    wait_until(lambda: far.messages, "message at the cloud")
    far.publish("orders/1", "go")
    assert sensor.get() == ("orders/1", "go")
    far.close()
    assert [message.topic for message in far.messages] == ["temperature/1"]


# The discovery

@one_module
def test_discovery(local):
    local.set_key()
    local.create_ca()
    local.core.set(device__id="core-1")
    local.core.run()
    wait_until(lambda: local.status["discovery"]["state"] == "up", "discovery")
    answer = local.curl("/greengrass/discover/thing/sensor-1", *local.as_device("sensor-1"))
    assert answer.stderr == "200"
    (group,) = json.loads(answer.stdout)["GGGroups"]
    assert group["GGGroupId"] == "plant-7" and group["CAs"] == [local.ca.read_text()]
    (core,) = group["Cores"]
    assert core["thingArn"] == "core-1"
    assert [(one["HostAddress"], one["PortNumber"]) for one in core["Connectivity"]] == [("localhost", local.port), ("127.0.0.1", local.port)]
    assert len({one["Id"] for one in core["Connectivity"]}) == 2
    for path, device, status in (("/greengrass/discover/thing/lamp-1", "sensor-1", "403"), ("/greengrass/discover/thing/stranger", "stranger", "403"),
                                 ("/greengrass/discover/thing/", "sensor-1", "400"), ("/greengrass/discover/thing/sensor-1%00", "sensor-1", "400"),
                                 ("/", "sensor-1", "404"), ("/greengrass/discover/thing/" + "x" * 300, "sensor-1", "400")):
        answer = local.curl(path, *local.as_device(device))
        assert answer.stderr == status and json.loads(answer.stdout)["message"]
    assert local.curl("/greengrass/discover/thing/sensor-1", *local.as_device("sensor-1"), "-d", "x").stderr == "405"
    without = local.curl("/greengrass/discover/thing/sensor-1", code=None)
    assert without.code != 0 and "200" not in without.stderr and not without.stdout


# No secret anywhere

@one_module
def test_no_pin_in_sight(local):
    local.set_key()
    local.create_ca()
    local.core.run()
    local.device("sensor-1").publish("temperature", "1")
    pid = local.core.broker["pid"]
    for name in ("cmdline", "environ"):
        with open(f"/proc/{pid}/{name}", "rb") as file:
            assert local.token.pin.encode() not in file.read()
    for path in [*local.core.run_path.iterdir(), *local.core.data.rglob("*")]:
        if path.is_file():
            assert local.token.pin.encode() not in path.read_bytes(), path
    assert local.token.pin not in local.core.log
