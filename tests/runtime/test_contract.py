"""The contract: canonical, hashed, extracted by a process of its own without the SDK; problems all at once."""

import hashlib
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

import mcp_tool
from mcp_tool import Context, prompt, resource, tool
from mcp_tool.contract import canonical
from tests.runtime.conftest import MakeApp

RUNTIME = Path(mcp_tool.__file__).parent.parent
SITE = [path for path in sys.path if "site-packages" in path]


def run(
    command: list[str], *, path: tuple[Path, ...] = (), env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter that sees the runtime and its dependencies."""
    paths = os.pathsep.join(map(str, (*path, RUNTIME, *SITE)))
    kept = {"PATH": os.defpath, "PYTHONPATH": paths, **(env or {})}
    whole = [sys.executable, "-S", "-P", *command]
    return subprocess.run(whole, env=kept, capture_output=True, text=True, timeout=60, check=False)


def bundle(folder: Path, entrypoint: str = "tools", secrets: dict[str, Any] | None = None, **modules: str) -> Path:
    (folder / "app").mkdir(parents=True)
    for name, source in modules.items():
        (folder / "app" / f"{name}.py").write_text(textwrap.dedent(source), encoding="utf-8")
    document = {"schema": 1, "name": "fixture", "version": "1.2.3", "entrypoint": entrypoint, "secrets": secrets or {}}
    (folder / "tool.json").write_text(json.dumps(document), encoding="utf-8")
    return folder


def extract(folder: Path, env: dict[str, str] | None = None) -> tuple[dict[str, Any], subprocess.CompletedProcess[str]]:
    output = folder / "out.json"
    command = ["-m", "mcp_tool", "contract", "--bundle", str(folder), "--output", str(output)]
    ended = run(command, path=(folder / "app",), env=env)
    return json.loads(output.read_text(encoding="utf-8")) if output.exists() else {}, ended


def declare() -> None:
    @tool(timeout=3, secrets=["B", "A"], scopes=["s"])
    def second(größe: int, ctx: Context) -> int:  # noqa: PLC2401 - names beyond ASCII are the point
        """Später."""
        return größe

    @tool
    def first() -> str:
        """First."""
        return ""

    @resource("a://b")
    def static() -> str:
        """Static."""
        return ""

    @resource("a://{x}")
    def template(x: str) -> str:
        """Template."""
        return x

    @prompt
    def ask(topic: str) -> str:
        """Ask."""
        return topic


def test_the_document(make_app: MakeApp) -> None:
    declare()
    document = make_app().contract()
    assert list(document) == ["schema", "runtime", "hash", "tools", "resources", "templates", "prompts", "answers"]
    assert (document["schema"], document["runtime"]) == (1, mcp_tool.__version__)
    assert [entry["name"] for entry in document["tools"]] == ["first", "second"]
    second = document["tools"][1]
    assert {key: second[key] for key in ("timeout", "secrets", "scopes", "asks")} == {
        "timeout": 3.0,
        "secrets": ["A", "B"],
        "scopes": ["s"],
        "asks": False,
    }
    assert document["resources"][0]["uri"] == "a://b"
    assert document["templates"][0]["uriTemplate"] == "a://{x}"
    for kind in ("tools", "resources", "templates", "prompts"):
        for entry in document[kind]:
            assert entry["sha256"] == hashlib.sha256(canonical(entry["definition"])).hexdigest()
    covered = {kind: document[kind] for kind in ("tools", "resources", "templates", "prompts")}
    assert document["hash"] == hashlib.sha256(canonical(covered)).hexdigest()
    # Lists keep the author's order.
    assert [entry["name"] for entry in document["answers"]["legacy"]["tools/list"]["tools"]] == ["second", "first"]


def test_the_hash_is_of_what_is_offered_and_of_nothing_else(make_app: MakeApp) -> None:
    declare()
    one = make_app().contract()
    other = make_app(version="9", instructions="Be kind.").contract()
    assert one["hash"] == other["hash"]
    assert one["answers"] != other["answers"]

    @tool
    def third() -> str:
        """Third."""
        return ""

    assert make_app().contract()["hash"] != one["hash"]


def test_canonical() -> None:
    assert canonical({"b": [1, "é"], "a": None}) == '{"a":null,"b":[1,"é"]}'.encode()
    with pytest.raises(ValueError, match="Out of range"):
        canonical({"a": float("nan")})


TOOLS = '''
    from __future__ import annotations
    from collections.abc import AsyncIterator
    from mcp_tool import Settings, provide, tool

    print("on standard output")

    class Limits(Settings):
        api_key: str

    @provide
    async def limits_twice(limits: Limits) -> AsyncIterator[int]:
        raise RuntimeError("the lifespan ran")
        yield 1

    @tool
    def word_count(text: str, number: int, limits: Limits) -> int:
        """Count the words in a text.

        Args:
            text: The text.
        """
        return len(text.split())
'''


def test_a_process_of_its_own(tmp_path: Path) -> None:
    folder = bundle(tmp_path, tools=TOOLS + "\n    import atexit, sys\n    atexit.register(lambda: print('last'))\n")
    document, ended = extract(folder)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "on standard output" in ended.stdout
    assert [entry["name"] for entry in document["tools"]] == ["word_count"]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    again, _ = extract(folder, {"PYTHONHASHSEED": "7"})
    assert json.dumps(again) == json.dumps(document)


def test_no_sdk_is_imported_for_it(tmp_path: Path) -> None:
    folder = bundle(tmp_path, tools=TOOLS)
    code = f"""
import sys
from pathlib import Path
from mcp_tool.contract import write
code = write(Path({str(folder)!r}), Path({str(folder / "out.json")!r}))
heavy = {{"mcp", "mcp_types", "starlette", "uvicorn", "anyio", "httpx", "httpx2", "jsonschema"}} & set(sys.modules)
assert not heavy, heavy
sys.exit(code)
"""
    ended = run(["-c", code], path=(folder / "app",))
    assert ended.returncode == 0, ended.stderr


def test_problems_are_written_all_at_once(tmp_path: Path) -> None:
    source = """
        from mcp_tool import tool

        @tool
        def one(a):
            return a

        @tool
        class Two:
            pass
    """
    folder = bundle(tmp_path, tools=source)
    document, ended = extract(folder)
    assert ended.returncode == 1
    assert [problem["what"] for problem in document["problems"]] == [
        "@tool stands on a class, not on a function",
        "tool 'one' has no description, so that no model knows when to use it",
        "parameter 'a' of one() has no type hint",
    ]
    assert {Path(problem["file"]).name for problem in document["problems"]} == {"tools.py"}
    assert [problem["line"] for problem in document["problems"]] == [8, 4, 4]


@pytest.mark.parametrize(
    ("source", "what", "frames"),
    [
        ("import helper", "importing 'tools' failed: ValueError: broken", ["tools.py", "helper.py"]),
        ("import sys\nsys.exit(4)", "importing 'tools' ended the process: sys.exit(4)", ["tools.py"]),
        ("import not_there", "importing 'tools' failed: No module named 'not_there'", ["tools.py"]),
        ("import json\njson.loads('{')", "importing 'tools' failed: JSONDecodeError", ["tools.py"]),
        ("def f(:", "importing 'tools' failed: SyntaxError", []),
        ("x = 1", "'tools' declares no tool, resource or prompt", []),
    ],
)
def test_modules_that_do_not_import(tmp_path: Path, source: str, what: str, frames: list[str]) -> None:
    helper = "def load():\n    raise ValueError('broken')\nload()\n"
    (problem,) = extract(bundle(tmp_path, tools=source, helper=helper))[0]["problems"]
    assert problem["what"].startswith(what)
    assert problem["fix"]
    trace = problem["traceback"] or ""
    for frame in frames:
        assert frame in trace
    for foreign in ("mcp_tool", "importlib", "json/decoder", "runpy"):
        assert foreign not in trace


def test_a_module_that_is_not_there(tmp_path: Path) -> None:
    (problem,) = extract(bundle(tmp_path, entrypoint="elsewhere"))[0]["problems"]
    assert problem["what"] == "there is no module 'elsewhere'"


MCP_SERVER = '''
    import contextlib
    from mcp.server import MCPServer

    @contextlib.asynccontextmanager
    async def lifespan(server):
        raise RuntimeError("the lifespan ran")
        yield

    server = MCPServer("wrapped", version="0.1", lifespan=lifespan)
    nothing = 3

    @server.tool()
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    @server.resource("a://{x}")
    def template(x: str) -> str:
        """Read."""
        return x
'''


class TestServersOfOtherLibraries:
    def test_an_mcp_server(self, tmp_path: Path) -> None:
        document, ended = extract(bundle(tmp_path, entrypoint="wrapped:server", wrapped=MCP_SERVER))
        assert ended.returncode == 0, ended.stderr
        assert [entry["name"] for entry in document["tools"]] == ["add"]
        assert document["templates"][0]["uriTemplate"] == "a://{x}"
        legacy, modern = document["answers"]["legacy"], document["answers"]["2026-07-28"]
        assert legacy["initialize"]["serverInfo"] == {"name": "wrapped", "version": "0.1"}
        assert modern["server/discover"]["capabilities"]["tools"] == {"listChanged": True}
        assert modern["server/discover without listen"]["capabilities"]["tools"] == {"listChanged": False}
        assert modern["tools/list"]["tools"][0]["name"] == "add"

    def test_a_fastmcp_server(self, tmp_path: Path) -> None:
        pytest.importorskip("fastmcp")
        source = '''
            from fastmcp import FastMCP

            server = FastMCP("wrapped", version="0.1")

            @server.tool
            def add(a: int, b: int) -> int:
                """Add."""
                return a + b
        '''
        document, ended = extract(bundle(tmp_path, entrypoint="wrapped:server", wrapped=source))
        assert ended.returncode == 0, ended.stderr
        assert [entry["name"] for entry in document["tools"]] == ["add"]

    @pytest.mark.parametrize(
        ("name", "what"), [("nothing", "is a int, not an MCP server"), ("missing", "has no 'missing'")]
    )
    def test_what_is_no_server(self, tmp_path: Path, name: str, what: str) -> None:
        (problem,) = extract(bundle(tmp_path, entrypoint=f"wrapped:{name}", wrapped=MCP_SERVER))[0]["problems"]
        assert what in problem["what"]
