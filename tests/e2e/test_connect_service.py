# SPDX-License-Identifier: Apache-2.0
"""holdfast connect, disconnect and reconnect with holdfast-core: what runs afterwards, what --test leaves alone, and what a failure
leaves behind."""

import json
import socket

import pytest

import mqtt_kit
from agent_kit import wait_until
from connect_kit import DEVICE, broker, device, make_broker, make_cloud, make_proxy  # noqa: F401 (fixtures)
from terminal import converse

pytestmark = pytest.mark.modules("ours")


def get(device, key):
    return device.run([device.holdfast, "config", "get", "--config", device.config, key]).stdout.strip()


def local_port(device):
    return int(get(device, "mqtt.bind.port"))


# Connected

def test_messages_pass_both_ways(device, make_cloud):
    cloud = make_cloud("c8y")
    device.connect("c8y")
    client = mqtt_kit.Client(local_port(device), "sensor", subscriptions=["c8y/s/ds"])
    assert client.ready.wait(5)
    client.publish("c8y/s/us", "211,25")
    cloud.mqtt.publish("s/ds", "510,restart")
    wait_until(lambda: ("s/us", "211,25") in cloud.seen, "message at the cloud")
    wait_until(lambda: [message.payload for message in client.messages] == [b"510,restart"], "message from the cloud")
    client.close()


def test_connected_already(device, make_cloud):
    make_cloud("c8y")
    device.connect("c8y")
    pid = device.status()["pid"]
    device.fails("Checking that the device is not connected yet", 1, "the device is connected already",
                 "its bridge to Cumulocity is up", "holdfast reconnect c8y", args=("c8y",))
    report = json.loads(device.connect("c8y", "--json", code=1).stdout)
    assert report["connected"] is False and report["checks"][-1]["code"] == "connected"
    assert device.status()["pid"] == pid and device.bridges() == {"c8y": "up"}


def test_disconnect(device, make_cloud):
    make_cloud("c8y")
    device.connect("c8y")
    assert device.disconnect().stdout.splitlines() == ["Disabling the bridge to Cumulocity... ✓", "Stopping holdfast-core... ✓"]
    assert device.bridges() is None and get(device, "c8y.bridge.enabled") == "false"
    again = device.disconnect("c8y")
    assert again.stdout.splitlines() == ["Disabling the bridge to Cumulocity... ✓ (there was none)"]
    report = json.loads(device.disconnect("c8y", "--json").stdout)
    assert report["disconnected"] is True and all(check["ok"] for check in report["checks"])


def test_another_cloud_goes_on(device, make_cloud):
    make_cloud("c8y")
    make_cloud("az")
    device.connect("c8y")
    running = device.status()
    told = device.connect("az").stdout
    assert "Starting mosquitto by holdfast-core... ✓ (it runs already)" in told
    assert device.bridges() == {"c8y": "up", "az": "up"}
    assert "which cloud? 2 are connected" in device.disconnect(code=2).stderr
    assert device.disconnect("c8y").stdout.splitlines() == ["Disabling the bridge to Cumulocity... ✓"]
    now = device.status()
    assert device.bridges() == {"az": "up"}
    assert (now["pid"], now["broker"]["pid"]) == (running["pid"], running["broker"]["pid"])


def test_reconnect(device, make_cloud):
    make_cloud("c8y")
    device.connect("c8y")
    before = device.status()
    lines = device.reconnect("c8y").stdout.splitlines()
    assert lines[0] == "Disabling the bridge to Cumulocity... ✓" and lines[1] == "Connecting to Cumulocity with config:"
    assert lines[-1] == "Verifying device is connected to cloud... ✓ (Cumulocity answered)"
    after = device.status()
    assert (after["pid"], after["broker"]["pid"]) == (before["pid"], before["broker"]["pid"])
    assert json.loads(device.reconnect("--json").stdout)["connected"] is True
    device.disconnect("c8y")
    device.reconnect("c8y")  # of one that is not connected: just connect
    assert device.bridges() == {"c8y": "up"}


