"""A redeploy and a rollback under a real client's load: no call fails. A crash: only what was in flight."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mcp_packager.target import Identity
from mcp_packager.testing import Pack, Project
from mcp_targets.local.daemon import Daemon
from mcp_targets.local.places import Places
from tests.targets.test_local_life import wait_for

_AT_ONCE = 4


@dataclass
class Seen:
    """What the client saw, once it has ended."""

    answers: dict[str, int] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        return sum(self.answers.values())


@contextmanager
def load(url: str, mode: str) -> Iterator[Seen]:
    seen = Seen()
    script = Path(__file__).with_name("load.py")
    with subprocess.Popen(
        [sys.executable, str(script), url, mode], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as client:
        yield seen
        told: dict[str, Any] = json.loads(client.communicate(timeout=60)[0])
    seen.answers, seen.failed = told["seen"], told["failed"]


def server_of(pack: Pack) -> dict[str, Any]:
    return dict(Daemon(Places.of(Identity("suite-tool", "suite-tool"), pack.environ)).slot("server"))


@pytest.mark.parametrize("mode", ["2026-07-28", "legacy"])
def test_a_redeploy_and_a_rollback_fail_no_call(
    deployed: tuple[Project, Pack], mode: str, capsys: pytest.CaptureFixture[str]
) -> None:
    project, pack = deployed
    with load(pack.url(), mode) as seen:
        project.write("2.0.0")
        pack.deploy()
        pack.run("rollback", "--yes")
    with capsys.disabled():
        print(f"\nredeploy and rollback, {mode}: {seen.count} calls, {len(seen.failed)} failed")
    assert seen.failed == []
    assert set(seen.answers) == {"hello, you! This is 1.0.0.", "hello, you! This is 2.0.0."}


def test_a_crash_fails_only_what_is_in_flight(
    deployed: tuple[Project, Pack], capsys: pytest.CaptureFixture[str]
) -> None:
    _, pack = deployed
    before = server_of(pack)["pid"]
    with load(pack.url(), "2026-07-28") as seen:
        # The log tells when the client is at work.
        log = Places.of(Identity("suite-tool", "suite-tool"), pack.environ).log("server")
        wait_for(lambda: log.read_text().count("tools/call") > 20)
        os.kill(before, signal.SIGKILL)
        wait_for(lambda: server_of(pack)["state"] == "running" and server_of(pack)["pid"] != before)
        pack.run("status")
    with capsys.disabled():
        print(f"\ncrash: {seen.count} calls, {len(seen.failed)} failed, {_AT_ONCE} at once")
    assert len(seen.failed) <= _AT_ONCE
    assert seen.count > 20
