"""The crash matrix, the same for every target: each command is killed before, after and inside of what it writes.

Each time a client that had a server must not notice, the same command run again must reach the end that an
undisturbed one reaches, and a destroy must leave nothing.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from mcp_packager.testing import Project
from tests import sampling
from tests.targets.loading import Client

_OPTIONS: Final = """\
keep = {keep}

[secrets.WORD]
description = "What opens it"

[secrets.SPARE]
required = false
from = "file:spare.txt"

[serve]
timeout = "{timeout}s"
"""
KILLED: Final = -9
_SAMPLE: Final = 1
"""Moments around writes, and moments inside of them, that a sample has."""
_WHOLE_INSIDE: Final = 12
"""Of what happens inside of writes, how much the whole matrix tries: linking a bundle is thousands of steps."""

Moment = Mapping[str, Any]


class Commands:
    """``mcp-pack`` for one project, each command in a process of its own that can be told when to die."""

    def __init__(self, target: str, project: Path, process: subprocess.Popen[str]) -> None:
        self._target = target
        self._project = project
        self._process = process

    def run(self, command: str, *arguments: str, moment: Moment | None = None) -> dict[str, Any]:
        """Run one to its end, or to its death at the moment."""
        answer = self.attempt(command, *arguments, moment=moment)
        assert answer["code"] == (KILLED if moment else 0), f"{command} {arguments} {moment}\n{answer['told']}"
        return answer

    def attempt(self, command: str, *arguments: str, moment: Moment | None = None) -> dict[str, Any]:
        """Run one, however it ends; it may have ended before the moment."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        argv = [command, "--project", str(self._project), "--target", self._target, "--yes", *arguments]
        self._process.stdin.write(f"{json.dumps({'argv': argv, 'moment': moment})}\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


@dataclass
class Counts:
    """What a test did, for its last line."""

    killed: dict[str, int] = field(default_factory=lambda: {"before": 0, "after": 0, "inside": 0})
    calls: int = 0

    def told(self, what: str, writes: int) -> str:
        kills = ", ".join(f"{number} {sort}" for sort, number in self.killed.items())
        return f"{what}: {writes} writes, killed {kills}; {self.calls} calls, 0 failed; all ended alike"


def timeout_of(version: str) -> int:
    """A setting that goes with the version, so that a redeploy changes the config too."""
    return 30 + int(version[0])


class Place(ABC):
    """One project in one home, with all that a test of the matrix does to it. A target says what is to be seen."""

    target: str

    def __init__(self, folder: Path, commands: Commands, calls: Client, keep: int) -> None:
        self.project = Project(folder / "suite", self.target)
        self.commands = commands
        self.calls = calls
        self.counts = Counts()
        self._keep = keep

    def write(self, version: str) -> None:
        """Write the project as of a version."""
        options = _OPTIONS.format(keep=self._keep, timeout=timeout_of(version))
        Project(self.project.folder, self.target, options).write(version)

    @abstractmethod
    def picture(self, new: str, old: str) -> dict[str, Any]:
        """All there is, without what differs between two runs that end alike."""

    @abstractmethod
    def url(self) -> str:
        """Where clients are."""

    @abstractmethod
    def earlier(self) -> str:
        """The number of the release to go back to."""

    @abstractmethod
    def nothing_left(self) -> None:
        """Hold that nothing is left after a destroy."""

    @contextmanager
    def served(self, url: str) -> Iterator[None]:
        """Keep a client calling; none of its calls may fail."""
        with self.calls.load(url, at_once=2, pause=0.02) as seen:
            yield
        assert not seen.failed, "\n".join((f"{len(seen.failed)} calls failed:", *seen.failed))
        assert seen.count > 0
        self.counts.calls += seen.count


def killed(here: Place, moment: Moment, command: str, *arguments: str) -> None:
    """Run a command that dies."""
    here.counts.killed[moment["sort"]] += 1
    here.commands.run(command, *arguments, moment=moment)


def holds(here: Place, wanted: Mapping[str, Any], new: str, old: str, after: str) -> None:
    """Hold what is there against what should be."""
    found = here.picture(new, old)
    for part, value in wanted.items():
        if isinstance(value, list) and value != found[part]:
            there, due = Counter(map(str, found[part])), Counter(map(str, value))
            more, less = list((there - due).elements()), list((due - there).elements())
            pytest.fail(f"{after}: {part} too many: {more}, missing: {less}")
        assert found[part] == value, f"{after}: {part}"


@contextmanager
def commands(target: str, project: Path, environ: Mapping[str, str]) -> Iterator[Commands]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.targets.crash.launcher", target],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environ},
    ) as process:
        yield Commands(target, project, process)
        process.communicate(timeout=60)


def moments(undisturbed: Mapping[str, Any], what: str) -> list[Moment]:
    """When to die: before and after each write, and inside of some, or a sample of that."""
    draw = random.Random(f"{sampling.seed()} {what}")
    found = sampling.sampled(_around(undisturbed["journal"], draw), _SAMPLE, of=what)
    # One of each sort of step in each write, at random among its like; how often a signal is sent, or a container is
    # asked whether it has done its part, is up to chance.
    inside = [
        {
            "sort": "inside",
            "number": 0 if step.endswith("os.kill") or "exec" in step else draw.randrange(count),
            "step": step,
        }
        for step, count in Counter(undisturbed["inside"]).items()
    ]
    return found + draw.sample(inside, min(len(inside), _WHOLE_INSIDE if sampling.whole() else _SAMPLE))


