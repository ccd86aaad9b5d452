"""What a file needs: packages, told from its imports or its inline metadata, and modules beside it."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

_PROVIDED = frozenset({"mcp", "mcp_tool", "pydantic", "__future__"})
"""The runtime brings these."""

_PACKAGES: Mapping[str, str] = MappingProxyType(
    {
        "PIL": "pillow",
        "aiohttp": "aiohttp",
        "anyio": "anyio",
        "boto3": "boto3",
        "bs4": "beautifulsoup4",
        "dateutil": "python-dateutil",
        "dotenv": "python-dotenv",
        "fastmcp": "fastmcp>=4",
        "httpx": "httpx",
        "jinja2": "jinja2",
        "lxml": "lxml",
        "matplotlib": "matplotlib",
        "numpy": "numpy",
        "pandas": "pandas",
        "polars": "polars",
        "psycopg": "psycopg[binary]",
        "pydantic_settings": "pydantic-settings",
        "redis": "redis",
        "requests": "requests",
        "scipy": "scipy",
        "sklearn": "scikit-learn",
        "sqlalchemy": "sqlalchemy",
        "tenacity": "tenacity",
        "yaml": "pyyaml",
    }
)
"""Import name to requirement, for the packages that are sure. Any other name is the author's to check: a package
that merely has the name of an import may be somebody else's."""

# The inline metadata of https://packaging.python.org/en/latest/specifications/inline-script-metadata/
_SCRIPT = re.compile(r"(?m)^# /// script$\s(?P<body>(?:^#(?:| .*)$\s)+)^# ///$")


@dataclass(frozen=True, slots=True)
class Needs:
    """Requirements that are known, and top-level imports whose package is not."""

    known: tuple[str, ...]
    unknown: tuple[str, ...]


def needs_of(text: str, trees: Sequence[ast.Module], *, local: Collection[str]) -> Needs:
    """Inline metadata where ``text`` has it, for it is exact; else the imports of all ``trees``."""
    declared = _declared(text)
    if declared is not None:
        return Needs(tuple(declared), ())
    names = {name for tree in trees for name in _imported(tree)}
    names -= {*local, *_PROVIDED, *sys.stdlib_module_names}
    known = sorted(_PACKAGES[name] for name in names if name in _PACKAGES)
    return Needs(tuple(known), tuple(sorted(names - _PACKAGES.keys())))


def siblings_of(file: Path, tree: ast.Module) -> tuple[Path, ...]:
    """Modules and packages beside ``file`` that it imports, and those that these import."""
    found: dict[Path, None] = {}
    waiting = [tree]
    while waiting:
        for name in sorted(_imported(waiting.pop())):
            for path in (file.with_name(f"{name}.py"), file.with_name(name)):
                if path == file or path in found or not _is_module(path):
                    continue
                found[path] = None
                waiting += _trees(path)
    return tuple(found)


def _is_module(path: Path) -> bool:
    return path.is_file() if path.suffix == ".py" else (path / "__init__.py").is_file()


def _trees(path: Path) -> Iterator[ast.Module]:
    for source in [path] if path.is_file() else sorted(path.rglob("*.py")):
        try:
            yield ast.parse(source.read_bytes())
        except (SyntaxError, ValueError):
            # `check` reports it with its place once the project is there.
            continue


def _imported(tree: ast.Module) -> set[str]:
    """Top-level names of absolute imports, wherever they stand. Those for type checkers only are included."""
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                names |= {alias.name.partition(".")[0] for alias in node.names}
            case ast.ImportFrom(module=str(module), level=0):
                names.add(module.partition(".")[0])
    return names


def _declared(text: str) -> list[str] | None:
    found = _SCRIPT.search(text)
    if found is None:
        return None
    import tomli

    body = "".join(line[2:] if line.startswith("# ") else line[1:] for line in found["body"].splitlines(keepends=True))
    try:
        dependencies = tomli.loads(body).get("dependencies")
    except tomli.TOMLDecodeError:
        return None
    if not isinstance(dependencies, list):
        return None
    # The runtime brings the SDK in the version that it was made for.
    return [item for item in map(str, dependencies) if not re.match(r"mcp(\[|[<>=!~ ]|$)", item)]
