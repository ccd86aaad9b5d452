"""Exit codes and streams, as whole processes."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
from pathlib import Path

import pytest

from tests.cli.process import PATIENCE, command, run

FAULT = "import mcp_packager.cli.peek as peek\ndef broken(): raise RuntimeError('secret-looking text')\n"
FAULT += "peek.installed_targets = broken"
SLOW = "import mcp_packager.cli.peek as peek, time\ndef slow(): print('ready', flush=True); time.sleep(600)\n"
SLOW += "peek.installed_targets = slow"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["deplo"], "did you mean `deploy`?"),
        (["xyzzy"], "there is no command `xyzzy`"),
        (["--nonsense"], "No such option"),
        (["status", "--nonsense"], "No such option"),
        (["status", "--target"], "requires an argument"),
        (["invoke"], "Missing argument"),
        (["run", "--port", "99999"], "99999"),
        (["invoke", "t", "novalue"], "`novalue` is no argument"),
        (["invoke", "t", "a=1", "--input", "-"], "given twice"),
        (["invoke", "t", "--token-env", "NOT_SET_HERE"], "NOT_SET_HERE"),
        (["invoke", "t", "--client-id", "x"], "incomplete"),
        (["client-config", "--client", "emacs"], "`emacs` is no client"),
        (["client-config", "--client", "zed", "--stdio", "--url", "https://x"], "exclude each other"),
        (["client-config", "--client", "zed", "--url", "ftp://x"], "is no URL"),
        (["new", "Bad"], "is no name for a tool"),
        (["destroy"], "this needs a yes"),
        (["rollback"], "this needs a yes"),
        (["unlock"], "this needs a yes"),
    ],
)
def test_a_wrong_command_line_exits_with_2_and_says_why(arguments: list[str], said: str, tmp_path: Path) -> None:
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert said in done.stderr
    assert "to mend:" in done.stderr
    assert "Traceback" not in done.stderr


def test_with_json_a_problem_is_a_document_too(tmp_path: Path) -> None:
    done = run("status", "--json", "--project", str(tmp_path))
    document = json.loads(done.stdout)
    assert done.returncode == document["exit_code"] == 1
    assert document["schema"] == 1
    assert document["command"] == "error"
    assert document["problems"][0].keys() == {"what", "fix", "file", "line", "column", "key", "expected", "found"}
    assert done.stderr.startswith("error: ")


def test_a_missing_manifest_is_the_users_problem(tmp_path: Path) -> None:
    for arguments in (["check"], ["build"], ["status"], ["lock"], ["secrets"], ["destroy", "--yes"]):
        done = run(*arguments, "--project", str(tmp_path))
        assert done.returncode == 1, (arguments, done.stderr)
        assert "mcp-tool.toml" in done.stderr


def test_a_fault_of_ours_is_short_and_leaves_a_file(tmp_path: Path) -> None:
    done = run("targets", "a=b", env={"MCP_PACK_HOME": str(tmp_path)}, first=FAULT)
    assert done.returncode == 2
    done = run("targets", env={"MCP_PACK_HOME": str(tmp_path)}, first=FAULT)
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    assert "secret-looking" not in done.stderr
    (file,) = (tmp_path / "crashes").iterdir()
    assert str(file) in done.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    details = file.read_text()
    assert "RuntimeError" in details
    assert "command: mcp-pack targets" in details


def test_the_file_keeps_no_argument_values(tmp_path: Path) -> None:
    fault = "import mcp_packager.cli.arguments as a\ndef broken(_): raise RuntimeError\na.from_pairs = broken"
    run("invoke", "t", "password=hunter2", env={"MCP_PACK_HOME": str(tmp_path)}, first=fault)
    (file,) = (tmp_path / "crashes").iterdir()
    assert "password=…" in file.read_text()
    assert "hunter2" not in file.read_text()


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    done = run("targets", env={"MCP_PACK_HOME": str(tmp_path), "MCP_PACK_DEBUG": "1"}, first=FAULT)
    assert "Traceback" in done.stderr


def test_a_fault_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    blocked = str(tmp_path / "file" / "x")
    done = run("targets", env={"MCP_PACK_HOME": blocked, "TMPDIR": str(tmp_path)}, first=FAULT)
    assert done.returncode == 3
    assert [path.name for path in tmp_path.glob("*.txt")] == [Path(done.stderr.split(".txt")[0]).name + ".txt"]


def test_an_interrupt_is_quiet_and_130() -> None:
    with subprocess.Popen(
        command(["targets"], first=SLOW), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out, err) == (130, "", "")


def test_who_waits_for_the_end_is_waited_for() -> None:
    first = (
        "import atexit, threading\n"
        "atexit.register(print, 'at the end')\n"
        "def late(): threading.main_thread().join(); print('after the command')\n"
        "threading.Thread(target=late).start()\n"
    )
    done = run("--version", first=first)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1:] == ["after the command", "at the end"]


@pytest.mark.parametrize("arguments", [["--help"], ["deploy", "--help"], ["targets"], ["completion", "bash"]])
def test_a_reader_that_leaves_is_no_failure(arguments: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        command(arguments), stdout=writer, stderr=subprocess.PIPE, text=True, timeout=PATIENCE, check=False
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_broken_pipe_inside_a_service_is_a_fault_not_a_reader_gone(tmp_path: Path) -> None:
    fault = "import mcp_packager.cli.peek as peek\ndef broken(): raise BrokenPipeError(32, 'docker went away')\n"
    done = run("targets", env={"MCP_PACK_HOME": str(tmp_path)}, first=fault + "peek.installed_targets = broken")
    assert done.returncode == 3
    (file,) = (tmp_path / "crashes").iterdir()
    assert "docker went away" in file.read_text()


def test_output_survives_a_narrow_encoding(tmp_path: Path) -> None:
    done = run("check", "--project", str(tmp_path / "é"), env={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def test_closed_standard_streams_do_not_matter() -> None:
    script = 'exec "$@" >&- 2>&- <&-'
    done = subprocess.run(["sh", "-c", script, "sh", *command(["targets"])], timeout=PATIENCE, check=False)
    assert done.returncode == 0
