"""Releases and the lock in the cluster.

A release is a Secret of its own type, compressed, so that nobody who may read ConfigMaps alone sees what the author's
settings are; a name can be taken once, so of two writers one gets through. What is longer than a Secret may be is
split: the parts first, and last the head, which names them. The lock is a Lease, which changes hands by its
``resourceVersion``: of two who try, exactly one finds it as it was.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from mcp_packager.errors import Problem, WorldError
from mcp_packager.target import Holder, RecordTakenError, Release
from mcp_packager.target.owner import died, me
from mcp_targets._kube.client import ApiError
from mcp_targets._kube.kinds import LEASES, SECRETS, Sort
from mcp_targets._kube.names import MANAGER, Names
from mcp_targets._kube.objects import Objects

KIND: Final = "mcp-pack/kind"
NAME: Final = "mcp-pack/name"
RELEASE: Final = "release"
PART: Final = "release-part"
TYPE: Final = "mcp-pack/release"
LOCK: Final = "lock"
_HOLDER: Final = "mcp-pack/holder"
_BY: Final = "mcp-pack/by"
_MOST: Final = 900 * 1024
"""Bytes in one Secret; the API server takes 1 MiB with all that is around them."""
_DATA: Final = "release"
_PARTS: Final = "parts"
_NAMESPACE: Final = Sort("namespace", "v1", "Namespace", "namespaces", namespaced=False)


class SecretRecords:
    """The releases of one deployment."""

    def __init__(self, objects: Objects, names: Names) -> None:
        self._objects = objects
        self._names = names

    def listing(self) -> tuple[Release, ...]:
        """Every release, lowest number first."""
        return releases(self._objects.listing(SECRETS))

    def add(self, release: Release) -> None:
        """Keep a release under its number.

        Raises:
            RecordTakenError: that number is taken.
        """
        packed = zlib.compress(json.dumps(release.as_json(), sort_keys=True).encode(), level=9)
        pieces = [packed[start : start + _MOST] for start in range(0, len(packed), _MOST)]
        mark = hashlib.sha256(packed).hexdigest()[:12]
        parts = [self._names.of(PART, str(release.number), mark, str(place)) for place in range(1, len(pieces))]
        for name, piece in zip(parts, pieces[1:], strict=True):
            self._objects.create(SECRETS, self._document(name, PART, release.number, {_DATA: piece}))
        head = self._document(
            self._names.of(RELEASE, str(release.number)),
            RELEASE,
            release.number,
            {_DATA: pieces[0], _PARTS: json.dumps(parts).encode()},
        )
        if not self._objects.create(SECRETS, head) and not self._is(head):
            for name in parts:
                self._objects.delete(SECRETS, name)
            raise RecordTakenError(Problem(f"release {release.number} is already recorded", "deploy again"))

    def remove(self, number: int) -> None:
        """Forget a release, its parts and what a killed writer left of it; its head goes first."""
        self._objects.delete(SECRETS, self._names.of(RELEASE, str(number)))
        for part in self._objects.listing(SECRETS, selector=f"{self._names.ours},{KIND}={PART},{NAME}={number}"):
            self._objects.delete(SECRETS, part["metadata"]["name"])

    def _is(self, head: Mapping[str, Any]) -> bool:
        """Whether what stands under the name is what we wrote, in a request whose answer was lost."""
        there = self._objects.read(SECRETS, head["metadata"]["name"])
        return there is not None and there.get("data") == head["data"]

    def _document(self, name: str, kind: str, number: int, data: Mapping[str, bytes]) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": name,
                "namespace": self._objects.namespace,
                "labels": {**self._names.labels(RELEASE), KIND: kind, NAME: str(number)},
            },
            "type": TYPE,
            "immutable": True,
            "data": {key: base64.b64encode(value).decode() for key, value in data.items()},
        }


def releases(secrets: Sequence[Mapping[str, Any]]) -> tuple[Release, ...]:
    """The releases among Secrets, lowest number first.

    Raises:
        WorldError: one cannot be read.
    """
    data = {secret["metadata"]["name"]: secret.get("data") or {} for secret in secrets}
    found = []
    for secret in secrets:
        labels = secret["metadata"].get("labels") or {}
        if labels.get(KIND) == RELEASE and labels.get(NAME, "").isdecimal():
            found.append(_release(int(labels[NAME]), data[secret["metadata"]["name"]], data))
    return tuple(sorted(found, key=lambda release: release.number))


def _release(number: int, head: Mapping[str, str], data: Mapping[str, Mapping[str, str]]) -> Release:
    try:
        parts = json.loads(base64.b64decode(head[_PARTS]))
        packed = b"".join(base64.b64decode(piece[_DATA]) for piece in (head, *(data[name] for name in parts)))
        return Release.from_json(json.loads(zlib.decompress(packed)), where=f"release {number}")
    except (KeyError, TypeError, AttributeError, ValueError, zlib.error) as error:
        raise WorldError(
            Problem(
                f"the record of release {number} cannot be read",
                "use the mcp-pack version that wrote it, or remove its Secret by hand",
            )
        ) from error


class LeaseLock:
    """The lock of one deployment. That of a process which died on this machine has ended already."""

    def __init__(self, objects: Objects, names: Names) -> None:
        self._objects = objects
        self._names = names
        self._name = names.of(LOCK)

    def read(self) -> Holder | None:
        """Who holds it, expired or not."""
        return _holder(self._objects.read(LEASES, self._name))

    def swap(self, old: Holder | None, new: Holder | None) -> bool:
        """Put ``new`` in the place of ``old`` if that is still what is there."""
        there = self._objects.read(LEASES, self._name)
        held = _holder(there)
        if _mark(held) != _mark(old):
            # An answer that was lost: what we put there is what we find.
            return new is not None and _mark(held) == _mark(new)
        if new is None:
            return there is None or self._drop(there)
        if there is None:
            return self._take(new)
        return self._change(there, new)

    def _take(self, new: Holder) -> bool:
        document = self._document(new)
        try:
            made = self._objects.create(LEASES, document)
        except ApiError as error:
            if error.status != 404:
                raise
            self._namespace()
            made = self._objects.create(LEASES, document)
        return made or _mark(self.read()) == _mark(new)

    def _change(self, there: Mapping[str, Any], new: Holder) -> bool:
        document = self._document(new)
        document["metadata"]["resourceVersion"] = there["metadata"]["resourceVersion"]
        path = LEASES.path(self._objects.namespace, self._name)
        api = self._objects.api
        try:
            api.patiently(lambda: api.send("PUT", path, query={"fieldManager": MANAGER}, body=document))
        except ApiError as error:
            if error.status not in {404, 409}:
                raise
            return _mark(self.read()) == _mark(new)
        return True

    def _drop(self, there: Mapping[str, Any]) -> bool:
        version = {name: there["metadata"][name] for name in ("uid", "resourceVersion")}
        path = LEASES.path(self._objects.namespace, self._name)
        api = self._objects.api
        try:
            api.patiently(lambda: api.send("DELETE", path, body={"preconditions": version}))
        except ApiError as error:
            return error.status == 404
        return True

    def _namespace(self) -> None:
        """Make the namespace that the lock is to stand in; all else of it is the plan's."""
        name = self._objects.namespace
        labels = {"app.kubernetes.io/managed-by": MANAGER}
        document = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        try:
            self._objects.create(_NAMESPACE, document)
        except ApiError as error:
            if error.status == 403:
                raise WorldError(
                    Problem(
                        f"the namespace {name} is not there, and you may not make it",
                        f"have it made (kubectl create namespace {name}), or deploy to another with namespace = …",
                    )
                ) from error
            raise

    def _document(self, holder: Holder) -> dict[str, Any]:
        return {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": {
                "name": self._name,
                "namespace": self._objects.namespace,
                "labels": {**self._names.labels(LOCK), KIND: LOCK},
                "annotations": {_HOLDER: json.dumps(holder.as_json(), sort_keys=True), _BY: me()},
            },
            "spec": {"holderIdentity": holder.who},
        }


def _holder(lease: Mapping[str, Any] | None) -> Holder | None:
    notes = {} if lease is None else lease["metadata"].get("annotations") or {}
    text = notes.get(_HOLDER)
    if text is None:
        return None
    try:
        holder = Holder.from_json(json.loads(text))
        return replace(holder, expires=0.0) if died(notes.get(_BY, "")) else holder
    except (KeyError, TypeError, ValueError) as error:
        raise WorldError(
            Problem(
                "the Lease that is the lock holds nothing that can be read", "remove it with kubectl, if nobody deploys"
            )
        ) from error


def _mark(holder: Holder | None) -> tuple[str, float] | None:
    return None if holder is None else (holder.token, holder.expires)
