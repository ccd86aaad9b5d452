"""The official conformance suites, against a fixture written with the author's API, built and deployed as any tool is.

Each suite gets the list of what is expected to fail, with reasons; it ends with an error when anything else fails
and when something listed passes.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import real_parts
from tests.pipeline.projects import data, destroyed_afterwards

HERE = Path(__file__).parent
HANDSHAKE = HERE / "expected-failures-handshake.yaml"
STATELESS = HERE / "expected-failures-stateless.yaml"

PUSHED = {"tools-call-sampling", "tools-call-elicitation", "elicitation-sep1034-defaults", "elicitation-sep1330-enums"}
"""All that may fail: what needs a question in the middle of a call."""

WARNED = {"server-sse-multiple-streams"}
"""All that may be listed besides: a warning without a failed check."""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the deployed fixture is served: from a bundle, by the supervisor, as a user's tool would be."""
    folder = tmp_path_factory.mktemp("conformance")
    project = shutil.copytree(HERE / "fixture", folder / "project", ignore=shutil.ignore_patterns("__pycache__"))
    with pytest.MonkeyPatch.context() as patch:
        # One home for the whole module; each test has another of its own.
        patch.setenv("MCP_PACK_HOME", str(folder / "home"))
        with destroyed_afterwards(project):
            (deployed,) = data(project, "deploy")["deployments"]
            yield deployed["endpoint"]["url"]


def run(package: str, url: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    script = real_parts.node_modules() / package / "dist" / "index.js"
    line = [str(real_parts.node22()), str(script), "server", "--url", url, *arguments]
    return subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=110, check=False)


def failed(folder: Path) -> set[str]:
    """Scenarios with a failed check, from the results that the suite wrote; the tasks extension apart."""
    found = set()
    for checks in folder.rglob("checks.json"):
        scenario = re.sub(r"^server-|-\d{4}-\d\d-\d\dT.*$", "", checks.parent.name)
        if any(check["status"] == "FAILURE" for check in json.loads(checks.read_text(encoding="utf-8"))):
            found.add(scenario)
    return {scenario for scenario in found if not scenario.startswith("tasks-")}


@pytest.mark.real("node-modules", "node22")
def test_suite_of_the_older_versions(url: str, tmp_path: Path) -> None:
    done = run("conf016", url, tmp_path, "--suite", "active", "--expected-failures", str(HANDSHAKE))
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    summary = done.stdout.partition("=== SUMMARY ===")[2]
    assert set(re.findall(r"^✗ (\S+):", summary, re.MULTILINE)) == PUSHED


@pytest.mark.real("node-modules", "node22")
@pytest.mark.parametrize(
    ("revision", "expected", "fail"), [("2025-11-25", HANDSHAKE, PUSHED), ("2026-07-28", STATELESS, set())]
)
def test_requirements_of_a_revision(url: str, tmp_path: Path, revision: str, expected: Path, fail: set[str]) -> None:
    arguments = ("--requirements", revision, "--expected-failures", str(expected), "-o", str(tmp_path / "results"))
    done = run("@modelcontextprotocol/conformance", url, tmp_path, *arguments)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    # Scenarios that the revision does not score count here too: header checks among them.
    assert len(list(tmp_path.rglob("checks.json"))) > 30
    assert failed(tmp_path) == fail


def test_the_lists_hold_nothing_else() -> None:
    for file in (HANDSHAKE, STATELESS):
        entries = re.finditer(r"^  - (\S+)(?: # (.+))?$", file.read_text(encoding="utf-8"), re.MULTILINE)
        listed = {entry[1]: entry[2] for entry in entries}
        assert set(listed) <= PUSHED | WARNED
        assert all(listed.values()), "an entry without its reason"
