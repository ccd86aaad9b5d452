"""A tool that asks who is calling, through its whole life on this machine, by the command line alone."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import secrets
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from mcp_packager.errors import PackError
from mcp_packager.pipeline.secrets import new_key
from mcp_packager.verify import McpClient, RefusedError
from tests.cli.process import run
from tests.pipeline.projects import CODE, data, destroyed_afterwards, ok, project
from tests.serve.issuer import CLIENT, SECRET, key, real_issuer

MANIFEST = """
[tool]
name = "guarded"
version = "{version}"
entrypoint = "server"

[secrets.FIRST]

[secrets.SECOND]

[serve]
auth = {{ mode = "bearer", keys = {keys} }}

[[verify.call]]
tool = "shout"
arguments = {{ text = "hello" }}
expect = {{ contains = "HELLO" }}
"""
CLOSED = "a caller without a token is refused (401)"


def written(folder: Path, version: str, *keys: str) -> Path:
    return project(folder, manifest=MANIFEST.format(version=version, keys=json.dumps(keys)))


def let_in(url: str, key: str | None) -> bool:
    """Whether who shows the key may call."""
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    try:
        result = McpClient(url, headers).call_tool("shout", {"text": "abc"})
    except RefusedError as error:
        if error.status != 401:
            raise
        return False
    return bool(result["content"][0]["text"] == "ABC")


@pytest.mark.timeout(300)
def test_a_whole_life(tmp_path: Path) -> None:
    first, second, third = printed(tmp_path), asdict(new_key()), asdict(new_key())
    # One secret holds the key itself, the other only its hash: the server takes both.
    env = {"FIRST": first["key"], "SECOND": second["hash"]}
    folder = written(tmp_path / "guarded", "1.0.0", "FIRST")
    with destroyed_afterwards(folder):
        (done,) = data(folder, "deploy", "--yes", env=env)["deployments"]
        url = done["endpoint"]["url"]
        assert done["endpoint"]["auth"] == "bearer"
        assert CLOSED in done["verified"]
        assert "call shout answered as expected" in done["verified"]
        assert done["unverified"] == []
        assert [let_in(url, key) for key in (None, first["key"], second["key"])] == [False, True, False]
        (status,) = data(folder, "status")["deployments"]
        assert (status["state"], status["endpoint"]["auth"]) == ("running", "bearer")

        # Two keys side by side, then the second alone.
        written(folder, "1.1.0", "FIRST", "SECOND")
        ok(folder, "deploy", "--yes", env=env)
        assert [let_in(url, key) for key in (first["key"], second["key"])] == [True, True]
        written(folder, "1.1.0", "SECOND")
        ok(folder, "deploy", "--yes", env=env)
        assert [let_in(url, key["key"]) for key in (first, second)] == [False, True]

        # Another value of the same secret is noticed when it is pushed, and not before.
        env["SECOND"] = third["key"]
        assert not data(folder, "deploy", "--yes", env=env)["deployments"][0]["changed"]
        (pushed,) = data(folder, "secrets", "push", "SECOND", env=env)["pushed"]
        assert pushed["secrets"] == ["SECOND"]
        assert [let_in(url, key["key"]) for key in (second, third)] == [False, True]
        assert data(folder, "plan", env=env)["changes_due"] is False

        # What the earlier release says of its callers holds again, with the values that are there now.
        (back,) = data(folder, "rollback", "--yes", env=env)["deployments"]
        assert CLOSED in back["verified"]
        assert [let_in(url, key["key"]) for key in (first, second, third)] == [True, False, True]
        ok(folder, "destroy", "--yes")
    assert not list((Path(os.environ["MCP_PACK_HOME"]) / "local").glob("guarded-*"))


def printed(folder: Path) -> dict[str, str]:
    """A new key, as the command prints it."""
    made = json.loads(run("secrets", "new-key", "--json", "--project", str(folder)).stdout)
    assert made["hash"] == "sha256:" + hashlib.sha256(made["key"].encode()).hexdigest()
    assert len(made["key"]) >= 43
    return {"key": made["key"], "hash": made["hash"]}


@dataclass(frozen=True)
class Guarded:
    """A deployed tool, its address, the key that it takes, and where it lives: several tests look at it."""

    folder: Path
    url: str
    key: str
    home: dict[str, str]

    def run(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return run(*arguments, "--project", str(self.folder), env=self.home | env)

    def data(self, *arguments: str, **env: str) -> dict[str, Any]:
        return data(self.folder, *arguments, env=self.home | env)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = written(tmp_path_factory.mktemp("callers") / "guarded", "1.0.0", "FIRST")
    home = {"MCP_PACK_HOME": str(tmp_path_factory.mktemp("home"))}
    key = secrets.token_urlsafe(32)
    try:
        env = home | {"FIRST": key, "SECOND": secrets.token_urlsafe(32)}
        (done,) = data(folder, "deploy", "--yes", env=env)["deployments"]
        yield Guarded(folder, done["endpoint"]["url"], key, home)
    finally:
        run("destroy", "--yes", "--project", str(folder), env=home)


def test_a_key_is_shown_from_a_variable(guarded: Guarded) -> None:
    call = ("invoke", "shout", "text=abc")
    assert guarded.run(*call, MCP_PACK_TOKEN=guarded.key).stdout == "ABC\n"
    assert guarded.run(*call, "--token-env", "MINE", MINE=guarded.key).stdout == "ABC\n"
    assert guarded.run(*call, "--token-env", "MINE", MINE=guarded.key, MCP_PACK_TOKEN="another").stdout == "ABC\n"
    nothing = guarded.run(*call)
    assert nothing.returncode == 1
    assert "asks for one of its keys" in nothing.stderr
    assert "--token-env NAME, or set MCP_PACK_TOKEN" in nothing.stderr
    wrong = guarded.run(*call, MCP_PACK_TOKEN=f"{guarded.key}x")
    assert wrong.returncode == 3
    assert "does not accept this token" in wrong.stderr
    assert guarded.key not in wrong.stderr
    # Whoever names an address says also what it gets: nothing is shown to it of itself.
    other = guarded.run(*call, "--url", guarded.url, MCP_PACK_TOKEN=guarded.key)
    assert "asks who is calling" in other.stderr


def test_a_clients_settings_refer_to_a_key(guarded: Guarded) -> None:
    made = guarded.data("client-config", "--client", "claude-code", "--url")
    assert made["entry"]["url"] == guarded.url
    assert made["entry"]["headers"] == {"Authorization": "Bearer ${GUARDED_KEY}"}
    assert "the server asks for one of its keys" in made["notes"]
    made = guarded.data("client-config", "--client", "claude-code", "--url", "--token-env", "MINE")
    assert made["entry"]["headers"] == {"Authorization": "Bearer ${MINE}"}
    assert guarded.key not in json.dumps(made)


def test_a_value_that_the_server_cannot_use_changes_nothing(guarded: Guarded) -> None:
    for value, told in (("sha256:short", "64 hexadecimal digits"), ("", "has no value")):
        failed = guarded.run("secrets", "push", FIRST=value, SECOND="another-good-one")
        assert failed.returncode in {1, 3}
        assert told in failed.stderr
        assert "clients get release 1 (version 1.0.0) as before" in failed.stderr
        assert let_in(guarded.url, guarded.key)
    assert guarded.data("drift")["drifted"] is False


def test_what_cannot_be_pushed(guarded: Guarded, tmp_path: Path) -> None:
    unknown = guarded.run("secrets", "push", "THIRD")
    assert unknown.returncode == 1
    assert "keeps no secret THIRD" in unknown.stderr
    assert "FIRST, SECOND" in unknown.stderr
    nothing = run("secrets", "push", "--project", str(written(tmp_path / "other", "1.0.0", "FIRST")))
    assert nothing.returncode == 1
    assert "nothing is deployed to local" in nothing.stderr


@pytest.mark.real("node22")
@pytest.mark.real("node-modules")
def test_an_issuers_tokens_let_in_and_a_deploy_needs_none(tmp_path: Path) -> None:
    text = """
