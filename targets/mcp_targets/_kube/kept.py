"""Secrets and keys in the cluster: a Secret object for each version, which never changes once it is there.

The object of the version before the newest stays, for the Pods that still read it. Which version counts is its place
in an annotation; going back to an older one puts that in front again.
"""

from __future__ import annotations

import base64
import os
import secrets as randomness
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from mcp_packager.errors import Problem, UserError
from mcp_packager.target import Key, Observed, Resource, Sources, Value, as_shown, without_value
from mcp_targets._kube.kinds import KEY, SECRET, SECRETS
from mcp_targets._kube.mounts import OBJECT
from mcp_targets._kube.names import MANAGER, Names
from mcp_targets._kube.objects import Objects
from mcp_targets._kube.records import KIND, NAME
from mcp_targets._kube.settings import VALUE

_FIELDS: Final = ("source", "required", "version")
_ANNOTATION: Final = "mcp-pack/"
_PLACE: Final = "mcp-pack/place"
_BYTES: Final = "mcp-pack/bytes"
_MADE: Final = "mcp-pack/made"
_KEPT: Final = 2
"""Versions of a secret: the newest, and the one before it."""
_LARGEST: Final = 1024 * 1024


class Kept:
    """The secrets and keys of one deployment. ``elsewhere`` reads what neither this machine nor the cluster keeps."""

    def __init__(
        self,
        objects: Objects,
        names: Names,
        environ: Mapping[str, str],
        project: Path | None,
        elsewhere: Callable[[str, str], bytes | None] | None = None,
    ) -> None:
        self._objects = objects
        self._names = names
        self._sources = Sources(environ, project or Path(), elsewhere)
        self.read_values: list[str] = []
        """Values that were read for this deploy: nothing that is shown may hold them."""

    def secret(self, resource: Resource) -> dict[str, Value]:
        """A new version of a secret with the value that its source has now; an optional one may be empty.

        Raises:
            UserError: a required secret has no value.
        """
        versions = self._versions(resource.key)
        wanted = resource.fields["version"]
        back = next((found for found in versions if _note(found, "version") == wanted), None)
        if back is not None:
            # A push that failed is undone: the newer version goes, and this one is the newest again.
            for newer in versions[versions.index(back) + 1 :]:
                self._objects.delete(SECRETS, newer["metadata"]["name"])
            return self._changed(back, resource)
        value = self._value(resource.fields["source"])
        if value is None and resource.fields["required"]:
            raise without_value(resource.name, resource.fields["source"])
        version = randomness.token_hex(4) if not isinstance(wanted, str) else wanted
        place = 1 + max((_place(found) for found in versions), default=0)
        notes = {**_notes(resource, version), _PLACE: str(place)}
        name = self._names.of(SECRET, resource.name, version)
        self._put(name, resource.key, notes, value or b"")
        for earlier in versions[: max(0, len(versions) - _KEPT + 1)]:
            self._objects.delete(SECRETS, earlier["metadata"]["name"])
        return {**resource.fields, "version": version, OBJECT: name}

    def key(self, resource: Resource) -> dict[str, Value]:
        """A key of random bytes, as hexadecimal digits; one that is there stays."""
        name = self._names.of(KEY, resource.name)
        made = randomness.token_hex(4)
        size = resource.fields["bytes"]
        notes = {_BYTES: str(size), _MADE: made}
        if not self._put(name, resource.key, notes, os.urandom(size).hex().encode()):
            there = self._objects.read(SECRETS, name)
            made = "" if there is None else _note(there, "made")
        return {"bytes": size, "made": made, OBJECT: name}

    def delete(self, key: Key) -> None:
        """Remove every version."""
        for there in self._versions(key):
            self._objects.delete(SECRETS, there["metadata"]["name"])

    def value(self, key: Key) -> bytes | None:
        """What the newest version holds; ``None`` where there is none. Read only in apply and for the probe."""
        versions = self._versions(key)
        text = (versions[-1].get("data") or {}).get(VALUE) if versions else None
        found = None if text is None else base64.b64decode(text)
        if found:
            self.read_values.append(as_shown(found))
        return found

    def _versions(self, key: Key) -> list[Any]:
        """The objects of a resource, the one that counts last."""
        found = self._objects.listing(SECRETS, selector=f"{self._names.ours},{KIND}={key.kind},{NAME}={key.name}")
        return sorted(found, key=_place)

    def _put(self, name: str, key: Key, notes: Mapping[str, str], value: bytes) -> bool:
        document = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": name,
                "namespace": self._objects.namespace,
                "labels": {**self._names.labels(), KIND: key.kind, NAME: key.name},
                "annotations": dict(notes),
            },
            "type": "Opaque",
            "immutable": True,
            "data": {VALUE: base64.b64encode(value).decode()},
        }
        return self._objects.create(SECRETS, document)

    def _changed(self, there: Any, resource: Resource) -> dict[str, Value]:
        """The same version under what is wanted of it now: an immutable Secret's annotations still change."""
        name, version = there["metadata"]["name"], _note(there, "version")
        notes = {"metadata": {"annotations": _notes(resource, version)}}
        path = SECRETS.path(self._objects.namespace, name)
        self._objects.api.patch(path, notes, {"fieldManager": MANAGER}, merge=True)
        return {**resource.fields, "version": version, OBJECT: name}

    def _value(self, source: str) -> bytes | None:
        value = self._sources.read(source)
        if len(value) > _LARGEST:
            raise UserError(Problem(f"what {source} holds is longer than a Secret may be", "keep it under 1 MiB"))
        self.read_values.append(as_shown(value))
        return value or None


def observed(secrets: Sequence[Mapping[str, Any]]) -> Iterator[Observed]:
    """Every secret and key among Secret objects; of a secret, the version that counts."""
    newest: dict[Key, Mapping[str, Any]] = {}
    for there in secrets:
        labels = there["metadata"].get("labels") or {}
        if labels.get(KIND) in {SECRET, KEY}:
            key = Key(labels[KIND], labels.get(NAME, ""))
            before = newest.get(key)
            if before is None or _place(there) >= _place(before):
                newest[key] = there
    for key, there in newest.items():
        fields: dict[str, Value] = {OBJECT: there["metadata"]["name"]}
        if key.kind == KEY:
            fields |= {"bytes": int(_note(there, "bytes") or 0), "made": _note(there, "made")}
        else:
            fields |= {"source": _note(there, "source"), "version": _note(there, "version")}
            fields["required"] = _note(there, "required") == "true"
        yield Observed(*key, fields)


def _notes(resource: Resource, version: str) -> dict[str, str]:
    required = "true" if resource.fields["required"] else "false"
    found = {"source": str(resource.fields["source"]), "required": required, "version": version}
    return {f"{_ANNOTATION}{name}": found[name] for name in _FIELDS}


def _note(there: Mapping[str, Any], name: str) -> str:
    return str((there["metadata"].get("annotations") or {}).get(f"{_ANNOTATION}{name}", ""))


def _place(there: Mapping[str, Any]) -> int:
    text = _note(there, "place")
    return int(text) if text.isdigit() else 0
