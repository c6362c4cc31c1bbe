# SPDX-License-Identifier: Apache-2.0
"""The key agent's supervisor, listener, policy and options: what happens when modules crash, clients misbehave and files go."""

import concurrent.futures
import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import time

import pytest

import agent_kit
import conftest
import p11_server_client

pytestmark = pytest.mark.modules("ours")


@pytest.fixture
def start(server, build, workdir, token):
    """start(*options, ...): an agent for token; see agent_kit.Agent."""
    def go(*options, module=token.module, pin_source=token.pin_file, directory=workdir / "agent", **named):
        return agent_kit.Agent(server, build, directory, module, *options, pin_source=pin_source, **named)
    return go


class Faulty:
    """The test double in front of the token's module."""

    def __init__(self, build, workdir, token):
        self.path = conftest.built(build / "tests/e2e/faulty_module.so")
        self.control = workdir / "fault"
        self.log = workdir / "logins"
        self.env = {"HF_FAULTY_REAL": str(token.module), "HF_FAULTY_CONTROL": str(self.control), "HF_FAULTY_LOGINS": str(self.log)}

    @property
    def logins(self):
        return self.log.stat().st_size if self.log.exists() else 0

    def plan(self, text):
        self.control.with_suffix(".new").write_text(text)
        self.control.with_suffix(".new").rename(self.control)


@pytest.fixture
def faulty(build, workdir, token):
    return Faulty(build, workdir, token)


