"""Small wheels made on the spot, valid or broken on purpose."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path


def make(
    folder: Path,
    name: str,
    version: str = "1.0",
    *,
    requires: Sequence[str] = (),
    files: Mapping[str, bytes | str] | None = None,
    tag: str = "py3-none-any",
    links: Mapping[str, str] | None = None,
    executable: Sequence[str] = (),
) -> Path:
    """Write a wheel that holds ``files`` (path to content), by default one module named like it."""
    stem = name.replace("-", "_")
    info = f"{stem}-{version}.dist-info"
    metadata = [
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        *(f"Requires-Dist: {r}\n" for r in requires),
    ]
    contents: dict[str, bytes] = {
        path: body.encode() if isinstance(body, str) else body
        for path, body in (files if files is not None else {f"{stem}.py": f"VERSION = {version!r}\n"}).items()
    }
    contents[f"{info}/METADATA"] = "".join(metadata).encode()
    contents[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n".encode()
    record = "".join(f"{path},sha256={_hash(body)},{len(body)}\n" for path, body in contents.items())
    contents[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, body in contents.items():
            item = zipfile.ZipInfo(member)
            item.external_attr = (0o100755 if member in executable else 0o100644) << 16
            archive.writestr(item, body)
        for member, target in (links or {}).items():
            item = zipfile.ZipInfo(member)
            item.external_attr = 0o120777 << 16
            archive.writestr(item, target)
    return path


def _hash(body: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=").decode()
