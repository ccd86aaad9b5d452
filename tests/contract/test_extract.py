"""The contract out of code that behaves, and problems out of code that does not; never a hang, never a leak."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mcp_packager.contract import Contract, ExtractRequest, extract
from mcp_packager.errors import Problem, UserError, WorldError

from .conftest import Extract

GOOD = '''
from mcp_tool import tool

@tool
def add(a: int, b: int = 0) -> int:
    """Add two numbers."""
    return a + b
'''


@pytest.fixture
def problem_of(project: Callable[..., ExtractRequest]) -> Callable[..., Problem]:
    def run(code: str, **changes: object) -> Problem:
        with pytest.raises(UserError) as caught:
            extract(project(code, **changes))
        (problem,) = caught.value.problems
        return problem

    return run


def test_what_it_holds(contract_of: Extract) -> None:
    contract = contract_of(GOOD)
    assert contract.tool_names == ("add",)
    (added,) = contract.tools
    assert added["definition"]["inputSchema"]["required"] == ["a"]
    assert len(contract.hash) == 64
    assert contract_of(GOOD).hash == contract.hash
    assert Contract.from_document(contract.document) == contract


def test_the_child_sees_the_code_and_the_runtime_and_nothing_else(
    contract_of: Extract, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted-in-the-packager")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    contract = contract_of(
        """
        import importlib.util, json, os, sys
        from mcp_tool import tool

        seen = {
            "environment": sorted(os.environ),
            "packages": [name for name in ("mcp", "mcp_packager", "click", "boto3") if importlib.util.find_spec(name)],
            "loaded": [name for name in ("mcp", "starlette") if name in sys.modules],
            "stdin": sys.stdin.read(),
            "home": os.listdir(os.path.expanduser("~")),
        }

        @tool(description=json.dumps(seen))
        def probe() -> None: ...
        """,
        env={"MODE": "test"},
        declared={"KEY": {"as": "env", "required": True, "description": ""}},
    )
    seen = contract.tools[0]["definition"]["description"]
    assert '"packages": []' in seen
    assert '"loaded": []' in seen
    assert '"stdin": ""' in seen
    assert '"home": []' in seen
    assert "AWS" not in seen
    for name in ("MODE", "KEY", "HOME", "PYTHONPATH"):
        assert f'"{name}"' in seen


def test_secrets_are_placeholders_as_variable_and_as_file(contract_of: Extract) -> None:
    contract = contract_of(
        '''
        import os
        from mcp_tool import tool
        assert os.environ["KEY"].startswith("placeholder"), os.environ["KEY"]
        assert open(os.environ["CERT"]).read().startswith("placeholder")

        @tool
        def probe() -> None:
            """Look."""
        ''',
        declared={
            "KEY": {"as": "env", "required": True, "description": ""},
            "CERT": {"as": "file", "required": True, "description": ""},
        },
    )
    assert contract.tool_names == ("probe",)


def test_a_server_of_the_sdk(contract_of: Extract, library_with_sdk: Path) -> None:
    contract = contract_of(
        '''
        from mcp.server import MCPServer

        server = MCPServer("elsewhere", version="1")

        @server.tool()
        def add(a: int, b: int = 0) -> int:
            """Add two numbers."""
            return a + b
        ''',
        entrypoint="server:server",
        lib=library_with_sdk,
    )
    assert contract.tool_names == ("add",)


def test_a_server_of_the_sdk_that_is_not_there(project: Callable[..., ExtractRequest], library_with_sdk: Path) -> None:
    with pytest.raises(UserError, match="no 'nothing'"):
        extract(project("import mcp.server\n", entrypoint="server:nothing", lib=library_with_sdk))


def test_a_secret_must_not_enter_the_contract(problem_of: Callable[..., Problem]) -> None:
    problem = problem_of(
        '''
        import os
        from mcp_tool import tool

        @tool
        def call(key: str = os.environ["KEY"]) -> None:
            """Call."""
        ''',
        declared={"KEY": {"as": "env", "required": True, "description": ""}},
    )
    assert "KEY" in problem.what
    assert "placeholder" not in str(problem)


def test_declarations_that_are_wrong_have_file_and_line(project: Callable[..., ExtractRequest]) -> None:
    with pytest.raises(UserError) as caught:
        extract(
            project(
                '''
                from mcp_tool import tool

                @tool
                def silent(a: int) -> int:
                    return a

                @tool
                def untyped(a):
                    """Untyped."""
                '''
            )
        )
    places = {(problem.where.file, problem.where.line is not None) for problem in caught.value.problems}
    assert places == {("src/server.py", True)}
    assert len(caught.value.problems) == 2
    assert all(problem.fix for problem in caught.value.problems)


def test_an_exception_shows_the_authors_frames(problem_of: Callable[..., Problem], library: Path) -> None:
    problem = problem_of(
        """
        import json

        def read():
            return json.loads("{")

        TABLE = read()
        """
    )
    text = str(problem)
    assert "JSONDecodeError" in text
    assert problem.where.file == "src/server.py"
    assert problem.where.line == 5
    assert "src/server.py" in text
    assert "Traceback" not in text
    assert str(library) not in text
    assert "mcp_tool" not in text
    assert "/tmp" not in text


def test_a_syntax_error(problem_of: Callable[..., Problem]) -> None:
    problem = problem_of("def broken(:\n    pass\n")
    assert "SyntaxError" in problem.what
    assert problem.where.file == "src/server.py"


def test_a_missing_module(problem_of: Callable[..., Problem]) -> None:
    assert "no_such_module" in problem_of("import no_such_module\n").what


@pytest.mark.parametrize("way", ["sys.exit(3)", "raise SystemExit('gone')", "os._exit(0)", "os._exit(7)"])
def test_code_that_exits(problem_of: Callable[..., Problem], way: str) -> None:
    problem = problem_of(f"import os, sys\nprint('so far so good', flush=True)\n{way}\n")
    assert problem.fix
    assert "exit" in problem.what.lower() or "ended" in problem.what


def test_output_of_code_that_exits_is_shown(problem_of: Callable[..., Problem]) -> None:
    problem = problem_of("import os\nprint('no license found', flush=True)\nos._exit(4)\n")
    assert "exit code 4" in problem.what
    assert "no license found" in problem.what


def test_code_that_crashes(problem_of: Callable[..., Problem]) -> None:
    problem = problem_of(
        """
        import ctypes

        def crash():
            ctypes.string_at(0)

        crash()
        """
    )
    assert "SIGSEGV" in problem.what
    assert (problem.where.file, problem.where.line) == ("src/server.py", 5)
    assert "in crash" in problem.what


def test_code_that_is_killed(problem_of: Callable[..., Problem]) -> None:
    assert "SIGKILL" in problem_of("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n").what


def test_code_that_hangs_is_named_with_its_line(problem_of: Callable[..., Problem]) -> None:
    started = time.monotonic()
    problem = problem_of(
        """
        import time

        def wait():
            while True:
                time.sleep(1)

        wait()
        """,
        limit=2.0,
    )
    assert time.monotonic() - started < 8
    assert "did not end within 2 s" in problem.what
    assert "Fatal Python error" not in problem.what
    assert (problem.where.file, problem.where.line) == ("src/server.py", 6)


def test_code_that_hangs_and_minds_no_signal(problem_of: Callable[..., Problem]) -> None:
    started = time.monotonic()
    problem = problem_of(
        """
        import signal, time
        for number in (signal.SIGABRT, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        while True:
            time.sleep(1)
        """,
        limit=2.0,
    )
    assert time.monotonic() - started < 8
    assert "did not end" in problem.what


def test_what_the_code_prints_and_closes_does_no_harm(contract_of: Extract) -> None:
    contract = contract_of(
        """
        import os, sys
        print("x" * 5_000_000)
        print('{"schema": 1}')
        sys.stderr.write("noise\\n")
        sys.stdout.close()
        os.close(1)
        os.close(0)
        """
        + GOOD.replace("\n", "\n        ")
    )
    assert contract.tool_names == ("add",)


def test_forked_children_and_threads_are_gone(contract_of: Extract, tmp_path: Path) -> None:
    note = tmp_path / "pids"
    started = time.monotonic()
    contract = contract_of(
        f"""
        import os, subprocess, sys, threading, time
        if os.fork() == 0:
            open({str(note)!r}, "a").write(f"{{os.getpid()}}\\n")
            time.sleep(600)
        other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        open({str(note)!r}, "a").write(f"{{other.pid}}\\n")
        threading.Thread(target=time.sleep, args=(600,)).start()
        """
        + GOOD.replace("\n", "\n        ")
    )
    assert contract.tool_names == ("add",)
    assert time.monotonic() - started < 10
    pids = [int(line) for line in note.read_text().split()]
    assert len(pids) == 2
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and any(_is_running(pid) for pid in pids):
        time.sleep(0.02)
    assert not [pid for pid in pids if _is_running(pid)]


def _is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return not Path("/proc/self/stat").exists()
    return state != "Z"


def test_a_fork_that_imports_on_is_one_contract(contract_of: Extract) -> None:
    assert contract_of("import os\nos.fork()\n" + GOOD).tool_names == ("add",)


def test_files_written_by_the_code_do_not_stay(contract_of: Extract, tmp_path: Path) -> None:
    contract_of("open('left.txt', 'w').write('x')\n" + GOOD)
    assert not list(tmp_path.rglob("left.txt"))
    assert not list(tmp_path.rglob("__pycache__"))


def test_an_interpreter_that_is_not_there(project: Callable[..., ExtractRequest], tmp_path: Path) -> None:
    with pytest.raises(WorldError) as caught:
        extract(project(GOOD, python=tmp_path / "python"))
    assert "MCP_PACK_PYTHONS" in caught.value.problems[0].fix


def test_control_characters_of_the_code_do_not_reach_the_terminal(problem_of: Callable[..., Problem]) -> None:
    problem = problem_of("import os\nprint('\\x1b[2J\\x07red', flush=True)\nos._exit(1)\n")
    assert "red" in problem.what
    assert "\x1b" not in problem.what
    assert "\x07" not in problem.what


def test_a_document_that_was_edited_is_refused(contract_of: Extract) -> None:
    document = dict(contract_of(GOOD).document)
    document["tools"] = []
    with pytest.raises(UserError, match="hash"):
        Contract.from_document(document)
    with pytest.raises(UserError, match="newest"):
        Contract.from_document({**document, "schema": 2})
    with pytest.raises(UserError, match="not a contract"):
        Contract.from_document({"schema": 1})
