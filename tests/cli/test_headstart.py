"""The contract's child is started before the command is loaded: on what is sound, once, and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from mcp_packager.contract.headstart import begun
from mcp_packager.store import Store
from tests.cli.process import PATIENCE, command, run

MANIFEST = '[tool]\nname = "one"\nversion = "1.0.0"\nentrypoint = "one"\n'

NOTED = """
import os
import time

with open({noted!r}, "a") as stream:
    stream.write(f"{{os.getpid()}}\\n")
"""

CODE = '''
from mcp_tool import tool


@tool
def f() -> int:
    """Give one."""
    return 1
'''


@dataclass(frozen=True)
class Project:
    """A project whose code notes each process that imports it."""

    folder: Path
    noted: Path

    def write(self, more: str = "") -> None:
        """The code, with more of it between the note and the tool."""
        (self.folder / "one.py").write_text(NOTED.format(noted=str(self.noted)) + more + CODE)

    def check(self) -> subprocess.CompletedProcess[str]:
        """``mcp-pack check``."""
        return run("check", "--project", str(self.folder))

    def imports(self) -> list[int]:
        """The processes that imported the code since this was asked the last time."""
        found = [int(line) for line in self.noted.read_text().split()] if self.noted.exists() else []
        self.noted.unlink(missing_ok=True)
        return found

    def awaited(self) -> int:
        """The one process that imports the code, once it does."""
        deadline = time.monotonic() + PATIENCE
        while not (self.noted.exists() and self.noted.read_text().endswith("\n")):
            assert time.monotonic() < deadline, "nobody imports the code"
            time.sleep(0.01)
        (number,) = self.imports()
        return number


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project that was checked once."""
    folder = tmp_path / "one"
    folder.mkdir()
    made = Project(folder, tmp_path / "noted")
    (folder / "mcp-tool.toml").write_text(MANIFEST)
    made.write()
    assert made.check().returncode == 0
    assert len(made.imports()) == 1
    return made


@pytest.fixture
def hanging(project: Project) -> Project:
    """The same, edited so that importing it takes longer than anybody waits here."""
    project.write(f"time.sleep({PATIENCE})\n")
    return project


_HEEDED = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
"""Whoever runs the tests in a shell's background has them, and all they start, ignore interrupts."""


def _ends(number: int) -> bool:
    """Whether a process that nobody waits for is gone before long."""
    deadline = time.monotonic() + PATIENCE / 4
    while not _gone(number):
        if time.monotonic() > deadline:
            os.kill(number, signal.SIGKILL)
            return False
        time.sleep(0.01)
    return True


def _gone(number: int) -> bool:
    """Whether a process that somebody killed and waited for is no more."""
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return True
    return False


def test_an_edit_is_imported_once_and_nothing_where_nothing_changed(project: Project) -> None:
    project.write("SEEN = 1\n")
    assert "f" in project.check().stdout
    assert len(project.imports()) == 1
    assert "f" in project.check().stdout
    assert project.imports() == []


def test_it_is_begun_by_what_was_asked_the_last_time(hanging: Project) -> None:
    with begun(hanging.folder):
        number = hanging.awaited()
        assert not _gone(number)
    assert _gone(number)


def test_nothing_is_begun_where_the_contract_is_known(project: Project) -> None:
    with begun(project.folder) as head:
        assert head.key is not None
    assert project.imports() == []


@pytest.mark.parametrize("file", ["mcp-tool.toml", "mcp-tool.lock", "pyproject.toml"])
def test_nothing_is_begun_on_what_nobody_has_judged(hanging: Project, file: str) -> None:
    path = hanging.folder / file
    path.write_text((path.read_text() if path.exists() else "") + "\n")
    with begun(hanging.folder) as head:
        assert head.key is None
    assert hanging.imports() == []


def test_a_manifest_that_became_wrong_is_told_and_no_code_is_run(hanging: Project) -> None:
    (hanging.folder / "mcp-tool.toml").write_text(MANIFEST + 'nmae = "x"\n')
    done = hanging.check()
    assert done.returncode == 1
    assert "nmae" in done.stderr
    assert hanging.imports() == []


def test_what_is_wrong_before_the_code_is_told_first_and_the_child_is_ended(hanging: Project) -> None:
    (hanging.folder / "out.py").symlink_to("/etc/hostname")
    done = hanging.check()
    assert done.returncode == 1
    assert "link out of the project" in done.stderr
    assert all(_ends(number) for number in hanging.imports())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_it_ends_with_the_command(hanging: Project, number: int) -> None:
    whole = subprocess.Popen(
        command(["check", "--project", str(hanging.folder)], first=_HEEDED),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        child = hanging.awaited()
        whole.send_signal(number)
        whole.communicate(timeout=PATIENCE)
    finally:
        whole.kill()
        whole.wait()
    assert whole.returncode != 0
    assert _ends(child)


def test_a_new_file_is_seen(project: Project) -> None:
    (project.folder / "more.py").write_text("NAME = 'g'\n")
    project.write(
        "import more\nfrom mcp_tool import tool\n\n@tool(name=more.NAME, description='Do.')\ndef other() -> None: ...\n"
    )
    assert "f, g" in project.check().stdout


def test_another_environment_is_seen(project: Project) -> None:
    project.write(
        'from mcp_tool import tool\n\n@tool(name=os.environ["NAME"], description="Do.")\ndef other() -> None: ...\n'
    )
    for name in ("here", "there"):
        (project.folder / "mcp-tool.toml").write_text(f'{MANIFEST}\n[env]\nNAME = "{name}"\n')
        assert name in project.check().stdout
        assert len(project.imports()) == 1


@pytest.mark.parametrize("wrong", ["1 / 0\n", "def (\n", "raise SystemExit(3)\n", "os._exit(3)\n", "import nowhere\n"])
def test_what_is_wrong_with_the_code_is_told_in_the_same_words(project: Project, wrong: str) -> None:
    project.write(wrong)
    ahead = project.check()
    assert len(project.imports()) == ("def (" not in wrong)
    _forget()
    later = project.check()
    assert ahead.returncode == later.returncode == 1
    assert "one.py" in ahead.stderr or "nowhere" in ahead.stderr or "exit code 3" in ahead.stderr
    assert ahead.stderr == later.stderr


def _forget() -> None:
    for record in (Store().root / "records" / "head-starts").glob("*/*.json"):
        record.unlink()
