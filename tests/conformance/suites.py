"""The official conformance suites, run against a URL, with what is expected to fail.

Each suite gets the list of what is expected to fail, with reasons; it ends with an error when anything else fails
and when something listed passes.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from tests import real_parts

HERE = Path(__file__).parent
HANDSHAKE = HERE / "expected-failures-handshake.yaml"
STATELESS = HERE / "expected-failures-stateless.yaml"

PUSHED = frozenset(
    {"tools-call-sampling", "tools-call-elicitation", "elicitation-sep1034-defaults", "elicitation-sep1330-enums"}
)
"""All that may fail: what needs a question in the middle of a call."""

WARNED = frozenset({"server-sse-multiple-streams"})
"""All that may be listed besides: a warning without a failed check."""


def older_versions(url: str, folder: Path) -> None:
    """The released suite, for the versions before 2026-07-28."""
    done = _run("conf016", url, folder, "--suite", "active", "--expected-failures", str(HANDSHAKE))
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    summary = done.stdout.partition("=== SUMMARY ===")[2]
    assert set(re.findall(r"^✗ (\S+):", summary, re.MULTILINE)) == PUSHED


def requirements(revision: str, expected: Path, fail: frozenset[str]) -> Callable[[str, Path], None]:
    """What one revision of the specification requires, by the suite that is in the making."""

    def judge(url: str, folder: Path) -> None:
        arguments = ("--requirements", revision, "--expected-failures", str(expected), "-o", str(folder / "results"))
        done = _run("@modelcontextprotocol/conformance", url, folder, *arguments)
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        # Scenarios that the revision does not score count here too: header checks among them.
        assert len(list(folder.rglob("checks.json"))) > 30
        assert _failed(folder) == fail

    return judge


SUITES: Mapping[str, Callable[[str, Path], None]] = MappingProxyType(
    {
        "older-versions": older_versions,
        "2025-11-25": requirements("2025-11-25", HANDSHAKE, PUSHED),
        "2026-07-28": requirements("2026-07-28", STATELESS, frozenset()),
    }
)
"""By name, what judges an endpoint: its URL, and an empty folder for results."""


def _run(package: str, url: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    script = real_parts.node_modules() / package / "dist" / "index.js"
    line = [str(real_parts.node22()), str(script), "server", "--url", url, *arguments]
    return subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=110, check=False)


def _failed(folder: Path) -> set[str]:
    """Scenarios with a failed check, from the results that the suite wrote; the tasks extension apart."""
    found = set()
    for checks in folder.rglob("checks.json"):
        scenario = re.sub(r"^server-|-\d{4}-\d\d-\d\dT.*$", "", checks.parent.name)
        if any(check["status"] == "FAILURE" for check in json.loads(checks.read_text(encoding="utf-8"))):
            found.add(scenario)
    return {scenario for scenario in found if not scenario.startswith("tasks-")}
