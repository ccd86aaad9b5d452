"""Bytecode: by the target's own Python, the same wherever it is made, and never a reason to fail."""

from __future__ import annotations

import importlib.util
import json
import marshal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import CodeType

import pytest

from mcp_packager import interpreters
from mcp_packager.bundle import bytecode, compiler, content, materialise
from mcp_packager.bundle.install import listed
from mcp_packager.errors import UserError, WorldError
from mcp_packager.interpreters import Interpreter
from mcp_packager.platforms import Platform
from mcp_packager.store import Store
from tests.bundle.locks import assembled, shelve
from tests.lock.made_wheels import make
from tests.lock.projects import Project, here

SOURCES: dict[str, str | bytes] = {
    "alpha/__init__.py": (
        "NAMES = {'b', 'a', 'c'}\nPAIR = ('x y', 'x y')\n\n\n"
        "def f(x):\n    '''Say {x}.'''\n    return x in {'one', 'two', 'three'}\n"
    ),
    "alpha/broken.py": "print 'python 2'\n",
    "alpha/nulls.py": b"x = 1\0\n",
    "alpha/latin.py": "# -*- coding: latin-1 -*-\ns = '\xe9'\n".encode("latin-1"),
    "alpha/empty.py": "",
}


OTHERS = [pytest.param(minor, marks=pytest.mark.real(f"python{minor}")) for minor in ("3.12", "3.13", "3.14")]
"""Pythons beside the one that runs the tests; a missing one is skipped by name, and fails in CI."""


def _interpreter(minor: str) -> Interpreter:
    return here()[1] if minor == "running" else interpreters.find(">=3.11", minors=[minor])


def _compiled(wheel: Path, interpreter: Interpreter, store: Store) -> dict[str, bytes]:
    shelved = shelve(wheel, store)
    entries = bytecode.of_wheels([(shelved, listed(shelved, store))], interpreter, store)
    return {entry.path: content(entry) for entry in entries}


def _names(code: CodeType) -> set[str]:
    return {
        code.co_filename,
        *(name for const in code.co_consts if isinstance(const, CodeType) for name in _names(const)),
    }


def test_modules_are_unchecked_hash_with_relative_names(tmp_path: Path, store: Store) -> None:
    made = _compiled(make(tmp_path, "alpha", files=SOURCES), here()[1], store)
    cached = f"lib/alpha/__pycache__/{{}}.{sys.implementation.cache_tag}.pyc"
    assert set(made) == {cached.format(name) for name in ("__init__", "latin", "empty")}
    data = made[cached.format("__init__")]
    assert data[:4] == importlib.util.MAGIC_NUMBER
    assert int.from_bytes(data[4:8], "little") == 0b01  # hash-based, not checked (PEP 552)
    assert data[8:16] == importlib.util.source_hash(str(SOURCES["alpha/__init__.py"]).encode())
    assert _names(marshal.loads(data[16:])) == {"alpha/__init__.py"}


def test_what_a_dependency_is_tested_with_stays_source(tmp_path: Path, store: Store) -> None:
    files: dict[str, str | bytes] = {
        f"alpha/{name}.py": "" for name in ("tests", "tests/test_it", "deep/test/it", "testing/it")
    }
    made = _compiled(make(tmp_path, "alpha", files=files), here()[1], store)
    assert {path.rpartition("/__pycache__/")[0] for path in made} == {"lib/alpha", "lib/alpha/testing"}


def test_order_company_process_and_hash_seed_change_nothing(tmp_path: Path) -> None:
    wheel = make(tmp_path, "alpha", files=SOURCES)
    lines = {f"beta/m{number}.py": f"V{number} = ('x y', {number * 1000})\n" * 300 for number in range(60)}
    big = make(tmp_path, "beta", files=lines)
    alone = _compiled(wheel, here()[1], Store(tmp_path / "one"))
    store = Store(tmp_path / "two")
    shelved = [shelve(item, store) for item in (big, wheel)]
    children = bytecode.of_wheels([(item, listed(item, store)) for item in shelved], here()[1], store)
    together = {entry.path: content(entry) for entry in children if entry.path.startswith("lib/alpha/")}
    assert together == alone
    assert len(children) > len(alone)


