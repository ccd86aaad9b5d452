"""``docs/cli.md`` says what is so."""

from __future__ import annotations

import dataclasses
import re

import pytest

from mcp_packager.cli.root import COMMANDS
from mcp_packager.client_config import CLIENTS, Written
from mcp_packager.errors import Problem
from mcp_packager.pipeline import reports, requests
from mcp_packager.scaffold import Project
from mcp_packager.store import Pruned
from mcp_packager.target.examination import Finding
from tests.cli.pages import BLOCK, DOCS

PAGE = (DOCS / "cli.md").read_text()
REPORTS: dict[str, type] = {
    "lock": reports.LockReport,
    "check": requests.CheckReport,
    "build": requests.BuildReport,
    "plan": reports.PlanReport,
    "deploy": reports.DeployReport,
    "status": reports.StatusReport,
    "history": reports.HistoryLine,
    "drift": reports.DriftReport,
    "destroy": reports.DestroyReport,
    "invoke": reports.InvokeReport,
    "monitoring": reports.MonitoringReport,
    "secrets": reports.SecretLine,
    "secrets push": reports.PushReport,
    "secrets new-key": reports.NewKey,
    "new": Project,
    "client-config": Written,
    "doctor": Finding,
    "cache prune": Pruned,
}


def row(command: str) -> set[str]:
    """The keys that the table of documents names for a command."""
    found = re.search(rf"^\| (?:`[^|]*`, )?`{command}`[^|]*\|(.*)\|$", PAGE, re.MULTILINE)
    assert found is not None, command
    return set(re.findall(r"`(\w+)`", found[1]))


@pytest.mark.parametrize(("command", "report"), REPORTS.items())
def test_the_table_names_every_key(command: str, report: type) -> None:
    assert {field.name for field in dataclasses.fields(report)} - row(command) == set()


def test_the_table_names_every_key_of_a_problem_and_a_comparison() -> None:
    (line,) = re.findall(r"^\| any, when it fails \|(.*)\|$", PAGE, re.MULTILINE)
    assert Problem("what", "fix").as_json().keys() <= set(re.findall(r"`(\w+)`", line))
    (sentence,) = re.findall(r"^A comparison is .*$", PAGE, re.MULTILINE)
    for kind in (requests.Comparison, requests.ChangeLine):
        assert {field.name for field in dataclasses.fields(kind)} <= set(re.findall(r"`(\w+)`", sentence))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_section(command: str) -> None:
    assert re.search(rf"^### `mcp-pack {command}\b", PAGE, re.MULTILINE)


@pytest.mark.parametrize("page", ["cli.md", "clients.md"])
def test_the_blocks_are_filled_and_free_of_machines(page: str) -> None:
    text = (DOCS / page).read_text()
    assert [match["command"] for match in BLOCK.finditer(text) if len(match["output"].splitlines()) < 2] == []
    assert not re.search(r"/(?:tmp|root|work)/|Traceback|fault of its own", text)


def test_the_page_of_clients_names_them_all() -> None:
    text = (DOCS / "clients.md").read_text()
    assert [name for name in CLIENTS if f"| `{name}` |" not in text] == []
