"""A redeploy and a rollback under a real client's load: no call fails. A crash: only what was in flight."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from mcp_packager.target import Identity
from mcp_packager.testing import Pack, Project
from mcp_targets.local.daemon import Daemon
from mcp_targets.local.places import Places
from tests.targets.loading import AT_ONCE, client
from tests.targets.test_local_life import wait_for

LEAST = 2000
"""Calls that must have been answered before it counts that none failed."""


def server_of(pack: Pack) -> dict[str, Any]:
    return dict(Daemon(Places.of(Identity("suite-tool", "suite-tool"), pack.environ)).slot("server"))


@pytest.mark.parametrize("mode", ["2026-07-28", "legacy"])
def test_a_redeploy_and_a_rollback_fail_no_call(
    deployed: tuple[Project, Pack], mode: str, capsys: pytest.CaptureFixture[str]
) -> None:
    project, pack = deployed
    with client() as calls, calls.load(pack.url(), mode, least=LEAST) as seen:
        project.write("2.0.0")
        pack.deploy()
        pack.run("rollback", "--yes")
    with capsys.disabled():
        print(f"\nredeploy and rollback, {mode}: {seen.count} calls, {len(seen.failed)} failed")
    assert seen.failed == []
    assert seen.count >= LEAST
    assert set(seen.answers) == {"hello, you! This is 1.0.0.", "hello, you! This is 2.0.0."}


def test_a_crash_fails_only_what_is_in_flight(
    deployed: tuple[Project, Pack], capsys: pytest.CaptureFixture[str]
) -> None:
    _, pack = deployed
    before = server_of(pack)["pid"]
    # Calls go on after the crash: those that come while nobody serves wait for the restart.
    with client() as calls, calls.load(pack.url(), least=LEAST) as seen:
        # The log tells when the client is at work.
        log = Places.of(Identity("suite-tool", "suite-tool"), pack.environ).log("server")
        wait_for(lambda: log.read_text().count("tools/call") > 20)
        os.kill(before, signal.SIGKILL)
        wait_for(lambda: server_of(pack)["state"] == "running" and server_of(pack)["pid"] != before)
    with capsys.disabled():
        print(f"\ncrash: {seen.count} calls, {len(seen.failed)} failed, {AT_ONCE} at once")
    assert len(seen.failed) <= AT_ONCE
    assert seen.count >= LEAST
