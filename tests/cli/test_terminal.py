"""What a person sees on a terminal: questions, one line of progress, colour."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.cli.process import run, terminal

MANIFEST = '[tool]\nname = "notes"\nentrypoint = "notes"\n\n[target.local]\n'

DESTROY = """
import mcp_packager.pipeline.operate as operate
from mcp_packager.pipeline.reports import DestroyReport
operate.destroy = lambda request, *, data: (DestroyReport("local", request.stage, ("process notes",), ()),)
"""
WORK = """
import mcp_packager.pipeline.operate as operate, sys, time
def status(request):
    with request.progress.stage("resolve [bold]x"):
        request.progress.note("took an untracked file")
        time.sleep({seconds})
    print("rich" in sys.modules, file=sys.stderr)
    return ()
operate.status = status
"""
LINE = "resolve [bold]x"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "mcp-tool.toml").write_text(MANIFEST)
    return tmp_path


@pytest.mark.parametrize(("answer", "code"), [("y\r", 0), ("yes\r", 0), ("n\r", 130), ("\r", 130), ("\x04", 130)])
def test_destroy_asks_and_does_what_is_answered(answer: str, code: int, project: Path) -> None:
    with terminal("destroy", "--stage", "prod", cwd=project, first=DESTROY) as child:
        child.read_until("Remove notes (stage prod) on local? [y/N] ")
        child.type(answer)
        assert child.end() == code
    assert ("removed process notes" in child.seen) == (code == 0)
    assert ("Nothing was changed." in child.seen) == (code != 0)


def test_an_interrupt_at_a_question_is_quiet(project: Path) -> None:
    with terminal("destroy", cwd=project, first=DESTROY) as child:
        child.read_until("[y/N] ")
        os.kill(child.process.pid, signal.SIGINT)
        assert child.end() == 130
    assert "Traceback" not in child.seen
    assert "removed" not in child.seen


def test_yes_asks_nothing_anywhere(project: Path) -> None:
    done = run("destroy", "--yes", cwd=project, first=DESTROY)
    assert (done.returncode, done.stdout) == (0, "local (default): removed process notes\n")


def test_elsewhere_a_yes_is_needed_and_nothing_is_done(project: Path) -> None:
    done = run("destroy", cwd=project, stdin="y\n", first=DESTROY)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "add `--yes`" in done.stderr


def test_the_question_names_the_data(project: Path) -> None:
    with terminal("destroy", "--data", "--target", "local", cwd=project, first=DESTROY) as child:
        child.read_until("with its stored data? [y/N] ")


def test_long_work_shows_one_line_and_takes_it_away(project: Path) -> None:
    with terminal("status", cwd=project, first=WORK.format(seconds=1.6)) as child:
        assert child.end() == 0
    assert LINE in child.seen
    assert "took an untracked file" in child.seen
    assert "\x1b[?25h" in child.seen  # the cursor is shown again


def test_short_work_draws_nothing_and_loads_no_rich(project: Path) -> None:
    with terminal("status", cwd=project, first=WORK.format(seconds=0)) as child:
        assert child.end() == 0
    assert LINE not in child.seen
    assert "False" in child.seen


def test_between_stages_the_terminal_is_free(project: Path) -> None:
    first = """
import mcp_packager.pipeline.operate as operate, sys, time
def status(request):
    with request.progress.stage("first"):
        time.sleep(1.3)
    sys.stderr.write("\\n<mine>\\n"); sys.stderr.flush(); time.sleep(0.4); sys.stderr.write("<still mine>\\n")
    with request.progress.stage("second"):
        time.sleep(0.1)
    return ()
operate.status = status
"""
    with terminal("status", cwd=project, first=first) as child:
        assert child.end() == 0
    mine = child.seen.partition("<mine>")[2].partition("<still mine>")[0]
    assert mine.strip() == ""
    assert "first" in child.seen
    assert "second" in child.seen


@pytest.mark.parametrize("how", ["pipe", "--quiet", "dumb"])
def test_nothing_is_drawn_where_nobody_watches(how: str, project: Path) -> None:
    first = WORK.format(seconds=1.2)
    if how == "pipe":
        done = run("status", cwd=project, first=first)
        text = done.stdout + done.stderr
    else:
        arguments = ["status", "--quiet"] if how == "--quiet" else ["status"]
        with terminal(*arguments, cwd=project, first=first, env={"TERM": "dumb"} if how == "dumb" else {}) as child:
            assert child.end() == 0
        text = child.seen
    assert LINE not in text
    assert "False" in text
    assert ("took an untracked file" in text) == (how != "--quiet")


def test_colour_is_for_terminals(project: Path) -> None:
    with terminal("status", "--nonsense", cwd=project) as child:
        assert child.end() == 2
    assert "\x1b[31m" in child.seen
    assert "\x1b" not in run("status", "--nonsense", cwd=project).stderr


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_color_means_no_colour(env: dict[str, str], project: Path) -> None:
    with terminal("status", "--nonsense", cwd=project, env=env) as child:
        assert child.end() == 2
    assert "error:" in child.seen
    assert "\x1b[" not in child.seen


def test_no_color_holds_for_the_progress_line(project: Path) -> None:
    with terminal("status", cwd=project, env={"NO_COLOR": "1"}, first=WORK.format(seconds=1.6)) as child:
        assert child.end() == 0
    assert LINE in child.seen
    assert "\x1b[3" not in child.seen.replace("\x1b[3J", "")


def test_a_foreign_template_may_ask(tmp_path: Path) -> None:
    template = tmp_path / "template"
    (template / "{{cookiecutter.name}}").mkdir(parents=True)
    (template / "cookiecutter.json").write_text('{"name": "x", "greeting": "hello"}')
    (template / "{{cookiecutter.name}}" / "greeting.txt").write_text("{{cookiecutter.greeting}}")
    with terminal("new", "polite", "--template", str(template), "--no-git", cwd=tmp_path) as child:
        child.read_until("(polite)")
        child.type("\r")
        child.read_until("(hello)")
        child.type("good evening\r")
        assert child.end() == 0
    assert (tmp_path / "polite" / "greeting.txt").read_text() == "good evening"


def test_our_own_template_asks_nothing(tmp_path: Path) -> None:
    with terminal("new", "word-tools", cwd=tmp_path) as child:
        assert child.end() == 0
    assert (tmp_path / "word-tools" / "mcp-tool.toml").is_file()
