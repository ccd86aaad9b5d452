"""What a README shows as printed, compared with what is printed.

A ```console block holds commands behind ``$ `` and under each what it prints. Commands of mcp-pack are run; others (an
``export``, a ``docker run``) are there for the reader. ``python -m tests.examples.transcripts`` runs the examples'
READMEs and writes what was printed into them.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.examples.projects import EXAMPLES, ROOT, copy_of
from tests.examples.surroundings import surroundings

_BLOCK = re.compile(r"(?<=^```console\n)(.*?)(?=^```$)", re.DOTALL | re.MULTILINE)
_CHANGING = (
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:PORT"),
    (re.compile(r"\b[0-9a-f]{12,64}\b"), "DIGEST"),
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|\+\d\d:\d\d)"), "TIME"),
    (re.compile(r"\bin \d+\.\d+s\b"), "in TIME"),
    (re.compile(r"\b\d+ bytes\]"), "SIZE bytes]"),
)


@dataclass(frozen=True)
class Command:
    """A line behind ``$ `` and what stands under it."""

    line: str
    printed: str

    @property
    def subcommand(self) -> str:
        """The word behind the program."""
        return self.line.split()[1]

    @property
    def is_ours(self) -> bool:
        """Whether it is run; the others are for the reader."""
        return self.line.startswith("mcp-pack ")


def commands(readme: str) -> list[Command]:
    """Every command of a README, in order."""
    found: list[Command] = []
    for block in _BLOCK.findall(readme):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            line, _, printed = part.partition("\n")
            found.append(Command(line, printed.strip("\n")))
    return found


def steady(printed: str) -> str:
    """``printed`` with what differs from run to run replaced: ports, digests, times."""
    for pattern, name in _CHANGING:
        printed = pattern.sub(name, printed)
    return printed


def run(command: Command, project: Path, env: Mapping[str, str]) -> str:
    """Run a command of mcp-pack in a project as on a terminal of 100 columns; what it printed, both streams."""
    program, *arguments = shlex.split(command.line, comments=True)
    done = subprocess.run(
        [str(Path(sys.executable).with_name(program)), *arguments],
        cwd=project,
        env={**os.environ, "COLUMNS": "100", "NO_COLOR": "1", **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=300,
    )
    lines = (line.rstrip() for line in done.stdout.splitlines())
    return "\n".join(lines).strip("\n")


def _kept(command: Command, printed: str) -> str:
    """What stands there already, where nothing but ports and times would change."""
    return command.printed if steady(printed) == steady(command.printed) else printed


def _renewed(readme: str, printed: Iterator[str]) -> str:
    def block(found: re.Match[str]) -> str:
        shown = [
            "\n".join(filter(None, (f"$ {command.line}", next(printed) if command.is_ours else command.printed)))
            for command in commands(f"```console\n{found[1]}```\n")
        ]
        return "\n".join(shown) + "\n"

    return _BLOCK.sub(block, readme)


def main() -> None:
    """Run the READMEs of all examples and write down what was printed."""
    for name in EXAMPLES:
        readme = ROOT / "examples" / name / "README.md"
        with (
            tempfile.TemporaryDirectory() as scratch,
            surroundings(name, copy_of(name, Path(scratch))) as (project, env),
        ):
            own = {"MCP_PACK_HOME": f"{scratch}/home", **env}
            text = readme.read_text(encoding="utf-8")
            printed = [_kept(command, run(command, project, own)) for command in commands(text) if command.is_ours]
            readme.write_text(_renewed(text, iter(printed)), encoding="utf-8")


if __name__ == "__main__":
    main()
