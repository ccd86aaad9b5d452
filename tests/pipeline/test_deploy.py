"""From a project to a running server and back, by the command line alone."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from mcp import Client

from tests.cli.process import run
from tests.pipeline.projects import CODE, MANIFEST, data, destroyed_afterwards, ok, project

BROKEN = CODE.replace("text: str", "text: int").replace("return text.upper()", "return str(text)")


@pytest.fixture
def shouter(tmp_path: Path) -> Path:
    return project(tmp_path / "shouter")


async def _shouted(url: str) -> str:
    async with Client(url) as client:
        answer = await client.call_tool("shout", {"text": "abc"})
        return str(answer.structured_content["result"]) if answer.structured_content else ""


def test_the_whole_life(shouter: Path) -> None:
    with destroyed_afterwards(shouter):
        (first,) = data(shouter, "deploy")["deployments"]
        assert (first["changed"], first["release"], first["version"]) == (True, 1, "1.0.0")
        assert asyncio.run(_shouted(first["endpoint"]["url"])) == "ABC"
        (again,) = data(shouter, "deploy")["deployments"]
        assert (again["changed"], again["release"]) == (False, 1)
        assert data(shouter, "invoke", "shout", "text=x")["invoke"]["result"]["structuredContent"] == {"result": "X"}

        project(shouter, code=CODE.replace("text.upper()", "text.upper() + '!'"))
        assert run("plan", "--exit-code", "--project", str(shouter)).returncode == 4
        (second,) = data(shouter, "deploy")["deployments"]
        assert second["release"] == 2
        assert second["endpoint"] == first["endpoint"]
        assert asyncio.run(_shouted(second["endpoint"]["url"])) == "ABC!"

        (back,) = data(shouter, "rollback", "--yes")["deployments"]
        assert asyncio.run(_shouted(back["endpoint"]["url"])) == "ABC"
        history = data(shouter, "history")["releases"]["local"]
        assert [line["current"] for line in history].count(True) == 1
        assert data(shouter, "status")["deployments"][0]["state"] == "running"
        assert '"method":"tools/call"' in ok(shouter, "logs").stdout
    (status,) = data(shouter, "status")["deployments"]
    assert status["state"] == "absent"


def test_what_breaks_clients_needs_a_major_version_or_a_word(shouter: Path) -> None:
    with destroyed_afterwards(shouter):
        ok(shouter, "deploy")
        project(shouter, code=BROKEN, manifest=MANIFEST.replace('"hello"', "5").replace("HELLO", "5"))
        refused = run("deploy", "--project", str(shouter))
        assert refused.returncode == 1
        assert "clients of release 1 on local would break" in refused.stderr
        assert "--allow-breaking" in refused.stderr
        (status,) = data(shouter, "status")["deployments"]
        assert (status["release"], status["state"]) == (1, "running")

        (comparison,) = data(shouter, "check", "--target", "local")["check"]["comparisons"]
        assert comparison["release"] == 1
        assert any(change["breaking"] and change["name"] == "shout" for change in comparison["changes"])

        major = MANIFEST.replace("1.0.0", "2.0.0").replace('"hello"', "5").replace("HELLO", "5")
        project(shouter, code=BROKEN, manifest=major)
        assert data(shouter, "deploy")["deployments"][0]["version"] == "2.0.0"


def test_allow_breaking_is_heard(shouter: Path) -> None:
    with destroyed_afterwards(shouter):
        ok(shouter, "deploy")
        project(shouter, code=BROKEN, manifest=MANIFEST.replace('"hello"', "5").replace("HELLO", "5"))
        assert data(shouter, "deploy", "--allow-breaking")["deployments"][0]["release"] == 2


def test_a_version_that_fails_its_own_calls_is_not_let_in(shouter: Path) -> None:
    with destroyed_afterwards(shouter):
        (first,) = data(shouter, "deploy")["deployments"]
        project(shouter, code=CODE.replace("text.upper()", "text.lower()"))
        refused = run("deploy", "--project", str(shouter))
        assert refused.returncode != 0
        assert "verify call shout" in refused.stderr
        assert "Traceback" not in refused.stderr
        assert asyncio.run(_shouted(first["endpoint"]["url"])) == "ABC"


def test_stages_stand_side_by_side(shouter: Path) -> None:
    manifest = MANIFEST + '\n[env]\nSUFFIX = ""\n\n[stage.loud.env]\nSUFFIX = "!!!"\n'
    code = "import os\n" + CODE.replace("text.upper()", "text.upper() + os.environ['SUFFIX']")
    project(shouter, code=code, manifest=manifest)
    with destroyed_afterwards(shouter, "default", "loud"):
        (plain,) = data(shouter, "deploy")["deployments"]
        (loud,) = data(shouter, "deploy", "--stage", "loud")["deployments"]
        assert plain["digest"] == loud["digest"]
        assert asyncio.run(_shouted(plain["endpoint"]["url"])) == "ABC"
        assert asyncio.run(_shouted(loud["endpoint"]["url"])) == "ABC!!!"
        ok(shouter, "destroy", "--yes", "--stage", "loud")
        assert asyncio.run(_shouted(plain["endpoint"]["url"])) == "ABC"