def raw(agent):
    """A connection that waits where the agent is busy accepting others, as most clients do."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(str(agent.socket))
    connection.settimeout(20)
    return connection


def shown_by_proc(pid, name):
    """What others may read of the process there: nothing, but for root."""
    try:
        return pathlib.Path(f"/proc/{pid}/{name}").read_bytes()
    except PermissionError:
        return b""


# A module that misbehaves

@pytest.mark.parametrize("call", ["C_OpenSession", "C_Login", "C_FindObjectsInit", "C_GetAttributeValue", "C_SignInit", "C_Sign"])
def test_a_crash_at_any_step_costs_one_answer(start, faulty, make_key, call):
    uri = make_key("tls")
    agent = start(module=faulty.path, extra_env=faulty.env)
    before = agent.worker
    faulty.plan(f"crash {call}")
    assert agent.client.exchange(p11_server_client.frame(2, p11_server_client.blob(b"x"), p11_server_client.option(uri), b"\0")) == b""
    assert agent.client.sign(b"x", uri)
    status = agent.status()
    assert status["worker_pid"] != before
    assert status["worker_last_end"] == "was killed by SIGSEGV"
    assert status["pid"] == agent.pid


def test_a_crash_while_others_are_served_by_the_same_worker(start, faulty, make_key):
    uri = make_key("tls")
    agent = start(module=faulty.path, extra_env=faulty.env)
    agent.client.sign(b"x", uri)
    faulty.plan("crash C_Sign")

    def sign_with_one_retry(_):
        for _ in range(2):
            try:
                return len(agent.client.sign(b"x", uri))
            except (ValueError, ConnectionError, IndexError):
                continue
        return 0

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert all(pool.map(sign_with_one_retry, range(200)))
    assert agent.status()["worker_restarts"] == 1


def test_a_hang_ends_at_its_deadline(start, faulty, make_key):
    uri = make_key("tls")
    agent = start("--call-deadline", 1, module=faulty.path, extra_env=faulty.env)
    agent.client.sign(b"x", uri)
    faulty.plan("hang C_Sign")
    begin = time.monotonic()
    with pytest.raises((ValueError, ConnectionError)):
        agent.client.sign(b"x", uri)
    assert time.monotonic() - begin < 4
    assert agent.client.sign(b"x", uri)
    assert agent.status()["worker_last_end"].startswith("hung in ")


def test_a_stopped_worker_is_replaced(start, make_key):
    uri = make_key("tls")
    agent = start()
    agent.kill_worker(signal.SIGSTOP)
    agent.wait_for_line("the worker does not answer", timeout=20)
    assert agent.client.sign(b"x", uri)


def test_a_leak_ends_at_the_memory_limit(start, faulty, make_key):
    uri = make_key("tls")
    agent = start("--memory-limit", "100M", module=faulty.path, extra_env=faulty.env)
    before = agent.worker
    faulty.plan("leak C_Sign 120")
    agent.client.sign(b"x", uri)
    agent.wait_for_line("outgrew the memory limit")
    agent_kit.wait_until(lambda: agent.worker != before, "new worker")
    assert agent.client.sign(b"x", uri)
    assert agent.status()["worker_last_end"].startswith("outgrew the memory limit: ")


def test_a_module_that_always_crashes_is_started_ever_more_seldom(start, faulty, workdir):
    faulty.plan("always crash C_Initialize")
    agent = start(module=faulty.path, extra_env=faulty.env)
    time.sleep(4)
    ends = agent.log.count("the worker was killed by SIGSEGV")
    assert 3 <= ends <= 6
    assert agent.server.stop() == 0


def test_a_worker_killed_while_a_request_is_on_its_way(start, make_key):
    """At every step: before the first byte, in the midst of the frame, after its end."""
    uri = make_key("tls")
    agent = start()
    whole = p11_server_client.frame(2, p11_server_client.blob(b"x"), p11_server_client.option(uri), b"\0")
    for sent in (b"", whole[:10], whole):
        with raw(agent) as connection:
            connection.sendall(sent)
            time.sleep(0.05)
            agent.kill_worker()
            try:
                assert p11_server_client.read_all(connection) in (b"",) or sent == whole
            except ConnectionError:
                pass
        assert agent.client.sign(b"x", uri)
    assert agent.status()["worker_restarts"] == 3


def test_a_killed_supervisor_takes_its_worker_along(start):
    agent = start()
    worker = agent.worker
    os.kill(agent.pid, signal.SIGKILL)
    agent.server.process.wait()
    agent_kit.wait_until(lambda: not os.path.exists(f"/proc/{worker}"), "end of the worker")


# Clients that misbehave

def test_clients_that_never_half_close_delay_nobody(start, make_key):
    uri = make_key("tls")
    agent = start("--client-timeout", 2)
    stalled = [raw(agent) for _ in range(100)]
    for connection in stalled:
        connection.sendall(b"\0\2")
    begin = time.monotonic()
    for _ in range(20):
        agent.client.sign(b"x", uri)
    assert time.monotonic() - begin < 2
    for connection in stalled:
        with pytest.raises(p11_server_client.ServerError):
            p11_server_client.decode(p11_server_client.read_all(connection), 4)
        connection.close()
    agent_kit.wait_until(lambda: agent.metrics()["connections_open"] == 1, "end of the stalled ones")


def test_over_the_quota_the_answer_comes_at_once(start):
    agent = start("--max-per-user", 5)
    held = [raw(agent) for _ in range(5)]
    with pytest.raises(p11_server_client.ServerError, match="too many connections"):
        agent.client.ping()
    assert agent.metrics()["connections_refused_total"] == 1
    assert agent.status()["connections_open"] == 6
    for connection in held:
        connection.close()
    agent_kit.wait_until(lambda: _pings(agent), "room")


def _pings(agent):
    try:
        agent.client.ping()
        return True
    except p11_server_client.ServerError:
        return False


def test_a_thousand_connections_at_once(start, make_key):
    uri = make_key("tls")
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    agent = start()
    agent.client.sign(b"x", uri)
    connections = [raw(agent) for _ in range(1000)]
    request = p11_server_client.frame(2, p11_server_client.blob(b"x"), p11_server_client.option(uri), b"\0")
    for connection in connections:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
    for connection in connections:
        assert p11_server_client.decode(p11_server_client.read_all(connection), 4).bytes()
        connection.close()
    assert agent.status()["worker_restarts"] == 0


@pytest.mark.skipif("HF_PRELOAD" in os.environ, reason="a sanitizer keeps freed memory")
def test_ten_thousand_tries_leave_nothing_behind(start):
    agent = start()
    for _ in range(500):
        agent.client.ping()
    before = agent.metrics()
    for i in range(10000):
        connection = raw(agent)
        if i % 3 == 0:
            connection.sendall(os.urandom(i % 50))
        connection.close()
    agent.client.ping()
    agent_kit.wait_until(lambda: agent.metrics()["connections_open"] == 1, "end of all")
    after = agent.metrics()
    assert after["worker_resident_memory_bytes"] - before["worker_resident_memory_bytes"] < 16 << 20
    assert after["worker_restarts_total"] == 0
    if os.getuid() == 0:
        assert len(os.listdir(f"/proc/{agent.worker}/fd")) < 30


def test_few_descriptors_shed_connections_and_not_the_agent(start, make_key):
    uri = make_key("tls")
    agent = start("--client-timeout", 3, prefix=["prlimit", "--nofile=80:80"])
    held = []
    for _ in range(200):
        connection = raw(agent)
        connection.setblocking(False)
        held.append(connection)
    time.sleep(0.5)
    for connection in held:
        connection.close()
    agent_kit.wait_until(lambda: _pings(agent), "room")
    assert agent.client.sign(b"x", uri)
    assert agent.metrics()["connections_refused_total"] > 100
    assert agent.status()["worker_restarts"] == 0


@pytest.mark.skipif(os.getuid() != 0, reason="only root sees the agent's descriptors")
def test_no_descriptor_left_is_told_to_the_newest_client_alone(start, run, make_key):
    uri = make_key("tls")
    agent = start()
    agent.client.sign(b"x", uri)
    worker = agent.worker
    time.sleep(0.2)
    held = raw(agent)
    time.sleep(0.2)
    used = [int(name) for name in os.listdir(f"/proc/{worker}/fd")]
    assert sorted(used) == list(range(len(used)))
    run(["prlimit", f"--pid={worker}", f"--nofile={len(used)}:"])
    with raw(agent) as connection:
        assert b"too many connections" in p11_server_client.read_all(connection)
    agent.wait_for_line("no descriptor is left: a connection was refused")
    run(["prlimit", f"--pid={worker}", "--nofile=1024:"])
    held.sendall(p11_server_client.frame(8))
    held.shutdown(socket.SHUT_WR)
    assert p11_server_client.read_all(held) == p11_server_client.frame(9)
    assert agent.client.sign(b"x", uri)
    assert agent.worker == worker


def test_metrics_for_curl_and_without_http(start, run):
    agent = start()
    text = run(["curl", "-sS", "--unix-socket", agent.metrics_socket, "http://agent/metrics"], extra_env={"LD_PRELOAD": ""}).stdout
    assert "# TYPE holdfast_agent_requests_total counter" in text
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as plain:
        plain.connect(str(agent.metrics_socket))
        plain.shutdown(socket.SHUT_WR)
        assert p11_server_client.read_all(plain).startswith(b"# HELP holdfast_agent_connections_total")
    assert agent.get("/nothing")[0] == 404


# Sockets

def test_a_stale_socket_is_replaced(start, workdir, make_key):
    uri = make_key("tls")
    first = start()
    first.server.kill()
    assert first.socket.is_socket()
    second = start()
    assert "removing the stale socket" in second.log
    assert second.client.sign(b"x", uri)
    assert second.server.stop() == 0
    assert not second.socket.exists()


def test_a_second_agent_is_refused(start, run):
    first = start()
    result = run(first.command, code=None)
    assert result.code == 1
    assert f"another agent serves {first.socket}" in result.stderr
    first.client.ping()


def test_what_is_no_socket_is_left_alone(start, run, workdir):
    agent = start()
    agent.server.stop()
    agent.socket.write_text("precious")
    result = run(agent.command, code=None)
    assert result.code == 1 and "is there and is no socket" in result.stderr
    assert agent.socket.read_text() == "precious"


def test_sockets_are_for_owner_and_group(start):
    group = 65534 if os.getuid() == 0 else os.getgid()
    agent = start("--socket-group", group)
    for path in (agent.socket, agent.pkcs11, agent.metrics_socket):
        assert path.stat().st_mode & 0o777 == 0o660
        assert path.stat().st_gid == group


def activate(server, build, workdir, token, *options, names="signing", paths=("activated.sock",)):
    listen = [part for path in paths for part in ("-l", str(workdir / path))]
    program = conftest.built(build / "src/agent/holdfast-agent")
    return server(["systemd-socket-activate", *listen, "--fdname=" + names, "-E", f"HOLDFAST_TOKEN_CONF={workdir}/token.conf",
                   "-E", f"HOLDFAST_CONFIG={workdir}/config.json", program, "--module-path", token.module, "--pin-source",
                   token.pin_file, "--policy", workdir / "policy", "--audit", "json", *options], line="Listening on")


@pytest.mark.skipif(not shutil.which("systemd-socket-activate"), reason="no systemd-socket-activate (package systemd)")
def test_socket_activation(server, build, workdir, token, make_key):
    uri = make_key("tls")
    process = activate(server, build, workdir, token, "--metrics-socket", workdir / "metrics.sock")
    client = p11_server_client.Client(workdir / "activated.sock")
    assert client.sign(b"x", uri)
    assert "signing socket from systemd" in process.log
    assert "INFO: listening on" in process.log and "pkcs11.sock" not in process.log
    assert process.stop() == 0
    assert (workdir / "activated.sock").exists()


@pytest.mark.skipif(not shutil.which("systemd-socket-activate"), reason="no systemd-socket-activate (package systemd)")
def test_socket_activation_of_all_by_name_and_idle_exit(server, build, workdir, token):
    process = activate(server, build, workdir, token, "--idle-exit", 1, names="metrics:signing:pkcs11",
                       paths=("m.sock", "s.sock", "p.sock"))
    p11_server_client.Client(workdir / "s.sock").ping()
    process.wait_for_line("metrics socket from systemd: " + str(workdir / "m.sock"))
    process.wait_for_line("idle for 1 s")
    assert process.process.wait(10) == 0


def test_notify_and_watchdog(start, workdir):
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(str(workdir / "notify"))
    listener.settimeout(10)
    agent = start(extra_env={"NOTIFY_SOCKET": str(workdir / "notify"), "WATCHDOG_USEC": "5000000"})
    assert listener.recv(1024).startswith(b"READY=1")
    assert listener.recv(1024) == b"WATCHDOG=1"
    assert b"NOTIFY_SOCKET" not in shown_by_proc(agent.worker, "environ")
    agent.kill_worker(signal.SIGSTOP)
    time.sleep(1.5)
    listener.setblocking(False)
    while True:
        try:
            listener.recv(1024)
        except BlockingIOError:
            break
    time.sleep(2)
    with pytest.raises(BlockingIOError):
        listener.recv(1024)
    listener.close()


# Policy

def test_reload_reads_the_policy_and_keeps_the_old_one_where_the_new_is_wrong(start, make_key):
    uri = make_key("tls")
    agent = start()
    assert agent.client.sign(b"x", uri)
    policy = agent.dir / "policy"
    policy.write_text(f"deny sign user={os.getuid()}\n")
    agent.reload()
    agent.wait_for_line("the policy was read again")
    with pytest.raises(p11_server_client.ServerError):
        agent.client.sign(b"x", uri)
    policy.write_text("allow sing\n")
    agent.reload()
    agent.wait_for_line("there is no operation 'sing'")
    with pytest.raises(p11_server_client.ServerError):
        agent.client.sign(b"x", uri)
    policy.unlink()
    agent.reload()
    agent.wait_for_line("the policy was read again", count=2)
    assert agent.client.sign(b"x", uri)
    assert agent.status()["worker_restarts"] == 0


def test_a_wrong_policy_stops_the_start(run, build, token, workdir):
    (workdir / "policy").write_text("# fine\nallow sign user=nobody-of-that-name\n")
    result = run([build / "src/agent/holdfast-agent", "--module-path", token.module, "--policy", workdir / "policy",
                  "--socket-path", workdir / "s.sock"], code=1)
    assert f"{workdir}/policy:2: there is no user 'nobody-of-that-name'" in result.stderr
    assert not (workdir / "s.sock").exists()


def test_a_rate_is_kept(start, make_key):
    uri = make_key("tls")
    agent = start()
    (agent.dir / "policy").write_text("allow sign rate=3/h\n")
    agent.reload()
    agent.wait_for_line("the policy was read again")
    for _ in range(3):
        agent.client.sign(b"x", uri)
    with pytest.raises(p11_server_client.ServerError):
        agent.client.sign(b"x", uri)
    assert agent.audit()[-1]["verdict"] == "deny (rate)"


def test_check_tells_without_an_agent(run, holdfast, workdir):
    policy = workdir / "policy"
    policy.write_text("allow delete user=nobody key=pkcs11:token=device;object=old\n")
    check = [holdfast, "agent", "check", "--policy", policy, "--as", "nobody", "--op", "delete", "--key"]
    allowed = run([*check, "pkcs11:token=device;object=old;type=private"])
    assert allowed.stdout.startswith("allowed\n") and f"{policy}:1: allow delete" in allowed.stdout
    denied = run([*check, "pkcs11:token=device;object=tls;type=private"], code=1)
    assert denied.stdout.startswith("denied\n")
    line = denied.stderr.split(": ")[-1].strip()
    assert line == "allow delete user=nobody key=pkcs11:token=device;object=tls"
    policy.write_text(policy.read_text() + line + "\n")
    run([*check, "pkcs11:token=device;object=tls;type=private"])


# PINs, options, files

def test_the_pin_is_nowhere_to_be_seen(start, token, make_key, workdir):
    uri = make_key("tls")
    agents = [
        start("--pin", token.pin, "--log-level", "trace", pin_source=None, directory=workdir / "argv"),
        start("--log-level", "trace", pin_source=None, directory=workdir / "env", extra_env={"TEDGE_DEVICE_CRYPTOKI_PIN": token.pin}),
        start("--log-level", "trace", pin_source="env:SECRET_PIN", directory=workdir / "source", extra_env={"SECRET_PIN": token.pin}),
        start("--log-level", "trace", directory=workdir / "file"),
    ]
    for agent in agents:
        assert agent.client.sign(b"x", uri)
        for pid in (agent.pid, agent.worker):
            for name in ("cmdline", "environ"):
                assert token.pin.encode() not in shown_by_proc(pid, name), (agent.dir.name, name)
        assert token.pin not in agent.log
    assert "better is --pin-source" in agents[0].log and "better is --pin-source" in agents[1].log


def test_a_pin_file_that_vanishes(start, token, make_key):
    uri = make_key("tls")
    agent = start()
    assert agent.client.sign(b"x", uri)
    token.pin_file.unlink()
    agent.kill_worker()
    with pytest.raises(p11_server_client.ServerError, match=str(token.pin_file)):
        agent.client.sign(b"x", uri)
    agent.client.ping()
    token.pin_file.write_text(token.pin + "\n")
    assert agent.client.sign(b"x", uri)


def test_the_files_of_tedge_p11_server(server, build, workdir, token, make_key, env):
    """Its environment file, read by us; what is not ours goes to the module."""
    uri = make_key("tls")
    conf = workdir / "tedge-p11-server.conf"
    moved = workdir / "moved.conf"
    (workdir / "token.conf").rename(moved)
    conf.write_text(f'# remark\nTEDGE_DEVICE_CRYPTOKI_MODULE_PATH={token.module}\nTEDGE_DEVICE_CRYPTOKI_PIN="{token.pin}"\n'
                    f"TEDGE_DEVICE_CRYPTOKI_SOCKET_PATH={workdir}/tedge.sock\n HOLDFAST_TOKEN_CONF='{moved}'\n")
    process = server([build / "src/agent/holdfast-agent", "--env-file", conf, "--pkcs11-socket", "none", "--metrics-socket", "none",
                      "--policy", workdir / "policy"], line="INFO: ready", extra_env={"HOLDFAST_TOKEN_CONF": ""})
    assert p11_server_client.Client(workdir / "tedge.sock").sign(b"x", uri)
    assert token.pin not in process.log


def test_reload_takes_a_corrected_environment_file(server, build, workdir, token, make_key):
    uri = make_key("tls")
    conf = workdir / "agent.conf"
    conf.write_text(f"TEDGE_DEVICE_CRYPTOKI_MODULE_PATH={token.module}\nTEDGE_DEVICE_CRYPTOKI_PIN=000000\n")
    agent = agent_kit.Agent(server, build, workdir / "agent", token.module, "--env-file", conf)
    with pytest.raises(p11_server_client.ServerError, match="The specified PIN is incorrect"):
        agent.client.sign(b"x", uri)
    conf.write_text(conf.read_text().replace("000000", token.pin))
    agent.reload()
    agent.wait_for_line("the worker is replaced")
    assert agent.client.sign(b"x", uri)


def test_a_wrong_pin_is_tried_once_whatever_dies(start, faulty, token, make_key):
    uri = make_key("tls")
    token.pin_file.write_text("000000\n")
    agent = start(module=faulty.path, extra_env=faulty.env)

    def refused(_=None):
        with pytest.raises(p11_server_client.ServerError, match="The specified PIN is incorrect"):
            agent.client.sign(b"x", uri)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(refused, range(16)))
    for _ in range(3):
        agent.kill_worker()
        refused()
    assert faulty.logins == 1
    assert agent.status()["tokens"][0]["state"] == "wrong PIN"
    agent.reload()
    agent.wait_for_line("the policy was read again")
    refused()
    assert faulty.logins == 2
    token.pin_file.write_text(token.pin + "\n")
    assert agent.client.sign(b"x", uri)


@pytest.mark.parametrize("options, text", [
    (["--socket-pth", "x"], "Did you mean --socket-path?"),
    (["extra"], 'does not take "extra"'),
    (["--call-deadline", "soon"], "--call-deadline soon is no number"),
    (["--client-timeout", "0"], "--client-timeout 0 is no number above 0"),
    (["--log-level", "loud"], "there is no log level 'loud'"),
    (["--audit", "paper"], "there is no audit target 'paper'"),
    (["--socket-group", "no-such-group"], "there is no group 'no-such-group'"),
    (["--module-path"], "--module-path needs a value: PATH"),
])
def test_wrong_options(run, build, workdir, options, text):
    result = run([build / "src/agent/holdfast-agent", "--socket-path", workdir / "s.sock", *options], code=2)
    assert text in result.stderr


def test_a_module_that_is_missing_is_told_at_the_start_and_to_clients(start, workdir):
    agent = start(module=workdir / "nothing.so")
    agent.wait_for_line("the HSM is not ready")
    assert "nothing.so" in agent.log
    with pytest.raises(p11_server_client.ServerError, match="nothing.so"):
        agent.client.sign(b"x")


# The command line

def test_run_status_and_reload(run, holdfast, server, workdir, token, make_key):
    uri = make_key("tls")
    metrics = workdir / "m.sock"
    process = server([holdfast, "agent", "run", "--module-path", token.module, "--pin-source", token.pin_file, "--socket-path",
                      workdir / "s.sock", "--pkcs11-socket", "none", "--metrics-socket", metrics, "--policy", workdir / "policy"],
                     line="INFO: ready")
    p11_server_client.Client(workdir / "s.sock").sign(b"x", uri)
    status = run([holdfast, "agent", "status", "--metrics-socket", metrics]).stdout
    assert f"running, pid {process.process.pid}" in status
    assert "device (serial" in status and ": ready" in status
    assert '"signatures": 1' in run([holdfast, "agent", "status", "--json", "--metrics-socket", metrics]).stdout
    run([holdfast, "agent", "reload", "--metrics-socket", metrics])
    process.wait_for_line("the policy was read again")


def test_status_without_an_agent(run, holdfast, workdir):
    result = run([holdfast, "agent", "status", "--metrics-socket", workdir / "none.sock"], code=5)
    assert "cannot be reached: the key agent at" in result.stderr and "hint: Start it" in result.stderr
