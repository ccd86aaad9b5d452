"""The wheel: valid, the same every time, and served over stdio by uvx with nothing of ours published."""

from __future__ import annotations

import base64
import csv
import hashlib
import importlib.metadata
import json
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from uv import find_uv_bin

from mcp_packager import lock
from mcp_packager.bundle import assemble, environment, write_wheel
from mcp_packager.contract import ExtractRequest, extract
from mcp_packager.errors import UserError
from mcp_packager.process import run
from mcp_packager.store import Store
from tests.bundle.locks import TOOL, assembled
from tests.lock.made_wheels import make
from tests.lock.projects import Project, here


def _wheel(project: Project, store: Store, folder: Path) -> Path:
    return write_wheel(assembled(project, store), project.manifest, folder)


def test_it_holds_code_runtime_documents_and_a_script(project: Project, store: Store, tmp_path: Path) -> None:
    project.write("words/list.txt", "x")
    path = _wheel(project, store, tmp_path / "dist")
    assert path.name == "shouting-1.2.0-py3-none-any.whl"
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        scripts = archive.read("shouting-1.2.0.dist-info/entry_points.txt").decode()
        rows = list(csv.reader(archive.read("shouting-1.2.0.dist-info/RECORD").decode().splitlines()))
        for name, digest, size in rows[:-1]:
            data = archive.read(name)
            assert digest == "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            assert int(size) == len(data)
    assert {"shouting.py", "words/list.txt", "mcp_tool/__main__.py", "_shouting_bundle/tool.json"} <= set(names)
    assert "_shouting_bundle/contract.json" in names
    assert sorted(row[0] for row in rows) == sorted(names)
    assert scripts == "[console_scripts]\nshouting = _shouting_bundle:main\n"
    assert not [name for name in names if "__pycache__" in name or name.startswith(("lib/", "app/"))]


def test_it_is_the_same_every_time(project: Project, store: Store, tmp_path: Path) -> None:
    first = _wheel(project, store, tmp_path / "one").read_bytes()
    assert _wheel(project, Store(tmp_path / "other"), tmp_path / "two").read_bytes() == first


def test_what_is_depended_on_directly_is_pinned(project: Project, store: Store, tmp_path: Path) -> None:
    wheels = [
        make(tmp_path, "alpha", "2.5", requires=["beta"]),
        make(tmp_path, "beta", "3.0"),
        make(tmp_path, "mcp", "2.3.9"),
    ]
    project.depend(["Alpha[more]>=1; python_version > '3'", "mcp-tool-runtime"], 'description = "Says it\\nlouder"')
    path = write_wheel(assembled(project, store, wheels), project.manifest, tmp_path)
    with zipfile.ZipFile(path) as archive:
        metadata = archive.read("shouting-1.2.0.dist-info/METADATA").decode().splitlines()
    required = [line.removeprefix("Requires-Dist: ") for line in metadata if line.startswith("Requires-Dist")]
    assert 'Alpha[more]==2.5 ; python_version > "3"' in required
    assert "mcp==2.3.9" in required
    assert not [line for line in required if line.startswith(("beta", "mcp-tool-runtime"))]
    assert "Requires-Python: >=3.11" in metadata
    assert "Summary: Says it louder" in metadata


def test_compiled_modules_of_the_author_make_it_a_wheel_for_one_platform(
    project: Project, store: Store, tmp_path: Path
) -> None:
    project.write("fast.so", b"\x7fELF")
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
    assert _wheel(project, store, tmp_path).name.startswith(f"shouting-1.2.0-{tag}-{tag}-")


def test_the_private_name_is_taken(project: Project, store: Store, tmp_path: Path) -> None:
    project.write("_shouting_bundle/x.py", "")
    with pytest.raises(UserError, match="_shouting_bundle is the name that the wheel needs"):
        _wheel(project, store, tmp_path)


def _real(project: Project, folder: Path) -> Path:
    """A wheel with everything real: resolved, extracted, assembled."""
    platform, interpreter = here()
    made = lock.ensure(project.manifest, [(platform, interpreter)])
    library = environment(made, platform, interpreter=interpreter)
    request = ExtractRequest(
        python=interpreter.path, lib=library, app=project.folder, tool=TOOL, env={}, secrets=(), limit=60.0
    )
    bundle = assemble(
        manifest=project.manifest,
        lock=made,
        platform=platform,
        interpreter=interpreter,
        contract_document=extract(request).document,
        tool_document=TOOL,
    )
    return write_wheel(bundle, project.manifest, folder)


def test_uvx_serves_it_over_stdio(project: Project, tmp_path: Path) -> None:
    wheel = _real(project, tmp_path / "dist")
    command = [find_uv_bin(), "tool", "run", "--python", sys.executable, "--from", str(wheel), "shouting"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tmp_path) as server:
        asked = _initialize()
        answer = _ask(server, {"id": 1, **asked})
        assert answer["result"]["serverInfo"]["name"] == "shouting"
        _tell(server, {"method": "notifications/initialized"})
        called = _ask(
            server, {"id": 2, "method": "tools/call", "params": {"name": "shout", "arguments": {"text": "hey"}}}
        )
        assert called["result"]["structuredContent"] == {"result": "HEY"}
        assert server.stdin is not None
        server.stdin.close()
        assert server.wait(20) == 0


def test_pip_installs_it_and_knows_what_it_is(project: Project, store: Store, tmp_path: Path) -> None:
    site = tmp_path / "site"
    wheel = _wheel(project, store, tmp_path)
    done = run([find_uv_bin(), "pip", "install", "--no-deps", "--target", site, "--python", sys.executable, wheel])
    assert done.ok, done.stderr
    (found,) = importlib.metadata.distributions(path=[str(site)])
    assert (found.name, found.version) == ("shouting", "1.2.0")
    assert [(entry.group, entry.name) for entry in found.entry_points] == [("console_scripts", "shouting")]


def _initialize() -> dict[str, Any]:
    client = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    return {"method": "initialize", "params": client}


def _tell(server: subprocess.Popen[bytes], message: Mapping[str, Any]) -> None:
    assert server.stdin is not None
    server.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
    server.stdin.flush()


def _ask(server: subprocess.Popen[bytes], message: Mapping[str, Any]) -> dict[str, Any]:
    _tell(server, message)
    assert server.stdout is not None
    while line := server.stdout.readline():
        answer: dict[str, Any] = json.loads(line)
        if answer.get("id") == message["id"]:
            return answer
    pytest.fail("the server ended without an answer")
