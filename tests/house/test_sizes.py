"""Files, functions and interfaces stay small enough to be read in one go."""

from __future__ import annotations

import ast

from tests.house.tree import ROOT, modules

FILE_LINES = 400
FUNCTION_LINES = 60
INTERFACE_MEMBERS = 9


def test_files_stay_under_the_cap() -> None:
    sizes = [(name, len((ROOT / name).read_text().splitlines())) for name, _ in modules()]
    assert [f"{name}: {size} lines" for name, size in sizes if size >= FILE_LINES] == []


def test_functions_stay_under_the_cap() -> None:
    long = []
    for name, module in modules():
        for node in ast.walk(module):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                size = (node.end_lineno or node.lineno) - node.lineno + 1
                if size >= FUNCTION_LINES:
                    long.append(f"{name}:{node.lineno}: {node.name} has {size} lines")
    assert long == []


def test_interfaces_stay_under_the_cap() -> None:
    wide = []
    for name, module in modules():
        for node in ast.walk(module):
            if isinstance(node, ast.ClassDef) and _is_interface(node):
                members = [part for part in node.body if not isinstance(part, ast.Expr | ast.Pass)]
                if len(members) >= INTERFACE_MEMBERS:
                    wide.append(f"{name}:{node.lineno}: {node.name} has {len(members)} members")
    assert wide == []


def _is_interface(node: ast.ClassDef) -> bool:
    names = {ast.unparse(base).partition("[")[0].rpartition(".")[2] for base in node.bases}
    return bool(names & {"Protocol", "ABC"})
