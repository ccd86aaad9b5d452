"""Releases and the lock in Parameter Store, which gives a name once: of two who try, one gets it.

A release is compressed and split, since a value may have 4 KB: the parts first, under a mark of what they hold, and
last the head, which names them. The lock is the parameter of the highest number; it changes hands by taking the next.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from mcp_packager.errors import Problem, WorldError
from mcp_packager.target import Holder, RecordTakenError, Release
from mcp_packager.target.owner import died, me
from mcp_targets.aws_lambda.parameters import MOST, Parameters, numbered

RELEASES: Final = "releases"
PARTS: Final = "parts"
LOCKS: Final = "lock"
_KIND: Final = "kind"


class ParameterRecords:
    """The releases of one deployment."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters

    def listing(self) -> tuple[Release, ...]:
        """Every release, lowest number first."""
        heads = self._parameters.below(RELEASES)
        if not heads:
            return ()
        parts = self._parameters.below(PARTS)
        return tuple(_release(number, heads[str(number)], parts) for number in sorted(numbered(iter(heads))))

    def add(self, release: Release) -> None:
        """Keep a release under its number.

        Raises:
            RecordTakenError: that number is taken.
        """
        packed = zlib.compress(json.dumps(release.as_json(), sort_keys=True).encode(), 9)
        mark, text = hashlib.sha256(packed).hexdigest()[:12], base64.b64encode(packed).decode()
        pieces = [text[start : start + MOST] for start in range(0, len(text), MOST)]
        parts = [f"{release.number}/{mark}/{place}" for place in range(len(pieces))]
        for name, piece in zip(parts, pieces, strict=True):
            # One that is there is the same: its name is made of what it holds.
            self._parameters.create(f"{PARTS}/{name}", piece, {_KIND: PARTS})
        head = json.dumps({"schema": 1, "mark": mark, "parts": len(parts)})
        name = f"{RELEASES}/{release.number}"
        if (
            self._parameters.create(name, head, {_KIND: RELEASES}) is None
            and self._parameters.below(RELEASES).get(str(release.number)) != head
        ):
            self._parameters.remove([f"{PARTS}/{part}" for part in parts])
            raise RecordTakenError(Problem(f"release {release.number} is already recorded", "deploy again"))
        # The release is kept by now: what is not swept away harms nobody, and the next one sweeps again.
        with contextlib.suppress(WorldError):
            self._sweep(release.number, mark)

    def remove(self, number: int) -> None:
        """Forget a release, its parts and what a killed writer left of it: in one call, or its head first."""
        parts = [name for name in self._parameters.below(PARTS) if name.startswith(f"{number}/")]
        self._parameters.remove([f"{RELEASES}/{number}", *(f"{PARTS}/{name}" for name in parts)])

    def _sweep(self, newest: int, mark: str) -> None:
        """Remove the parts that killed writers and removers left of this release and of those before it.

        Nobody can need them: a number is taken once, so no head is ever made that names them.
        """
        names = [one.name for one in self._parameters.listing()]
        heads = {name.partition("/")[2] for name in names if name.startswith(f"{RELEASES}/")}
        left = []
        for name in names:
            folder, _, rest = name.partition("/")
            number, _, part = rest.partition("/")
            if folder != PARTS or not number.isdecimal() or int(number) > newest:
                continue
            is_named = part.startswith(f"{mark}/") if int(number) == newest else number in heads
            if not is_named:
                left.append(name)
        if left:
            self._parameters.remove(left)


def _release(number: int, head: str, parts: Mapping[str, str]) -> Release:
    try:
        said = json.loads(head)
        text = "".join(parts[f"{number}/{said['mark']}/{place}"] for place in range(said["parts"]))
        document = json.loads(zlib.decompress(base64.b64decode(text)))
        return Release.from_json(document, where=f"release {number}")
    except (KeyError, TypeError, AttributeError, ValueError, binascii.Error, zlib.error) as error:
        raise WorldError(
            Problem(
                f"the record of release {number} cannot be read",
                "use the mcp-pack version that wrote it, or remove its parameters by hand",
            )
        ) from error


class ParameterLock:
    """The lock of one deployment. That of a process which died on this machine has ended already."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters

    def read(self) -> Holder | None:
        """Who holds it, expired or not."""
        return self._top()[1]

    def swap(self, old: Holder | None, new: Holder | None) -> bool:
        """Put ``new`` in the place of ``old`` if that is still what is there."""
        number, there, earlier = self._top()
        if _mark(there) != _mark(old):
            # An answer that was lost: what we put there is what we find.
            return new is not None and _mark(there) == _mark(new)
        if new is None and number == 0:
            return True
        # Looked for while nobody else writes: what is there a moment later may be somebody's new release.
        left = self._nothing_but_leavings() if new is None else None
        document: dict[str, Any] = {"schema": 1, "by": me(), "holder": None if new is None else new.as_json()}
        if self._parameters.create(f"{LOCKS}/{number + 1}", json.dumps(document), {_KIND: LOCKS}) is None:
            return new is not None and _mark(self.read()) == _mark(new)
        gone = [f"{LOCKS}/{each}" for each in earlier]
        if left is not None:
            # After a destroy nothing is to be left. Whoever read the number before and takes the next one now is seen
            # as the holder by all, itself included: everybody looks for the highest before each write.
            gone += [*left, f"{LOCKS}/{number + 1}"]
        self._parameters.remove(gone)
        return True

    def _top(self) -> tuple[int, Holder | None, list[int]]:
        """The highest number, who holds the lock by it, and all numbers."""
        found = self._parameters.below(LOCKS)
        numbers = numbered(iter(found))
        if not numbers:
            return 0, None, []
        number = max(numbers)
        try:
            said = json.loads(found[str(number)])
            holder = None if said["holder"] is None else Holder.from_json(said["holder"])
        except (KeyError, TypeError, ValueError) as error:
            name = f"{self._parameters.root}/{LOCKS}/{number}"
            raise WorldError(
                Problem(f"the lock in the parameter {name} cannot be read", "remove that parameter by hand")
            ) from error
        if holder is not None and died(str(said["by"])):
            holder = replace(holder, expires=0.0)
        return number, holder, numbers

    def _nothing_but_leavings(self) -> list[str] | None:
        """Where nothing of the deployment is here but locks: parts of releases whose remover was killed half-way."""
        names = [one.name for one in self._parameters.listing()]
        left = [name for name in names if name.startswith(f"{PARTS}/")]
        return left if all(name.startswith((f"{LOCKS}/", f"{PARTS}/")) for name in names) else None


def _mark(holder: Holder | None) -> tuple[str, float] | None:
    return None if holder is None else (holder.token, holder.expires)
