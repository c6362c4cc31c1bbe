# SPDX-License-Identifier: Apache-2.0
"""holdfast config: what is set is what is read; what is wrong is named; a PIN is not shown."""

import json
import os

import pytest

from terminal import converse


@pytest.fixture
def path(workdir, env):
    file = workdir / "config.json"
    env["HOLDFAST_CONFIG"] = str(file)
    return file


@pytest.fixture
def config(run, holdfast, path):
    """config("set", KEY, VALUE, code=0): runs holdfast config."""
    return lambda *args, **options: run([holdfast, "config", *args], **options)


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    path.chmod(0o600)


def test_set_get_unset(config, path):
    config("set", "mqtt.url", "broker.example:8883")
    assert config("get", "mqtt.url").stdout == "broker.example:8883\n"
    assert json.loads(path.read_text()) == {"mqtt": {"url": "broker.example:8883"}}
    assert path.stat().st_mode & 0o7777 == 0o600
    config("unset", "mqtt.url")
    result = config("get", "mqtt.url", code=1)
    assert result.stdout == ""
    assert "mqtt.url is not set" in result.stderr and "holdfast config set mqtt.url" in result.stderr


def test_get_gives_the_default(config):
    assert config("get", "device.cryptoki.mode").stdout == "module\n"
    assert config("get", "mqtt.bridge.built_in").stdout == "true\n"


def test_the_commands_of_thin_edge(config):
    """What the guide has its reader type, with tedge replaced."""
    config("set", "device.cryptoki.mode", "socket")
    config("set", "mqtt.bridge.built_in", "true")
    config("set", "device.cryptoki.socket_path", "/tmp/tedge-p11-server.sock")
    assert config("get", "device.key_path").stdout.startswith("/etc/holdfast/")
    assert config("get", "device.cert_path").stdout.startswith("/etc/holdfast/")
    assert config("get", "device.csr_path").stdout.startswith("/etc/holdfast/")


def test_list(config):
    config("set", "device.id", "dev-1")
    lines = config("list").stdout.splitlines()
    assert "device.id=dev-1" in lines
    assert "device.cryptoki.mode=module" in lines
    assert not any(line.startswith("mqtt.url") for line in lines)


def test_list_json(config):
    config("set", "device.id", "dev-1")
    rows = {row["key"]: row for row in json.loads(config("list", "--json").stdout)}
    assert rows["device.id"]["value"] == "dev-1" and rows["device.id"]["set"] is True
    assert rows["device.cryptoki.mode"]["value"] == "module" and rows["device.cryptoki.mode"]["set"] is False
    assert rows["mqtt.url"]["value"] is None


def test_list_doc_has_every_key_with_its_help(config):
    doc = config("list", "--doc").stdout
    for key in ("device.id", "device.key_uri", "device.cryptoki.pin_source", "mqtt.url"):
        assert key in doc
    assert "MQTT broker" in doc


def test_a_pin_is_accepted_with_a_warning_and_not_shown(config):
    result = config("set", "device.cryptoki.pin", "847261")
    assert "pin_source" in result.stderr
    for args in (["list"], ["list", "--json"], ["list", "--doc"]):
        result = config(*args)
        assert "847261" not in result.stdout + result.stderr
        assert "holds the PIN" in result.stderr
    result = config("get", "device.cryptoki.pin", code=2)
    assert "847261" not in result.stdout + result.stderr and "--show-secret" in result.stderr
    assert config("get", "--show-secret", "device.cryptoki.pin").stdout == "847261\n"


def test_a_secret_from_standard_input(config, path):
    config("set", "device.cryptoki.pin", "-", input="847261\nmore\n")
    assert config("get", "--show-secret", "device.cryptoki.pin").stdout == "847261\n"
    config("set", "proxy.password", "-", input="a b\r\n")
    assert config("get", "--show-secret", "proxy.password").stdout == "a b\n"
    before = path.read_text()
    assert "standard input is empty" in config("set", "proxy.password", "-", input="", code=2).stderr
    assert "first line of standard input" in config("set", "proxy.password", "-", input="x" * 300, code=1).stderr
    assert "mqtt.url must be" in config("set", "mqtt.url", "-", input="broker.example\n", code=2).stderr
    assert path.read_text() == before


def test_a_secret_is_asked_for_on_a_terminal(config, holdfast, env, workdir):
    status, shown = converse([holdfast, "config", "set", "proxy.password", "-"], [("proxy.password: ", "s3cret")], env=env, cwd=workdir)
    assert status == 0 and "s3cret" not in shown
    assert config("get", "--show-secret", "proxy.password").stdout == "s3cret\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files for others")
