# SPDX-License-Identifier: Apache-2.0
"""holdfast connect c8y, aws and az up to the cloud's own acknowledgement: stock brokers in the clouds' place, proxies, ALPN, and what is
particular to each."""

import re
import socket
import ssl
import threading

import pytest

import cloud_kit
import conftest
import mqtt_kit
from agent_kit import wait_until
from connect_kit import DEVICE, device, expired, fake_broker, make_broker, make_cloud, make_proxy  # noqa: F401 (fixtures)

# What differs between modules is the key alone, which test_connect has on both.
pytestmark = pytest.mark.modules("ours")

PRECHECKS = ["Checking the configuration", "Checking the certificate", "Checking that the device is not connected yet",
             "Opening the HSM", "Finding the key", "Signing with the key, verified with the certificate", "Resolving localhost", "Reaching localhost:PORT",
             "TLS handshake with the key in the HSM"]


def checks_of(result):
    return [re.sub(r"\.\.\. [✓✗].*", "", line) for line in result.stdout.splitlines() if "... " in line]


def told(cloud):
    wait_until(lambda: cloud.seen, "message at the cloud")
    return cloud.seen


# The summary and the order

def test_cumulocity(device, make_cloud):
    cloud = make_cloud("c8y")
    result = device.connect("c8y", "--timeout", "5")
    lines = result.stdout.splitlines()
    mosquitto = re.search("[0-9.]+[0-9]", device.run(["mosquitto", "-h"], code=None).stdout).group(0)
    assert lines[:10] == ["Connecting to Cumulocity with config:", f"\tdevice id: {DEVICE}", "\tcloud profile: <none>",
                         f"\tcloud host: localhost:{cloud.port}", "\tauth type: Certificate",
                         f"\tcertificate file: {device.pki.dir / 'device-key.pem'}", "\tcryptoki: true", "\tbridge: built-in",
                         "\tservice manager: none", f"\tmosquitto version: {mosquitto}"]
    assert checks_of(result) == [check.replace("PORT", str(cloud.port)) for check in PRECHECKS] + [
        "Connecting by MQTT", "Creating device in Cumulocity cloud", "Starting mosquitto by holdfast-core",
        "Waiting for mosquitto to be listening for connections", "Enabling the bridge to Cumulocity",
        "Verifying device is connected to cloud"]
    assert lines[-1] == "Verifying device is connected to cloud... ✓ (Cumulocity answered)"
    assert "Connecting by MQTT... ✓ (MQTT 3.1.1)" in lines
    assert told(cloud) == [("s/us", f"100,{DEVICE},holdfast"), ("s/uat", "")]


def test_the_only_cloud_that_is_configured_need_not_be_named(device, make_cloud):
    make_cloud("c8y")
    both = device.connect(code=2)
    assert "which cloud? 2 are configured" in both.stderr
    device.run([device.holdfast, "config", "unset", "--config", device.config, "mqtt.url"])
    assert "Connecting to Cumulocity" in device.connect("--timeout", "5").stdout


def test_azure_wants_a_user_name(device, make_cloud):
    cloud = make_cloud("az")
    device.connect("az", "--timeout", "5")
    assert f"as {DEVICE} (p2, c0, k60, u'localhost/{DEVICE}/?api-version=2021-04-12')" in cloud.broker.log


def test_aws_within_its_bounds(device, make_cloud):
    cloud = make_cloud("aws")
    device.set(mqtt__bridge__keepalive_interval="5s")
    result = device.connect("aws", "--timeout", "5")
    assert "Connecting to AWS IoT Core with config:" in result.stdout and "(MQTT 5)" in result.stdout
    assert f"as {DEVICE} (p5, c0, k30" in cloud.broker.log


def test_aws_without_mqtt_5(device, make_cloud, fake_broker, pki):
    """The test of the connection is one's own message, which comes back: there, too."""
    cloud = make_cloud("aws")
    front = fake_broker(cloud_kit.only_3_1_1(cloud.plain_port), cert=pki.key_and_cert("old"))
    device.set(aws__url=f"localhost:{front.port}")
    assert "(MQTT 3.1.1)" in device.connect("aws", "--timeout", "5").stdout


