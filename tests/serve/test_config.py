"""The config document: defaults for everything, and nothing misread in silence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mcp_tool import config
from mcp_tool.serve.problem import StartProblem


def test_no_file_is_the_defaults() -> None:
    found = config.load(None)
    assert found == config.parse({}) == config.parse({"schema": 1})
    assert (found.stage, found.target, found.serve.path, found.serve.timeout) == ("default", "local", "/mcp", 60.0)
    assert (found.serve.concurrency, found.serve.allowed_hosts, found.log.level) == (100, (), "info")


def test_every_key_is_read() -> None:
    found = config.parse(
        {
            "schema": 1,
            "stage": "prod",
            "target": "eks",
            "release": "7",
            "serve": {
                "path": "/tools/",
                "public_url": "https://t.test/tools",
                "timeout": 5,
                "concurrency": 3,
                "allowed_hosts": ["a"],
                "allowed_origins": ["https://b"],
                "auth": {"mode": "none"},
                "drain": 2,
                "drain_delay": 1,
                "keep_alive": 9,
                "max_body": 10,
                "listen": False,
                "state_keys": [{"env": "KEY"}],
            },
            "env": {"A": "1"},
            "secrets": {"S": {"file": "/run/s"}},
            "log": {"level": "debug"},
        }
    )
    assert found.serve.path == "/tools"
    assert str(found.secret("S")) == "file /run/s"
    assert str(found.secret("T")) == "environment variable T"


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"schema": 2}, "schema 2"),
        ({"serve": {"pfad": "/x"}}, "serve.pfad"),
        ({"serve": {"path": "mcp"}}, "serve.path"),
        ({"serve": {"timeout": 0}}, "serve.timeout"),
        ({"serve": {"auth": {"mode": "bearer", "keys": ["K"]}}}, "serve.auth"),
        ({"secrets": {"S": {}}}, "secrets.S"),
        ({"secrets": {"S": {"env": "A", "file": "b"}}}, "secrets.S"),
        ({"env": {"A": 1}}, "env.A"),
        ([], "not a JSON object"),
    ],
)
def test_what_is_not_understood_is_a_problem_with_its_place(document: Any, said: str) -> None:
    with pytest.raises(StartProblem) as caught:
        config.parse(document)
    assert said in caught.value.what
    assert caught.value.fix


def test_a_newer_document_names_the_fix() -> None:
    with pytest.raises(StartProblem) as caught:
        config.parse({"schema": 9, "anything": True})
    assert "build the artifact again" in caught.value.fix


def test_problems_do_not_quote_values() -> None:
    with pytest.raises(StartProblem) as caught:
        config.parse({"env": {"A": ["hunter2"]}, "secrets": {"S": "hunter2"}})
    assert "hunter2" not in caught.value.what + caught.value.fix


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path, content in ((tmp_path / "none.json", None), (tmp_path / "bad.json", "{"), (tmp_path, None)):
        if content is not None:
            path.write_text(content, encoding="utf-8")
        with pytest.raises(StartProblem):
            config.load(path)


def test_secrets_are_read_from_where_they_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "s").write_text("from file\n", encoding="utf-8")
    monkeypatch.setenv("S", "from env")
    found = config.parse({"secrets": {"A": {"env": "S"}, "B": {"file": str(tmp_path / "s")}}})
    assert (found.secret("A").read(), found.secret("B").read()) == ("from env", "from file")
    assert config.parse(json.loads('{"secrets": {"C": {"file": "/nowhere/c"}}}')).secret("C").read() is None
