"""Python interpreters on this machine: found, tried once, remembered.

Nothing is ever downloaded. A candidate counts when it runs, is CPython, and says what it is; a pyenv shim
without its version, or a broken link, does not.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import sys
import sysconfig
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcp_packager.errors import PackError, Problem, UserError
from mcp_packager.platforms import Platform
from mcp_packager.process import run
from mcp_packager.store import Store

PROBE_SECONDS = 60.0
"""An interpreter under emulation takes many seconds to start."""

_WRAPPER_TRUSTED = 3600.0
_NAMED = re.compile(r"python(?P<minor>3(?:\.\d+)?)?\Z")
_VERSIONED = re.compile(r"(?P<minor>3\.\d+)(?:\.\d+)?\Z")
_PLAIN = re.compile(r"\d+(?:\.\d+)*", re.ASCII)
_LEAST = re.compile(r">= ?(\d+(?:\.\d+)*)", re.ASCII)
_PROBE = """
import json, platform, sys, sysconfig
print(json.dumps({
    "version": platform.python_version(), "implementation": sys.implementation.name,
    "executable": sys.executable, "system": sys.platform, "machine": platform.machine(),
    "libc": list(platform.libc_ver()),
    "threads": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
}))
"""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """One interpreter: absolute ``path``, full ``version`` such as ``3.11.7``, ``minor`` such as ``3.11``."""

    path: Path
    version: str
    minor: str
    implementation: str
    tag: str
    """The uv platform that its machine and C library fit, such as ``x86_64-manylinux_2_28``."""

    @property
    def identity(self) -> str:
        """What bytecode made by it depends on, such as ``cpython-3.11.7``."""
        return f"{self.implementation}-{self.version}"

    @property
    def is_running(self) -> bool:
        """Whether it is the one that runs this code."""
        return self.path == _own_path()


def find(
    requirement: str,
    *,
    minors: Sequence[str] | None = None,
    newest: bool = False,
    store: Store | None = None,
) -> Interpreter:
    """An interpreter that satisfies ``requirement``, such as ``>=3.11``.

    Args:
        requirement: a version specifier.
        minors: the only minor versions that will do, such as ``("3.12", "3.13")``; any by default.
        newest: the highest version of all that are found, instead of the first in the order: the running one,
            ``PATH``, pyenv's versions folder, ``MCP_PACK_PYTHONS`` (paths separated like ``PATH``; a path may
            be a script that starts an interpreter elsewhere, in a chroot say).
        store: where answers of candidates are remembered; the shared store by default.

    Raises:
        UserError: there is none; the problem lists what was looked at and the fix.
    """
    cache = store or Store()
    seen: list[str] = []
    best: Interpreter | None = None
    for interpreter in _candidates(cache, minors, seen):
        if interpreter.minor not in (minors or (interpreter.minor,)):
            continue
        if not _fits(interpreter.version, requirement):
            continue
        if not newest:
            return interpreter
        if best is None or _later(interpreter.version, best.version):
            best = interpreter
    if best is not None:
        return best
    raise UserError(_nothing_found(requirement, minors, seen))


def _fits(version: str, requirement: str) -> bool:
    plain, least = _PLAIN.fullmatch(version), _LEAST.fullmatch(requirement)
    if plain and least:
        return _numbers(version) >= _numbers(least[1])
    from packaging.specifiers import SpecifierSet  # 10 ms that few requirements need

    return SpecifierSet(requirement).contains(version, prereleases=True)


def _later(version: str, other: str) -> bool:
    from packaging.version import Version

    return Version(version) > Version(other)


def _numbers(version: str) -> tuple[int, ...]:
    """The numbers of a release, without zeros at its end: 3.11 and 3.11.0 are the same."""
    return tuple(int(part) for part in re.sub(r"(\.0+)+$", "", version).split("."))


def host_platform(interpreter: Interpreter) -> Platform:
    """The platform whose wheels run on this interpreter.

    Deliberately coarse (``manylinux_2_28``, else ``manylinux_2_17``), so that one lock holds on every
    machine of a team and in most images.
    """
    return Platform(interpreter.minor, interpreter.tag)


def running() -> Interpreter:
    """The interpreter that runs this code, without asking it anything."""
    return Interpreter(
        _own_path(),
        platform.python_version(),
        f"{sys.version_info.major}.{sys.version_info.minor}",
        sys.implementation.name,
        _tag(sys.platform, platform.machine(), *_own_libc()),
    )


def _own_path() -> Path:
    """The interpreter itself: a virtual environment's link may go away, what it points to rarely does."""
    return Path(sys.executable).resolve()


def _own_libc() -> tuple[str, str]:
    try:
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    except (AttributeError, ValueError, OSError):
        return platform.libc_ver()
    return name, version


