"""The author's files: what git tracks or does not ignore, nothing of tools, and never anything from outside."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest

from mcp_packager.bundle import author_files
from mcp_packager.errors import UserError
from tests.lock.projects import Project


def _git(project: Project, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=project.folder, check=True, capture_output=True)


def _taken(project: Project) -> list[str]:
    return [file.path for file in author_files(project.manifest).files]


def _refused(project: Project) -> list[str]:
    with pytest.raises(UserError) as caught:
        author_files(project.manifest)
    assert all(problem.fix and problem.where.file for problem in caught.value.problems)
    return [problem.what for problem in caught.value.problems]


LEFT_BEHIND = (
    "README.md",
    "uv.lock",
    "Makefile",
    "tests/test_shouting.py",
    "test_more.py",
    "conftest.py",
    "docs/index.md",
    "dist/old.whl",
    ".github/workflows/ci.yml",
    ".gitignore",
    ".venv/lib/x.py",
    "__pycache__/shouting.cpython-311.pyc",
    "shouting.egg-info/PKG-INFO",
    "node_modules/x/index.js",
    "mcp-tool.lock",
)


@pytest.mark.parametrize("git", [False, True], ids=["folder", "git"])
def test_code_and_data_go_along_and_the_rest_stays(project: Project, git: bool) -> None:
    for path in (*LEFT_BEHIND, "words/list.txt", "words/__init__.py", "LICENSE", "words/tests/fixture.txt"):
        project.write(path, "x")
    if git:
        _git(project, "init")
        _git(project, "add", "--all", "--force")
    assert _taken(project) == [
        "LICENSE",
        "shouting.py",
        "words/__init__.py",
        "words/list.txt",
        "words/tests/fixture.txt",
    ]


def test_a_src_folder_is_the_import_root(project: Project) -> None:
    (project.folder / "shouting.py").unlink()
    project.write("src/shouting/__init__.py", "")
    project.write("src/tests/x.py", "")
    project.write("script.py", "")
    found = author_files(project.manifest)
    assert [(file.path, file.shown) for file in found.files] == [("shouting/__init__.py", "src/shouting/__init__.py")]
    assert found.root == "src"


def test_the_served_module_goes_along_whatever_its_name(project: Project) -> None:
    project.write("site/server.py", "")
    project.write("site/deep/more.py", "")
    project.write("site/index.html", "")
    project.write("docs/conf.py", "")
    project.depend([])
    manifest = project.folder / "mcp-tool.toml"
    manifest.write_text(manifest.read_text().replace('entrypoint = "shouting"', 'entrypoint = "site.server:app"'))
    assert _taken(project) == ["shouting.py", "site/deep/more.py", "site/server.py"]


def test_untracked_files_go_along_and_are_told_ignored_ones_do_not(project: Project) -> None:
    _git(project, "init")
    project.write(".gitignore", "generated.py\n")
    _git(project, "add", "--all")
    project.write("new.py", "")
    project.write("generated.py", "")
    project.write("ünïcode name.py", "")
    found = author_files(project.manifest)
    assert [file.path for file in found.files] == ["new.py", "shouting.py", "ünïcode name.py"]
    assert found.untracked == ("new.py", "ünïcode name.py")


def test_a_deleted_tracked_file_is_not_missed(project: Project) -> None:
    _git(project, "init")
    gone = project.write("gone.py", "")
    _git(project, "add", "--all")
    gone.unlink()
    assert _taken(project) == ["shouting.py"]


def test_include_brings_what_is_left_out_and_exclude_takes_away(project: Project) -> None:
    _git(project, "init")
    project.write(".gitignore", "generated/\n")
    project.write("generated/table.py", "")
    project.write("docs/help.md", "")
    project.write("docs/other.txt", "")
    project.write("big/data.bin", "")
    project.write("sub/deep/notes.txt", "")
    project.depend([], 'include = ["generated", "docs/*.md"]\nexclude = ["big", "**/notes.txt"]')
    _git(project, "add", "--all")
    assert _taken(project) == ["docs/help.md", "generated/table.py", "shouting.py"]


def test_a_project_below_a_repository_sees_only_its_own_files(tmp_path: Path) -> None:
    outer = Project(tmp_path / "outer")
    _git(outer, "init")
    inner = Project(tmp_path / "outer" / "tools" / "inner")
    outer.write(".gitignore", "*.secret\n")
    inner.write("x.secret", "")
    _git(outer, "add", "--all")
    assert _taken(inner) == ["shouting.py"]


def test_a_project_that_a_repository_around_it_ignores_is_walked(tmp_path: Path) -> None:
    outer = Project(tmp_path / "outer")
    _git(outer, "init")
    outer.write(".gitignore", "scratch/\n")
    inner = Project(tmp_path / "outer" / "scratch" / "inner")
    assert _taken(inner) == ["shouting.py"]


def test_variables_of_a_git_hook_around_us_do_not_mislead(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _git(project, "init")
    _git(project, "add", "--all")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    assert _taken(project) == ["shouting.py"]


@pytest.mark.parametrize("git", [False, True], ids=["folder", "git"])
def test_links_are_followed_inside_and_never_out(project: Project, tmp_path: Path, git: bool) -> None:
    outside = tmp_path / "private.txt"
    outside.write_text("secret")
    (tmp_path / "folder").mkdir()
    project.write("real.txt", "content")
    (project.folder / "alias.txt").symlink_to("real.txt")
    if git:
        _git(project, "init")
        _git(project, "add", "--all")
    found = {file.path: file for file in author_files(project.manifest).files}
    assert found["alias.txt"].source.read_text() == "content"
    links: dict[str, str | Path] = {
        "out.txt": outside,
        "up.txt": "../private.txt",
        "nowhere.txt": "missing",
        "round": "round",
        "folder": "../folder",
    }
    for name, target in links.items():
        (project.folder / name).symlink_to(target)
    project.write("inner/x.txt", "")
    (project.folder / "inside").symlink_to("inner")
    assert _refused(project) == [
        "folder is a link out of the project, which is never followed",
        "inside is a link to a folder",
        "nowhere.txt is a link to nowhere",
        "out.txt is a link out of the project, which is never followed",
        "round is a link to nowhere",
        "up.txt is a link out of the project, which is never followed",
    ]


def test_a_tracked_folder_that_became_a_link_out_is_refused(project: Project, tmp_path: Path) -> None:
    _git(project, "init")
    project.write("data/x.txt", "")
    _git(project, "add", "--all")
    (project.folder / "data").rename(tmp_path / "data")
    (project.folder / "data").symlink_to(tmp_path / "data")
    assert "data/x.txt lies behind a link that leads out of the project" in _refused(project)


def test_pipes_sockets_and_devices_are_refused(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(project.folder / "pipe")
    monkeypatch.chdir(project.folder)  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        assert _refused(project) == [
            f"{name} is a pipe, a socket or a device, not a file" for name in ("pipe", "socket")
        ]


def test_an_unreadable_file_is_refused(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = project.write("closed.txt", "")
    closed.chmod(0)
    if os.geteuid() == 0:  # root reads everything, so the system's answer for anybody else is put in its place
        allowed = os.access
        monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != closed and allowed(path, mode))
    assert _refused(project) == ["closed.txt cannot be read"]


def test_submodules_and_nested_repositories_are_refused(project: Project, tmp_path: Path) -> None:
    other = Project(tmp_path / "other")
    _git(other, "init")
    _git(other, "add", "--all")
    _git(other, "commit", "-m", "x")
    _git(project, "init")
    _git(project, "-c", "protocol.file.allow=always", "submodule", "add", str(other.folder), "vendored")
    Project(project.folder / "nested")
    _git(project, "init", "nested")
    refused = _refused(project)
    assert "vendored is a submodule, whose files belong to another repository" in refused
    assert "nested is a repository inside the project" in refused


def test_names_that_no_other_machine_can_hold_are_refused(project: Project) -> None:
    (project.folder / "line\nbreak.txt").write_text("")
    Path(os.fsdecode(os.fsencode(project.folder) + b"/caf\xe9.txt")).write_text("")
    assert len(_refused(project)) == 2


def test_modes_are_executable_or_not_whatever_the_umask(project: Project) -> None:
    project.write("run.sh", "").chmod(0o700)
    project.write("shouting.py", "").chmod(0o600)
    modes = {file.path: file.mode for file in author_files(project.manifest).files}
    assert modes == {"run.sh": 0o755, "shouting.py": 0o644}


def test_nothing_to_pack_is_a_problem(project: Project) -> None:
    (project.folder / "shouting.py").unlink()
    (project.folder / "src").mkdir()
    with pytest.raises(UserError, match="no file of yours to pack in src/"):
        author_files(project.manifest)


def test_without_git_on_the_machine_the_folder_is_walked(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    _git(project, "init")
    monkeypatch.setenv("PATH", "")
    assert _taken(project) == ["shouting.py"]
