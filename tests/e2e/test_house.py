# SPDX-License-Identifier: Apache-2.0
"""What stands around the programs: the installed layout, the front door."""

import shutil

import pytest
from conftest import SOURCE


@pytest.fixture
def installed(build, run, workdir):
    """The root of an installation, at another place than the one it was configured for."""
    run(["meson", "install", "-C", build, "--no-rebuild", "--destdir", workdir / "root"])
    return next((workdir / "root").rglob("bin/holdfast")).parents[1]


def test_an_installation_is_complete_and_finds_its_own_parts(installed, token_conf, run):
    names = {str(path.relative_to(installed)) for path in installed.rglob("*") if not path.is_dir()}
    for wanted in ("pkcs11/libholdfast-token.so", "ossl-modules/holdfast.so", "share/man/man1/holdfast.1",
                   "share/bash-completion/completions/holdfast.bash", "libexec/holdfast/softhsm2-util"):
        assert any(name.endswith(wanted) for name in names), (wanted, names)
    # The real softhsm2-util stays the one in PATH.
    assert [path.name for path in (installed / "bin").iterdir() if path.name != "holdfast" and "holdfast" not in path.name] == []
    assert "free" in run([installed / "bin/holdfast", "token", "list"]).stdout
    assert "Slot 0" in run([installed / "libexec/holdfast/softhsm2-util", "--show-slots"]).stdout


def test_the_front_door_lists_its_commands_and_refuses_others(run):
    dev = SOURCE / "dev"
    listed = run([dev, "help"]).stdout
    for command in ("demo", "test", "bench", "lint", "asan", "tsan", "fuzz", "build", "install", "help"):
        assert f"\n  {command} " in listed
    refused = run([dev, "deploy"], code=1)
    assert "there is no command 'deploy'" in refused.stderr
    assert "is neither unit nor e2e" in run([dev, "test", "everything"], code=1).stderr
    assert "no number of seconds" in run([dev, "fuzz", "long"], code=1).stderr


def test_the_front_door_says_what_to_do_where_packages_cannot_be_had(run, workdir):
    """A machine that is offline, and a user without root or sudo."""
    bin = workdir / "bin"
    bin.mkdir()
    for name in ("sh", "dirname", "readlink", "tr", "sort", "grep", "sed", "mktemp", "tail", "rm", "env", "cat"):
        (bin / name).symlink_to(shutil.which(name))
    fakes = {"dpkg-query": "exit 1", "apt-get": "echo 'Temporary failure resolving'; exit 100", "id": "echo 0"}
    for name, body in fakes.items():
        (bin / name).write_text(f"#!/bin/sh\n{body}\n")
        (bin / name).chmod(0o755)
    script = (SOURCE / "dev").read_text().replace("PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH", f"PATH={bin}")
    (workdir / "dev").write_text(script)
    offline = run(["sh", workdir / "dev", "build"], code=1)
    assert "Missing for 'build': gcc" in offline.stdout
    assert "Temporary failure resolving" in offline.stderr and "Is this machine online?" in offline.stderr
    (bin / "id").write_text("#!/bin/sh\necho 1000\n")
    assert "as root, run: apt-get install --no-install-recommends gcc" in run(["sh", workdir / "dev", "build"], code=1).stderr


def test_the_total_counts_failures_of_every_runner(run, workdir):
    """Two reports, one with a failure and an error; text that looks like a report is none."""
    (workdir / "a.xml").write_text('<testsuites tests="9"><testsuite name="x" tests="5" errors="1" failures="1" skipped="1">'
                                   "<system-out>&lt;testsuite tests=\"99\"</system-out></testsuite></testsuites>")
    (workdir / "b.xml").write_text('<testsuites><testsuite name="pytest" errors="0" failures="0" skipped="2" tests="10"/></testsuites>')
    function = (SOURCE / "dev").read_text().split("sum_reports() {")[1].split("\n}\n")[0]
    assert run(f"sum_reports() {{{function}\n}}\nsum_reports a.xml b.xml").stdout == "10 2 3\n"
