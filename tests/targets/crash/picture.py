"""What there is of a deployment, without what differs from one run to the next: to compare two ends."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mcp_packager.target import Identity, Observed, Release, WorldInput
from mcp_packager.testing import Pack, greeting
from mcp_targets.local.daemon import Daemon
from mcp_targets.local.places import Places
from mcp_targets.local.world import LocalWorld

_RANDOM: Final = frozenset({"pid", "private_port", "port", "version", "made", "bundle_made", "config_digest"})
_VERSION: Final = re.compile(r"/[0-9a-f]{16}(?=\"|$)")
_LOG: Final = re.compile(r"(\.log)(\.\d+)?$")


@dataclass(frozen=True)
class Stage:
    """One deployment and the names that versions, and texts that go with them, are to be compared by."""

    pack: Pack
    names: Mapping[str, str]

    @property
    def identity(self) -> Identity:
        return Identity("suite-tool", "suite-tool", self.pack.stage)

    @property
    def places(self) -> Places:
        return Places.of(self.identity, self.pack.environ)

    @property
    def daemon(self) -> Daemon:
        return Daemon(self.places)

    def world(self) -> LocalWorld:
        return LocalWorld(WorldInput(self.identity, environ=self.pack.environ))

    def at_rest(self) -> bool:
        """Whether no server is coming or going."""
        slots = self.daemon.state().get("slots", {}).values()
        return not any(slot["coming"] or slot["going"] for slot in slots)

    def url(self) -> str:
        """Where clients are."""
        slot = self.daemon.slot("server")
        return f"http://127.0.0.1:{slot['port']}/mcp"

    def picture(self) -> dict[str, Any]:
        """Releases, resources, files, processes and the answer that clients get."""
        releases = self.world().records.listing()
        found = {
            "releases": [(release.outcome.value, release.intent.artifact.version) for release in releases],
            "things": {str(key): _steady(thing) for key, thing in sorted(self.world().observe().items())},
            "files": sorted(_files(self.places.root)),
            "processes": sorted(processes(self.places.root)),
            "answer": greeting(self.url()),
            # The lock of one that died holds nothing, and goes with what it left beside it when the next one takes it.
            "beside": beside(self.places) if self._locked() else [],
        }
        text = json.dumps(found, sort_keys=True)
        for plain, name in self._said(releases):
            text = text.replace(plain, name)
        told: dict[str, Any] = json.loads(_VERSION.sub("/VERSION", text))
        return {name: sorted(part) if isinstance(part, list) else part for name, part in told.items()}

    def _locked(self) -> bool:
        """Whether the lock holds."""
        holder = self.world().lock.read()
        return holder is not None and holder.expires > time.time()

    def _said(self, releases: tuple[Release, ...]) -> Iterator[tuple[str, str]]:
        """Each text that differs between runs, and what to say for it, longer ones first."""
        yield str(self.places.root), "ROOT"
        for place, release in enumerate(releases):
            name = self.names[release.intent.artifact.version]
            digest = release.intent.artifact.digest.removeprefix("sha256:")
            yield digest, f"bundle-{name}"
            yield digest[:16], f"bundle-{name}"
            for resource in release.intent.resources:
                if resource.kind == "config":
                    yield resource.name, f"config-{name}"
            yield f"releases/{release.number}.json", f"releases/{place}.json"
        yield from self.names.items()


def _steady(thing: Observed) -> dict[str, Any]:
    # A config names the random versions of its secrets, and so does its digest.
    random = _RANDOM | {"digest"} if thing.kind == "config" else _RANDOM
    return {name: value for name, value in thing.fields.items() if name not in random}


def _files(root: Path) -> Iterator[str]:
    """Every file by its path, a bundle's by their number; which of a log's files there are says little."""
    for bundle in root.glob("bundles/*"):
        yield f"{bundle.relative_to(root)}: {sum(path.is_file() for path in (bundle, *bundle.rglob('*')))} files"
    logs = set()
    for path in root.rglob("*"):
        name = str(path.relative_to(root))
        if name.startswith("bundles/") or path.is_dir():
            continue
        if _LOG.search(name):
            logs.add(_LOG.sub(r"\1", name))
        elif name.startswith(("secrets/", "keys/")):
            yield _VERSION.sub("/VERSION", name)
        else:
            yield name
    yield from logs


def beside(places: Places) -> list[str]:
    """What else the deployment has in the folder of all deployments: its lock, and what a write of that left."""
    name = places.root.name
    return [path.name for path in places.root.parent.glob(f"*{name}*") if path != places.root]


def processes(root: Path) -> Iterator[str]:
    """Command lines that name the deployment's folder."""
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().decode("utf-8", "replace").split("\0")
        except OSError:
            continue
        if any(str(root) in word for word in words):
            yield re.sub(r"--fd \d+", "--fd N", " ".join(words))
