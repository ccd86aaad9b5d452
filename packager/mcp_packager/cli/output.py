"""What commands print: data on standard output, everything else on standard error."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import click

from mcp_packager.cli.streams import ReaderGoneError

JSON_SCHEMA = 1
"""The ``schema`` of every ``--json`` document. It grows when a key changes its meaning or leaves."""


def data(text: str, *, newline: bool = True) -> None:
    """Print data for people or pipes to standard output."""
    _write(text + ("\n" if newline else ""), sys.stdout)


def say(text: str) -> None:
    """Print a remark to standard error."""
    _write(text + "\n", sys.stderr)


def document(command: str, **content: object) -> None:
    """Print one ``--json`` document: ``{"schema": 1, "command": …, …}``."""
    data(json.dumps({"schema": JSON_SCHEMA, "command": command, **plain(content)}, ensure_ascii=False, indent=2))


def json_line(command: str, **content: object) -> None:
    """Print one document on one line, for output that goes on and on."""
    data(json.dumps({"schema": JSON_SCHEMA, "command": command, **plain(content)}, ensure_ascii=False))


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns side by side, as wide as their widest cell. ``None`` is shown as a dash."""
    cells = [[*header], *[["-" if cell is None else str(cell) for cell in row] for row in rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n".join([bold(lines[0]), *lines[1:]])


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person watches ``stream`` on a terminal that can redraw a line."""
    return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"


def colour_wanted(stream: TextIO | None) -> bool:
    """Colour is for terminals, unless ``NO_COLOR`` is set to anything (https://no-color.org)."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR")


def bold(text: str) -> str:
    """Bold where standard output shows it."""
    return click.style(text, bold=True) if colour_wanted(sys.stdout) else text


def plain(value: object) -> Any:
    """``value`` as JSON-ready data: dataclasses as objects, paths as text, tuples and sets as lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    return value


def _write(text: str, stream: TextIO | None) -> None:
    try:
        click.echo(text, nl=False, file=stream, color=colour_wanted(stream))
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise ReaderGoneError from None
        raise
