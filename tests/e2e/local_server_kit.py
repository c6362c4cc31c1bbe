# SPDX-License-Identifier: Apache-2.0
"""A gateway with a local MQTT server for devices: its key and the group's authority in a token, devices with key files."""

import json
import queue
import ssl

import paho.mqtt.client as paho
import pytest

import conftest
from core_kit import Core, wait_until


class Device:
    """A device's client, by paho: what it received is in messages. The same calls work with paho 1.6 and 2."""

    def __init__(self, port, ca, cert, key, client_id, clean=True, protocol=paho.MQTTv311, wait=True):
        versions = getattr(paho, "CallbackAPIVersion", None)
        options = dict(client_id=client_id, clean_session=clean, protocol=protocol)
        self.client = paho.Client(versions.VERSION1, **options) if versions else paho.Client(**options)
        self.client.tls_set(ca_certs=str(ca), certfile=str(cert), keyfile=str(key), tls_version=ssl.PROTOCOL_TLS_CLIENT)
        self.codes, self.granted, self.messages, self.ends = queue.Queue(), queue.Queue(), queue.Queue(), []
        self.client.on_connect = lambda client, data, flags, code: self.codes.put(code)
        self.client.on_subscribe = lambda client, data, mid, granted: self.granted.put(list(granted))
        self.client.on_message = lambda client, data, message: self.messages.put((message.topic, message.payload.decode()))
        self.client.on_disconnect = lambda client, data, code: self.ends.append(code)
        self.client.connect("localhost", port, keepalive=30)
        self.client.loop_start()
        if wait:
            assert self.codes.get(timeout=10) == 0

    def subscribe(self, topic, qos=1):
        self.client.subscribe(topic, qos)
        return self.granted.get(timeout=10)

    def publish(self, topic, payload, qos=1):
        self.client.publish(topic, payload, qos).wait_for_publish(10)

    def get(self, timeout=10):
        return self.messages.get(timeout=timeout)

    def gets_nothing(self, timeout=0.5):
        with pytest.raises(queue.Empty):
            raise AssertionError(self.messages.get(timeout=timeout))

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


class LocalServer:
    def __init__(self, core, run, workdir, pki, token, make_key, free_port):
        self.core, self.run, self.dir, self.pki, self.token, self.make_key = core, run, workdir, pki, token, make_key
        self.port, self.discovery_port = free_port(), free_port()
        self.ca, self.things, self.routes = core.data / "group-ca.pem", workdir / "things.json", workdir / "routes.json"
        self.devices = []
        core.set(device__cryptoki__module_path=token.module.path, device__cryptoki__pin_source=token.pin_file,
                 mqtt__server__enabled="true", mqtt__server__bind__address="127.0.0.1", mqtt__server__bind__port=self.port,
                 mqtt__server__names="localhost,127.0.0.1", mqtt__server__client_ca_path=pki.ca,
                 mqtt__server__things_path=self.things, mqtt__server__routes_path=self.routes,
                 mqtt__server__discovery__port=self.discovery_port)

    def set_group(self, things, routes):
        """things: names, or members; routes: (source, target, topic)."""
        self.things.write_text(json.dumps({"name": "plant-7", "things": things}))
        self.routes.write_text(json.dumps({"routes": [dict(zip(("source", "target", "topic"), route)) for route in routes]}))

    def set_key(self, label="server", type="EC:prime256v1", id="01"):
        self.core.set(mqtt__server__key_uri=self.make_key(label, type, id))

    def create_ca(self, code=0):
        return self.core.command("create-group-ca", "--name", "Group 7", code=code)

    @property
    def status(self):
        return self.core.status()["server"]

    def wait_up(self, timeout=20):
        wait_until(lambda: self.status["state"] == "up", "local server", timeout)

    def device(self, name, cert=None, client_id=None, **options):
        key, own = self.pki.dir / f"{name}.key", self.pki.dir / f"{name}.pem"
        if not key.exists():
            key, own = self.pki.key_and_cert(name)
        device = Device(self.port, self.ca, cert or own, key, name if client_id is None else client_id, **options)
        self.devices.append(device)
        return device

    def mosquitto(self, program, name, *args, code=0, within=0, **options):
        """Debian's mosquitto_pub or mosquitto_sub as this device; within: killed after so many seconds."""
        if not (self.pki.dir / f"{name}.pem").exists():
            self.pki.key_and_cert(name)
        killed = ["timeout", "-s", "KILL", within] if within else []
        return self.run([*killed, f"mosquitto_{program}", "-h", "localhost", "-p", self.port, "--cafile", self.ca, "--cert",
                         self.pki.dir / f"{name}.pem", "--key", self.pki.dir / f"{name}.key", "-i", name, *args], code=code, **options)

    def curl(self, path, *args, code=0):
        return self.run(["curl", "-sS", "--cacert", self.ca, "-w", "%{stderr}%{http_code}", *args,
                         f"https://localhost:{self.discovery_port}{path}"], code=code, extra_env={"LD_PRELOAD": ""})

    def as_device(self, name):
        if not (self.pki.dir / f"{name}.pem").exists():
            self.pki.key_and_cert(name)
        return ["--cert", self.pki.dir / f"{name}.pem", "--key", self.pki.dir / f"{name}.key"]


@pytest.fixture
def local(server, run, holdfast, build, workdir, pki, token, make_key, free_port):
    """Ready to start: run() or command("start") of its core. One device may send to the other on light/#, and to the cloud and this machine."""
    conftest.needs("/proc/self")
    conftest.built(build / "src/admission/holdfast-admission.so")
    core = Core(server, run, holdfast, build, workdir, free_port())
    local = LocalServer(core, run, workdir, pki, token, make_key, free_port)
    local.set_group(["sensor-1", "lamp-1"], [("sensor-1", "lamp-1", "light/#"), ("sensor-1", "local", "temperature"),
                                             ("local", "lamp-1", "command/+")])
    yield local
    for device in local.devices:
        device.close()
