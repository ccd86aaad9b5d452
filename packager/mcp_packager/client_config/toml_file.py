"""The same merge for a client whose file is TOML, with its comments kept (tomlkit)."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping

import tomlkit
from tomlkit.exceptions import ParseError, TOMLKitError
from tomlkit.items import Table

from mcp_packager.client_config.shapes import Fragment
from mcp_packager.errors import Place, Problem, UserError


def merge_toml(fragment: Fragment, text: str, *, file: str) -> tuple[str, bool]:
    """``text`` with the server in it, and whether an entry of that name was there. Raises :class:`UserError`."""
    try:
        document = tomlkit.parse(text)
    except TOMLKitError as error:
        line, column = (error.line, error.col + 1) if isinstance(error, ParseError) else (None, None)
        raise _broken(f"is not TOML: {_said(error)}", Place(file=file, line=line, column=column)) from None
    section = document.get(fragment.section)
    if section is None:
        section = tomlkit.table(is_super_table=True)
        document.append(fragment.section, section)
    if not isinstance(section, MutableMapping):
        raise _broken(f"`{fragment.section}` is not a table", Place(file=file, key=fragment.section))
    entry = section.get(fragment.name)
    if not isinstance(entry, MutableMapping):
        section[fragment.name] = _table(fragment.entry)
        return tomlkit.dumps(document), False
    for key in sorted(fragment.owned & entry.keys() - fragment.entry.keys()):
        del entry[key]
    for key, value in fragment.entry.items():
        _set(entry, key, value)
    return tomlkit.dumps(document), True


def _set(entry: MutableMapping[str, object], key: str, value: object) -> None:
    old = entry.get(key)
    if isinstance(old, MutableMapping) and isinstance(value, Mapping):
        for name, item in value.items():
            _set(old, name, item)
    elif old is None or tomlkit.item(old).unwrap() != value:
        entry[key] = value


def _table(entry: Mapping[str, object]) -> Table:
    table = tomlkit.table()
    for key, value in entry.items():
        table.append(key, _table(value) if isinstance(value, Mapping) else value)
    return table


def _said(error: TOMLKitError) -> str:
    return str(error).split(" at line ")[0]


def _broken(what: str, where: Place) -> UserError:
    return UserError(Problem(what, "mend the file, or print the settings without --write and paste them", where))