@pytest.mark.parametrize("minor", OTHERS)
def test_another_python_takes_the_modules_made_for_it(
    minor: str, project: Project, store: Store, tmp_path: Path
) -> None:
    other = _interpreter(minor)
    platform = Platform(minor, here()[0].tag)
    wheel = make(tmp_path, "alpha", files=SOURCES)
    bundle = assembled(project, store, [wheel], platform=platform, interpreter=other)
    assert bundle.interpreter_version == other.version
    tree = tmp_path / "tree"
    materialise(bundle, tree)
    for source in tree.rglob("lib/alpha/__init__.py"):
        source.unlink()
        source.write_text("raise SystemExit('the source was read')\n")
    code = "import alpha, shouting; print(alpha.f('one'), alpha.f.__code__.co_filename)"
    env = {"PYTHONPATH": f"{tree}/lib:{tree}/app", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([other.path, "-S", "-P", "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", f"{tree}/lib/alpha/__init__.py"]


def test_the_authors_modules_are_compiled_where_they_compile(project: Project, store: Store) -> None:
    for path, source in SOURCES.items():
        project.write(path, source)
    made = [entry.path for entry in assembled(project, store).below("app") if entry.path.endswith(".pyc")]
    cached = f"app/alpha/__pycache__/{{}}.{sys.implementation.cache_tag}.pyc"
    assert set(made) == {
        *(cached.format(name) for name in ("__init__", "latin", "empty")),
        f"app/__pycache__/shouting.{sys.implementation.cache_tag}.pyc",
    }


@pytest.mark.parametrize("minor", ["running", *OTHERS])
def test_real_modules_come_out_the_same_in_any_order_and_company(minor: str) -> None:
    interpreter = _interpreter(minor)
    sources = [(path.name, path.read_bytes()) for path in sorted(Path(bytecode.__file__).parents[1].rglob("*.py"))]
    sources += [(path.name, path.read_bytes()) for path in sorted(Path(json.__file__).parents[1].glob("[a-h]*.py"))]

    def compiled(some: Sequence[tuple[str, bytes]], seed: str) -> dict[bytes, bytes]:
        modules = [bytecode.Module(f"{number}", name, source) for number, (name, source) in enumerate(some)]
        made = bytecode.in_child(modules, interpreter, seed=seed)
        return {some[int(number)][1]: body for number, body in made.items()}

    whole = compiled(sources, "0")
    assert len(whole) > 80
    assert compiled(sources[::-1], "1") == whole
    for source in sources[:5]:
        assert compiled([source], "2").items() <= whole.items()


def test_a_wrapper_reaches_an_interpreter_that_sees_none_of_our_paths(
    project: Project, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrapper = tmp_path / "elsewhere-python"
    wrapper.write_text(f'#!/bin/sh\ncd / && exec env -i {here()[1].path} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("MCP_PACK_PYTHONS", str(wrapper))
    through = Interpreter(wrapper, here()[1].version, here()[1].minor, "cpython", here()[0].tag)
    direct = assembled(project, store)
    assert assembled(project, Store(tmp_path / "other"), interpreter=through).hash == direct.hash


def test_the_interpreters_version_is_part_of_the_identity(project: Project, store: Store) -> None:
    mine = here()[1]
    newer = Interpreter(mine.path, f"{mine.minor}.99", mine.minor, mine.implementation, mine.tag)
    one, other = assembled(project, store), assembled(project, store, interpreter=newer)
    assert one.entries == other.entries or one.hash != other.hash
    assert one.hash != other.hash


def test_without_bytecode_no_interpreter_is_needed(project: Project, store: Store) -> None:
    project.depend([], "bytecode = false")
    bundle = assembled(project, store, platform=Platform("3.14", here()[0].tag), interpreter=None)
    assert bundle.interpreter_version is None
    assert not [entry for entry in bundle.entries if entry.path.endswith(".pyc")]


def test_an_interpreter_of_another_minor_is_a_problem_with_two_ways_out(project: Project, store: Store) -> None:
    with pytest.raises(UserError, match=r"Bytecode for Python 3\.19") as caught:
        assembled(project, store, platform=Platform("3.19", here()[0].tag))
    assert "MCP_PACK_PYTHONS" in caught.value.problems[0].fix
    assert "bytecode = false" in caught.value.problems[0].fix


def test_an_interpreter_that_fails_is_the_worlds_problem(project: Project, store: Store, tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho no room >&2; exit 3\n")
    broken.chmod(0o755)
    mine = here()[1]
    with pytest.raises(WorldError, match="could not make bytecode: no room"):
        assembled(project, store, interpreter=Interpreter(broken, mine.version, mine.minor, "cpython", mine.tag))


def test_a_frame_survives_the_way_there_and_back() -> None:
    data = compiler.pack([["a", 2], ["b", 0]], [b"xy", b""])
    head, at = compiler.unpack(data)
    assert (head, data[at:]) == ([["a", 2], ["b", 0]], b"xy")
