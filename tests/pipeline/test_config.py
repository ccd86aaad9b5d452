"""From the manifest to what a running server reads, and who must be asked who they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mcp_packager.manifest import Manifest, load
from mcp_packager.target import (
    Exposure,
    Key,
    Ref,
    auth_problems,
    auth_warning,
    base_config,
    with_audit_file,
    with_secrets,
    with_services,
)
from mcp_packager.target.values import resolve
from mcp_targets.local import target as local
from mcp_targets.local.options import Options
from mcp_tool import config as runtime

MANIFEST = """\
[tool]
name = "ledger"
entrypoint = "server"

[env]
A = 1

[secrets.API_KEY]

[secrets.CALLERS]

[secrets.CALLERS_OLD]

[secrets.REDIS]

[services.search]
external = "search:9200"
provides = { SEARCH = "http://{host}:{port}" }

[serve]
public_url = "https://tools.example.com"
max_body = "1MiB"
trusted_proxies = ["10.0.0.0/8"]
events = "env:REDIS"
rate = { calls = 60, per = "1m", burst = 20, shared = true }
auth = { mode = "bearer", keys = ["CALLERS", "CALLERS_OLD"] }

[serve.metrics]

[serve.telemetry]
otlp = "http://collector:4318"
sample = 0.5

[serve.audit]
to = "file"

[stage.open.serve]
auth = { mode = "none" }

[stage.oidc.serve]
events = "redis://events:6379/1"
auth = { mode = "oidc", issuer = "https://login.example.com", scopes = ["read"] }

[stage.iam.serve]
auth = { mode = "iam" }

[stage.wide.serve]
auth = { mode = "none", insecure_public = true }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mcp-tool.toml").write_text(MANIFEST, encoding="utf-8")
    return tmp_path


def read(document: dict[str, Any]) -> runtime.Config:
    """The document as the runtime takes it, from its JSON form and with the world's part filled in."""
    return runtime.parse(json.loads(json.dumps(resolve(document, lambda item: f"/there/{item}"))))


def test_every_setting_is_read_by_the_runtime(folder: Path) -> None:
    manifest = load(folder)
    places = {name: {"file": Ref(Key("secret", name), "path")} for name in manifest.secrets}
    config = with_services(with_secrets(base_config(manifest, "local"), places), manifest, {"search": "search:9200"})
    taken = read(with_audit_file(config, "/there/audit.log"))
    serve = taken.serve
    assert (serve.max_body, serve.drain_delay, list(map(str, serve.trusted_proxies))) == (1 << 20, 5.0, ["10.0.0.0/8"])
    assert serve.rate == runtime.Rate(calls=60, per=60.0, burst=20, shared=True)
    assert isinstance(serve.auth, runtime.BearerAuth)
    assert [str(key) for key in serve.auth.keys] == [
        "file /there/secret CALLERS.path",
        "file /there/secret CALLERS_OLD.path",
    ]
    assert str(serve.events) == "file /there/secret REDIS.path"
    assert taken.metrics is not None
    assert taken.telemetry is not None
    assert (taken.metrics.port, taken.telemetry.otlp, taken.telemetry.sample) == (9464, "http://collector:4318", 0.5)
    assert taken.log.audit == runtime.AuditFile(file=Path("/there/audit.log"))
    assert taken.dependencies == {"search": "search:9200"}
    assert taken.env == {"A": "1", "SEARCH": "http://search:9200"}


def test_the_callers_keys_are_not_handed_to_the_code(folder: Path) -> None:
    for stage in ("default", "open", "oidc"):
        manifest = load(folder, stage)
        config = with_audit_file(base_config(manifest, "local"), "/there")
        assert sorted(read(config).secrets) == ["API_KEY", "REDIS"]
        assert sorted(manifest.tool_document()["secrets"]) == ["API_KEY", "REDIS"]


def test_without_places_everything_is_in_the_environment(folder: Path) -> None:
    document = base_config(load(folder), "local")
    assert document["serve"]["auth"]["keys"] == [{"env": "CALLERS"}, {"env": "CALLERS_OLD"}]
    assert document["serve"]["events"] == {"env": "REDIS"}
    assert with_secrets(document, {}) == document


