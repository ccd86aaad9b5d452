"""Pythons that this machine lacks, from other Debian suites: unpacked into the cache, run by their own loader.

Debian 12 has 3.11 only; trixie has 3.13 and sid 3.14. ``mmdebstrap`` unpacks one with what it needs in a few seconds.
A script in the interpreter's place starts it with the suite's own loader and C library, so that it sees this machine's
files like any other Python, without a chroot.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

SUITES: Mapping[str, str] = MappingProxyType({"3.13": "trixie", "3.14": "sid"})
_LIBRARIES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "x86_64": ("lib64/ld-linux-x86-64.so.2", "lib/x86_64-linux-gnu"),
        "aarch64": ("lib/ld-linux-aarch64.so.1", "lib/aarch64-linux-gnu"),
    }
)
_START = """#!/bin/sh
# Debian's {suite} Python, run by its own loader and C library from an unpacked folder.
root=$(dirname "$(dirname "$(readlink -f "$0")")")
exec "$root/{loader}" --argv0 "$0" --library-path "$root/{libraries}" "$root/bin/.python{minor}" "$@"
"""


def installed(cache: Path, minor: str) -> Path | None:
    """The interpreter of the named minor version in the cache, or ``None``."""
    if minor not in SUITES:
        return None
    program = cache / f"debian-{SUITES[minor]}" / "usr" / "bin" / f"python{minor}"
    return program if program.is_file() else None


def can_install() -> bool:
    """Whether this is a Debian machine with ``mmdebstrap``, and we are root there."""
    return os.geteuid() == 0 and shutil.which("mmdebstrap") is not None and platform.machine() in _LIBRARIES


def install(cache: Path, minor: str) -> Path:
    """Unpack the interpreter into the cache and return it.

    Raises:
        subprocess.CalledProcessError: mmdebstrap failed; its own words are on stderr.
    """
    suite = SUITES[minor]
    loader, libraries = _LIBRARIES[platform.machine()]
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="debian-", dir=cache) as scratch:
        root = Path(scratch) / "root"
        # sid's list of packages may have expired on a mirror that is not renewed every day.
        options = ["--variant=extract", "--include=python3", '--aptopt=Acquire::Check-Valid-Until "false"']
        subprocess.run(["mmdebstrap", "--quiet", *options, suite, root], check=True, stdout=subprocess.DEVNULL)
        program = root / "usr" / "bin" / f"python{minor}"
        program.rename(program.with_name(f".python{minor}"))
        program.write_text(_START.format(suite=suite, minor=minor, loader=loader, libraries=libraries))
        program.chmod(0o755)
        place = cache / f"debian-{suite}"
        shutil.rmtree(place, ignore_errors=True)
        root.rename(place)
    return place / "usr" / "bin" / f"python{minor}"
