"""What an import of the runtime brings with it: nothing heavy."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import mcp_tool
from tests.runtime.test_contract import run

HEAVY = ("pydantic", "mcp", "mcp_types", "starlette", "uvicorn", "anyio", "docstring_parser")
SLOW = ("asyncio", "dataclasses", "inspect", "json", "pathlib", "logging")


def loaded(code: str) -> set[str]:
    ended = run(["-c", f"{code}\nimport sys, json\nprint(json.dumps(sorted(sys.modules)))"])
    assert ended.returncode == 0, ended.stderr
    return set(json.loads(ended.stdout)) - {"json"}


@pytest.mark.parametrize(
    "code",
    [
        "import mcp_tool",
        "from mcp_tool import tool, resource, prompt, provide, Context, ToolError, RpcError",
    ],
)
def test_what_every_author_imports_is_light(code: str) -> None:
    assert not loaded(code) & {*HEAVY, *SLOW}


def test_everything_but_settings_comes_without_pydantic() -> None:
    names = ", ".join(name for name in mcp_tool.__all__ if name != "Settings")
    assert not loaded(f"from mcp_tool import {names}") & set(HEAVY)


def test_declaring_imports_nothing_heavy() -> None:
    code = """
from mcp_tool import tool
@tool(timeout="3s", icons=["x"])
def count(text: str) -> int:
    'Count.'
    return len(text)
"""
    assert not loaded(code) & {*HEAVY, *SLOW}


def test_settings_bring_pydantic_and_no_sdk() -> None:
    found = loaded("from mcp_tool import Settings")
    assert "pydantic" in found
    assert not found & {"mcp", "mcp_types", "starlette"}


def test_calling_needs_no_sdk() -> None:
    code = """
from mcp_tool import tool
from mcp_tool.testing import call
@tool
def count(text: str) -> int:
    'Count.'
    return len(text)
assert call(count, text="abc") == 3
"""
    assert not loaded(code) & {"mcp", "mcp_types", "starlette", "anyio"}


def test_names() -> None:
    assert set(mcp_tool.__all__) <= set(dir(mcp_tool))
    for name in mcp_tool.__all__:
        assert getattr(mcp_tool, name).__name__ if name != "Outcome" else mcp_tool.Outcome
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        mcp_tool.nothing  # noqa: B018 - looking it up is the test


def test_type_checkers_see_every_name(tmp_path: Path) -> None:
    source = tmp_path / "use.py"
    source.write_text(
        "from typing import Annotated\n"
        f"from mcp_tool import {', '.join(mcp_tool.__all__)}\n"
        "@tool\ndef a(x: int) -> int:\n    return x\n"
        "@tool(timeout='3s')\nasync def b(x: int, c: Annotated[str, Provided(str)]) -> int:\n    return x\n"
        "@tool('named')\ndef c(ctx: Context) -> str:\n    return ''\n"
        "@resource('a://b')\ndef d() -> str:\n    return ''\n"
        "@prompt\ndef e() -> str:\n    return ''\n"
        "@provide\ndef f() -> float:\n    return 1.0\n"
        "reveal_type(a)\nreveal_type(b)\nreveal_type(c)\nreveal_type(d)\nreveal_type(e)\nreveal_type(f)\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--cache-dir", str(tmp_path), str(source)]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False)
    notes = [line.partition('is "')[2].rstrip('"') for line in ended.stdout.splitlines() if "Revealed type" in line]
    assert notes == [
        "def (x: int) -> int",
        "def (x: int, c: str) -> typing.Coroutine[Any, Any, int]",
        "def (ctx: mcp_tool.context.Context) -> str",
        "def () -> str",
        "def () -> str",
        "def () -> float",
    ], ended.stdout
