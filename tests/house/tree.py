"""What the rules look at: the tracked files, and their syntax trees, read once."""

from __future__ import annotations

import ast
import functools
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests import real_parts

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ("packager", "targets", "runtime")


@functools.cache
def tracked() -> tuple[Path, ...]:
    """Every file that git tracks or would, relative to the root."""
    command = [str(real_parts.git()), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout
    names = [Path(name) for name in listed.decode().split("\0") if name]
    return tuple(sorted(name for name in names if (ROOT / name).is_file()))


@functools.cache
def texts() -> tuple[tuple[Path, str], ...]:
    """Every tracked file that is text, with its text."""
    found = []
    for name in tracked():
        data = (ROOT / name).read_bytes()
        if b"\0" not in data:
            found.append((name, data.decode("utf-8")))
    return tuple(found)


@functools.cache
def modules(*folders: str) -> tuple[tuple[Path, ast.Module], ...]:
    """The parsed Python files below the folders; all of them where none is named. Templates are not Python."""
    chosen = folders or ("packager", "targets", "runtime", "tests", "benchmarks", "examples")
    return tuple(
        (name, ast.parse(text, str(name))) for name, text in texts() if name.suffix == ".py" and name.parts[0] in chosen
    )


def imported(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and full dotted name of everything a module imports by an absolute import."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def strings(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and value of every string that is data: docstrings are left out."""
    told = {
        id(node.body[0].value)
        for node in ast.walk(module)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
            yield node.lineno, node.value
