"""A bundle is the same for the same input, whatever machine, folder, moment or order it is made in."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mcp_packager.bundle import Bundle, assemble, content, environment, materialise
from mcp_packager.errors import UserError, WorldError
from mcp_packager.store import EPOCH, Store
from tests.bundle.locks import TOOL, assembled, locked
from tests.lock.made_wheels import make
from tests.lock.projects import Project, here

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import sys
from pathlib import Path
from mcp_packager.store import Store
from tests.bundle.locks import assembled
from tests.lock.projects import Project
project = Project.__new__(Project)
project.folder = Path(sys.argv[1])
print(assembled(project, Store(Path(sys.argv[2])), [Path(path) for path in sys.argv[3:]]).hash)
"""


def _wheels(folder: Path) -> list[Path]:
    return [
        make(folder, "alpha", files={"alpha/__init__.py": "S = {'p', 'q', 'r'}\n", "alpha/x.txt": "x"}),
        make(folder, "beta", files={"beta.py": "def b(): return 1\n", "beta-1.0.data/scripts/b": "#!python\n"}),
    ]


def _elsewhere(project: Path, store: Path, wheels: list[Path], cwd: Path, umask: int = 0o022, **env: str) -> str:
    """The bundle's hash as another process makes it."""
    command: list[str | Path] = [sys.executable, "-c", SCRIPT, project, store, *wheels]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHON"))}
    clean |= {"PYTHONPATH": str(ROOT), **env}
    done = subprocess.run(command, cwd=cwd, env=clean, umask=umask, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def _content(project: Project) -> None:
    project.write("words/a.txt", "é")
    project.write("words/B.txt", "b")
    project.write("ärger.py", "X = {'k', 'l', 'm'}\n")


def test_the_same_input_gives_the_same_bundle_everywhere(project: Project, tmp_path: Path, store: Store) -> None:
    _content(project)
    wheels = _wheels(tmp_path / "wheels")
    expected = assembled(project, store, wheels).hash
    away = tmp_path / "a folder elsewhere" / "ü"
    shutil.copytree(project.folder, away, copy_function=shutil.copyfile)
    for number, path in enumerate(sorted(away.rglob("*"), reverse=True)):
        os.utime(path, (number, number))
    for path in away.rglob("*.txt"):  # made again in another order
        data = path.read_bytes()
        path.unlink()
        path.write_bytes(data)
        path.chmod(0o600)
    fresh = tmp_path / "fresh store"
    assert _elsewhere(away, fresh, wheels, tmp_path, 0o077, TZ="Asia/Tokyo", LC_ALL="C", PYTHONHASHSEED="1") == expected
    kept = _elsewhere(away, fresh, wheels[::-1], Path("/"), 0, TZ="UTC", LC_ALL="C.UTF-8", PYTHONHASHSEED="77")
    assert kept == expected
    assert not [
        path for path in fresh.rglob("*") if path.is_file() and str(project.folder).encode() in path.read_bytes()
    ]


def test_what_changes_the_artifact_changes_the_identity(project: Project, store: Store, tmp_path: Path) -> None:
    wheels = _wheels(tmp_path / "wheels")
    project.write("run.sh", "#!/bin/sh\n")
    seen = {assembled(project, store, wheels).hash}
    project.write("more.py", "")
    seen.add(assembled(project, store, wheels).hash)
    (project.folder / "run.sh").chmod(0o755)
    seen.add(assembled(project, store, wheels).hash)
    seen.add(assembled(project, store, wheels[:1]).hash)
    project.write("more.py", "#")
    seen.add(assembled(project, store, wheels).hash)
    assert len(seen) == 5


def test_a_bundle_is_sorted_and_holds_documents_code_and_libraries(
    project: Project, store: Store, tmp_path: Path
) -> None:
    bundle = assembled(project, store, _wheels(tmp_path / "wheels"))
    paths = [entry.path for entry in bundle.entries]
    assert paths == sorted(paths)
    assert len(paths) == len(set(paths))
    assert {"tool.json", "contract.json", "app/shouting.py", "lib/alpha/x.txt", "lib/mcp_tool/__init__.py"} <= set(
        paths
    )
    assert {path.split("/")[0] for path in paths} == {"app", "lib", "tool.json", "contract.json"}
    assert bundle.size == sum(len(content(entry)) for entry in bundle.entries)
    assert (
        content(next(entry for entry in bundle.entries if entry.path == "tool.json"))
        == (json.dumps(TOOL, sort_keys=True, separators=(",", ":")) + "\n").encode()
    )


def test_names_that_a_dependency_would_hide_are_refused(project: Project, store: Store, tmp_path: Path) -> None:
    wheels = _wheels(tmp_path / "wheels")
    project.write("alpha/__init__.py", "")
    project.write("beta.py", "")
    project.write("mcp_tool/__init__.py", "")
    with pytest.raises(UserError) as caught:
        assembled(project, store, wheels)
    assert [problem.where.file for problem in caught.value.problems] == ["alpha", "beta", "mcp_tool"]


def test_parts_of_one_namespace_package_may_come_from_both(project: Project, store: Store, tmp_path: Path) -> None:
    wheel = make(tmp_path, "alpha", files={"corp/alpha/__init__.py": ""})
    project.write("corp/mine/__init__.py", "")
    assert {"lib/corp/alpha/__init__.py", "app/corp/mine/__init__.py"} <= {
        entry.path for entry in assembled(project, store, [wheel]).entries
    }


def test_secrets_stop_the_assembly(project: Project, store: Store) -> None:
    project.write(".env", "A=b\n")
    with pytest.raises(UserError, match=r"\.env looks like an environment file"):
        assembled(project, store)


def test_without_a_contract_there_is_none(project: Project, store: Store) -> None:
    platform, interpreter = here()
    bundle = assemble(
        manifest=project.manifest,
        lock=locked([], store),
        platform=platform,
        interpreter=interpreter,
        contract_document=None,
        tool_document=TOOL,
        store=store,
    )
    assert "contract.json" not in {entry.path for entry in bundle.entries}


def _tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _expected(bundle: Bundle) -> dict[str, bytes]:
    return {entry.path: content(entry) for entry in bundle.entries}


def test_a_tree_holds_exactly_the_bundle_linked_from_the_store(project: Project, store: Store, tmp_path: Path) -> None:
    bundle = assembled(project, store, _wheels(tmp_path / "wheels"))
    materialise(bundle, tmp_path / "out" / "tree")
    assert _tree(tmp_path / "out" / "tree") == _expected(bundle)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["tree"]
    linked = tmp_path / "out" / "tree" / "lib" / "alpha" / "__init__.py"
    assert linked.stat().st_nlink > 1
    assert linked.stat().st_mode & 0o222 == 0
    copied = tmp_path / "out" / "tree" / "app" / "shouting.py"
    assert copied.stat().st_nlink == 1
    assert copied.stat().st_mtime == EPOCH


def test_a_tree_is_replaced_whole_and_left_alone_where_it_fits(project: Project, store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "tree"
    materialise(assembled(project, store), folder)
    before = folder.stat().st_ino
    materialise(assembled(project, store), folder)
    assert folder.stat().st_ino == before
    project.write("shouting.py", "X = 2\n")
    changed = assembled(project, store)
    materialise(changed, folder)
    assert folder.stat().st_ino != before
    assert _tree(folder) == _expected(changed)
    (folder / "stray.txt").write_text("")
    materialise(changed, folder)
    assert _tree(folder) == _expected(changed)
    (folder / "app" / "shouting.py").chmod(0o644)
    (folder / "app" / "shouting.py").write_text("X = 3\n")
    materialise(changed, folder)
    assert _tree(folder) == _expected(changed)


def test_a_file_that_changes_while_it_is_packed_leaves_the_old_tree(
    project: Project, store: Store, tmp_path: Path
) -> None:
    folder = tmp_path / "tree"
    first = assembled(project, store)
    materialise(first, folder)
    expected = _tree(folder)
    project.write("shouting.py", "X = 2\n")
    second = assembled(project, store)
    project.write("shouting.py", "X = 3\n")
    with pytest.raises(UserError, match="changed while it was being packed"):
        materialise(second, folder)
    assert _tree(folder) == expected
    assert sorted(path.name for path in tmp_path.iterdir() if "tree" in path.name) == ["tree"]


def test_a_place_that_cannot_be_written_is_the_worlds_problem(project: Project, store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WorldError, match="cannot be written: "):
        materialise(assembled(project, store), tmp_path / "file" / "tree")


def test_an_environment_is_made_once_and_imports_from_nowhere_else(
    project: Project, store: Store, tmp_path: Path
) -> None:
    lock = locked(_wheels(tmp_path / "wheels"), store)
    platform, interpreter = here()
    library = environment(lock, platform, interpreter=interpreter, store=store)
    assert environment(lock, platform, interpreter=interpreter, store=store) == library
    assert environment(lock, platform, store=store) != library
    code = "import alpha, beta, mcp_tool, sys; print(alpha.__cached__); import packaging"
    done = subprocess.run(
        [interpreter.path, "-S", "-P", "-B", "-c", code],
        env={"PYTHONPATH": str(library)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert Path(done.stdout.strip()).is_file()
    assert "No module named 'packaging'" in done.stderr
    assert library.is_relative_to(store.root)
