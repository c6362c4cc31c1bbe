# SPDX-License-Identifier: Apache-2.0
"""Enrolment and renewal on every HSM that a test can have, by its module and through the key agent: see hsm_kit."""

import json

import pytest

import est_kit
from agent_kit import Agent
from hsm_kit import card, hsm, reach  # noqa: F401 (fixtures)


READ = "the policy was read again"


@pytest.fixture
def est(pki):
    server = est_kit.Est(pki)
    yield server
    server.close()


@pytest.fixture
def device(hsm, reach, run, holdfast, est, pki, make_broker, workdir):
    """Its key made, its certificate enrolled for, and a broker that knows the CA."""
    key = hsm.create_key("device")
    agent = reach(device_key_uri=key, est_url=est.url)
    _, port = make_broker()
    for name, value in {"est.root_cert_path": pki.ca, "mqtt.root_cert_path": pki.ca, "mqtt.url": f"localhost:{port}"}.items():
        run([holdfast, "config", "set", name, value])
    run([holdfast, "cert", "enroll", "--device-id", "dev-1"], extra_env={"DEVICE_ONE_TIME_PASSWORD": "once"}, timeout=60)
    return agent


@pytest.fixture
def make_broker(server, free_port, pki, workdir):
    def make():
        port = free_port()
        key, cert = pki.key_and_cert("broker")
        conf = workdir / "mosquitto.conf"
        conf.write_text(f"user root\nlistener {port} 127.0.0.1\ncafile {pki.ca}\ncertfile {cert}\nkeyfile {key}\nrequire_certificate true\nuse_identity_as_username true\n")
        return server(["mosquitto", "-c", conf], port=port), port

    return make


def private_keys(hsm):
    keys = json.loads(hsm.run([hsm.holdfast, "key", "list", *hsm.access, "--json"], timeout=60).stdout)
    return sorted(entry["label"] for entry in keys if entry["class"] == "private")


def renew(hsm, *args, code=0):
    result = hsm.run([hsm.holdfast, "cert", "renew", *args], code=code, timeout=90)
    assert hsm.pin not in result.stdout + result.stderr
    return result


def allow(agent, operations):
    """The agent's policy; what its default allows beyond that is off."""
    (agent.dir / "policy").write_text(f"allow {operations}\ndeny all\n")
    count = agent.log.count(READ)
    agent.reload()
    agent.wait_for_line(READ, count + 1)


def test_renewal(hsm, device, est, workdir):
    """With the same key, with new ones where the HSM can have them, and back: each by mutual TLS with the present key."""
    before = (workdir / "device.pem").read_text()
    renew(hsm)
    assert (workdir / "device.pem").read_text() != before
    if device:
        allow(device, "list,sign,create,delete")
    if hsm.traits.rotates:
        renew(hsm, "--rotate-key")
        assert private_keys(hsm) == ["device", "device-2"]
        renew(hsm, "--rotate-key")
        assert private_keys(hsm) == ["device-2", "device-3"]
        renew(hsm, "--delete-old-key")
        assert private_keys(hsm) == ["device-3"]
    else:
        before, keys = (workdir / "device.pem").read_text(), private_keys(hsm)
        result = renew(hsm, "--rotate-key", code=1)
        assert "each key of a PIV card has its own slot" in result.stderr and "no --rotate-key" in result.stderr
        assert (workdir / "device.pem").read_text() == before and private_keys(hsm) == keys
        renew(hsm)
    assert all(request.cn == "dev-1" for request in est.requests if request.operation == "simplereenroll")


@pytest.mark.parametrize("hsm", ["ours"], indirect=True)
def test_an_agent_that_does_not_let_us_make_a_key(hsm, server, build, workdir, run, holdfast, est, pki):
    """Its policy's refusal is told, and nothing has changed; one that does not let us delete costs a note."""
    key = hsm.create_key("device")
    agent = Agent(server, build, workdir / "agent", hsm.module, pin_source=hsm.pin_file)
    hsm.configure(agent, device_key_uri=key, est_url=est.url)
    run([holdfast, "config", "set", "est.root_cert_path", pki.ca])
    run([holdfast, "cert", "enroll", "--device-id", "dev-1"], extra_env={"DEVICE_ONE_TIME_PASSWORD": "once"})
    allow(agent, "list,sign")
    result = renew(hsm, "--rotate-key", code=4)
    assert "policy" in result.stderr and private_keys(hsm) == ["device"]
    allow(agent, "list,sign,create")
    result = renew(hsm, "--rotate-key", "--delete-old-key")
    assert "could not be deleted, and stays until the next renewal" in result.stderr
    assert private_keys(hsm) == ["device", "device-2"]
    allow(agent, "list,sign,create,delete")
    renew(hsm)
    assert private_keys(hsm) == ["device-2"]
