"""The systemd user unit: its text, where it is not to be had, and its life from deploy to destroy."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from mcp_packager.errors import WorldError
from mcp_packager.target import Identity
from mcp_packager.testing import Pack
from mcp_targets.local.places import Places
from mcp_targets.local.unit import Unit, missing
from tests.targets.test_local_life import SECRET, Deployment

# Does what `systemctl --user` does to files, and writes down what it was told.
_SYSTEMCTL = """\
#!/bin/sh
echo "$*" >> "{log}"
units="$XDG_CONFIG_HOME/systemd/user"
case "$2" in
  enable) mkdir -p "$units/default.target.wants" && ln -sf "../$3" "$units/default.target.wants/$3" ;;
esac
exit {code}
"""


def systemctl(folder: Path, code: int = 0) -> dict[str, str]:
    """An environment in which systemctl is ours."""
    programs = folder / "programs"
    programs.mkdir()
    program = programs / "systemctl"
    program.write_text(_SYSTEMCTL.format(log=folder / "told", code=code))
    program.chmod(0o755)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    return {"PATH": path, "XDG_CONFIG_HOME": str(folder / "config"), "MCP_PACK_HOME": str(folder / "home")}


def test_a_machine_without_user_units_is_told_so(tmp_path: Path) -> None:
    assert missing({"PATH": str(tmp_path)}) == "there is no systemctl"
    assert missing(systemctl(tmp_path, code=1)) == "systemctl ended with 1"
    made = Deployment(tmp_path)
    pack = Pack(made.folder, "local", {**systemctl_here(tmp_path), "TOKEN": SECRET})
    told = pack.run("deploy", "--yes", "--install-unit", expect=(1,)).told
    assert "this machine has no systemd user units" in told
    assert "leave --install-unit and install_unit away" in told
    assert made.status()["state"] == "absent"


def systemctl_here(folder: Path) -> dict[str, str]:
    return {"PATH": f"{folder / 'programs'}{os.pathsep}{os.environ['PATH']}", "MCP_PACK_HOME": str(folder / "home")}


def test_it_comes_with_a_deploy_and_goes_with_destroy(tmp_path: Path) -> None:
    made = Deployment(tmp_path, "install_unit = true")
    pack = Pack(made.folder, "local", {**systemctl(tmp_path), "TOKEN": SECRET})
    unit = Unit(made.places, pack.environ)
    try:
        assert "linger" in pack.run("deploy", "--yes").told
        assert unit.observe() is not None
        told = (tmp_path / "told").read_text().splitlines()
        assert [line for line in told if "show" not in line] == ["--user daemon-reload", f"--user enable {unit.name}"]
        assert SECRET not in unit.file.read_text()
        assert pack.run("plan", "--exit-code").code == 0
        unit.file.write_text(unit.file.read_text() + "# by hand\n")
        assert "unit" in pack.run("drift", expect=(4,)).told
        pack.run("deploy", "--yes")
        assert pack.run("drift").code == 0
    finally:
        pack.run("destroy", "--yes")
    assert [path for path in (tmp_path / "config").rglob("*") if not path.is_dir()] == []


def test_systemd_that_does_not_take_it_is_told(tmp_path: Path) -> None:
    environ = systemctl(tmp_path, code=1)
    with pytest.raises(WorldError, match="systemctl --user daemon-reload failed"):
        Unit(Places.of(Identity("lively", "lively"), environ), environ).install("/usr/bin/python3")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze to judge it")
def test_systemd_understands_it(tmp_path: Path) -> None:
    strange = tmp_path / 'a folder of 50% "quoted" $HOME'
    environ = {"MCP_PACK_HOME": str(strange), "PATH": '/usr/bin:/odd "%h" $x', "LANG": "C.UTF-8"}
    places = Places.of(Identity("lively", "lively"), environ)
    places.run.mkdir(parents=True)
    unit = Unit(places, environ)
    text = unit.text("/usr/bin/env")
    file = tmp_path / unit.name
    file.write_text(text)
    judged = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(file)], capture_output=True, text=True, check=False
    )
    assert unit.name not in judged.stderr, judged.stderr
    assert 'Environment="LANG=C.UTF-8"' in text
    assert "$$HOME" in text
    assert "50%%" in text
