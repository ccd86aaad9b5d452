"""Fetches the wheels of ``constraints-tools.txt`` once, for every platform that the tests lock for.

``python -m tests.index.wheelhouse pin`` renews the constraints, ``fetch`` downloads what they name. Addresses come
from uv's own resolution at that moment and are kept nowhere; each file is checked against the pinned hash.
"""

from __future__ import annotations

import functools
import hashlib
import shutil
import subprocess
import sys
import tempfile
import tomllib
import urllib.request
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import Marker
from packaging.tags import Tag, compatible_tags, cpython_tags, mac_platforms
from packaging.utils import parse_wheel_filename

from tests.real_parts import cache

_ROOT = Path(__file__).resolve().parents[2]
_PINNED = _ROOT / "constraints-tools.txt"
_WANTED = Path(__file__).with_name("requirements.txt")
_PYTHON_MINORS = (11, 12, 13, 14)
# Debian 12 has glibc 2.36, Debian 13 2.41; images and Lambda ask for 2.28 and 2.34.
_LINUX = (*(f"manylinux_2_{minor}" for minor in range(41, 16, -1)), "manylinux2014")


@dataclass(frozen=True, slots=True)
class _Wheel:
    name: str
    url: str
    sha256: str


def wheels() -> tuple[Path, ...]:
    """The wheels that the present ``constraints-tools.txt`` names, for every platform; none before :func:`fetch`."""
    listing = _listing()
    return tuple(_pool() / name for name in listing.read_text().split()) if listing.is_file() else ()


def fetch() -> None:
    """Download what is missing.

    Raises:
        subprocess.CalledProcessError: uv could not resolve; its own words are on stderr.
        ValueError: a download does not have the hash that was pinned.
    """
    if wheels():
        return
    _pool().mkdir(parents=True, exist_ok=True)
    wanted = tuple(_resolved())
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(_download, wanted))
    _listing().write_text("\n".join(sorted(wheel.name for wheel in wanted)))


def _pool() -> Path:
    return cache() / "wheels"


def _listing() -> Path:
    return _pool() / f"{hashlib.sha256(_PINNED.read_bytes()).hexdigest()[:16]}.txt"


def pin() -> None:
    """Write ``constraints-tools.txt`` from the runtime's, the examples' and the tests' requirements."""
    sources = [_ROOT / "runtime" / "pyproject.toml", *_ROOT.glob("examples/*/pyproject.toml"), _WANTED]
    extra = [line for manifest in sorted(_ROOT.glob("examples/*/mcp-tool.toml")) for line in _dependencies(manifest)]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as more:
        more.write("\n".join(extra))
        more.flush()
        flags = ["--upgrade", "--generate-hashes", "--no-header", "--no-annotate", "--all-extras"]
        left_out = ["--no-emit-package", "mcp-tool-runtime"]
        _uv("pip", "compile", *flags, *left_out, *map(str, sources), more.name, "--output-file", str(_PINNED))


def _dependencies(manifest: Path) -> list[str]:
    tool = tomllib.loads(manifest.read_text()).get("tool", {})
    return [str(line) for line in tool.get("dependencies", [])]


def _resolved() -> Iterator[_Wheel]:
    with tempfile.TemporaryDirectory() as scratch:
        lock = Path(scratch) / "pylock.toml"
        _uv("pip", "compile", "--no-deps", "--format", "pylock.toml", str(_PINNED), "--output-file", str(lock))
        packages = tomllib.loads(lock.read_text())["packages"]
    pinned = _PINNED.read_text()
    for package in packages:
        tags = _tags(package.get("marker"))
        for wheel in package.get("wheels", []):
            name = wheel.get("name") or wheel["url"].rsplit("/", 1)[1]
            if parse_wheel_filename(name)[3] & tags:
                if wheel["hashes"]["sha256"] not in pinned:
                    raise ValueError(f"{name}: its hash is not in {_PINNED.name}; run: make constraints")
                yield _Wheel(name, wheel["url"], wheel["hashes"]["sha256"])


@functools.cache
def _tags(marker: str | None) -> frozenset[Tag]:
    machines = [f"{linux}_{machine}" for linux in _LINUX for machine in ("x86_64", "aarch64")]
    platforms = machines + (list(mac_platforms()) if sys.platform == "darwin" else [])
    found: set[Tag] = set()
    for minor in _PYTHON_MINORS:
        version = {"python_version": f"3.{minor}", "python_full_version": f"3.{minor}.0"}
        if marker is None or Marker(marker).evaluate(version):
            found.update(cpython_tags((3, minor), platforms=platforms))
            found.update(compatible_tags((3, minor), f"cp3{minor}", platforms))
    return frozenset(found)


def _download(wheel: _Wheel) -> None:
    target = _pool() / wheel.name
    if target.is_file():
        return
    part = target.with_name(f"{wheel.name}.part")
    with urllib.request.urlopen(wheel.url, timeout=180) as answer, part.open("wb") as out:
        shutil.copyfileobj(answer, out)
    found = hashlib.sha256(part.read_bytes()).hexdigest()
    if found != wheel.sha256:
        raise ValueError(f"{wheel.name}: SHA-256 {found}, pinned {wheel.sha256}")
    with zipfile.ZipFile(part) as archive:
        inside = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        target.with_name(f"{wheel.name}.metadata").write_bytes(archive.read(inside))
    part.rename(target)


def _uv(*arguments: str) -> None:
    uv = Path(sys.executable).with_name("uv")
    common = ["--quiet", "--universal", "--python-version", "3.11", "--only-binary", ":all:"]
    subprocess.run([uv, *arguments, *common], cwd=_ROOT, check=True)


def _main(arguments: list[str]) -> int:
    match arguments:
        case ["fetch"]:
            fetch()
        case ["pin"]:
            pin()
        case _:
            print("usage: python -m tests.index.wheelhouse fetch | pin", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(_main(sys.argv[1:]))