[tool]
name = "issued"
entrypoint = "server"

[serve]
auth = {{ mode = "oidc", issuer = "{url}", scopes = ["notes:read"] }}

[[verify.call]]
tool = "shout"
arguments = {{ text = "hello" }}
"""
    (tmp_path / "issuer").mkdir()
    folder = tmp_path / "issued"
    call = ("invoke", "shout", "text=abc")
    with destroyed_afterwards(folder):
        with real_issuer(tmp_path / "issuer", key("RS256")) as url:
            project(folder, manifest=text.format(url=url))
            (done,) = data(folder, "deploy", "--yes")["deployments"]
            assert done["endpoint"]["auth"] == "oidc"
            assert CLOSED in done["verified"]
            client = ("--client-id", CLIENT, "--client-secret-env", "CLIENTS_SECRET", "--scope", "notes:read")
            assert ok(folder, *call, *client, env={"CLIENTS_SECRET": SECRET}).stdout == "ABC\n"
            nothing = run(*call, "--project", str(folder))
            assert nothing.returncode == 1
            assert "asks for a token of its issuer" in nothing.stderr
            assert "client credentials" in nothing.stderr
            made = data(folder, "client-config", "--client", "claude-code", "--url")
            assert "headers" not in made["entry"]
            assert any("let the client sign in" in note for note in made["notes"])
        # The issuer is away now: the deploy's own token is no token of its.
        (folder / "server.py").write_text(CODE.replace("upper()", "upper() + '!'"), encoding="utf-8")
        (again,) = data(folder, "deploy", "--yes")["deployments"]
        assert again["changed"]
        assert "call shout answered as expected" in again["verified"]


def test_the_network_is_served_when_it_is_asked_for_and_said(tmp_path: Path) -> None:
    text = '[tool]\nname = "wide"\nentrypoint = "server"\n[target.local]\nhost = "0.0.0.0"\n'
    folder = project(tmp_path / "wide", code=CODE, manifest=text)
    with destroyed_afterwards(folder):
        (done,) = data(folder, "deploy", "--yes")["deployments"]
        assert done["endpoint"]["url"].startswith("http://127.0.0.1:")
        assert any("in its network may call" in note for note in done["notes"])
        assert reached_beyond_loopback(done["endpoint"]["url"])
    (folder / "mcp-tool.toml").write_text(text + '[serve.auth]\nmode = "iam"\n')
    refused = run("deploy", "--yes", "--project", str(folder))
    assert refused.returncode == 1
    assert "serve.auth.mode" in refused.stderr
    assert 'use mode = "bearer", "jwt" or "oidc"' in refused.stderr


def test_the_code_cannot_ask_for_a_key_that_callers_show(tmp_path: Path) -> None:
    code = (
        'from mcp_tool import tool\n\n\n@tool(secrets=["FIRST"])\ndef f() -> int:\n    """Give one."""\n    return 1\n'
    )
    folder = project(tmp_path / "told", code=code, manifest=MANIFEST.format(version="1", keys='["FIRST"]'))
    refused = run("check", "--project", str(folder))
    assert refused.returncode == 1
    assert "needs the secret FIRST, which is a key that callers show: the code does not get it" in refused.stderr
    assert "server.py:4" in refused.stderr


def test_check_says_where_nobody_is_asked(tmp_path: Path) -> None:
    wide = '[tool]\nname = "wide"\nentrypoint = "server"\n[serve]\npublic_url = "https://tools.example.com"\n'
    notes = data(project(tmp_path / "wide", manifest=wide), "check")["check"]["notes"]
    assert "local: whoever reaches it in its network may call: [serve.auth] says who may" in notes


def reached_beyond_loopback(url: str) -> bool:
    """Whether the port takes connections at another address of this machine than the first of loopback."""
    port = urlsplit(url).port
    assert port is not None
    with socket.create_connection(("127.0.0.2", port), timeout=5):
        pass
    connection = http.client.HTTPConnection("127.0.0.2", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, PackError):
        return False
    finally:
        connection.close()
