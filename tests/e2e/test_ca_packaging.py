# SPDX-License-Identifier: Apache-2.0
"""The certificate authority's unit, as systemd's own tools judge it."""

import shutil

import pytest

import conftest

needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze (package systemd)")


@needs_systemd
def test_the_unit_is_well_formed(run, build, workdir):
    ca = conftest.built(build / "src/ca/holdfast-ca")
    lines = (build / "packaging/holdfast-ca.service").read_text().splitlines()
    service = "\n".join(f"ExecStart={ca}" if line.startswith("ExecStart=") else line for line in lines)
    (workdir / "holdfast-ca.service").write_text(service + "\n")
    result = run(["systemd-analyze", "verify", "--man=no", workdir / "holdfast-ca.service"], extra_env={"LD_PRELOAD": ""})
    assert not [line for line in result.stderr.splitlines() if "holdfast" in line]


@needs_systemd
def test_the_sandbox_is_tight(run, build, workdir):
    shutil.copy(build / "packaging/holdfast-ca.service", workdir)
    result = run(["systemd-analyze", "security", "--offline=true", "--threshold=25", workdir / "holdfast-ca.service"],
                 extra_env={"LD_PRELOAD": ""}, code=None)
    assert result.code == 0, result
