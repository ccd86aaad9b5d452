"""A library folder as a lock makes one, and projects whose code misbehaves."""

from __future__ import annotations

import sys
import sysconfig
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mcp_packager.contract import Contract, ExtractRequest, extract

_PACKAGES = (
    "annotated_types",
    "docstring_parser",
    "pydantic",
    "pydantic_core",
    "typing_extensions.py",
    "typing_inspection",
)


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a tool without dependencies of its own has: the runtime, pydantic, the docstring parser; no SDK."""
    folder = tmp_path_factory.mktemp("lib")
    site = Path(sysconfig.get_path("purelib"))
    for name in _PACKAGES:
        (folder / name).symlink_to(site / name)
    (folder / "mcp_tool").symlink_to(Path(__file__).parents[2] / "runtime" / "mcp_tool")
    return folder


@pytest.fixture(scope="session")
def library_with_sdk(tmp_path_factory: pytest.TempPathFactory, library: Path) -> Path:
    """What a tool has that depends on the MCP SDK: everything that is installed here, but no packager."""
    folder = tmp_path_factory.mktemp("lib-sdk")
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if path.suffix != ".pth" and not path.name.startswith(("mcp_pack", "__editable__")):
            (folder / path.name).symlink_to(path)
    (folder / "mcp_tool").symlink_to((library / "mcp_tool").resolve())
    return folder


Extract = Callable[..., Contract]


@pytest.fixture
def project(tmp_path: Path, library: Path) -> Callable[..., ExtractRequest]:
    """A request for one module ``server`` with this code."""

    def make(code: str, *, env: Mapping[str, str] | None = None, **changes: Any) -> ExtractRequest:
        app = tmp_path / "app"
        app.mkdir(exist_ok=True)
        (app / "server.py").write_text(textwrap.dedent(code), "utf-8")
        secrets = changes.pop("declared", {})
        tool = {
            "schema": 1,
            "name": "sample",
            "version": "1.0.0",
            "title": "",
            "description": "",
            "instructions": "",
            "entrypoint": changes.pop("entrypoint", "server"),
            "env": sorted(env or {}),
            "secrets": secrets,
        }
        request = ExtractRequest(
            python=Path(sys.executable),
            lib=library,
            app=app,
            tool=tool,
            env=env or {},
            secrets=tuple(secrets),
            limit=20.0,
            shown=Path("src"),
        )
        return replace(request, **changes)

    return make


@pytest.fixture
def contract_of(project: Callable[..., ExtractRequest]) -> Extract:
    """The contract of this code."""

    def run(code: str, **changes: Any) -> Contract:
        return extract(project(code, **changes))

    return run
