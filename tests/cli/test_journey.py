"""One real project from `new` to `destroy`: every document parses, and carries its schema and its command."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.cli.process import run

JOURNEY: list[tuple[list[str], int]] = [
    (["lock"], 0),
    (["check"], 0),
    (["build"], 0),
    (["test"], 0),
    (["plan", "--exit-code"], 4),
    (["deploy"], 0),
    (["plan", "--exit-code"], 0),
    (["check", "--target", "local"], 0),
    (["status"], 0),
    (["invoke", "greet", "name=World"], 0),
    (["invoke", "greet", "nonsense=1"], 1),
    (["history"], 0),
    (["drift"], 0),
    (["secrets"], 0),
    (["client-config", "--client", "zed", "--write", "--url"], 0),
    (["targets", "--support"], 0),
    (["unlock", "--yes"], 0),
]


def document(arguments: list[str], code: int, *, cwd: Path, env: dict[str, str]) -> dict[str, Any]:
    done = run(*arguments, "--json", cwd=cwd, env=env)
    assert done.returncode == code, (arguments, done.stdout, done.stderr)
    loaded = json.loads(done.stdout)
    assert list(loaded)[:2] == ["schema", "command"], arguments
    assert loaded["schema"] == 1
    assert loaded["command"] == arguments[0], arguments
    return dict(loaded)


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return {"MCP_PACK_HOME": os.environ["MCP_PACK_HOME"], "HOME": str(tmp_path)}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_document_parses_and_says_what_it_is(tmp_path: Path, home: dict[str, str]) -> None:
    document(["new", "word-tools"], 0, cwd=tmp_path, env=home)
    project = tmp_path / "word-tools"
    try:
        seen = [document(arguments, code, cwd=project, env=home) for arguments, code in JOURNEY]
        logs = run("logs", "--json", "-n", "3", cwd=project, env=home)
        removed = document(["destroy", "--yes"], 0, cwd=project, env=home)
    finally:
        run("destroy", "--yes", cwd=project, env=home)
    assert removed["deployments"][0]["removed"]
    lines = [json.loads(line) for line in logs.stdout.splitlines()]
    assert len(lines) == 3
    assert all(line.keys() == {"schema", "command", "line"} for line in lines)
    by_command = {one["command"]: one for one in seen}
    assert by_command["status"]["deployments"][0]["state"] == "running"
    assert by_command["check"]["check"]["comparisons"][0]["changes"] == []
    assert by_command["history"]["releases"]["local"][0]["current"] is True
    (greeting,) = [one for one in seen if one["command"] == "invoke" and not one["invoke"]["is_error"]]
    assert greeting["invoke"]["result"]["structuredContent"] == {"result": "Hello, World!"}
