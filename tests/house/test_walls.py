"""Who may import whom, beside the contracts that import-linter holds (``make lint``)."""

from __future__ import annotations

import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.house.tree import ROOT, imported, modules, strings

_OWN = {"mcp_packager", "mcp_targets", "mcp_tool", "tests", "benchmarks"}
_IN_TESTS = {"mcp-pack-shed"}  # the plugin in a distribution of its own, installed by the test that needs it
# The program, the form of rules: not the target.
_PROGRAMS = {("building.py", "docker"), ("doctor.py", "docker"), ("monitoring.py", "kubernetes")}
_WRAPPED = {"fastmcp", "fastmcp-slim"}  # imported only where a tool project depends on it and names a server of it
_KNOWN_TARGETS = {"docker", "eks", "kubernetes", "lambda"}


def _services(module: Path) -> set[tuple[str, str]]:
    """The double of AWS calls a service what AWS does."""
    return {(module.name, "lambda")} if module.parts[-3:-1] == ("testing", "aws") else set()


def _targets() -> set[str]:
    return {path.name for path in (ROOT / "targets" / "mcp_targets").iterdir() if (path / "__init__.py").is_file()}


def test_targets_do_not_import_each_other() -> None:
    wrong = []
    for name, module in modules("targets"):
        if len(name.parts) < 4:
            continue
        own = name.parts[2]
        for line, what in imported(module):
            parts = what.split(".")
            if parts[0] == "mcp_targets" and len(parts) > 1 and parts[1] != own and not parts[1].startswith("_"):
                wrong.append(f"{name}:{line}: {what}")
    assert wrong == []


def test_the_packager_names_no_target() -> None:
    # `local` is the default of the command line, the one name that the design gives the packager.
    names = (_targets() | _KNOWN_TARGETS) - {"local"}
    wrong = [
        f"{name}:{line}: {value!r}"
        for name, module in modules("packager")
        for line, value in strings(module)
        if (value in names and (name.name, value) not in _PROGRAMS | _services(name)) or "mcp_targets." in value
    ]
    assert wrong == []


def _declared(pyproject: Path) -> set[str]:
    document = tomllib.loads(pyproject.read_text())
    project = document["project"]
    lines = list(project["dependencies"])
    for extra in project.get("optional-dependencies", {}).values():
        lines += extra
    return {canonicalize_name(Requirement(line).name) for line in lines}


def _brought_by(distribution: str) -> set[str]:
    return {canonicalize_name(Requirement(line).name) for line in metadata.requires(distribution) or []}


def _undeclared(allowed: set[str], *folders: str) -> list[str]:
    import sys

    owners = metadata.packages_distributions()
    found = []
    for name, module in modules(*folders):
        for line, what in imported(module):
            top = what.partition(".")[0]
            if top in _OWN or top in sys.stdlib_module_names:
                continue
            if not {canonicalize_name(owner) for owner in owners.get(top, [top])} & allowed:
                found.append(f"{name}:{line}: {top}")
    return found


def test_the_packager_declares_what_it_imports() -> None:
    allowed = _declared(ROOT / "pyproject.toml") | _brought_by("pydantic")
    assert _undeclared(allowed, "packager", "targets") == []


def test_the_runtime_declares_what_it_imports() -> None:
    # The SDK's own direct requirements come with it: its web framework and its types are what we serve with.
    allowed = _declared(ROOT / "runtime" / "pyproject.toml") | _brought_by("mcp") | _brought_by("pydantic")
    allowed |= _WRAPPED
    assert _undeclared(allowed, "runtime") == []


def test_tests_and_benchmarks_declare_what_they_import() -> None:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    dev = {canonicalize_name(Requirement(line).name) for line in groups["dev"]}
    allowed = dev | _WRAPPED | _declared(ROOT / "pyproject.toml") | _declared(ROOT / "runtime" / "pyproject.toml")
    assert _undeclared(allowed | _brought_by("mcp") | _brought_by("pydantic") | _IN_TESTS, "tests", "benchmarks") == []


@pytest.mark.parametrize("text", ["from mcp_targets.eks import thing", "import mcp_targets.eks.render"])
def test_the_reader_of_imports_sees_them(text: str) -> None:
    import ast

    assert [what.split(".")[:2] for _, what in imported(ast.parse(text))] == [["mcp_targets", "eks"]]
