"""Releases and the lock at the daemon: containers that never run, each with its document in a label.

A container's name can be taken once. A release is the container of its number; the lock is the one of the highest
number, so that it changes hands by taking the next name, and of two who try exactly one gets it.
"""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any, Final

from mcp_packager.errors import Problem, WorldError
from mcp_packager.target import Holder, Key, RecordTakenError, Release
from mcp_targets.docker.daemon import Daemon, speaking
from mcp_targets.docker.names import KIND, NAME, Names

RELEASE: Final = "release"
LOCK: Final = "lock"
_DOCUMENT: Final = "mcp-pack/document"


class ContainerRecords:
    """The releases of one deployment."""

    def __init__(self, daemon: Daemon, names: Names) -> None:
        self._daemon = daemon
        self._names = names

    def listing(self) -> tuple[Release, ...]:
        """Every release, lowest number first."""
        found = _held(self._daemon, self._names, RELEASE)
        return tuple(_release(number, found[number]) for number in sorted(found))

    def add(self, release: Release) -> None:
        """Keep a release under its number.

        Raises:
            RecordTakenError: that number is taken.
        """
        if not _hold(self._daemon, self._names, RELEASE, release.number, release.as_json()):
            raise RecordTakenError(Problem(f"release {release.number} is already recorded", "deploy again"))

    def remove(self, number: int) -> None:
        """Forget a release."""
        self._daemon.remove(self._names.of(RELEASE, str(number)))


class ContainerLock:
    """The lock of one deployment."""

    def __init__(self, daemon: Daemon, names: Names) -> None:
        self._daemon = daemon
        self._names = names

    def read(self) -> Holder | None:
        """Who holds it, expired or not."""
        return self._top()[1]

    def swap(self, old: Holder | None, new: Holder | None) -> bool:
        """Put ``new`` in the place of ``old`` if that is still what is there."""
        number, there = self._top()
        if _mark(there) != _mark(old):
            return False
        if not _hold(self._daemon, self._names, LOCK, number + 1, None if new is None else new.as_json()):
            return False
        for earlier in _held(self._daemon, self._names, LOCK):
            if earlier <= number:
                self._daemon.remove(self._names.of(LOCK, str(earlier)))
        if new is None and self._alone():
            # After a destroy nothing is to be left. Whoever read the number before and takes the next one now is seen
            # as the holder by all, itself included: everybody looks for the highest before each write.
            self._daemon.remove(self._names.of(LOCK, str(number + 1)))
        return True

    def _top(self) -> tuple[int, Holder | None]:
        found = _held(self._daemon, self._names, LOCK)
        if not found:
            return 0, None
        number = max(found)
        document = found[number]
        return number, None if document is None else Holder.from_json(document)

    def _alone(self) -> bool:
        with speaking():
            containers = self._daemon.api.containers(all=True, filters=self._names.filters)
        return all(container["Labels"].get(KIND) == LOCK for container in containers)


def _mark(holder: Holder | None) -> tuple[str, float] | None:
    return None if holder is None else (holder.token, holder.expires)


def _hold(daemon: Daemon, names: Names, kind: str, number: int, document: Any) -> bool:
    packed = base64.b64encode(zlib.compress(json.dumps(document).encode())).decode()
    labels = {**names.labels(Key(kind, str(number)), {}), _DOCUMENT: packed}
    return daemon.hold(names.of(kind, str(number)), labels)


def _held(daemon: Daemon, names: Names, kind: str) -> dict[int, Any]:
    with speaking():
        containers = daemon.api.containers(all=True, filters={"label": [*names.filters["label"], f"{KIND}={kind}"]})
    found = {}
    for container in containers:
        labels = container["Labels"]
        try:
            found[int(labels[NAME])] = json.loads(zlib.decompress(base64.b64decode(labels[_DOCUMENT])))
        except (KeyError, ValueError, zlib.error):
            raise WorldError(
                Problem(
                    f"the container {container['Names'][0].lstrip('/')} holds no {kind} that can be read",
                    "remove it by hand; a release in it can then no longer be gone back to",
                )
            ) from None
    return found


def _release(number: int, document: Any) -> Release:
    try:
        return Release.from_json(document, where=f"release {number}")
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise WorldError(
            Problem(f"the record of release {number} cannot be read", "use the mcp-pack version that wrote it")
        ) from error
