"""The bundle as one file beside the wheel: what another deploy takes as it is, on another stage or another machine."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from mcp_packager.bundle import Bundle, Entry, Inline
from mcp_packager.bundle.entries import make
from mcp_packager.errors import Place, Problem, UserError
from mcp_packager.interpreters import find, host_platform
from mcp_packager.platforms import Platform

if TYPE_CHECKING:
    from mcp_packager.target import Artifact

FILE: Final = "bundle.zip"
PYTHON: Final = "python"
"""The fact of an artifact that is taken: which interpreter is to run it."""
_PARCEL: Final = "bundle"


def parcel(bundle: Bundle, output: Path) -> dict[str, Any]:
    """Write the file into ``output``; the facts that say what it is.

    Raises:
        UserError: the bundle is larger than a zip may be.
        WorldError: the system does not let it be written.
    """
    from mcp_packager.bundle.zip import write_zip

    write_zip(bundle, output / FILE)
    platform = bundle.platform
    return {
        _PARCEL: {"python": platform.python, "tag": platform.tag, "interpreter": bundle.interpreter_version},
    }


def fitting(artifact: Artifact, target: str) -> Artifact:
    """The artifact with the interpreter of this machine that runs it.

    Raises:
        UserError: it is an image, or another target's, or holds no bundle, or is for another machine or Python.
    """
    if artifact.target != target or artifact.path is None:
        raise UserError(
            Problem(
                f"the target {target} runs no images and nothing that was built for another target",
                "deploy it with --target docker, or build it for this machine: bundle = true under [target.local], "
                "then mcp-pack build --target local",
                found="an image in a registry" if artifact.path is None else f"an artifact for {artifact.target}",
            )
        )
    if _PARCEL not in artifact.facts:
        raise UserError(
            Problem(
                "that artifact is a wheel alone, which leaves to the installer what it depends on",
                "set bundle = true under [target.local], run mcp-pack build --target local, and name its folder",
            )
        )
    platform = _platform(artifact)
    interpreter = find(f"=={platform.python}.*", minors=(platform.python,))
    here = host_platform(interpreter)
    if here != platform:
        raise UserError(
            Problem(
                "that artifact was built for another kind of machine",
                "build it on a machine like this one",
                expected=str(here),
                found=str(platform),
            )
        )
    return replace(artifact, facts={**artifact.facts, PYTHON: str(interpreter.path)})


def opened(artifact: Artifact, folder: Path) -> Bundle:
    """The bundle in the file, held against the artifact's digest.

    Raises:
        UserError: the file is missing, or holds something else.
    """
    path = folder / FILE
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [_entry(archive, member) for member in archive.infolist()]
    except (OSError, zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise _not_it(path) from error
    bundle = make(entries, _platform(artifact), artifact.facts[_PARCEL]["interpreter"])
    if f"sha256:{bundle.hash}" != artifact.digest:
        raise _not_it(path)
    return bundle


def _entry(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Entry:
    inside = PurePosixPath(member.filename)
    if inside.is_absolute() or ".." in inside.parts or member.is_dir():
        raise zipfile.BadZipFile(member.filename)
    data = archive.read(member)
    mode = member.external_attr >> 16 & 0o777
    return Entry(member.filename, mode, hashlib.sha256(data).hexdigest(), len(data), Inline(data))


def _platform(artifact: Artifact) -> Platform:
    held = artifact.facts[_PARCEL]
    return Platform(held["python"], held["tag"])


def _not_it(path: Path) -> UserError:
    return UserError(
        Problem("this is not the bundle that artifact.json names", "build it again: mcp-pack build", Place(str(path)))
    )