def test_a_new_file_in_another_s_directory_is_theirs(run, holdfast, workdir):
    directory = workdir / "theirs"
    directory.mkdir()
    os.chown(directory, 12345, 12345)
    run([holdfast, "config", "set", "--config", directory / "config.json", "device.id", "x"])
    st = (directory / "config.json").stat()
    assert (st.st_uid, st.st_gid, st.st_mode & 0o7777) == (12345, 12345, 0o600)
    os.chown(directory / "config.json", 0, 0)
    run([holdfast, "config", "set", "--config", directory / "config.json", "device.id", "y"])
    assert (directory / "config.json").stat().st_uid == 0


def test_a_pin_within_a_uri_is_not_listed(config):
    config("set", "device.key_uri", "pkcs11:object=k;type=private?pin-value=847261")
    assert "847261" not in config("list").stdout
    assert "847261" not in config("list", "--json").stdout


@pytest.mark.parametrize("key, value, must_be", [
    ("device.cryptoki.mode", "hsm", "off|module|socket"),
    ("mqtt.url", "https://broker", "HOST"),
    ("device.cert_path", "cert.pem", "an absolute path"),
    ("device.key_uri", "/etc/key.pem", "a PKCS #11 URI"),
    ("mqtt.bridge.built_in", "maybe", "true or false"),
])
def test_a_wrong_value_is_refused(config, path, key, value, must_be):
    result = config("set", key, value, code=2)
    assert f"{key} must be" in result.stderr and must_be in result.stderr
    assert not path.exists()


def test_an_unknown_key_names_the_nearest(config):
    for args in (["get", "mqtt.ur"], ["set", "mqtt.ur", "x"], ["unset", "mqtt.ur"]):
        result = config(*args, code=2)
        assert "no configuration key is named 'mqtt.ur'" in result.stderr and "Did you mean mqtt.url?" in result.stderr


@pytest.mark.parametrize("content, texts", [
    ('{"device": {"id" "x"}}', ["line 1", "column"]),
    ({"devise": {"id": "x"}}, ["devise.id", "Did you mean device.id?"]),
    ({"device": {"cryptoki": {"mode": "x"}}}, ["device.cryptoki.mode must be off|module|socket"]),
    ("", ["line 1"]),
])
def test_a_broken_file_is_named_and_left_alone(config, path, content, texts):
    write(path, content)
    before = path.read_text()
    for args in (["list"], ["get", "device.id"], ["set", "device.id", "y"]):
        result = config(*args, code=1)
        assert str(path) in result.stderr
        for text in texts:
            assert text in result.stderr
        assert len(result.stderr.splitlines()) == 2
    assert path.read_text() == before


def test_the_file_of_the_option_must_exist(config, workdir):
    missing = workdir / "typo.json"
    result = config("get", "--config", missing, "device.id", code=1)
    assert str(missing) in result.stderr and "not found" in result.stderr


def test_config_option_wins_over_the_environment(run, holdfast, path, workdir):
    other = workdir / "other.json"
    run([holdfast, "config", "set", "--config", other, "device.id", "other"])
    assert not path.exists()
    assert run([holdfast, "config", "get", "--config", other, "device.id"]).stdout == "other\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="root reads everything; it takes root to become somebody who does not")
def test_a_file_that_may_not_be_read(run, holdfast, path, workdir):
    write(path, {})
    workdir.chmod(0o755)
    result = run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", holdfast, "config", "list"], code=1)
    assert "permission denied" in result.stderr and str(path) in result.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a file system that is full")
def test_a_full_disk_leaves_the_file(run, holdfast, workdir):
    disk = workdir / "disk"
    disk.mkdir()
    if run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], code=None).code:
        pytest.skip("cannot mount a tmpfs here")
    try:
        path = disk / "config.json"
        write(path, {"device": {"id": "old"}})
        ballast = os.open(disk / "ballast", os.O_WRONLY | os.O_CREAT)
        try:
            while os.write(ballast, bytes(4096)):
                pass
        except OSError:
            os.close(ballast)
        result = run([holdfast, "config", "set", "--config", path, "device.id", "new"], code=1)
        assert "no space left" in result.stderr and str(path) in result.stderr
        assert json.loads(path.read_text()) == {"device": {"id": "old"}}
        assert sorted(os.listdir(disk)) == ["ballast", "config.json"]
    finally:
        run(["umount", disk])
