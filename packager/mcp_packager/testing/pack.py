"""The command line as a test drives it: real processes, their own folders, JSON answers."""

# ruff: noqa: S101  # assertions are how a suite fails

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_COMMAND: Final = (sys.executable, "-c", "from mcp_packager.cli.main import main; main()")
_LIMIT: Final = 300.0


@dataclass(frozen=True)
class Answer:
    """What a command said and how it ended. ``document`` is its ``--json`` output, empty where it printed none."""

    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document that was printed."""
        found: dict[str, Any] = json.loads(self.stdout) if self.stdout.strip() else {}
        return found

    @property
    def told(self) -> str:
        """Everything that was printed."""
        return self.stdout + self.stderr


@dataclass(frozen=True)
class Pack:
    """``mcp-pack`` for one project, stage and target."""

    project: Path
    target: str
    environ: Mapping[str, str]
    stage: str = "default"

    def at(self, stage: str) -> Pack:
        """The same for another stage."""
        return Pack(self.project, self.target, self.environ, stage)

    def having(self, **environ: str) -> Pack:
        """The same with more in its environment: where ``env:`` secrets come from."""
        return Pack(self.project, self.target, {**self.environ, **environ}, self.stage)

    def argv(self, command: str, *arguments: str) -> list[str]:
        """The command line, asking for JSON."""
        place = ["--project", str(self.project), "--stage", self.stage, "--target", self.target]
        return [*_COMMAND, *command.split(), *place, "--json", *arguments]

    def start(self, command: str, *arguments: str) -> subprocess.Popen[str]:
        """Start a command and leave it running."""
        return subprocess.Popen(
            self.argv(command, *arguments),
            env={**os.environ, **self.environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, command: str, *arguments: str, expect: Sequence[int] = (0,)) -> Answer:
        """Run a command to its end and hold its exit code to what is expected."""
        with self.start(command, *arguments) as process:
            stdout, stderr = process.communicate(timeout=_LIMIT)
        answer = Answer(process.returncode, stdout, stderr)
        assert answer.code in expect, f"{command} ended with {answer.code}\n{answer.told}"
        return answer

    def deploy(self, *arguments: str) -> dict[str, Any]:
        """Deploy; what the one deployment left."""
        (deployment,) = self.run("deploy", "--yes", *arguments).document["deployments"]
        found: dict[str, Any] = deployment
        return found

    def url(self) -> str:
        """Where clients reach what is deployed."""
        (status,) = self.run("status").document["deployments"]
        found: str = status["endpoint"]["url"]
        return found
