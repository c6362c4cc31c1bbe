# SPDX-License-Identifier: Apache-2.0
"""holdfast connect: the key in a token, a real broker with TLS and client certificates, and each way that it can fail."""

import json
import re
import socket

import pytest

from cloud_kit import only_3_1_1
from connect_kit import DEVICE, broker, device, expired, fake_broker, hang_up, make_broker, spy_path, stay_silent  # noqa: F401

# Failures do not depend on the module; one of the two tells.
one_module = pytest.mark.modules("ours")

CHECKS = ["Checking the configuration", "Checking the certificate", "Checking that the device is not connected yet", "Opening the HSM", "Finding the key",
          "Signing with the key, verified with the certificate", "Resolving localhost", "Reaching localhost:PORT",
          "TLS handshake with the key in the HSM", "Connecting by MQTT", "Publishing a message and seeing its acknowledgement", "Starting mosquitto by holdfast-core",
          "Waiting for mosquitto to be listening for connections", "Enabling the bridge to the MQTT broker",
          "Verifying device is connected to cloud"]


# The good path

def test_connects_and_tells_each_check(device, broker):
    result = device.connect("mqtt")
    lines = result.stdout.splitlines()
    assert lines[0] == "Connecting to the MQTT broker with config:"
    facts = dict(line.strip().split(": ", 1) for line in lines if line.startswith("\t"))
    assert facts["device id"] == DEVICE
    assert facts["cloud host"] == f"localhost:{broker.port}"
    assert facts["auth type"] == "Certificate"
    assert facts["certificate file"] == str(device.pki.dir / "device-key.pem")
    assert facts["private key"] == device.token.key_uri("device-key")
    checks = [line for line in lines if "... " in line]
    assert [re.sub(r"\.\.\. ✓.*", "", line) for line in checks] == [c.replace("PORT", str(broker.port)) for c in CHECKS]
    assert "TLSv1.3" in checks[8] and "'broker'" in checks[8]
    assert "MQTT 5" in checks[9]
    assert result.stderr == ""


@one_module
def test_the_message_reaches_who_subscribes(device, broker, server, pki):
    device.set(mqtt__connect_topic="hello/{id}/and/{id}")
    key, cert = pki.key_and_cert("listener")
    listener = server(["mosquitto_sub", "-h", "localhost", "-p", str(broker.port), "--cafile", pki.ca, "--key", key, "--cert",
                       cert, "-t", "#", "-v", "-C", "1"])
    broker.process.wait_for_line("Sending SUBACK")
    device.connect()
    assert listener.process.wait(10) == 0
    assert re.fullmatch(f'hello/{DEVICE}/and/{DEVICE} {{"time":"[-0-9]+T[:0-9]+Z"}}\n', listener.log)
    assert f"u'{DEVICE}'" in broker.log  # the user name, from our certificate


@one_module
def test_an_rsa_key(device, broker, make_key):
    device.set(device__key_uri=make_key("rsa-key", type="rsa:2048", id="02"), device__cert_path=device.certify("rsa-key"))
    assert "(RSA, 2048 bits)" in device.connect().stdout


@pytest.mark.parametrize("type, told", [("EC:secp521r1", "(EC, secp521r1)"), ("EC:edwards25519", "(EdDSA, ED25519)")])
def test_other_curves(device, broker, make_key, type, told):
    device.set(device__key_uri=make_key("other", type, "02"), device__cert_path=device.certify("other"))
    assert told in device.connect().stdout
    device.disconnect()
    make_key("third", type, "03")
    device.set(device__cert_path=device.certify("third"))
    device.fails("Signing with the key", 4, "does not verify what the key signs")
    device.set(device__cert_path=device.certify("device-key"))
    device.fails("Signing with the key", 4, "the certificate does not belong to the key")


@one_module
@pytest.mark.parametrize("version", ["tlsv1.2", "tlsv1.3"])
def test_both_tls_versions(device, make_broker, version):
    broker = make_broker(lines=[f"tls_version {version}"])
    device.set(mqtt__url=f"mqtts://127.0.0.1:{broker.port}")
    device.connect()


def has_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        return True
    except OSError:
        return False


@one_module
@pytest.mark.skipif(not has_ipv6(), reason="no ::1 here")
def test_an_ipv6_address(device, make_broker):
    broker = make_broker(address="::1", san="IP:::1")
    device.set(mqtt__url=f"[::1]:{broker.port}")
    device.connect()


@one_module
def test_json(device, broker):
    report = json.loads(device.connect("--json").stdout)
    assert report["connected"] is True
    assert report["config"]["device id"] == DEVICE
    assert [check["ok"] for check in report["checks"]] == [True] * len(CHECKS)
    broker.process.stop()
    report = json.loads(device.connect("--json", code=5).stdout)
    assert report["connected"] is False
    last = report["checks"][-1]
    assert last["check"].startswith("Reaching") and last["ok"] is False and last["code"] == "unreachable"
    assert "Connection refused" in last["error"] and last["hint"]


