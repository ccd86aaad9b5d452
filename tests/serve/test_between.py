"""Where the Redis of the replicas is: read from the config, never shown with its password."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from mcp_tool.config import Config
from mcp_tool.serve import between
from mcp_tool.serve.problem import StartProblem
from mcp_tool.serve.sdk import events

PASSWORD = "a-password"


def config(reference: Any, **serve: Any) -> Config:
    return Config.model_validate({"schema": 1, "serve": {"events": reference, **serve}})


def test_none_is_none() -> None:
    assert between.address(Config.model_validate({"schema": 1})) is None


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("redis://cache.test", "cache.test"),
        (f"redis://user:{PASSWORD}@cache.test:6380/2", "cache.test:6380"),
        (f"rediss://:{PASSWORD}@[::1]:6379", "::1:6379"),
        ("unix:///run/redis.sock", "/run/redis.sock"),
    ],
)
def test_the_place_is_told_without_the_rest(url: str, place: str, tmp_path: Path) -> None:
    (tmp_path / "url").write_text(url + "\n", encoding="utf-8")
    for reference in ({"url": url}, {"file": str(tmp_path / "url")}):
        found = between.address(config(reference))
        assert found is not None
        assert (found.url, found.place) == (url, place)


@pytest.mark.parametrize(
    "url", [f"redis://:{PASSWORD}@cache.test:port", f"http://:{PASSWORD}@cache.test", f"cache.test:{PASSWORD}"]
)
def test_what_is_no_address_ends_the_start_and_is_not_repeated(url: str) -> None:
    with pytest.raises(StartProblem) as raised:
        events.bus(config({"url": url}), "tool")
    assert PASSWORD not in raised.value.what + raised.value.fix


def test_a_missing_value_names_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(StartProblem, match="TESTS_REDIS_URL"):
        between.address(config({"env": "TESTS_REDIS_URL"}))
    with pytest.raises(StartProblem, match="nowhere"):
        between.address(config({"file": str(tmp_path / "nowhere")}))


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    with pytest.raises(StartProblem, match="needs the package redis"):
        events.bus(config({"url": "redis://cache.test"}), "tool")


def test_nobody_asks_redis_where_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    assert isinstance(events.bus(config({"url": "redis://cache.test"}, listen=False), "tool"), events.Local)
