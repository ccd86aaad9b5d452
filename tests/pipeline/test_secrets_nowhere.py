"""Planted secrets: delivered to the tool, and in no byte of any artifact, record, plan, log or message.

The keys that callers show and the tokens that a deploy signs are held to the same.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import pytest

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


GUARDED = """
[tool]
name = "guarded"
version = "1.0.0"
entrypoint = "server"

[secrets.CALLERS]

[serve]
auth = { mode = "bearer", keys = ["CALLERS"] }
audit = { to = "file" }

[[verify.call]]
tool = "environment"
"""
ENVIRONMENT = '''
import os

from mcp_tool import tool


@tool
def environment() -> dict[str, str]:
    """All that the code can see of its environment."""
    return dict(os.environ)
'''


@pytest.mark.timeout(300)
def test_keys_and_the_deploys_own_tokens_are_nowhere_but_in_the_servers_own_files(tmp_path: Path) -> None:
    key = secrets.token_urlsafe(32)
    folder = project(tmp_path / "guarded", code=ENVIRONMENT, manifest=GUARDED)
    env = {"CALLERS": key, "MCP_PACK_TOKEN": key}
    home = Path(os.environ["MCP_PACK_HOME"])
    printed: list[str] = []

    def said(*arguments: str, **changes: str) -> str:
        done = run(*arguments, "--project", str(folder), env=env | changes)
        printed.extend((done.stdout, done.stderr))
        return done.stdout

    with destroyed_afterwards(folder):
        for command in ("check", "build", "plan", "deploy", "plan", "status", "drift", "history", "secrets"):
            said(command)
            said(command, "--json")
        seen = said("invoke", "environment", "--json")
        assert '"is_error": false' in seen
        said("invoke", "environment", MCP_PACK_TOKEN=f"{key}-and-more")
        said("secrets", "push")
        said("secrets", "push", CALLERS="sha256:nonsense")
        said("logs", "-n", "1000")
        said("client-config", "--client", "claude-code", "--url")
        # The server's own: what callers show, what signs the deploy's tokens, what seals the state of questions.
        own = {path.relative_to(home).parts[2:4]: path for path in home.rglob("*") if path.parent.parent.name == "keys"}
        assert sorted(own) == [("keys", "probe"), ("keys", "state")]
        made = [path.read_text(encoding="ascii") for path in own.values()]
        assert [len(text) for text in made] == [64, 64]
        kept = _holding(home, key)
        assert {path.parent.name for path in kept} == {"CALLERS"}
        assert all(path.stat().st_mode & 0o077 == 0 for path in (*kept, *own.values()))
        assert _holding(home, *made) == set(own.values())
        assert not _holding(home, "mcp-pack-probe.eyJ")
        assert not _holding(folder, key, *made, "mcp-pack-probe.eyJ")
        assert not _holding(Path(os.environ["MCP_PACK_CACHE"]), key, *made)
        (audit,) = home.rglob("audit.log")
        assert "environment" in audit.read_text(encoding="utf-8")
    assert not _holding(home, key, *made)
    assert len(printed) > 20
    for text in printed:
        assert not [value for value in (key, *made, "mcp-pack-probe.eyJ") if value in text]


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