@one_module
def test_a_broker_of_mqtt_3_1_1_alone(device, fake_broker, make_broker, free_port, pki):
    plain = free_port()
    make_broker(lines=["allow_anonymous true", f"listener {plain} 127.0.0.1", "allow_anonymous true"])
    device.set(mqtt__url=f"localhost:{fake_broker(only_3_1_1(plain), cert=pki.key_and_cert('old')).port}")
    assert "(MQTT 3.1.1)" in device.connect().stdout


# The configuration and the key

@one_module
@pytest.mark.parametrize("key", ["mqtt.url", "device.key_uri"])
def test_a_key_that_is_not_set(device, key):
    device.run([device.holdfast, "config", "unset", "--config", device.config, key])
    device.fails("Checking the configuration", 1, f"{key} is not set in {device.config}", f"holdfast config set {key}")


@one_module
def test_a_mode_without_a_module(device):
    device.set(device__cryptoki__mode="off")
    device.fails("Checking the configuration", 1, "device.cryptoki.mode is off", "module")


@one_module
def test_a_certificate_that_is_missing_or_none(device, workdir):
    device.set(device__cert_path=workdir / "missing.pem")
    device.fails("Checking the configuration", 1, "missing.pem", "device.cert_path")
    (workdir / "none.pem").write_text("none")
    device.set(device__cert_path=workdir / "none.pem")
    device.fails("Checking the configuration", 4, "not a certificate", "none.pem")


@one_module
def test_trusted_certificates_that_are_missing(device, workdir):
    device.set(mqtt__root_cert_path=workdir / "missing")
    device.fails("Checking the configuration", 1, f"{workdir}/missing", "mqtt.root_cert_path")


@one_module
def test_a_certificate_for_another_device(device):
    device.set(device__id="dev-2")
    device.fails("Checking the certificate", 4, "is for 'dev-1', but device.id is 'dev-2'")


@one_module
def test_an_expired_certificate(device):
    device.set(device__cert_path=expired(device.pki, DEVICE)[1])
    device.fails("Checking the certificate", 4, f"{DEVICE}.pem expired on 2020-01-02 00:00:00 UTC", "renewed")


@one_module
def test_a_certificate_of_another_key(device, make_key):
    make_key("other-key", id="02")
    device.set(device__cert_path=device.certify("other-key"))
    device.fails("Signing with the key", 4, "the certificate does not belong to the key", "other-key.pem")


@one_module
def test_a_module_that_is_not_there(device, workdir):
    device.set(device__cryptoki__module_path=workdir / "no.so")
    device.fails("Opening the HSM", 3, f"{workdir}/no.so")


@one_module
def test_a_token_that_is_not_there(device):
    device.set(device__key_uri="pkcs11:token=nobody;object=device-key;type=private")
    device.fails("Opening the HSM", 3, "no such token", "nobody", "holdfast token list")


@one_module
def test_a_key_that_is_not_there_or_not_alone(device, make_key):
    device.set(device__key_uri=device.token.key_uri("nothing"))
    device.fails("Finding the key", 3, "nothing matches the URI", "object=nothing", "holdfast key list")
    make_key("second-key", id="02")
    device.set(device__key_uri=f"{device.token.uri};type=private")
    device.fails("Finding the key", 3, "several objects match", "object=device-key", "object=second-key")


def test_a_wrong_pin_is_spent_once(device, workdir):
    """Neither the checks before the provider is loaded nor the provider try it again."""
    device.token.pin_file.write_text("999999\n")
    log = workdir / "spy.log"
    device.set(device__cryptoki__module_path=spy_path())
    device.run([device.holdfast, "connect", "--config", device.config], code=4,
               extra_env={"PKCS11SPY": str(device.token.module), "PKCS11SPY_OUTPUT": str(log)})
    assert log.read_text(errors="replace").count("C_Login\n") == 1
    device.set(device__cryptoki__module_path=device.token.module)
    device.fails("Finding the key", 4, "the PIN is wrong", "CKR_PIN_INCORRECT")
    device.token.pin_file.write_text(device.token.pin + "\n")
    assert "Finding the key... ✓" in device.connect("--timeout", "1", code=5).stdout


@one_module
def test_no_pin_at_all(device):
    device.run([device.holdfast, "config", "unset", "--config", device.config, "device.cryptoki.pin_source"])
    device.fails("Finding the key", 4, "a PIN is needed", "pin_source")


@one_module
def test_the_pin_may_stand_in_the_uri(device, broker):
    device.run([device.holdfast, "config", "unset", "--config", device.config, "device.cryptoki.pin_source"])
    device.set(device__key_uri=device.token.key_uri("device-key") + f"?pin-value={device.token.pin}")
    device.connect()  # asserts that the PIN is not shown


@one_module
def test_the_openssl_configuration_of_the_environment(device, broker, workdir):
    device.connect(extra_env=device.openssl_conf)
    device.disconnect()
    alone = workdir / "alone.cnf"
    alone.write_text("openssl_conf=i\n[i]\nproviders=p\n[p]\nbase=b\n[b]\nactivate=1\n")
    device.connect(extra_env={"OPENSSL_CONF": str(alone)})