def _around(journal: Sequence[str], draw: random.Random) -> list[Moment]:
    """Before and after each write, once for each state of the world, at random where two moments have one.

    After one write and before the next, while no other is under way, the world is the same. While others are under way
    it is up to chance which of them are done, before a write and after it: such a write has one moment.
    """
    found: list[Moment] = []
    counts: Counter[str] = Counter()
    chosen = {write: draw.choice(("before", "after")) for write in sorted(_overlapping(journal))}
    ended = False
    for line in journal:
        sort, _, write = line.partition(" ")
        if sort == "inside":
            continue
        moment = {"sort": sort, "number": counts[sort], "step": ""}
        counts[sort] += 1
        kept = chosen.get(write, sort) == sort
        if kept and sort == "before" and ended:
            found[-1] = draw.choice((found[-1], moment))
        elif kept:
            found.append(moment)
        ended = kept and sort == "after" and counts["before"] == counts["after"]
    return found


def _overlapping(journal: Sequence[str]) -> set[str]:
    """Writes beside which another was under way."""
    found: set[str] = set()
    under_way: list[str] = []
    for line in journal:
        sort, _, write = line.partition(" ")
        if sort == "before":
            under_way.append(write)
            if len(under_way) > 1:
                found.update(under_way)
        elif sort == "after":
            under_way.remove(write)
    return found


Told = Callable[[str], None]
"""Prints a line past pytest's capture."""


def telling(capsys: pytest.CaptureFixture[str]) -> Told:
    """What a test's stories tell with."""

    def tell(line: str) -> None:
        with capsys.disabled():
            print(f"\n{line}", end="")

    return tell


def first_deploy_and_destroy(here: Place, told: Told) -> None:
    """Both killed by turns."""
    here.write("1.0.0")
    deployed = here.commands.run("deploy")
    wanted = here.picture("1.0.0", "2.0.0")
    destroyed = here.commands.run("destroy")
    here.nothing_left()
    made, gone = moments(deployed, "first"), moments(destroyed, "destroy")
    for number in range(max(len(made), len(gone))):
        if number < len(made):
            killed(here, made[number], "deploy")
        # Whatever a killed destroy or deploy left, a deploy makes whole.
        here.commands.run("deploy")
        holds(here, wanted, "1.0.0", "2.0.0", f"deploy number {number} killed, of {made}")
        if number < len(gone):
            killed(here, gone[number], "destroy")
            if number % 2:
                here.commands.run("deploy")
                holds(here, wanted, "1.0.0", "2.0.0", f"destroy killed {gone[number]}")
        here.commands.run("destroy")
        here.nothing_left()
    told(here.counts.told("first deploy and destroy", len(deployed["writes"]) + len(destroyed["writes"])))


def redeploy(here: Place, told: Told) -> None:
    """Nothing of the version before is kept, so that each redeploy writes and removes all there is."""
    new, old = "2.0.0", "1.0.0"
    here.write(old)
    here.commands.run("deploy")
    url = here.url()
    here.write(new)
    with here.served(url):
        undisturbed = here.commands.run("deploy")
    wanted = here.picture(new, old)
    for moment in moments(undisturbed, "redeploy"):
        new, old = old, new
        here.write(new)
        with here.served(url):
            killed(here, moment, "deploy")
            here.commands.run("deploy")
        holds(here, wanted, new, old, f"killed {moment}")
    told(here.counts.told("redeploy", len(undisturbed["writes"])))


def rollback(here: Place, told: Told) -> None:
    """By turns to a release by its number, there and back again, and from one that was just deployed."""
    new, old = "1.0.0", "2.0.0"
    for version in (new, old):
        here.write(version)
        here.commands.run("deploy")
    url = here.url()
    with here.served(url):
        undisturbed = here.commands.run("rollback", "--to", here.earlier())
    wanted = here.picture(new, old)
    for number, moment in enumerate(moments(undisturbed, "rollback")):
        arguments: tuple[str, ...] = ()
        # Without a number the same command, run again, must not go back once more: unless it had ended.
        ended = moment["sort"] == "after" and moment["number"] == len(undisturbed["writes"]) - 1
        if number % 2 or ended:
            arguments = ("--to", here.earlier())
            new, old = old, new
        else:
            here.write(old)
            here.commands.run("deploy")
        with here.served(url):
            killed(here, moment, "rollback", *arguments)
            here.commands.run("rollback", *arguments)
        holds(here, wanted, new, old, f"killed {moment}")
    told(here.counts.told("rollback", len(undisturbed["writes"])))


def redeploy_then_destroy(here: Place, told: Told) -> None:
    """A destroy after a redeploy that was killed."""
    undisturbed: dict[str, Any] = {}
    for version in ("1.0.0", "2.0.0"):
        here.write(version)
        undisturbed = here.commands.run("deploy")
    here.commands.run("destroy")
    for moment in moments(undisturbed, "redeploy, destroy"):
        here.write("1.0.0")
        here.commands.run("deploy")
        here.write("2.0.0")
        with here.served(here.url()):
            killed(here, moment, "deploy")
        here.commands.run("destroy")
        here.nothing_left()
    told(here.counts.told("redeploy, then destroy", len(undisturbed["writes"])))


STORIES: Final[Mapping[str, tuple[Callable[[Place, Told], None], int]]] = {
    "a first deploy, a destroy": (first_deploy_and_destroy, 0),
    "a redeploy": (redeploy, 0),
    "a rollback": (rollback, 1),
    "a redeploy, destroyed": (redeploy_then_destroy, 1),
}
"""All of it, each with how many earlier releases its place keeps."""
