"""Writing a project: where, from which template, and what is left alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tomli

from mcp_packager.errors import PackError, UsageError, UserError, WorldError
from mcp_packager.manifest import load
from mcp_packager.scaffold import NewRequest, create


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A template that is not ours, with one variable, a hook and a file."""
    template = tmp_path / "foreign"
    (template / "{{cookiecutter.project_name}}").mkdir(parents=True)
    (template / "cookiecutter.json").write_text(json.dumps({"project_name": "x", "greeting": "hello"}))
    (template / "{{cookiecutter.project_name}}" / "hello.txt").write_text("{{cookiecutter.greeting}}\n")
    (template / "hooks").mkdir()
    (template / "hooks" / "post_gen_project.py").write_text("from pathlib import Path\nPath('hooked').touch()\n")
    return template


def listing(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_our_template_gives_a_project_with_its_name(tmp_path: Path) -> None:
    project = create(
        NewRequest(name="word-tools", folder=tmp_path / "word-tools", git=False, schema={"type": "object"})
    )
    manifest = tomli.loads((tmp_path / "word-tools" / "mcp-tool.toml").read_text())
    assert manifest["tool"]["name"] == "word-tools"
    assert {"mcp-tool.toml", ".gitignore", "README.md"} <= set(project.files)
    assert project.files == tuple(sorted(listing(tmp_path / "word-tools")))
    assert project.next_commands[0] == "mcp-pack check"
    assert project.next_commands[-1].startswith("mcp-pack invoke ")
    assert [path.name for path in tmp_path.iterdir()] == ["word-tools"]


@pytest.mark.parametrize("name", ["class", "json", "mcp"])
def test_a_name_that_no_package_can_have(name: str, tmp_path: Path) -> None:
    create(NewRequest(name=name, folder=tmp_path / "a", git=False))
    manifest = tomli.loads((tmp_path / "a" / "mcp-tool.toml").read_text())
    assert (manifest["tool"]["name"], manifest["tool"]["entrypoint"]) == (name, f"{name}_tools.tools")
    assert (tmp_path / "a" / "src" / f"{name}_tools" / "tools.py").is_file()


def test_a_name_is_as_long_as_the_manifest_allows(tmp_path: Path) -> None:
    create(NewRequest(name="a" * 40, folder=tmp_path / "a", git=False))
    load(tmp_path / "a", check_targets=False)
    with pytest.raises(UsageError, match="no name for a tool"):
        create(NewRequest(name="a" * 41, folder=tmp_path / "b", git=False))


def test_the_editors_schema_is_where_the_first_line_points(tmp_path: Path) -> None:
    create(NewRequest(name="a", folder=tmp_path / "a", git=False, schema={"title": "the schema"}))
    first = (tmp_path / "a" / "mcp-tool.toml").read_text().splitlines()[0]
    pointed = (tmp_path / "a" / first.removeprefix("#:schema ")).resolve()
    assert json.loads(pointed.read_text()) == {"title": "the schema"}


def test_the_users_home_is_not_touched(tmp_path: Path, foreign: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".cookiecutterrc").write_text("default_context:\n  greeting: from the user's file\n")
    code = (
        "from pathlib import Path\nfrom mcp_packager.scaffold import NewRequest, create\n"
        f"create(NewRequest(name='a', folder=Path({str(tmp_path / 'a')!r}), template={str(foreign)!r}, git=False))"
    )
    # A child: cookiecutter reads the home when it is imported.
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "HOME": str(home)})
    assert listing(home) == {".cookiecutterrc"}
    assert (tmp_path / "a" / "hello.txt").read_text() == "hello\n"


def test_hooks_are_named_and_not_run(tmp_path: Path, foreign: Path) -> None:
    project = create(NewRequest(name="a", folder=tmp_path / "a", template=str(foreign), git=False))
    assert project.files == ("hello.txt",)
    assert any("post_gen_project.py" in note and "--hooks" in note for note in project.notes)


def test_hooks_run_when_trusted(tmp_path: Path, foreign: Path) -> None:
    project = create(NewRequest(name="a", folder=tmp_path / "a", template=str(foreign), git=False, hooks=True))
    assert project.files == ("hello.txt", "hooked")


