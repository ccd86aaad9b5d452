"""A child's output as an author should see it: own frames, own file names, nothing of the machinery."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mcp_packager.errors import Place

_FRAME: Final = re.compile(r'^\s*File "(?P<file>[^"\n]+)", line (?P<line>\d+),? in (?P<where>.+)$')
_SYNTAX: Final = re.compile(r"\((?P<file>[^()/]+\.py), line (?P<line>\d+)\)$")
_MARK: Final = re.compile(r"^(Traceback \(most recent call last\):|Current thread 0x|Thread 0x|Extension modules: )")
_CONTROL: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Frame:
    """One line of the author's code that was running; ``file`` as the author knows it."""

    file: str
    line: int
    where: str


@dataclass(frozen=True, slots=True)
class View:
    """Which folders are whose: the child's scratch folder, the code, what the author knows it as, the libraries."""

    scratch: Path
    app: Path
    shown: Path
    lib: Path

    def name(self, file: str) -> str:
        """A file's name as the author knows it; others as they are."""
        for root in (str(self.scratch / "bundle" / "app"), str(self.app.absolute()), str(self.app.resolve())):
            if file.startswith(f"{root}/"):
                return str(self.shown / file[len(root) + 1 :])
        return file

    def text(self, text: str) -> str:
        """A line of the child's, with the author's names for files and without control characters."""
        for root in (str(self.scratch / "bundle" / "app"), str(self.app.resolve())):
            text = text.replace(root, str(self.shown))
        return _CONTROL.sub("", text.replace(str(self.scratch), "…"))

    def syntax(self, what: str) -> Place | None:
        """Where a syntax error is, which has no frame of its own; its message names the file without its folder."""
        match = _SYNTAX.search(what)
        if match is None:
            return None
        found = [file for file in self.app.rglob("*.py") if file.name == match["file"]]
        return Place(str(self.shown / found[0].relative_to(self.app)), int(match["line"])) if len(found) == 1 else None

    def frames(self, output: str) -> tuple[Frame, ...]:
        """The author's frames of the last traceback or crash dump, outermost first."""
        frames: list[Frame] = []
        crash = False
        for line in output.splitlines():
            if _MARK.match(line):
                crash = line.startswith(("Current thread", "Thread"))
                if line.startswith(("Traceback", "Current")):
                    frames = []
                continue
            match = _FRAME.match(line)
            if match is None or self.name(match["file"]) == match["file"]:
                continue
            frame = Frame(self.name(match["file"]), int(match["line"]), match["where"].strip())
            # A crash dump lists the innermost frame first, a traceback last.
            frames.insert(0, frame) if crash else frames.append(frame)
        return tuple(frames)

    def plain(self, output: str) -> Iterator[str]:
        """The lines that are no frames and no marks of a traceback, without control characters."""
        source_follows = False
        for line in output.splitlines():
            if _FRAME.match(line):
                source_follows = True
                continue
            if _MARK.match(line) or (source_follows and line.startswith("    ")):
                continue
            source_follows = False
            yield self.text(line)


def place(frames: Sequence[Frame]) -> Place:
    """The innermost frame as a place."""
    return Place(frames[-1].file, frames[-1].line) if frames else Place()


def block(frames: Sequence[Frame]) -> str:
    """The frames as indented lines for the end of a sentence."""
    return "".join(f"\n    {frame.file}:{frame.line} in {frame.where}" for frame in frames[-8:])


def signal_name(number: int) -> str:
    """A signal's name, such as ``SIGSEGV``."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"