def test_what_waits_for_the_bridge_is_the_bridge_s(device, make_cloud):
    """What the cloud keeps for the device is neither dropped nor taken by the checks that come before the bridge."""
    cloud = make_cloud("c8y")
    away = mqtt_kit.Client(cloud.plain_port, DEVICE, version=4, clean=False, subscriptions=["s/ds"], qos=1)
    assert away.ready.wait(5)
    away.close()
    cloud.mqtt.publish("s/ds", "510,restart")
    device.connect("c8y", "--timeout", "5")
    wait_until(lambda: device.status()["bridges"][0]["from_cloud"]["acknowledged"] == 2, "message that waited, beside the answer")


# Refusals

def test_a_client_id_that_the_cloud_does_not_know(device, make_cloud):
    make_cloud("c8y", lines=["clientid_prefixes other-"])
    refusal = device.fails("Connecting by MQTT", 5, args=("c8y", "--timeout", "5")).stderr
    assert "not authorized" in refusal or "before it answered CONNECT" in refusal  # the broker's close may be first


def test_the_local_broker_s_own_bridge_is_not_ours(device, make_cloud):
    make_cloud("c8y")
    device.set(mqtt__bridge__built_in="false")
    device.fails("Checking the configuration", 1, "mqtt.bridge.built_in is false", args=("c8y",))


@pytest.mark.parametrize("cloud, key", [("c8y", "c8y.url"), ("aws", "aws.url"), ("az", "az.url")])
def test_a_cloud_that_is_not_configured(device, cloud, key):
    device.fails("Checking the configuration", 1, f"{key} is not set", f"holdfast config set {key}", args=(cloud,))


# Proxies

def test_through_a_proxy(device, make_cloud, make_proxy):
    cloud, proxy = make_cloud("c8y"), make_proxy(login="me:pass word")
    device.set(proxy__username="me", proxy__password="pass word")
    result = device.connect("c8y", "--timeout", "5")
    assert f"through the proxy localhost:{proxy.port}" in result.stdout and "pass word" not in result.stdout + result.stderr
    assert f"\tproxy: http://localhost:{proxy.port}" in result.stdout.splitlines()
    assert set(proxy.asked) == {f"CONNECT localhost:{cloud.port} HTTP/1.1"}
    assert told(cloud)


@pytest.mark.parametrize("options, texts", [
    ({"login": "me:secret"}, ["the proxy refused", "407", "proxy.username and proxy.password"]),
    ({"answer": b"HTTP/1.1 403 Forbidden\r\n\r\n"}, ["the proxy refused", "403 Forbidden"]),
    ({"answer": b"SSH-2.0-x\r\n\r\n"}, ["the proxy refused", "is no HTTP"]),
    ({"answer": b" "}, ["the connection was lost", "the proxy"]),
])
def test_a_proxy_that_refuses(device, make_cloud, make_proxy, options, texts):
    cloud = make_cloud("c8y")
    make_proxy(**options)
    device.fails(f"Reaching localhost:{cloud.port}", 5, *texts, args=("c8y", "--timeout", "5"))


def test_a_proxy_that_is_away_or_of_the_wrong_kind(device, make_cloud, free_port):
    cloud = make_cloud("c8y")
    device.set(proxy__address=f"http://localhost:{free_port()}")
    device.fails(f"Reaching localhost:{cloud.port}", 5, "cannot be reached", "Connection refused", args=("c8y", "--timeout", "5"))
    device.set(proxy__address="https://localhost:1")
    device.fails("Checking the configuration", 1, "proxy.address is https://localhost:1", args=("c8y",))
    device.set(proxy__address="http://nowhere.invalid:1")
    device.fails("Resolving localhost", 5, "nowhere.invalid", args=("c8y",))


# AWS on port 443

