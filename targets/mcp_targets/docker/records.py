"""Releases and the lock at the daemon: empty volumes, each with its document in a label.

A volume's name can be taken once, and no ``docker system prune`` takes a volume that it is not told to. A release is
the volume of its number; the lock is the one of the highest number, so that it changes hands by taking the next name,
and of two who try exactly one gets it.
"""

from __future__ import annotations

import base64
import json
import os
import zlib
from dataclasses import replace
from typing import Any, Final

from mcp_packager.errors import Problem, WorldError
from mcp_packager.target import Holder, Key, RecordTakenError, Release, Scope
from mcp_packager.target.owner import died, me
from mcp_targets.docker.daemon import Daemon, speaking
from mcp_targets.docker.names import BY, KIND, NAME, SCOPE, Names

RELEASE: Final = "release"
LOCK: Final = "lock"
_DOCUMENT: Final = "mcp-pack/document"
_NONCE: Final = "mcp-pack/nonce"


class VolumeRecords:
    """The releases of one deployment."""

    def __init__(self, daemon: Daemon, names: Names) -> None:
        self._daemon = daemon
        self._names = names

    def listing(self) -> tuple[Release, ...]:
        """Every release, lowest number first."""
        found = _held(self._daemon, self._names, RELEASE)
        return tuple(_release(number, _document(RELEASE, found[number])) for number in sorted(found))

    def add(self, release: Release) -> None:
        """Keep a release under its number.

        Raises:
            RecordTakenError: that number is taken.
        """
        if not _hold(self._daemon, self._names, RELEASE, release.number, release.as_json()):
            raise RecordTakenError(Problem(f"release {release.number} is already recorded", "deploy again"))

    def remove(self, number: int) -> None:
        """Forget a release."""
        self._daemon.remove_volume(self._names.of(RELEASE, str(number)))


class VolumeLock:
    """The lock of one deployment. That of a process which died on this machine has ended already."""

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
                self._daemon.remove_volume(self._names.of(LOCK, str(earlier)))
        if new is None and self._alone():
            # After a destroy nothing is to be left. Whoever read the number before and takes the next one now is seen
            # as the holder by all, itself included: everybody looks for the highest before each write.
            self._daemon.remove_volume(self._names.of(LOCK, str(number + 1)))
            self._daemon.drop_empty()
        return True

    def _top(self) -> tuple[int, Holder | None]:
        found = _held(self._daemon, self._names, LOCK)
        if not found:
            return 0, None
        number = max(found)
        document = _document(LOCK, found[number])
        if document is None:
            return number, None
        holder = Holder.from_json(document)
        return number, replace(holder, expires=0.0) if died(found[number].get(BY, "")) else holder

    def _alone(self) -> bool:
        """Whether nothing is there but locks, and data that was kept on purpose."""
        api, filters = self._daemon.api, self._names.filters
        with speaking():
            volumes = self._daemon.volumes(filters)
            others = [*api.containers(all=True, filters=filters), *api.networks(filters=filters)]
        labels = [volume["Labels"] for volume in volumes]
        return not others and all(each.get(KIND) == LOCK or each.get(SCOPE) == Scope.DATA.value for each in labels)


def _mark(holder: Holder | None) -> tuple[str, float] | None:
    return None if holder is None else (holder.token, holder.expires)


def _hold(daemon: Daemon, names: Names, kind: str, number: int, document: Any) -> bool:
    packed = base64.b64encode(zlib.compress(json.dumps(document).encode())).decode()
    nonce = os.urandom(8).hex()
    labels = {**names.labels(Key(kind, str(number)), {}), _DOCUMENT: packed, _NONCE: nonce, BY: me()}
    with speaking():
        # Who asks for a volume that is there gets it as it is.
        made = daemon.api.create_volume(names.of(kind, str(number)), labels=labels)
    return bool((made["Labels"] or {}).get(_NONCE) == nonce)


def _held(daemon: Daemon, names: Names, kind: str) -> dict[int, dict[str, str]]:
    """The labels of every volume of a kind, by its number."""
    with speaking():
        volumes = daemon.volumes({"label": [*names.filters["label"], f"{KIND}={kind}"]})
    return {int(volume["Labels"][NAME]): volume["Labels"] for volume in volumes}


def _document(kind: str, labels: dict[str, str]) -> Any:
    try:
        return json.loads(zlib.decompress(base64.b64decode(labels[_DOCUMENT])))
    except (KeyError, ValueError, zlib.error):
        raise WorldError(
            Problem(
                f"the volume of {kind} {labels[NAME]} holds nothing that can be read",
                "remove it by hand; a release in it can then no longer be gone back to",
            )
        ) from None


def _release(number: int, document: Any) -> Release:
    try:
        return Release.from_json(document, where=f"release {number}")
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise WorldError(
            Problem(f"the record of release {number} cannot be read", "use the mcp-pack version that wrote it")
        ) from error