def test_an_issuer(folder: Path) -> None:
    serve = read(base_config(load(folder, "oidc"), "local") | {"log": {}}).serve
    assert isinstance(serve.auth, runtime.JwtAuth)
    assert (serve.auth.mode, serve.auth.issuer, serve.auth.scopes) == ("oidc", "https://login.example.com", ("read",))
    assert serve.events == runtime.Url(url="redis://events:6379/1")


def smallest(folder: Path, serve: str = "") -> Manifest:
    (folder / "mcp-tool.toml").write_text(f'[tool]\nname = "a"\nentrypoint = "b"\n{serve}\n', encoding="utf-8")
    return load(folder)


def test_what_is_not_asked_for_is_off(tmp_path: Path) -> None:
    document = base_config(smallest(tmp_path), "local")
    assert read(document) == runtime.parse({"schema": 1, "serve": {"drain_delay": 5.0}})
    assert document["metrics"] is document["telemetry"] is document["serve"]["auth"] is None


# Stage, how exposed, what is wrong (None: nothing), the mode that the config has, whether a deploy warns.
POLICY = [
    (None, Exposure.LOOPBACK, None, None, False),
    (None, Exposure.NETWORK, None, None, True),
    (None, Exposure.INTERNET, "nobody is asked who is calling", None, True),
    (None, Exposure.PLATFORM, None, "iam", False),
    ("open", Exposure.LOOPBACK, None, "none", False),
    ("open", Exposure.NETWORK, None, "none", True),
    ("open", Exposure.INTERNET, "insecure_public = true", "none", True),
    ("open", Exposure.PLATFORM, "insecure_public = true", "none", True),
    ("wide", Exposure.LOOPBACK, None, "none", False),
    ("wide", Exposure.INTERNET, None, "none", True),
    ("wide", Exposure.PLATFORM, None, "none", True),
    ("iam", Exposure.LOOPBACK, 'mode = "bearer"', "iam", False),
    ("iam", Exposure.NETWORK, 'mode = "bearer"', "iam", False),
    ("iam", Exposure.INTERNET, 'mode = "bearer"', "iam", False),
    ("iam", Exposure.PLATFORM, None, "iam", False),
    *[
        (stage, each, None, mode, False)
        for stage, mode in (("default", "bearer"), ("oidc", "oidc"))
        for each in Exposure
    ],
]


@pytest.mark.parametrize(("stage", "exposure", "wrong", "mode", "warns"), POLICY)
def test_who_may_call_where_so_many_can(
    folder: Path, stage: str | None, exposure: Exposure, wrong: str | None, mode: str | None, warns: bool
) -> None:
    manifest = smallest(folder) if stage is None else load(folder, stage)
    problems = auth_problems(manifest, exposure, "here")
    assert [wrong in f"{problem.what} {problem.fix}" for problem in problems if wrong] == ([True] if wrong else [])
    assert len(problems) == (1 if wrong else 0)
    for problem in problems:
        assert str(problem.where.key).startswith("serve.auth")
        assert "here" in problem.what
    auth = base_config(manifest, "here", exposure)["serve"]["auth"]
    assert (auth["mode"] if auth else None) == mode
    assert (auth_warning(auth, exposure) is not None) == warns


@pytest.mark.parametrize(
    ("options", "serve", "reached"),
    [
        ({}, "", Exposure.LOOPBACK),
        ({"host": "::1"}, "", Exposure.LOOPBACK),
        ({"host": "127.0.0.2"}, '[serve]\npublic_url = "http://localhost:8000"', Exposure.LOOPBACK),
        ({"host": "0.0.0.0"}, "", Exposure.NETWORK),
        ({"host": "192.0.2.7"}, "", Exposure.NETWORK),
        ({}, '[serve]\npublic_url = "https://tools.example.com"', Exposure.NETWORK),
    ],
)
def test_who_reaches_what_is_deployed_on_this_machine(
    tmp_path: Path, options: dict[str, Any], serve: str, reached: Exposure
) -> None:
    assert local.exposure(smallest(tmp_path, serve), Options(**options)) is reached


def test_the_tool_and_its_metrics_want_a_port_each(tmp_path: Path) -> None:
    manifest = smallest(tmp_path, "[serve.metrics]\nport = 8123\n")
    (problem,) = local.check(manifest, Options(port=8123))
    assert (problem.where.key, problem.found) == ("serve.metrics.port", "8123")
    assert local.check(manifest, Options(port=8124)) == ()
