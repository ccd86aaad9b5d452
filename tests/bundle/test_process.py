"""Programs run without a shell, end in time with their children, and give no secret away."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from mcp_packager.errors import WorldError
from mcp_packager.process import redact, run


def test_output_input_code_and_environment(tmp_path: Path) -> None:
    code = "import os, sys; sys.stdout.write(sys.stdin.read() + os.environ['A'] + os.getcwd()); sys.exit(3)"
    done = run([sys.executable, "-c", code], stdin=b"in ", env={"A": "b "}, cwd=tmp_path)
    assert (done.code, done.ok, done.text()) == (3, False, f"in b {tmp_path}")


def test_nothing_is_seen_by_a_shell(tmp_path: Path) -> None:
    done = run(["printf", "%s", "$(touch evil); `id` > evil"], cwd=tmp_path)
    assert done.text() == "$(touch evil); `id` > evil"
    assert list(tmp_path.iterdir()) == []


def test_a_missing_program_is_named() -> None:
    with pytest.raises(WorldError, match="no-such-program-here could not be started") as caught:
        run(["no-such-program-here"])
    assert "PATH" in caught.value.problems[0].fix


def test_a_program_that_hangs_ends_with_its_children(tmp_path: Path) -> None:
    marker = tmp_path / "pid"
    code = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(marker)!r}, 'w').write(str(child.pid)); time.sleep(60)"
    )
    start = time.monotonic()
    with pytest.raises(WorldError, match="did not end within"):
        run([sys.executable, "-c", code, "--token", "hunter2-secret"], timeout=1.5, secrets=["hunter2-secret"])
    assert time.monotonic() - start < 10
    deadline = time.monotonic() + 5
    while _alive(int(marker.read_text())):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] not in {"Z", "X"}
    except FileNotFoundError:
        return False
    except NotADirectoryError:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return True


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("GET https://user:pass@host/x failed", "GET https://****@host/x failed"),
        ("https://token@host/x", "https://****@host/x"),
        ("git+ssh://git@host/x and http://a:b@c", "git+ssh://****@host/x and http://****@c"),
        ("Authorization: Basic dXNlcjpwYXNz", "Authorization: Basic ****"),
        ("authorization: bearer abc.def", "authorization: bearer ****"),
        ("mail me@example.com about https://host/a@b", "mail me@example.com about https://host/a@b"),
        ("the password is p4ssw0rd!, p4ssw0rd!", "the password is ****, ****"),
    ],
)
def test_redact(text: str, expected: str) -> None:
    assert redact(text, ["p4ssw0rd!", "p4", ""]) == expected


def test_what_a_program_complains_of_holds_no_secret() -> None:
    code = "import sys; sys.stderr.write('refused http://me:hidden-one@host and hidden-two')"
    done = run([sys.executable, "-c", code], secrets=["hidden-two"])
    assert done.stderr == "refused http://****@host and ****"
