"""Interpreters: the running one first, then what is found and runs; never a shim that does not."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from mcp_packager import interpreters
from mcp_packager.errors import UserError
from mcp_packager.interpreters import find, host_platform, running
from mcp_packager.store import Store


def _fake(
    folder: Path,
    name: str,
    version: str,
    *,
    implementation: str = "cpython",
    libc: str = "2.36",
    log: Path | None = None,
) -> Path:
    """A program that answers the question like an interpreter of that version."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    answer = (
        f'{{"version": "{version}", "implementation": "{implementation}", "executable": "/nowhere/python", '
        f'"system": "linux", "machine": "aarch64", "libc": ["glibc", "{libc}"], "threads": false}}'
    )
    path.write_text(f"#!/bin/sh\n{f'echo x >> {log}' if log else ':'}\necho '{answer}'\n")
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def _nothing_around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}/bin")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.delenv("MCP_PACK_PYTHONS", raising=False)
    monkeypatch.setattr(interpreters, "_on_path", _only(interpreters._on_path, tmp_path))


def _only(original: object, folder: Path) -> object:
    """What is on PATH below a folder: the machine's own interpreters are not the test's business."""

    def found(minors: object) -> list[Path]:
        return [path for path in original(minors) if path.is_relative_to(folder)]  # type: ignore[operator]  # a function

    return found


def test_the_running_one_comes_first(store: Store, tmp_path: Path) -> None:
    _fake(tmp_path / "bin", "python3", "3.99.1")
    found = find(">=3.11", store=store)
    assert found.path == Path(sys.executable).resolve()
    assert found == running()
    assert found.is_running
    assert found.identity == f"cpython-{'.'.join(map(str, sys.version_info[:3]))}"


def test_path_then_pyenv_then_the_named_ones(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_path = _fake(tmp_path / "bin", "python3.93", "3.93.1")
    in_pyenv = _fake(tmp_path / "pyenv" / "versions" / "3.94.0" / "bin", "python3", "3.94.0")
    named = _fake(tmp_path / "elsewhere", "my-python", "3.95.2")
    monkeypatch.setenv("MCP_PACK_PYTHONS", f"{tmp_path / 'missing'}{os.pathsep}{named}")
    assert find(">=3.90", store=store).path == on_path
    assert find(">=3.94", store=store).path == in_pyenv
    assert find(">=3.95", store=store).path == named
    assert find(">=3.11", minors=["3.93", "3.94", "3.95"], newest=True, store=store).path == named
    assert find(">=3.11", minors=["3.93", "3.94"], newest=True, store=store).path == in_pyenv
    assert find(">=3.11", newest=True, store=store).version == "3.95.2"


def test_a_candidate_is_asked_once_until_it_changes(store: Store, tmp_path: Path) -> None:
    log = tmp_path / "log"
    path = _fake(tmp_path / "bin", "python3", "3.93.1", log=log)
    os.utime(path, (1000, 1000))
    for _ in range(3):
        assert find(">=3.93", store=store).version == "3.93.1"
    assert log.read_text() == "x\n"
    _fake(tmp_path / "bin", "python3", "3.94.0", log=log)
    assert find(">=3.93", store=store).version == "3.94.0"


def test_what_does_not_run_or_does_not_answer_or_is_not_cpython_is_passed_over_and_listed(
    store: Store, tmp_path: Path
) -> None:
    bin_folder = tmp_path / "bin"
    for name, body in {
        "python3.91": "#!/bin/sh\necho 'pyenv: python3.91: command not found' >&2\nexit 127\n",
        "python3.92": "#!/bin/sh\necho hello\n",
        "python3.93": "#!/no/such/program\n",
    }.items():
        bin_folder.mkdir(exist_ok=True)
        (bin_folder / name).write_text(body)
        (bin_folder / name).chmod(0o755)
    _fake(bin_folder, "python3.94", "3.94.0", implementation="pypy")
    (bin_folder / "python3.95").write_text("")  # not executable
    _fake(bin_folder, "python3.8", "3.8.1", log=tmp_path / "asked")
    with pytest.raises(UserError, match=r"No interpreter for Python >=3\.90") as caught:
        find(">=3.90", store=store)
    problem = caught.value.problems[0]
    assert problem.found is not None
    for part in ("python3.91 (does not run)", "does not answer", "python3.93", "pypy, not CPython", "running)"):
        assert part in problem.found
    assert "python3.95" not in problem.found
    assert "MCP_PACK_PYTHONS" in problem.fix
    assert not (tmp_path / "asked").exists()


def test_a_shim_stands_for_what_it_picks(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shim = tmp_path / "bin" / "shims" / "python3.93"
    real = _fake(tmp_path / "real", "python3", "3.93.0")
    shim.parent.mkdir(parents=True)
    shim.write_text(real.read_text().replace("/nowhere/python", str(real)))
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", str(shim.parent))
    assert find(">=3.93", store=store).path == real


def test_a_wrapper_is_taken_as_it_is(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrapper = tmp_path / "chroot-python"
    wrapper.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("MCP_PACK_PYTHONS", str(wrapper))
    monkeypatch.setattr(interpreters, "running", _old)
    found = find(">=3.11", store=store)
    assert found.path == wrapper
    assert found.version == ".".join(map(str, sys.version_info[:3]))
    assert host_platform(found) == host_platform(running())


def _old() -> interpreters.Interpreter:
    return interpreters.Interpreter(Path("/old/python"), "3.10.0", "3.10", "cpython", "x86_64-manylinux_2_28")


@pytest.mark.parametrize(
    ("libc", "tag"),
    [("2.36", "aarch64-manylinux_2_28"), ("2.28", "aarch64-manylinux_2_28"), ("2.26", "aarch64-manylinux_2_17")],
)
def test_a_platform_is_as_coarse_as_a_shared_lock_wants(store: Store, tmp_path: Path, libc: str, tag: str) -> None:
    _fake(tmp_path / "bin", "python3", "3.93.1", libc=libc)
    platform = host_platform(find(">=3.93", store=store))
    assert (platform.python, platform.tag) == ("3.93", tag)


@pytest.mark.parametrize(
    ("system", "machine", "libc", "tag"),
    [
        ("darwin", "arm64", "", "aarch64-apple-darwin"),
        ("linux", "x86_64", "", "x86_64-unknown-linux-musl"),
        ("linux", "amd64", "glibc", "x86_64-manylinux_2_28"),
        ("win32", "AMD64", "", "x86_64-pc-windows-msvc"),
    ],
)
def test_uv_names_of_other_systems(system: str, machine: str, libc: str, tag: str) -> None:
    assert interpreters._tag(system, machine, libc, "2.39") == tag


@pytest.mark.parametrize("requirement", [">=3.11", ">= 3.11.0", ">=3.11.8", ">=3", ">=3.10", "~=3.11", ">=3.11,<3.12"])
@pytest.mark.parametrize("version", ["3.11", "3.11.0", "3.11.7", "3.12.1", "3.10.9", "3.13.0rc1"])
def test_a_version_fits_as_the_library_for_it_says(version: str, requirement: str) -> None:
    expected = SpecifierSet(requirement).contains(version, prereleases=True)
    assert interpreters._fits(version, requirement) is expected
