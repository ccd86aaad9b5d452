"""What an image was made of, as far as it may be told to whoever uses it: no secret, no path of this machine."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from mcp_packager.errors import WorldError
from mcp_packager.image.documents import Image, architecture_of
from mcp_packager.lock import Lock, fetch
from mcp_packager.process import run

if TYPE_CHECKING:
    from mcp_packager.bundle import Bundle
    from mcp_packager.manifest import Manifest
    from mcp_packager.platforms import Platform
    from mcp_packager.store import Store

_GIT_SECONDS: Final = 30.0
_COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SHORT_FORM: Final = re.compile(r"(?:[\w.-]+@)?(?P<host>[\w.-]+):(?P<path>[^/\\].*)")


@dataclass(frozen=True, slots=True, order=True)
class Component:
    """A distribution inside the image: canonical name, version, the wheel's file name and its SHA-256 in hex."""

    name: str
    version: str
    file: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Source:
    """The author's code as git knows it: the commit, and where others find it (``None``: nowhere that may be told)."""

    commit: str
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Ingredients:
    """What every architecture's image of one build was made of.

    ``components`` and ``bundles`` (the bundle's hash) are by OCI's word for the architecture. ``source`` is ``None``
    where git does not look after the code, or the code is not what was committed.
    """

    tool: str
    version: str
    entrypoint: str
    python: str
    description: str = ""
    components: Mapping[str, tuple[Component, ...]] = field(default_factory=dict)
    bundles: Mapping[str, str] = field(default_factory=dict)
    source: Source | None = None

    def of(self, images: Sequence[Image]) -> tuple[Component, ...]:
        """The distributions inside of any of these images, sorted, each file once."""
        return tuple(sorted({item for one in images for item in self.components.get(one.architecture, ())}))

    def as_json(self) -> dict[str, Any]:
        """Plain data, to be kept beside the image until it is pushed."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Ingredients:
        """The inverse of :meth:`as_json`.

        Raises:
            KeyError, TypeError: it is something else.
        """
        source = document["source"]
        return cls(
            **{
                **document,
                "components": {
                    one: tuple(Component(**item) for item in items) for one, items in document["components"].items()
                },
                "source": None if source is None else Source(**source),
            }
        )


def ingredients(
    manifest: Manifest, lock: Lock, bundles: Mapping[Platform, Bundle], *, store: Store | None = None
) -> Ingredients:
    """What is known of a build: the manifest, the lock's wheels of each platform, the bundles.

    Raises:
        UserError: the lock does not cover a platform, or images are not made for it.
        WorldError: a wheel is not in the store and cannot be fetched.
    """
    tool = manifest.tool
    (python,) = {platform.python for platform in bundles} or {""}
    return Ingredients(
        tool=tool.name,
        version=tool.version,
        entrypoint=tool.entrypoint,
        python=python,
        description=" ".join(tool.description.split()),
        components={
            architecture_of(platform.tag): tuple(
                Component(wheel.name, wheel.version, wheel.filename, wheel.sha256)
                for wheel in fetch(lock, platform, store=store)
            )
            for platform in bundles
        },
        bundles={architecture_of(platform.tag): bundle.hash for platform, bundle in bundles.items()},
        source=source(manifest.project),
    )


def source(project: Path) -> Source | None:
    """The commit that the project's folder is at, where nothing in it differs from that commit."""
    if not any((folder / ".git").exists() for folder in (project, *project.parents)):
        return None
    changed = _git(project, "status", "--porcelain", "--untracked-files=normal", "--", ".")
    commit = _git(project, "rev-parse", "--verify", "HEAD")
    if changed != "" or commit is None or not _COMMIT.fullmatch(commit):
        return None
    return Source(commit, _address(_git(project, "config", "--get", "remote.origin.url") or ""))


def _address(text: str) -> str | None:
    """A remote as a URL without user, password and query; ``None`` for a folder of somebody's machine."""
    parts = urlsplit(text)
    if parts.scheme in {"https", "http", "ssh", "git"} and parts.hostname:
        port = f":{parts.port}" if parts.port else ""
        return f"git+{parts.scheme}://{parts.hostname}{port}{parts.path}"
    short = _SHORT_FORM.fullmatch(text) if "://" not in text else None
    return f"git+ssh://{short['host']}/{short['path']}" if short and len(short["host"]) > 1 else None


def _git(project: Path, *arguments: str) -> str | None:
    """What a git command answers, without the settings of a hook around us; ``None`` where it does not."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    env |= {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        done = run(["git", "-c", "core.fsmonitor=false", *arguments], cwd=project, env=env, timeout=_GIT_SECONDS)
    except WorldError:
        return None
    return done.text().strip() if done.ok else None