def test_a_template_that_needs_its_own_code_is_refused(tmp_path: Path, foreign: Path) -> None:
    (foreign / "cookiecutter.json").write_text(json.dumps({"project_name": "x", "_extensions": ["evil.Extension"]}))
    (foreign / "evil.py").write_text("raise SystemExit('ran')\n")
    with pytest.raises(UsageError, match=r"evil\.Extension"):
        create(NewRequest(name="a", folder=tmp_path / "a", template=str(foreign), git=False))
    assert not (tmp_path / "a").exists()


def test_settings_reach_the_template(tmp_path: Path, foreign: Path) -> None:
    create(NewRequest(name="a", folder=tmp_path / "a", template=str(foreign), settings=("greeting=a=b",), git=False))
    assert (tmp_path / "a" / "hello.txt").read_text() == "a=b\n"
    with pytest.raises(UsageError, match="no variable other"):
        create(NewRequest(name="b", folder=tmp_path / "b", template=str(foreign), settings=("other=1",), git=False))


def test_a_template_comes_from_git_at_a_revision(tmp_path: Path, foreign: Path) -> None:
    def git(*arguments: str) -> None:
        subprocess.run(["git", "-C", str(foreign), *arguments], check=True, capture_output=True)

    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "one")
    git("tag", "one")
    (foreign / "{{cookiecutter.project_name}}" / "hello.txt").write_text("later\n")
    git("commit", "-q", "-a", "-m", "two")
    url = f"git+file://{foreign}"
    create(NewRequest(name="a", folder=tmp_path / "a", template=url, checkout="one", git=False))
    assert (tmp_path / "a" / "hello.txt").read_text() == "hello\n"


@pytest.mark.parametrize("name", ["", "Upper", "a_b", "-a", "a-", "a--b", "1a", "a" * 64, "../a", "a/b", "ä"])
def test_a_name_that_does_not_do_is_refused_with_one_that_does(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        create(NewRequest(name=name, folder=tmp_path / "x"))
    better = caught.value.problems[0].fix.split("`")[1]
    assert create(NewRequest(name=better, folder=tmp_path / "x", git=False)).files


def test_everything_wrong_is_said_at_once(tmp_path: Path) -> None:
    request = NewRequest(
        name="Bad", folder=tmp_path / "x", template="t", server=Path("s.py"), settings=("novalue", "1=2")
    )
    with pytest.raises(UsageError) as caught:
        create(request)
    assert len(caught.value.problems) == 4


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "keep.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        create(NewRequest(name="a", folder=tmp_path / "a"))
    assert listing(tmp_path) == {"a/keep.txt"}
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="a file of that name"):
        create(NewRequest(name="a", folder=tmp_path / "file"))


def test_an_empty_folder_or_a_fresh_clone_will_do(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert create(NewRequest(name="a", folder=tmp_path / "empty", git=False)).files
    subprocess.run(["git", "init", "-q", str(tmp_path / "clone")], check=True)
    create(NewRequest(name="a", folder=tmp_path / "clone"))
    assert staged(tmp_path / "clone") >= {"mcp-tool.toml"}


def staged(folder: Path) -> set[str]:
    done = subprocess.run(["git", "-C", str(folder), "ls-files"], check=True, capture_output=True, text=True)
    return set(done.stdout.splitlines())


def test_a_repository_is_made_with_every_file_staged(tmp_path: Path) -> None:
    project = create(NewRequest(name="a", folder=tmp_path / "a"))
    assert staged(tmp_path / "a") == set(project.files)


def test_no_repository_inside_a_repository(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    create(NewRequest(name="a", folder=tmp_path / "a"))
    assert not (tmp_path / "a" / ".git").exists()


@pytest.mark.parametrize(
    ("content", "kind"),
    [(None, UserError), ("{", UserError), ("[]", UserError), ('{"project_name": "x"}', UserError)],
)
def test_a_broken_template_is_a_problem(content: str | None, kind: type[PackError], tmp_path: Path) -> None:
    template = tmp_path / "t"
    template.mkdir()
    if content is not None:
        (template / "cookiecutter.json").write_text(content)
    with pytest.raises((kind, WorldError)):
        create(NewRequest(name="a", folder=tmp_path / "a", template=str(template), git=False))
    assert not (tmp_path / "a").exists()


def test_a_template_that_is_not_there_is_the_worlds_problem(tmp_path: Path) -> None:
    with pytest.raises(WorldError, match="cannot be fetched"):
        create(NewRequest(name="a", folder=tmp_path / "a", template=str(tmp_path / "missing"), git=False))
