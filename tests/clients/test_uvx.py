"""The built wheel, served by `uvx` to a TypeScript client: no process is left when that client is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from uv import find_uv_bin

from tests import real_parts
from tests.pipeline.projects import CODE, data, project
from tests.serve.process import alive

GONE = 5.0
"""Seconds that a server and its children may outlive their client."""

STARTS = """

import subprocess


@tool
def start() -> list[int]:
    \"\"\"Start two programs and forget them, the second in a session of its own.\"\"\"
    return [subprocess.Popen(["sleep", "600"], start_new_session=away).pid for away in (False, True)]
"""


@pytest.mark.real("node-modules")
def test_no_process_is_left_when_the_client_is_killed(tmp_path: Path, scripts: Path) -> None:
    folder = project(tmp_path / "shouter", code=CODE + STARTS)
    (build,) = data(folder, "build")["builds"]
    (wheel,) = [file for file in build["files"] if file.endswith(".whl")]
    uvx = Path(find_uv_bin()).with_name("uvx")
    line = [str(real_parts.node()), str(scripts / "held.mjs"), str(uvx), "--python", sys.executable]
    client = subprocess.Popen([*line, "--from", wheel, "shouter"], stdout=subprocess.PIPE, cwd=tmp_path)
    seen: set[int] = set()
    try:
        assert client.stdout is not None
        answer = json.loads(client.stdout.readline())
        assert answer["said"] == "GRÜN"
        seen = _below(client.pid) | set(answer["started"])
        assert len(seen) >= 5, "uvx, the server, its guard and what the tool started"
        client.kill()
        client.wait()
        deadline = time.monotonic() + GONE
        while (left := [pid for pid in seen if alive(pid)]) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not left, f"of {sorted(seen)}"
    finally:
        client.kill()
        client.communicate()
        for pid in filter(alive, seen):
            os.kill(pid, signal.SIGKILL)


def _below(top: int) -> set[int]:
    """The processes that one started, and those that they started."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = {int(pid): int(parent) for pid, parent in map(str.split, listed.splitlines())}
    found: set[int] = set()
    while more := {pid for pid, parent in parents.items() if parent in found | {top}} - found:
        found |= more
    return found