def test_a_broker_that_is_there_already(device, make_cloud, server, workdir):
    make_cloud("c8y")
    device.set(mqtt__broker="external")
    port = local_port(device)
    device.fails("Waiting for mosquitto", 5, "Connection refused", args=("c8y", "--timeout", "1"))
    (workdir / "own.conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    server(["mosquitto", "-c", workdir / "own.conf"], port=port)
    told = device.connect("c8y").stdout
    assert "Starting holdfast-core... ✓" in told and "Starting mosquitto" not in told
    assert device.status()["broker"]["managed"] is False


# --test

def test_a_test_of_what_is_not_connected(device, make_cloud):
    make_cloud("c8y")
    before = device.config.read_bytes()
    device.fails("Looking for the bridge to Cumulocity", 1, "the device is not connected", "holdfast connect c8y",
                 args=("c8y", "--test"))
    assert device.config.read_bytes() == before and device.bridges() is None


@pytest.mark.parametrize("name", ["c8y", "aws", "az"])
def test_a_test_of_what_is_connected_changes_nothing(device, make_cloud, name):
    cloud = make_cloud(name)
    device.connect(name)
    before, status, asked = device.config.read_bytes(), device.status(), len(cloud.seen)
    result = device.connect(name, "--test")
    assert result.stdout.startswith("Testing the connection to ")
    assert "Verifying device is connected to cloud... ✓" in result.stdout and "Connecting by MQTT" not in result.stdout
    assert device.config.read_bytes() == before
    now = device.status()["bridges"][0]
    assert now["cloud_side"]["since"] == status["bridges"][0]["cloud_side"]["since"] and len(cloud.seen) == asked + 1


def test_a_test_of_any_broker_sends_a_message(device, broker):
    device.connect("mqtt")
    before = device.status()["bridges"][0]["to_cloud"]["acknowledged"]
    assert "✓ (a message through the bridge was acknowledged)" in device.connect("mqtt", "--test").stdout
    assert device.status()["bridges"][0]["to_cloud"]["acknowledged"] == before + 1
    device.disconnect()
    device.set(mqtt__bridge__topics='up/# out 1 "" ""')
    assert "with mqtt.bridge.topics no message was sent" in device.connect("mqtt").stdout


def test_a_test_while_the_cloud_is_away(device, make_cloud):
    cloud = make_cloud("c8y")
    device.connect("c8y")
    cloud.broker.process.kill()
    device.fails(f"Reaching localhost:{cloud.port}", 5, "Connection refused", args=("c8y", "--test"))


def test_a_cloud_that_does_not_answer(device, make_cloud):
    """Five tries, then the failure; the bridge, which is up, stays."""
    cloud = make_cloud("c8y", silent=True)
    device.fails("Verifying device is connected to cloud", 5, "no message on c8y/s/dat within 1 s", "known and allowed there",
                 args=("c8y", "--timeout", "1"))
    assert [topic for topic, _ in cloud.seen].count("s/uat") == 5
    assert device.bridges() == {"c8y": "up"}


def test_a_cloud_that_refuses_the_question(device, make_cloud):
    make_cloud("az").status = 404
    device.fails("Verifying device is connected to cloud", 5, "the MQTT broker refused", "Azure IoT Hub answered on az/twin/res/404/",
                 args=("az", "--timeout", "1"))


def test_waiting_shows_on_a_terminal(device, make_cloud, env, workdir):
    make_cloud("c8y", silent=True)
    status, shown = converse([device.holdfast, "connect", "--config", device.config, "c8y", "--timeout", "1"], [], env=env, cwd=workdir)
    assert status == 5 and "Verifying device is connected to cloud... (5 of 5) ✗" in shown
    device.disconnect("c8y")
    device.set(mqtt__broker="external")
    status, shown = converse([device.holdfast, "connect", "--config", device.config, "c8y", "--timeout", "2"], [], env=env, cwd=workdir)
    assert status == 5 and "listening for connections... (1 s of 2 s) " in shown


# Failures leave all as it was

def test_a_port_that_is_taken(device, make_cloud):
    make_cloud("c8y")
    with socket.create_server(("127.0.0.1", local_port(device))):
        device.fails("Starting mosquitto by holdfast-core", 1, "already in use", args=("c8y",))
    assert get(device, "c8y.bridge.enabled") == "false" and device.bridges() is None


def test_a_bridge_that_does_not_come_up(device, make_cloud, make_proxy):
    """The checks' three connections pass; the proxy has had enough when the bridge comes."""
    make_cloud("c8y")

    def refuse_the_fourth(count):
        if count > 3:
            proxy.answer = b"HTTP/1.1 503 Closed for lunch\r\n\r\n"

    proxy = make_proxy(on_ask=refuse_the_fourth)
    device.fails("Enabling the bridge to Cumulocity", 5, "the proxy refused", "503 Closed for lunch", args=("c8y", "--timeout", "3"))
    assert get(device, "c8y.bridge.enabled") == "false" and device.bridges() is None
    proxy.on_ask, proxy.answer = lambda count: None, None
    device.connect("c8y")


def test_a_bridge_that_is_down_gives_way_and_comes_back(device, make_cloud, make_broker):
    """With the cloud away connecting fails, and what was to be connected before is so again."""
    cloud = make_cloud("c8y")
    device.connect("c8y")
    cloud.broker.process.kill()
    wait_until(lambda: device.bridges() == {"c8y": "down"}, "bridge that knows it")
    result = device.fails(f"Reaching localhost:{cloud.port}", 5, "Connection refused", args=("c8y", "--timeout", "2"))
    assert "not connected yet... ✓ (there is a bridge, but it is down)" in result.stdout
    assert get(device, "c8y.bridge.enabled") == "true" and device.bridges() == {"c8y": "down"}


def test_a_user_who_may_not_change_the_configuration(device, make_cloud, run, workdir):
    make_cloud("c8y")
    if not run(["id", "-u"]).stdout.startswith("0"):
        pytest.skip("it takes root to become somebody else")
    device.set(c8y__bridge__enabled="true")
    workdir.chmod(0o755)
    device.config.chmod(0o644)
    result = run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", device.holdfast, "disconnect", "--config",
                  device.config, "c8y"], code=1)
    assert "permission denied" in result.stderr and str(device.config) in result.stderr
