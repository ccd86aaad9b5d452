"""Where secrets are read by whoever deploys, and what is said of one that has no value."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcp_packager.errors import WorldError
from mcp_packager.target import Sources, as_shown, without_value


def test_values_of_this_machine(tmp_path: Path) -> None:
    (tmp_path / "key.txt").write_bytes(b"sesame\n")
    sources = Sources({"KEY": "é"}, tmp_path)
    assert sources.read("env:KEY") == "é".encode()
    assert sources.read("file:key.txt") == sources.read(f"file:{tmp_path}/key.txt") == b"sesame\n"
    assert sources.read("env:NONE") == sources.read("file:none") == sources.read("file:.") == b""
    with pytest.raises(WorldError, match="cannot be read from aws-sm:a#b here"):
        sources.read("aws-sm:a#b")


def test_what_others_hold_is_asked_of_them(tmp_path: Path) -> None:
    held = {("aws-sm", "a#b:c"): b"1"}
    sources = Sources({}, tmp_path, lambda scheme, rest: held.get((scheme, rest)))
    assert sources.read("aws-sm:a#b:c") == b"1"
    assert sources.read("aws-ssm:a") == b""


@pytest.mark.parametrize(
    ("source", "fix"),
    [("env:KEY", "export KEY=…"), ("file:a/b", "create the file a/b"), ("aws-sm:a", "put a value into aws-sm:a")],
)
def test_a_secret_without_value_says_what_to_do(source: str, fix: str) -> None:
    (problem,) = without_value("TOKEN", source).problems
    assert problem.what.startswith("the secret TOKEN has no value")
    assert problem.fix.startswith(fix)
    assert problem.where.key == "secrets.TOKEN"


def test_a_value_is_kept_out_of_logs_as_it_would_look_there() -> None:
    assert as_shown(b" a\xffb\n") == "a\ufffdb"
