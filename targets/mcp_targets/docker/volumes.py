"""Small files at the daemon, each in a volume of its own whose labels say what it is: configs, secrets, keys; and data.

Labels of a volume cannot change, so a new version of a secret is a new volume. The one before it stays: the server
that still runs reads it. A volume is made first and written then, so another, empty one says that it is written: of a
command that was killed in between, the volume is there and is not what is wanted.
"""

from __future__ import annotations

import json
import os
import secrets as randomness
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from mcp_packager.target import Key, Observed, Resource, Scope, Sources, Value, as_shown, digest, without_value
from mcp_targets.docker.daemon import Daemon, speaking
from mcp_targets.docker.hosted import READERS
from mcp_targets.docker.names import SCOPE, Names, fields_of, key_of
from mcp_targets.docker.render import VALUE

_VERSION: Final = "version"
_SERIAL: Final = "serial"
_WRITTEN: Final = "written"
_KINDS: Final = frozenset({"config", "secret", "key", "volume"})
_KEPT: Final = 2
"""Versions of a secret: the newest, and the one before it."""


class Volumes:
    """The volumes of one deployment."""

    def __init__(self, daemon: Daemon, names: Names, environ: Mapping[str, str], project: Path | None) -> None:
        self._daemon = daemon
        self._names = names
        self._sources = Sources(environ, project or Path())
        self.read_values: list[str] = []
        """Values that were read for this deploy: nothing that is shown may hold them."""

    def observe(self) -> Iterator[Observed]:
        """Every config, secret, key and data volume. Of a secret, the newest version."""
        newest: dict[Key, Observed] = {}
        listing = self._listing()
        written = _written(listing)
        for volume in listing:
            labels = volume["Labels"]
            key, fields = key_of(labels), fields_of(labels)
            if key.kind not in _KINDS:
                continue
            scope = Scope(labels.get(SCOPE, "tool"))
            if volume["Name"] not in written and scope is not Scope.DATA:
                newest.setdefault(key, Observed(*key, {"volume": volume["Name"]}, scope))
                continue
            found = Observed(*key, {**fields, "volume": volume["Name"]}, scope)
            before = newest.get(key)
            if before is None or fields.get(_SERIAL, 0) >= before.fields.get(_SERIAL, 0):
                newest[key] = found
        yield from newest.values()

    def config(self, resource: Resource) -> dict[str, Value]:
        """The config as a file of a volume."""
        document = resource.fields["document"]
        text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False)
        name = self._names.of("config", resource.name)
        self._put(name, resource.key, {"document": document}, "config.json", text.encode())
        return {"document": document, "volume": name}

    def key(self, resource: Resource) -> dict[str, Value]:
        """A key of random bytes, as hexadecimal digits; one that is there stays."""
        name = self._names.of("key", resource.name)
        for there in self.observe():
            if there.key == resource.key and "made" in there.fields and self._daemon.read(name, VALUE):
                return dict(there.fields)
        self._drop(name)
        fields = {"bytes": resource.fields["bytes"], "made": randomness.token_hex(4)}
        self._put(name, resource.key, fields, VALUE, os.urandom(resource.fields["bytes"]).hex().encode())
        return {**fields, "volume": name}

    def data(self, resource: Resource) -> dict[str, Value]:
        """A volume for a service's data; one that is there stays as it is."""
        name = self._names.of("volume", resource.name)
        self._make(name, resource.key, resource.fields, Scope.DATA)
        return {**resource.fields, "volume": name}

    def secret(self, resource: Resource) -> dict[str, Value]:
        """A new version of a secret with the value that its source has now; an optional one may be empty.

        A version that is there for other readers than those wanted is copied: who may read a file is fixed with it.

        Raises:
            UserError: a required secret has no value.
        """
        wanted = resource.fields[_VERSION]
        listing = self._listing()
        for volume in listing:
            if key_of(volume["Labels"]) == resource.key and volume["Name"] not in _written(listing):
                self._drop(volume["Name"])
        versions = [volume for volume in self._versions(resource.key) if volume["Name"] in _written(listing)]
        back = next((found for found in versions if fields_of(found["Labels"]).get(_VERSION) == wanted), None)
        readers = resource.fields.get(READERS)
        if back is not None and readers in {None, fields_of(back["Labels"]).get(READERS)}:
            # A push that failed is undone: the newer version goes, and this one is the newest again.
            for newer in versions[versions.index(back) + 1 :]:
                self._drop(newer["Name"])
            return {**fields_of(back["Labels"]), "volume": back["Name"]}
        source = resource.fields["source"]
        value = self._value(source) if back is None else self.value(back["Name"])
        if value is None and resource.fields["required"]:
            raise without_value(resource.name, source)
        for earlier in versions[: max(0, len(versions) - _KEPT + 1)]:
            self._drop(earlier["Name"])
        serial = 1 + max((fields_of(found["Labels"]).get(_SERIAL, 0) for found in versions), default=0)
        version = randomness.token_hex(4)
        kept = {name: resource.fields[name] for name in ("source", "required", READERS) if name in resource.fields}
        fields = {**kept, _VERSION: version, _SERIAL: serial}
        name = self._names.of("secret", resource.name, version)
        self._put(name, resource.key, fields, VALUE, value or b"", mode=0o400 if readers is None else 0o444)
        return {**fields, "volume": name}

    def delete(self, key: Key) -> None:
        """Remove every volume of a resource."""
        for volume in self._versions(key):
            self._drop(volume["Name"])

    def value(self, volume: str) -> bytes | None:
        """What a secret's or a key's volume holds. Read only in apply and for the probe."""
        found = self._daemon.read(volume, VALUE)
        if found:
            self.read_values.append(as_shown(found))
        return found

    def _listing(self) -> list[Any]:
        with speaking():
            return self._daemon.volumes(self._names.filters)

    def _versions(self, key: Key) -> list[Any]:
        """The volumes of a resource, the newest last."""
        found = [volume for volume in self._listing() if key_of(volume["Labels"]) == key]
        return sorted(found, key=lambda volume: fields_of(volume["Labels"]).get(_SERIAL, 0))

    def _make(self, name: str, key: Key, fields: Mapping[str, Value], scope: Scope = Scope.TOOL) -> None:
        with speaking():
            self._daemon.api.create_volume(name, labels=self._names.labels(key, fields, scope.value))

    def _put(
        self, name: str, key: Key, fields: Mapping[str, Value], file: str, data: bytes, *, mode: int = 0o400
    ) -> None:
        """Make a volume with one file, and say that it is written."""
        self._make(name, key, fields)
        self._daemon.write(name, {file: data}, mode=mode)
        with speaking():
            mark = self._names.labels(Key(_WRITTEN, name), {})
            self._daemon.api.create_volume(_mark(name), labels=mark)

    def _drop(self, name: str) -> None:
        import docker

        self._daemon.remove_volume(_mark(name))
        with speaking():
            try:
                self._daemon.api.remove_volume(name)
            except docker.errors.NotFound:
                pass
            except docker.errors.APIError as error:
                if error.status_code != 409:  # a container still reads it; it goes with the next change
                    raise

    def _value(self, source: str) -> bytes | None:
        value = self._sources.read(source)
        self.read_values.append(as_shown(value))
        return value or None


def _mark(volume: str) -> str:
    return f"{volume}-{_WRITTEN}"


def _written(listing: list[Any]) -> frozenset[str]:
    """The volumes that are whole."""
    keys = (key_of(volume["Labels"]) for volume in listing)
    return frozenset(key.name for key in keys if key.kind == _WRITTEN)


def config_held(observed: Mapping[str, Value], desired: Mapping[str, Value]) -> Mapping[str, Value]:
    """A config compared by its document's hash: a document with Refs inside is the same one spelled out."""
    same = digest(observed.get("document")) == digest(desired["document"])
    return {"document": desired["document"]} if same else {"document": observed.get("document")}
