# SPDX-License-Identifier: Apache-2.0
"""The key agent's units, as systemd's own tools judge them."""

import shutil

import pytest

import conftest

SYSTEMD = conftest.SOURCE / "packaging/systemd"


def needs(program):
    return pytest.mark.skipif(not shutil.which(program), reason=f"no {program} (package systemd)")


@needs("systemd-analyze")
def test_the_units_are_well_formed(run, build, workdir):
    agent = conftest.built(build / "src/agent/holdfast-agent")
    lines = (build / "packaging/holdfast-agent.service").read_text().splitlines()
    service = "\n".join(f"ExecStart={agent}" if line.startswith("ExecStart=") else line for line in lines)
    (workdir / "holdfast-agent.service").write_text(service + "\n")
    names = ["holdfast-agent.service", "holdfast-agent.socket", "holdfast-agent-signing.socket"]
    for name in names[1:]:
        shutil.copy(SYSTEMD / name, workdir)
    result = run(["systemd-analyze", "verify", "--man=no", *(workdir / name for name in names)], extra_env={"LD_PRELOAD": ""})
    assert not [line for line in result.stderr.splitlines() if "holdfast" in line]


@needs("systemd-analyze")
def test_the_sandbox_is_tight(run, build, workdir):
    shutil.copy(build / "packaging/holdfast-agent.service", workdir)
    result = run(["systemd-analyze", "security", "--offline=true", "--threshold=25", workdir / "holdfast-agent.service"],
                 extra_env={"LD_PRELOAD": ""}, code=None)
    assert result.code == 0, result


@needs("systemd-sysusers")
def test_the_user_is_made(run, workdir):
    root = workdir / "root"
    (root / "etc").mkdir(parents=True)
    run(["systemd-sysusers", f"--root={root}", SYSTEMD / "holdfast.sysusers"], extra_env={"LD_PRELOAD": ""})
    assert "/var/lib/holdfast" in (root / "etc/passwd").read_text()


def test_the_example_policy_is_one(run, holdfast):
    """Its rules are remarks; without the marks they are rules, but for users that a system may not have."""
    example = conftest.SOURCE / "packaging/agent.policy"
    result = run([holdfast, "agent", "check", "--policy", example, "--as", "root", "--op", "sign"])
    assert "by the default" in result.stdout


def test_the_example_s_rules_work(run, holdfast, workdir):
    example = (conftest.SOURCE / "packaging/agent.policy").read_text()
    rules = [line[1:] for line in example.splitlines() if line.startswith(("#allow", "#deny"))]
    assert len(rules) == 6
    policy = workdir / "policy"
    policy.write_text("\n".join(rules).replace("user=mosquitto", "user=nobody").replace("group=sudo", "group=0").replace("user=holdfast", "user=daemon")
                      + "\n")
    check = [holdfast, "agent", "check", "--policy", policy, "--as", "nobody", "--op", "sign", "--key"]
    run([*check, "pkcs11:token=device;object=tls;type=private"])
    run([*check, "pkcs11:token=device;object=other;type=private"], code=1)
    gateway = [holdfast, "agent", "check", "--policy", policy, "--as", "daemon"]
    run([*gateway, "--op", "decrypt", "--key", "pkcs11:token=device;object=secrets;type=private"])
    run([*gateway, "--op", "decrypt", "--key", "pkcs11:token=device;object=tls;type=private"], code=1)
    run([*gateway, "--op", "read", "--secret", "plc/password"], code=1)