class Front(cloud_kit.Acceptor):
    """TLS on port 443 of an address of its own, which knows one protocol by ALPN, before a plain broker."""

    def __init__(self, address, pki, cert, plain_port, protocols):
        super().__init__(address, 443)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(cert[1], cert[0])
        self.context.load_verify_locations(pki.ca)
        self.context.verify_mode = ssl.CERT_REQUIRED
        self.context.set_alpn_protocols(protocols)
        self.plain_port, self.selected = plain_port, []
        self.start()

    def handle(self, connection):
        try:
            client = self.context.wrap_socket(connection, server_side=True)
            self.selected.append(client.selected_alpn_protocol())
            if self.selected[-1] != "x-amzn-mqtt-ca":
                client.close()
                return
            server = socket.create_connection(("127.0.0.1", self.plain_port))
            threading.Thread(target=cloud_kit.pump, args=(server, client), daemon=True).start()
            cloud_kit.pump(client, server)
        except (OSError, ssl.SSLError):
            pass


@pytest.fixture
def front(pki):
    """front(plain_port, protocols): (address, Front)."""
    started = []

    def make(plain_port, protocols):
        cert = pki.key_and_cert("front", san="IP:127.44.3.1")
        try:
            started.append(Front("127.44.3.1", pki, cert, plain_port, protocols))
        except OSError as error:
            pytest.skip(f"port 443 cannot be had here: {error}")
        return started[-1]

    yield make
    for front in started:
        front.stop()


def test_aws_by_alpn_on_port_443(device, make_cloud, front):
    cloud = make_cloud("aws")
    server = front(cloud.plain_port, ["http/1.1", "x-amzn-mqtt-ca"])
    device.set(aws__url="127.44.3.1:443")
    result = device.connect("aws", "--timeout", "5")
    assert "x-amzn-mqtt-ca)" in result.stdout
    assert server.selected and set(server.selected) == {"x-amzn-mqtt-ca"}


def test_a_server_on_port_443_that_is_no_mqtt(device, make_cloud, server, pki):
    make_cloud("aws")
    key, cert = pki.key_and_cert("web", san="IP:127.44.3.2")
    web = server(["openssl", "s_server", "-accept", "127.44.3.2:443", "-cert", cert, "-key", key, "-alpn", "http/1.1", "-www"])
    try:
        web.wait_for_line("ACCEPT", 5)
    except pytest.fail.Exception:
        pytest.skip("port 443 cannot be had here")
    device.set(aws__url="127.44.3.2:443")
    device.fails("TLS handshake", 5, "127.44.3.2:443", args=("aws", "--timeout", "5"))


# The certificate and the HSM

def test_a_certificate_that_is_not_yet_valid(device, make_cloud):
    make_cloud("c8y")
    device.set(device__cert_path=expired(device.pki, DEVICE, "20900101000000Z", "20910101000000Z")[1])
    device.fails("Checking the certificate", 4, f"{DEVICE}.pem is valid from 2090-01-01 00:00:00 UTC", "clock", args=("c8y",))


def test_a_token_that_is_pulled_out_during_the_handshake(device, make_cloud, make_proxy, build, workdir):
    """It is found, and signs; when the second connection comes to the proxy, which is that of the handshake, it goes."""
    make_cloud("c8y")
    control = workdir / "fault"
    removed = 0x32  # CKR_DEVICE_REMOVED
    env = {"HF_FAULTY_REAL": str(device.token.module), "HF_FAULTY_CONTROL": str(control)}
    make_proxy(on_ask=lambda count: control.write_text(f"always answer C_Sign {removed}") if count == 2 else None)
    device.set(device__cryptoki__module_path=conftest.built(build / "tests/e2e/faulty_module.so"))
    device.fails("TLS handshake", 3, "the HSM was removed", "Connect it again", args=("c8y", "--timeout", "5"), extra_env=env)
    control.unlink()
    device.run([device.holdfast, "config", "unset", "--config", device.config, "proxy.address"])
    device.connect("c8y", "--timeout", "5", extra_env=env)


def test_a_pin_that_is_locked(device, make_cloud):
    make_cloud("c8y")
    for _ in range(20):
        device.run(["pkcs11-tool", "--module", device.token.module, "--token-label", "device", "--login", "--pin", "000000",
                    "--list-objects"], code=None)
    device.fails("Finding the key", 4, "the PIN is locked", args=("c8y",))
