"""Bundles made of plain data, and a small base image: enough for what an image is put together from."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping

from mcp_packager.bundle import Bundle, Entry, Inline
from mcp_packager.image.registry import INDEX, MANIFEST, Blob, Registry
from mcp_packager.platforms import Platform

LINUX = Platform("3.13", "x86_64-manylinux_2_28")

FILES: Mapping[str, bytes] = {
    "app/tool.py": b"print('hello')\n",
    "contract.json": b"{}\n",
    "lib/attr/__init__.py": b"x = 1\n",
    "lib/mcp_tool/__init__.py": b"y = 2\n",
    "lib/mcp_tool_runtime-0.1.0.dist-info/METADATA": b"Name: mcp-tool-runtime\n",
    "tool.json": b"{}\n",
}


def bundle(files: Mapping[str, bytes] = FILES, modes: Mapping[str, int] | None = None) -> Bundle:
    entries = (
        Entry(path, (modes or {}).get(path, 0o644), hashlib.sha256(data).hexdigest(), len(data), Inline(data))
        for path, data in sorted(files.items())
    )
    return Bundle(tuple(entries), LINUX, None)


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def small_layer(text: bytes = b"base\n") -> tuple[bytes, bytes]:
    """A layer with one file: the tar, and the blob."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        info = tarfile.TarInfo("etc/base")
        info.size = len(text)
        archive.addfile(info, io.BytesIO(text))
    return made.getvalue(), gzip.compress(made.getvalue(), mtime=0)


def push_base(registry: Registry, tag: str, architectures: tuple[str, ...], env: tuple[str, ...] = ()) -> str:
    """Put a base image there, as an index where it is for several; the digest of what the tag means."""
    entries = []
    for architecture in architectures:
        inside, blob = small_layer(f"base for {architecture}\n".encode())
        config = json.dumps(
            {
                "architecture": architecture,
                "os": "linux",
                "config": {"Env": ["PATH=/usr/bin", *env], "Labels": {"kept": "yes"}},
                "rootfs": {"type": "layers", "diff_ids": [digest(inside)]},
            }
        ).encode()
        for data in (config, blob):
            registry.put_blob(Blob(digest(data), len(data), data))
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": {
                    "mediaType": "application/vnd.oci.image.config.v1+json",
                    "digest": digest(config),
                    "size": len(config),
                },
                "layers": [
                    {
                        "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                        "digest": digest(blob),
                        "size": len(blob),
                    }
                ],
            }
        ).encode()
        name = registry.put_manifest(manifest, MANIFEST, tag if len(architectures) == 1 else None)
        platform = {"architecture": architecture, "os": "linux"}
        entries.append({"mediaType": MANIFEST, "digest": name, "size": len(manifest), "platform": platform})
    if len(architectures) == 1:
        return str(entries[0]["digest"])
    # Real indexes list attestations too, which are for no platform.
    unknown = {**entries[0], "platform": {"architecture": "unknown", "os": "unknown"}}
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [unknown, *entries]}).encode()
    return registry.put_manifest(index, INDEX, tag)
