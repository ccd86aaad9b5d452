"""Each example: its own tests, its contract, and a deploy to this machine with a real client's call at the end."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from mcp import Client
from mcp.types import (
    CallToolResult,
    ElicitRequestParams,
    ElicitResult,
    ImageContent,
    PromptMessage,
    ReadResourceResult,
    TextContent,
    TextResourceContents,
)

from mcp_packager import manifest
from tests.examples.projects import EXAMPLES, ROOT, contract_of, copy_of
from tests.examples.surroundings import surroundings
from tests.examples.transcripts import commands, run, steady


@dataclass(frozen=True)
class Shown:
    """What an example shows its clients, and a client's work with it once it is deployed."""

    tools: frozenset[str]
    work: Callable[[Client], Awaitable[None]]
    resources: frozenset[str] = frozenset()
    templates: frozenset[str] = frozenset()
    prompts: frozenset[str] = frozenset()
    marks: tuple[pytest.MarkDecorator, ...] = field(default=())


async def _counts(client: Client) -> None:
    answer = await client.call_tool("count", {"text": "One two. Three, two."})
    assert answer.structured_content is not None
    assert (answer.structured_content["words"], answer.structured_content["distinct_words"]) == (4, 3)
    assert "the" in _text(await client.read_resource("text-stats://stop-words")).split()
    assert "school grade" in _text(await client.read_resource("text-stats://formulas/coleman-liau"))
    prompt = await client.get_prompt("simplify", {"text": "Hard words.", "grade": "5"})
    assert "grade 5" in _said(prompt.messages)


async def _refuses(client: Client) -> None:
    answer = await client.call_tool("fetch", {"url": "http://127.0.0.1:9/"})
    assert answer.is_error
    assert "not a public address" in _said([answer])


async def _adds_asks_and_deletes(client: Client) -> None:
    added = await client.call_tool("add_note", {"title": "Beans", "body": "Sow them.", "tags": ["garden"]})
    assert added.structured_content is not None
    number = added.structured_content["id"]
    assert _text(await client.read_resource(f"note://{number}")) == "# Beans\n\nSow them.\n"
    deleted = await client.call_tool("delete_note", {"note_id": number})
    assert _said([deleted]) == "The note “Beans” is deleted."
    found = await client.call_tool("search_notes", {"query": "beans"})
    assert found.structured_content == {"hits": [], "next_cursor": None}


async def _draws(client: Client) -> None:
    arguments = {"source": {"kind": "sample"}, "style": {"kind": "bars"}, "average": 3}
    (picture,) = (await client.call_tool("monthly_chart", arguments)).content
    assert isinstance(picture, ImageContent)
    assert picture.mime_type == "image/png"
    assert base64.b64decode(picture.data).startswith(b"\x89PNG\r\n")
    assert _text(await client.read_resource("sales://sample.csv")).startswith("date,product,region,units,revenue\n")


def _said(answers: Sequence[CallToolResult | PromptMessage]) -> str:
    """Return the text of the first block of the first answer."""
    content = answers[0].content
    block = content[0] if isinstance(content, list) else content
    assert isinstance(block, TextContent)
    return block.text


def _text(answer: ReadResourceResult) -> str:
    (contents,) = answer.contents
    assert isinstance(contents, TextResourceContents)
    return contents.text


async def _says_yes(context: object, params: ElicitRequestParams) -> ElicitResult:
    """Stand for the user: sees the question, ticks the box."""
    assert params.message.startswith("Delete the note “")
    return ElicitResult(action="accept", content={"delete": True})


SHOWN = {
    "text-stats": Shown(
        tools=frozenset({"count", "readability", "frequent_words", "compare"}),
        resources=frozenset({"text-stats://stop-words"}),
        templates=frozenset({"text-stats://formulas/{formula}"}),
        prompts=frozenset({"simplify"}),
        work=_counts,
    ),
    "web-fetch": Shown(
        tools=frozenset({"fetch", "links"}),
        work=_refuses,
    ),
    "notes-search": Shown(
        tools=frozenset({"add_note", "search_notes", "list_tags", "delete_note"}),
        templates=frozenset({"note://{note_id}"}),
        work=_adds_asks_and_deletes,
        marks=(pytest.mark.real("postgres"),),
    ),
    "sales-report": Shown(
        tools=frozenset({"monthly_report", "monthly_chart"}),
        resources=frozenset({"sales://sample.csv"}),
        prompts=frozenset({"quarterly_review"}),
        work=_draws,
    ),
}
examples = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[*shown.marks, pytest.mark.xdist_group(name)]) for name, shown in SHOWN.items()]
)


def test_every_example_is_tested() -> None:
    assert sorted(SHOWN) == list(EXAMPLES)


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
def test_its_readme_shows_what_is_printed_and_a_client_is_answered(name: str, tmp_path: Path) -> None:
    readme = commands((ROOT / "examples" / name / "README.md").read_text(encoding="utf-8"))
    *ours, destroy = [command for command in readme if command.is_ours]
    assert [command.subcommand for command in ours][:3] == ["check", "test", "deploy"]
    assert destroy.subcommand == "destroy"
    with surroundings(name, copy_of(name, tmp_path)) as (project, env):
        try:
            printed = {command.line: run(command, project, env) for command in ours}
            for command in ours:
                assert steady(printed[command.line]) == steady(command.printed), command.line
            assert (project / "dist" / "local" / "artifact.json").is_file()
            deployed = next(printed[command.line] for command in ours if command.subcommand == "deploy")
            asyncio.run(_worked_with(_endpoint(deployed), SHOWN[name].work))
        finally:
            removed = run(destroy, project, env)
        assert steady(removed) == steady(destroy.printed)


async def _worked_with(url: str, work: Callable[[Client], Awaitable[None]]) -> None:
    async with Client(url, elicitation_callback=_says_yes) as client:
        await work(client)


def _endpoint(printed: str) -> str:
    found = re.search(r"^  endpoint: (http://127\.0\.0\.1:\d+/mcp)$", printed, re.MULTILINE)
    assert found, printed
    return found[1]
