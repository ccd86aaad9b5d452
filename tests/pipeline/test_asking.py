"""What a server asks its client in the middle of a call is found by reading its source, and told by ``check``."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

import pytest

from mcp_packager.bundle import AuthorFiles
from mcp_packager.bundle.author import AuthorFile
from mcp_packager.pipeline.asking import Push, pushes, questions_without_default
from tests.pipeline.projects import data, project

SDK = "from mcp.server.mcpserver import Context, MCPServer\n"
FAST = "from fastmcp import Context, FastMCP\n"
ELICIT, SAMPLE, ROOTS = "elicitation/create", "sampling/createMessage", "roots/list"


@pytest.fixture
def author(tmp_path: Path) -> Callable[..., AuthorFiles]:
    def write(**sources: str) -> AuthorFiles:
        files = []
        for name, source in sorted(sources.items()):
            file = tmp_path / f"{name}.py"
            file.write_text(source, encoding="utf-8")
            files.append(AuthorFile(file.name, file, f"src/{file.name}", 0o644))
        return AuthorFiles(tuple(files), (), "src")

    return write


FOUND = [
    (SDK, "async def f(ctx: Context) -> str:\n    await ctx.elicit('?', Form)", [(3, ELICIT)]),
    (SDK, "async def f(talk: Context[None]) -> str:\n    await talk.elicit_url('?', 'u', 'i')", [(3, ELICIT)]),
    (SDK, "async def f(c: Context) -> str:\n    await c.session.create_message([], max_tokens=1)", [(3, SAMPLE)]),
    (SDK, "async def f(c: Context) -> str:\n    await c.request_context.session.list_roots()", [(3, ROOTS)]),
    (SDK, "async def f(ctx: 'Context') -> str:\n    ask = ctx.session.elicit_form\n    await ask('?')", [(3, ELICIT)]),
    (SDK, "async def f(c: Context | None = None) -> str:\n    await c.session.elicit('?', {})", [(3, ELICIT)]),
    (SDK, "async def f(session: 'mcp.server.ServerSession'):\n    await session.list_roots()", [(3, ROOTS)]),
    (SDK, "async def f(ctx):\n    await ctx.elicit('?', Form)", [(3, ELICIT)]),
    (SDK, "class A:\n    async def f(self):\n        await self.ctx.session.list_roots()", [(4, ROOTS)]),
    (SDK, "async def f(ctx: Context):\n    session = ctx.session\n    await session.list_roots()", [(4, ROOTS)]),
    (SDK, "async def f():\n    await server.get_context().elicit('?', Form)", [(3, ELICIT)]),
    (
        SDK,
        "async def f(ctx: Context):\n    await ctx.session.send_request(types.ListRootsRequest(), X)",
        [(3, ROOTS)],
    ),
    (
        SDK + "from mcp.server.elicitation import elicit_with_validation as ask\n",
        "async def f(c):\n    await ask(session=c, message='?', schema=Form)",
        [(4, ELICIT)],
    ),
    ("import mcp.server.mcpserver as m\n", "async def f(c: m.Context):\n    await c.elicit('?', F)", [(3, ELICIT)]),
    (FAST, "async def f(ctx: Context):\n    return (await ctx.sample('hi')).text", [(3, SAMPLE)]),
    (
        FAST,
        "async def f(ctx: Context):\n    await ctx.list_roots()\n    await ctx.elicit('?', str)",
        [(3, ROOTS), (4, ELICIT)],
    ),
    ("import fastmcp\n", "async def f(c: fastmcp.Context):\n    await c.sample_step('hi')", [(3, SAMPLE)]),
    (
        "from fastmcp.server.dependencies import get_context\n",
        "async def f():\n    await get_context().elicit('?', str)",
        [(3, ELICIT)],
    ),
]
NOT_FOUND = [
    (SDK, "async def f(ctx: Context):\n    await ctx.report_progress(1, 2)\n    await ctx.info('x')"),
    (SDK, "async def f(ctx: Context):\n    return ctx.session.client_params"),
    (SDK, "def ask() -> Elicit[F]:\n    return Elicit('?', F)\ndef g(a: Annotated[F, Resolve(ask)]):\n    return a"),
    (SDK, "import click\ndef f(ctx: click.Context):\n    ctx.sample()"),
    (SDK, "import random\ndef f():\n    return random.sample([1], 1)"),
    (SDK, "def f(frame):\n    return frame.sample(3)"),
    (SDK, "def f(client):\n    return client.messages.create_message('x')"),
    (SDK, "def f(client):\n    return client.list_roots()"),
    ("", "def f(session):\n    return session.sample(3)"),
    (SDK, "TEXT = 'await ctx.elicit()'  # ctx.elicit()"),
]


@pytest.mark.parametrize(("head", "body", "expected"), FOUND, ids=lambda value: str(value)[-40:])
def test_what_asks_is_found(
    head: str, body: str, expected: list[tuple[int, str]], author: Callable[..., AuthorFiles]
) -> None:
    found = pushes(author(server=head + body))
    assert [(push.line, push.method) for push in found] == [(line, method) for line, method in expected]
    assert {push.file for push in found} == {"src/server.py"}
    assert {push.library for push in found} == {"fastmcp" if "fastmcp" in head else "mcp"}


@pytest.mark.parametrize(("head", "body"), NOT_FOUND, ids=lambda value: str(value)[-40:])
def test_what_does_not_ask_is_left_alone(head: str, body: str, author: Callable[..., AuthorFiles]) -> None:
    assert pushes(author(server=head + body)) == ()


def test_a_module_beside_the_server_belongs_to_its_library(author: Callable[..., AuthorFiles]) -> None:
    files = author(server=FAST, words="async def ask(ctx):\n    return await ctx.elicit('?', str)\n", broken="def (")
    assert pushes(files) == (Push("src/words.py", 2, "ctx.elicit", ELICIT, "fastmcp"),)


def test_every_request_that_the_sdk_can_send_is_known(author: Callable[..., AuthorFiles]) -> None:
    from fastmcp.server.context import Context as FastContext
    from mcp.server.mcpserver import Context
    from mcp.server.session import ServerSession

    sending = [
        name
        for name, function in inspect.getmembers(ServerSession, inspect.isfunction)
        if "await self.send_request(" in inspect.getsource(inspect.unwrap(function))
    ]
    # A ping asks nobody anything.
    asking = {*sending, "elicit"} - {"send_ping"}
    assert asking >= {"create_message", "list_roots", "elicit_form", "elicit_url"}
    for name in asking:
        assert pushes(author(server=f"{SDK}async def f(ctx: Context):\n    await ctx.session.{name}()"))
    for context in (Context, FastContext):
        for name in ("elicit", "elicit_url", "sample", "sample_step", "list_roots"):
            if hasattr(context, name):
                assert pushes(author(server=f"{SDK}async def f(ctx: Context):\n    await ctx.{name}()")), name


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ("Ask('?', Form)", True),
        ("Ask(message='?', form=Form)", True),
        ("Ask('?', Form, Form(yes=True))", False),
        ("Ask('?', Form, default=Form(yes=True))", False),
        ("Ask(*given)", False),
        ("Ask('?', **given)", False),
        ("Sample('hi', 10)", True),
        ("Sample('hi', 10, default=SAID)", False),
        ("ListRoots()", True),
        ("ListRoots(default=())", False),
        ("ListRoots(())", False),
    ],
)
def test_a_question_without_a_default_is_found(call: str, told: bool, author: Callable[..., AuthorFiles]) -> None:
    source = f"from mcp_tool import Ask, ListRoots, Sample\n\n\ndef ask() -> Ask:\n    return {call}\n"
    assert questions_without_default(author(tools=source)) == (("src/tools.py:5",) if told else ())


OWN = '''
from typing import Annotated

from pydantic import BaseModel

from mcp_tool import Ask, Resolve, resource, tool


class Sure(BaseModel):
    yes: bool


def confirm() -> Ask[Sure]:
    return Ask("Sure?", Sure)


@tool
def wipe(sure: Annotated[Sure, Resolve(confirm)]) -> str:
    """Delete everything."""
    return "gone" if sure.yes else "kept"


@resource("notes://today")
def today() -> str:
    """Give today's note."""
    return "none"


