"""What runs a function's files: the seam behind which AWS's emulator stands, or a plain process of this machine."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mcp_packager.testing.aws.state import Version


@dataclass(frozen=True)
class Invoked:
    """What came of an invocation: the answer as JSON, and whether the function failed."""

    document: Any
    failed: bool


class CutError(Exception):
    """A streamed answer ended before it was whole."""


@dataclass(frozen=True)
class Streamed:
    """An answer on its way: its status and headers as Lambda's prelude has them, and its body as it comes.

    Reading ``pieces`` raises :class:`CutError` where the function says that it could not end the answer.
    """

    head: Mapping[str, Any]
    pieces: Generator[bytes]


class Running(Protocol):
    """One execution environment."""

    def invoke(self, event: Any) -> Invoked | Streamed:
        """Invoke it with an event; one at a time, and a streamed answer is read to its end before the next."""


Start = Callable[[Version, Path, Mapping[str, str]], AbstractContextManager[Running]]
"""Runs a version until the block ends; it is told the file to log to, and all variables that Lambda would set."""


def unpacked(zipped: Path, folder: Path) -> Path:
    """A zip as Lambda lays it out: unpacked, and read-only."""
    with zipfile.ZipFile(zipped) as archive:
        for member in archive.infolist():
            path = Path(archive.extract(member, folder))
            path.chmod((member.external_attr >> 16) & 0o555)
    for parent, _, _ in os.walk(folder):
        Path(parent).chmod(0o555)
    return folder
