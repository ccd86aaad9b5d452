"""An image's own documents: its configuration, its manifest, and the index over several architectures.

The OCI image specification 1.1 (https://github.com/opencontainers/image-spec/blob/v1.1.1/spec.md). Bytes are the same
for the same input: sorted keys, no time but the fixed one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from mcp_packager.errors import Problem, UserError
from mcp_packager.image.bases import Base
from mcp_packager.image.compress import COMPRESSOR
from mcp_packager.image.layering import ROOT, Layer
from mcp_packager.image.registry import INDEX, MANIFEST
from mcp_packager.platforms import ARCHITECTURES

CONFIG: Final = "application/vnd.oci.image.config.v1+json"
CREATED: Final = "1980-01-01T00:00:00Z"
USER: Final = "65532:65532"
"""Nobody in particular, by number, so that a platform can see that it is not root."""

PORT: Final = 8000
MADE_BY: Final = "mcp-pack"
"""What the history of a configuration says of the tool's own layers."""

COMPRESSED_BY: Final = "dev.mcp-pack.compressor"
_HOME: Final = f"/{ROOT.rstrip('/')}"


@dataclass(frozen=True, slots=True)
class Settings:
    """What a tool's image says beside its layers.

    ``labels`` are added to those made here. ``port`` is what the server listens on and the image exposes.
    """

    tool: str
    version: str
    description: str = ""
    python: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    port: int = PORT


@dataclass(frozen=True)
class Image:
    """One architecture's image. ``config`` and ``manifest`` are the bytes that go into a registry."""

    architecture: str
    base: Base
    layers: tuple[Layer, ...]
    config: bytes
    manifest: bytes

    @cached_property
    def digest(self) -> str:
        """The manifest's digest: the image's name for ever."""
        return digest_of_bytes(self.manifest)

    @cached_property
    def config_digest(self) -> str:
        """The configuration's digest, which Docker calls the image's id."""
        return digest_of_bytes(self.config)

    @property
    def every_layer(self) -> tuple[Layer, ...]:
        """The base's layers, then the tool's."""
        return (*self.base.layers, *self.layers)


def architecture_of(tag: str) -> str:
    """OCI's word for the machine of a platform tag such as ``x86_64-manylinux_2_28``.

    Raises:
        UserError: images are not made for it.
    """
    machine = tag.partition("-")[0]
    if machine not in ARCHITECTURES or ("manylinux" not in tag and "linux" not in tag):
        raise UserError(Problem(f"images are not made for {tag}", "choose linux on x86_64 or aarch64"))
    return ARCHITECTURES[machine]


def image(base: Base, layers: Sequence[Layer], settings: Settings) -> Image:
    """The tool's layers on a base.

    Raises:
        UserError: the base says that it holds another Python than the one the bundle is for.
    """
    _same_python(base, settings)
    config = _canonical(_config(base, layers, settings))
    every = (*base.layers, *layers)
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": digest_of_bytes(config), "size": len(config)},
        "layers": [{"mediaType": item.media_type, "digest": item.digest, "size": item.size} for item in every],
        "annotations": {
            "org.opencontainers.image.base.name": str(_named(base)),
            "org.opencontainers.image.base.digest": base.reference.digest,
            COMPRESSED_BY: COMPRESSOR,
        },
    }
    return Image(base.architecture, base, tuple(layers), config, _canonical(manifest))


def index(images: Sequence[Image]) -> bytes:
    """The index over images of several architectures, sorted by their names."""
    entries = [
        {
            "mediaType": MANIFEST,
            "digest": one.digest,
            "size": len(one.manifest),
            "platform": {"architecture": one.architecture, "os": "linux"},
        }
        for one in sorted(images, key=lambda one: one.architecture)
    ]
    return _canonical({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries})


def _config(base: Base, layers: Sequence[Layer], settings: Settings) -> dict[str, Any]:
    inherited = base.config.get("config") or {}
    run: dict[str, Any] = {
        "User": USER,
        "ExposedPorts": {f"{settings.port}/tcp": {}},
        "Env": _environment(inherited.get("Env") or ()),
        "Entrypoint": ["python3", "-S", "-P", "-m", "mcp_tool", "serve", "--bundle", _HOME],
        "Cmd": ["--transport", "http", "--host", "0.0.0.0", "--port", str(settings.port)],  # noqa: S104 - the container's own network
        "WorkingDir": f"{_HOME}/app",
        "Labels": {**(inherited.get("Labels") or {}), **_labels(base, settings)},
        "StopSignal": "SIGTERM",
    }
    history = [
        *(base.config.get("history") or [{"created": CREATED} for _ in base.layers]),
        *({"created": CREATED, "created_by": MADE_BY, "comment": layer.name} for layer in layers),
    ]
    return {
        "architecture": base.architecture,
        "os": "linux",
        **({"variant": base.config["variant"]} if base.config.get("variant") else {}),
        "created": CREATED,
        "config": run,
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in (*base.layers, *layers)]},
        "history": history,
    }


def _environment(inherited: Sequence[str]) -> list[str]:
    """The base's variables without what would steer Python otherwise, then the bundle's two import roots."""
    kept = [line for line in inherited if not line.startswith("PYTHON") or line.startswith("PYTHON_")]
    return [
        *kept,
        f"PYTHONPATH={_HOME}/lib:{_HOME}/app",
        "PYTHONDONTWRITEBYTECODE=1",
        "PYTHONUNBUFFERED=1",
        "PYTHONUTF8=1",
    ]


def _labels(base: Base, settings: Settings) -> dict[str, str]:
    return {
        "org.opencontainers.image.title": settings.tool,
        "org.opencontainers.image.version": settings.version,
        **({"org.opencontainers.image.description": settings.description} if settings.description else {}),
        "org.opencontainers.image.base.name": str(_named(base)),
        "org.opencontainers.image.base.digest": base.reference.digest or "",
        "io.modelcontextprotocol.server.name": settings.tool,
        **settings.labels,
    }


def _named(base: Base) -> str:
    """The base as its author names it, without the digest, which stands beside."""
    return str(base.reference).partition("@")[0]


def _same_python(base: Base, settings: Settings) -> None:
    """Refuse a base that says it holds another Python: compiled modules and bytecode would not load."""
    inherited = (base.config.get("config") or {}).get("Env") or ()
    says = dict(line.partition("=")[::2] for line in inherited).get("PYTHON_VERSION", "")
    minor = ".".join(says.split(".")[:2])
    if settings.python and minor and minor != settings.python:
        raise UserError(
            Problem(
                f"the base {_named(base)} holds Python {says}, and the tool is built for {settings.python}",
                f"choose a base with Python {settings.python}, or another python under [tool]",
            )
        )


def digest_of_bytes(data: bytes) -> str:
    """``sha256:…`` of bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _canonical(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
