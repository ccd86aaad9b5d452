"""A bundle as a wheel that ``uvx --from FILE NAME`` or ``pipx run --spec FILE NAME`` serves over stdio.

The author's import root and ``mcp_tool`` lie at the top. A private package holds ``tool.json``, ``contract.json`` and
``[env]``, as defaults that the client's own environment overrides. The console script has the tool's name. Nothing of
mcp-pack need be published: what the tool and the runtime depend on directly is required at exactly the versions of the
bundle; what those depend on is left to the installer, because it may run on another platform. Members are stored, not
deflated: deflate's bytes differ between builds of zlib, and the wheel shall not.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mcp_packager.bundle.archives import Archives
from mcp_packager.bundle.assemble import canonical
from mcp_packager.bundle.entries import Bundle, content
from mcp_packager.errors import Place, Problem, UserError
from mcp_packager.files import write_atomic, writing
from mcp_packager.lock import RUNTIME, gather, record_hash, runtime_requirements
from mcp_packager.platforms import Platform

if TYPE_CHECKING:
    from packaging.requirements import Requirement

    from mcp_packager.manifest import Manifest

_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
_LAUNCHER = '''"""Serves the tool that this wheel holds."""

from pathlib import Path

from mcp_tool.__main__ import main as run


def main() -> int:
    return run(bundle=Path(__file__).parent)
'''


def write_wheel(bundle: Bundle, manifest: Manifest, output: Path) -> Path:
    """Write the wheel into the folder ``output`` and return its path; the same bytes for the same bundle.

    Raises:
        UserError: a folder of the author's has the name of the wheel's private package.
        WorldError: the system does not let it be written.
    """
    name = re.sub(r"[-_.]+", "_", manifest.tool.name).lower()
    version = manifest.tool.version
    private = f"_{name}_bundle"
    members: dict[str, tuple[int, bytes]] = {}
    archives = Archives()
    for entry in bundle.entries:
        if inner := _inside(entry.path, private):
            if inner.split("/")[0] == private and entry.path.startswith("app/"):
                raise UserError(_taken(private))
            members[inner] = (entry.mode, content(entry, archives))
    members[f"{private}/__init__.py"] = (0o644, _LAUNCHER.encode())
    members[f"{private}/config.json"] = (0o644, canonical({"schema": 1, "env": dict(manifest.contract_env)}))
    info = f"{name}-{version}.dist-info"
    tag = _tag(bundle.platform) if any(path.endswith((".so", ".pyd", ".dylib")) for path in members) else "py3-none-any"
    members[f"{info}/METADATA"] = (0o644, _metadata(bundle, manifest).encode())
    members[f"{info}/WHEEL"] = (0o644, _wheel(tag).encode())
    script = f"[console_scripts]\n{manifest.tool.name} = {private}:main\n"
    members[f"{info}/entry_points.txt"] = (0o644, script.encode())
    members[f"{info}/RECORD"] = (0o644, _record(members, info).encode())
    path = output / f"{name}-{version}-{tag}.whl"
    with writing(path):
        write_atomic(path, _zip(members, info))
    return path


def _inside(path: str, private: str) -> str | None:
    """Where an entry goes in the wheel; ``None`` for what the installer brings or makes itself."""
    if "/__pycache__/" in path:
        return None
    if path.startswith("app/"):
        return path.removeprefix("app/")
    if path.startswith("lib/mcp_tool/"):
        return path.removeprefix("lib/")
    return f"{private}/{path}" if path in {"tool.json", "contract.json"} else None


def _metadata(bundle: Bundle, manifest: Manifest) -> str:
    lines = ["Metadata-Version: 2.1", f"Name: {manifest.tool.name}", f"Version: {manifest.tool.version}"]
    if manifest.tool.description:
        lines.append(f"Summary: {' '.join(manifest.tool.description.split())}")
    lines.append(f"Requires-Python: {manifest.tool.python}")
    lines.extend(f"Requires-Dist: {line}" for line in sorted(set(_requirements(bundle, manifest))))
    return "\n".join(lines) + "\n"


def _requirements(bundle: Bundle, manifest: Manifest) -> Iterator[str]:
    """Direct requirements of the tool and the runtime, at the versions that the bundle holds."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    versions = _versions(bundle)
    extras: set[str] = set()
    for text in gather(manifest).requirements:
        requirement = Requirement(text)
        if canonicalize_name(requirement.name) == RUNTIME:
            extras |= requirement.extras
        else:
            yield _pinned(requirement, versions)
    for requirement in runtime_requirements(extras):
        yield _pinned(requirement, versions)


def _pinned(requirement: Requirement, versions: Mapping[str, str]) -> str:
    from packaging.utils import canonicalize_name

    version = versions.get(canonicalize_name(requirement.name))
    if version is None:
        return str(requirement)
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    marker = f" ; {requirement.marker}" if requirement.marker else ""
    return f"{requirement.name}{extras}=={version}{marker}"


def _versions(bundle: Bundle) -> dict[str, str]:
    """Distribution to version, from the names of the metadata folders."""
    from packaging.utils import canonicalize_name

    found: dict[str, str] = {}
    for entry in bundle.entries:
        parts = entry.path.split("/")
        if len(parts) == 3 and parts[2] == "METADATA" and parts[1].endswith(".dist-info"):
            name, _, version = parts[1].removesuffix(".dist-info").rpartition("-")
            found[canonicalize_name(name)] = version
    return found


def _wheel(tag: str) -> str:
    pure = "true" if tag == "py3-none-any" else "false"
    return f"Wheel-Version: 1.0\nGenerator: mcp-pack\nRoot-Is-Purelib: {pure}\nTag: {tag}\n"


def _tag(platform: Platform) -> str:
    """The wheel tag for a bundle in which the author ships compiled modules."""
    arch, _, system = platform.tag.partition("-")
    python = f"cp{platform.python.replace('.', '')}"
    if system == "apple-darwin":
        return f"{python}-{python}-macosx_13_0_{'arm64' if arch == 'aarch64' else arch}"
    return f"{python}-{python}-{system if system.startswith('manylinux') else 'linux'}_{arch}"


def _record(members: Mapping[str, tuple[int, bytes]], info: str) -> str:
    rows = [f'"{path}",{record_hash(data)},{len(data)}\n' for path, (_, data) in sorted(members.items())]
    return "".join(rows) + f'"{info}/RECORD",,\n'


def _zip(members: Mapping[str, tuple[int, bytes]], info: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(members, key=lambda path: (path.startswith(info), path)):
            mode, data = members[path]
            item = zipfile.ZipInfo(path, _ZIP_TIME)
            item.create_system = 3
            item.external_attr = (0o100000 | mode) << 16
            archive.writestr(item, data)
    return buffer.getvalue()


def _taken(private: str) -> Problem:
    return Problem(
        what=f"{private} is the name that the wheel needs for itself", fix="Rename yours", where=Place(file=private)
    )
