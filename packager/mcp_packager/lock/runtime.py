"""The runtime's wheel, made from the copy of ``mcp_tool`` that mcp-pack runs with, editable or not."""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import importlib.util
import io
import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from mcp_packager.errors import Problem, WorldError
from mcp_packager.store import Store, StoredFile, found_once, write_file

if TYPE_CHECKING:
    from packaging.requirements import Requirement

DISTRIBUTION = "mcp-tool-runtime"
PACKAGE = "mcp_tool"
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class RuntimeWheel:
    """A wheel in the store, and what it says of itself."""

    path: Path
    filename: str
    sha256: str
    version: str


@dataclass(frozen=True, slots=True)
class RuntimeFacts:
    """Version, requirements and extras of the installed runtime, from its metadata."""

    version: str
    requires_python: str
    requires: tuple[str, ...]
    extras: tuple[str, ...]


@cache
def facts() -> RuntimeFacts:
    """What the installed distribution says of itself.

    Raises:
        WorldError: it is not installed beside mcp-pack.
    """
    try:
        metadata = importlib.metadata.metadata(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError as error:
        raise _missing() from error
    return RuntimeFacts(
        version=metadata["Version"],
        requires_python=metadata["Requires-Python"] or ">=3.11",
        requires=tuple(sorted(metadata.get_all("Requires-Dist") or ())),
        extras=tuple(sorted(metadata.get_all("Provides-Extra") or ())),
    )


def requirements(extras: Iterable[str]) -> tuple[Requirement, ...]:
    """What the runtime depends on with these extras chosen; the marker that asks for the extra is gone."""
    from packaging.requirements import Requirement  # 15 ms that only a resolution or a wheel needs

    chosen = set(extras)
    found = []
    for text in facts().requires:
        requirement = Requirement(text)
        marker = str(requirement.marker or "")
        if "extra" in marker:
            if not any(requirement.marker and requirement.marker.evaluate({"extra": extra}) for extra in chosen):
                continue
            requirement.marker = None
        found.append(requirement)
    return tuple(found)


def wheel(store: Store) -> RuntimeWheel:
    """The runtime's wheel, in the store; the same bytes for the same sources, however it is installed.

    Its members are stored, not deflated: deflate's bytes differ between builds of zlib.
    """
    key, members = found_once("members of the runtime", _members)
    filename = f"mcp_tool_runtime-{facts().version}-py3-none-any.whl"

    def make(folder: Path) -> tuple[StoredFile, ...]:
        return (write_file(folder, filename, _zip(members)),)

    entry = store.folder("runtime", key, make)
    return RuntimeWheel(entry.folder / filename, filename, entry.files[0].sha256, facts().version)


def _members() -> tuple[str, dict[str, bytes]]:
    """Every file of the wheel by its path inside, and a hash over all of them."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise _missing()
    root = Path(spec.origin).parent
    files = tuple(sorted(_files(str(root))))
    return _wheel_of(str(root), files)


def _files(folder: str) -> Iterator[tuple[str, int, int]]:
    """Every source file with its time and size, which tell whether it changed since it was read."""
    for item in os.scandir(folder):
        if item.is_dir(follow_symlinks=False):
            if item.name != "__pycache__":
                yield from _files(item.path)
        elif item.is_file() and not item.name.endswith((".pyc", ".pyo")):
            state = item.stat()
            yield item.path, state.st_mtime_ns, state.st_size


@lru_cache(maxsize=2)
def _wheel_of(root: str, files: tuple[tuple[str, int, int], ...]) -> tuple[str, dict[str, bytes]]:
    found = {
        f"{PACKAGE}/{path.removeprefix(root).lstrip(os.sep).replace(os.sep, '/')}": Path(path).read_bytes()
        for path, _, _ in files
    }
    info = f"mcp_tool_runtime-{facts().version}.dist-info"
    found[f"{info}/METADATA"] = _metadata(facts()).encode()
    found[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: mcp-pack\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    found[f"{info}/RECORD"] = _record(found).encode() + f"{info}/RECORD,,\n".encode()
    members = dict(sorted(found.items(), key=lambda item: (".dist-info/" in item[0], item[0])))
    return hashlib.sha256(_record(members).encode()).hexdigest(), members


def _metadata(known: RuntimeFacts) -> str:
    lines = ["Metadata-Version: 2.1", f"Name: {DISTRIBUTION}", f"Version: {known.version}"]
    lines.append(f"Requires-Python: {known.requires_python}")
    lines.extend(f"Requires-Dist: {requirement}" for requirement in known.requires)
    lines.extend(f"Provides-Extra: {extra}" for extra in known.extras)
    return "\n".join(lines) + "\n"


def _record(members: Mapping[str, bytes]) -> str:
    return "".join(f"{path},{record_hash(data)},{len(data)}\n" for path, data in sorted(members.items()))


def record_hash(data: bytes) -> str:
    """A hash as a wheel's RECORD writes it (PEP 427)."""
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def _zip(members: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path, data in members.items():
            info = zipfile.ZipInfo(path, _ZIP_TIME)
            info.create_system = 3
            info.external_attr = 0o100644 << 16
            archive.writestr(info, data)
    return buffer.getvalue()


def _missing() -> WorldError:
    return WorldError(
        Problem(
            what=f"{DISTRIBUTION} is not installed beside mcp-pack",
            fix="Install mcp-pack again; both distributions belong together",
        )
    )
