"""Each example: its own tests, its contract, and a deploy to this machine with a real client's call at the end."""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from mcp import Client

from mcp_packager import manifest
from tests.examples.projects import EXAMPLES, ROOT, contract_of, copy_of, run_tests


@dataclass(frozen=True)
class Call:
    """A call that shows the example at work, and what its answer must satisfy."""

    tool: str
    arguments: Mapping[str, Any]
    check: Callable[[Any], None]


@dataclass(frozen=True)
class Shown:
    """What an example shows its clients, and a call of it."""

    tools: frozenset[str]
    call: Call
    resources: frozenset[str] = frozenset()
    templates: frozenset[str] = frozenset()
    prompts: frozenset[str] = frozenset()
    marks: tuple[pytest.MarkDecorator, ...] = field(default=())


def _counts(answer: Any) -> None:
    assert answer.structured_content["words"] == 4
    assert answer.structured_content["distinct_words"] == 3


def _refuses(answer: Any) -> None:
    assert answer.is_error
    assert "not a public address" in answer.content[0].text


def _adds(answer: Any) -> None:
    assert answer.structured_content["title"] == "Tomatoes"
    assert answer.structured_content["id"] >= 1


def _draws(answer: Any) -> None:
    (picture,) = answer.content
    assert picture.mime_type == "image/png"
    assert base64.b64decode(picture.data).startswith(b"\x89PNG\r\n")


SHOWN = {
    "text-stats": Shown(
        tools=frozenset({"count", "readability", "frequent_words", "compare"}),
        resources=frozenset({"text-stats://stop-words"}),
        templates=frozenset({"text-stats://formulas/{formula}"}),
        prompts=frozenset({"simplify"}),
        call=Call("count", {"text": "One two. Three, two."}, _counts),
    ),
    "web-fetch": Shown(
        tools=frozenset({"fetch", "links"}),
        call=Call("fetch", {"url": "http://127.0.0.1:9/"}, _refuses),
    ),
    "notes-search": Shown(
        tools=frozenset({"add_note", "search_notes", "list_tags", "delete_note"}),
        templates=frozenset({"note://{note_id}"}),
        call=Call("add_note", {"title": "Tomatoes", "body": "Water them.", "tags": ["garden"]}, _adds),
        marks=(pytest.mark.real("postgres"),),
    ),
    "sales-report": Shown(
        tools=frozenset({"monthly_report", "monthly_chart"}),
        resources=frozenset({"sales://sample.csv"}),
        prompts=frozenset({"quarterly_review"}),
        call=Call("monthly_chart", {"source": {"kind": "sample"}, "style": {"kind": "bars"}, "average": 3}, _draws),
    ),
}
examples = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[*shown.marks, pytest.mark.xdist_group(name)]) for name, shown in SHOWN.items()]
)


def test_every_example_is_tested() -> None:
    assert sorted(SHOWN) == list(EXAMPLES)


@examples
def test_its_own_tests_pass(name: str) -> None:
    ran = run_tests(ROOT / "examples" / name)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "skipped" not in ran.stdout, ran.stdout


@examples
def test_its_contract(name: str, tmp_path: Path) -> None:
    project = ROOT / "examples" / name
    tool = manifest.load(project).tool
    contract = contract_of(
        project, {"name": tool.name, "version": tool.version, "entrypoint": tool.entrypoint}, tmp_path
    )
    shown = SHOWN[name]
    assert {one["name"] for one in contract["tools"]} == shown.tools
    assert {one["definition"]["uri"] for one in contract["resources"]} == shown.resources
    assert {one["definition"]["uriTemplate"] for one in contract["templates"]} == shown.templates
    assert {one["name"] for one in contract["prompts"]} == shown.prompts
    for one in contract["tools"]:
        properties = one["definition"]["inputSchema"]["properties"]
        assert all(described.get("description") for described in properties.values()), one["name"]


@examples
@pytest.mark.slow
def test_it_is_built_deployed_and_called(name: str, tmp_path: Path) -> None:
    with _surroundings(name, copy_of(name, tmp_path)) as (project, env):
        assert SHOWN[name].tools <= set(_pack(project, env, "check")["check"]["tools"])
        (built,) = _pack(project, env, "build")["builds"]
        assert (Path(built["folder"]) / "artifact.json").is_file()
        (deployed,) = _pack(project, env, "deploy", "--target", "local")["deployments"]
        try:
            call = SHOWN[name].call
            call.check(asyncio.run(_called(deployed["endpoint"]["url"], call)))
        finally:
            _pack(project, env, "destroy", "--target", "local", "--yes")


async def _called(url: str, call: Call) -> Any:
    async with Client(url) as client:
        return await client.call_tool(call.tool, dict(call.arguments))


@contextmanager
def _surroundings(name: str, project: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """Give the copy what it needs from outside: for the notes a database, at the address in the manifest."""
    if name != "notes-search":
        yield project, {}
        return
    with _module(project / "tests" / "postgres.py").running_postgres() as port:
        file = project / "mcp-tool.toml"
        text = file.read_text()
        assert '"127.0.0.1:5432"' in text
        file.write_text(text.replace('"127.0.0.1:5432"', f'"127.0.0.1:{port}"'))
        yield project, {"DATABASE_PASSWORD": "unused"}


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _pack(project: Path, env: Mapping[str, str], *arguments: str) -> dict[str, Any]:
    command = [str(Path(sys.executable).with_name("mcp-pack")), *arguments, "--json"]
    done = subprocess.run(
        command, cwd=project, env=os.environ | env, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, f"{' '.join(arguments)}: {done.stdout}{done.stderr}"
    document: dict[str, Any] = json.loads(done.stdout)
    return document