@resource("notes://{day}")
def of_day(day: str) -> str:
    """Give a day's note."""
    return day
'''
WRAPPED = '''
from mcp.server.mcpserver import Context, MCPServer
from pydantic import BaseModel

server = MCPServer("words")


class Sure(BaseModel):
    yes: bool


@server.tool()
async def wipe(ctx: Context) -> str:
    """Delete everything."""
    answer = await ctx.elicit("Sure?", Sure)
    return answer.action
'''


def test_check_tells_which_tools_ask_and_what_resources_are_called(tmp_path: Path) -> None:
    report = data(project(tmp_path, code=OWN), "check")["check"]
    notes = "\n".join(report["notes"])
    assert "tools that ask the user: wipe; over HTTP a client of the older era cannot be asked" in notes
    assert "questions without a default, so that such a call fails: server.py:14" in notes
    assert report["resources"] == ["notes://today", "notes://{day}"]


def test_check_of_a_wrapped_server_names_the_place_and_the_portable_form(tmp_path: Path) -> None:
    manifest = '[tool]\nname = "words"\nentrypoint = "server:server"\ndependencies = ["mcp"]\n'
    report = data(project(tmp_path, code=WRAPPED, manifest=manifest), "check")["check"]
    (note,) = [note for note in report["notes"] if "middle of a call" in note]
    assert note.startswith(
        "server.py:15: ctx.elicit sends elicitation/create in the middle of a call, which fails over HTTP"
    )
    assert "Resolve(ask)" in note
    assert not any("tools that ask" in other for other in report["notes"])
