"""Secrets and keys that a deployment keeps, as encrypted parameters whose every version stays readable by its number.

A function reads ``NAME:VERSION``. Going back to an earlier version of a secret puts its value there once more, and
notes the number under which it was first: what reads that one is not changed by it.
"""

from __future__ import annotations

import os
import secrets as randomness
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from mcp_packager.errors import Place, Problem, UserError, WorldError
from mcp_packager.target import Key, Observed, Resource, Sources, Value, without_value
from mcp_targets.aws_lambda.parameters import MOST, Parameter, Parameters

SECRET: Final = "secret"  # noqa: S105  # a kind's name
KEY: Final = "key"
PARAMETER: Final = "parameter"
"""The field that a function's config refers to: the parameter's name with its version; ``None`` for no value."""

_FOLDERS: Final = {SECRET: "secrets", KEY: "keys"}
_KINDS: Final = {folder: kind for kind, folder in _FOLDERS.items()}
_NOTHING: Final = "-"
"""Stands where an optional secret has no value: a parameter cannot be empty."""


class Kept:
    """The secrets and keys of one deployment."""

    def __init__(self, parameters: Parameters, environ: Mapping[str, str], project: Path | None) -> None:
        self._parameters = parameters
        self._sources = Sources(environ, project or Path())

    def observe(self, listing: Iterable[Parameter]) -> Iterator[Observed]:
        """Each secret and key among the deployment's parameters."""
        for one in listing:
            folder, _, name = one.name.partition("/")
            kind = _KINDS.get(folder)
            if kind is not None:
                yield Observed(kind, name, self._fields(one.name, kind, one.version, one.notes))

    def secret(self, resource: Resource) -> Mapping[str, Value]:
        """A new version of a secret with the value that its source has now, or the earlier one that is asked for.

        Raises:
            UserError: a required secret has no value, or one that a parameter cannot hold.
        """
        name = _name(resource.key)
        history = self._parameters.history(name)
        wanted = resource.fields["version"]
        back = next((past for past in history if past.notes.get("version") == wanted), None)
        about = {"source": resource.fields["source"], "required": resource.fields["required"]}
        if back is not None:
            number = back.notes.get("number", back.version)
            notes = {**back.notes, **about, "number": number}
            self._parameters.change(name, back.value, notes)
            return self._fields(name, SECRET, number, notes)
        value = self._read(resource.name, str(resource.fields["source"]))
        if value is None and resource.fields["required"]:
            raise without_value(resource.name, str(resource.fields["source"]))
        version = wanted if isinstance(wanted, str) else randomness.token_hex(4)
        notes = {**about, "version": version, "empty": value is None}
        text = _NOTHING if value is None else value
        made = None if history else self._parameters.create(name, text, notes, secret=True)
        return self._fields(name, SECRET, made or self._parameters.change(name, text, notes), notes)

    def key(self, resource: Resource) -> Mapping[str, Value]:
        """A key of random bytes, as hexadecimal digits; one that is there stays."""
        name, size = _name(resource.key), int(resource.fields["bytes"])
        notes: Mapping[str, Any] = {"bytes": size, "made": randomness.token_hex(4)}
        version = self._parameters.create(name, os.urandom(size).hex(), notes, secret=True)
        if version is None:
            history = self._parameters.history(name)
            if not history:
                raise WorldError(Problem(f"the key {resource.name} went while it was looked at", "deploy again"))
            version, notes = history[-1].version, history[-1].notes
            if notes.get("bytes") != size:
                notes = {"bytes": size, "made": randomness.token_hex(4)}
                version = self._parameters.change(name, os.urandom(size).hex(), notes)
        return self._fields(name, KEY, version, notes)

    def delete(self, key: Key) -> None:
        """Remove every version."""
        self._parameters.remove([_name(key)])

    def value(self, key: Key) -> str | None:
        """What the newest version holds; ``None`` where there is none. Shown nowhere."""
        history = self._parameters.history(_name(key))
        return history[-1].value if history else None

    def _fields(self, name: str, kind: str, version: int, notes: Mapping[str, Any]) -> dict[str, Value]:
        number = notes.get("number", version)
        place = None if notes.get("empty") else f"{self._parameters.root}/{name}:{number}"
        fields = ("bytes", "made") if kind == KEY else ("source", "required", "version")
        return {**{field: notes.get(field) for field in fields}, PARAMETER: place}

    def _read(self, name: str, source: str) -> str | None:
        data = self._sources.read(source)
        if not data:
            return None
        try:
            text = data.decode()
        except UnicodeDecodeError:
            # Without the cause: it would quote what is there.
            raise _unfit(name, f"what {source} holds is no text", "write it in base64, and decode it there") from None
        if len(data) > MOST or "{{" in text:
            what = f"what {source} holds cannot stand in Parameter Store, which takes {MOST} bytes without " + "{{"
            raise _unfit(name, what, "put it into Secrets Manager, and say from = " + '"aws-sm:ID"')
        return text


def _name(key: Key) -> str:
    return f"{_FOLDERS[key.kind]}/{key.name}"


def _unfit(name: str, what: str, fix: str) -> UserError:
    return UserError(Problem(f"the secret {name}: {what}", fix, Place(key=f"secrets.{name}.from")))
