"""Merging a server into a client's file: read, edit in place, back up, rename."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mcp_packager.client_config import edit
from mcp_packager.client_config.clients import Client
from mcp_packager.client_config.jsonc import JsoncError, parse, place
from mcp_packager.client_config.shapes import Fragment
from mcp_packager.errors import Place, Problem, UserError, WorldError
from mcp_packager.files import write_atomic

_MARK = "\ufeff"
_SMALL = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Merged:
    """A file's text with the server in it. ``replaces`` says that another entry of that name is changed by it."""

    text: str
    changed: bool
    replaces: bool


@dataclass(frozen=True, slots=True)
class Written:
    """What was done to the file. ``backup`` is where the old content is, if there was any and it changed."""

    file: Path
    changed: bool
    backup: Path | None


def location(client: Client, project: Path, *, home: Path | None = None, system: str = sys.platform) -> Path:
    """The file that ``client`` reads: the project's where it has one, else the user's."""
    if client.file.project is not None:
        return project / client.file.project
    match system:
        case "darwin":
            relative = client.file.darwin
        case "win32":
            relative = client.file.windows
        case _:
            relative = client.file.linux
    return (home or Path.home()) / relative


def render(client: Client, fragment: Fragment) -> str:
    """A whole file that holds this server and nothing else."""
    return merge(client, fragment, "", file="").text


def merge(client: Client, fragment: Fragment, text: str, *, file: str) -> Merged:
    """``text`` with the server in it. Other servers, comments and the order of things stay.

    Raises:
        UserError: ``text`` is not what the client reads, with the place.
    """
    if client.toml:
        from mcp_packager.client_config.toml_file import merge_toml

        merged, existing = merge_toml(fragment, text, file=file)
    else:
        merged, existing = _merge_jsonc(fragment, text, file=file)
    changed = merged != text
    return Merged(merged, changed=changed, replaces=existing and changed)


def write(
    client: Client, fragment: Fragment, file: Path, *, confirm: Callable[[str], bool] = lambda _question: True
) -> Written:
    """Merge into ``file``: nothing is written where nothing changes; else the old content is kept beside it.

    ``confirm`` is asked before an entry of the same name is changed; on ``False`` nothing is written.

    Raises:
        UserError: the file is broken, with the place.
        WorldError: it cannot be read or written, or somebody else wrote it meanwhile.
    """
    real = file.resolve()
    before = _read(real)
    merged = merge(client, fragment, _decode(before, file), file=str(file))
    if not merged.changed:
        return Written(file, changed=False, backup=None)
    if merged.replaces and not confirm(f"{file} has another `{fragment.name}`: replace it?"):
        return Written(file, changed=False, backup=None)
    backup: Path | None = None
    try:
        mode = stat.S_IMODE(real.stat().st_mode) if before is not None else 0o600
        if _read(real) != before:
            raise WorldError(Problem(f"{file} was changed by another program meanwhile", "run the command again"))
        real.parent.mkdir(parents=True, exist_ok=True)
        if before is not None:
            backup = _free(real)
            write_atomic(backup, before, mode=mode)
        write_atomic(real, merged.text.encode("utf-8"), mode=mode)
    except OSError as error:
        raise WorldError(
            Problem(f"{file} cannot be written: {error.strerror or error}", "let yourself write there, or use --file")
        ) from error
    return Written(file, changed=True, backup=backup)


def _free(file: Path) -> Path:
    """Where the old content goes: ``FILE.bak``, else ``FILE.bak.2`` and so on. An earlier one is never written over."""
    backup, number = file.with_name(f"{file.name}.bak"), 1
    while os.path.lexists(backup):
        number += 1
        backup = file.with_name(f"{file.name}.bak.{number}")
    return backup


def _read(file: Path) -> bytes | None:
    try:
        if file.is_dir():
            raise UserError(Problem("is a folder", "name a file with --file", Place(file=str(file))))
        if file.exists() and file.stat().st_size > _SMALL:
            raise UserError(Problem("is far too big for settings", "name the right file", Place(file=str(file))))
        return file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise WorldError(
            Problem(f"{file} cannot be read: {error.strerror or error}", "let yourself read it")
        ) from error


def _decode(content: bytes | None, file: Path) -> str:
    try:
        return (content or b"").decode("utf-8")
    except UnicodeDecodeError as error:
        line = (content or b"")[: error.start].count(b"\n") + 1
        raise UserError(
            Problem("is not UTF-8 text", "save it as UTF-8, or name another file", Place(file=str(file), line=line))
        ) from None


def _merge_jsonc(fragment: Fragment, text: str, *, file: str) -> tuple[str, bool]:
    mark = _MARK if text.startswith(_MARK) else ""
    body = text.removeprefix(_MARK)
    if not body.strip():
        return mark + _fresh(fragment), False
    try:
        merged, existing = _edited(fragment, body)
    except (JsoncError, edit.NotAnObjectError) as error:
        line, column = place(body, error.position)
        raise UserError(
            Problem(
                f"cannot be merged into: {error}",
                "mend the file, or print the settings without --write and paste them",
                Place(file=file, line=line, column=column),
            )
        ) from None
    return mark + merged, existing


def _edited(fragment: Fragment, body: str) -> tuple[str, bool]:
    root = parse(body)
    if not isinstance(root.value, dict):
        raise edit.NotAnObjectError((), root.start)
    section = root.value.get(fragment.section)
    current = section.get(fragment.name) if isinstance(section, dict) else None
    path = (fragment.section, fragment.name)
    if not isinstance(current, dict):
        merged = edit.put(body, path, dict(fragment.entry))
    else:
        merged = body
        for key in sorted(fragment.owned & current.keys() - fragment.entry.keys()):
            merged = edit.drop(merged, (*path, key))
        for key, value in fragment.entry.items():
            merged = edit.put(merged, (*path, key), joined(current.get(key), value))
    for item in fragment.inputs:
        merged = _with_input(merged, item)
    return merged, isinstance(current, dict)


def joined(old: object, new: object) -> object:
    """Ours over theirs: in a table such as ``env``, names that we do not set stay."""
    return {**old, **new} if isinstance(old, Mapping) and isinstance(new, Mapping) else new


def _with_input(text: str, item: Mapping[str, object]) -> str:
    known = parse(text).value.get("inputs")
    if isinstance(known, list):
        if any(isinstance(other, dict) and other.get("id") == item["id"] for other in known):
            return text
        return edit.append(text, ("inputs",), dict(item))
    return edit.put(text, ("inputs",), [dict(item)])


def _fresh(fragment: Fragment) -> str:
    document: dict[str, object] = {fragment.section: {fragment.name: dict(fragment.entry)}}
    if fragment.inputs:
        document = {"inputs": [dict(item) for item in fragment.inputs], **document}
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"
