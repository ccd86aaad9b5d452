"""Planted secrets: delivered to the tool, and in no byte of any artifact, record, plan, log or message."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from tests.cli.process import run
from tests.pipeline.projects import data, destroyed_afterwards, project

CODE = '''
import hashlib
import os
from pathlib import Path

from mcp_tool import tool


@tool(secrets=["API_KEY", "CERTIFICATE"])
def fingerprint() -> list[str]:
    """The fingerprints of both secrets."""
    values = [os.environ["API_KEY"], Path(os.environ["CERTIFICATE"]).read_text()]
    return [hashlib.sha256(value.encode()).hexdigest() for value in values]


@tool(secrets=["API_KEY"])
def fail() -> str:
    """Fail with the secret in the message."""
    raise ValueError("cannot log in with " + os.environ["API_KEY"])
'''
MANIFEST = """
[tool]
name = "keeper"
version = "1.0.0"
entrypoint = "server"

[secrets.API_KEY]
description = "Key of the service"

[secrets.CERTIFICATE]
from = "file:../certificate.pem"
as = "file"

[[verify.call]]
tool = "fingerprint"
"""


def test_nothing_holds_them(tmp_path: Path) -> None:
    import hashlib

    key, certificate = secrets.token_hex(24), secrets.token_hex(24)
    (tmp_path / "certificate.pem").write_text(certificate, encoding="utf-8")
    keeper = project(tmp_path / "keeper", code=CODE, manifest=MANIFEST)
    env = {"API_KEY": key}
    home = Path(os.environ["MCP_PACK_HOME"])
    printed: list[str] = []

    def said(*arguments: str) -> None:
        done = run(*arguments, "--project", str(keeper), env=env)
        printed.extend((done.stdout, done.stderr))

    with destroyed_afterwards(keeper):
        for command in ("check", "build", "plan", "deploy", "plan", "status", "drift", "history", "secrets"):
            said(command)
            said(command, "--json")
        answer = data(keeper, "invoke", "fingerprint", env=env)["invoke"]["result"]["structuredContent"]["result"]
        assert answer == [hashlib.sha256(value.encode()).hexdigest() for value in (key, certificate)]
        said("invoke", "fail")
        said("logs")
        said("client-config", "--client", "vscode")
        said("client-config", "--client", "claude-code")
        delivered = {path for path in _holding(home, key, certificate) if path.stat().st_mode & 0o077 == 0}
        assert delivered, "the secrets reached the tool by no file of its own"
        assert _holding(home, key, certificate) <= delivered
        assert not {path for path in delivered if path.suffix in {".json", ".log"}}
        assert not _holding(keeper, key, certificate)
        assert not _holding(Path(os.environ["MCP_PACK_CACHE"]), key, certificate)
    assert not _holding(home, key, certificate)
    assert printed
    for text in printed:
        assert key not in text
        assert certificate not in text


def test_a_missing_one_is_named_before_anything_runs(tmp_path: Path) -> None:
    keeper = project(tmp_path / "keeper", code=CODE, manifest=MANIFEST)
    with destroyed_afterwards(keeper):
        done = run("deploy", "--project", str(keeper))
        assert done.returncode in {1, 3}
        assert "API_KEY" in done.stderr
        assert "Traceback" not in done.stderr
        assert data(keeper, "status")["deployments"][0]["state"] == "absent"


def _holding(folder: Path, *values: str) -> set[Path]:
    """Files below ``folder`` that hold one of the values."""
    wanted = [value.encode() for value in values]
    return {
        path
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and any(value in path.read_bytes() for value in wanted)
    }
