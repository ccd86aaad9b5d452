"""The same merge for a client whose file is TOML, with its comments kept (tomlkit)."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

import tomli
import tomlkit
from tomlkit.exceptions import ParseError, TOMLKitError
from tomlkit.items import InlineTable, Table

from mcp_packager.client_config.shapes import Fragment
from mcp_packager.errors import Place, Problem, UserError


def merge_toml(fragment: Fragment, text: str, *, file: str) -> tuple[str, bool]:
    """``text`` with the server in it, and whether an entry of that name was there. Raises :class:`UserError`."""
    try:
        document = tomlkit.parse(text)
    except TOMLKitError as error:
        line, column = (error.line, error.col + 1) if isinstance(error, ParseError) else (None, None)
        raise _broken(f"is not TOML: {_said(error)}", Place(file=file, line=line, column=column)) from None
    before = document.unwrap()
    section = document.get(fragment.section)
    if section is None:
        section = tomlkit.table(is_super_table=True)
        document.append(fragment.section, section)
    if not isinstance(section, MutableMapping):
        raise _broken(f"`{fragment.section}` is not a table", Place(file=file, key=fragment.section))
    entry = section.get(fragment.name)
    existing = isinstance(entry, MutableMapping)
    if isinstance(entry, MutableMapping):
        for key in sorted(fragment.owned & entry.keys() - fragment.entry.keys()):
            del entry[key]
        for key, value in fragment.entry.items():
            _set(entry, key, value)
    else:
        section[fragment.name] = _table(fragment.entry, inline=isinstance(section, InlineTable))
    merged = tomlkit.dumps(document)
    if not _kept(before, merged, fragment):
        raise _broken("is laid out in a way that cannot be merged into safely", Place(file=file, key=fragment.section))
    return merged, existing


def _set(entry: MutableMapping[str, object], key: str, value: object) -> None:
    old = entry.get(key)
    if isinstance(old, MutableMapping) and isinstance(value, Mapping):
        for name, item in value.items():
            _set(old, name, item)
    elif isinstance(value, Mapping):
        entry[key] = _table(value, inline=isinstance(entry, InlineTable))
    elif old is None or tomlkit.item(old).unwrap() != value:
        entry[key] = value


def _table(entry: Mapping[str, object], *, inline: bool) -> Table | InlineTable:
    """A table in the style of the one that it goes into: an inline table cannot hold any other."""
    table = tomlkit.inline_table() if inline else tomlkit.table()
    for key, value in entry.items():
        table.append(key, _table(value, inline=inline) if isinstance(value, Mapping) else value)
    return table


def _kept(before: Mapping[str, Any], merged: str, fragment: Fragment) -> bool:
    """Read it as the client will: our entry is there, and nothing else has changed.

    TOML lets one table be spread over a file in many ways; this holds the edit to its meaning in all of them.
    """
    try:
        after = tomli.loads(merged)
    except tomli.TOMLDecodeError:
        return False
    ours = after.get(fragment.section, {}).pop(fragment.name, {})
    theirs = {key: dict(value) if key == fragment.section else value for key, value in before.items()}
    theirs.setdefault(fragment.section, {}).pop(fragment.name, None)
    return after == theirs and all(_holds(ours.get(key), value) for key, value in fragment.entry.items())


def _holds(found: object, wanted: object) -> bool:
    if isinstance(found, Mapping) and isinstance(wanted, Mapping):
        return all(found.get(key) == value for key, value in wanted.items())
    return found == wanted


def _said(error: TOMLKitError) -> str:
    return str(error).split(" at line ")[0]


def _broken(what: str, where: Place) -> UserError:
    return UserError(Problem(what, "mend the file, or print the settings without --write and paste them", where))
