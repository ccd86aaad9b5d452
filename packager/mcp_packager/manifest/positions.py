"""Where each key and value of a TOML document stands. tomli keeps no positions; this is asked for only after a problem.

The document was accepted by tomli before, so this reads structure and skips over content: it never judges.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import tomli

Path = tuple[str | int, ...]
"""Keys and array indexes from the top of the document."""

_SPACE: Final = re.compile(r"[ \t]*")
_FILL: Final = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_STRING: Final = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}(?!")'
    r"|'''.*?'{3,5}(?!')"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_SCALAR: Final = re.compile(r"[^,\]}\n#]*")


@dataclass(frozen=True, slots=True)
class Spot:
    """Offsets of a key and of its value; the same for an item of an array."""

    key: int
    value: int


@dataclass(slots=True)
class _Scan:
    text: str
    at: int = 0
    spots: dict[Path, Spot] = field(default_factory=dict)
    tables: dict[Path, int] = field(default_factory=dict)
    """Arrays of tables: how many there are so far."""

    def skip(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.at)
        if match is None:
            return ""
        self.at = match.end()
        return match.group()

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def note(self, path: Path, spot: Spot) -> None:
        self.spots.setdefault(path, spot)

    def document(self) -> None:
        head: Path = ()
        while self.skip(_FILL) is not None and self.at < len(self.text):
            before = self.at
            if self.peek() == "[":
                head = self.header()
            else:
                self.pair(head)
            if self.at == before:
                return

    def header(self) -> Path:
        many = self.text.startswith("[[", self.at)
        self.at += 2 if many else 1
        self.skip(_SPACE)
        start = self.at
        names = self.key()
        self.skip(_SPACE)
        self.at += 2 if many else 1
        path = self.resolve(names[:-1], start)
        last: Path = (*path, names[-1])
        self.note(last, Spot(start, start))
        if many:
            index = self.tables.get(last, -1) + 1
            self.tables[last] = index
            last = (*last, index)
            self.note(last, Spot(start, start))
        elif last in self.tables:
            last = (*last, self.tables[last])
        return last

    def resolve(self, names: tuple[str, ...], start: int) -> Path:
        """The path of a header's parents: each array of tables stands for its last table."""
        path: Path = ()
        for name in names:
            path = (*path, name)
            self.note(path, Spot(start, start))
            if path in self.tables:
                path = (*path, self.tables[path])
        return path

    def key(self) -> tuple[str, ...]:
        names = [self.name()]
        while True:
            self.skip(_SPACE)
            if self.peek() != ".":
                return tuple(names)
            self.at += 1
            self.skip(_SPACE)
            names.append(self.name())

    def name(self) -> str:
        if self.peek() in {'"', "'"}:
            return str(tomli.loads(f"{self.skip(_STRING)} = 0").popitem()[0])
        return self.skip(_BARE)

    def pair(self, head: Path) -> None:
        start = self.at
        names = self.key()
        self.skip(_SPACE)
        self.at += 1
        self.skip(_SPACE)
        path = head
        for name in names[:-1]:
            path = (*path, name)
            self.note(path, Spot(start, start))
        path = (*path, names[-1])
        self.note(path, Spot(start, self.at))
        self.value(path)

    def value(self, path: Path) -> None:
        match self.peek():
            case "[":
                self.array(path)
            case "{":
                self.inline(path)
            case '"' | "'":
                self.skip(_STRING)
            case _:
                self.skip(_SCALAR)

    def array(self, path: Path) -> None:
        self.at += 1
        index = 0
        while self.skip(_FILL) is not None and self.at < len(self.text) and self.peek() != "]":
            if self.peek() == ",":
                self.at += 1
                continue
            item: Path = (*path, index)
            self.note(item, Spot(self.at, self.at))
            before = self.at
            self.value(item)
            if self.at == before:
                return
            index += 1
        self.at += 1

    def inline(self, path: Path) -> None:
        self.at += 1
        while self.skip(_FILL) is not None and self.at < len(self.text) and self.peek() != "}":
            if self.peek() == ",":
                self.at += 1
                continue
            before = self.at
            self.pair(path)
            if self.at == before:
                return
        self.at += 1


def scan(text: str) -> Mapping[Path, Spot]:
    """Every key path of a document that tomli accepts, in the order of their first appearance."""
    found = _Scan(text.replace("\r\n", "\n"))
    found.document()
    return found.spots


def line_and_column(text: str, offset: int) -> tuple[int, int]:
    """Line and column, both from 1, of an offset; columns count characters."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)