def _candidates(store: Store, minors: Sequence[str] | None, seen: list[str]) -> Iterator[Interpreter]:
    """Interpreters in order, each once; what was looked at goes into ``seen``."""
    own = running()
    seen.append(f"{own.path} ({own.version}, running)")
    done = {own.path}
    if own.implementation == "cpython" and not sysconfig.get_config_var("Py_GIL_DISABLED"):
        yield own
    for path in (*_on_path(minors), *_in_pyenv(minors), *_named_by_user()):
        real = path.resolve()
        if real in done:
            continue
        done.add(real)
        answer = _probe(path, store)
        if isinstance(answer, str):
            seen.append(f"{path} ({answer})")
            continue
        seen.append(f"{path} ({answer.version})")
        if answer.path == path or answer.path.resolve() not in done:
            done.add(answer.path.resolve())
            yield answer


def _on_path(minors: Sequence[str] | None) -> Iterator[Path]:
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        found = [
            (-len(entry.name), Path(entry.path))
            for entry in _entries(folder)
            if (named := _NAMED.match(entry.name)) and _could_be(named["minor"], minors)
        ]
        yield from (path for _, path in sorted(found) if os.access(path, os.X_OK))


def _entries(folder: str | Path) -> list[os.DirEntry[str]]:
    """What is in a folder; nothing where there is none or it is closed to us."""
    try:
        return list(os.scandir(folder)) if str(folder) else []
    except OSError:
        return []


def _in_pyenv(minors: Sequence[str] | None) -> Iterator[Path]:
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    for entry in sorted(_entries(root / "versions"), key=lambda entry: entry.name, reverse=True):
        folder = Path(entry.path)
        named = _VERSIONED.match(folder.name)
        python = folder / "bin" / "python3"
        if named and _could_be(named["minor"], minors) and os.access(python, os.X_OK):
            yield python


def _named_by_user() -> Iterator[Path]:
    for entry in os.environ.get("MCP_PACK_PYTHONS", "").split(os.pathsep):
        if entry:
            yield Path(entry).expanduser().absolute()


def _could_be(minor: str | None, minors: Sequence[str] | None) -> bool:
    """Whether a name such as ``python3`` or ``python3.8`` may hold one of the wanted minors."""
    if minor in {None, "3"}:
        return True
    major, _, number = str(minor).partition(".")
    return (major, int(number)) >= ("3", 11) and (minors is None or minor in minors)


def _probe(path: Path, store: Store) -> Interpreter | str:
    """Ask an interpreter what it is, or say why it does not count. Remembered by path, time and size."""
    try:
        state = path.stat()
    except OSError as error:
        return error.strerror or "unreadable"
    key = hashlib.sha256(f"{path}\0{state.st_mtime_ns}\0{state.st_size}\0{state.st_ino}".encode()).hexdigest()
    known = store.record("interpreters", key)
    if known is None or (known["wrapper"] and time.time() - known["asked"] > _WRAPPER_TRUSTED):
        known = {"answer": _ask(path), "asked": time.time(), "wrapper": _is_script(path)}
        store.remember("interpreters", key, known)
    answer = known["answer"]
    if isinstance(answer, str):
        return answer
    if answer["implementation"] != "cpython":
        return f"{answer['implementation']}, not CPython"
    if answer["threads"]:
        return "a free-threaded build"
    minor = ".".join(answer["version"].split(".")[:2])
    tag = _tag(answer["system"], answer["machine"], *answer["libc"])
    if path.parent.name == "shims" and answer["executable"] and Path(answer["executable"]).is_file():
        path = Path(answer["executable"])  # a shim picks by folder and environment; what it picked now is steady
    return Interpreter(path, answer["version"], minor, answer["implementation"], tag)


def _ask(path: Path) -> dict[str, Any] | str:
    try:
        done = run([path, "-I", "-S", "-B", "-c", _PROBE], timeout=PROBE_SECONDS)
    except PackError as error:
        return error.problems[0].what
    if not done.ok:
        return "does not run"
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        return "does not answer like Python"
    return answer if isinstance(answer, dict) else "does not answer like Python"


def _is_script(path: Path) -> bool:
    try:
        with path.open("rb") as handle:
            return handle.read(2) == b"#!"
    except OSError:
        return True


def _tag(system: str, machine: str, libc: str = "", version: str = "") -> str:
    """Uv's platform name (``uv pip compile --python-platform``) for what an interpreter said of itself."""
    arch = {"amd64": "x86_64", "arm64": "aarch64"}.get(machine.lower(), machine.lower())
    if system == "darwin":
        return f"{arch}-apple-darwin"
    if system == "win32":
        return f"{arch}-pc-windows-msvc"
    if libc != "glibc":
        return f"{arch}-unknown-linux-musl"
    major, _, minor = version.partition(".")
    recent = (int(major or 0), int(minor or 0)) >= (2, 28)
    return f"{arch}-manylinux_2_28" if recent else f"{arch}-manylinux_2_17"


def _nothing_found(requirement: str, minors: Sequence[str] | None, seen: Sequence[str]) -> Problem:
    wanted = f"Python {requirement}" + (f" of {', '.join(minors)}" if minors else "")
    return Problem(
        what=f"No interpreter for {wanted} is on this machine",
        fix=(
            f"Install Python {(minors or (requirement,))[-1]} (your system's packages, pyenv, `uv python install`), "
            "or name one in MCP_PACK_PYTHONS=/path/to/python"
        ),
        expected=wanted,
        found="; ".join(seen),
    )
