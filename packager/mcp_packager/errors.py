"""Errors as records: where it is, what is wrong, how to mend it.

Everything a user can run into is a :class:`PackError` that carries one or more
:class:`Problem` records. The CLI prints the records and exits with the class's code;
no other exception is meant to reach a user.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Final

_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@dataclass(frozen=True, slots=True)
class Place:
    """Where a problem is. Lines and columns count from 1; ``None`` means not known."""

    file: str | None = None
    line: int | None = None
    column: int | None = None
    key: str | None = None
    """Dotted path of the manifest key, for example ``serve.timeout``."""

    def __str__(self) -> str:
        spot = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        if self.key and spot:
            return f"{spot} [{self.key}]"
        return self.key or spot


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. ``what`` says it, ``fix`` says what to type or change.

    ``what`` and ``fix`` are sentences without a closing full stop. ``expected`` and
    ``found`` are filled where a value was judged. None of them ever holds a secret value.
    """

    what: str
    fix: str
    where: Place = Place()
    expected: str | None = None
    found: str | None = None

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if str(self.where) else self.what
        lines = [head]
        if self.expected is not None:
            lines.append(f"  expected: {self.expected}")
        if self.found is not None:
            lines.append(f"  found:    {self.found}")
        lines.append(f"  fix:      {self.fix}")
        return "\n".join(lines)

    def as_json(self) -> dict[str, object]:
        """The record as plain data, for ``--json``."""
        return {
            "what": self.what,
            "fix": self.fix,
            "file": self.where.file,
            "line": self.where.line,
            "column": self.where.column,
            "key": self.where.key,
            "expected": self.expected,
            "found": self.found,
        }


class TerminatedError(KeyboardInterrupt):
    """SIGTERM came: an interrupt like Ctrl-C, but sent to this process alone."""


class PackError(Exception):
    """Base of every error that a user sees. Holds at least one problem."""

    exit_code: ClassVar[int] = 1

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class UserError(PackError):
    """Something in the project, its files or its code that its author can mend."""

    exit_code = 1


class UsageError(PackError):
    """The command line itself is wrong."""

    exit_code = 2


class WorldError(PackError):
    """The network, an index, a registry, a cloud or the machine did not do its part."""

    exit_code = 3


def no_room(error: OSError) -> WorldError | None:
    """What the system says of a full disk, or of a limit on a file's size, with the fix; ``None``: it is neither."""
    if error.errno not in _NO_ROOM:
        return None
    place = str(error.filename) if error.filename else None
    return WorldError(
        Problem(
            f"cannot be written: {error.strerror or error}" if place else f"a file cannot be written: {error.strerror}",
            "make room there (mcp-pack cache prune empties the store), then run the same command again",
            Place(file=place),
        )
    )