# The network

@one_module
def test_a_broker_that_is_away(device, free_port):
    port = free_port()
    device.set(mqtt__url=f"localhost:{port}")
    device.fails(f"Reaching localhost:{port}", 5, "cannot be reached", "Connection refused")


@one_module
def test_a_name_that_does_not_resolve(device):
    device.set(mqtt__url="nowhere.invalid:8883")
    device.fails("Resolving nowhere.invalid", 5, "nowhere.invalid", "name")


@one_module
def test_a_port_without_tls(device, server, free_port, workdir):
    port = free_port()
    (workdir / "plain.conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    server(["mosquitto", "-c", workdir / "plain.conf"], port=port)
    device.set(mqtt__url=f"localhost:{port}")
    device.fails("TLS handshake", 5, f"localhost:{port}", "TLS is spoken on the port")


@one_module
def test_a_server_of_another_ca(device, broker, workdir, run):
    other = type(device.pki)(run, workdir / "other")
    device.set(mqtt__root_cert_path=other.ca)
    device.fails("TLS handshake", 5, "is not trusted", "the certificate of 'broker'", "mqtt.root_cert_path")


@one_module
def test_a_server_of_another_name(device, make_broker):
    broker = make_broker(san="DNS:elsewhere.example")
    device.set(mqtt__url=f"localhost:{broker.port}")
    device.fails("TLS handshake", 5, "its certificate is for another name", "mqtt.url")
    device.set(mqtt__url=f"127.0.0.1:{broker.port}")
    device.fails("TLS handshake", 5, "its certificate is not for this address", "mqtt.url")


@one_module
def test_a_server_whose_certificate_has_expired(device, make_broker, pki):
    broker = make_broker(cert=expired(pki, "broker"))
    device.set(mqtt__url=f"localhost:{broker.port}")
    device.fails("TLS handshake", 5, "its certificate has expired", "clock")


@one_module
@pytest.mark.parametrize("version", ["tlsv1.2", "tlsv1.3"])
def test_our_certificate_is_not_trusted(device, make_broker, pki, version):
    """In TLS 1.3 the refusal comes after the handshake; it is told all the same."""
    other = pki.dir / "other.pem"
    pki.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                pki.dir / "other.key", "-out", other, "-subj", "/CN=Another CA", "-days", "30")
    broker = make_broker(cafile=other, lines=[f"tls_version {version}"])
    device.set(mqtt__url=f"localhost:{broker.port}")
    device.fails("TLS handshake", 5, "it does not trust the issuer of our certificate")


@one_module
@pytest.mark.parametrize("in_tls, check", [(False, "TLS handshake"), (True, "Connecting by MQTT")])
def test_a_broker_that_says_nothing(device, fake_broker, pki, in_tls, check):
    fake = fake_broker(stay_silent, cert=pki.key_and_cert("mute") if in_tls else None)
    device.set(mqtt__url=f"localhost:{fake.port}")
    device.fails(check, 5, "no answer in time", f"localhost:{fake.port}", args=("--timeout", "2"))


@one_module
@pytest.mark.parametrize("in_tls, check", [(False, "TLS handshake"), (True, "Connecting by MQTT")])
def test_a_broker_that_hangs_up(device, fake_broker, pki, in_tls, check):
    fake = fake_broker(hang_up, cert=pki.key_and_cert("rude") if in_tls else None)
    device.set(mqtt__url=f"localhost:{fake.port}")
    device.fails(check, 5, f"localhost:{fake.port}")


@one_module
def test_a_broker_that_refuses_the_message(device, make_broker, workdir):
    (workdir / "acl").write_text("user nobody\ntopic write #\n")
    broker = make_broker(lines=[f"acl_file {workdir / 'acl'}"])
    device.set(mqtt__url=f"localhost:{broker.port}")
    device.fails("Publishing", 5, f"publishing on holdfast/{DEVICE}/connect", "not authorized", "access rules")


@one_module
def test_a_broker_that_refuses_the_client(device, make_broker):
    broker = make_broker(lines=["clientid_prefixes other-"])
    device.set(mqtt__url=f"localhost:{broker.port}")
    refusal = device.fails("Connecting by MQTT", 5, f"localhost:{broker.port}").stderr
    assert "not authorized" in refusal or "closed it before it answered CONNECT" in refusal  # the broker's close may be first


# The command line

@one_module
@pytest.mark.parametrize("args, texts", [
    (["--timeout", "0"], ["--timeout must be 1 to 600 seconds"]),
    (["--timeout", "5s"], ["--timeout must be 1 to 600 seconds"]),
    (["nimbus"], ["there is no cloud 'nimbus'", "c8y, aws, az and mqtt"]),
])
def test_wrong_usage(device, args, texts):
    result = device.connect(*args, code=2)
    for text in texts:
        assert text in result.stderr
    assert result.stdout == ""


@one_module
def test_a_broken_configuration(device):
    device.config.write_text('{"mqtt": {"url" 1}}')
    result = device.connect(code=1)
    assert f"{device.config}, line 1, column" in result.stderr and result.stdout == ""
